#include "app/query_parameters.h"
#include "app/validator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void bad_ones_are_named(void **state) {
    static const struct {
        const char *query;
        enum query_kind kind;
        const char *wrong; /* NULL: all right */
    } rows[] = {
        {"", QUERY_ORDERS, NULL},
        {"", QUERY_DOCUMENT, NULL},
        {"live=false&events=true", QUERY_DOCUMENT, NULL},
        {"explain=1&events=false", QUERY_DOCUMENT, NULL},
        {"explain=0", QUERY_DOCUMENT, "explain"},
        {"explain=1&explain=1", QUERY_DOCUMENT, "explain"},
        {"explain=1", QUERY_ORDERS, "explain"},
        {"limit=1", QUERY_DOCUMENT, "limit"},
        {"source=shop", QUERY_DOCUMENT, "source"},
        {"limit=1&limit=1000", QUERY_ORDERS, NULL},
        {"limit=0", QUERY_ORDERS, "limit"},
        {"limit=1001", QUERY_ORDERS, "limit"},
        {"limit=-1", QUERY_ORDERS, "limit"},
        {"limit=1e2", QUERY_ORDERS, "limit"},
        {"limit=", QUERY_ORDERS, "limit"},
        {"limit=99999999999999999999", QUERY_ORDERS, "limit"},
        {"live=yes", QUERY_ORDERS, "live"},
        {"events=1", QUERY_ORDERS, "events"},
        {"status=in_transit", QUERY_ORDERS, NULL},
        {"status=partially_delivered", QUERY_ORDERS, NULL},
        {"status=In_Transit", QUERY_ORDERS, "status"},
        {"status=lost", QUERY_ORDERS, "status"},
        {"id=7", QUERY_ORDERS, "id (it needs source)"},
        {"source=a&id=7", QUERY_ORDERS, NULL},
        {"source=a&source=b", QUERY_ORDERS, "source"},
        {"after=x&after=x", QUERY_ORDERS, "after"},
        {"order_number=", QUERY_ORDERS, "order_number"},
        {"order_number=%00", QUERY_ORDERS, "order_number"},
        {"order_number=%ff", QUERY_ORDERS, "order_number"},
        {"order_number=%4", QUERY_ORDERS, "the query"},
        {"order_number=M%C3%BCnchen+1", QUERY_ORDERS, NULL},
        {"after=latest&limit=5&live=false&events=false", QUERY_CHANGES, NULL},
        {"status=pending", QUERY_CHANGES, "status"},
        {"source=shop", QUERY_CHANGES, "source"},
        {"q=a+b-c&source=shop&status=pending&limit=5", QUERY_ORDERS, NULL},
        {"q=a&order_number=b", QUERY_ORDERS, "q (beside another number)"},
        {"id=a&source=shop&q=b", QUERY_ORDERS, "q (beside another number)"},
        {"q=+", QUERY_ORDERS, "q"},
        {"q=a&q=b", QUERY_ORDERS, "q"},
        {"q=a", QUERY_CHANGES, "q"},
        {"days=30&live=false", QUERY_PANEL, NULL},
        {"days=0", QUERY_PANEL, "days"},
        {"days=366", QUERY_PANEL, "days"},
        {"days=5", QUERY_ORDERS, "days"},
        {"limit=5", QUERY_PANEL, "limit"},
        {"colour=red", QUERY_ORDERS, "an unknown parameter"},
        {"Live=true", QUERY_ORDERS, "an unknown parameter"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *arena = arena_new(1u << 20);
        struct query_parameters parameters;
        struct slice wrong;
        assert_non_null(arena);
        bool ok = query_parameters_read(slice_from_cstr(rows[i].query), rows[i].kind, arena,
                                        &parameters, &wrong);
        assert_int_equal(ok, rows[i].wrong == NULL);
        if (rows[i].wrong != NULL) {
            assert_true(slice_eq(wrong, slice_from_cstr(rows[i].wrong)));
        }
        arena_free(arena);
    }
}

static void values_are_decoded_and_kept_in_order(void **state) {
    struct arena *arena = arena_new(1u << 20);
    struct query_parameters parameters;
    struct slice wrong;
    (void)state;
    assert_non_null(arena);
    assert_true(query_parameters_read(
        SLICE_OF("tracking_number=a%2Fb&tracking_number=c+d&limit=7&live=false&after=1-2"),
        QUERY_ORDERS, arena, &parameters, &wrong));
    assert_int_equal(parameters.tracking_numbers.count, 2);
    assert_true(slice_eq(parameters.tracking_numbers.items[0], SLICE_OF("a/b")));
    assert_true(slice_eq(parameters.tracking_numbers.items[1], SLICE_OF("c d")));
    assert_int_equal(parameters.limit, 7);
    assert_false(parameters.live);
    assert_true(parameters.events);
    assert_true(slice_eq(parameters.after, SLICE_OF("1-2")));
    arena_free(arena);
}

static void a_hundred_values_and_not_one_more(void **state) {
    (void)state;
    for (size_t count = LIMIT_QUERY_VALUES; count <= LIMIT_QUERY_VALUES + 1; count++) {
        struct arena *arena = arena_new(1u << 20);
        struct strbuf query = STRBUF_INIT(1u << 16);
        struct query_parameters parameters;
        struct slice wrong;
        assert_non_null(arena);
        for (size_t i = 0; i < count; i++) {
            strbuf_addf(&query, "order_number=%zu&", i);
        }
        assert_false(strbuf_failed(&query));
        assert_int_equal(
            query_parameters_read(strbuf_slice(&query), QUERY_ORDERS, arena, &parameters, &wrong),
            count == LIMIT_QUERY_VALUES);
        strbuf_free(&query);
        arena_free(arena);
    }
}

static void an_etag_is_found_in_any_list(void **state) {
    static const struct {
        const char *if_none_match;
        bool match;
    } rows[] = {
        {"\"a-1\"", true},
        {"W/\"a-1\"", true},
        {"*", true},
        {"\"b\", \"a-1\"", true},
        {"\"b\",W/\"a-1\" ", true},
        {"", false},
        {"\"a-12\"", false},
        {"a-1", false},
        {"\"A-1\"", false},
        {"\"b\", \"c\"", false},
        {",,", false},
        {"w/\"a-1\"", false},
        {"\"a-1\"x", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(etag_matches(slice_from_cstr(rows[i].if_none_match), SLICE_OF("\"a-1\"")),
                         rows[i].match);
    }
}

static void a_cursor_comes_back_as_it_went(void **state) {
    static const int64_t rows[][2] = {
        {1, 1}, {INT64_MAX, 1}, {1, INT64_MAX}, {0x123456789abcdef, 4711}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct strbuf text = STRBUF_INIT(64);
        int64_t feed_id = 0, position = 0;
        cursor_put(&text, rows[i][0], rows[i][1]);
        assert_true(cursor_read(strbuf_slice(&text), &feed_id, &position));
        assert_int_equal(feed_id, rows[i][0]);
        assert_int_equal(position, rows[i][1]);
        strbuf_free(&text);
    }
}

static void anything_else_is_no_cursor(void **state) {
    static const char *const rows[] = {"",
                                       "-",
                                       "1",
                                       "1-",
                                       "-1",
                                       "g-1",
                                       "1-1-1",
                                       "1 -1",
                                       "1--1",
                                       "ffffffffffffffff-1",
                                       "1-11111111111111111",
                                       "latest"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t feed_id, position;
        assert_false(cursor_read(slice_from_cstr(rows[i]), &feed_id, &position));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_ones_are_named),
        cmocka_unit_test(values_are_decoded_and_kept_in_order),
        cmocka_unit_test(a_hundred_values_and_not_one_more),
        cmocka_unit_test(an_etag_is_found_in_any_list),
        cmocka_unit_test(a_cursor_comes_back_as_it_went),
        cmocka_unit_test(anything_else_is_no_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "engine/document_cache.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN, FULL };

static struct document_cache *must_make(size_t bytes) {
    struct document_cache *cache = document_cache_new(bytes);
    assert_non_null(cache);
    document_cache_begin(cache);
    return cache;
}

/* Orders that differ in their last bytes only share one set of places. */
static struct uuid order_of(uint8_t number) {
    struct uuid order = {{0}};
    order.bytes[15] = number;
    return order;
}

static void assert_kept(struct document_cache *cache, uint8_t number, uint8_t kind, int64_t version,
                        const char *expected) {
    struct uuid order = order_of(number);
    struct slice document = SLICE_EMPTY;
    bool found = document_cache_get(cache, &order, kind, version, &document);
    assert_int_equal(found, expected != NULL);
    assert_true(expected == NULL || slice_eq(document, slice_from_cstr(expected)));
}

static void keep(struct document_cache *cache, uint8_t number, uint8_t kind, int64_t version,
                 const char *text) {
    struct uuid order = order_of(number);
    document_cache_keep(cache, &order, kind, version, slice_from_cstr(text));
}

static void test_a_document_is_found_by_order_kind_and_version(void **state) {
    struct document_cache *cache = must_make(1000);
    struct uuid first = order_of(1), second = order_of(2);
    (void)state;
    keep(cache, 1, FULL, 7, "seven");
    keep(cache, 1, PLAIN, 6, "six");
    assert_kept(cache, 1, FULL, 7, "seven");
    assert_kept(cache, 1, PLAIN, 6, "six");
    assert_kept(cache, 1, FULL, 6, NULL);
    assert_kept(cache, 1, FULL, 8, NULL);
    assert_kept(cache, 2, FULL, 7, NULL);
    assert_true(document_cache_has(cache, &first, FULL));
    assert_false(document_cache_has(cache, &second, FULL));
    document_cache_free(cache);
}

static void test_another_version_takes_the_place(void **state) {
    struct document_cache *cache = must_make(1000);
    (void)state;
    keep(cache, 1, FULL, 7, "seven");
    document_cache_begin(cache);
    keep(cache, 1, FULL, 8, "eight");
    assert_kept(cache, 1, FULL, 8, "eight");
    assert_kept(cache, 1, FULL, 7, NULL);
    document_cache_free(cache);
}

static void test_what_was_found_stays_for_this_use(void **state) {
    struct document_cache *cache = must_make(1000);
    struct uuid order = order_of(1);
    struct slice document;
    (void)state;
    keep(cache, 1, FULL, 7, "seven");
    document_cache_begin(cache);
    assert_true(document_cache_get(cache, &order, FULL, 7, &document));
    keep(cache, 1, FULL, 8, "eight");
    for (uint8_t other = 2; other < 200; other++) {
        keep(cache, other, FULL, other, "another");
    }
    assert_true(slice_eq(document, SLICE_OF("seven")));
    assert_kept(cache, 1, FULL, 7, "seven");
    document_cache_free(cache);
}

static void test_the_one_not_used_for_longest_goes(void **state) {
    struct document_cache *cache = must_make(1000);
    (void)state;
    for (uint8_t number = 1; number <= 4; number++) {
        keep(cache, number, FULL, number, "first");
        document_cache_begin(cache);
    }
    assert_kept(cache, 1, FULL, 1, "first"); /* used again */
    document_cache_begin(cache);
    keep(cache, 5, FULL, 5, "fifth");
    assert_kept(cache, 2, FULL, 2, NULL);
    assert_kept(cache, 1, FULL, 1, "first");
    assert_kept(cache, 3, FULL, 3, "first");
    assert_kept(cache, 4, FULL, 4, "first");
    assert_kept(cache, 5, FULL, 5, "fifth");
    document_cache_free(cache);
}

static void test_beyond_its_limit_it_begins_anew(void **state) {
    struct document_cache *cache = must_make(9);
    (void)state;
    keep(cache, 1, FULL, 1, "12345");
    document_cache_begin(cache);
    assert_kept(cache, 1, FULL, 1, "12345");
    keep(cache, 2, FULL, 1, "67890");
    document_cache_begin(cache);
    assert_kept(cache, 1, FULL, 1, NULL);
    assert_kept(cache, 2, FULL, 1, NULL);
    keep(cache, 2, FULL, 2, "again");
    assert_kept(cache, 2, FULL, 2, "again");
    document_cache_free(cache);
}

static void test_a_large_document_is_not_kept(void **state) {
    struct document_cache *cache = must_make(1 << 20);
    char *text = calloc(1, LIMIT_CACHED_DOCUMENT + 1);
    struct uuid order = order_of(1);
    struct slice found;
    (void)state;
    assert_non_null(text);
    document_cache_keep(cache, &order, FULL, 1, (struct slice){text, LIMIT_CACHED_DOCUMENT + 1});
    assert_false(document_cache_has(cache, &order, FULL));
    document_cache_keep(cache, &order, FULL, 1, (struct slice){text, LIMIT_CACHED_DOCUMENT});
    assert_true(document_cache_get(cache, &order, FULL, 1, &found));
    assert_int_equal(found.len, LIMIT_CACHED_DOCUMENT);
    free(text);
    document_cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_document_is_found_by_order_kind_and_version),
        cmocka_unit_test(test_another_version_takes_the_place),
        cmocka_unit_test(test_what_was_found_stays_for_this_use),
        cmocka_unit_test(test_the_one_not_used_for_longest_goes),
        cmocka_unit_test(test_beyond_its_limit_it_begins_anew),
        cmocka_unit_test(test_a_large_document_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "adapter/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* What PostgreSQL reads: array_recv(), record_recv() and the receive functions of the types. */

#define ROW_TYPE 0x4711u

static void begin(struct pg_params *params, struct pg_rows *rows) {
    pg_params_init(params, 4096);
    pg_rows_begin(rows, params, ROW_TYPE);
    pg_row_begin(rows);
}

static void end(struct pg_params *params, struct pg_rows *rows) {
    pg_row_end(rows);
    pg_rows_end(rows);
    assert_int_equal(params->count, 1);
    assert_false(params->overflow);
}

/* dimensions, no nulls, element type, count, lower bound, length of the row, its columns */
static const uint8_t head[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x47, 0x11, 0, 0, 0, 1, 0, 0, 0, 1};

static void put_text(struct pg_rows *rows) {
    pg_col_text(rows, 25, SLICE_OF("ab"));
}
static void put_empty_text(struct pg_rows *rows) {
    pg_col_text(rows, 25, SLICE_EMPTY);
}
static void put_empty_bytea(struct pg_rows *rows) {
    pg_col_bytea(rows, SLICE_EMPTY);
}
static void put_null(struct pg_rows *rows) {
    pg_col_null(rows, 17);
}
static void put_json(struct pg_rows *rows) {
    pg_col_text(rows, 114, SLICE_OF("{}"));
}
static void put_no_json(struct pg_rows *rows) {
    pg_col_text(rows, 114, SLICE_EMPTY);
}
static void put_true(struct pg_rows *rows) {
    pg_col_bool(rows, true);
}
static void put_int2(struct pg_rows *rows) {
    pg_col_int2(rows, -3);
}
static void put_int4(struct pg_rows *rows) {
    pg_col_int4(rows, -2);
}
static void put_int8(struct pg_rows *rows) {
    pg_col_int8(rows, INT64_C(0x0102030405060708));
}
static void put_epoch(struct pg_rows *rows) {
    pg_col_timestamptz(rows, INT64_C(946684800000000));
}
static void put_no_time(struct pg_rows *rows) {
    pg_col_timestamptz(rows, TIMESTAMP_NONE);
}
static void put_date(struct pg_rows *rows) {
    pg_col_date(rows, 10957 + 258);
}
static void put_no_date(struct pg_rows *rows) {
    pg_col_date(rows, DATE_NONE);
}
static void put_no_uuid(struct pg_rows *rows) {
    pg_col_uuid(rows, NULL);
}
static void put_texts(struct pg_rows *rows) {
    const struct slice items[] = {SLICE("a"), SLICE("bc")};
    pg_col_text_array(rows, items, 2);
}
static void put_no_texts(struct pg_rows *rows) {
    pg_col_text_array(rows, NULL, 0);
}
static void put_null_texts(struct pg_rows *rows) {
    pg_col_null_text_array(rows);
}

static void a_column_is_type_length_and_bytes(void **state) {
    static const struct {
        void (*put)(struct pg_rows *rows);
        uint8_t bytes[48]; /* type, length, value */
        size_t len;
    } rows[] = {
        {put_text, {0, 0, 0, 25, 0, 0, 0, 2, 'a', 'b'}, 10},
        {put_empty_text, {0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff}, 8},
        {put_empty_bytea, {0, 0, 0, 17, 0, 0, 0, 0}, 8},
        {put_null, {0, 0, 0, 17, 0xff, 0xff, 0xff, 0xff}, 8},
        {put_json, {0, 0, 0, 114, 0, 0, 0, 2, '{', '}'}, 10},
        {put_no_json, {0, 0, 0, 114, 0xff, 0xff, 0xff, 0xff}, 8},
        {put_true, {0, 0, 0, 16, 0, 0, 0, 1, 1}, 9},
        {put_int2, {0, 0, 0, 21, 0, 0, 0, 2, 0xff, 0xfd}, 10},
        {put_int4, {0, 0, 0, 23, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xfe}, 12},
        {put_int8, {0, 0, 0, 20, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}, 16},
        {put_epoch, {0, 0, 0x04, 0xa0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}, 16},
        {put_no_time, {0, 0, 0x04, 0xa0, 0xff, 0xff, 0xff, 0xff}, 8},
        {put_date, {0, 0, 0x04, 0x3a, 0, 0, 0, 4, 0, 0, 1, 2}, 12},
        {put_no_date, {0, 0, 0x04, 0x3a, 0xff, 0xff, 0xff, 0xff}, 8},
        {put_no_uuid, {0, 0, 0x0b, 0x86, 0xff, 0xff, 0xff, 0xff}, 8},
        {put_texts,
         {0, 0, 0x03, 0xf1, 0, 0, 0, 31, 0, 0, 0, 1, 0,   0, 0, 0, 0, 0,   0,  25,
          0, 0, 0,    2,    0, 0, 0, 1,  0, 0, 0, 1, 'a', 0, 0, 0, 2, 'b', 'c'},
         39},
        {put_no_texts, {0, 0, 0x03, 0xf1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25}, 20},
        {put_null_texts, {0, 0, 0x03, 0xf1, 0xff, 0xff, 0xff, 0xff}, 8},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pg_params params;
        struct pg_rows out;
        begin(&params, &out);
        rows[i].put(&out);
        end(&params, &out);
        const uint8_t *data = (const uint8_t *)params.data.data;
        size_t row = sizeof(head);
        assert_int_equal(params.data.len, row + 8 + rows[i].len);
        assert_memory_equal(data, head, sizeof(head));
        assert_int_equal(data[row + 3], 4 + rows[i].len); /* length of the row */
        assert_int_equal(data[row + 7], 1);               /* one column */
        assert_memory_equal(data + row + 8, rows[i].bytes, rows[i].len);
        pg_params_free(&params);
    }
}

static void no_rows_are_null(void **state) {
    struct pg_params params;
    struct pg_rows rows;
    (void)state;
    pg_params_init(&params, 4096);
    pg_rows_begin(&rows, &params, ROW_TYPE);
    pg_rows_end(&rows);
    assert_int_equal(params.lengths[0], -1);
    assert_int_equal(params.data.len, 0);
    pg_params_free(&params);
}

static void scalars_know_their_types(void **state) {
    static const uint8_t uuids[32] = {[0] = 1, [16] = 2};
    struct pg_params params;
    (void)state;
    pg_params_init(&params, 4096);
    pg_add_text(&params, SLICE_OF("x"));
    pg_add_text(&params, SLICE_EMPTY);
    pg_add_null(&params);
    pg_add_bool(&params, false);
    pg_add_int4(&params, 7);
    pg_add_int8(&params, 8);
    pg_add_uuid(&params, uuids);
    pg_add_uuid_array(&params, uuids, 2);
    pg_add_text_array(&params, NULL, 0);
    static const struct {
        uint32_t type;
        int length;
    } rows[] = {{25, 1}, {25, -1},   {0, -1},    {16, 1},   {23, 4},
                {20, 8}, {2950, 16}, {2951, 60}, {1009, 12}};
    assert_int_equal(params.count, ARRAY_LEN(rows));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(params.types[i], rows[i].type);
        assert_int_equal(params.lengths[i], rows[i].length);
    }
    pg_params_free(&params);
}

static void too_much_is_found_by_the_statement(void **state) {
    struct pg_params params;
    (void)state;
    pg_params_init(&params, 8);
    pg_add_text(&params, SLICE_OF("longer than eight"));
    assert_true(strbuf_failed(&params.data));
    pg_params_free(&params);

    pg_params_init(&params, 4096);
    for (int i = 0; i < PG_MAX_PARAMS + 1; i++) {
        pg_add_bool(&params, true);
    }
    assert_true(params.overflow);
    pg_params_free(&params);
}

/* ---- reading ---- */

/* The first row of the array that PARAMS hold. */
static struct slice first_row(const struct pg_params *params) {
    struct pg_reader rows;
    struct slice row;
    assert_true(pg_read_array(strbuf_slice(&params->data), &rows));
    assert_int_equal(rows.left, 1);
    assert_true(pg_read_next(&rows, &row));
    return row;
}

static struct slice next_of(struct pg_reader *reader) {
    struct slice value;
    assert_true(pg_read_next(reader, &value));
    return value;
}

static void what_is_written_is_read_again(void **state) {
    static const struct slice words[] = {SLICE("a"), SLICE("bc")};
    static const uint8_t uuid[16] = {[0] = 7, [15] = 9};
    struct pg_params params;
    struct pg_rows rows;
    struct pg_reader reader, texts;
    struct slice value;
    (void)state;
    begin(&params, &rows);
    pg_col_text(&rows, 25, SLICE_OF("ab"));
    pg_col_text(&rows, 25, SLICE_EMPTY);
    pg_col_bytea(&rows, SLICE_EMPTY);
    pg_col_bool(&rows, true);
    pg_col_int2(&rows, -2);
    pg_col_int4(&rows, INT32_MIN);
    pg_col_int8(&rows, INT64_MAX);
    pg_col_timestamptz(&rows, TIMESTAMP_MIN + 1);
    pg_col_timestamptz(&rows, TIMESTAMP_NONE);
    pg_col_date(&rows, -1);
    pg_col_date(&rows, DATE_NONE);
    pg_col_uuid(&rows, uuid);
    pg_col_text_array(&rows, words, ARRAY_LEN(words));
    pg_col_text_array(&rows, NULL, 0);
    pg_col_null_text_array(&rows);
    end(&params, &rows);

    assert_true(pg_read_row(first_row(&params), &reader));
    assert_int_equal(reader.left, 15);
    assert_true(slice_eq(next_of(&reader), SLICE_OF("ab")));
    assert_null(next_of(&reader).data);
    value = next_of(&reader);
    assert_true(value.data != NULL && value.len == 0); /* empty, not null */
    assert_int_equal(pg_value_integer(next_of(&reader)), 1);
    assert_int_equal(pg_value_integer(next_of(&reader)), -2);
    assert_int_equal(pg_value_integer(next_of(&reader)), INT32_MIN);
    assert_int_equal(pg_value_integer(next_of(&reader)), INT64_MAX);
    assert_int_equal(pg_value_timestamp(next_of(&reader)), TIMESTAMP_MIN + 1);
    assert_int_equal(pg_value_timestamp(next_of(&reader)), TIMESTAMP_NONE);
    assert_int_equal(pg_value_date(next_of(&reader)), -1);
    assert_int_equal(pg_value_date(next_of(&reader)), DATE_NONE);
    value = next_of(&reader);
    assert_int_equal(value.len, sizeof(uuid));
    assert_memory_equal(value.data, uuid, sizeof(uuid));
    assert_true(pg_read_array(next_of(&reader), &texts));
    assert_int_equal(texts.left, ARRAY_LEN(words));
    assert_true(slice_eq(next_of(&texts), words[0]));
    assert_true(slice_eq(next_of(&texts), words[1]));
    assert_false(pg_read_next(&texts, &value));
    assert_true(pg_read_array(next_of(&reader), &texts));
    assert_int_equal(texts.left, 0);
    assert_null(next_of(&reader).data);
    assert_false(pg_read_next(&reader, &value));
    assert_null(value.data);
    pg_params_free(&params);
}

static void integers_of_every_width_are_read(void **state) {
    static const struct {
        uint8_t bytes[8];
        size_t len;
        int64_t value;
    } rows[] = {
        {{0}, 0, 0},
        {{1}, 1, 1},
        {{0xff, 0xfe}, 2, -2},
        {{0x80, 0, 0, 0}, 4, INT32_MIN},
        {{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, INT64_MAX},
        {{0x80}, 8, INT64_MIN},
    };
    (void)state;
    assert_int_equal(pg_value_integer(SLICE_EMPTY), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t value = pg_value_integer((struct slice){(const char *)rows[i].bytes, rows[i].len});
        if (value != rows[i].value) {
            fail_msg("row %zu: %lld", i, (long long)value);
        }
    }
}

/* Cut off anywhere, a value is refused at the latest where it ends; never read beyond. */
static void a_value_that_is_cut_off_is_refused(void **state) {
    static const uint8_t row[] = {0, 0,   0,   2, 0, 0, 0,  25,   0,    0,    0,
                                  2, 'a', 'b', 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t array[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25,  0,
                                    0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 'a', 'b'};
    (void)state;
    for (size_t len = 0; len <= sizeof(row); len++) {
        char *exact = malloc(len + 1);
        struct pg_reader reader;
        struct slice value;
        assert_non_null(exact);
        memcpy(exact, row, len);
        bool whole = pg_read_row((struct slice){exact, len}, &reader) &&
                     pg_read_next(&reader, &value) && pg_read_next(&reader, &value);
        assert_int_equal(whole, len == sizeof(row));
        free(exact);
    }
    for (size_t len = 0; len <= sizeof(array); len++) {
        char *exact = malloc(len + 1);
        struct pg_reader reader;
        struct slice value;
        assert_non_null(exact);
        memcpy(exact, array, len);
        bool whole =
            pg_read_array((struct slice){exact, len}, &reader) && pg_read_next(&reader, &value);
        assert_int_equal(whole, len == sizeof(array));
        free(exact);
    }
}

static void an_empty_value_at_the_end_is_not_null(void **state) {
    struct pg_params params;
    struct pg_rows rows;
    struct pg_reader reader;
    (void)state;
    begin(&params, &rows);
    pg_col_bytea(&rows, SLICE_EMPTY);
    end(&params, &rows);
    assert_true(pg_read_row(first_row(&params), &reader));
    assert_non_null(next_of(&reader).data);
    pg_params_free(&params);
}

static void an_array_of_two_dimensions_is_refused(void **state) {
    static const uint8_t array[] = {0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 1, 0, 0, 0, 1};
    struct pg_reader reader;
    (void)state;
    assert_false(pg_read_array((struct slice){(const char *)array, sizeof(array)}, &reader));
}

static void the_same_values_are_equal(void **state) {
    struct pg_params params[3];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        struct pg_rows rows;
        begin(&params[i], &rows);
        pg_col_int4(&rows, i == 2);
        end(&params[i], &rows);
    }
    assert_true(pg_params_are_equal(&params[0], &params[1]));
    assert_false(pg_params_are_equal(&params[0], &params[2]));
    pg_add_null(&params[1]);
    assert_false(pg_params_are_equal(&params[0], &params[1]));
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        pg_params_free(&params[i]);
    }
}

static void a_row_that_cannot_be_made_fails_the_statement(void **state) {
    struct pg_params params;
    struct pg_rows rows;
    (void)state;
    begin(&params, &rows);
    pg_rows_fail(&rows);
    assert_true(params.overflow);
    pg_params_free(&params);
}

/* ---- errors ---- */

static void the_sqlstate_decides(void **state) {
    static const struct {
        enum err_kind kind;
        const char *sqlstate;
        bool data, reconnect, retry;
    } rows[] = {
        {ERR_DATABASE, "21000", true, false, false},  {ERR_DATABASE, "22P05", true, false, false},
        {ERR_DATABASE, "23505", true, false, false},  {ERR_DATABASE, "54000", true, false, false},
        {ERR_DATABASE, "40P01", false, false, true},  {ERR_DATABASE, "40001", false, false, true},
        {ERR_DATABASE, "55P03", false, false, true},  {ERR_DATABASE, "57P01", false, true, false},
        {ERR_DATABASE, "57P03", false, true, false},  {ERR_DATABASE, "08006", false, true, false},
        {ERR_DATABASE, "25006", false, true, false},  {ERR_DATABASE, "01000", false, true, false},
        {ERR_DATABASE, "53100", false, false, false}, {ERR_DATABASE, "42804", false, true, false},
        {ERR_DATABASE, "0A000", false, true, false},  {ERR_DATABASE, "26000", false, true, false},
        {ERR_DATABASE, "57014", false, false, false}, {ERR_CONNECTION, "", false, true, false},
        {ERR_TIMEOUT, "", false, true, false},        {ERR_MEMORY, "", false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {.kind = rows[i].kind};
        memcpy(err.sqlstate, rows[i].sqlstate, strlen(rows[i].sqlstate) + 1);
        assert_int_equal(pg_error_is_data(&err), rows[i].data);
        assert_int_equal(pg_error_needs_reconnect(&err), rows[i].reconnect);
        assert_int_equal(pg_error_is_retryable(&err), rows[i].retry);
    }
}

static void nobody_there_is_a_connection_error(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    assert_null(pg_connect("host=/nonexistent user=u password=hidden dbname=d", "test", &err));
    assert_int_equal(err.kind, ERR_CONNECTION);
    assert_null(strstr(err.message, "hidden"));
    err_clear(&err);
    static const char *const broken[] = {
        "no such hidden=1",
        "host=/nonexistent password=top hidden",
        "host=/nonexistent password='hidden",
        "postgresql://u:pa/hidden@h/db",
        "postgresql://u:1/hidden@h/db",
        "postgresql://u:p@hidden@h/db",
        "postgresql://u:hidden%zz@h/db",
    };
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        assert_null(pg_connect(broken[i], "test", &err));
        assert_int_equal(err.kind, ERR_CONNECTION);
        assert_null(strstr(err.message, "hidden"));
        err_clear(&err);
    }
}

static void a_connection_string_is_read_without_connecting(void **state) {
    static const struct {
        const char *dsn;
        bool valid;
    } rows[] = {
        {"", true},
        {"service=waybill_ingest", true},
        {"host=a,b port=5432,5433 dbname=d target_session_attrs=read-write", true},
        {"postgresql://user:p%40ss@host:5432/db", true},
        {"password=my secret", false},
        {"postgresql://u:p%ss@h/db", false},
        {"colour=red", false},
        {"postgresql:///db?host=@abstract", true},
        {"postgresql://u@h1:1,h2:2/db", true},
        /* Passwords whose rest would be port, host or database. */
        {"postgresql://u:pa/hidden@h/db", false},
        {"postgresql://u:1/hidden@h/db", false},
        {"postgres://u:p@hidden@h/db", false},
        {"host=h port=hidden", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(pg_dsn_is_valid(rows[i].dsn), rows[i].valid);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_column_is_type_length_and_bytes),
        cmocka_unit_test(no_rows_are_null),
        cmocka_unit_test(scalars_know_their_types),
        cmocka_unit_test(too_much_is_found_by_the_statement),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(integers_of_every_width_are_read),
        cmocka_unit_test(a_value_that_is_cut_off_is_refused),
        cmocka_unit_test(an_empty_value_at_the_end_is_not_null),
        cmocka_unit_test(an_array_of_two_dimensions_is_refused),
        cmocka_unit_test(the_same_values_are_equal),
        cmocka_unit_test(a_row_that_cannot_be_made_fails_the_statement),
        cmocka_unit_test(the_sqlstate_decides),
        cmocka_unit_test(nobody_there_is_a_connection_error),
        cmocka_unit_test(a_connection_string_is_read_without_connecting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

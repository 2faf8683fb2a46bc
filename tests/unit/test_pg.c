#include "adapter/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
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
    pg_col_text(rows, SLICE_OF("ab"));
}
static void put_empty_text(struct pg_rows *rows) {
    pg_col_text(rows, SLICE_EMPTY);
}
static void put_empty_bytea(struct pg_rows *rows) {
    pg_col_bytea(rows, SLICE_EMPTY);
}
static void put_null_bytea(struct pg_rows *rows) {
    pg_col_null_bytea(rows);
}
static void put_jsonb(struct pg_rows *rows) {
    pg_col_jsonb(rows, SLICE_OF("{}"));
}
static void put_true(struct pg_rows *rows) {
    pg_col_bool(rows, true);
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

static void a_column_is_type_length_and_bytes(void **state) {
    static const struct {
        void (*put)(struct pg_rows *rows);
        uint8_t bytes[48]; /* type, length, value */
        size_t len;
    } rows[] = {
        {put_text, {0, 0, 0, 25, 0, 0, 0, 2, 'a', 'b'}, 10},
        {put_empty_text, {0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff}, 8},
        {put_empty_bytea, {0, 0, 0, 17, 0, 0, 0, 0}, 8},
        {put_null_bytea, {0, 0, 0, 17, 0xff, 0xff, 0xff, 0xff}, 8},
        {put_jsonb, {0, 0, 0x0e, 0xda, 0, 0, 0, 3, 1, '{', '}'}, 11},
        {put_true, {0, 0, 0, 16, 0, 0, 0, 1, 1}, 9},
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
        cmocka_unit_test(the_sqlstate_decides),
        cmocka_unit_test(nobody_there_is_a_connection_error),
        cmocka_unit_test(a_connection_string_is_read_without_connecting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "adapter/sqlite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

/* An empty file. */
static int set_up(void **state) {
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/waybill-unit-sqlite-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    assert_int_equal(unlink(path), 0);
    return 0;
}

static struct sqlite *must_open(int busy_ms) {
    struct err err = ERR_INIT;
    struct sqlite *db = sqlite_open(path, busy_ms, &err);
    if (db == NULL) {
        fail_msg("%s", err.message);
    }
    return db;
}

static void must_run(struct sqlite *db, const char *sql) {
    struct err err = ERR_INIT;
    if (!sqlite_run(db, sql, &err)) {
        fail_msg("%s: %s", sql, err.message);
    }
}

static enum err_kind failure_of(struct sqlite *db, const char *sql) {
    struct err err = ERR_INIT;
    assert_false(sqlite_run(db, sql, &err));
    assert_non_null(strstr(err.message, "SQLite"));
    return err.kind;
}

static void test_values(void **state) {
    static const struct slice values[] = {SLICE("text"), SLICE("a\0b"), SLICE("")};
    struct sqlite *db = must_open(0);
    struct err err = ERR_INIT;
    (void)state;
    must_run(db, "CREATE TABLE t (n INTEGER NOT NULL, b BLOB NOT NULL)");
    struct sqlite_statement *insert = sqlite_prepare(db, "INSERT INTO t VALUES (?, ?)", &err);
    assert_non_null(insert);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        sqlite_bind_integer(insert, 1, INT64_MIN + (int64_t)i);
        sqlite_bind_bytes(insert, 2, values[i]);
        assert_int_equal(sqlite_step(insert, &err), SQLITE_NO_MORE);
        assert_int_equal(sqlite_changes(db), 1);
        sqlite_reset(insert);
    }
    /* Its parameters are forgotten: null is refused. */
    assert_int_equal(sqlite_step(insert, &err), SQLITE_FAILED);
    assert_int_equal(err.kind, ERR_SYSTEM);
    sqlite_finalize(insert);

    err_clear(&err);
    struct sqlite_statement *row = sqlite_prepare(db, "SELECT n, b FROM t ORDER BY n", &err);
    assert_non_null(row);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        assert_int_equal(sqlite_step(row, &err), SQLITE_A_ROW);
        assert_int_equal(sqlite_integer(row, 0), INT64_MIN + (int64_t)i);
        assert_true(slice_eq(sqlite_bytes(row, 1), values[i]));
    }
    assert_int_equal(sqlite_step(row, &err), SQLITE_NO_MORE);
    sqlite_finalize(row);
    sqlite_close(db);
}

static void test_a_wrong_parameter_fails_the_step(void **state) {
    struct sqlite *db = must_open(0);
    struct err err = ERR_INIT;
    (void)state;
    struct sqlite_statement *statement = sqlite_prepare(db, "SELECT ?", &err);
    sqlite_bind_integer(statement, 2, 1);
    assert_int_equal(sqlite_step(statement, &err), SQLITE_FAILED);
    sqlite_reset(statement);
    err_clear(&err);
    sqlite_bind_integer(statement, 1, 1);
    assert_int_equal(sqlite_step(statement, &err), SQLITE_A_ROW);
    sqlite_finalize(statement);
    assert_null(sqlite_prepare(db, "SELEC", &err));
    assert_true(err_is_set(&err));
    sqlite_close(db);
    sqlite_close(NULL);
    sqlite_finalize(NULL);
}

static void test_kinds_of_errors(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    assert_null(sqlite_open("/nowhere/at/all", 0, &err));
    assert_int_equal(err.kind, ERR_SYSTEM);

    struct sqlite *db = must_open(0), *other = must_open(10);
    must_run(db, "PRAGMA page_size = 4096; PRAGMA max_page_count = 4; CREATE TABLE t (b)");
    assert_int_equal(failure_of(db, "INSERT INTO t VALUES (zeroblob(100000))"), ERR_MEMORY);
    must_run(db, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
    assert_int_equal(failure_of(other, "INSERT INTO t VALUES (2)"), ERR_TIMEOUT);
    must_run(db, "ROLLBACK");
    must_run(other, "INSERT INTO t VALUES (2)");
    assert_int_equal(failure_of(db, "INSERT INTO t VALUES (1, 2)"), ERR_SYSTEM);
    sqlite_close(other);
    sqlite_close(db);

    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++) {
        (void)fputs("no database ", file);
    }
    assert_int_equal(fclose(file), 0);
    db = must_open(0);
    assert_int_equal(failure_of(db, "SELECT count(*) FROM sqlite_master"), ERR_INPUT);
    sqlite_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_wrong_parameter_fails_the_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kinds_of_errors, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Errors: the first one wins, long ones are cut, errno is put in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#include <errno.h>
#include <string.h>

static void test_first_wins(void **state) {
    struct err err = ERR_INIT;

    (void)state;
    assert_false(err_is_set(&err));
    assert_false(err_set(&err, ERR_CONFIG, "%s:%d", "file", 7));
    assert_true(err_is_set(&err));
    assert_false(err_set(&err, ERR_MEMORY, "later"));
    errno = ENOENT;
    assert_false(err_set_errno(&err, "later"));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.message, "file:7");
    err_clear(&err);
    assert_false(err_is_set(&err));
    assert_string_equal(err.message, "");
}

static void test_errno(void **state) {
    struct err err = ERR_INIT;

    (void)state;
    errno = ENOENT;
    assert_false(err_set_errno(&err, "open %s", "x"));
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_string_equal(err.message, "open x: No such file or directory");
}

static void test_long(void **state) {
    char text[2 * sizeof(((struct err *)0)->message)];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (size_t len = 480; len < sizeof(text); len++) {
        struct err err = ERR_INIT;
        size_t kept = len < sizeof(err.message) ? len : sizeof(err.message) - 1;
        (void)err_set(&err, ERR_INPUT, "%.*s", (int)len, text);
        assert_int_equal(strlen(err.message), kept);
        err_clear(&err);
        errno = ENOENT;
        (void)err_set_errno(&err, "%.*s", (int)len, text);
        assert_true(strlen(err.message) < sizeof(err.message));
        assert_memory_equal(err.message, text, kept);
    }
}

static void test_one_line(void **state) {
    (void)state;
    struct err err = ERR_INIT;

    assert_false(err_set(&err, ERR_CONFIG, "%s", "a\nb\tc\x1b[31md\x7f\xc3\xa9"));
    assert_string_equal(err.message, "a b c [31md \xc3\xa9");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_wins),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

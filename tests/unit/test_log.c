/* Log lines: quoting, cutting, and that one call is one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

#include "base/timestamp.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What stands behind "time=… level=… ", cut as it is. */
static const char *tail(const struct log_line *line) {
    static char text[LIMIT_LOG_LINE + 1];
    const char *at;

    memcpy(text, line->text, line->len);
    text[line->len] = '\0';
    at = strstr(text, " level=");
    assert_non_null(at);
    at = strchr(at + 1, ' ');
    return at ? at + 1 : "";
}

static void test_values(void **state) {
    static const struct {
        struct slice value;
        const char *text;
    } rows[] = {
        {SLICE(""), "k=-"},
        {SLICE("a"), "k=a"},
        {SLICE("a/b?c&d:e,[f]'"), "k=a/b?c&d:e,[f]'"},
        {SLICE("a b"), "k=\"a b\""},
        {SLICE("a=b"), "k=\"a=b\""},
        {SLICE("say \"x\""), "k=\"say \\\"x\\\"\""},
        {SLICE("a\\b"), "k=\"a\\\\b\""},
        {SLICE("a\r\n\tlevel"), "k=\"a\\r\\n\\tlevel\""},
        {SLICE("\0"), "k=\"\\x00\""},
        {SLICE("\x1b[31m\x7f"), "k=\"\\x1b[31m\\x7f\""},
        {SLICE("M\xc3\xbcnchen"), "k=M\xc3\xbcnchen"},
        {SLICE("M\xc3\xbcnchen 1"), "k=\"M\xc3\xbcnchen 1\""},
        {SLICE("\xc2\x9b"), "k=\"\\xc2\\x9b\""}, /* U+009B begins an escape sequence too */
        {SLICE("\xc2\xa0"), "k=\xc2\xa0"},
        {SLICE("\xff"), "k=\"\\xff\""},
        {SLICE("a\xe2\x82"), "k=\"a\\xe2\\x82\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_line line;
        log_begin(&line, LOG_INFO);
        log_str(&line, "k", rows[i].value);
        assert_string_equal(tail(&line), rows[i].text);
    }
}

static void test_line(void **state) {
    static const struct {
        enum log_level level;
        const char *name;
    } rows[] = {{LOG_INFO, "info"}, {LOG_WARN, "warn"}, {LOG_ERROR, "error"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_line line;
        int64_t at;
        struct slice time, rest;

        log_begin(&line, rows[i].level);
        assert_memory_equal(line.text, "time=", 5);
        slice_split((struct slice){line.text + 5, line.len - 5}, ' ', &time, &rest);
        assert_int_equal(time.len, 24);
        assert_true(timestamp_parse(time, &at));
        assert_true(slice_starts_with(rest, SLICE_OF("level=")));
        assert_true(slice_eq(slice_from(rest, 6), slice_from_cstr(rows[i].name)));
        log_int(&line, "n", INT64_MIN);
        log_int(&line, "m", 7);
        assert_string_equal(tail(&line), "n=-9223372036854775808 m=7");
    }
}

/* Whatever the length, the line keeps room for its newline and is never cut inside an escape or a
 * character. */
static void test_cut(void **state) {
    static const struct slice units[] = {
        SLICE("x"), SLICE("x "), SLICE("\n"), SLICE("\xe2\x82\xac"), SLICE("\xff"), SLICE("\"")};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        for (size_t len = LIMIT_LOG_LINE - 80; len < LIMIT_LOG_LINE + 40; len++) {
            static char value[LIMIT_LOG_LINE + 100];
            struct log_line line;
            size_t used = 0;

            while (used + units[i].len <= len) {
                memcpy(value + used, units[i].data, units[i].len);
                used += units[i].len;
            }
            log_begin(&line, LOG_INFO);
            log_str(&line, "k", (struct slice){value, used});
            log_str(&line, "after", SLICE_OF("y"));
            log_int(&line, "number", 123456789);
            assert_true(line.len < sizeof(line.text));
            assert_true(slice_is_utf8((struct slice){line.text, line.len}));
            assert_null(memchr(line.text, '\n', line.len));
        }
    }
}

static size_t captured(enum log_level level, const char *message, struct slice detail, char *out,
                       size_t room) {
    int ends[2], saved;
    ssize_t got;

    assert_int_equal(pipe(ends), 0);
    saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    log_text(level, message, detail);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(ends[1]);
    got = read(ends[0], out, room - 1);
    close(ends[0]);
    assert_true(got > 0);
    out[got] = '\0';
    return (size_t)got;
}

static void test_written(void **state) {
    char text[2 * LIMIT_LOG_LINE];
    char long_value[2 * LIMIT_LOG_LINE];
    size_t len;

    (void)state;
    len = captured(LOG_WARN, "database is down", SLICE_OF("a\nb"), text, sizeof(text));
    assert_int_equal(text[len - 1], '\n');
    assert_non_null(strstr(text, " level=warn message=\"database is down\" detail=\"a\\nb\"\n"));
    (void)captured(LOG_INFO, "ready", SLICE_EMPTY, text, sizeof(text));
    assert_non_null(strstr(text, " level=info message=ready\n"));
    memset(long_value, ' ', sizeof(long_value));
    len = captured(LOG_ERROR, "m", (struct slice){long_value, sizeof(long_value)}, text,
                   sizeof(text));
    assert_int_equal(len, LIMIT_LOG_LINE);
    assert_string_equal(text + len - 3, " \"\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

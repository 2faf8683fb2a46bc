/* Points in time: what is read, what is refused, and that every day goes there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND TIMESTAMP_SECOND

static void test_parse(void **state) {
    /* 1641753000 is 2022-01-09T18:30:00Z. */
    const int64_t at = 1641753000 * SECOND;
    const struct {
        const char *text;
        int64_t at;
    } good[] = {
        {"2022-01-09T18:30:00Z", at},
        {"2022-01-09T18:30:00", at},
        {"2022-01-09 18:30:00z", at},
        {"2022-01-09t18:30:00+00:00", at},
        {"2022-01-09T18:30:00-00:00", at},
        {"2022-01-09T20:30:00+02:00", at},
        {"2022-01-09T13:00:00-05:30", at},
        {"2022-01-10T18:29:00+23:59", at},
        {"2022-01-09T18:30", at},
        {"2022-01-09T18:30Z", at},
        {"2022-01-09 18:30", at},
        {"2022-01-09T18:30:00 Z", at},
        {"2022-01-09 20:30:00 +0200", at},
        {"2022-01-09T20:30:00+0200", at},
        {"2022-01-09T18:30:00+0000", at},
        {"2022-01-09T20:30:00+02", at},
        {"2022-01-09T18:30:00+00", at},
        {"2022-01-09T13:00-0530", at},
        {"2022-01-09T18:30:00.1Z", at + 100000},
        {"2022-01-09T18:30:00.000001", at + 1},
        {"2022-01-09T18:30:00.0000019Z", at + 1},
        {"2022-01-09T18:30:00.999999999999999999999999Z", at + 999999},
        {"2022-01-09T18:30:00.123456789+00:00", at + 123456},
        {"2022-01-09T18:29:60Z", at - 1},
        {"2022-01-09T18:29:60.5Z", at - 1},
        {"2000-01-01T00:00:00Z", TIMESTAMP_MIN},
        {"1999-12-31T23:00:00-01:00", TIMESTAMP_MIN},
        {"2099-12-31T23:59:59.999999Z", TIMESTAMP_MAX - 1},
        {"2100-01-01T00:59:59.999999+01:00", TIMESTAMP_MAX - 1},
        {"2000-02-29T00:00:00Z", 951782400 * SECOND},
        {"2024-02-29T23:59:59Z", 1709251199 * SECOND},
        {"2038-01-19T03:14:08Z", 2147483648 * SECOND},
    };
    static const char *const bad[] = {
        "",
        "2022-01-09",
        "2022-01-09T",
        "2022-01-09T18",
        "2022-01-09T18:30.5Z",
        "2022-01-09T18:30:Z",
        "2022-01-09T18:30:00.Z",
        "2022-01-09T18:30:00.",
        "2022-01-09T18:30:00,5Z",
        "2022-01-09T18:30:00  Z",
        "2022-01-09T18:30:00 ",
        "2022-01-09T18:30:00ZZ",
        "2022-01-09T18:30:00Z ",
        " 2022-01-09T18:30:00Z",
        "2022-01-09  18:30:00Z",
        "2022-01-09_18:30:00Z",
        "2022-01-09T18:30:00+020",
        "2022-01-09T18:30:00+02:",
        "2022-01-09T18:30:00+2",
        "2022-01-09T18:30:00 UTC",
        "2022-01-09T18:30:00+24:00",
        "2022-01-09T18:30:00+02:60",
        "2022-01-09T18:30:00+02:00Z",
        "2022-01-09T24:00:00Z",
        "2022-01-09T23:60:00Z",
        "2022-01-09T23:59:61Z",
        "2022-01-9T18:30:00Z",
        "22-01-09T18:30:00Z",
        "02022-01-09T18:30:00Z",
        "-2022-01-09T18:30:00Z",
        "2022-1a-09T18:30:00Z",
        "2022-00-09T18:30:00Z",
        "2022-13-09T18:30:00Z",
        "2022-01-00T18:30:00Z",
        "2022-01-32T18:30:00Z",
        "2022-04-31T18:30:00Z",
        "2022-02-29T18:30:00Z",
        "2023-02-29T18:30:00Z",
        "2024-02-30T18:30:00Z",
        "2100-02-29T18:30:00Z",
        "1999-12-31T23:59:59.999999Z",
        "2000-01-01T00:59:59+01:00",
        "2100-01-01T00:00:00Z",
        "2099-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1641753000",
        "2022-W01-7T18:30:00Z",
        "20220109T183000Z",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t value = 0;
        if (!timestamp_parse(slice_from_cstr(good[i].text), &value) || value != good[i].at)
            fail_msg("%s: %lld, not %lld", good[i].text, (long long)value, (long long)good[i].at);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t value = 42;
        if (timestamp_parse(slice_from_cstr(bad[i]), &value) || value != 42)
            fail_msg("%s is read", bad[i]);
    }
    /* A NUL is no end. */
    assert_false(timestamp_parse(SLICE_OF("2022-01-09T18:30:00Z\0"), &(int64_t){0}));
}

/* ---- zones ---- */

struct zone_case {
    struct arena *arena;
    struct zone zone;
};

static struct zone_case load_zone(const char *name) {
    static char bytes[65536];
    char path[256];
    const char *flaw = "";
    struct zone_case c = {.arena = arena_new(1 << 20)};
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    if (!zone_parse(slice_from_cstr(name), (struct slice){bytes, len}, c.arena, &c.zone, &flaw)) {
        fail_msg("%s: %s", name, flaw ? flaw : "no memory");
    }
    return c;
}

static void test_parse_in_a_zone(void **state) {
    static const struct {
        const char *zone, *text, *utc;
    } rows[] = {
        {"Europe/Madrid", "2026-03-02", "2026-03-01T23:00:00Z"},
        {"Europe/Madrid", "2026-07-02", "2026-07-01T22:00:00Z"},
        {"Europe/Madrid", "2026-07-02T10:00", "2026-07-02T08:00:00Z"},
        {"Europe/Madrid", "2026-07-02 10:00:00.5", "2026-07-02T08:00:00.5Z"},
        {"Europe/Madrid", "2026-07-02T10:00:00Z", "2026-07-02T10:00:00Z"},
        {"Europe/Madrid", "2026-07-02T10:00:00+00", "2026-07-02T10:00:00Z"},
        {"Europe/Madrid", "2098-07-02T10:00", "2098-07-02T08:00:00Z"},
        {"Europe/Madrid", "2005-01-02T10:00", "2005-01-02T09:00:00Z"},
        /* The last Sunday of March and of October. */
        {"Europe/Madrid", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z"},
        {"Europe/Madrid", "2026-03-29T02:30", "2026-03-29T01:30:00Z"},
        {"Europe/Madrid", "2026-03-29T03:00", "2026-03-29T01:00:00Z"},
        {"Europe/Madrid", "2026-10-25T01:59", "2026-10-24T23:59:00Z"},
        {"Europe/Madrid", "2026-10-25T02:30", "2026-10-25T00:30:00Z"},
        {"Europe/Madrid", "2026-10-25T03:00", "2026-10-25T02:00:00Z"},
        {"America/New_York", "2026-03-02", "2026-03-02T05:00:00Z"},
        {"America/New_York", "2026-03-08T03:00", "2026-03-08T07:00:00Z"},
        {"America/New_York", "2026-11-01T01:30", "2026-11-01T05:30:00Z"},
        {"America/New_York", "2026-11-01T02:00", "2026-11-01T07:00:00Z"},
        {"Australia/Sydney", "2026-01-15", "2026-01-14T13:00:00Z"},
        {"Australia/Sydney", "2026-07-15", "2026-07-14T14:00:00Z"},
        {"Australia/Lord_Howe", "2026-01-15T12:00", "2026-01-15T01:00:00Z"},
        {"Asia/Kolkata", "2026-03-02", "2026-03-01T18:30:00Z"},
        {"Asia/Kathmandu", "2026-03-02", "2026-03-01T18:15:00Z"},
        {"Pacific/Apia", "2011-12-31T00:00", "2011-12-30T10:00:00Z"},
        {"Pacific/Kiritimati", "2026-03-02", "2026-03-01T10:00:00Z"},
        {"America/Sao_Paulo", "2017-10-15", "2017-10-15T03:00:00Z"}, /* midnight is left out */
        {"Africa/Casablanca", "2026-06-15T12:00", "2026-06-15T11:00:00Z"},
        {"Europe/Dublin", "2026-01-15T12:00", "2026-01-15T12:00:00Z"}, /* winter is the exception */
        {"Europe/Dublin", "2026-07-15T12:00", "2026-07-15T11:00:00Z"},
        {"Etc/GMT+3", "2026-03-02", "2026-03-02T03:00:00Z"},
        {"UTC", "2026-03-02", "2026-03-02T00:00:00Z"},
        {"Europe/Madrid", "1641753000", "2022-01-09T18:30:00Z"},
        {"Europe/Madrid", "1641753000123", "2022-01-09T18:30:00.123Z"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct zone_case c = load_zone(rows[i].zone);
        int64_t at = 0, expected;
        assert_true(timestamp_parse(slice_from_cstr(rows[i].utc), &expected));
        if (!timestamp_parse_in(slice_from_cstr(rows[i].text), &c.zone, &at) || at != expected) {
            char text[TIMESTAMP_TEXT];
            timestamp_format(at, text);
            fail_msg("%s in %s: %s, not %s", rows[i].text, rows[i].zone, text, rows[i].utc);
        }
        arena_free(c.arena);
    }
    int64_t at;
    assert_true(timestamp_parse_in(SLICE_OF("2026-03-02"), NULL, &at));
    assert_int_equal(at, 1772409600 * SECOND);
    static const char *const bad[] = {"",
                                      "2026-03-02T",
                                      "2026-03",
                                      "soon",
                                      "20260302",
                                      "5",
                                      "-1641753000",
                                      "1641753000.5",
                                      "999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(timestamp_parse_in(slice_from_cstr(bad[i]), NULL, &at));
    }
}

/* The C library, which knows the same files, says the same of every hour of some years. */
static void test_zones_are_those_of_the_library(void **state) {
    static const char *const names[] = {
        "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "America/Santiago",
        "Africa/Cairo",  "Asia/Tehran",      "Europe/Dublin",       "Asia/Gaza"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct zone_case c = load_zone(names[i]);
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        for (int64_t t = 1262304000; t < 1893456000; t += 3600 * 7 + 11) {
            struct tm tm;
            time_t at = (time_t)t;
            assert_non_null(localtime_r(&at, &tm));
            if (zone_offset_at(&c.zone, t) != tm.tm_gmtoff) {
                fail_msg("%s at %lld: %lld, not %ld", names[i], (long long)t,
                         (long long)zone_offset_at(&c.zone, t), tm.tm_gmtoff);
            }
        }
        arena_free(c.arena);
    }
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

/* Whatever is cut off or changed in a file is noticed, or gives some other zone: nothing is read
 * beyond it. */
static void test_broken_zone_files(void **state) {
    static char bytes[65536];
    (void)state;
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Madrid", "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t cut = 0; cut < len; cut++) {
        struct arena *arena = arena_new(1 << 20);
        char *copy = malloc(cut + 1);
        struct zone zone;
        const char *flaw = "";
        memcpy(copy, bytes, cut);
        assert_false(zone_parse(SLICE_OF("x"), (struct slice){copy, cut}, arena, &zone, &flaw));
        assert_non_null(flaw);
        free(copy);
        arena_free(arena);
    }
    for (size_t at = 0; at < len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            struct arena *arena = arena_new(1 << 20);
            struct zone zone;
            const char *flaw = "";
            bytes[at] ^= (char)(1 << bit);
            if (zone_parse(SLICE_OF("x"), (struct slice){bytes, len}, arena, &zone, &flaw)) {
                (void)zone_to_utc(&zone, 1772409600);
            }
            bytes[at] ^= (char)(1 << bit);
            arena_free(arena);
        }
    }
    struct arena *tight = arena_new(64);
    struct zone zone;
    const char *flaw = "";
    assert_false(zone_parse(SLICE_OF("x"), (struct slice){bytes, len}, tight, &zone, &flaw));
    assert_null(flaw);
    arena_free(tight);
}

static void test_date_of(void **state) {
    (void)state;
    struct zone_case c = load_zone("Europe/Madrid");
    int32_t days;
    int64_t at;
    assert_true(timestamp_parse(SLICE_OF("2026-07-01T22:30:00Z"), &at));
    assert_true(date_parse(SLICE_OF("2026-07-02"), &days));
    assert_int_equal(date_of(at, &c.zone), days);
    assert_int_equal(date_of(at, NULL), days - 1);
    arena_free(c.arena);
}

static void test_unix(void **state) {
    static const struct {
        int64_t seconds;
        bool valid;
    } rows[] = {
        {946684800, true},
        {946684799, false},
        {4102444799, true},
        {4102444800, false},
        {1641753000, true},
        {0, false},
        {-1, false},
        {INT64_MAX, false},
        {1641753000000, false},
        /* milliseconds */ {INT64_MIN, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t at = 0;
        if (timestamp_from_unix(rows[i].seconds, &at) != rows[i].valid)
            fail_msg("row %zu", i);
        assert_int_equal(at, rows[i].valid ? rows[i].seconds * SECOND : 0);
    }
}

static void test_date(void **state) {
    static const struct {
        const char *text;
        bool valid;
        int32_t days;
    } rows[] = {
        {"1970-01-01", true, 0},
        {"1969-12-31", true, -1},
        {"2022-01-09", true, 19001},
        {"2022-01-09T18:30:00Z", true, 19001},
        {"2022-01-09 anything", true, 19001},
        {"2000-02-29", true, 11016},
        {"0000-03-01", true, -719468},
        {"0000-01-01", true, -719528},
        {"9999-12-31", true, 2932896},
        {"1900-02-29", false, 0},
        {"2022-02-29", false, 0},
        {"2022-01-09x", false, 0},
        {"2022-01-0", false, 0},
        {"2022-13-01", false, 0},
        {"2022/01/09", false, 0},
        {"", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int32_t days = 42;
        if (date_parse(slice_from_cstr(rows[i].text), &days) != rows[i].valid ||
            days != (rows[i].valid ? rows[i].days : 42))
            fail_msg("%s: %d", rows[i].text, days);
    }
}

static void test_format(void **state) {
    static const struct {
        int64_t at;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1641753000 * SECOND + 123456, "2022-01-09T18:30:00.123Z"},
        {1641753000 * SECOND + 999999, "2022-01-09T18:30:00.999Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1 * SECOND, "1969-12-31T23:59:59.000Z"},
        {-86400 * SECOND, "1969-12-31T00:00:00.000Z"},
        {951782400 * SECOND, "2000-02-29T00:00:00.000Z"},
        {253402300799 * SECOND + 999999, "9999-12-31T23:59:59.999Z"},
        {253402300800 * SECOND, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {-62167219200 * SECOND, "0000-01-01T00:00:00.000Z"},
        {-62167219200 * SECOND - 1, "0000-01-01T00:00:00.000Z"},
        {TIMESTAMP_NONE, "0000-01-01T00:00:00.000Z"},
    };
    char text[TIMESTAMP_TEXT];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        timestamp_format(rows[i].at, text);
        assert_string_equal(text, rows[i].text);
    }
}

/* Each day of the century, against the C library's calendar. */
static void test_every_day(void **state) {
    (void)state;
    for (int64_t at = TIMESTAMP_MIN; at < TIMESTAMP_MAX; at += 86399 * SECOND + 123000) {
        char text[TIMESTAMP_TEXT], expected[TIMESTAMP_TEXT];
        time_t seconds = at / SECOND;
        int64_t back;
        int32_t days;
        struct tm tm;

        timestamp_format(at, text);
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_true(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &tm) == 19);
        assert_memory_equal(text, expected, 19);
        assert_true(timestamp_parse(slice_from_cstr(text), &back));
        assert_true(back == at);
        assert_true(date_parse(slice_from_cstr(text), &days));
        assert_true(days == at / SECOND / 86400);
    }
}

static void test_zone_of_process(void **state) {
    int64_t at;

    (void)state;
    assert_int_equal(setenv("TZ", "America/New_York", 1), 0);
    tzset();
    assert_true(timestamp_parse(SLICE_OF("2022-07-09T18:30:00"), &at));
    assert_true(at == 1657391400 * SECOND);
}

static void test_clocks(void **state) {
    int64_t before = (int64_t)time(NULL), now = timestamp_now(), mono = monotonic_ms();

    (void)state;
    assert_true(now / SECOND >= before && now / SECOND <= before + 60);
    assert_true(monotonic_ms() >= mono && mono > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_parse_in_a_zone),
        cmocka_unit_test(test_zones_are_those_of_the_library),
        cmocka_unit_test(test_broken_zone_files),
        cmocka_unit_test(test_date_of),
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_zone_of_process),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Slices: comparing, splitting, numbers and UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"

#include <string.h>

#define CHECK(what, row, condition)                                                                \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s: row %zu: %s", what, row, #condition);                                    \
    } while (0)

static int sign(int n) {
    return (n > 0) - (n < 0);
}

static void test_compare(void **state) {
    static const struct {
        struct slice a, b;
        int order;
        bool eq, eq_nocase, a_starts_with_b, nocase_starts;
    } rows[] = {
        {SLICE(""), SLICE(""), 0, true, true, true, true},
        {{NULL, 0}, SLICE(""), 0, true, true, true, true},
        {SLICE("a"), {NULL, 0}, 1, false, false, true, true},
        {SLICE("a"), SLICE("b"), -1, false, false, false, false},
        {SLICE("ab"), SLICE("a"), 1, false, false, true, true},
        {SLICE("a"), SLICE("ab"), -1, false, false, false, false},
        {SLICE("AbC"), SLICE("aBc"), -1, false, true, false, true},
        {SLICE("AbCd"), SLICE("aBc"), -1, false, false, false, true},
        /* Bytes, not characters of a locale: UTF-8 comes after ASCII, NUL is a byte too. */
        {SLICE("\xc3\xa4"), SLICE("z"), 1, false, false, false, false},
        {SLICE("a\0b"), SLICE("a\0c"), -1, false, false, false, false},
        {SLICE("a\0b"), SLICE("a"), 1, false, false, true, true},
        /* Only ASCII letters fold: not '[' with '{', not U+00C4 with U+00E4. */
        {SLICE("["), SLICE("{"), -1, false, false, false, false},
        {SLICE("@"), SLICE("`"), -1, false, false, false, false},
        {SLICE("\xc3\x84"), SLICE("\xc3\xa4"), -1, false, false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice a = rows[i].a, b = rows[i].b;
        CHECK("cmp", i, sign(slice_cmp(a, b)) == rows[i].order);
        CHECK("cmp", i, sign(slice_cmp(b, a)) == -rows[i].order);
        CHECK("eq", i, slice_eq(a, b) == rows[i].eq);
        CHECK("eq_nocase", i, slice_eq_nocase(a, b) == rows[i].eq_nocase);
        CHECK("starts", i, slice_starts_with(a, b) == rows[i].a_starts_with_b);
        CHECK("starts", i, slice_starts_with_nocase(a, b) == rows[i].nocase_starts);
    }
}

static void test_parts(void **state) {
    static const struct {
        size_t at;
        struct slice first, from;
    } rows[] = {
        {0, SLICE(""), SLICE("abc")},        {1, SLICE("a"), SLICE("bc")},
        {3, SLICE("abc"), SLICE("")},        {4, SLICE("abc"), SLICE("")},
        {SIZE_MAX, SLICE("abc"), SLICE("")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK("first", i, slice_eq(slice_first(SLICE_OF("abc"), rows[i].at), rows[i].first));
        CHECK("from", i, slice_eq(slice_from(SLICE_OF("abc"), rows[i].at), rows[i].from));
        CHECK("empty", i, slice_first(SLICE_EMPTY, rows[i].at).len == 0);
        CHECK("empty", i, slice_from(SLICE_EMPTY, rows[i].at).len == 0);
    }
    assert_int_equal(slice_from_cstr(NULL).len, 0);
    assert_int_equal(slice_from_cstr("ab").len, 2);
}

static void test_trim(void **state) {
    static const struct slice rows[][2] = {
        {SLICE(""), SLICE("")},           {SLICE(" \t\r\n"), SLICE("")},
        {SLICE("a"), SLICE("a")},         {SLICE("\r\n a b\t "), SLICE("a b")},
        {SLICE("\va\f"), SLICE("\va\f")}, {SLICE("\0 "), SLICE("\0")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK("trim", i, slice_eq(slice_trim(rows[i][0]), rows[i][1]));
    assert_int_equal(slice_trim(SLICE_EMPTY).len, 0);
}

static void test_split(void **state) {
    static const struct {
        struct slice text;
        bool found;
        struct slice head, rest, last_head, last_tail;
    } rows[] = {
        {SLICE(""), false, SLICE(""), SLICE(""), SLICE(""), SLICE("")},
        {SLICE("a"), false, SLICE("a"), SLICE(""), SLICE(""), SLICE("a")},
        {SLICE(":"), true, SLICE(""), SLICE(""), SLICE(""), SLICE("")},
        {SLICE("a:"), true, SLICE("a"), SLICE(""), SLICE("a"), SLICE("")},
        {SLICE(":b"), true, SLICE(""), SLICE("b"), SLICE(""), SLICE("b")},
        {SLICE("a:b:c"), true, SLICE("a"), SLICE("b:c"), SLICE("a:b"), SLICE("c")},
        {SLICE("a\0:b"), true, SLICE("a\0"), SLICE("b"), SLICE("a\0"), SLICE("b")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice head, rest;
        CHECK("split", i, slice_split(rows[i].text, ':', &head, &rest) == rows[i].found);
        CHECK("split", i, slice_eq(head, rows[i].head) && slice_eq(rest, rows[i].rest));
        CHECK("last", i, slice_split_last(rows[i].text, ':', &head, &rest) == rows[i].found);
        CHECK("last", i, slice_eq(head, rows[i].last_head) && slice_eq(rest, rows[i].last_tail));
    }
}

static void test_integer(void **state) {
    static const struct {
        struct slice text;
        bool valid;
        int64_t value;
    } rows[] = {
        {SLICE("0"), true, 0},
        {SLICE("-0"), true, 0},
        {SLICE("007"), true, 7},
        {SLICE("-12"), true, -12},
        {SLICE("9223372036854775807"), true, INT64_MAX},
        {SLICE("-9223372036854775808"), true, INT64_MIN},
        {SLICE("0000000000000000000000000000001"), true, 1},
        {SLICE("9223372036854775808"), false, 0},
        {SLICE("-9223372036854775809"), false, 0},
        {SLICE("92233720368547758070"), false, 0},
        {SLICE("18446744073709551617"), false, 0},
        {SLICE(""), false, 0},
        {SLICE("-"), false, 0},
        {SLICE("--1"), false, 0},
        {SLICE("+1"), false, 0},
        {SLICE(" 1"), false, 0},
        {SLICE("1 "), false, 0},
        {SLICE("1\0"), false, 0},
        {SLICE("1.0"), false, 0},
        {SLICE("1e3"), false, 0},
        {SLICE("0x10"), false, 0},
        {SLICE("\xd9\xa1"), false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t value = 42;
        CHECK("integer", i, slice_to_int64(rows[i].text, &value) == rows[i].valid);
        CHECK("integer", i, value == (rows[i].valid ? rows[i].value : 42));
    }
}

static void test_utf8(void **state) {
    static const struct {
        struct slice text;
        size_t first; /* bytes of the first character */
        bool valid;
    } rows[] = {
        {SLICE(""), 0, true},
        {SLICE("\0"), 1, true},
        {SLICE("\x7f"), 1, true},
        {SLICE("abcdefghijklmnop"), 1, true},
        {SLICE("abcdefgh\xff"), 1, false},
        {SLICE("abcdefg\xc3\xa4h"), 1, true},
        {SLICE("abcdefghijk\xe2\x82"), 1, false},
        {SLICE("\x80"), 0, false},
        {SLICE("\xbf"), 0, false},
        {SLICE("\xc0\x80"), 0, false}, /* overlong NUL */
        {SLICE("\xc1\xbf"), 0, false},
        {SLICE("\xc2\x80"), 2, true},
        {SLICE("\xdf\xbf"), 2, true},
        {SLICE("\xc3"), 0, false},
        {SLICE("\xc3("), 0, false},
        {SLICE("\xc3\xc3"), 0, false},
        {SLICE("\xe0\x9f\xbf"), 0, false}, /* overlong */
        {SLICE("\xe0\xa0\x80"), 3, true},
        {SLICE("\xed\x9f\xbf"), 3, true},
        {SLICE("\xed\xa0\x80"), 0, false}, /* U+D800 */
        {SLICE("\xed\xbf\xbf"), 0, false}, /* U+DFFF */
        {SLICE("\xee\x80\x80"), 3, true},
        {SLICE("\xef\xbf\xbf"), 3, true},
        {SLICE("\xe2\x82"), 0, false},
        {SLICE("\xe2\x82("), 0, false},
        {SLICE("\xf0\x8f\xbf\xbf"), 0, false}, /* overlong */
        {SLICE("\xf0\x90\x80\x80"), 4, true},
        {SLICE("\xf4\x8f\xbf\xbf"), 4, true}, /* U+10FFFF */
        {SLICE("\xf4\x90\x80\x80"), 0, false},
        {SLICE("\xf0\x9f\x98"), 0, false},
        {SLICE("\xf5\x80\x80\x80"), 0, false},
        {SLICE("\xff"), 0, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK("utf8", i, slice_is_utf8(rows[i].text) == rows[i].valid);
        CHECK("utf8", i, slice_utf8_character(rows[i].text) == rows[i].first);
    }
    /* Each place of the words that are looked at as a whole. */
    for (size_t i = 0; i < 24; i++) {
        char text[24] = "abcdefghabcdefghabcdefg";
        text[i] = (char)0x80;
        CHECK("word", i, !slice_is_utf8((struct slice){text, sizeof(text)}));
    }
    assert_true(slice_is_utf8(SLICE_EMPTY));
    assert_int_equal(slice_utf8_character(SLICE_EMPTY), 0);
}

static void test_cut(void **state) {
    /* One, two, three and four bytes. */
    static const struct slice text = SLICE("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    static const size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        CHECK("cut", i, slice_cut_utf8(text, i).len == kept[i]);
    assert_int_equal(slice_cut_utf8(SLICE_EMPTY, 3).len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_parts),   cmocka_unit_test(test_trim),
        cmocka_unit_test(test_split),   cmocka_unit_test(test_integer), cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

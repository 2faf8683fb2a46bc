/* Hexadecimal there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hex.h"

#include <string.h>

static void test_all_bytes(void **state) {
    uint8_t bytes[256], back[256];
    char text[513];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    hex_encode(bytes, sizeof(bytes), text);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102", 6);
    assert_string_equal(text + 506, "fdfeff");
    assert_true(hex_decode(slice_from_cstr(text), back, sizeof(back)));
    assert_memory_equal(back, bytes, sizeof(bytes));
    hex_encode(bytes, 0, text);
    assert_string_equal(text, "");
}

static void test_decode(void **state) {
    static const struct {
        struct slice text;
        size_t len;
        bool valid;
    } rows[] = {
        {SLICE("aBcD"), 2, true},      {SLICE(""), 0, true},      {SLICE("abc"), 2, false},
        {SLICE("abc"), 1, false},      {SLICE("abcd"), 1, false}, {SLICE("abcd"), 3, false},
        {SLICE("ag"), 1, false},       {SLICE("ga"), 1, false},   {SLICE("0x"), 1, false},
        {SLICE(" a"), 1, false},       {SLICE("a\0"), 1, false},  {SLICE("@a"), 1, false},
        {SLICE("/0"), 1, false},       {SLICE(":0"), 1, false},   {SLICE("`0"), 1, false},
        {SLICE("\xff\xff"), 1, false}, {SLICE("G0"), 1, false},   {SLICE(""), 1, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t bytes[4];
        if (hex_decode(rows[i].text, bytes, rows[i].len) != rows[i].valid)
            fail_msg("row %zu", i);
        if (rows[i].valid && rows[i].len)
            assert_memory_equal(bytes, "\xab\xcd", 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_bytes),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

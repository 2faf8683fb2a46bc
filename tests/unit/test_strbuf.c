/* Growing buffers: the maximum, the remembered failure, big-endian integers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/strbuf.h"

#include <string.h>

static void assert_content(const struct strbuf *buf, const char *expected, size_t len) {
    assert_int_equal(strbuf_slice(buf).len, len);
    if (len)
        assert_memory_equal(strbuf_slice(buf).data, expected, len);
}

static void test_add(void **state) {
    struct strbuf buf = STRBUF_INIT(1000);

    (void)state;
    assert_content(&buf, "", 0);
    assert_null(buf.data);
    strbuf_add(&buf, NULL, 0);
    strbuf_add_slice(&buf, SLICE_EMPTY);
    strbuf_add_cstr(&buf, "ab");
    strbuf_add_char(&buf, '\0');
    strbuf_add_slice(&buf, SLICE_OF("c\0d"));
    strbuf_addf(&buf, "%d-%s", -7, "x");
    strbuf_addf(&buf, "%s", "");
    assert_content(&buf, "ab\0c\0d-7-x", 10);
    strbuf_clear(&buf);
    assert_content(&buf, "", 0);
    strbuf_add_be16(&buf, 0x1234);
    strbuf_add_be32(&buf, 0xdeadbeef);
    strbuf_add_be64(&buf, UINT64_C(0x0123456789abcdef));
    assert_content(&buf, "\x12\x34\xde\xad\xbe\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 14);
    strbuf_set_be32(&buf, 10, 1);
    assert_content(&buf, "\x12\x34\xde\xad\xbe\xef\x01\x23\x45\x67\0\0\0\1", 14);
    assert_false(strbuf_failed(&buf));
    strbuf_set_be32(&buf, 11, 1); /* one byte too far */
    assert_true(strbuf_failed(&buf));
    strbuf_free(&buf);
    assert_null(buf.data);
}

/* A format of any length, around the room that strbuf_addf() has on its stack. */
static void test_addf_lengths(void **state) {
    char text[1025];

    (void)state;
    memset(text, 'x', sizeof(text));
    for (int len = 0; len <= 1024; len++) {
        struct strbuf buf = STRBUF_INIT((size_t)len);
        strbuf_addf(&buf, "%.*s", len, text);
        assert_false(strbuf_failed(&buf));
        assert_content(&buf, text, (size_t)len);
        strbuf_addf(&buf, "%c", 'y');
        assert_true(strbuf_failed(&buf));
        strbuf_free(&buf);
        strbuf_init(&buf, (size_t)len);
        strbuf_addf(&buf, "%.*sy", len, text);
        assert_true(strbuf_failed(&buf));
        assert_content(&buf, "", 0);
        strbuf_free(&buf);
    }
}

static void test_maximum(void **state) {
    static const size_t maxima[] = {0, 1, 255, 256, 257, 511, 512, 1000, 4097};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
        struct strbuf buf = STRBUF_INIT(maxima[i]);
        for (size_t n = 0; n < maxima[i]; n++)
            strbuf_add_char(&buf, (char)n);
        assert_false(strbuf_failed(&buf));
        assert_int_equal(buf.len, maxima[i]);
        assert_true(buf.capacity <= maxima[i]);
        strbuf_add_char(&buf, 'x');
        assert_true(strbuf_failed(&buf));
        for (size_t n = 0; n < maxima[i]; n++)
            assert_int_equal(buf.data[n], (char)n);
        strbuf_free(&buf);
    }
}

static void test_failure_is_remembered(void **state) {
    struct strbuf buf = STRBUF_INIT(4);

    (void)state;
    strbuf_add_cstr(&buf, "ab");
    strbuf_add_cstr(&buf, "cde");
    strbuf_add_cstr(&buf, "f"); /* it would fit */
    strbuf_addf(&buf, "g");
    strbuf_commit(&buf, 1);
    assert_null(strbuf_reserve(&buf, 0));
    strbuf_set_be32(&buf, 0, 0);
    assert_true(strbuf_failed(&buf));
    assert_content(&buf, "ab", 2);
    strbuf_clear(&buf);
    assert_false(strbuf_failed(&buf));
    strbuf_add_cstr(&buf, "abcd");
    assert_content(&buf, "abcd", 4);
    strbuf_add(&buf, "x", SIZE_MAX);
    assert_true(strbuf_failed(&buf));
    strbuf_free(&buf);
}

static void test_reserve(void **state) {
    struct strbuf buf = STRBUF_INIT(600);
    char *at;

    (void)state;
    at = strbuf_reserve(&buf, 500);
    assert_non_null(at);
    memset(at, 'a', 500);
    assert_int_equal(buf.len, 0);
    strbuf_commit(&buf, 3);
    assert_content(&buf, "aaa", 3);
    assert_non_null(strbuf_reserve(&buf, 597));
    assert_null(strbuf_reserve(&buf, 598));
    assert_true(strbuf_failed(&buf));
    strbuf_free(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),     cmocka_unit_test(test_addf_lengths),
        cmocka_unit_test(test_maximum), cmocka_unit_test(test_failure_is_remembered),
        cmocka_unit_test(test_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Hashes and HMAC against published vectors, base64, comparison, and many threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/crypto.h"
#include "base/hex.h"

#include <pthread.h>
#include <string.h>

static void assert_digest(const uint8_t digest[SHA256_LEN], const char *expected, size_t row) {
    char text[2 * SHA256_LEN + 1];

    hex_encode(digest, SHA256_LEN, text);
    if (strcmp(text, expected) != 0)
        fail_msg("row %zu: %s", row, text);
}

#define SHA_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_sha256(void **state) {
    /* FIPS 180-4. */
    static const struct {
        struct slice text;
        const char *digest;
    } rows[] = {
        {SLICE(""), SHA_EMPTY},
        {{NULL, 0}, SHA_EMPTY},
        {SLICE("abc"), SHA_ABC},
        {SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {SLICE("\0"), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    };
    uint8_t digest[SHA256_LEN];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(crypto_sha256(rows[i].text, digest));
        assert_digest(digest, rows[i].digest, i);
    }
}

/* The fields are what the name says: length, bytes, length, bytes. */
static void test_fields(void **state) {
    static const struct {
        struct slice fields[3];
        size_t count;
        struct slice bytes;
    } rows[] = {
        {{SLICE("")}, 0, SLICE("")},
        {{SLICE("")}, 1, SLICE("\0\0\0\0\0\0\0\0")},
        {{SLICE("a"), SLICE("bc")}, 2, SLICE("\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\2bc")},
        {{SLICE("ab"), SLICE("c")}, 2, SLICE("\0\0\0\0\0\0\0\2ab\0\0\0\0\0\0\0\1c")},
        {{SLICE("abc"), {NULL, 0}}, 2, SLICE("\0\0\0\0\0\0\0\3abc\0\0\0\0\0\0\0\0")},
    };
    uint8_t seen[ARRAY_LEN(rows)][SHA256_LEN], digest[SHA256_LEN];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(crypto_sha256_fields(rows[i].fields, rows[i].count, seen[i]));
        assert_true(crypto_sha256(rows[i].bytes, digest));
        assert_memory_equal(seen[i], digest, SHA256_LEN);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(seen[i], seen[j], SHA256_LEN);
    }
}

#define TWENTY(x) x x x x x x x x x x x x x x x x x x x x

#define HMAC_EMPTY "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"

static const struct {
    struct slice key, data;
    const char *digest;
} hmac_rows[] = {
    /* RFC 4231, cases 1, 2, 3, 6 and 7. */
    {SLICE(TWENTY("\x0b")), SLICE("Hi There"),
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    /* An empty key is a key, not the one before. */
    {{NULL, 0}, {NULL, 0}, HMAC_EMPTY},
    {SLICE("Jefe"), SLICE("what do ya want for nothing?"),
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {SLICE(TWENTY("\xaa")),
     SLICE(TWENTY("\xdd") TWENTY("\xdd") "\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd\xdd"),
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {SLICE(TWENTY("\xaa\xaa\xaa\xaa\xaa\xaa") "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"),
     SLICE("Test Using Larger Than Block-Size Key - Hash Key First"),
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {SLICE(TWENTY("\xaa\xaa\xaa\xaa\xaa\xaa") "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"),
     SLICE("This is a test using a larger than block-size key and a larger than block-size data. "
           "The key needs to be hashed before being used by the HMAC algorithm."),
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static void test_hmac(void **state) {
    uint8_t digest[SHA256_LEN];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hmac_rows); i++) {
        struct slice data = hmac_rows[i].data;
        for (size_t cut = 0; cut <= data.len; cut++) {
            const struct slice parts[] = {slice_first(data, cut), SLICE(""), slice_from(data, cut)};
            assert_true(crypto_hmac_sha256(hmac_rows[i].key, parts, 3, digest));
            assert_digest(digest, hmac_rows[i].digest, i);
        }
    }
    assert_true(crypto_hmac_sha256(SLICE_EMPTY, NULL, 0, digest));
    assert_digest(digest, HMAC_EMPTY, 0);
}

static void *hash_often(void *unused) {
    (void)unused;
    for (size_t n = 0; n < 2000; n++) {
        size_t i = n % ARRAY_LEN(hmac_rows);
        uint8_t digest[SHA256_LEN], expected[SHA256_LEN];
        if (!crypto_hmac_sha256(hmac_rows[i].key, &hmac_rows[i].data, 1, digest) ||
            !hex_decode(slice_from_cstr(hmac_rows[i].digest), expected, SHA256_LEN) ||
            memcmp(digest, expected, SHA256_LEN) != 0)
            return "hmac";
        if (!crypto_sha256(SLICE_OF("abc"), digest) ||
            !hex_decode(SLICE_OF(SHA_ABC), expected, SHA256_LEN) ||
            memcmp(digest, expected, SHA256_LEN) != 0)
            return "sha256";
    }
    return NULL;
}

static void test_threads(void **state) {
    pthread_t threads[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_often, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static void test_equal(void **state) {
    static const struct {
        struct slice a, b;
        bool equal;
    } rows[] = {
        {SLICE(""), {NULL, 0}, true},         {SLICE("a"), SLICE("a"), true},
        {SLICE("a"), SLICE("b"), false},      {SLICE("a"), SLICE("ab"), false},
        {SLICE("a"), SLICE(""), false},       {SLICE("a\0b"), SLICE("a\0c"), false},
        {SLICE("a\0b"), SLICE("a\0b"), true}, {SLICE("abcdefghX"), SLICE("abcdefghx"), false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (crypto_equal(rows[i].a, rows[i].b) != rows[i].equal ||
            crypto_equal(rows[i].b, rows[i].a) != rows[i].equal)
            fail_msg("row %zu", i);
}

static void test_base64(void **state) {
    static const struct {
        struct slice text;
        size_t room;
        bool valid;
        struct slice bytes;
    } rows[] = {
        /* RFC 4648, section 10. */
        {SLICE(""), 0, true, SLICE("")},
        {SLICE("Zg=="), 1, true, SLICE("f")},
        {SLICE("Zm8="), 2, true, SLICE("fo")},
        {SLICE("Zm9v"), 3, true, SLICE("foo")},
        {SLICE("Zm9vYg=="), 9, true, SLICE("foob")},
        {SLICE("Zm9vYmE="), 9, true, SLICE("fooba")},
        {SLICE("Zm9vYmFy"), 9, true, SLICE("foobar")},
        {SLICE("Zg"), 9, true, SLICE("f")},
        {SLICE("Zm8"), 9, true, SLICE("fo")},
        {SLICE("+/+/"), 9, true, SLICE("\xfb\xff\xbf")},
        {SLICE("-_-_"), 9, true, SLICE("\xfb\xff\xbf")},
        {SLICE("AAAA"), 9, true, SLICE("\0\0\0")},
        /* Too little room. */
        {SLICE("Zg=="), 0, false, SLICE("")},
        {SLICE("Zm9v"), 2, false, SLICE("")},
        /* Wrong lengths and padding. */
        {SLICE("Z"), 9, false, SLICE("")},
        {SLICE("Zm9vY"), 9, false, SLICE("")},
        {SLICE("A"), 9, false, SLICE("")},
        {SLICE("Zm9vA"), 9, false, SLICE("")},
        {SLICE("Zg="), 9, false, SLICE("")},
        {SLICE("Zg==="), 9, false, SLICE("")},
        {SLICE("="), 9, false, SLICE("")},
        {SLICE("=="), 9, false, SLICE("")},
        {SLICE("===="), 9, false, SLICE("")},
        {SLICE("Z==="), 9, false, SLICE("")},
        {SLICE("Zg==Zg=="), 9, false, SLICE("")},
        {SLICE("Z=g="), 9, false, SLICE("")},
        /* Bits that no byte takes. */
        {SLICE("Zh=="), 9, false, SLICE("")},
        {SLICE("Zm9="), 9, false, SLICE("")},
        {SLICE("Zh"), 9, false, SLICE("")},
        /* Other characters. */
        {SLICE("Zm 9v"), 9, false, SLICE("")},
        {SLICE("Zm9v\n"), 9, false, SLICE("")},
        {SLICE("Zm9\0"), 9, false, SLICE("")},
        {SLICE("Zm9."), 9, false, SLICE("")},
        {SLICE("Zm9\xff"), 9, false, SLICE("")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t bytes[9];
        size_t len = rows[i].room;
        if (crypto_base64_decode(rows[i].text, bytes, &len) != rows[i].valid)
            fail_msg("row %zu", i);
        if (!rows[i].valid)
            continue;
        assert_int_equal(len, rows[i].bytes.len);
        assert_memory_equal(bytes, rows[i].bytes.data, len);
    }
}

static void test_base64_of_bytes(void **state) {
    /* RFC 4648, section 10, and bytes whose digits are '+' and '/'. */
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[CRYPTO_BASE64_LEN(6) + 1];
        struct slice bytes = slice_from_cstr(rows[i][0]);
        crypto_base64_encode(bytes, text);
        assert_string_equal(text, rows[i][1]);
        assert_int_equal(strlen(text), CRYPTO_BASE64_LEN(bytes.len));
    }
}

static void test_random(void **state) {
    uint8_t a[300] = {0}, b[300] = {0};
    size_t zeroes = 0;

    (void)state;
    assert_true(crypto_random(a, sizeof(a)));
    assert_true(crypto_random(b, sizeof(b)));
    assert_memory_not_equal(a, b, sizeof(a));
    for (size_t i = 0; i < sizeof(a); i++)
        zeroes += a[i] == 0;
    assert_true(zeroes < 60);
    assert_true(crypto_random(a, 0));
    crypto_wipe(a, sizeof(a));
    for (size_t i = 0; i < sizeof(a); i++)
        assert_int_equal(a[i], 0);
    crypto_wipe(NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_of_bytes),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "adapter/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <sys/random.h>

/*
 * Fetching an algorithm takes locks and look-ups, so it is done once, and each thread keeps its
 * contexts. They go with their thread, by the key's destructor; those of the main thread stay to
 * the end of the process.
 */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key;
static EVP_MD *sha256;
static EVP_MAC *hmac;
static bool usable;

struct contexts {
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *mac;
};

static _Thread_local struct contexts own;

static void contexts_free(void *value) {
    struct contexts *contexts = value;

    EVP_MD_CTX_free(contexts->digest);
    EVP_MAC_CTX_free(contexts->mac);
    *contexts = (struct contexts){NULL, NULL};
}

static void fetch(void) {
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    usable = sha256 && hmac && pthread_key_create(&contexts_key, contexts_free) == 0;
}

static bool contexts_make(struct contexts *contexts) {
    char name[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_end(),
    };

    contexts->digest = EVP_MD_CTX_new();
    contexts->mac = EVP_MAC_CTX_new(hmac);
    if (contexts->digest && contexts->mac && EVP_MAC_CTX_set_params(contexts->mac, params) == 1 &&
        pthread_setspecific(contexts_key, contexts) == 0)
        return true;
    contexts_free(contexts);
    return false;
}

bool crypto_start(void) {
    return pthread_once(&once, fetch) == 0 && usable;
}

/* This thread's contexts; NULL when OpenSSL fails. */
static struct contexts *mine(void) {
    if (!crypto_start())
        return NULL;
    return own.digest || contexts_make(&own) ? &own : NULL;
}

static EVP_MD_CTX *digest_begin(void) {
    struct contexts *contexts = mine();

    return contexts && EVP_DigestInit_ex2(contexts->digest, sha256, NULL) == 1 ? contexts->digest
                                                                               : NULL;
}

static bool digest_add(EVP_MD_CTX *digest, const void *data, size_t len) {
    return len == 0 || EVP_DigestUpdate(digest, data, len) == 1;
}

bool crypto_sha256(struct slice data, uint8_t digest[SHA256_LEN]) {
    EVP_MD_CTX *context = digest_begin();

    return context && digest_add(context, data.data, data.len) &&
           EVP_DigestFinal_ex(context, digest, NULL) == 1;
}

bool crypto_sha256_fields(const struct slice *fields, size_t count, uint8_t digest[SHA256_LEN]) {
    EVP_MD_CTX *context = digest_begin();

    if (!context)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint8_t len[8];

        for (unsigned byte = 0; byte < sizeof(len); byte++)
            len[byte] = (uint8_t)((uint64_t)fields[i].len >> (56 - 8 * byte));
        if (!digest_add(context, len, sizeof(len)) ||
            !digest_add(context, fields[i].data, fields[i].len))
            return false;
    }
    return EVP_DigestFinal_ex(context, digest, NULL) == 1;
}

bool crypto_hmac_sha256(struct slice key, const struct slice *parts, size_t count,
                        uint8_t digest[SHA256_LEN]) {
    struct contexts *contexts = mine();
    /* A null key would mean "the one before". */
    const char *bytes = key.len ? key.data : "";
    size_t len;

    if (!contexts || EVP_MAC_init(contexts->mac, (const unsigned char *)bytes, key.len, NULL) != 1)
        return false;
    for (size_t i = 0; i < count; i++)
        if (parts[i].len &&
            EVP_MAC_update(contexts->mac, (const unsigned char *)parts[i].data, parts[i].len) != 1)
            return false;
    return EVP_MAC_final(contexts->mac, digest, &len, SHA256_LEN) == 1 && len == SHA256_LEN;
}

bool crypto_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}

bool crypto_random(uint8_t *bytes, size_t len) {
    while (len) {
        ssize_t got = getrandom(bytes, len, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bytes += got;
        len -= (size_t)got;
    }
    return true;
}

/* All ones when LOW <= C <= HIGH, else 0, without a branch. */
static uint32_t mask_of_range(uint32_t c, uint32_t low, uint32_t high) {
    return 0 - (((low - 1 - c) & (c - high - 1)) >> 31);
}

/* The value of a digit; 64 for any other character. Without a branch or a look-up, for the text may
 * be a secret. */
static uint32_t base64_digit(char character) {
    uint32_t c = (unsigned char)character;
    uint32_t upper = mask_of_range(c, 'A', 'Z'), lower = mask_of_range(c, 'a', 'z');
    uint32_t decimal = mask_of_range(c, '0', '9');
    uint32_t plus = mask_of_range(c, '+', '+') | mask_of_range(c, '-', '-');
    uint32_t slash = mask_of_range(c, '/', '/') | mask_of_range(c, '_', '_');

    return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (decimal & (c - '0' + 52)) |
           (plus & 62) | (slash & 63) | (~(upper | lower | decimal | plus | slash) & 64);
}

bool crypto_base64_decode(struct slice text, uint8_t *bytes, size_t *len) {
    size_t room = *len, used = 0;
    uint32_t bits = 0, wrong = 0;
    unsigned held = 0; /* bits in hand, fewer than 8 */

    if (text.len % 4 == 0)
        for (int i = 0; i < 2 && text.len && text.data[text.len - 1] == '='; i++)
            text.len--;
    if (text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t digit = base64_digit(text.data[i]);

        wrong |= digit & 64;
        bits = bits << 6 | (digit & 63);
        held += 6;
        if (held < 8)
            continue;
        if (used == room)
            return false;
        held -= 8;
        bytes[used++] = (uint8_t)(bits >> held);
        bits &= (1u << held) - 1;
    }
    *len = used;
    /* Bits that belong to no byte must be zero, so that bytes have one text only. */
    return (wrong | bits) == 0;
}

void crypto_base64_encode(struct slice bytes, char *text) {
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.data, (int)bytes.len);
}

void crypto_wipe(void *bytes, size_t len) {
    if (len)
        OPENSSL_cleanse(bytes, len);
}

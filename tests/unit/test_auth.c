/* Who sent it: every kind of credential, alone and together, right and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/timestamp.h"
#include "domain/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 3

/* CrossBorderly's documented example, 277 bytes. */
#define PARCEL                                                                                     \
    "{\"id\":\"evt_abc123xyz\",\"event\":\"parcel.delivered\",\"timestamp\":"                      \
    "\"2024-12-21T16:45:01Z\",\"environment\":\"production\",\"data\":{\"trackingNumber\":"        \
    "\"CBECUSD123456789\",\"deliveredAt\":\"2024-12-21T16:45:00Z\",\"signature\":"                 \
    "\"M. Garc\303\255a\",\"location\":\"Guayaquil, EC\",\"proofOfDelivery\":\"https://...\"}}"
#define PARCEL_HEX "0dd8c84626c35b2d0d16964c222d0428c1b01ce36a8708a0475ec8ef4860028d"

/* Sendcloud's published vector; the base64 forms, another key and the empty key by Python's hmac.
 */
#define PAIR "{\"key\": \"value\"}"
#define PAIR_HEX "1eed4b3d41f4653ac64fd56f1bf1cbfd349e4482cbc11dff7134bd93e5da4b0a"
#define PAIR_UPPER "1EED4B3D41F4653AC64FD56F1BF1CBFD349E4482CBC11DFF7134BD93E5DA4B0A"
#define PAIR_BASE64 "Hu1LPUH0ZTrGT9VvG/HL/TSeRILLwR3/cTS9k+XaSwo="
#define PAIR_BASE64_URL "Hu1LPUH0ZTrGT9VvG_HL_TSeRILLwR3_cTS9k-XaSwo"
#define PAIR_OLDKEY_HEX "b2f9cdc255bd1bb2f1e246bf71431de128a3be15b3eb3854052216e5ba1b3a06"
#define PAIR_EMPTYKEY_HEX "4ca797ac4c83eee8ffdd7ab4497b1fef4a03f360e58ec9a5a481ec7415675a92"

/* Standard Webhooks' published vector; other keys and timestamps by Python's hmac. */
#define MSG "{\"test\": 2432232314}"
#define MSG_KEY "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define MSG_ID "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\n"
#define MSG_TIME "webhook-timestamp: 1614265330\n"
#define MSG_HEAD MSG_ID MSG_TIME "webhook-signature: "
#define MSG_BASE64 "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define MSG_OTHER "vQ53RP0YRVgSL9lqoC8JYqZgGgUNoiI2U57oSRpilIo="
#define MSG_SENT INT64_C(1614265330)

#define TOKEN "0123456789abcdef0123456789abcdef"

static const struct auth_signature no_signature = {.kind = SIGNATURE_NONE};
static const struct auth_signature cross_hex = {.kind = SIGNATURE_HMAC_SHA256,
                                                .header = SLICE("X-CrossBorderly-Signature"),
                                                .prefix = SLICE("sha256="),
                                                .encoding = ENCODING_HEX};
static const struct auth_signature bare_hex = {
    .kind = SIGNATURE_HMAC_SHA256, .header = SLICE("X-Sig"), .encoding = ENCODING_HEX};
/* A prefix that a bare value may begin with, too. */
static const struct auth_signature tricky_hex = {.kind = SIGNATURE_HMAC_SHA256,
                                                 .header = SLICE("X-Sig"),
                                                 .prefix = SLICE("1e"),
                                                 .encoding = ENCODING_HEX};
static const struct auth_signature base64 = {.kind = SIGNATURE_HMAC_SHA256,
                                             .header = SLICE("X-Sig"),
                                             .prefix = SLICE("sha256="),
                                             .encoding = ENCODING_BASE64};
static const struct auth_signature standard = {.kind = SIGNATURE_STANDARD_WEBHOOKS};

struct row {
    const char *what;
    const struct auth_signature *signature; /* NULL: none */
    const char *secrets[TEXT_MAX], *basic[TEXT_MAX], *bearer[TEXT_MAX], *headers[TEXT_MAX];
    const char *url_tokens[TEXT_MAX];
    const char *allow_from;
    /* The request. */
    const char *shown; /* "Name: value" lines */
    const char *body, *url_token, *client;
    bool plain;
    int64_t received_at; /* seconds */
    enum auth_result expected;
};

/* The value of a header among the lines CONTEXT. */
static struct slice header_of(const void *context, struct slice name) {
    struct slice rest = slice_from_cstr(context);
    while (rest.len > 0) {
        struct slice line, field, value;
        (void)slice_split(rest, '\n', &line, &rest);
        if (slice_split(line, ':', &field, &value) && slice_eq_nocase(field, name)) {
            return value;
        }
    }
    return SLICE_EMPTY;
}

static struct auth_values values_of(const char *const texts[TEXT_MAX],
                                    struct slice items[TEXT_MAX]) {
    struct auth_values values = {.items = items};
    while (values.count < TEXT_MAX && texts[values.count] != NULL) {
        items[values.count] = slice_from_cstr(texts[values.count]);
        values.count++;
    }
    return values;
}

static enum auth_result check(const struct row *row) {
    struct slice items[5][TEXT_MAX];
    struct address_range range;
    struct auth_policy policy = {
        .signature = row->signature ? *row->signature : no_signature,
        .secrets = values_of(row->secrets, items[0]),
        .basic = values_of(row->basic, items[1]),
        .bearer = values_of(row->bearer, items[2]),
        .headers = values_of(row->headers, items[3]),
        .url_tokens = values_of(row->url_tokens, items[4]),
        .allow_from = &range,
        .allow_from_count = row->allow_from != NULL,
    };
    struct auth_request request = {
        .header = header_of,
        .context = row->shown ? row->shown : "",
        .body = slice_from_cstr(row->body),
        .url_token = slice_from_cstr(row->url_token),
        .https = !row->plain,
        .received_at = row->received_at * TIMESTAMP_SECOND,
    };
    if (row->allow_from != NULL) {
        assert_true(address_range_parse(slice_from_cstr(row->allow_from), &range));
    }
    if (row->client != NULL) {
        assert_true(address_parse(slice_from_cstr(row->client), &request.client));
    }
    return auth_check(&policy, &request);
}

static void check_rows(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        enum auth_result result = check(&rows[i]);
        if (result != rows[i].expected) {
            fail_msg("%s: %s, not %s", rows[i].what, auth_result_name(result),
                     auth_result_name(rows[i].expected));
        }
    }
}

#define SIGNED(how, key, text, header)                                                             \
    .signature = &(how), .secrets = {key}, .body = (text), .shown = (header)

static void test_hmac(void **state) {
    static const struct row rows[] = {
        {"CrossBorderly, as documented",
         SIGNED(cross_hex, "test_secret", PARCEL, "X-CrossBorderly-Signature: sha256=" PARCEL_HEX),
         .expected = AUTH_OK},
        {"CrossBorderly, as its sample compares",
         SIGNED(cross_hex, "test_secret", PARCEL, "X-CrossBorderly-Signature: " PARCEL_HEX),
         .expected = AUTH_OK},
        {"plain HTTP is enough for a signature",
         SIGNED(cross_hex, "test_secret", PARCEL, "X-CrossBorderly-Signature: " PARCEL_HEX),
         .plain = true, .expected = AUTH_OK},
        {"prefix in upper case",
         SIGNED(cross_hex, "test_secret", PARCEL, "X-CrossBorderly-Signature: SHA256=" PARCEL_HEX),
         .expected = AUTH_OK},
        {"hex", SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: " PAIR_HEX), .expected = AUTH_OK},
        {"hex in upper case", SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: " PAIR_UPPER),
         .expected = AUTH_OK},
        {"header name in another case", SIGNED(bare_hex, "secretkey", PAIR, "x-SIG: " PAIR_HEX),
         .expected = AUTH_OK},
        {"bare value that begins like the prefix",
         SIGNED(tricky_hex, "secretkey", PAIR, "X-Sig: " PAIR_HEX), .expected = AUTH_OK},
        {"prefixed value of the same scheme",
         SIGNED(tricky_hex, "secretkey", PAIR, "X-Sig: 1e" PAIR_HEX), .expected = AUTH_OK},
        {"base64", SIGNED(base64, "secretkey", PAIR, "X-Sig: " PAIR_BASE64), .expected = AUTH_OK},
        {"base64 with prefix", SIGNED(base64, "secretkey", PAIR, "X-Sig: sha256=" PAIR_BASE64),
         .expected = AUTH_OK},
        {"base64url without padding", SIGNED(base64, "secretkey", PAIR, "X-Sig: " PAIR_BASE64_URL),
         .expected = AUTH_OK},
        {"rotation, the old one", .signature = &bare_hex, .secrets = {"secretkey", "oldkey"},
         .body = PAIR, .shown = "X-Sig: " PAIR_OLDKEY_HEX, .expected = AUTH_OK},
        {"rotation, the new one", .signature = &bare_hex, .secrets = {"secretkey", "oldkey"},
         .body = PAIR, .shown = "X-Sig: " PAIR_HEX, .expected = AUTH_OK},

        {"no header", SIGNED(bare_hex, "secretkey", PAIR, ""), .expected = AUTH_SIGNATURE_MISSING},
        {"empty header", SIGNED(bare_hex, "secretkey", PAIR, "X-Sig:  "),
         .expected = AUTH_SIGNATURE_MISSING},
        {"another header", SIGNED(cross_hex, "test_secret", PARCEL, "X-Sig: " PARCEL_HEX),
         .expected = AUTH_SIGNATURE_MISSING},
        {"prefix only",
         SIGNED(cross_hex, "test_secret", PARCEL, "X-CrossBorderly-Signature: sha256="),
         .expected = AUTH_SIGNATURE_WRONG},
        {"prefix twice",
         SIGNED(cross_hex, "test_secret", PARCEL,
                "X-CrossBorderly-Signature: sha256=sha256=" PARCEL_HEX),
         .expected = AUTH_SIGNATURE_WRONG},
        {"another prefix",
         SIGNED(cross_hex, "test_secret", PARCEL, "X-CrossBorderly-Signature: sha1=" PARCEL_HEX),
         .expected = AUTH_SIGNATURE_WRONG},
        {"body with one byte more", SIGNED(bare_hex, "secretkey", PAIR "\n", "X-Sig: " PAIR_HEX),
         .expected = AUTH_SIGNATURE_WRONG},
        {"no body", SIGNED(bare_hex, "secretkey", "", "X-Sig: " PAIR_HEX),
         .expected = AUTH_SIGNATURE_WRONG},
        {"another key", SIGNED(bare_hex, "wrong", PAIR, "X-Sig: " PAIR_HEX),
         .expected = AUTH_SIGNATURE_WRONG},
        {"key with one byte more", SIGNED(bare_hex, "secretkey\n", PAIR, "X-Sig: " PAIR_HEX),
         .expected = AUTH_SIGNATURE_WRONG},
        {"one digit short",
         SIGNED(bare_hex, "oldkey", PAIR,
                "X-Sig: b2f9cdc255bd1bb2f1e246bf71431de128a3be15b3eb3854052216e5ba1b3a0"),
         .expected = AUTH_SIGNATURE_WRONG},
        {"one digit more", SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: " PAIR_HEX "0"),
         .expected = AUTH_SIGNATURE_WRONG},
        {"two signatures", SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: " PAIR_HEX " " PAIR_HEX),
         .expected = AUTH_OK},
        {"the second of two",
         SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: " PAIR_OLDKEY_HEX "," PAIR_HEX),
         .expected = AUTH_OK},
        {"the first of two",
         SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: " PAIR_HEX ", " PAIR_OLDKEY_HEX),
         .expected = AUTH_OK},
        {"one behind what is none",
         SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: ,, x ,\"\", " PAIR_HEX ","),
         .expected = AUTH_OK},
        {"two wrong ones",
         SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: " PAIR_OLDKEY_HEX ", " PAIR_OLDKEY_HEX),
         .expected = AUTH_SIGNATURE_WRONG},
        {"separators alone", SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: ,, ,"),
         .expected = AUTH_SIGNATURE_WRONG},
        {"two with prefixes",
         SIGNED(cross_hex, "test_secret", PARCEL,
                "X-CrossBorderly-Signature: sha256=" PAIR_HEX ", sha256=" PARCEL_HEX),
         .expected = AUTH_OK},
        {"two in base64, the second right",
         SIGNED(base64, "secretkey", PAIR, "X-Sig: sha256=" MSG_OTHER ",sha256=" PAIR_BASE64),
         .expected = AUTH_OK},
        {"no hex", SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: zz"),
         .expected = AUTH_SIGNATURE_WRONG},
        {"all zeros",
         SIGNED(bare_hex, "secretkey", PAIR,
                "X-Sig: 0000000000000000000000000000000000000000000000000000000000000000"),
         .expected = AUTH_SIGNATURE_WRONG},
        {"base64 where hex is meant", SIGNED(bare_hex, "secretkey", PAIR, "X-Sig: " PAIR_BASE64),
         .expected = AUTH_SIGNATURE_WRONG},
        {"hex where base64 is meant", SIGNED(base64, "secretkey", PAIR, "X-Sig: " PAIR_HEX),
         .expected = AUTH_SIGNATURE_WRONG},
        {"base64 that is too short", SIGNED(base64, "secretkey", PAIR, "X-Sig: Hu1LPUH0"),
         .expected = AUTH_SIGNATURE_WRONG},
        {"an empty key is never valid", SIGNED(bare_hex, "", PAIR, "X-Sig: " PAIR_EMPTYKEY_HEX),
         .expected = AUTH_SIGNATURE_WRONG},
        {"no key at all", .signature = &bare_hex, .body = PAIR,
         .shown = "X-Sig: " PAIR_EMPTYKEY_HEX, .expected = AUTH_SIGNATURE_WRONG},
    };
    (void)state;
    check_rows(rows, ARRAY_LEN(rows));
}

#define STANDARD(key, header, at)                                                                  \
    SIGNED(standard, key, MSG, header), .received_at = (at), .plain = true

static void test_standard_webhooks(void **state) {
    static const struct row rows[] = {
        {"the published vector", STANDARD(MSG_KEY, MSG_HEAD "v1," MSG_BASE64, MSG_SENT),
         .expected = AUTH_OK},
        {"a key without whsec_ is the key itself",
         STANDARD("plain key", MSG_HEAD "v1," MSG_OTHER, MSG_SENT), .expected = AUTH_OK},
        {"the second of two",
         STANDARD(MSG_KEY, MSG_HEAD "v1," MSG_OTHER " v1," MSG_BASE64, MSG_SENT),
         .expected = AUTH_OK},
        {"among other versions, spaces and garbage",
         STANDARD(MSG_KEY,
                  MSG_HEAD "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXF "
                           " x ,, v1, v1,@@@  v1," MSG_BASE64 " v2,abc",
                  MSG_SENT),
         .expected = AUTH_OK},
        {"rotation", .signature = &standard, .secrets = {"new key", MSG_KEY}, .body = MSG,
         .shown = MSG_HEAD "v1," MSG_BASE64, .received_at = MSG_SENT, .expected = AUTH_OK},
        {"two headers", STANDARD(MSG_KEY, MSG_HEAD "v1," MSG_OTHER ", v1," MSG_BASE64, MSG_SENT),
         .expected = AUTH_OK},
        {"two headers, the first right",
         STANDARD(MSG_KEY, MSG_HEAD "v1," MSG_BASE64 ", v1," MSG_OTHER, MSG_SENT),
         .expected = AUTH_OK},
        {"five minutes late", STANDARD(MSG_KEY, MSG_HEAD "v1," MSG_BASE64, MSG_SENT + 300),
         .expected = AUTH_OK},
        {"five minutes early", STANDARD(MSG_KEY, MSG_HEAD "v1," MSG_BASE64, MSG_SENT - 300),
         .expected = AUTH_OK},

        {"a second more", STANDARD(MSG_KEY, MSG_HEAD "v1," MSG_BASE64, MSG_SENT + 301),
         .expected = AUTH_TIMESTAMP},
        {"a second less", STANDARD(MSG_KEY, MSG_HEAD "v1," MSG_BASE64, MSG_SENT - 301),
         .expected = AUTH_TIMESTAMP},
        {"a timestamp that is a word",
         STANDARD(MSG_KEY,
                  MSG_ID "webhook-timestamp: soon\nwebhook-signature: "
                         "v1,gWDRGVFXKTPxYnGclMbyz9wJvM3Qk/KfKwiB5vpNles=",
                  MSG_SENT),
         .expected = AUTH_TIMESTAMP},
        {"a timestamp beyond int64",
         STANDARD(MSG_KEY,
                  MSG_ID "webhook-timestamp: 99999999999999999999\nwebhook-signature: "
                         "v1,Y8EYKvqreWPzrz+28sw4+VlNjZt49JVCG7Qfo2CIwqY=",
                  MSG_SENT),
         .expected = AUTH_TIMESTAMP},
        {"the least timestamp",
         STANDARD(MSG_KEY,
                  MSG_ID "webhook-timestamp: -9223372036854775808\nwebhook-signature: "
                         "v1,0YQIpNQpzTvKZaL478qrxT10jwb51vn3IEouYqp7HEU=",
                  MSG_SENT),
         .expected = AUTH_TIMESTAMP},
        {"a timestamp that was not signed",
         STANDARD(MSG_KEY,
                  MSG_ID "webhook-timestamp: 1614265331\nwebhook-signature: v1," MSG_BASE64,
                  MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"an id that was not signed",
         STANDARD(MSG_KEY, "webhook-id: msg_2\n" MSG_TIME "webhook-signature: v1," MSG_BASE64,
                  MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"version 2 only", STANDARD(MSG_KEY, MSG_HEAD "v2," MSG_BASE64, MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"version in upper case", STANDARD(MSG_KEY, MSG_HEAD "V1," MSG_BASE64, MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"no version", STANDARD(MSG_KEY, MSG_HEAD MSG_BASE64, MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"separated by a comma",
         STANDARD(MSG_KEY, MSG_HEAD "v1," MSG_OTHER ",v1," MSG_BASE64, MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"another key", STANDARD("other", MSG_HEAD "v1," MSG_BASE64, MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"the key undecoded",
         STANDARD("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", MSG_HEAD "v1," MSG_BASE64, MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"an empty key behind whsec_",
         STANDARD("whsec_", MSG_HEAD "v1,woH/1mJtZGSMCmpFTxRYbStS24eLLD/oXIYr4PYyZ7g=", MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"a key that is no base64",
         STANDARD("whsec_@", MSG_HEAD "v1,woH/1mJtZGSMCmpFTxRYbStS24eLLD/oXIYr4PYyZ7g=", MSG_SENT),
         .expected = AUTH_SIGNATURE_WRONG},
        {"no id", STANDARD(MSG_KEY, MSG_TIME "webhook-signature: v1," MSG_BASE64, MSG_SENT),
         .expected = AUTH_SIGNATURE_MISSING},
        {"no timestamp", STANDARD(MSG_KEY, MSG_ID "webhook-signature: v1," MSG_BASE64, MSG_SENT),
         .expected = AUTH_SIGNATURE_MISSING},
        {"no signature", STANDARD(MSG_KEY, MSG_ID MSG_TIME, MSG_SENT),
         .expected = AUTH_SIGNATURE_MISSING},
        {"nothing", STANDARD(MSG_KEY, "", MSG_SENT), .expected = AUTH_SIGNATURE_MISSING},
    };
    (void)state;
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_basic(void **state) {
    static const struct row rows[] = {
        {"right", .basic = {"user:password"},
         .shown = "Authorization: Basic dXNlcjpwYXNzd29yZA==", .expected = AUTH_OK},
        {"scheme in another case", .basic = {"user:password"},
         .shown = "Authorization: bAsIc   dXNlcjpwYXNzd29yZA==", .expected = AUTH_OK},
        {"without padding", .basic = {"user:password"},
         .shown = "Authorization: Basic dXNlcjpwYXNzd29yZA", .expected = AUTH_OK},
        {"not only ASCII", .basic = {"shop:p\303\244ssw\303\266rd"},
         .shown = "Authorization: Basic c2hvcDpww6Rzc3fDtnJk", .expected = AUTH_OK},
        {"rotation", .basic = {"user:password", "old:pass"},
         .shown = "Authorization: Basic b2xkOnBhc3M=", .expected = AUTH_OK},
        {"absent", .basic = {"user:password"}, .expected = AUTH_CREDENTIAL_MISSING},
        {"wrong password", .basic = {"user:password"},
         .shown = "Authorization: Basic dXNlcjp3cm9uZw==", .expected = AUTH_CREDENTIAL_WRONG},
        {"user in another case", .basic = {"user:password"},
         .shown = "Authorization: Basic VVNFUjpwYXNzd29yZA==", .expected = AUTH_CREDENTIAL_WRONG},
        {"half of it", .basic = {"user:password"},
         .shown = "Authorization: Basic dXNlcjo=", .expected = AUTH_CREDENTIAL_WRONG},
        {"not encoded", .basic = {"user:password"}, .shown = "Authorization: Basic user:password",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"scheme only", .basic = {"user:password"}, .shown = "Authorization: Basic",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"no scheme", .basic = {"user:password"},
         .shown = "Authorization: dXNlcjpwYXNzd29yZA==", .expected = AUTH_CREDENTIAL_WRONG},
        {"another scheme", .basic = {"user:password"},
         .shown = "Authorization: Bearer dXNlcjpwYXNzd29yZA==", .expected = AUTH_CREDENTIAL_WRONG},
        {"an empty value is never valid", .basic = {""}, .shown = "Authorization: Basic ",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"nor broken base64 as an empty one", .basic = {""}, .shown = "Authorization: Basic @",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"plain HTTP", .basic = {"user:password"},
         .shown = "Authorization: Basic dXNlcjpwYXNzd29yZA==", .plain = true,
         .expected = AUTH_PLAIN_HTTP},
    };
    (void)state;
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_bearer_and_header(void **state) {
    static const struct row rows[] = {
        {"bearer", .bearer = {"tok.en"}, .shown = "Authorization: Bearer tok.en",
         .expected = AUTH_OK},
        {"bearer, scheme in another case", .bearer = {"tok.en"},
         .shown = "authorization: BEARER tok.en", .expected = AUTH_OK},
        {"bearer, rotation", .bearer = {"new", "tok.en"}, .shown = "Authorization: Bearer tok.en",
         .expected = AUTH_OK},
        {"bearer, absent", .bearer = {"tok.en"}, .expected = AUTH_CREDENTIAL_MISSING},
        {"bearer, wrong", .bearer = {"tok.en"}, .shown = "Authorization: Bearer tok.eN",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"bearer, beginning only", .bearer = {"tok.en"}, .shown = "Authorization: Bearer tok",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"bearer, more behind", .bearer = {"tok.en"}, .shown = "Authorization: Bearer tok.en x",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"bearer as basic", .bearer = {"tok.en"}, .shown = "Authorization: Basic tok.en",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"bearer, empty", .bearer = {""}, .shown = "Authorization: Bearer ",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"bearer over plain HTTP", .bearer = {"tok.en"}, .shown = "Authorization: Bearer tok.en",
         .plain = true, .expected = AUTH_PLAIN_HTTP},

        {"header", .headers = {"X-Api-Key: s3cret"}, .shown = "x-api-key: s3cret",
         .expected = AUTH_OK},
        {"header without space", .headers = {"X-Api-Key:s3cret"}, .shown = "X-Api-Key:  s3cret ",
         .expected = AUTH_OK},
        {"header whose value has a colon", .headers = {"X-Api-Key: a:b"}, .shown = "X-Api-Key: a:b",
         .expected = AUTH_OK},
        {"header, rotation", .headers = {"X-Api-Key: new", "X-Api-Key: old"},
         .shown = "X-Api-Key: old", .expected = AUTH_OK},
        {"header, rotation to another name", .headers = {"X-New: new", "X-Old: old"},
         .shown = "X-Old: old", .expected = AUTH_OK},
        {"header, absent", .headers = {"X-Api-Key: s3cret"}, .shown = "X-Other: s3cret",
         .expected = AUTH_CREDENTIAL_MISSING},
        {"header, wrong", .headers = {"X-Api-Key: s3cret"}, .shown = "X-Api-Key: S3cret",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"header, values crossed", .headers = {"X-New: new", "X-Old: old"},
         .shown = "X-Old: new\nX-New: old", .expected = AUTH_CREDENTIAL_WRONG},
        {"header without value", .headers = {"X-Api-Key:"}, .shown = "X-Other: x",
         .expected = AUTH_CREDENTIAL_MISSING},
        {"header without colon", .headers = {"X-Api-Key"}, .shown = "X-Api-Key: X-Api-Key",
         .expected = AUTH_CREDENTIAL_WRONG},
        {"header over plain HTTP", .headers = {"X-Api-Key: s3cret"}, .shown = "X-Api-Key: s3cret",
         .plain = true, .expected = AUTH_PLAIN_HTTP},
    };
    (void)state;
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_url_token(void **state) {
    static const struct row rows[] = {
        {"right", .url_tokens = {TOKEN}, .url_token = TOKEN, .expected = AUTH_OK},
        {"rotation", .url_tokens = {"new", TOKEN}, .url_token = TOKEN, .expected = AUTH_OK},
        {"absent", .url_tokens = {TOKEN}, .expected = AUTH_URL_TOKEN},
        {"wrong", .url_tokens = {TOKEN}, .url_token = "1" TOKEN, .expected = AUTH_URL_TOKEN},
        {"empty", .url_tokens = {""}, .url_token = "", .expected = AUTH_URL_TOKEN},
        {"plain HTTP", .url_tokens = {TOKEN}, .url_token = TOKEN, .plain = true,
         .expected = AUTH_PLAIN_HTTP},
        {"given where none is configured", .bearer = {"t"}, .shown = "Authorization: Bearer t",
         .url_token = TOKEN, .expected = AUTH_URL_TOKEN},
    };
    (void)state;
    check_rows(rows, ARRAY_LEN(rows));
}

#define BASIC_LINE "Authorization: Basic dXNlcjpwYXNzd29yZA==\n"
#define ALL_KINDS                                                                                  \
    .signature = &bare_hex, .secrets = {"secretkey"}, .basic = {"user:password"},                  \
    .headers = {"X-Api-Key: k"}, .url_tokens = {TOKEN}, .allow_from = "10.0.0.0/8", .body = PAIR

static void test_together(void **state) {
    static const struct row rows[] = {
        {"all hold", ALL_KINDS, .shown = "X-Sig: " PAIR_HEX "\nX-Api-Key: k\n" BASIC_LINE,
         .url_token = TOKEN, .client = "10.1.1.1", .expected = AUTH_OK},
        {"address does not", ALL_KINDS, .shown = "X-Sig: " PAIR_HEX "\nX-Api-Key: k\n" BASIC_LINE,
         .url_token = TOKEN, .client = "11.1.1.1", .expected = AUTH_ADDRESS},
        {"address not known", ALL_KINDS, .shown = "X-Sig: " PAIR_HEX "\nX-Api-Key: k\n" BASIC_LINE,
         .url_token = TOKEN, .expected = AUTH_ADDRESS},
        {"plain HTTP", ALL_KINDS, .shown = "X-Sig: " PAIR_HEX "\nX-Api-Key: k\n" BASIC_LINE,
         .url_token = TOKEN, .client = "10.1.1.1", .plain = true, .expected = AUTH_PLAIN_HTTP},
        {"signature does not", ALL_KINDS,
         .shown = "X-Sig: " PAIR_OLDKEY_HEX "\nX-Api-Key: k\n" BASIC_LINE, .url_token = TOKEN,
         .client = "10.1.1.1", .expected = AUTH_SIGNATURE_WRONG},
        {"signature absent", ALL_KINDS, .shown = "X-Api-Key: k\n" BASIC_LINE, .url_token = TOKEN,
         .client = "10.1.1.1", .expected = AUTH_SIGNATURE_MISSING},
        {"basic absent", ALL_KINDS, .shown = "X-Sig: " PAIR_HEX "\nX-Api-Key: k",
         .url_token = TOKEN, .client = "10.1.1.1", .expected = AUTH_CREDENTIAL_MISSING},
        {"header does not", ALL_KINDS, .shown = "X-Sig: " PAIR_HEX "\nX-Api-Key: x\n" BASIC_LINE,
         .url_token = TOKEN, .client = "10.1.1.1", .expected = AUTH_CREDENTIAL_WRONG},
        {"URL token absent", ALL_KINDS, .shown = "X-Sig: " PAIR_HEX "\nX-Api-Key: k\n" BASIC_LINE,
         .client = "10.1.1.1", .expected = AUTH_URL_TOKEN},
        {"nothing but the address", ALL_KINDS, .client = "10.1.1.1", .plain = true,
         .expected = AUTH_PLAIN_HTTP},
        {"address list with one kind", .bearer = {"t"}, .shown = "Authorization: Bearer t",
         .allow_from = "2001:db8::/32", .client = "2001:db8::1", .expected = AUTH_OK},
        {"basic and bearer can never both hold", .basic = {"user:password"}, .bearer = {"t"},
         .shown = BASIC_LINE, .expected = AUTH_CREDENTIAL_WRONG},
        {"a policy of nothing passes nobody", .expected = AUTH_CREDENTIAL_MISSING},
        {"an address list is no credential", .allow_from = "10.0.0.0/8", .client = "10.1.1.1",
         .expected = AUTH_CREDENTIAL_MISSING},
    };
    (void)state;
    check_rows(rows, ARRAY_LEN(rows));
}

/* A header of AUTH_HEADER_MAX bytes is read, one more byte makes it wrong. */
static void test_long_headers(void **state) {
    static const char *const heads[] = {"Authorization: Bearer ", "Authorization: Basic ",
                                        MSG_ID MSG_TIME "webhook-signature: v1," MSG_BASE64 " "};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        for (size_t extra = 0; extra < 2; extra++) {
            const char *value = strrchr(heads[i], ':') + 2;
            size_t head = strlen(heads[i]);
            size_t fill = AUTH_HEADER_MAX - strlen(value) + extra;
            char *shown = malloc(head + fill + 1);
            assert_non_null(shown);
            memcpy(shown, heads[i], head);
            memset(shown + head, 'A', fill);
            shown[head + fill] = '\0';
            struct row row = {"long", .shown = shown, .body = MSG, .received_at = MSG_SENT};
            if (i == 0) {
                row.bearer[0] = shown + head;
            } else if (i == 1) {
                row.basic[0] = "user:password";
            } else {
                row.signature = &standard;
                row.secrets[0] = MSG_KEY;
            }
            enum auth_result wrong = i == 2 ? AUTH_SIGNATURE_WRONG : AUTH_CREDENTIAL_WRONG;
            enum auth_result expected = extra > 0 || i == 1 ? wrong : AUTH_OK;
            assert_int_equal(check(&row), expected);
            free(shown);
        }
    }
}

/* As many signatures as fit a header, the right one last. */
static void test_many_signatures(void **state) {
    char shown[AUTH_HEADER_MAX + 256];
    size_t len = (size_t)snprintf(shown, sizeof shown, "%s", MSG_HEAD);
    size_t most = AUTH_HEADER_MAX / (strlen(MSG_OTHER) + 4);
    (void)state;
    for (size_t i = 0; i < most; i++) {
        len += (size_t)snprintf(shown + len, sizeof shown - len, "v1,%s ",
                                i + 1 < most ? MSG_OTHER : MSG_BASE64);
    }
    struct row row = {"many", STANDARD(MSG_KEY, shown, MSG_SENT)};
    assert_int_equal(check(&row), AUTH_OK);
}

static void test_bearer_token(void **state) {
    static const struct {
        const char *authorization, *token;
    } rows[] = {
        {"Bearer abc", "abc"},
        {"bearer abc", "abc"},
        {" Bearer   abc ", "abc"},
        {"Bearer a.b-c_d~e", "a.b-c_d~e"},
        {"Bearer", ""},
        {"Bearer ", ""},
        {"Bearerabc", ""},
        {"Basic abc", ""},
        {"abc", ""},
        {"", ""},
        {"Bearer\tabc", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice token = auth_bearer_token(slice_from_cstr(rows[i].authorization));
        if (!slice_eq(token, slice_from_cstr(rows[i].token))) {
            fail_msg("%s: %.*s", rows[i].authorization, SLICE_ARGS(token));
        }
    }
}

static void test_has_credential(void **state) {
    struct slice item = SLICE("x");
    struct auth_values one = {.items = &item, .count = 1};
    const struct {
        struct auth_policy policy;
        bool expected;
    } rows[] = {
        {{.basic = one}, true},
        {{.bearer = one}, true},
        {{.headers = one}, true},
        {{.url_tokens = one}, true},
        {{.signature = bare_hex, .secrets = one}, true},
        {{.signature = bare_hex}, false},
        {{.secrets = one}, false},
        {{.allow_from_count = 1}, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(auth_policy_has_credential(&rows[i].policy), rows[i].expected);
    }
}

static void test_result_names(void **state) {
    (void)state;
    for (int i = AUTH_OK; i <= AUTH_WRONG_MODE; i++) {
        for (int k = AUTH_OK; k < i; k++) {
            assert_string_not_equal(auth_result_name((enum auth_result)i),
                                    auth_result_name((enum auth_result)k));
        }
    }
    assert_string_equal(auth_result_name(AUTH_SIGNATURE_WRONG), "signature_wrong");
    assert_string_equal(auth_result_name((enum auth_result)99), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac),         cmocka_unit_test(test_standard_webhooks),
        cmocka_unit_test(test_basic),        cmocka_unit_test(test_bearer_and_header),
        cmocka_unit_test(test_url_token),    cmocka_unit_test(test_together),
        cmocka_unit_test(test_long_headers), cmocka_unit_test(test_many_signatures),
        cmocka_unit_test(test_bearer_token), cmocka_unit_test(test_has_credential),
        cmocka_unit_test(test_result_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a sender shows passes what the receiver checks, for every kind of credential. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/timestamp.h"
#include "domain/sign.h"

#include <string.h>

/* The headers as sign_headers() leaves them. */
static struct slice header_of(const void *context, struct slice name) {
    struct slice rest = strbuf_slice(context);
    while (rest.len > 0) {
        struct slice line, field, value;
        (void)slice_split(rest, '\0', &line, &rest);
        if (slice_split(line, ':', &field, &value) && slice_eq_nocase(field, name))
            return value;
    }
    return SLICE_EMPTY;
}

/* The first of two is shown. */
#define VALUE(name, text) static struct slice name[] = {SLICE(text), SLICE("another")}
#define VALUES(name)                                                                               \
    { (name), 2 }

VALUE(plain_key, "a key");
VALUE(standard_key, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
VALUE(password, "shop:p:w");
VALUE(token, "token-of-the-shop");
VALUE(field, "X-Api-Key: of the shop");
VALUE(segment, "0123456789abcdef0123456789abcdef");

static const struct auth_policy POLICIES[] = {
    {.signature = {.kind = SIGNATURE_HMAC_SHA256,
                   .header = SLICE("X-Sig"),
                   .encoding = ENCODING_HEX},
     .secrets = VALUES(plain_key)},
    {.signature = {.kind = SIGNATURE_HMAC_SHA256,
                   .header = SLICE("X-Sig"),
                   .prefix = SLICE("v0="),
                   .encoding = ENCODING_BASE64},
     .secrets = VALUES(plain_key)},
    {.signature = {.kind = SIGNATURE_STANDARD_WEBHOOKS}, .secrets = VALUES(standard_key)},
    {.signature = {.kind = SIGNATURE_STANDARD_WEBHOOKS}, .secrets = VALUES(plain_key)},
    {.basic = VALUES(password)},
    {.bearer = VALUES(token)},
    {.headers = VALUES(field)},
    {.url_tokens = VALUES(segment)},
    {.signature = {.kind = SIGNATURE_STANDARD_WEBHOOKS},
     .secrets = VALUES(standard_key),
     .bearer = VALUES(token),
     .headers = VALUES(field),
     .url_tokens = VALUES(segment)},
};

static const struct sign_message MESSAGE = {
    .body = SLICE("{\"a\":1}"), .id = SLICE("msg_1"), .sent_at = 1700000000 * TIMESTAMP_SECOND};

static void test_what_is_shown_passes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(POLICIES); i++) {
        const struct auth_policy *policy = &POLICIES[i];
        struct strbuf headers = STRBUF_INIT(65536);
        assert_true(sign_headers(policy, &MESSAGE, &headers));
        struct auth_request request = {
            .header = header_of,
            .context = &headers,
            .body = MESSAGE.body,
            .url_token = policy->url_tokens.count > 0 ? policy->url_tokens.items[0] : SLICE_EMPTY,
            .https = true,
            .received_at = MESSAGE.sent_at,
        };
        assert_int_equal(auth_check(policy, &request), AUTH_OK);
        request.body = SLICE_OF("{\"a\":2}");
        if (policy->signature.kind != SIGNATURE_NONE)
            assert_int_equal(auth_check(policy, &request), AUTH_SIGNATURE_WRONG);
        strbuf_free(&headers);
    }
}

static void test_without_secrets_nothing_is_shown(void **state) {
    static const struct auth_policy none[] = {
        {.signature = {.kind = SIGNATURE_NONE}},
        {.signature = {.kind = SIGNATURE_STANDARD_WEBHOOKS}},
        {.signature = {.kind = SIGNATURE_HMAC_SHA256, .header = SLICE("X-Sig")},
         .bearer = VALUES(token)},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        struct strbuf headers = STRBUF_INIT(65536);
        assert_false(sign_headers(&none[i], &MESSAGE, &headers));
        strbuf_free(&headers);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_shown_passes),
        cmocka_unit_test(test_without_secrets_nothing_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "domain/auth.h"

#include "adapter/crypto.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/timestamp.h"

#include <assert.h>
#include <string.h>

/* Seconds by which Standard Webhooks' timestamp may be off, either way. */
#define TIMESTAMP_TOLERANCE 300

/* A header of AUTH_HEADER_MAX bytes holds no more signatures: base64 of a digest is 43 bytes or
 * more, "v1," and a space before it. */
#define SHOWN_MAX (AUTH_HEADER_MAX / (3 + 43 + 1) + 1)

/* The signatures that a request shows, decoded. */
struct shown_signatures {
    uint8_t digests[SHOWN_MAX][SHA256_LEN];
    size_t count;
};

/* ---- values in constant time ---- */

static struct slice digest_slice(const uint8_t digest[SHA256_LEN]) {
    return (struct slice){.data = (const char *)digest, .len = SHA256_LEN};
}

/* What was compared in a request so far. */
struct comparison {
    bool match;
    bool unable; /* OpenSSL failed: what does not match might do so */
};

/* Compares digests, so that neither content nor length of a value shows in the time. */
static void compare_values(const struct auth_values *values, struct slice shown,
                           struct comparison *comparison) {
    uint8_t theirs[SHA256_LEN] = {0};
    uint8_t ours[SHA256_LEN] = {0};
    bool match = false;
    bool hashed = crypto_sha256(shown, theirs);
    for (size_t i = 0; i < values->count; i++) {
        hashed &= crypto_sha256(values->items[i], ours);
        match |=
            crypto_equal(digest_slice(theirs), digest_slice(ours)) & (values->items[i].len > 0);
    }
    comparison->match |= match & hashed;
    comparison->unable |= !hashed;
}

/* MISSING where nothing is PRESENT, WRONG where it does not match. */
static enum auth_result result_of(const struct comparison *comparison, bool present,
                                  enum auth_result missing, enum auth_result wrong) {
    if (comparison->unable) {
        return AUTH_UNABLE;
    }
    if (!present) {
        return missing;
    }
    return comparison->match ? AUTH_OK : wrong;
}

static enum auth_result credential_result(const struct comparison *comparison, bool present) {
    return result_of(comparison, present, AUTH_CREDENTIAL_MISSING, AUTH_CREDENTIAL_WRONG);
}

/* ---- headers ---- */

static struct slice request_header(const struct auth_request *request, struct slice name) {
    return slice_trim(request->header(request->context, name));
}

static struct slice signatures_of(const struct auth_request *request, struct slice name) {
    return request->signatures != NULL ? slice_trim(request->signatures(request->context, name))
                                       : request_header(request, name);
}

static struct slice authorization_of(const struct auth_request *request) {
    return request_header(request, SLICE_OF("Authorization"));
}

/* What stands behind SCHEME; empty for another scheme or a header that is too long. */
static struct slice credentials_of(struct slice authorization, struct slice scheme) {
    struct slice name, credentials;
    if (authorization.len > AUTH_HEADER_MAX ||
        !slice_split(slice_trim(authorization), ' ', &name, &credentials) ||
        !slice_eq_nocase(name, scheme)) {
        return SLICE_EMPTY;
    }
    return slice_trim(credentials);
}

struct slice auth_bearer_token(struct slice authorization) {
    return credentials_of(authorization, SLICE_OF("Bearer"));
}

/* ---- signatures ---- */

static bool decode_digest(struct slice text, enum signature_encoding encoding,
                          uint8_t digest[SHA256_LEN]) {
    if (encoding == ENCODING_HEX) {
        return hex_decode(text, digest, SHA256_LEN);
    }
    size_t len = SHA256_LEN;
    return crypto_base64_decode(text, digest, &len) && len == SHA256_LEN;
}

/* The next of LIST, which commas and blanks separate. */
static struct slice next_item(struct slice *list, const char *separators) {
    size_t len = 0;
    while (len < list->len && strchr(separators, list->data[len]) == NULL) {
        len++;
    }
    struct slice item = slice_first(*list, len);
    *list = slice_from(*list, len < list->len ? len + 1 : len);
    return item;
}

/* The prefix is optional. A value without it may begin with the same letters by chance, so it is
 * only taken off where the rest is a digest. */
static bool read_hmac_value(const struct auth_signature *signature, struct slice value,
                            uint8_t digest[SHA256_LEN]) {
    bool prefixed = signature->prefix.len > 0 && slice_starts_with_nocase(value, signature->prefix);
    struct slice rest = slice_trim(slice_from(value, prefixed ? signature->prefix.len : 0));
    return decode_digest(rest, signature->encoding, digest) ||
           (prefixed && decode_digest(value, signature->encoding, digest));
}

/* The whole value first: a prefix may hold what separates. */
static void read_hmac_header(const struct auth_signature *signature, struct slice value,
                             struct shown_signatures *shown) {
    shown->count = read_hmac_value(signature, value, shown->digests[0]) ? 1 : 0;
    while (value.len > 0 && shown->count < SHOWN_MAX) {
        struct slice item = next_item(&value, ", ");
        if (read_hmac_value(signature, item, shown->digests[shown->count])) {
            shown->count++;
        }
    }
}

/* "v1,<base64>" of a list separated by spaces, and by commas where it came as several headers;
 * other versions (v1a is asymmetric) are passed over. */
static void read_standard_header(struct slice list, struct shown_signatures *shown) {
    struct slice version, text;
    shown->count = 0;
    while (list.len > 0 && shown->count < SHOWN_MAX) {
        struct slice item = next_item(&list, " ");
        if (!slice_split(item, ',', &version, &text) || !slice_eq(version, SLICE_OF("v1"))) {
            continue;
        }
        struct slice signature = next_item(&text, ",");
        if (decode_digest(signature, ENCODING_BASE64, shown->digests[shown->count])) {
            shown->count++;
        }
    }
}

/* Does the key over PARTS give any of the signatures shown? */
static void compare_signatures(struct slice key, const struct slice *parts, size_t part_count,
                               const struct shown_signatures *shown,
                               struct comparison *comparison) {
    uint8_t digest[SHA256_LEN] = {0};
    bool match = false;
    bool made = crypto_hmac_sha256(key, parts, part_count, digest);
    for (size_t i = 0; i < shown->count; i++) {
        match |= crypto_equal(digest_slice(digest), digest_slice(shown->digests[i]));
    }
    comparison->match |= match & made & (key.len > 0);
    comparison->unable |= !made;
}

static enum auth_result check_hmac(const struct auth_policy *policy,
                                   const struct auth_request *request) {
    struct shown_signatures shown = {.count = 0};
    struct slice value = signatures_of(request, policy->signature.header);
    struct comparison comparison = {.match = false};
    if (value.len <= AUTH_HEADER_MAX) {
        read_hmac_header(&policy->signature, value, &shown);
    }
    for (size_t i = 0; i < policy->secrets.count; i++) {
        compare_signatures(policy->secrets.items[i], &request->body, 1, &shown, &comparison);
    }
    return result_of(&comparison, value.len > 0, AUTH_SIGNATURE_MISSING, AUTH_SIGNATURE_WRONG);
}

struct slice auth_standard_key(struct slice secret, uint8_t room[LIMIT_SECRET_FILE]) {
    size_t room_len = LIMIT_SECRET_FILE;
    struct slice prefix = SLICE("whsec_");
    if (!slice_starts_with(secret, prefix)) {
        return secret;
    }
    if (!crypto_base64_decode(slice_from(secret, prefix.len), room, &room_len)) {
        return SLICE_EMPTY;
    }
    return (struct slice){.data = (const char *)room, .len = room_len};
}

static void compare_standard(struct slice secret, const struct slice *parts, size_t part_count,
                             const struct shown_signatures *shown, struct comparison *comparison) {
    uint8_t room[LIMIT_SECRET_FILE];
    compare_signatures(auth_standard_key(secret, room), parts, part_count, shown, comparison);
    crypto_wipe(room, sizeof room);
}

static bool in_time(struct slice timestamp, int64_t received_at) {
    int64_t seconds;
    int64_t now = received_at / TIMESTAMP_SECOND;
    return slice_to_int64(timestamp, &seconds) && seconds >= now - TIMESTAMP_TOLERANCE &&
           seconds <= now + TIMESTAMP_TOLERANCE;
}

static enum auth_result check_standard_webhooks(const struct auth_policy *policy,
                                                const struct auth_request *request) {
    struct shown_signatures shown = {.count = 0};
    struct slice id = request_header(request, SLICE_OF("webhook-id"));
    struct slice timestamp = request_header(request, SLICE_OF("webhook-timestamp"));
    struct slice list = signatures_of(request, SLICE_OF("webhook-signature"));
    const struct slice parts[] = {id, SLICE("."), timestamp, SLICE("."), request->body};
    struct comparison comparison = {.match = false};
    if (list.len <= AUTH_HEADER_MAX) {
        read_standard_header(list, &shown);
    }
    for (size_t i = 0; i < policy->secrets.count; i++) {
        compare_standard(policy->secrets.items[i], parts, ARRAY_LEN(parts), &shown, &comparison);
    }
    bool present = id.len > 0 && timestamp.len > 0 && list.len > 0;
    enum auth_result result =
        result_of(&comparison, present, AUTH_SIGNATURE_MISSING, AUTH_SIGNATURE_WRONG);
    return result != AUTH_OK || in_time(timestamp, request->received_at) ? result : AUTH_TIMESTAMP;
}

/* ---- the kinds ---- */

static enum auth_result check_address(const struct auth_policy *policy,
                                      const struct auth_request *request) {
    bool allowed = address_in(&request->client, policy->allow_from, policy->allow_from_count);
    return policy->allow_from_count == 0 || allowed ? AUTH_OK : AUTH_ADDRESS;
}

static bool demands_bare_credential(const struct auth_policy *policy) {
    return policy->basic.count + policy->bearer.count + policy->headers.count +
               policy->url_tokens.count >
           0;
}

static enum auth_result check_transport(const struct auth_policy *policy,
                                        const struct auth_request *request) {
    return request->https || !demands_bare_credential(policy) ? AUTH_OK : AUTH_PLAIN_HTTP;
}

enum auth_result auth_check_signature(const struct auth_policy *policy,
                                      const struct auth_request *request) {
    switch (policy->signature.kind) {
    case SIGNATURE_NONE:
        return AUTH_OK;
    case SIGNATURE_HMAC_SHA256:
        return check_hmac(policy, request);
    case SIGNATURE_STANDARD_WEBHOOKS:
        return check_standard_webhooks(policy, request);
    }
    return AUTH_SIGNATURE_WRONG;
}

static enum auth_result check_basic(const struct auth_policy *policy,
                                    const struct auth_request *request) {
    uint8_t decoded[AUTH_HEADER_MAX / 4 * 3 + 3];
    size_t len = sizeof decoded;
    if (policy->basic.count == 0) {
        return AUTH_OK;
    }
    struct slice authorization = authorization_of(request);
    struct slice text = credentials_of(authorization, SLICE_OF("Basic"));
    bool readable = crypto_base64_decode(text, decoded, &len);
    struct slice shown = {.data = (const char *)decoded, .len = readable ? len : 0};
    struct comparison comparison = {.match = false};
    compare_values(&policy->basic, shown, &comparison);
    crypto_wipe(decoded, sizeof decoded);
    return credential_result(&comparison, authorization.len > 0);
}

static enum auth_result check_bearer(const struct auth_policy *policy,
                                     const struct auth_request *request) {
    if (policy->bearer.count == 0) {
        return AUTH_OK;
    }
    struct slice authorization = authorization_of(request);
    struct comparison comparison = {.match = false};
    compare_values(&policy->bearer, auth_bearer_token(authorization), &comparison);
    return credential_result(&comparison, authorization.len > 0);
}

static enum auth_result check_headers(const struct auth_policy *policy,
                                      const struct auth_request *request) {
    bool present = false;
    struct comparison comparison = {.match = false};
    for (size_t i = 0; i < policy->headers.count; i++) {
        struct slice name, value;
        (void)slice_split(policy->headers.items[i], ':', &name, &value);
        value = slice_trim(value);
        struct slice shown = request_header(request, slice_trim(name));
        present |= shown.len > 0;
        compare_values(&(struct auth_values){.items = &value, .count = 1}, shown, &comparison);
    }
    return policy->headers.count == 0 ? AUTH_OK : credential_result(&comparison, present);
}

static enum auth_result check_url_token(const struct auth_policy *policy,
                                        const struct auth_request *request) {
    struct comparison comparison = {.match = false};
    compare_values(&policy->url_tokens, request->url_token, &comparison);
    bool nothing_asked_or_shown = policy->url_tokens.count == 0 && request->url_token.len == 0;
    return nothing_asked_or_shown ? AUTH_OK : result_of(&comparison, true, AUTH_OK, AUTH_URL_TOKEN);
}

/* What the signatures of another policy would have cost beyond those of this one. */
static void spend_hmacs(const struct auth_policy *policy, struct slice body) {
    static const struct slice key = SLICE("no signature is demanded here");
    uint8_t digest[SHA256_LEN];
    size_t spent = policy->signature.kind == SIGNATURE_NONE ? 0 : policy->secrets.count;
    size_t cost = policy->refusal_hmacs > 0 ? policy->refusal_hmacs : 1;
    for (; spent < cost; spent++) {
        (void)!crypto_hmac_sha256(key, &body, 1, digest);
    }
}

bool auth_policy_has_credential(const struct auth_policy *policy) {
    bool is_signed = policy->signature.kind != SIGNATURE_NONE && policy->secrets.count > 0;
    return is_signed || demands_bare_credential(policy);
}

enum auth_result auth_check(const struct auth_policy *policy, const struct auth_request *request) {
    static enum auth_result (*const checks[])(const struct auth_policy *,
                                              const struct auth_request *) = {
        check_address, check_transport, auth_check_signature, check_basic,
        check_bearer,  check_headers,   check_url_token,
    };
    enum auth_result first = AUTH_OK;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        enum auth_result result = checks[i](policy, request);
        first = first == AUTH_OK || result == AUTH_UNABLE ? result : first;
    }
    if (first == AUTH_OK && !auth_policy_has_credential(policy)) {
        first = AUTH_CREDENTIAL_MISSING;
    }
    if (first != AUTH_OK) {
        spend_hmacs(policy, request->body);
    }
    return first;
}

const char *auth_result_name(enum auth_result result) {
    static const char *const names[] = {
        [AUTH_OK] = "ok",
        [AUTH_ADDRESS] = "address",
        [AUTH_PLAIN_HTTP] = "plain_http",
        [AUTH_SIGNATURE_MISSING] = "signature_missing",
        [AUTH_SIGNATURE_WRONG] = "signature_wrong",
        [AUTH_TIMESTAMP] = "timestamp",
        [AUTH_CREDENTIAL_MISSING] = "credential_missing",
        [AUTH_CREDENTIAL_WRONG] = "credential_wrong",
        [AUTH_URL_TOKEN] = "url_token",
        [AUTH_UNKNOWN_SOURCE] = "unknown_source",
        [AUTH_WRONG_MODE] = "wrong_mode",
        [AUTH_UNABLE] = "unable",
    };
    static_assert(ARRAY_LEN(names) == AUTH_UNABLE + 1, "a result without a name");
    return (size_t)result < ARRAY_LEN(names) ? names[result] : "unknown";
}

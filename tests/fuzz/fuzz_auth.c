/*
 * Who may come in. The first bytes choose a policy, then come lines "Name: value" of a request, an
 * empty line, and its body.
 *
 * The secrets are made of a digest of the whole input, so that no input can hold them: what the
 * input itself shows must never pass. The right credentials beside it always pass; with any one of
 * them replaced by what the input shows they do not.
 */
#include "fuzz.h"

#include "adapter/crypto.h"
#include "base/hex.h"
#include "base/timestamp.h"
#include "domain/auth.h"

#define NOW INT64_C(1700000000)
#define HEADERS_MAX 24
#define SECRETS_MAX 3

struct header {
    struct slice name, value;
};

/* One request: the right headers first, which hide those of the input. */
struct shown {
    struct header headers[HEADERS_MAX];
    size_t count;
};

struct scene {
    struct slice input, body;
    char secrets[SECRETS_MAX][2 * SHA256_LEN + 1];
    char encoded[SECRETS_MAX][128]; /* "whsec_" and base64 */
    char header_line[128], basic[128];
    struct slice secret_values[SECRETS_MAX], one_value[4];
    struct auth_policy policy;
    struct address_range range;
    struct address inside;
    struct shown from_input;
    size_t right; /* which of the secrets signs */
};

static struct slice header_of(const void *context, struct slice name) {
    const struct shown *shown = context;
    for (size_t i = 0; i < shown->count; i++) {
        if (slice_eq_nocase(shown->headers[i].name, name))
            return shown->headers[i].value;
    }
    return SLICE_EMPTY;
}

static void add_header(struct shown *shown, struct slice name, struct slice value) {
    if (shown->count < HEADERS_MAX)
        shown->headers[shown->count++] = (struct header){name, value};
}

static void base64(const uint8_t *bytes, size_t len, struct strbuf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= i + 2 < len ? bytes[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            strbuf_add_char(out, i + k > len ? '=' : digits[group >> (18 - 6 * k) & 63]);
    }
}

/* ---- the scene: secrets, policy, the input's request ---- */

static void make_secrets(struct scene *s) {
    for (uint8_t i = 0; i < SECRETS_MAX; i++) {
        uint8_t digest[SHA256_LEN];
        struct strbuf text = STRBUF_INIT(sizeof(s->encoded[i]));
        REQUIRE(crypto_hmac_sha256((struct slice){(char *)&i, 1}, &s->input, 1, digest));
        hex_encode(digest, sizeof(digest), s->secrets[i]);
        strbuf_add_cstr(&text, "whsec_");
        base64(digest, sizeof(digest), &text);
        REQUIRE(!strbuf_failed(&text) && text.len < sizeof(s->encoded[i]));
        memcpy(s->encoded[i], text.data, text.len);
        strbuf_free(&text);
    }
}

static struct auth_values one(struct scene *s, size_t at, struct slice value) {
    s->one_value[at] = value;
    return (struct auth_values){&s->one_value[at], 1};
}

static void choose_signature(struct scene *s, uint8_t choice, uint8_t count) {
    static const struct auth_signature signatures[] = {
        {.kind = SIGNATURE_NONE},
        {.kind = SIGNATURE_HMAC_SHA256, .header = SLICE("X-Signature"), .prefix = SLICE("sha256=")},
        {.kind = SIGNATURE_HMAC_SHA256, .header = SLICE("X-Signature")},
        {.kind = SIGNATURE_HMAC_SHA256,
         .header = SLICE("X-Signature"),
         .prefix = SLICE("v0="),
         .encoding = ENCODING_BASE64},
        {.kind = SIGNATURE_STANDARD_WEBHOOKS},
    };
    s->policy.signature = signatures[choice % ARRAY_LEN(signatures)];
    if (s->policy.signature.kind == SIGNATURE_NONE)
        return;
    s->policy.secrets = (struct auth_values){s->secret_values, 1 + count % SECRETS_MAX};
    s->right = count / SECRETS_MAX % s->policy.secrets.count;
    for (size_t i = 0; i < SECRETS_MAX; i++) {
        bool plain =
            s->policy.signature.kind != SIGNATURE_STANDARD_WEBHOOKS || (count >> 5 & 1) == 1;
        s->secret_values[i] = slice_from_cstr(plain ? s->secrets[i] : s->encoded[i]);
    }
}

static void choose_credentials(struct scene *s, uint8_t choice) {
    (void)snprintf(s->basic, sizeof(s->basic), "shop:%s", s->secrets[0]);
    (void)snprintf(s->header_line, sizeof(s->header_line), "X-Api-Key: %s", s->secrets[0]);
    if ((choice & 3) == 1)
        s->policy.basic = one(s, 0, slice_from_cstr(s->basic));
    if ((choice & 3) == 2)
        s->policy.bearer = one(s, 1, slice_from_cstr(s->secrets[0]));
    if (choice & 4)
        s->policy.headers = one(s, 2, slice_from_cstr(s->header_line));
    if (choice & 8)
        s->policy.url_tokens = one(s, 3, slice_from_cstr(s->secrets[0]));
    if (choice & 16) {
        REQUIRE(address_range_parse(SLICE_OF("203.0.113.0/24"), &s->range));
        s->policy.allow_from = &s->range;
        s->policy.allow_from_count = 1;
    }
    REQUIRE(address_parse(SLICE_OF("203.0.113.7"), &s->inside));
}

static void read_request(struct scene *s, struct slice rest) {
    struct slice line = fuzz_line(&rest);
    while (line.len) {
        struct header header;
        (void)slice_split(line, ':', &header.name, &header.value);
        add_header(&s->from_input, header.name, header.value);
        line = fuzz_line(&rest);
    }
    s->body = rest;
}

/* ---- the right credentials ---- */

/* Texts of one request; freed together. */
struct right {
    struct strbuf signature, authorization;
    struct shown shown;
    struct slice url_token;
};

static void sign(const struct scene *s, struct slice body, struct strbuf *out) {
    static const struct slice id = SLICE("msg_1"), when = SLICE("1700000100"), dot = SLICE(".");
    const struct auth_signature *signature = &s->policy.signature;
    bool standard = signature->kind == SIGNATURE_STANDARD_WEBHOOKS;
    struct slice parts[] = {id, dot, when, dot, body}, key = s->secret_values[s->right];
    uint8_t digest[SHA256_LEN], room[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    size_t len = sizeof(room);
    if (standard && slice_starts_with(key, SLICE_OF("whsec_"))) {
        REQUIRE(crypto_base64_decode(slice_from(key, 6), room, &len));
        key = (struct slice){(char *)room, len};
    }
    REQUIRE(
        crypto_hmac_sha256(key, standard ? parts : &body, standard ? ARRAY_LEN(parts) : 1, digest));
    hex_encode(digest, sizeof(digest), hex);
    strbuf_add_slice(out, standard ? SLICE_OF("v1a,AAAA v1,") : signature->prefix);
    if (standard || signature->encoding == ENCODING_BASE64)
        base64(digest, sizeof(digest), out);
    else
        strbuf_add_cstr(out, hex);
}

static void add_signature(const struct scene *s, struct slice body, struct right *right) {
    if (s->policy.signature.kind == SIGNATURE_NONE)
        return;
    sign(s, body, &right->signature);
    struct slice value = strbuf_slice(&right->signature);
    if (s->policy.signature.kind == SIGNATURE_HMAC_SHA256) {
        add_header(&right->shown, s->policy.signature.header, value);
        return;
    }
    add_header(&right->shown, SLICE_OF("Webhook-Id"), SLICE_OF("msg_1"));
    add_header(&right->shown, SLICE_OF("Webhook-Timestamp"), SLICE_OF("1700000100"));
    add_header(&right->shown, SLICE_OF("Webhook-Signature"), value);
}

static void add_authorization(const struct scene *s, struct right *right) {
    if (s->policy.basic.count) {
        strbuf_add_cstr(&right->authorization, "bASIC  ");
        base64((const uint8_t *)s->basic, strlen(s->basic), &right->authorization);
    } else if (s->policy.bearer.count) {
        strbuf_add_cstr(&right->authorization, " Bearer ");
        strbuf_add_cstr(&right->authorization, s->secrets[0]);
    } else {
        return;
    }
    add_header(&right->shown, SLICE_OF("Authorization"), strbuf_slice(&right->authorization));
}

enum piece { PIECE_NONE, PIECE_SIGNATURE, PIECE_AUTHORIZATION, PIECE_HEADER, PIECE_URL_TOKEN };

/* All that the policy demands but LEFT_OUT, and behind it what the input shows. */
static void make_right(const struct scene *s, enum piece left_out, struct right *right) {
    *right = (struct right){.signature = STRBUF_INIT(256), .authorization = STRBUF_INIT(256)};
    if (left_out != PIECE_SIGNATURE)
        add_signature(s, s->body, right);
    if (left_out != PIECE_AUTHORIZATION)
        add_authorization(s, right);
    if (left_out != PIECE_HEADER && s->policy.headers.count)
        add_header(&right->shown, SLICE_OF("x-api-key"), slice_from_cstr(s->secrets[0]));
    if (left_out != PIECE_URL_TOKEN && s->policy.url_tokens.count)
        right->url_token = slice_from_cstr(s->secrets[0]);
    REQUIRE(!strbuf_failed(&right->signature) && !strbuf_failed(&right->authorization));
    for (size_t i = 0; i < s->from_input.count; i++)
        add_header(&right->shown, s->from_input.headers[i].name, s->from_input.headers[i].value);
}

static void free_right(struct right *right) {
    strbuf_free(&right->signature);
    strbuf_free(&right->authorization);
}

static bool demands(const struct auth_policy *policy, enum piece piece) {
    switch (piece) {
    case PIECE_SIGNATURE:
        return policy->signature.kind != SIGNATURE_NONE;
    case PIECE_AUTHORIZATION:
        return policy->basic.count + policy->bearer.count > 0;
    case PIECE_HEADER:
        return policy->headers.count > 0;
    case PIECE_URL_TOKEN:
        return policy->url_tokens.count > 0;
    case PIECE_NONE:
        break;
    }
    return false;
}

static struct auth_request request_of(const struct scene *s, const struct shown *shown) {
    return (struct auth_request){.header = header_of,
                                 .context = shown,
                                 .body = s->body,
                                 .client = s->inside,
                                 .https = true,
                                 .received_at = NOW * TIMESTAMP_SECOND};
}

/* ---- what must hold ---- */

static void check_what_the_input_shows(const struct scene *s) {
    struct auth_request request = request_of(s, &s->from_input);
    request.url_token = s->from_input.count ? s->from_input.headers[0].value : SLICE_EMPTY;
    enum auth_result result = auth_check(&s->policy, &request);
    REQUIRE(result != AUTH_OK && result != AUTH_TIMESTAMP);
    REQUIRE(strcmp(auth_result_name(result), "unknown") != 0);
}

static void check_right_ones(const struct scene *s) {
    struct right right;
    make_right(s, PIECE_NONE, &right);
    struct auth_request request = request_of(s, &right.shown);
    request.url_token = right.url_token;
    bool credential = auth_policy_has_credential(&s->policy);
    REQUIRE(auth_check(&s->policy, &request) == (credential ? AUTH_OK : AUTH_CREDENTIAL_MISSING));
    request.client = (struct address){.is_set = false};
    REQUIRE(s->policy.allow_from_count == 0 || auth_check(&s->policy, &request) == AUTH_ADDRESS);
    request.client = s->inside;
    request.https = false;
    if (demands(&s->policy, PIECE_AUTHORIZATION) || demands(&s->policy, PIECE_HEADER) ||
        demands(&s->policy, PIECE_URL_TOKEN))
        REQUIRE(auth_check(&s->policy, &request) == AUTH_PLAIN_HTTP);
    free_right(&right);
}

static void check_one_left_out(const struct scene *s, enum piece piece) {
    struct right right;
    if (!demands(&s->policy, piece))
        return;
    make_right(s, piece, &right);
    struct auth_request request = request_of(s, &right.shown);
    request.url_token = right.url_token;
    REQUIRE(auth_check(&s->policy, &request) != AUTH_OK);
    free_right(&right);
}

/* Another body, another time: the signature does not fit any more. */
static void check_signature_is_of_this(const struct scene *s) {
    struct right right;
    if (!demands(&s->policy, PIECE_SIGNATURE))
        return;
    make_right(s, PIECE_NONE, &right);
    struct auth_request request = request_of(s, &right.shown);
    request.url_token = right.url_token;
    struct slice body = fuzz_exact(s->body);
    if (body.len) {
        ((char *)(uintptr_t)body.data)[body.len / 2] ^= 1;
        request.body = body;
        REQUIRE(auth_check(&s->policy, &request) == AUTH_SIGNATURE_WRONG);
        request.body = slice_from(s->body, 1);
        REQUIRE(auth_check(&s->policy, &request) == AUTH_SIGNATURE_WRONG);
    }
    request.body = s->body;
    request.received_at += 1000 * TIMESTAMP_SECOND;
    if (s->policy.signature.kind == SIGNATURE_STANDARD_WEBHOOKS)
        REQUIRE(auth_check(&s->policy, &request) == AUTH_TIMESTAMP);
    fuzz_release(body);
    free_right(&right);
}

/* ---- addresses ---- */

static void check_address(struct slice text) {
    struct address address, again;
    struct address_range range;
    if (address_parse(text, &address)) {
        char printed[64];
        REQUIRE(address.is_set);
        address_format(&address, printed, sizeof(printed));
        REQUIRE(address_parse(slice_from_cstr(printed), &again));
        REQUIRE(again.is_set && memcmp(address.bytes, again.bytes, sizeof(address.bytes)) == 0);
        REQUIRE(address_range_parse(slice_from_cstr(printed), &range));
        REQUIRE(address_in(&address, &range, 1));
    } else {
        REQUIRE(!address.is_set);
    }
    if (address_range_parse(text, &range)) {
        REQUIRE(range.prefix_bits <= 128);
        REQUIRE(address_in(&range.network, &range, 1));
    }
}

/* Whom X-Forwarded-For names is never a trusted proxy, unless all of them are. */
static void check_forwarded(const struct scene *s, struct slice list) {
    struct address_range trusted;
    REQUIRE(address_range_parse(SLICE_OF("203.0.113.0/24"), &trusted));
    struct address client = address_of_client(&s->inside, list, &trusted, 1), leftmost;
    struct slice first, rest;
    (void)slice_split(list, ',', &first, &rest);
    if (client.is_set && address_in(&client, &trusted, 1) && slice_trim(list).len)
        REQUIRE(address_parse(first, &leftmost) && address_in(&leftmost, &trusted, 1));
    client = address_of_client(&s->inside, list, NULL, 0);
    REQUIRE(client.is_set && memcmp(client.bytes, s->inside.bytes, sizeof(client.bytes)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct scene *s = fuzz_memory(sizeof(*s));
    struct slice rest = s->input = fuzz_input(data, size);
    uint8_t signature = fuzz_byte(&rest), count = fuzz_byte(&rest), credentials = fuzz_byte(&rest);
    make_secrets(s);
    choose_signature(s, signature, count);
    choose_credentials(s, credentials);
    read_request(s, rest);
    check_what_the_input_shows(s);
    check_right_ones(s);
    for (enum piece piece = PIECE_SIGNATURE; piece <= PIECE_URL_TOKEN; piece++)
        check_one_left_out(s, piece);
    check_signature_is_of_this(s);
    for (size_t i = 0; i < s->from_input.count; i++) {
        struct slice value = s->from_input.headers[i].value;
        check_address(value);
        check_forwarded(s, value);
        REQUIRE(fuzz_within(auth_bearer_token(value), value) || !auth_bearer_token(value).len);
    }
    free(s);
    return 0;
}

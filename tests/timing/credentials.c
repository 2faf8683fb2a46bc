/*
 * Every way of comparing a credential, for valgrind to look at (tests/timing/check.sh).
 *
 *   credentials memory CONFIG [plant]   under memcheck: the secrets of CONFIG count as undefined,
 * so every branch and every look-up that depends on one is an error. plant: one comparison of the
 * ordinary kind more, which must be found. credentials cost CONFIG             under callgrind:
 * what each refusal costs, a dump a row
 *
 * Two results are declared public, because they decide the answer: whether two digests are equal,
 * and whether a secret is base64. The linker puts the functions below in their place
 * (--wrap), and they call the real ones, which are looked at like the rest.
 */
#include "adapter/crypto.h"
#include "app/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>
#include <valgrind/memcheck.h>

#define BODY_LEN 65536
#define FIELDS_MAX 4
#define PLACE_LEN 128

bool real_crypto_equal(struct slice a, struct slice b) __asm__("__real_crypto_equal");
bool wrapped_crypto_equal(struct slice a, struct slice b) __asm__("__wrap_crypto_equal");
bool real_base64_decode(struct slice text, uint8_t *bytes,
                        size_t *len) __asm__("__real_crypto_base64_decode");
bool wrapped_base64_decode(struct slice text, uint8_t *bytes,
                           size_t *len) __asm__("__wrap_crypto_base64_decode");

bool wrapped_crypto_equal(struct slice a, struct slice b) {
    bool equal = real_crypto_equal(a, b);
    (void)VALGRIND_MAKE_MEM_DEFINED(&equal, sizeof equal);
    return equal;
}

bool wrapped_base64_decode(struct slice text, uint8_t *bytes, size_t *len) {
    bool valid = real_base64_decode(text, bytes, len);
    (void)VALGRIND_MAKE_MEM_DEFINED(&valid, sizeof valid);
    return valid;
}

/* ---- what is shown ---- */

struct field {
    struct slice name, value;
};

struct row {
    const char *what;
    const char *source; /* of CONFIG; any other is the stand-in's */
    struct field fields[FIELDS_MAX];
    struct slice url_token;
};

#define ZEROS "000000000000000000000000000000"
#define HEX_SIGNATURE(first, last) SLICE("sha256=" first ZEROS ZEROS last)
#define BASE64_SIGNATURE SLICE("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
#define CROSSBORDERLY(value)                                                                       \
    {                                                                                              \
        { SLICE("X-CrossBorderly-Signature"), value }                                              \
    }
#define STANDARD(value)                                                                            \
    {                                                                                              \
        {SLICE("webhook-id"), SLICE("msg_1")}, {SLICE("webhook-timestamp"), SLICE("1700000000")},  \
            {SLICE("webhook-signature"), value},                                                   \
    }
#define AUTHORIZATION(value)                                                                       \
    {                                                                                              \
        { SLICE("Authorization"), SLICE(value) }                                                   \
    }
#define KEY(first, last) first "eyeyeyeyeyeyeyeyeyeyeyeyeyeyey" last

/* The secrets that CONFIG has are "keyey…k": values differ from them at the first byte, at the last
 * one, or not at all. */
static const struct row rows[] = {
    {"signature, first byte", "signed", CROSSBORDERLY(HEX_SIGNATURE("11", "00")), SLICE("")},
    {"signature, last byte", "signed", CROSSBORDERLY(HEX_SIGNATURE("00", "11")), SLICE("")},
    {"one of two secrets", "rotated", CROSSBORDERLY(HEX_SIGNATURE("00", "11")), SLICE("")},
    {"standard webhooks", "standard", STANDARD(BASE64_SIGNATURE), SLICE("")},
    /* "shop:xey…k", "shop:key…x", "shop:key…k" */
    {"basic, first byte", "basic",
     AUTHORIZATION("Basic c2hvcDp4ZXlleWV5ZXlleWV5ZXlleWV5ZXlleWV5ZXlleWV5aw=="), SLICE("")},
    {"basic, last byte", "basic",
     AUTHORIZATION("Basic c2hvcDprZXlleWV5ZXlleWV5ZXlleWV5ZXlleWV5ZXlleWV5eA=="), SLICE("")},
    {"bearer, first byte", "bearer", AUTHORIZATION("Bearer " KEY("x", "k")), SLICE("")},
    {"bearer, last byte", "bearer", AUTHORIZATION("Bearer " KEY("k", "x")), SLICE("")},
    {"header, first byte", "header", {{SLICE("X-Api-Key"), SLICE(KEY("x", "k"))}}, SLICE("")},
    {"header, last byte", "header", {{SLICE("X-Api-Key"), SLICE(KEY("k", "x"))}}, SLICE("")},
    {"URL token, first byte", "token", {{SLICE(""), SLICE("")}}, SLICE(KEY("x", "k"))},
    {"URL token, last byte", "token", {{SLICE(""), SLICE("")}}, SLICE(KEY("k", "x"))},
    {"unknown source, signature", "nobody", CROSSBORDERLY(HEX_SIGNATURE("11", "00")), SLICE("")},
    {"unknown source, basic", "nobody",
     AUTHORIZATION("Basic c2hvcDp4ZXlleWV5ZXlleWV5ZXlleWV5ZXlleWV5ZXlleWV5aw=="), SLICE("")},
    {"unknown source, URL token", "nobody", {{SLICE(""), SLICE("")}}, SLICE(KEY("x", "k"))},
};

static struct slice field_of(const void *context, struct slice name) {
    const struct row *row = context;
    for (size_t i = 0; i < FIELDS_MAX; i++) {
        if (row->fields[i].name.len > 0 && slice_eq_nocase(row->fields[i].name, name)) {
            return row->fields[i].value;
        }
    }
    return SLICE_EMPTY;
}

/* ROW with its texts at places that are the same for all rows: how the C library goes over a text
 * depends on its address. */
static struct row in_place(const struct row *row) {
    static _Alignas(64) char places[FIELDS_MAX + 1][PLACE_LEN];
    struct row copy = *row;
    for (size_t i = 0; i <= FIELDS_MAX; i++) {
        struct slice *text = i < FIELDS_MAX ? &copy.fields[i].value : &copy.url_token;
        if (text->len > 0) {
            memcpy(places[i], text->data, text->len);
            text->data = places[i];
        }
    }
    return copy;
}

static enum auth_result check(const struct settings *settings, const struct row *shown) {
    static char body[BODY_LEN];
    const struct row copy = in_place(shown), *row = &copy;
    const struct source *source = settings_source(settings, slice_from_cstr(row->source));
    struct auth_request request = {
        .header = field_of,
        .context = row,
        .body = {.data = body, .len = sizeof body},
        .url_token = row->url_token,
        .https = true,
        .received_at = INT64_C(1700000000000000),
    };
    return auth_check(source != NULL ? &source->policy : &settings->decoy.policy, &request);
}

/* ---- memory ---- */

/* All of TEXT but its first SKIP bytes and its last END. */
static void hide(struct slice text, size_t skip, size_t end) {
    (void)VALGRIND_MAKE_MEM_UNDEFINED(text.data + skip, text.len - skip - end);
}

static void hide_all(const struct auth_values *values, size_t skip, size_t end) {
    for (size_t i = 0; i < values->count; i++) {
        hide(values->items[i], skip, end);
    }
}

/* What is no secret stays: "whsec_" and the padding of base64, a header's name. A header's value is
 * trimmed, so whether its ends are spaces is public too. */
static void hide_policy(const struct auth_policy *policy) {
    bool standard = policy->signature.kind == SIGNATURE_STANDARD_WEBHOOKS;
    hide_all(&policy->secrets, standard ? strlen("whsec_") : 0, standard ? 2 : 0);
    hide_all(&policy->basic, 0, 0);
    hide_all(&policy->bearer, 0, 0);
    hide_all(&policy->headers, strlen("X-Api-Key: k"), 1);
    hide_all(&policy->url_tokens, 0, 0);
}

static void hide_secrets(const struct settings *settings) {
    for (size_t i = 0; i < settings->source_count; i++) {
        hide_policy(&settings->sources[i].policy);
    }
    hide_policy(&settings->decoy.policy);
    for (size_t i = 0; i < settings->client_count; i++) {
        (void)VALGRIND_MAKE_MEM_UNDEFINED(settings->clients[i].token_sha256, SHA256_LEN);
    }
}

static int look_at_memory(const struct settings *settings, bool plant) {
    size_t refused = 0;
    hide_secrets(settings);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        refused += check(settings, &rows[i]) != AUTH_OK;
    }
    const struct client *client;
    refused += settings_client(settings, SLICE_OF("a wrong token"), &client) && client == NULL;
    /* The right ones go the same way. */
    static const struct row right[] = {
        {"bearer", "bearer", AUTHORIZATION("Bearer " KEY("k", "k")), SLICE("")},
        {"basic", "basic",
         AUTHORIZATION("Basic c2hvcDprZXlleWV5ZXlleWV5ZXlleWV5ZXlleWV5ZXlleWV5aw=="), SLICE("")},
    };
    size_t accepted = 0;
    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        accepted += check(settings, &right[i]) == AUTH_OK;
    }
    if (plant) {
        const struct auth_policy *policy = &settings_source(settings, SLICE_OF("bearer"))->policy;
        accepted += slice_eq(policy->bearer.items[0], SLICE_OF(KEY("k", "k")));
    }
    printf("%zu refused, %zu accepted\n", refused, accepted);
    return refused == ARRAY_LEN(rows) + 1 && accepted >= ARRAY_LEN(right) ? 0 : 1;
}

/* ---- cost ---- */

static int look_at_cost(const struct settings *settings) {
    for (int warm = 1; warm >= 0; warm--) {
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            CALLGRIND_ZERO_STATS;
            enum auth_result result = check(settings, &rows[i]);
            if (warm == 0) {
                CALLGRIND_DUMP_STATS_AT(rows[i].what);
            }
            if (result == AUTH_OK) {
                return 1;
            }
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    struct err err = ERR_INIT;
    if (argc < 3) {
        fprintf(stderr, "usage: credentials memory|cost CONFIG [plant]\n");
        return 2;
    }
    struct settings *settings = settings_load(argv[2], PART_WEBHOOK, &err);
    if (settings == NULL) {
        fprintf(stderr, "credentials: %s\n", err.message);
        return 2;
    }
    int code =
        strcmp(argv[1], "cost") == 0 ? look_at_cost(settings) : look_at_memory(settings, argc > 3);
    settings_free(settings);
    return code;
}

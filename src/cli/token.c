/* waybill token: a new token for a client of the status endpoint. */
#include "cli/command.h"
#include "cli/output.h"

#include "adapter/crypto.h"
#include "app/program.h"
#include "app/settings.h"
#include "base/hex.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_BYTES 24

/* The lines for the configuration. */
static void add_section(struct strbuf *out, const char *name, const char *scope,
                        const char *sources, const char *digest) {
    struct slice rest = slice_from_cstr(sources), one;
    strbuf_addf(out, "client %s {\n    token_sha256 = \"%s\"\n    scope = %s\n    sources = {",
                name, digest, scope);
    for (bool more = true, first = true; more; first = false) {
        struct slice all = rest;
        more = slice_split(all, ',', &one, &rest);
        strbuf_addf(out, "%s\"%.*s\"", first ? "" : ", ", SLICE_ARGS(slice_trim(one)));
    }
    strbuf_add_cstr(out, "}\n}\n");
}

static bool print_json(const char *token, const char *digest, struct slice section) {
    struct strbuf out = STRBUF_INIT(64 * 1024);
    struct json_writer writer;
    json_writer_init(&writer, &out);
    json_begin_object(&writer, NULL);
    json_put_text(&writer, "token", slice_from_cstr(token));
    json_put_text(&writer, "token_sha256", slice_from_cstr(digest));
    json_put_text(&writer, "configuration", section);
    json_end_object(&writer);
    return output_json(&out);
}

static bool are_sources(const char *list) {
    struct slice rest = slice_from_cstr(list), one;
    bool more = true, ok = true;
    while (more && ok) {
        struct slice all = rest;
        more = slice_split(all, ',', &one, &rest);
        one = slice_trim(one);
        ok = slice_eq(one, SLICE_OF("*")) || source_name_is_valid(one);
    }
    return ok;
}

static int run_token(const struct invocation *invocation) {
    const char *name = invocation->operand_count > 0 ? invocation->operands[0] : "shop";
    const char *scope = option_value(invocation, "scope");
    const char *sources = option_value(invocation, "sources");
    uint8_t bytes[TOKEN_BYTES], digest[SHA256_LEN];
    char token[2 * TOKEN_BYTES + 1], digest_text[2 * SHA256_LEN + 1];
    struct err err = ERR_INIT;
    scope = scope != NULL ? scope : "tracking";
    sources = sources != NULL ? sources : "*";
    if (strcmp(scope, "tracking") != 0 && strcmp(scope, "full") != 0) {
        return command_misused(invocation, "--scope is tracking or full");
    }
    if (!are_sources(sources)) {
        return command_misused(invocation, "--sources is * or names of sources with commas");
    }
    if (!source_name_is_valid(slice_from_cstr(name))) {
        return command_misused(invocation, "a client's name is like a source's: shop, shop-2");
    }
    if (!crypto_random(bytes, sizeof(bytes))) {
        err_set(&err, ERR_SYSTEM, "the kernel gives no randomness");
        return command_failed(&err);
    }
    hex_encode(bytes, sizeof(bytes), token);
    if (!crypto_sha256(slice_from_cstr(token), digest)) {
        err_set(&err, ERR_SYSTEM, "hashing failed");
        return command_failed(&err);
    }
    hex_encode(digest, sizeof(digest), digest_text);
    struct strbuf section = STRBUF_INIT(64 * 1024);
    add_section(&section, name, scope, sources, digest_text);
    bool ok = !strbuf_failed(&section);
    if (ok && invocation->json) {
        ok = print_json(token, digest_text, strbuf_slice(&section));
    } else if (ok) {
        printf("%s\n\n%.*s", token, SLICE_ARGS(strbuf_slice(&section)));
    }
    strbuf_free(&section);
    crypto_wipe(token, sizeof(token));
    crypto_wipe(bytes, sizeof(bytes));
    return ok ? EXIT_DONE : EXIT_FAILED;
}

const struct command token_command = {
    .name = "token",
    .operands = "[CLIENT]",
    .most_operands = 1,
    .summary = "make a new token for a client of the status endpoint",
    .details = "The first line is the token, which is shown this once; the rest goes into the "
               "configuration, which holds its SHA-256 alone.",
    .takes_json = true,
    .options = {{"scope", "tracking|full", "tracking (no personal data) unless given"},
                {"sources", "NAMES", "which sources it may see, with commas; * unless given"}},
    .examples = {"waybill token shop",
                 "waybill token support --scope full --sources crossborderly,shipup"},
    .run = run_token,
};

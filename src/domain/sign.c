#include "domain/sign.h"

#include "adapter/crypto.h"
#include "base/hex.h"
#include "base/timestamp.h"

static void add_base64(struct strbuf *out, struct slice bytes) {
    size_t len = CRYPTO_BASE64_LEN(bytes.len);
    char *text = strbuf_reserve(out, len + 1);
    if (text != NULL) {
        crypto_base64_encode(bytes, text);
        strbuf_commit(out, len);
    }
}

static void add_digest(struct strbuf *out, const uint8_t digest[SHA256_LEN],
                       enum signature_encoding encoding) {
    char hex[2 * SHA256_LEN + 1];
    if (encoding == ENCODING_HEX) {
        hex_encode(digest, SHA256_LEN, hex);
        strbuf_add_cstr(out, hex);
    } else {
        add_base64(out, (struct slice){(const char *)digest, SHA256_LEN});
    }
}

static bool add_hmac(const struct auth_policy *policy, const struct sign_message *message,
                     struct strbuf *out) {
    const struct auth_signature *signature = &policy->signature;
    uint8_t digest[SHA256_LEN];
    if (!crypto_hmac_sha256(policy->secrets.items[0], &message->body, 1, digest)) {
        return false;
    }
    strbuf_add_slice(out, signature->header);
    strbuf_add_cstr(out, ": ");
    strbuf_add_slice(out, signature->prefix);
    add_digest(out, digest, signature->encoding);
    strbuf_add_char(out, '\0');
    return true;
}

static bool add_standard(const struct auth_policy *policy, const struct sign_message *message,
                         struct strbuf *out) {
    uint8_t room[LIMIT_SECRET_FILE], digest[SHA256_LEN];
    char seconds[32];
    struct strbuf text;
    strbuf_init(&text, sizeof(seconds));
    strbuf_addf(&text, "%lld", (long long)(message->sent_at / TIMESTAMP_SECOND));
    const struct slice parts[] = {message->id, SLICE("."), strbuf_slice(&text), SLICE("."),
                                  message->body};
    struct slice key = auth_standard_key(policy->secrets.items[0], room);
    bool ok = !strbuf_failed(&text) && key.len > 0 &&
              crypto_hmac_sha256(key, parts, ARRAY_LEN(parts), digest);
    crypto_wipe(room, sizeof(room));
    if (ok) {
        strbuf_addf(out, "webhook-id: %.*s%c", SLICE_ARGS(message->id), '\0');
        strbuf_addf(out, "webhook-timestamp: %.*s%c", SLICE_ARGS(strbuf_slice(&text)), '\0');
        strbuf_add_cstr(out, "webhook-signature: v1,");
        add_digest(out, digest, ENCODING_BASE64);
        strbuf_add_char(out, '\0');
    }
    strbuf_free(&text);
    return ok;
}

static bool add_signature(const struct auth_policy *policy, const struct sign_message *message,
                          struct strbuf *out) {
    if (policy->signature.kind == SIGNATURE_NONE) {
        return true;
    }
    if (policy->secrets.count == 0) {
        return false;
    }
    return policy->signature.kind == SIGNATURE_HMAC_SHA256 ? add_hmac(policy, message, out)
                                                           : add_standard(policy, message, out);
}

static void add_credentials(const struct auth_policy *policy, struct strbuf *out) {
    if (policy->basic.count > 0) {
        strbuf_add_cstr(out, "Authorization: Basic ");
        add_base64(out, policy->basic.items[0]);
        strbuf_add_char(out, '\0');
    }
    if (policy->bearer.count > 0) {
        strbuf_add_cstr(out, "Authorization: Bearer ");
        strbuf_add_slice(out, policy->bearer.items[0]);
        strbuf_add_char(out, '\0');
    }
    if (policy->headers.count > 0) {
        strbuf_add_slice(out, policy->headers.items[0]);
        strbuf_add_char(out, '\0');
    }
}

bool sign_headers(const struct auth_policy *policy, const struct sign_message *message,
                  struct strbuf *out) {
    if (!auth_policy_has_credential(policy) || !add_signature(policy, message, out)) {
        return false;
    }
    add_credentials(policy, out);
    return !strbuf_failed(out);
}

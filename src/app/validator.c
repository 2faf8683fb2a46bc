#include "app/validator.h"

#include "adapter/crypto.h"
#include "base/hex.h"

#include <string.h>

bool etag_matches(struct slice if_none_match, struct slice etag) {
    while (if_none_match.len > 0) {
        struct slice one;
        slice_split(if_none_match, ',', &one, &if_none_match);
        one = slice_trim(one);
        if (slice_starts_with(one, SLICE_OF("W/"))) {
            one = slice_from(one, 2);
        }
        if (slice_eq(one, SLICE_OF("*")) || slice_eq(one, etag)) {
            return true;
        }
    }
    return false;
}

bool etag_digest(const struct slice *fields, size_t count, char text[ETAG_DIGEST_TEXT]) {
    uint8_t digest[SHA256_LEN];
    if (!crypto_sha256_fields(fields, count, digest)) {
        return false;
    }
    hex_encode(digest, (ETAG_DIGEST_TEXT - 1) / 2, text);
    return true;
}

void cursor_put(struct strbuf *out, int64_t feed_id, int64_t position) {
    strbuf_addf(out, "%llx-%llx", (unsigned long long)feed_id, (unsigned long long)position);
}

static bool hex_to_int64(struct slice text, int64_t *value) {
    char digits[17] = "0000000000000000";
    uint8_t bytes[8];
    if (text.len == 0 || text.len > 16) {
        return false;
    }
    memcpy(digits + 16 - text.len, text.data, text.len);
    if (!hex_decode((struct slice){digits, 16}, bytes, sizeof(bytes))) {
        return false;
    }
    uint64_t all = 0;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        all = all << 8 | bytes[i];
    }
    *value = (int64_t)all;
    return *value >= 0;
}

bool cursor_read(struct slice text, int64_t *feed_id, int64_t *position) {
    struct slice feed, place;
    return slice_split(text, '-', &feed, &place) && hex_to_int64(feed, feed_id) &&
           hex_to_int64(place, position);
}

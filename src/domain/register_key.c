#include "domain/register_key.h"

#include "base/limits.h"

#include <string.h>

#define NUMBERS_BYTES 16 /* version_at and the sender's number */
#define DELIVERY_BYTES sizeof(((struct uuid *)NULL)->bytes)
#define TAIL_BYTES (DELIVERY_BYTES + 2) /* with the number of the change */
#define FACT_KEY_BYTES (NUMBERS_BYTES + TAIL_BYTES)
/* Phase, rank and the NUL behind the word. */
#define STATUS_KEY_BYTES (FACT_KEY_BYTES + 3)
/* With it flipped, the order of the bytes is the order of the numbers. */
#define SIGN_BIT UINT64_C(0x8000000000000000)

/* ---- bytes ---- */

static size_t key_len(const struct key_parts *parts) {
    return parts->is_status ? STATUS_KEY_BYTES + parts->word.len : FACT_KEY_BYTES;
}

/* Writes LEN bytes of VALUE, big-endian, and moves *TO behind them. */
static void put_number(char **to, uint64_t value, size_t len) {
    for (size_t i = len; i > 0; i--) {
        *(*to)++ = (char)(value >> 8 * (i - 1));
    }
}

static void put_bytes(char **to, const void *bytes, size_t len) {
    if (len > 0) {
        memcpy(*to, bytes, len);
        *to += len;
    }
}

/* TO has space for key_len(). */
static void write_key(const struct key_parts *parts, char *to) {
    if (parts->is_status) {
        put_number(&to, parts->phase, 1);
    }
    put_number(&to, (uint64_t)parts->version_at ^ SIGN_BIT, 8);
    put_number(&to, (uint64_t)parts->number ^ SIGN_BIT, 8);
    if (parts->is_status) {
        put_number(&to, parts->rank, 1);
        put_bytes(&to, parts->word.data, parts->word.len);
        put_number(&to, 0, 1);
    }
    put_bytes(&to, parts->delivery.bytes, DELIVERY_BYTES);
    put_number(&to, parts->change, 2);
}

static uint64_t read_number(const char *bytes, size_t len) {
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | (uint8_t)bytes[i];
    }
    return value;
}

bool key_split(struct slice key, struct key_parts *parts) {
    *parts = (struct key_parts){.is_status = key.len != FACT_KEY_BYTES};
    if (parts->is_status) {
        if (key.len < STATUS_KEY_BYTES) {
            return false;
        }
        parts->phase = (uint8_t)key.data[0];
        parts->rank = (uint8_t)key.data[1 + NUMBERS_BYTES];
        parts->word = (struct slice){key.data + 2 + NUMBERS_BYTES, key.len - STATUS_KEY_BYTES};
        key = slice_from(key, 1);
    }
    parts->version_at = (int64_t)(read_number(key.data, 8) ^ SIGN_BIT);
    parts->number = (int64_t)(read_number(key.data + 8, 8) ^ SIGN_BIT);
    const char *tail = key.data + key.len - TAIL_BYTES;
    memcpy(parts->delivery.bytes, tail, DELIVERY_BYTES);
    parts->change = (uint16_t)read_number(tail + DELIVERY_BYTES, 2);
    return true;
}

bool key_join(const struct key_parts *parts, struct arena *arena, struct slice *key) {
    size_t len = key_len(parts);
    char *to = arena_alloc(arena, len);
    if (to == NULL) {
        return false;
    }
    write_key(parts, to);
    *key = (struct slice){to, len};
    return true;
}

/* ---- made ---- */

static void add_key(struct strbuf *out, const struct key_parts *parts) {
    char bytes[LIMIT_REGISTER_KEY];
    if (key_len(parts) > sizeof(bytes)) {
        strbuf_fail(out);
        return;
    }
    write_key(parts, bytes);
    strbuf_add(out, bytes, key_len(parts));
}

static struct key_parts parts_of(const struct key_base *base, uint32_t change) {
    return (struct key_parts){.version_at = base->version_at,
                              .number = base->number,
                              .delivery = *base->delivery,
                              .change = (uint16_t)change};
}

void fact_key(struct strbuf *out, const struct key_base *base, uint32_t change) {
    const struct key_parts parts = parts_of(base, change);
    add_key(out, &parts);
}

static enum phase phase_of(const struct status_report *report, bool of_order) {
    if (of_order) {
        return report->status == STATUS_UNKNOWN ? PHASE_UNKNOWN : PHASE_OPEN;
    }
    return report->weak ? PHASE_WEAK : status_phase(report->status);
}

void status_key(struct strbuf *out, const struct status_report *report, bool of_order,
                const struct key_base *base, uint32_t change) {
    struct key_parts parts = parts_of(base, change);
    parts.is_status = true;
    parts.phase = (uint8_t)(phase_of(report, of_order) - PHASE_UNKNOWN);
    parts.rank = (uint8_t)status_rank(report->status);
    parts.word = report->provider_status;
    add_key(out, &parts);
}

/* ---- read ---- */

bool key_origin(struct slice key, struct uuid *delivery, int64_t *version_at) {
    struct key_parts parts;
    if (!key_split(key, &parts)) {
        return false;
    }
    *delivery = parts.delivery;
    *version_at = parts.version_at;
    return true;
}

struct slice key_loss(enum fact_rule rule, struct slice winner, struct slice loser) {
    static const struct slice by_phase[] = {SLICE("unknown"), SLICE("weak"), SLICE("not_final")};
    struct key_parts won, lost;
    if (rule == RULE_EVER || rule == RULE_EARLIEST) {
        return rule == RULE_EVER ? SLICE_OF("repeated") : SLICE_OF("not_earliest");
    }
    if (!key_split(winner, &won) || !key_split(loser, &lost) || slice_cmp(loser, winner) > 0) {
        return SLICE_OF("unread");
    }
    if (lost.phase != won.phase) {
        return lost.phase < ARRAY_LEN(by_phase) ? by_phase[lost.phase] : SLICE_OF("unread");
    }
    if (lost.version_at != won.version_at) {
        return SLICE_OF("older");
    }
    if (lost.number != won.number) {
        return SLICE_OF("older_snapshot");
    }
    if (lost.rank != won.rank) {
        return SLICE_OF("lower_rank");
    }
    if (!slice_eq(lost.word, won.word)) {
        return SLICE_OF("word");
    }
    return uuid_eq(&lost.delivery, &won.delivery) ? SLICE_OF("same_webhook")
                                                  : SLICE_OF("delivery_id");
}

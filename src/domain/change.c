#include "domain/change.h"

#include "adapter/crypto.h"
#include "base/hex.h"

#include <string.h>

void changes_init(struct changes *changes) {
    *changes = (struct changes){.version_at = TIMESTAMP_NONE};
    status_report_init(&changes->order.status);
    changes->order.send_date = TIMESTAMP_NONE;
    changes->manifest.parcel_count = -1;
    changes->manifest.submitted_at = TIMESTAMP_NONE;
}

void status_report_init(struct status_report *report) {
    *report = (struct status_report){
        .status = STATUS_UNKNOWN, .at = TIMESTAMP_NONE, .next_attempt_at = TIMESTAMP_NONE};
}

void box_change_init(struct box_change *box) {
    *box = (struct box_change){.estimated_delivery_date = DATE_NONE,
                               .estimated_delivery_at = TIMESTAMP_NONE,
                               .shipped_at = TIMESTAMP_NONE};
    status_report_init(&box->status);
}

void tracking_event_init(struct tracking_event *event) {
    *event = (struct tracking_event){.status = STATUS_UNKNOWN, .occurred_at = TIMESTAMP_NONE};
}

/* ---- identities ---- */

static struct slice bytes_of(const struct uuid *uuid) {
    return (struct slice){(const char *)uuid->bytes, sizeof uuid->bytes};
}

static struct slice live_field(bool live) {
    return live ? SLICE_OF("true") : SLICE_OF("false");
}

/* The bits that RFC 9562 fixes: version 8 in the seventh byte, the variant in the ninth. */
static void mark_as_uuid8(struct uuid *uuid) {
    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | 0x80);
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

static bool uuid_of(const struct slice *fields, size_t count, struct uuid *uuid) {
    uint8_t digest[SHA256_LEN];
    if (!crypto_sha256_fields(fields, count, digest))
        return false;
    memcpy(uuid->bytes, digest, sizeof uuid->bytes);
    mark_as_uuid8(uuid);
    return true;
}

bool order_key(struct slice source, bool live, struct slice order_id, struct uuid *key) {
    const struct slice fields[] = {SLICE("order"), source, live_field(live), order_id};
    return uuid_of(fields, ARRAY_LEN(fields), key);
}

bool box_key(const struct uuid *order, struct slice box_id, struct uuid *key) {
    const struct slice fields[] = {SLICE("box"), bytes_of(order), box_id};
    return uuid_of(fields, ARRAY_LEN(fields), key);
}

bool manifest_key(struct slice source, bool live, struct slice shipment_id, struct uuid *key) {
    const struct slice fields[] = {SLICE("manifest"), source, live_field(live), shipment_id};
    return uuid_of(fields, ARRAY_LEN(fields), key);
}

bool delivery_id(struct slice source, bool live, struct slice event_id, struct slice content,
                 struct uuid *id) {
    const struct slice named[] = {SLICE("delivery"), source, live_field(live), event_id};
    const struct slice unnamed[] = {SLICE("unnamed"), source, live_field(live), content};
    const struct slice what[] = {SLICE("content"), content};
    uint8_t first[SHA256_LEN], last[SHA256_LEN];
    if (!crypto_sha256_fields(event_id.len ? named : unnamed, ARRAY_LEN(named), first) ||
        !crypto_sha256_fields(what, ARRAY_LEN(what), last))
        return false;
    memcpy(id->bytes, first, 8);
    memcpy(id->bytes + 8, last, 8);
    mark_as_uuid8(id);
    return true;
}

bool quarantined_delivery_id(struct slice source, struct slice body, struct uuid *id) {
    const struct slice fields[] = {SLICE("quarantined"), source, body};
    return uuid_of(fields, ARRAY_LEN(fields), id);
}

bool event_row_key(const struct uuid *box, struct slice sender_event_id,
                   const struct uuid *delivery, uint32_t number, struct uuid *key) {
    if (sender_event_id.len) {
        const struct slice fields[] = {SLICE("event"), bytes_of(box), sender_event_id};
        return uuid_of(fields, ARRAY_LEN(fields), key);
    }
    const char digits[4] = {(char)(number >> 24), (char)(number >> 16), (char)(number >> 8),
                            (char)number};
    const struct slice fields[] = {
        SLICE("event"), bytes_of(box), bytes_of(delivery), {digits, sizeof digits}};
    return uuid_of(fields, ARRAY_LEN(fields), key);
}

bool document_key(const struct uuid *box, struct slice kind, struct slice url, struct uuid *key) {
    const struct slice fields[] = {SLICE("document"), bytes_of(box), kind, url};
    return uuid_of(fields, ARRAY_LEN(fields), key);
}

/* ---- register keys ---- */

#define TIME_BYTES 8
#define NUMBER_BYTES 8
#define DELIVERY_BYTES 16
#define EVENT_KEY_BYTES (DELIVERY_BYTES + 2)

/* With the sign bit flipped, the order of the bytes is the order of the numbers. */
static void add_ordered(struct strbuf *out, int64_t value) {
    strbuf_add_be64(out, (uint64_t)value ^ UINT64_C(0x8000000000000000));
}

static void add_numbers(struct strbuf *out, const struct key_base *base) {
    add_ordered(out, base->version_at);
    add_ordered(out, base->number);
}

/* A webhook has at most LIMIT_CHANGES changes of a kind, which two bytes hold. */
static void add_event_key(struct strbuf *out, const struct uuid *delivery, uint32_t change) {
    strbuf_add(out, delivery->bytes, sizeof(delivery->bytes));
    strbuf_add_be16(out, (uint16_t)change);
}

void fact_key(struct strbuf *out, const struct key_base *base, uint32_t change) {
    add_numbers(out, base);
    add_event_key(out, base->delivery, change);
}

static enum phase phase_of(const struct status_report *report, bool of_order) {
    if (of_order) {
        return report->status == STATUS_UNKNOWN ? PHASE_UNKNOWN : PHASE_OPEN;
    }
    return report->weak ? PHASE_WEAK : status_phase(report->status);
}

void status_key(struct strbuf *out, const struct status_report *report, bool of_order,
                const struct key_base *base, uint32_t change) {
    strbuf_add_char(out, (char)(phase_of(report, of_order) - PHASE_UNKNOWN));
    add_numbers(out, base);
    strbuf_add_char(out, (char)status_rank(report->status));
    strbuf_add_slice(out, report->provider_status);
    strbuf_add_char(out, '\0');
    add_event_key(out, base->delivery, change);
}

/* ---- register keys, read ---- */

static size_t time_offset(enum fact_rule rule) {
    return rule == RULE_STATUS ? 1 : 0;
}

static bool is_key(enum fact_rule rule, struct slice key) {
    return key.len >= time_offset(rule) + TIME_BYTES + NUMBER_BYTES + EVENT_KEY_BYTES;
}

bool key_origin(enum fact_rule rule, struct slice key, struct uuid *delivery, int64_t *version_at) {
    uint64_t time = 0;
    if (!is_key(rule, key)) {
        return false;
    }
    for (size_t i = 0; i < TIME_BYTES; i++) {
        time = time << 8 | (uint8_t)key.data[time_offset(rule) + i];
    }
    *version_at = (int64_t)(time ^ UINT64_C(0x8000000000000000));
    memcpy(delivery->bytes, key.data + key.len - EVENT_KEY_BYTES, sizeof(delivery->bytes));
    return true;
}

static int compare_parts(struct slice a, struct slice b, size_t from, size_t len) {
    return memcmp(a.data + from, b.data + from, len);
}

/* Of keys that are equal up to the sender's number: rank and word of a status. */
static struct slice status_loss(struct slice winner, struct slice loser) {
    size_t from = 1 + TIME_BYTES + NUMBER_BYTES;
    struct slice ours = {winner.data + from, winner.len - from - EVENT_KEY_BYTES};
    struct slice theirs = {loser.data + from, loser.len - from - EVENT_KEY_BYTES};
    if (slice_cmp(ours, theirs) == 0) {
        return SLICE_EMPTY;
    }
    return ours.data[0] != theirs.data[0] ? SLICE_OF("lower_rank") : SLICE_OF("word");
}

struct slice key_loss(enum fact_rule rule, struct slice winner, struct slice loser) {
    static const struct slice by_phase[] = {SLICE("unknown"), SLICE("weak"), SLICE("not_final")};
    if (rule == RULE_EVER || rule == RULE_EARLIEST) {
        return rule == RULE_EVER ? SLICE_OF("repeated") : SLICE_OF("not_earliest");
    }
    if (!is_key(rule, winner) || !is_key(rule, loser) || slice_cmp(loser, winner) > 0) {
        return SLICE_OF("unread");
    }
    if (rule == RULE_STATUS && loser.data[0] != winner.data[0]) {
        size_t phase = (uint8_t)loser.data[0];
        return phase < ARRAY_LEN(by_phase) ? by_phase[phase] : SLICE_OF("unread");
    }
    size_t from = time_offset(rule);
    if (compare_parts(winner, loser, from, TIME_BYTES) != 0) {
        return SLICE_OF("older");
    }
    if (compare_parts(winner, loser, from + TIME_BYTES, NUMBER_BYTES) != 0) {
        return SLICE_OF("older_snapshot");
    }
    struct slice loss = rule == RULE_STATUS ? status_loss(winner, loser) : SLICE_EMPTY;
    if (loss.len > 0) {
        return loss;
    }
    return memcmp(winner.data + winner.len - EVENT_KEY_BYTES,
                  loser.data + loser.len - EVENT_KEY_BYTES, DELIVERY_BYTES) == 0
               ? SLICE_OF("same_webhook")
               : SLICE_OF("delivery_id");
}

/* ---- identities as text ---- */

/* The bytes between the dashes. */
static const size_t uuid_groups[] = {4, 2, 2, 2, 6};

void uuid_format(const struct uuid *uuid, char text[UUID_TEXT]) {
    const uint8_t *bytes = uuid->bytes;
    for (size_t i = 0; i < ARRAY_LEN(uuid_groups); i++) {
        hex_encode(bytes, uuid_groups[i], text);
        bytes += uuid_groups[i];
        text += 2 * uuid_groups[i];
        *text++ = i + 1 < ARRAY_LEN(uuid_groups) ? '-' : '\0';
    }
}

bool uuid_parse(struct slice text, struct uuid *uuid) {
    uint8_t *bytes = uuid->bytes;
    for (size_t i = 0; i < ARRAY_LEN(uuid_groups); i++) {
        size_t len = 2 * uuid_groups[i];
        bool last = i + 1 == ARRAY_LEN(uuid_groups);
        if (text.len < len || (!last && (text.len == len || text.data[len] != '-')) ||
            !hex_decode(slice_first(text, len), bytes, uuid_groups[i])) {
            return false;
        }
        bytes += uuid_groups[i];
        text = slice_from(text, len + (last ? 0 : 1));
    }
    return text.len == 0;
}

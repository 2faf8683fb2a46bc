#include "domain/change.h"

#include "adapter/crypto.h"
#include "base/hex.h"
#include "base/limits.h"

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

bool event_row_key(const struct uuid *box, const struct tracking_event *event, struct uuid *key) {
    if (event->sender_event_id.len > 0) {
        const struct slice fields[] = {SLICE("event"), bytes_of(box), event->sender_event_id};
        return uuid_of(fields, ARRAY_LEN(fields), key);
    }
    struct strbuf at = STRBUF_INIT(8), word = STRBUF_INIT(LIMIT_ID);
    strbuf_add_be64(&at, (uint64_t)event->occurred_at);
    status_word_fold(event->provider_status, &word);
    const struct slice fields[] = {SLICE("happening"), bytes_of(box), strbuf_slice(&at),
                                   strbuf_slice(&word)};
    bool ok =
        !strbuf_failed(&at) && !strbuf_failed(&word) && uuid_of(fields, ARRAY_LEN(fields), key);
    strbuf_free(&at);
    strbuf_free(&word);
    return ok;
}

bool document_key(const struct uuid *box, struct slice kind, struct slice url, struct uuid *key) {
    const struct slice fields[] = {SLICE("document"), bytes_of(box), kind, url};
    return uuid_of(fields, ARRAY_LEN(fields), key);
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

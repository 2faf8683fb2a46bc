#include "domain/claim.h"

#include "adapter/json.h"
#include "base/hex.h"
#include "base/limits.h"

#include <string.h>

/* One register key: the longest is a status with a word of the greatest length. */
#define KEY_MAX 512
/* One claim's value: a list of boxes is the longest. */
#define VALUE_MAX (4u << 20)

static const struct {
    struct slice name;
    enum fact_rule rule;
} FACTS[] = {
    [FACT_OWN_STATUS] = {SLICE("own_status"), RULE_STATUS},
    [FACT_ORDER_NUMBER] = {SLICE("order_number"), RULE_LATEST},
    [FACT_EXTERNAL_REFERENCE] = {SLICE("external_reference"), RULE_LATEST},
    [FACT_SEND_DATE] = {SLICE("send_date"), RULE_LATEST},
    [FACT_COURIER_ID] = {SLICE("courier_id"), RULE_LATEST},
    [FACT_DESTINATION] = {SLICE("destination"), RULE_LATEST},
    [FACT_BOX_LIST] = {SLICE("box_list"), RULE_LATEST},
    [FACT_STATUS] = {SLICE("status"), RULE_STATUS},
    [FACT_REMOVED] = {SLICE("removed"), RULE_LATEST},
    [FACT_DELIVERED_AT] = {SLICE("delivered_at"), RULE_STATUS},
    [FACT_SHIPPED_AT] = {SLICE("shipped_at"), RULE_EARLIEST},
    [FACT_TRACKING_NUMBER] = {SLICE("tracking_number"), RULE_LATEST},
    [FACT_CARRIER] = {SLICE("carrier"), RULE_LATEST},
    [FACT_TRACKING_URL] = {SLICE("tracking_url"), RULE_LATEST},
    [FACT_TRACKING_URL_TEMPLATE] = {SLICE("tracking_url_template"), RULE_LATEST},
    [FACT_ESTIMATED_DELIVERY_DATE] = {SLICE("estimated_delivery_date"), RULE_LATEST},
    [FACT_ESTIMATED_DELIVERY_AT] = {SLICE("estimated_delivery_at"), RULE_LATEST},
    [FACT_PICKUP_POINT] = {SLICE("pickup_point"), RULE_LATEST},
    [FACT_ITEMS] = {SLICE("items"), RULE_LATEST},
    [FACT_WAS_DELAYED] = {SLICE("was_delayed"), RULE_EVER},
    [FACT_HAD_FAILED_ATTEMPT] = {SLICE("had_failed_attempt"), RULE_EVER},
    [FACT_LABEL_URL] = {SLICE("label_url"), RULE_LATEST},
    [FACT_SIGNED_BY] = {SLICE("signed_by"), RULE_LATEST},
    [FACT_PROOF_OF_DELIVERY] = {SLICE("proof_of_delivery"), RULE_LATEST},
    [FACT_DOCUMENT] = {SLICE("document"), RULE_EVER},
    [FACT_EVENT] = {SLICE("event"), RULE_SNAPSHOT},
};

bool fact_from_name(struct slice name, enum fact *fact) {
    for (size_t i = 0; i < ARRAY_LEN(FACTS); i++) {
        if (slice_eq(FACTS[i].name, name)) {
            *fact = (enum fact)i;
            return true;
        }
    }
    return false;
}

struct slice fact_name(enum fact fact) {
    return FACTS[fact].name;
}

enum fact_rule fact_rule(enum fact fact) {
    return FACTS[fact].rule;
}

struct slice fact_rule_name(enum fact_rule rule) {
    static const struct slice names[] = {
        [RULE_LATEST] = SLICE("latest"),     [RULE_STATUS] = SLICE("status"),
        [RULE_EARLIEST] = SLICE("earliest"), [RULE_EVER] = SLICE("ever"),
        [RULE_SNAPSHOT] = SLICE("snapshot"),
    };
    return names[rule];
}

/* ---- reading ---- */

struct reader {
    const struct changes *changes;
    const struct uuid *delivery;
    struct arena *arena;
    struct claim *claims, beyond; /* the one that finds no room is written there */
    size_t count, room;
    struct slice fact_key; /* of the change at hand */
    struct slice box_id;   /* of the change at hand */
    struct strbuf text;
    bool failed;
};

static struct slice keep(struct reader *reader, struct strbuf *text) {
    struct slice kept = SLICE_EMPTY;
    if (strbuf_failed(text) || !arena_dup(reader->arena, strbuf_slice(text), &kept)) {
        reader->failed = true;
    }
    return kept;
}

static struct claim *add_claim(struct reader *reader, enum fact fact, struct slice key,
                               struct slice value) {
    if (reader->count == reader->room) {
        reader->failed = true;
        return &reader->beyond;
    }
    struct claim *claim = &reader->claims[reader->count++];
    *claim =
        (struct claim){.fact = fact, .box_id = reader->box_id, .key = key, .earliest = INT64_MAX};
    if (!arena_dup(reader->arena, value, &claim->value)) {
        reader->failed = true;
    }
    return claim;
}

static void begin_value(struct reader *reader, struct json_writer *writer) {
    strbuf_clear(&reader->text);
    json_writer_init(writer, &reader->text);
}

static struct claim *end_value(struct reader *reader, enum fact fact, struct slice key) {
    if (strbuf_failed(&reader->text)) {
        reader->failed = true;
    }
    return add_claim(reader, fact, key, strbuf_slice(&reader->text));
}

static void put_time(struct json_writer *writer, const char *key, int64_t at) {
    char text[TIMESTAMP_TEXT];
    if (at == TIMESTAMP_NONE) {
        json_put_null(writer, key);
    } else {
        timestamp_format(at, text);
        json_put_text(writer, key, slice_from_cstr(text));
    }
}

static void claim_text(struct reader *reader, enum fact fact, struct slice value) {
    struct json_writer writer;
    if (value.len > 0) {
        begin_value(reader, &writer);
        json_put_text(&writer, NULL, value);
        end_value(reader, fact, reader->fact_key);
    }
}

static void claim_json(struct reader *reader, enum fact fact, struct slice value) {
    if (value.len > 0) {
        add_claim(reader, fact, reader->fact_key, value);
    }
}

static struct claim *claim_time(struct reader *reader, enum fact fact, struct slice key,
                                int64_t at) {
    struct json_writer writer;
    begin_value(reader, &writer);
    put_time(&writer, NULL, at);
    return end_value(reader, fact, key);
}

static void claim_known_time(struct reader *reader, enum fact fact, int64_t at) {
    if (at != TIMESTAMP_NONE) {
        claim_time(reader, fact, reader->fact_key, at);
    }
}

static void claim_flag(struct reader *reader, enum fact fact, bool said) {
    if (said) {
        add_claim(reader, fact, reader->fact_key, SLICE_OF("true"));
    }
}

static struct slice make_fact_key(struct reader *reader, uint32_t number) {
    struct strbuf key;
    strbuf_init(&key, KEY_MAX);
    fact_key(&key, reader->changes->version_at, reader->delivery, number);
    struct slice kept = keep(reader, &key);
    strbuf_free(&key);
    return kept;
}

static struct slice claim_status(struct reader *reader, enum fact fact,
                                 const struct status_report *report, uint32_t number) {
    struct strbuf key;
    struct json_writer writer;
    bool of_order = fact == FACT_OWN_STATUS;
    strbuf_init(&key, KEY_MAX);
    status_key(&key, report, of_order, reader->changes->version_at, reader->delivery, number);
    struct slice kept = keep(reader, &key);
    strbuf_free(&key);
    begin_value(reader, &writer);
    json_begin_object(&writer, NULL);
    json_put_text(&writer, "status", status_name(report->status));
    json_put_text(&writer, "status_detail", report->detail);
    json_put_text(&writer, "provider_status", report->provider_status);
    put_time(&writer, "status_at", report->at);
    if (!of_order) {
        json_put_text(&writer, "location", report->location);
        put_time(&writer, "next_attempt_at", report->next_attempt_at);
    }
    json_end_object(&writer);
    end_value(reader, fact, kept);
    return kept;
}

static void claim_box_list(struct reader *reader, const struct order_change *order) {
    struct json_writer writer;
    begin_value(reader, &writer);
    json_begin_array(&writer, NULL);
    for (size_t i = 0; i < order->box_list_count; i++) {
        json_put_text(&writer, NULL, order->box_list[i]);
    }
    json_end_array(&writer);
    end_value(reader, FACT_BOX_LIST, reader->fact_key);
}

static void read_order_change(struct reader *reader, bool full) {
    const struct order_change *order = &reader->changes->order;
    reader->fact_key = make_fact_key(reader, 0);
    reader->box_id = SLICE_EMPTY;
    if (order->has_status) {
        claim_status(reader, FACT_OWN_STATUS, &order->status, 0);
    }
    claim_text(reader, FACT_ORDER_NUMBER, order->order_number);
    claim_text(reader, FACT_EXTERNAL_REFERENCE, order->external_reference);
    claim_known_time(reader, FACT_SEND_DATE, order->send_date);
    claim_text(reader, FACT_COURIER_ID, order->courier_id);
    if (full) {
        claim_json(reader, FACT_DESTINATION, order->destination);
    }
    if (order->has_box_list) {
        claim_box_list(reader, order);
    }
}

static void claim_shipped(struct reader *reader, int64_t at, bool derived) {
    struct claim *claim = claim_time(reader, FACT_SHIPPED_AT, reader->fact_key, at);
    claim->earliest = at;
    claim->derived = derived;
}

static void read_box_status(struct reader *reader, const struct status_report *report,
                            uint32_t number) {
    struct slice key = claim_status(reader, FACT_STATUS, report, number);
    if (report->status == STATUS_DELIVERED) {
        claim_time(reader, FACT_DELIVERED_AT, key, report->at);
    }
    if (report->status == STATUS_IN_TRANSIT && report->at != TIMESTAMP_NONE) {
        claim_shipped(reader, report->at, true);
    }
}

/* A date as PostgreSQL writes it: midnight of the day, cut. */
static void claim_date(struct reader *reader, enum fact fact, int32_t days) {
    char text[TIMESTAMP_TEXT];
    if (days != DATE_NONE) {
        timestamp_format((int64_t)days * 86400 * TIMESTAMP_SECOND, text);
        claim_text(reader, fact, (struct slice){text, 10});
    }
}

static void read_box(struct reader *reader, const struct box_change *box, uint32_t number,
                     bool full) {
    reader->fact_key = make_fact_key(reader, number);
    if (!arena_dup(reader->arena, box->box_id, &reader->box_id)) {
        reader->failed = true;
    }
    if (box->has_status) {
        read_box_status(reader, &box->status, number);
    }
    if (box->shipped_at != TIMESTAMP_NONE) {
        claim_shipped(reader, box->shipped_at, false);
    }
    claim_text(reader, FACT_TRACKING_NUMBER, box->tracking_number);
    claim_text(reader, FACT_CARRIER, box->carrier);
    claim_text(reader, FACT_TRACKING_URL, box->tracking_url);
    claim_date(reader, FACT_ESTIMATED_DELIVERY_DATE, box->estimated_delivery_date);
    claim_known_time(reader, FACT_ESTIMATED_DELIVERY_AT, box->estimated_delivery_at);
    claim_json(reader, FACT_PICKUP_POINT, box->pickup_point);
    claim_json(reader, FACT_ITEMS, box->items);
    claim_flag(reader, FACT_WAS_DELAYED, box->was_delayed);
    claim_flag(reader, FACT_HAD_FAILED_ATTEMPT, box->had_failed_attempt);
    if (full) {
        claim_text(reader, FACT_LABEL_URL, box->label_url);
        claim_text(reader, FACT_SIGNED_BY, box->signed_by);
        claim_text(reader, FACT_PROOF_OF_DELIVERY, box->proof_of_delivery);
    }
}

static void read_event(struct reader *reader, const struct tracking_event *event,
                       const struct uuid *event_key, uint32_t number, bool full) {
    struct strbuf key;
    struct json_writer writer;
    char item[2 * sizeof(event_key->bytes) + 1];
    strbuf_init(&key, KEY_MAX);
    history_key(&key, reader->changes->version_at, reader->changes->snapshot_id, reader->delivery,
                number);
    struct slice kept = keep(reader, &key);
    strbuf_free(&key);
    if (!arena_dup(reader->arena, event->box_id, &reader->box_id)) {
        reader->failed = true;
    }
    begin_value(reader, &writer);
    json_begin_object(&writer, NULL);
    put_time(&writer, "occurred_at", event->occurred_at);
    json_put_text(&writer, "status", status_name(event->status));
    json_put_text(&writer, "status_detail", event->detail);
    json_put_text(&writer, "provider_status", event->provider_status);
    json_put_text(&writer, "location", event->location);
    json_put_text(&writer, "message", full ? event->message : SLICE_EMPTY);
    json_end_object(&writer);
    struct claim *claim = end_value(reader, FACT_EVENT, kept);
    hex_encode(event_key->bytes, sizeof(event_key->bytes), item);
    if (!arena_dup(reader->arena, slice_from_cstr(item), &claim->item)) {
        reader->failed = true;
    }
}

static void read_document(struct reader *reader, const struct document *document, uint32_t number) {
    struct strbuf item;
    struct json_writer writer;
    reader->fact_key = make_fact_key(reader, number);
    if (!arena_dup(reader->arena, document->box_id, &reader->box_id)) {
        reader->failed = true;
    }
    begin_value(reader, &writer);
    json_begin_object(&writer, NULL);
    json_put_text(&writer, "kind", document->kind);
    json_put_text(&writer, "url", document->url);
    json_end_object(&writer);
    struct claim *claim = end_value(reader, FACT_DOCUMENT, reader->fact_key);
    strbuf_init(&item, LIMIT_ID + 1 + LIMIT_URL);
    strbuf_add_slice(&item, document->kind);
    strbuf_add_char(&item, ' ');
    strbuf_add_slice(&item, document->url);
    claim->item = keep(reader, &item);
    strbuf_free(&item);
}

bool claims_read(const struct changes *changes, const struct uuid *delivery,
                 const struct uuid *event_keys, bool full, struct arena *arena,
                 struct claim **claims, size_t *count) {
    size_t room = FACT_COUNT + changes->box_count * FACT_COUNT + changes->event_count +
                  changes->document_count;
    struct reader reader = {.changes = changes, .delivery = delivery, .arena = arena, .room = room};
    reader.claims = arena_array(arena, room, sizeof(*reader.claims));
    if (reader.claims == NULL) {
        return false;
    }
    strbuf_init(&reader.text, VALUE_MAX);
    read_order_change(&reader, full);
    for (size_t i = 0; i < changes->box_count; i++) {
        read_box(&reader, &changes->boxes[i], (uint32_t)i, full);
    }
    for (size_t i = 0; i < changes->event_count; i++) {
        read_event(&reader, &changes->events[i], &event_keys[i], (uint32_t)i, full);
    }
    for (size_t i = 0; full && i < changes->document_count; i++) {
        read_document(&reader, &changes->documents[i], (uint32_t)i);
    }
    strbuf_free(&reader.text);
    *claims = reader.claims;
    *count = reader.count;
    return !reader.failed;
}

/* ---- keys ---- */

#define TIME_BYTES 8
#define EVENT_KEY_BYTES 20 /* the delivery, then the number of the change in it */

/* Where the time stands: behind the phase in the key of a status. */
static size_t time_offset(enum fact_rule rule) {
    return rule == RULE_STATUS ? 1 : 0;
}

static bool is_key(enum fact_rule rule, struct slice key) {
    return key.len >= time_offset(rule) + TIME_BYTES + EVENT_KEY_BYTES;
}

bool claim_key_origin(enum fact_rule rule, struct slice key, struct uuid *delivery,
                      int64_t *version_at) {
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

static struct slice part(struct slice key, size_t from, size_t to) {
    return (struct slice){key.data + from, to - from};
}

/* Behind equal times: rank and word of a status, the snapshot of a history row. */
static struct slice loss_in_the_middle(enum fact_rule rule, struct slice winner,
                                       struct slice loser) {
    size_t from = time_offset(rule) + TIME_BYTES;
    struct slice ours = part(winner, from, winner.len - EVENT_KEY_BYTES);
    struct slice theirs = part(loser, from, loser.len - EVENT_KEY_BYTES);
    if (slice_cmp(ours, theirs) == 0) {
        return SLICE_EMPTY;
    }
    if (rule == RULE_SNAPSHOT) {
        return SLICE_OF("older_snapshot");
    }
    return ours.data[0] != theirs.data[0] ? SLICE_OF("lower_rank") : SLICE_OF("word");
}

struct slice claim_loss(enum fact_rule rule, struct slice winner, struct slice loser) {
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
    if (memcmp(winner.data + from, loser.data + from, TIME_BYTES) != 0) {
        return SLICE_OF("older");
    }
    struct slice middle = loss_in_the_middle(rule, winner, loser);
    if (middle.len > 0) {
        return middle;
    }
    bool same_delivery = memcmp(winner.data + winner.len - EVENT_KEY_BYTES,
                                loser.data + loser.len - EVENT_KEY_BYTES, 16) == 0;
    return same_delivery ? SLICE_OF("same_webhook") : SLICE_OF("delivery_id");
}

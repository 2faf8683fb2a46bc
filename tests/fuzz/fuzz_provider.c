/*
 * From a body to changes: parsing, the sender's reading, identities. Built once for each provider,
 * with FUZZ_PROVIDER its name.
 *
 * What was read is the same the second time, and the same of the canonical form; it keeps the
 * bounds of domain/change.h and base/limits.h, on which the rows and the SQL rely.
 */
#include "fuzz.h"

#include "../unit/changes_dump.h"
#include "adapter/json.h"
#include "app/read_delivery.h"
#include "domain/provider.h"
#include "engine/delivery.h"

#define MAX_BODY (1u << 20)
#define DUMP_MAX (256u << 20)

struct reading_done {
    struct arena *arena;
    struct delivery delivery;
    enum read_result result;
    struct strbuf dump;
};

static void read_body(const struct provider *provider, struct slice body,
                      struct reading_done *done) {
    /* As large as a request's. */
    *done = (struct reading_done){.arena = arena_new(LIMIT_REQUEST_ARENA + 2 * MAX_BODY),
                                  .dump = STRBUF_INIT(DUMP_MAX),
                                  .delivery = {.source = SLICE_OF("shop"),
                                               .provider = provider->name,
                                               /* It may speak of any source's orders. */
                                               .order_provider = provider->name,
                                               .body = body,
                                               .received_at = TIMESTAMP_MIN}};
    static const struct reading_context no_options = {.zone = NULL};
    REQUIRE(done->arena);
    done->result = read_delivery(&done->delivery, provider, &no_options, done->arena);
    REQUIRE(done->result != READ_NO_MEMORY);
    dump_changes(&done->delivery.changes, done->delivery.reading, &done->dump);
    REQUIRE(!strbuf_failed(&done->dump));
}

static void free_reading(struct reading_done *done) {
    strbuf_free(&done->dump);
    arena_free(done->arena);
}

/* ---- bounds ---- */

static void check_text(struct slice text, size_t max) {
    REQUIRE(text.len <= max && fuzz_is_text(text));
}

static void check_id(struct slice id) {
    check_text(id, LIMIT_ID);
}

static void check_time(int64_t at) {
    REQUIRE(at == TIMESTAMP_NONE || (at >= TIMESTAMP_MIN && at < TIMESTAMP_MAX));
}

static void check_known_time(int64_t at) {
    REQUIRE(at != TIMESTAMP_NONE);
    check_time(at);
}

/* A JSON text of its own, made of bounded texts. */
static void check_json(struct slice text, bool is_array) {
    struct json_doc *doc = NULL;
    struct json_position where;
    if (text.len == 0)
        return;
    REQUIRE(fuzz_is_text(text) && json_parse(text, &doc, &where) == JSON_OK);
    REQUIRE(is_array ? json_is_array(json_root(doc)) : json_is_object(json_root(doc)));
    json_doc_free(doc);
}

static void check_report(const struct status_report *report) {
    REQUIRE(report->status < STATUS_PARTIALLY_DELIVERED);
    check_id(report->provider_status);
    check_text(report->detail, LIMIT_TEXT);
    check_text(report->location, LIMIT_TEXT);
    check_time(report->at);
    check_time(report->next_attempt_at);
}

static void check_box(const struct box_change *box) {
    const int32_t first = (int32_t)(TIMESTAMP_MIN / TIMESTAMP_SECOND / 86400),
                  last = (int32_t)(TIMESTAMP_MAX / TIMESTAMP_SECOND / 86400);
    REQUIRE(box->box_id.len > 0);
    check_id(box->box_id);
    if (box->has_status)
        check_report(&box->status);
    check_id(box->tracking_number);
    check_text(box->carrier, LIMIT_TEXT);
    check_text(box->tracking_url, LIMIT_URL);
    check_text(box->signed_by, LIMIT_TEXT);
    check_text(box->proof_of_delivery, LIMIT_URL);
    check_text(box->label_url, LIMIT_URL);
    check_json(box->pickup_point, false);
    check_json(box->items, true);
    check_time(box->estimated_delivery_at);
    check_time(box->shipped_at);
    REQUIRE(box->estimated_delivery_date == DATE_NONE ||
            (box->estimated_delivery_date >= first && box->estimated_delivery_date < last));
}

static void check_event(const struct tracking_event *event) {
    REQUIRE(event->box_id.len > 0);
    check_id(event->box_id);
    check_id(event->sender_event_id);
    check_known_time(event->occurred_at);
    REQUIRE(event->status < STATUS_PARTIALLY_DELIVERED);
    check_text(event->detail, LIMIT_TEXT);
    check_id(event->provider_status);
    check_text(event->location, LIMIT_TEXT);
    check_text(event->message, LIMIT_TEXT);
    check_id(event->previous_status);
    check_text(event->stands_for, LIMIT_TEXT);
}

static void check_order(const struct changes *c) {
    const struct order_change *order = &c->order;
    if (order->has_status)
        check_report(&order->status);
    check_id(order->order_number);
    check_id(order->external_reference);
    check_id(order->courier_id);
    check_time(order->send_date);
    check_json(order->destination, false);
    REQUIRE(!order->has_box_list || order->box_list_count > 0);
    for (size_t i = 0; i < order->box_list_count; i++) {
        REQUIRE(order->box_list[i].len > 0);
        check_id(order->box_list[i]);
        REQUIRE(i == 0 || slice_cmp(order->box_list[i - 1], order->box_list[i]) < 0);
    }
}

static void check_lists(const struct changes *c) {
    REQUIRE(c->box_count <= LIMIT_CHANGES + 1 && c->event_count <= LIMIT_CHANGES);
    REQUIRE(c->document_count <= LIMIT_CHANGES && c->order_change_count <= LIMIT_CHANGES);
    for (size_t i = 0; i < c->box_count; i++)
        check_box(&c->boxes[i]);
    for (size_t i = 0; i < c->event_count; i++)
        check_event(&c->events[i]);
    for (size_t i = 0; i < c->document_count; i++) {
        REQUIRE(c->documents[i].box_id.len && c->documents[i].kind.len && c->documents[i].url.len);
        check_id(c->documents[i].box_id);
        check_id(c->documents[i].kind);
        check_text(c->documents[i].url, LIMIT_URL);
    }
    for (size_t i = 0; i < c->order_change_count; i++) {
        check_text(c->order_changes[i].previous_value, LIMIT_TEXT);
        check_text(c->order_changes[i].new_value, LIMIT_TEXT);
        check_known_time(c->order_changes[i].occurred_at);
    }
}

static void check_applied(const struct changes *c) {
    bool has_order = c->order_id.len > 0;
    check_known_time(c->version_at);
    check_id(c->order_id);
    check_id(c->order_source);
    REQUIRE(c->order_source.len == 0 || c->order_source_path);
    REQUIRE(c->live_known);
    REQUIRE(has_order != c->has_manifest);
    REQUIRE(has_order || c->box_count + c->event_count + c->document_count == 0);
    check_order(c);
    check_lists(c);
    if (c->has_manifest) {
        REQUIRE(c->manifest.shipment_id.len > 0 && c->manifest.parcel_count >= -1);
        check_id(c->manifest.shipment_id);
        check_id(c->manifest.awb_number);
        check_text(c->manifest.country, LIMIT_TEXT);
        check_time(c->manifest.submitted_at);
    }
}

static void check_bounds(const struct reading_done *done) {
    const struct changes *c = &done->delivery.changes;
    bool quarantined = done->delivery.reading == READING_QUARANTINED;
    check_id(c->event_type);
    check_id(c->event_id);
    check_text(c->detail, LIMIT_TEXT);
    bool ignored = slice_starts_with(c->detail, SLICE_OF("ignored: "));
    REQUIRE(quarantined ? c->detail.len > 0 && !ignored : c->detail.len == 0 || ignored);
    REQUIRE(done->result == READ_DONE || quarantined);
    /* RFC 9562: version 8, variant 10. */
    REQUIRE(done->delivery.id.bytes[6] >> 4 == 8 && done->delivery.id.bytes[8] >> 6 == 2);
    if (done->delivery.reading == READING_APPLIED)
        check_applied(c);
}

/* ---- sameness ---- */

static bool same_keys(const struct uuid *a, const struct uuid *b, size_t count) {
    return count == 0 || memcmp(a, b, count * sizeof(*a)) == 0;
}

static void check_same(const struct reading_done *a, const struct reading_done *b) {
    const struct changes *c = &a->delivery.changes;
    REQUIRE(a->delivery.reading == b->delivery.reading && a->result == b->result);
    REQUIRE(slice_eq(strbuf_slice(&a->dump), strbuf_slice(&b->dump)));
    if (a->delivery.reading == READING_QUARANTINED)
        return;
    REQUIRE(same_keys(&a->delivery.id, &b->delivery.id, 1));
    if (a->delivery.reading != READING_APPLIED || !a->delivery.has_order)
        return;
    REQUIRE(same_keys(&a->delivery.order, &b->delivery.order, 1));
    REQUIRE(same_keys(a->delivery.box_keys, b->delivery.box_keys, c->box_count));
    REQUIRE(same_keys(a->delivery.event_keys, b->delivery.event_keys, c->event_count));
    REQUIRE(same_keys(a->delivery.event_box_keys, b->delivery.event_box_keys, c->event_count));
    REQUIRE(same_keys(a->delivery.document_keys, b->delivery.document_keys, c->document_count));
    REQUIRE(
        same_keys(a->delivery.document_box_keys, b->delivery.document_box_keys, c->document_count));
}

static void check_canonical(const struct provider *provider, const struct reading_done *first) {
    struct json_doc *doc = NULL;
    struct json_position where;
    struct strbuf canonical = STRBUF_INIT(16 * first->delivery.body.len + 4096);
    struct reading_done again;
    if (json_parse(first->delivery.body, &doc, &where) != JSON_OK)
        return;
    REQUIRE(json_canonical(json_root(doc), NULL, &canonical));
    json_doc_free(doc);
    read_body(provider, strbuf_slice(&canonical), &again);
    check_same(first, &again);
    free_reading(&again);
    strbuf_free(&canonical);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct provider *provider = provider_find(SLICE_OF(FUZZ_PROVIDER));
    struct reading_done first, second;
    REQUIRE(provider);
    read_body(provider, fuzz_input(data, size), &first);
    check_bounds(&first);
    read_body(provider, fuzz_input(data, size), &second);
    check_same(&first, &second);
    REQUIRE(same_keys(&first.delivery.id, &second.delivery.id, 1));
    free_reading(&second);
    check_canonical(provider, &first);
    free_reading(&first);
    return 0;
}

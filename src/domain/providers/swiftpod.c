/*
 * SwiftPOD: what happened (`event`) together with the whole order (`data`).
 *
 * The order's trackings[] stand for its boxes; event.tracking, the box that the event is about, is
 * the only one with a history row, and tells of a box only where trackings[] lacks it.
 */
#include "base/limits.h"
#include "domain/fields.h"
#include "domain/providers/read.h"

#include <stdlib.h>

static const struct status_word ORDER_WORDS[] = {
    {.word = SLICE("draft"), .status = STATUS_PENDING, .detail = SLICE("draft")},
    {.word = SLICE("new_order"), .status = STATUS_PENDING, .detail = SLICE("new_order")},
    {.word = SLICE("in_production"), .status = STATUS_PENDING, .detail = SLICE("in_production")},
    {.word = SLICE("on_hold"), .status = STATUS_PENDING, .detail = SLICE("on_hold")},
    {.word = SLICE("shipped"), .status = STATUS_IN_TRANSIT},
    {.word = SLICE("cancelled"), .status = STATUS_CANCELLED},
    {.word = SLICE("in_production_cancelled"), .status = STATUS_CANCELLED},
    {.word = SLICE("rejected"), .status = STATUS_CANCELLED, .detail = SLICE("rejected")},
};

/* Very likely those of EasyPost, which makes the labels. */
static const struct status_word TRACKING_WORDS[] = {
    {.word = SLICE("unknown"), .status = STATUS_UNKNOWN},
    {.word = SLICE("pre_transit"), .status = STATUS_PRE_TRANSIT},
    {.word = SLICE("in_transit"), .status = STATUS_IN_TRANSIT},
    {.word = SLICE("shipped"), .status = STATUS_IN_TRANSIT},
    {.word = SLICE("out_for_delivery"), .status = STATUS_OUT_FOR_DELIVERY},
    {.word = SLICE("available_for_pickup"), .status = STATUS_AVAILABLE_FOR_PICKUP},
    {.word = SLICE("delivered"), .status = STATUS_DELIVERED},
    {.word = SLICE("return_to_sender"), .status = STATUS_RETURNING},
    {.word = SLICE("failure"), .status = STATUS_EXCEPTION, .detail = SLICE("failure")},
    {.word = SLICE("cancelled"), .status = STATUS_CANCELLED},
    {.word = SLICE("error"), .status = STATUS_UNKNOWN},
};
static void read_order(struct reader *r);
static void read_shipment(struct reader *r);

static const struct event_kind EVENTS[] = {
    {SLICE("order_notify"), read_order},
    {SLICE("shipment_notify"), read_shipment},
    {SLICE("stock_notify"), NULL},
};

bool swiftpod_read(const struct json *doc, const struct reading_context *context,
                   struct arena *arena, struct changes *changes, enum reading *reading) {
    struct reader r;
    if (!reader_begin(&r, doc, context, arena, changes)) {
        return reader_end(&r, reading);
    }
    const struct event_kind *event = event_required(&r, "event.name", EVENTS, ARRAY_LEN(EVENTS));
    changes->event_id = id_optional(&r, &r.doc, "event.uuid");
    if (json_is_object(json_get(doc, "data"))) {
        sandbox_flag(&r, &r.doc, "data.test_order");
    }
    event_read(&r, event);
    return reader_end(&r, reading);
}

/* ---- the order ---- */

static struct slice destination_of(struct reader *r) {
    const struct place address = object_at(r, &r->doc, "data.address");
    const struct recipient to = {
        .name = text_optional(r, &address, "name"),
        .company = text_optional(r, &address, "company"),
        .phone = text_optional(r, &address, "phone"),
        .email = text_optional(r, &address, "email"),
        .street = text_optional(r, &address, "street1"),
        .details = text_optional(r, &address, "street2"),
        .city = text_optional(r, &address, "city"),
        .zip = text_optional(r, &address, "zip"),
        .province = text_optional(r, &address, "state"),
        .country = country_optional(r, &address, "country"),
    };
    return recipient_json(r, &to);
}

static void read_order_status(struct reader *r) {
    struct order_change *order = &r->changes->order;
    struct slice word = id_optional(r, &r->doc, "data.status");
    if (!word.len)
        word = id_optional(r, &r->doc, "event.status");
    if (!word.len)
        return;
    order->has_status = true;
    order->status =
        status_report_of(STATUS_WORD_IN(ORDER_WORDS, word), word, r->changes->version_at);
    if (status_word_eq(word, SLICE_OF("rejected"))) {
        struct slice why = id_optional(r, &r->doc, "data.rejected_status");
        order->status.detail =
            slice_cut_utf8(text_join(r, order->status.detail, ": ", why), LIMIT_ID);
    }
}

/* What every event about an order says of it. */
static void read_common(struct reader *r) {
    struct changes *c = r->changes;
    c->event_id = id_required(r, &r->doc, "event.uuid");
    c->version_at = time_required(r, &r->doc, "event.timestamp", "data.updated_at");
    c->order_id = id_required(r, &r->doc, "data.id");
    c->order.order_number = id_optional(r, &r->doc, "data.order_id");
    c->order.destination = destination_of(r);
    read_order_status(r);
}

static void read_order(struct reader *r) {
    read_common(r);
    if (r->changes->order.has_status)
        add_order_change(r, FIELD_STATUS, SLICE_EMPTY, r->changes->order.status.provider_status);
}

/* ---- the boxes ---- */

/* The two shapes of a tracking say the same under other names. */
struct tracking_keys {
    const char *status, *carrier;
};
static const struct tracking_keys IN_TRACKINGS = {"status", "carrier"};
static const struct tracking_keys IN_EVENT = {"tracking_status", "carrier_code"};

/* A tracking without a status has a label at least. */
static const struct status_word *meaning_of(struct slice word) {
    static const struct status_word no_word = {.status = STATUS_PRE_TRANSIT};
    return word.len ? STATUS_WORD_IN(TRACKING_WORDS, word) : &no_word;
}

static void read_box(struct reader *r, const struct place *tracking, struct slice number,
                     const struct tracking_keys *keys) {
    struct box_change *box = next_box(r, number);
    struct slice word = id_optional(r, tracking, keys->status);
    box_report(box, meaning_of(word), word, r->changes->version_at);
    box->tracking_number = number;
    box->carrier_name = text_optional(r, tracking, keys->carrier);
    box->carrier = text_lower(r, box->carrier_name);
    box->tracking_url = url_optional(r, tracking, "tracking_url");
    box->label_url = url_optional(r, tracking, "label_url");
    box->items = items_optional(r, tracking, "shipped_items", "order_item_id");
}

static int compare_slices(const void *left, const void *right) {
    return slice_cmp(*(const struct slice *)left, *(const struct slice *)right);
}

/* The numbers of all boxes read, each once, sorted. */
static void list_boxes(struct reader *r) {
    struct changes *c = r->changes;
    struct slice *list = reader_array(r, c->box_count, sizeof *list);
    if (!list)
        return;
    for (size_t i = 0; i < c->box_count; i++)
        list[i] = c->boxes[i].box_id;
    qsort(list, c->box_count, sizeof *list, compare_slices);
    size_t count = 1;
    for (size_t i = 1; i < c->box_count; i++) {
        if (!slice_eq(list[i], list[count - 1]))
            list[count++] = list[i];
    }
    c->order.has_box_list = true;
    c->order.box_list = list;
    c->order.box_list_count = count;
}

static bool has_box(const struct changes *c, struct slice number) {
    for (size_t i = 0; i < c->box_count; i++) {
        if (slice_eq(c->boxes[i].box_id, number))
            return true;
    }
    return false;
}

/* The box that the event is about, and the only history row. */
static void read_event_tracking(struct reader *r, const struct place *tracking) {
    struct slice number = id_optional(r, tracking, "tracking_number");
    if (!number.len || !reserve_events(r, 1))
        return;
    if (!has_box(r->changes, number))
        read_box(r, tracking, number, &IN_EVENT);
    struct slice word = id_optional(r, tracking, IN_EVENT.status);
    const struct status_word *row = meaning_of(word);
    struct tracking_event *event = next_event(r, number, r->changes->version_at);
    event->provider_status = word;
    if (row) {
        event->status = row->status;
        event->detail = row->detail;
    }
}

static void read_shipment(struct reader *r) {
    const struct place trackings = place_at(&r->doc, "data.trackings");
    const struct place tracking = object_at(r, &r->doc, "event.tracking");
    read_common(r);
    size_t count = place_count(r, &trackings);
    if (!reserve_boxes(r, count + 1))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct place at = object_element(r, &trackings, i);
        struct slice number = id_optional(r, &at, "tracking_number");
        /* A tracking without a number is no box yet, and must not take the others down. */
        if (number.len)
            read_box(r, &at, number, &IN_TRACKINGS);
    }
    bool is_list = r->changes->box_count > 0;
    read_event_tracking(r, &tracking);
    if (is_list)
        list_boxes(r);
}

/*
 * waybill's own form (docs/sending.md): what somebody knows of an order, in the shape in which the
 * status endpoint shows orders, with the time of the knowledge around it.
 *
 * A status says what holds since `timestamp`; `events` only add to the history. A row of the
 * history without an id is known by its time and its words, so that a whole order may be sent again
 * and again.
 */
#include "adapter/crypto.h"
#include "base/hex.h"
#include "base/limits.h"
#include "domain/fields.h"
#include "domain/providers/read.h"

static void read_order(struct reader *r);

static const struct event_kind EVENTS[] = {
    {SLICE("order.updated"), read_order}, {SLICE("ping"), NULL}, /* is the credential right? */
};

/* What decides where facts go is not guessed when it is of a wrong type. */
static struct slice source_of(struct reader *r, const struct place *order) {
    const struct json *source = json_get(order->value, "source");
    return json_is_null(source) || json_is_string(source) ? id_optional(r, order, "source")
                                                          : id_required(r, order, "source");
}

bool waybill_read(const struct json *doc, const struct reading_context *context,
                  struct arena *arena, struct changes *changes, enum reading *reading) {
    struct reader r;
    if (!reader_begin(&r, doc, context, arena, changes)) {
        return reader_end(&r, reading);
    }
    const struct event_kind *event = event_required(&r, "type", EVENTS, ARRAY_LEN(EVENTS));
    live_flag(&r, &r.doc, "data.live");
    changes->event_id = id_optional(&r, &r.doc, "id");
    event_read(&r, event);
    return reader_end(&r, reading);
}

/* ---- statuses ---- */

struct words {
    struct slice status, provider_status, detail;
};

/* The sender's own word is the status where there is no other. */
static struct words words_at(struct reader *r, const struct place *at) {
    struct words words = {.status = id_optional(r, at, "status"),
                          .provider_status = id_optional(r, at, "provider_status"),
                          .detail = id_optional(r, at, "status_detail")};
    if (!words.provider_status.len)
        words.provider_status = words.status;
    return words;
}

/* The time of a status: its own, of a delivery also delivered_at, else that of the event. */
static int64_t status_time(struct reader *r, const struct place *at, enum status status) {
    int64_t time = time_optional(r, at, "status_at");
    if (time == TIMESTAMP_NONE && status == STATUS_DELIVERED)
        time = time_optional(r, at, "delivered_at");
    return time != TIMESTAMP_NONE ? time : r->changes->version_at;
}

/* False, and nothing is told, when AT has no status: what belongs to one says nothing alone. */
static bool read_status(struct reader *r, const struct place *at, struct status_report *report) {
    struct words words = words_at(r, at);
    status_report_init(report);
    if (!words.provider_status.len)
        return false;
    report->status = status_from_word(words.status);
    report->provider_status = words.provider_status;
    report->detail = words.detail;
    report->at = status_time(r, at, report->status);
    report->location = line_optional(r, at, "location");
    report->next_attempt_at = time_optional(r, at, "next_attempt_at");
    return true;
}

/* ---- history ---- */

/* A name that is an id's only on purpose. */
static struct slice event_id_of(struct reader *r, const struct tracking_event *event) {
    const struct slice fields[] = {time_text(r, event->occurred_at), status_name(event->status),
                                   event->provider_status};
    uint8_t digest[SHA256_LEN];
    char text[2 * SHA256_LEN + 1];
    struct strbuf id = STRBUF_INIT(LIMIT_ID);
    if (!crypto_sha256_fields(fields, ARRAY_LEN(fields), digest))
        r->no_memory = true;
    hex_encode(digest, sizeof digest, text);
    strbuf_addf(&id, "sha256:%.32s", text);
    return reader_take_text(r, &id);
}

static void read_event(struct reader *r, const struct place *at, struct box_change *box) {
    struct words words = words_at(r, at);
    int64_t occurred_at = time_required(r, at, "occurred_at", NULL);
    struct tracking_event *event = next_event(r, box->box_id, occurred_at);
    event->status = status_from_word(words.status);
    event->detail = words.detail;
    event->provider_status = words.provider_status;
    event->location = line_optional(r, at, "location");
    event->message = text_optional(r, at, "message");
    event->previous_status = id_optional(r, at, "previous_provider_status");
    event->sender_event_id = id_optional(r, at, "id");
    if (!event->sender_event_id.len)
        event->sender_event_id = event_id_of(r, event);
    box->had_failed_attempt = box->had_failed_attempt || event->status == STATUS_ATTEMPT_FAILED;
}

/* Without a list, a status is a row of the history by itself. */
static void read_history(struct reader *r, const struct place *at, struct box_change *box) {
    const struct place events = place_at(at, "events");
    size_t count = place_count(r, &events);
    for (size_t i = 0; i < count; i++) {
        const struct place element = place_element(&events, i);
        read_event(r, &element, box);
    }
    if (box->has_status && !json_is_array(events.value)) {
        struct tracking_event *event = next_event(r, box->box_id, box->status.at);
        event_report(event, box);
        event->sender_event_id = event_id_of(r, event);
    }
}

/* ---- boxes ---- */

static struct slice pickup_point_of(struct reader *r, const struct place *box) {
    const struct place point = object_at(r, box, "pickup_point");
    const struct text_member members[] = {
        {"name", text_optional(r, &point, "name")},
        {"street", text_optional(r, &point, "street")},
        {"city", text_optional(r, &point, "city")},
        {"zip", text_optional(r, &point, "zip")},
        {"country", country_optional(r, &point, "country")},
        {"phone", text_optional(r, &point, "phone")},
        {"opening_hours", text_optional(r, &point, "opening_hours")},
        {"map_url", url_optional(r, &point, "map_url")},
    };
    return text_object(r, members, ARRAY_LEN(members));
}

static void read_documents(struct reader *r, const struct place *at, struct slice box_id) {
    const struct place papers = place_at(at, "documents");
    size_t count = place_count(r, &papers);
    struct changes *c = r->changes;
    for (size_t i = 0; i < count; i++) {
        const struct place paper = object_element(r, &papers, i);
        struct slice kind = id_optional(r, &paper, "kind");
        struct slice url = url_optional(r, &paper, "url");
        if (url.len)
            c->documents[c->document_count++] = (struct document){
                .box_id = box_id, .kind = kind.len ? kind : SLICE_OF("other"), .url = url};
    }
}

static void read_box(struct reader *r, const struct place *at) {
    struct box_change *box = next_box(r, id_required(r, at, "id"));
    box->has_status = read_status(r, at, &box->status);
    box->was_delayed = flag_optional(r, at, "was_delayed");
    box->had_failed_attempt =
        flag_optional(r, at, "had_failed_attempt") || box->status.status == STATUS_ATTEMPT_FAILED;
    box->tracking_number = id_optional(r, at, "tracking_number");
    box->carrier = text_lower(r, text_optional(r, at, "carrier"));
    box->tracking_url = url_optional(r, at, "tracking_url");
    box->signed_by = text_optional(r, at, "signed_by");
    box->proof_of_delivery = url_optional(r, at, "proof_of_delivery");
    box->pickup_point = pickup_point_of(r, at);
    box->items = items_optional(r, at, "items", "id");
    box->estimated_delivery_date = date_optional(r, at, "estimated_delivery_date");
    box->estimated_delivery_at = time_optional(r, at, "estimated_delivery_at");
    box->shipped_at = time_optional(r, at, "shipped_at");
    read_documents(r, at, box->box_id);
    read_history(r, at, box);
}

/* Room for the lists of all boxes together; false without memory, or when they are too long. */
static bool reserve_lists(struct reader *r, const struct place *boxes, size_t count) {
    size_t events = 0, documents = 0;
    for (size_t i = 0; i < count; i++) {
        const struct place box = place_element(boxes, i);
        const struct json *list = json_get(box.value, "events");
        events += json_is_array(list) ? json_array_len(list) : 1;
        documents += json_array_len(json_get(box.value, "documents"));
    }
    if (events > LIMIT_CHANGES || documents > LIMIT_CHANGES) {
        reader_fail(r, boxes, NULL, "more than 10000 events or documents in all");
        return false;
    }
    r->changes->documents = reader_array(r, documents + 1, sizeof *r->changes->documents);
    return r->changes->documents && reserve_boxes(r, count) && reserve_events(r, events + 1);
}

/* ---- the order ---- */

static void read_destination(struct reader *r, const struct place *order) {
    const struct place at = object_at(r, order, "destination");
    const struct recipient to = {
        .name = text_optional(r, &at, "name"),
        .company = text_optional(r, &at, "company"),
        .phone = text_optional(r, &at, "phone"),
        .email = text_optional(r, &at, "email"),
        .street = text_optional(r, &at, "street"),
        .details = text_optional(r, &at, "details"),
        .city = text_optional(r, &at, "city"),
        .zip = text_optional(r, &at, "zip"),
        .province = text_optional(r, &at, "province"),
        .country = country_optional(r, &at, "country"),
    };
    r->changes->order.destination = recipient_json(r, &to);
    if (r->changes->order.destination.len)
        add_order_change(r, FIELD_DESTINATION, SLICE_EMPTY, recipient_summary(r, &to));
}

static void read_own_status(struct reader *r, const struct place *at) {
    struct order_change *order = &r->changes->order;
    order->has_status = read_status(r, at, &order->status);
    if (order->has_status)
        add_order_change(r, FIELD_STATUS, SLICE_EMPTY, order->status.provider_status);
}

static void read_facts(struct reader *r, const struct place *at) {
    struct order_change *order = &r->changes->order;
    order->order_number = id_optional(r, at, "order_number");
    order->external_reference = id_optional(r, at, "external_reference");
    order->courier_id = id_optional(r, at, "courier_id");
    order->send_date = time_optional(r, at, "send_date");
    if (order->courier_id.len)
        add_order_change(r, FIELD_COURIER, SLICE_EMPTY, order->courier_id);
    if (order->send_date != TIMESTAMP_NONE)
        add_order_change(r, FIELD_SEND_DATE, SLICE_EMPTY, time_text(r, order->send_date));
}

static void read_order(struct reader *r) {
    const struct place order = place_at(&r->doc, "data"), boxes = place_at(&order, "boxes");
    struct changes *c = r->changes;
    c->version_at = time_required(r, &r->doc, "timestamp", NULL);
    c->order_source = source_of(r, &order);
    c->order_source_path = "data.source";
    c->order_id = id_required(r, &order, "id");
    read_own_status(r, &order);
    read_facts(r, &order);
    read_destination(r, &order);
    size_t count = place_count(r, &boxes);
    if (count == 0 || !reserve_lists(r, &boxes, count))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct place box = place_element(&boxes, i);
        read_box(r, &box);
    }
}

/*
 * Crowdsender: one change of an order or of one of its boxes, as the value before and after.
 *
 * What newValue is depends on `type` alone; `source` is the same for most types. There is no event
 * id, and only createdAt orders the events.
 */
#include "domain/fields.h"
#include "domain/providers/read.h"

static const struct status_word BOX_WORDS[] = {
    {.word = SLICE("waiting"), .status = STATUS_PENDING},
    {.word = SLICE("generated label"),
     .status = STATUS_PRE_TRANSIT,
     .detail = SLICE("label_created")},
    {.word = SLICE("reprint"),
     .status = STATUS_PRE_TRANSIT,
     .detail = SLICE("label_reprinted"),
     .weak = true},
    {.word = SLICE("scanned"),
     .status = STATUS_IN_TRANSIT,
     .detail = SLICE("received_at_origin_facility")},
    {.word = SLICE("on route"), .status = STATUS_IN_TRANSIT, .detail = SLICE("in_transit")},
    {.word = SLICE("depot"), .status = STATUS_IN_TRANSIT, .detail = SLICE("arrived_at_facility")},
    {.word = SLICE("last mile"), .status = STATUS_OUT_FOR_DELIVERY},
    {.word = SLICE("possible delay"),
     .status = STATUS_IN_TRANSIT,
     .detail = SLICE("delayed"),
     .weak = true,
     .delayed = true},
    {.word = SLICE("incident"), .status = STATUS_EXCEPTION, .detail = SLICE("incident")},
    {.word = SLICE("damaged"), .status = STATUS_EXCEPTION, .detail = SLICE("damaged")},
    /* No tracking information, or nobody at home? The sender does not say. */
    {.word = SLICE("not available"), .status = STATUS_UNKNOWN, .detail = SLICE("not_available")},
    {.word = SLICE("delivery point"),
     .status = STATUS_AVAILABLE_FOR_PICKUP,
     .detail = SLICE("arrived_at_pickup_location")},
    {.word = SLICE("delivered"), .status = STATUS_DELIVERED},
    {.word = SLICE("returned"), .status = STATUS_RETURNED},
    {.word = SLICE("lost"), .status = STATUS_FAILED, .detail = SLICE("lost")},
    {.word = SLICE("destroyed"), .status = STATUS_FAILED, .detail = SLICE("destroyed")},
};

static const struct status_word ORDER_WORDS[] = {
    {.word = SLICE("REGISTERED"), .status = STATUS_PENDING},
    {.word = SLICE("TO_REVIEW"), .status = STATUS_PENDING, .detail = SLICE("needs_review")},
    {.word = SLICE("PENDING_TO_SHIP"), .status = STATUS_PRE_TRANSIT},
    {.word = SLICE("SHIPPED"), .status = STATUS_IN_TRANSIT},
    {.word = SLICE("SHIPMENT_FAILED"), .status = STATUS_EXCEPTION},
    {.word = SLICE("COMPLETED"), .status = STATUS_DELIVERED},
    {.word = SLICE("CANCELED"), .status = STATUS_CANCELLED},
};

static void read_tracking(struct reader *r);
static void read_status(struct reader *r);
static void read_send_date(struct reader *r);
static void read_courier(struct reader *r);
static void read_destination(struct reader *r);

static const struct event_kind EVENTS[] = {
    {SLICE("trackingUpdated"), read_tracking},
    {SLICE("statusUpdated"), read_status},
    {SLICE("sendDateUpdated"), read_send_date},
    {SLICE("courierUpdated"), read_courier},
    {SLICE("destinationAddressUpdated"), read_destination},
};

bool crowdsender_read(const struct json *doc, const struct reading_context *context,
                      struct arena *arena, struct changes *changes, enum reading *reading) {
    struct reader r;
    if (!reader_begin(&r, doc, context, arena, changes)) {
        return reader_end(&r, reading);
    }
    const struct event_kind *event = event_required(&r, "type", EVENTS, ARRAY_LEN(EVENTS));
    live_flag(&r, &r.doc, "liveMode");
    changes->version_at = time_required(&r, &r.doc, "createdAt", NULL);
    changes->order_id = id_required(&r, &r.doc, "data.orderId");
    changes->order.order_number = id_optional(&r, &r.doc, "data.orderNumber");
    changes->order.external_reference = id_optional(&r, &r.doc, "data._externalReferenceId");
    event_read(&r, event);
    return reader_end(&r, reading);
}

/* Sent with 'generated label' only. A paper of no kind is a link still worth keeping. */
static void read_documents(struct reader *r, struct slice box_id) {
    const struct place papers = place_at(&r->doc, "data.documents");
    size_t count = place_count(r, &papers);
    struct changes *c = r->changes;
    if (count == 0 || !(c->documents = reader_array(r, count, sizeof *c->documents)))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct place paper = object_element(r, &papers, i);
        struct slice kind = id_optional(r, &paper, "typeFile");
        struct slice url = url_optional(r, &paper, "uri");
        if (url.len)
            c->documents[c->document_count++] = (struct document){
                .box_id = box_id, .kind = kind.len ? kind : SLICE_OF("other"), .url = url};
    }
}

static void read_tracking(struct reader *r) {
    const struct place data = place_at(&r->doc, "data");
    struct slice box_id = id_required(r, &data, "boxId");
    struct slice word = id_required(r, &data, "newValue");
    int64_t at = r->changes->version_at;
    if (!reserve_boxes(r, 1) || !reserve_events(r, 1))
        return;
    struct box_change *box = next_box(r, box_id);
    box_report(box, STATUS_WORD_IN(BOX_WORDS, word), word, at);
    box->tracking_number = id_optional(r, &data, "trackId");
    struct tracking_event *event = next_event(r, box_id, at);
    event_report(event, box);
    event->previous_status = id_optional(r, &data, "previousValue");
    read_documents(r, box_id);
}

static void read_status(struct reader *r) {
    struct order_change *order = &r->changes->order;
    struct slice word = id_required(r, &r->doc, "data.newValue");
    struct slice previous = id_optional(r, &r->doc, "data.previousValue");
    order->has_status = true;
    order->status =
        status_report_of(STATUS_WORD_IN(ORDER_WORDS, word), word, r->changes->version_at);
    add_order_change(r, FIELD_STATUS, previous, word);
}

static void read_send_date(struct reader *r) {
    int64_t date = time_required(r, &r->doc, "data.newValue", NULL);
    int64_t previous = time_optional(r, &r->doc, "data.previousValue");
    r->changes->order.send_date = date;
    add_order_change(r, FIELD_SEND_DATE, time_text(r, previous), time_text(r, date));
}

static void read_courier(struct reader *r) {
    struct slice id = id_required(r, &r->doc, "data.newValue");
    struct slice previous = id_optional(r, &r->doc, "data.previousValue");
    r->changes->order.courier_id = id;
    add_order_change(r, FIELD_COURIER, previous, id);
}

static struct recipient recipient_at(struct reader *r, const char *path) {
    const struct place at = object_at(r, &r->doc, path);
    return (struct recipient){
        .name = text_join(r, text_optional(r, &at, "name"), " ", text_optional(r, &at, "surnames")),
        .company = text_optional(r, &at, "company"),
        .phone = text_join(r, text_optional(r, &at, "phone.prefix"), "",
                           text_optional(r, &at, "phone.number")),
        .email = text_optional(r, &at, "email"),
        .street =
            text_join(r, text_optional(r, &at, "street"), " ", text_optional(r, &at, "number")),
        .details = text_optional(r, &at, "details"),
        .city = text_optional(r, &at, "city"),
        .zip = text_optional(r, &at, "zip"),
        .province = text_optional(r, &at, "province"),
        .country = country_optional(r, &at, "country"),
    };
}

static void read_destination(struct reader *r) {
    object_required(r, &r->doc, "data.newValue");
    struct recipient to = recipient_at(r, "data.newValue");
    struct recipient previous = recipient_at(r, "data.previousValue");
    r->changes->order.destination = recipient_json(r, &to);
    add_order_change(r, FIELD_DESTINATION, recipient_summary(r, &previous),
                     recipient_summary(r, &to));
}

/*
 * CrossBorderly: one event of one parcel, which names no order, so that it is an order of its own;
 * or a manifest, which names no parcel.
 */
#include "domain/fields.h"
#include "domain/providers/read.h"

static const struct status_word WORDS[] = {
    {.word = SLICE("ORDERED"), .status = STATUS_PENDING},
    {.word = SLICE("LABEL_GENERATED"),
     .status = STATUS_PRE_TRANSIT,
     .detail = SLICE("label_created")},
    {.word = SLICE("MANIFEST_SUBMITTED"),
     .status = STATUS_PRE_TRANSIT,
     .detail = SLICE("manifested")},
    {.word = SLICE("PICKED_UP"), .status = STATUS_IN_TRANSIT, .detail = SLICE("picked_up")},
    {.word = SLICE("CUSTOMS_CLEARANCE"),
     .status = STATUS_IN_TRANSIT,
     .detail = SLICE("customs_export")},
    {.word = SLICE("IN_TRANSIT"), .status = STATUS_IN_TRANSIT},
    {.word = SLICE("CUSTOMS_ARRIVED"),
     .status = STATUS_IN_TRANSIT,
     .detail = SLICE("arrived_at_destination")},
    {.word = SLICE("CUSTOMS_PROCESSING"),
     .status = STATUS_IN_TRANSIT,
     .detail = SLICE("customs_import")},
    {.word = SLICE("CUSTOMS_HOLD"), .status = STATUS_EXCEPTION, .detail = SLICE("customs_hold")},
    {.word = SLICE("CUSTOMS_RELEASED"),
     .status = STATUS_IN_TRANSIT,
     .detail = SLICE("customs_released")},
    {.word = SLICE("OUT_FOR_DELIVERY"), .status = STATUS_OUT_FOR_DELIVERY},
    {.word = SLICE("DELIVERY_ATTEMPTED"), .status = STATUS_ATTEMPT_FAILED},
    {.word = SLICE("DELIVERED"), .status = STATUS_DELIVERED},
    {.word = SLICE("DELIVERY_FAILED"),
     .status = STATUS_EXCEPTION,
     .detail = SLICE("delivery_failed")},
    {.word = SLICE("RETURN_TO_SENDER"), .status = STATUS_RETURNING},
    {.word = SLICE("RETURNED"), .status = STATUS_RETURNED},
    {.word = SLICE("VOIDED"), .status = STATUS_CANCELLED},
    {.word = SLICE("EXCEPTION"), .status = STATUS_EXCEPTION},
};

static void read_status_changed(struct reader *r);
static void read_delivered(struct reader *r);
static void read_exception(struct reader *r);
static void read_manifest(struct reader *r);

static const struct event_kind EVENTS[] = {
    {SLICE("parcel.status_changed"), read_status_changed},
    {SLICE("parcel.delivered"), read_delivered},
    {SLICE("parcel.exception"), read_exception},
    {SLICE("manifest.submitted"), read_manifest},
};

bool crossborderly_read(const struct json *doc, const struct reading_context *context,
                        struct arena *arena, struct changes *changes, enum reading *reading) {
    struct reader r;
    if (!reader_begin(&r, doc, context, arena, changes)) {
        return reader_end(&r, reading);
    }
    const struct event_kind *event = event_required(&r, "event", EVENTS, ARRAY_LEN(EVENTS));
    environment_word(&r, &r.doc, "environment");
    changes->event_id = id_required(&r, &r.doc, "id");
    event_read(&r, event);
    return reader_end(&r, reading);
}

/* The event's own time stands in the data, at a path of each event; the envelope's is that of the
 * message. */
static void read_version(struct reader *r, const char *time_path) {
    r->changes->version_at = time_required(r, &r->doc, time_path, "timestamp");
}

/* The parcel, its order and the history row. ROW is what WORD means. False without memory. */
static bool report_parcel(struct reader *r, const struct status_word *row, struct slice word) {
    struct slice number = id_required(r, &r->doc, "data.trackingNumber");
    int64_t at = r->changes->version_at;
    r->changes->order_id = number;
    if (!reserve_boxes(r, 1) || !reserve_events(r, 1))
        return false;
    struct box_change *box = next_box(r, number);
    box->tracking_number = number;
    box_report(box, row, word, at);
    box->status.location = line_optional(r, &r->doc, "data.location");
    event_report(next_event(r, number, at), box);
    return true;
}

static void read_status_changed(struct reader *r) {
    struct slice word = id_required(r, &r->doc, "data.newStatus");
    read_version(r, "data.timestamp");
    if (report_parcel(r, STATUS_WORD_IN(WORDS, word), word))
        r->changes->events->previous_status = id_optional(r, &r->doc, "data.previousStatus");
}

/* Carries no status; the same delivery may also come as a status_changed to DELIVERED. */
static void read_delivered(struct reader *r) {
    const struct slice word = SLICE("DELIVERED");
    read_version(r, "data.deliveredAt");
    if (!report_parcel(r, STATUS_WORD_IN(WORDS, word), word))
        return;
    r->changes->boxes->signed_by = text_optional(r, &r->doc, "data.signature");
    r->changes->boxes->proof_of_delivery = url_optional(r, &r->doc, "data.proofOfDelivery");
}

/* Carries no status either: a failed delivery that will be tried again is an attempt. */
static void read_exception(struct reader *r) {
    struct slice type = id_required(r, &r->doc, "data.exceptionType");
    int64_t next_attempt_at = time_optional(r, &r->doc, "data.nextAttempt");
    bool again = is_present(&r->doc, "data.nextAttempt") &&
                 status_word_eq(type, SLICE_OF("DELIVERY_FAILED"));
    const struct status_word row = {.status = again ? STATUS_ATTEMPT_FAILED : STATUS_EXCEPTION,
                                    .detail = text_lower(r, type)};
    read_version(r, "data.timestamp");
    if (!report_parcel(r, &row, type))
        return;
    r->changes->boxes->status.next_attempt_at = next_attempt_at;
    r->changes->events->message = text_optional(r, &r->doc, "data.reason");
    /* The next event's previousStatus will be one of these, whatever the exceptionType was. */
    r->changes->events->stands_for = SLICE_OF("EXCEPTION|DELIVERY_ATTEMPTED|DELIVERY_FAILED");
}

static void read_manifest(struct reader *r) {
    const struct place data = place_at(&r->doc, "data");
    struct manifest *manifest = &r->changes->manifest;
    read_version(r, "data.timestamp");
    r->changes->has_manifest = true;
    manifest->shipment_id = id_required(r, &data, "shipmentId");
    manifest->awb_number = id_optional(r, &data, "awbNumber");
    manifest->country = country_optional(r, &data, "country");
    manifest->submitted_at = r->changes->version_at;
    int64_t count;
    if (integer_optional(r, &data, "parcelCount", &count) && count >= 0) {
        manifest->parcel_count = count;
    }
}

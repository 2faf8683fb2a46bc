/*
 * Shipup: a snapshot of one tracker with all its events, sent again for each new event.
 *
 * The envelope's created_at orders the snapshots; the event that was the reason may be an older one
 * of a burst, so it decides nothing.
 */
#include "adapter/crypto.h"
#include "base/hex.h"
#include "base/limits.h"
#include "domain/fields.h"
#include "domain/providers/read.h"

/* delivery_status_code of a tracker */
static const struct status_word TRACKER_WORDS[] = {
    {.word = SLICE("pending"), .status = STATUS_PENDING},
    {.word = SLICE("info_received"), .status = STATUS_PRE_TRANSIT},
    {.word = SLICE("in_transit"), .status = STATUS_IN_TRANSIT},
    {.word = SLICE("transit"), .status = STATUS_IN_TRANSIT}, /* undocumented, seen in an example */
    {.word = SLICE("delayed"), .status = STATUS_IN_TRANSIT, .delayed = true},
    {.word = SLICE("failed_attempt"), .status = STATUS_ATTEMPT_FAILED},
    {.word = SLICE("exception"), .status = STATUS_EXCEPTION},
    {.word = SLICE("pickup"), .status = STATUS_AVAILABLE_FOR_PICKUP},
    {.word = SLICE("delivered"), .status = STATUS_DELIVERED},
    {.word = SLICE("return"), .status = STATUS_RETURNING},
    {.word = SLICE("expired"), .status = STATUS_EXPIRED},
};

/* event_type_code of an event */
static const struct status_word EVENT_WORDS[] = {
    {.word = SLICE("label_created"), .status = STATUS_PRE_TRANSIT},
    {.word = SLICE("origin_scan"), .status = STATUS_IN_TRANSIT, .detail = SLICE("picked_up")},
    {.word = SLICE("transit"), .status = STATUS_IN_TRANSIT},
    {.word = SLICE("incident"), .status = STATUS_EXCEPTION},
    {.word = SLICE("out_for_delivery"), .status = STATUS_OUT_FOR_DELIVERY},
    {.word = SLICE("failed_attempt"), .status = STATUS_ATTEMPT_FAILED},
    {.word = SLICE("pickup_point"), .status = STATUS_AVAILABLE_FOR_PICKUP},
    {.word = SLICE("delivered"), .status = STATUS_DELIVERED},
    {.word = SLICE("return"), .status = STATUS_RETURNING},
    {.word = SLICE("drop_off"), .status = STATUS_IN_TRANSIT}, /* of a return */
    {.word = SLICE("expired"), .status = STATUS_EXPIRED},
};

static void read_tracker(struct reader *r);

static const struct event_kind EVENTS[] = {
    {SLICE("tracker.new"), read_tracker},
    {SLICE("tracker.events.new"), read_tracker},
    {SLICE("notification.new"), NULL},
    {SLICE("feedback.new"), NULL},
};

/* {"livemode":"false"} and nothing else: what is posted when an endpoint is saved. */
static bool is_url_check(struct reader *r) {
    const struct json *doc = r->doc.value, *livemode = json_get(doc, "livemode");
    bool flag;
    if (json_get(doc, "id") || json_get(doc, "type") ||
        (!json_is_string(livemode) && !json_is_integer(livemode) &&
         !json_to_boolean(livemode, &flag)))
        return false;
    struct strbuf rest = STRBUF_INIT(LIMIT_BODY);
    if (!json_canonical(doc, "livemode", &rest))
        r->no_memory = true;
    bool alone = slice_eq(strbuf_slice(&rest), SLICE_OF("{}"));
    strbuf_free(&rest);
    return alone;
}

bool shipup_read(const struct json *doc, const struct reading_context *context, struct arena *arena,
                 struct changes *changes, enum reading *reading) {
    struct reader r;
    if (!reader_begin(&r, doc, context, arena, changes)) {
        return reader_end(&r, reading);
    }
    if (is_url_check(&r)) {
        r.reading = READING_URL_CHECK;
        return reader_end(&r, reading);
    }
    const struct event_kind *event = event_required(&r, "type", EVENTS, ARRAY_LEN(EVENTS));
    live_flag(&r, &r.doc, "livemode");
    changes->event_id = id_optional(&r, &r.doc, "id");
    event_read(&r, event);
    return reader_end(&r, reading);
}

/* ---- the pieces of a tracker ---- */

static struct slice full_name(struct reader *r, const struct place *address) {
    struct slice name = text_optional(r, address, "name");
    if (name.len)
        return name;
    return text_join(r, text_optional(r, address, "first_name"), " ",
                     text_optional(r, address, "last_name"));
}

static struct slice country_of(struct reader *r, const struct place *address) {
    struct slice code = country_optional(r, address, "country_code");
    return code.len ? code : country_optional(r, address, "country");
}

/* One line without street and name: everybody who may see a parcel may see where it is. */
static struct slice location_of(struct reader *r, const struct place *address) {
    struct slice country = line_optional(r, address, "country");
    if (!country.len)
        country = line_optional(r, address, "country_code");
    struct slice town =
        text_join(r, line_optional(r, address, "city"), ", ", line_optional(r, address, "state"));
    return text_join(r, town, ", ", country);
}

static struct slice destination_of(struct reader *r, const struct place *tracker) {
    const struct place address = object_at(r, tracker, "fulfillment.shipping_address");
    const struct place order = object_at(r, tracker, "fulfillment.order");
    const struct recipient to = {
        .name = full_name(r, &address),
        .company = text_optional(r, &address, "company_title"),
        .phone = text_optional(r, &order, "phone"),
        .email = text_optional(r, &order, "email"),
        .street = text_optional(r, &address, "address1"),
        .details = text_optional(r, &address, "address2"),
        .city = text_optional(r, &address, "city"),
        .zip = text_optional(r, &address, "zip"),
        .province = text_optional(r, &address, "state"),
        .country = country_of(r, &address),
    };
    return recipient_json(r, &to);
}

/* "tue 06:30-19:00; wed 08:00-12:00" */
static struct slice opening_hours_of(struct reader *r, const struct place *point) {
    static const char *const DAYS[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    const struct place week = object_at(r, point, "opening_hours");
    struct slice text = SLICE_EMPTY;
    for (size_t i = 0; i < ARRAY_LEN(DAYS); i++) {
        struct slice hours = line_optional(r, &week, DAYS[i]);
        if (hours.len)
            text = text_join(r, text, "; ", text_join(r, slice_from_cstr(DAYS[i]), " ", hours));
    }
    return text;
}

static struct slice pickup_point_of(struct reader *r, const struct place *tracker) {
    const struct place point = object_at(r, tracker, "pickup_point");
    const struct place address = object_at(r, &point, "address");
    struct slice company = text_optional(r, &address, "company_title");
    const struct text_member members[] = {
        {"name", company.len ? company : full_name(r, &address)},
        {"street", text_join(r, text_optional(r, &address, "address1"), ", ",
                             text_optional(r, &address, "address2"))},
        {"city", text_optional(r, &address, "city")},
        {"zip", text_optional(r, &address, "zip")},
        {"country", country_of(r, &address)},
        {"phone", text_optional(r, &point, "phone")},
        {"opening_hours", opening_hours_of(r, &point)},
        {"map_url", url_optional(r, &point, "map.google_maps_link")},
    };
    return text_object(r, members, ARRAY_LEN(members));
}

/* The code, which stays the same in every language, as with the other senders. */
static struct slice carrier_of(struct reader *r, const struct place *tracker) {
    static const char *const PATHS[] = {"carrier_code", "carrier.code", "carrier.name"};
    struct slice carrier = SLICE_EMPTY;
    for (size_t i = 0; !carrier.len && i < ARRAY_LEN(PATHS); i++)
        carrier = text_optional(r, tracker, PATHS[i]);
    return text_lower(r, carrier);
}

/* ---- history ---- */

struct newest {
    const struct tracking_event *event; /* NULL: none yet */
    int64_t happened_at;                /* TIMESTAMP_NONE, which is the least, without a time */
};

/* Numbers as numbers, before everything else, which compares as bytes. */
static int compare_ids(struct slice a, struct slice b) {
    int64_t number_a, number_b;
    bool is_number_a = slice_to_int64(a, &number_a), is_number_b = slice_to_int64(b, &number_b);
    if (is_number_a && is_number_b && number_a != number_b)
        return number_a < number_b ? -1 : 1;
    if (is_number_a != is_number_b)
        return is_number_a ? -1 : 1;
    return slice_cmp(a, b);
}

static void keep_newest(struct newest *newest, const struct tracking_event *event,
                        int64_t happened_at) {
    if (newest->event) {
        if (happened_at < newest->happened_at)
            return;
        if (happened_at == newest->happened_at &&
            compare_ids(event->sender_event_id, newest->event->sender_event_id) <= 0)
            return;
    }
    *newest = (struct newest){event, happened_at};
}

/* An event without an id is known by its content, under a name that no id has. */
static struct slice event_id_of(struct reader *r, const struct place *at) {
    struct slice id = id_optional(r, at, "id");
    if (id.len)
        return id;
    uint8_t digest[SHA256_LEN];
    char text[2 * SHA256_LEN + 1];
    struct strbuf content = STRBUF_INIT(LIMIT_BODY);
    if (!json_canonical(at->value, NULL, &content) ||
        !crypto_sha256(strbuf_slice(&content), digest)) {
        r->no_memory = true;
        strbuf_free(&content);
        return SLICE_EMPTY;
    }
    strbuf_clear(&content);
    hex_encode(digest, sizeof digest, text);
    strbuf_addf(&content, "sha256:%.32s", text);
    return reader_take_text(r, &content);
}

/* The first of both times that is known, else the envelope's. */
static int64_t first_known(struct reader *r, int64_t a, int64_t b) {
    if (a != TIMESTAMP_NONE)
        return a;
    return b != TIMESTAMP_NONE ? b : r->changes->version_at;
}

static void read_event(struct reader *r, const struct place *at, struct box_change *box,
                       struct newest *newest, struct newest *newest_coded) {
    const struct place address = object_at(r, at, "address");
    int64_t happened_at = time_optional(r, at, "happened_at");
    int64_t occurred_at = first_known(r, happened_at, time_optional(r, at, "created_at"));
    struct slice code = id_optional(r, at, "event_type_code");
    const struct status_word *row = STATUS_WORD_IN(EVENT_WORDS, code);
    struct tracking_event *event = next_event(r, box->box_id, occurred_at);
    event->sender_event_id = event_id_of(r, at);
    event->provider_status = code;
    event->location = location_of(r, &address);
    event->message = text_optional(r, at, "message");
    if (row) {
        event->status = row->status;
        event->detail = row->detail;
    }
    if (event->status == STATUS_ATTEMPT_FAILED)
        box->had_failed_attempt = true;
    keep_newest(newest, event, happened_at);
    if (code.len)
        keep_newest(newest_coded, event, happened_at);
}

/* All events of the tracker, and which of them is the newest, coded or not. */
static void read_history(struct reader *r, const struct place *tracker, struct box_change *box,
                         struct newest *newest, struct newest *newest_coded) {
    const struct place events = place_at(tracker, "events");
    size_t count = place_count(r, &events);
    if (count == 0 || !reserve_events(r, count))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct place at = object_element(r, &events, i);
        if (at.value != NULL)
            read_event(r, &at, box, newest, newest_coded);
    }
}

/*
 * The tracker's status has no word for being on the vehicle: the newest event that has a code says
 * so, while the tracker is in transit.
 */
static void read_status(struct reader *r, const struct place *tracker, struct box_change *box) {
    struct newest newest = {.happened_at = TIMESTAMP_NONE}, coded = newest;
    struct slice code = id_optional(r, tracker, "delivery_status_code");
    if (code.len)
        box_report(box, STATUS_WORD_IN(TRACKER_WORDS, code), code, TIMESTAMP_NONE);
    read_history(r, tracker, box, &newest, &coded);
    if (!box->has_status)
        return;
    struct status_report *status = &box->status;
    if (status->status == STATUS_IN_TRANSIT && coded.event &&
        coded.event->status == STATUS_OUT_FOR_DELIVERY)
        status->status = STATUS_OUT_FOR_DELIVERY;
    if (status->status == STATUS_DELIVERED)
        status->at = time_optional(r, tracker, "delivered_at");
    status->at = first_known(r, status->at, newest.happened_at);
    if (newest.event)
        status->location = newest.event->location;
}

/* A tracker that is not tied to an order yet is an order of its own; the first webhook that names
 * its order moves it there. */
static void read_order_id(struct reader *r, const struct place *tracker, struct slice tracker_id) {
    struct changes *changes = r->changes;
    struct slice id = id_optional(r, tracker, "fulfillment.order.id");
    struct slice provisional = text_join(r, SLICE_OF("tracker"), "-", tracker_id);
    if (id.len == 0 && provisional.len > LIMIT_ID) {
        reader_fail(r, tracker, "id", "too long for the id of an order");
    }
    changes->order_id = id.len > 0 ? id : provisional;
    if (id.len > 0 && provisional.len <= LIMIT_ID && !slice_eq(id, provisional)) {
        changes->moved_from = provisional;
    }
}

static void read_tracker(struct reader *r) {
    const struct place tracker = place_at(&r->doc, "data.object");
    struct changes *c = r->changes;
    c->number = integer_required(r, &r->doc, "id");
    c->version_at = time_required(r, &r->doc, "created_at", NULL);
    struct slice id = id_required(r, &tracker, "id");
    read_order_id(r, &tracker, id);
    c->order.order_number = id_optional(r, &tracker, "fulfillment.order.order_number");
    c->order.external_reference = id_optional(r, &tracker, "fulfillment.order.merchant_id");
    c->order.destination = destination_of(r, &tracker);
    if (!reserve_boxes(r, 1))
        return;
    struct box_change *box = next_box(r, id);
    read_status(r, &tracker, box);
    box->tracking_number = id_optional(r, &tracker, "tracking_number");
    box->carrier = carrier_of(r, &tracker);
    box->carrier_name = text_optional(r, &tracker, "carrier.name");
    box->tracking_url = url_optional(r, &tracker, "carrier_tracking_url");
    box->shipped_at = time_optional(r, &tracker, "shipped_at");
    box->estimated_delivery_date = date_optional(r, &tracker, "displayable_expected_delivery_date");
    box->estimated_delivery_at =
        time_optional(r, &tracker, "displayable_expected_delivery_datetime");
    box->pickup_point = pickup_point_of(r, &tracker);
}

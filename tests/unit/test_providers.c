/*
 * What holds of every word and every field of the senders: tables of words with their meaning, of
 * required fields with the detail that names them, and of optional fields, whose wrong types count
 * as null. Whole documents are in tests/golden.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/limits.h"
#include "changes_dump.h"
#include "domain/provider.h"

/* Of a source without timezone and carrier. */
static const struct reading_context NO_OPTIONS = {.zone = NULL};

/* ---- bodies, compact so that a field is found by its text ---- */

#define CROWDSENDER(type, rest)                                                                    \
    "{\"createdAt\":\"2022-01-09T18:30:00.000Z\",\"liveMode\":false,\"type\":\"" type              \
    "\",\"data\":{\"orderId\":\"O1\",\"orderNumber\":\"N1\",\"_externalReferenceId\":\"R1\"," rest \
    "}}"

static const char TRACKING_UPDATED[] =
    CROWDSENDER("trackingUpdated",
                "\"boxId\":\"B1\",\"newValue\":\"generated label\",\"previousValue\":\"waiting\","
                "\"documents\":[{\"uri\":\"https://x/1\",\"typeFile\":\"label\"}],"
                "\"trackId\":\"T1\"");
static const char STATUS_UPDATED[] = CROWDSENDER(
    "statusUpdated", "\"newValue\":\"PENDING_TO_SHIP\",\"previousValue\":\"REGISTERED\"");
static const char SEND_DATE_UPDATED[] =
    CROWDSENDER("sendDateUpdated", "\"newValue\":\"2022-01-02T00:00:00.000Z\","
                                   "\"previousValue\":\"2022-01-01T00:00:00.000Z\"");
static const char COURIER_UPDATED[] =
    CROWDSENDER("courierUpdated", "\"newValue\":\"C2\",\"previousValue\":\"C1\"");
#define PERSON                                                                                     \
    "{\"name\":\"Ana\",\"surnames\":\"Ruiz\",\"phone\":{\"prefix\":\"+34\",\"number\":\"6\"},"     \
    "\"street\":\"Calle\",\"number\":\"1\",\"details\":\"2B\",\"city\":\"Madrid\","                \
    "\"zip\":\"28013\",\"province\":\"M\",\"country\":\"es\",\"email\":\"a@x\",\"company\":\"C\"}"
static const char DESTINATION_UPDATED[] =
    CROWDSENDER("destinationAddressUpdated",
                "\"newValue\":" PERSON ",\"previousValue\":{\"city\":\"Sevilla\"}");

#define CROSSBORDERLY(event, data)                                                                 \
    "{\"id\":\"E1\",\"event\":\"" event "\",\"timestamp\":\"2024-12-21T14:30:05Z\","               \
    "\"environment\":\"sandbox\",\"data\":{" data "}}"

static const char STATUS_CHANGED[] = CROSSBORDERLY(
    "parcel.status_changed",
    "\"trackingNumber\":\"P1\",\"previousStatus\":\"PICKED_UP\",\"newStatus\":\"IN_TRANSIT\","
    "\"location\":\"Quito, EC\"");
static const char DELIVERED[] = CROSSBORDERLY(
    "parcel.delivered",
    "\"trackingNumber\":\"P1\",\"deliveredAt\":\"2024-12-21T14:30:00Z\","
    "\"signature\":\"M.\",\"location\":\"Quito, EC\",\"proofOfDelivery\":\"https://x\"");
static const char EXCEPTION[] = CROSSBORDERLY(
    "parcel.exception",
    "\"trackingNumber\":\"P1\",\"exceptionType\":\"DELIVERY_FAILED\",\"reason\":\"Nobody\","
    "\"timestamp\":\"2024-12-21T14:30:00Z\",\"location\":\"Quito, EC\","
    "\"nextAttempt\":\"2024-12-22T09:00:00Z\"");
static const char MANIFEST[] = CROSSBORDERLY(
    "manifest.submitted",
    "\"shipmentId\":\"S1\",\"awbNumber\":\"A1\",\"parcelCount\":50,\"country\":\"EC\"");

static const char TRACKER[] =
    "{\"id\":31,\"type\":\"tracker.events.new\",\"created_at\":1530213415,\"livemode\":false,"
    "\"data\":{\"object\":{\"id\":34,\"delivery_status_code\":\"delivered\","
    "\"delivered_at\":1530213410,\"carrier_code\":\"colissimo\",\"carrier_tracking_url\":"
    "\"https://t\",\"shipped_at\":1530040615,\"displayable_expected_delivery_date\":"
    "\"2018-06-28\",\"displayable_expected_delivery_datetime\":1530213000,"
    "\"tracking_number\":\"T1\",\"fulfillment\":{\"order\":{\"id\":56,\"order_number\":\"N1\","
    "\"merchant_id\":\"M1\",\"email\":\"a@x\",\"phone\":\"+33\"},\"shipping_address\":{"
    "\"city\":\"Paris\",\"country\":\"France\",\"country_code\":\"FR\",\"state\":\"IDF\","
    "\"address1\":\"1, rue\",\"address2\":\"B\",\"zip\":\"75001\",\"company_title\":\"ACME\","
    "\"first_name\":\"John\",\"last_name\":\"Doe\",\"name\":\"John D.\"}},"
    "\"pickup_point\":{\"opening_hours\":{\"wed\":\"7-9\"},\"phone\":\"+336\",\"address\":{"
    "\"city\":\"Lyon\"},\"map\":{\"google_maps_link\":\"https://m\"}},"
    "\"events\":[{\"id\":71,\"happened_at\":1530127015,\"created_at\":1530127016,"
    "\"event_type_code\":\"transit\",\"message\":\"On its way\",\"address\":{\"city\":\"Nice\","
    "\"state\":\"PACA\",\"country\":\"Italy\"}}]}}}";

#define SWIFTPOD(name, rest)                                                                       \
    "{\"event\":{\"uuid\":\"U1\",\"name\":\"" name                                                 \
    "\",\"status\":\"shipped\",\"timestamp\":\"2022-07-08T13:24:00.128774Z\","                     \
    "\"tracking\":{\"tracking_number\":\"X9\",\"tracking_status\":\"delivered\","                  \
    "\"carrier_code\":\"UPS\",\"tracking_url\":\"https://9\"}},\"data\":{\"id\":2,"                \
    "\"order_id\":\"N1\",\"test_order\":true,\"updated_at\":\"2022-07-08T03:16:08Z\"," rest        \
    "\"address\":{\"name\":\"John\",\"company\":\"DEMO\",\"phone\":\"330\",\"street1\":\"Rd\","    \
    "\"street2\":\"Apt\",\"city\":\"Cortland\",\"state\":\"OH\",\"country\":\"US\","               \
    "\"zip\":\"44410\"}}}"

static const char SHIPMENT_NOTIFY[] =
    SWIFTPOD("shipment_notify",
             "\"trackings\":[{\"tracking_number\":\"X1\",\"status\":\"in_transit\","
             "\"carrier\":\"USPS\",\"tracking_url\":\"https://1\",\"label_url\":\"https://l\","
             "\"shipped_items\":[{\"order_item_id\":\"I1\",\"quantity\":3}]}],");
static const char ORDER_NOTIFY[] = SWIFTPOD("order_notify", "");

static const char ORDER_UPDATED[] =
    "{\"id\":\"E1\",\"type\":\"order.updated\",\"timestamp\":\"2024-12-21T14:30:05Z\","
    "\"data\":{\"source\":\"crossborderly\",\"id\":\"O1\",\"live\":false,"
    "\"order_number\":\"N1\",\"external_reference\":\"R1\",\"courier_id\":\"C1\","
    "\"send_date\":\"2024-12-20\",\"status\":\"pending\",\"provider_status\":\"Open\","
    "\"status_detail\":\"new\",\"status_at\":\"2024-12-21T14:00:00Z\",\"destination\":{"
    "\"name\":\"Ana\",\"company\":\"C\",\"phone\":\"+34\",\"email\":\"a@x\",\"street\":\"Calle 1\","
    "\"details\":\"2B\",\"city\":\"Madrid\",\"zip\":\"28013\",\"province\":\"M\",\"country\":\"es\"},"
    "\"boxes\":[{\"id\":\"B1\",\"tracking_number\":\"T1\",\"carrier\":\"ACME\","
    "\"tracking_url\":\"https://t\",\"status\":\"in_transit\",\"provider_status\":\"Moving\","
    "\"status_detail\":\"hub\",\"status_at\":\"2024-12-21T13:00:00Z\",\"location\":\"Lima\","
    "\"next_attempt_at\":\"2024-12-22T09:00:00Z\",\"was_delayed\":true,"
    "\"had_failed_attempt\":true,\"shipped_at\":\"2024-12-20T09:00:00Z\","
    "\"estimated_delivery_date\":\"2024-12-23\",\"estimated_delivery_at\":"
    "\"2024-12-23T09:00:00Z\",\"pickup_point\":{\"name\":\"Shop\",\"street\":\"Rd\","
    "\"city\":\"Lyon\",\"zip\":\"69001\",\"country\":\"fr\",\"phone\":\"+33\","
    "\"opening_hours\":\"9-5\",\"map_url\":\"https://m\"},\"signed_by\":\"M.\","
    "\"proof_of_delivery\":\"https://p\",\"documents\":[{\"kind\":\"label\",\"url\":"
    "\"https://l\"}],\"items\":[{\"id\":\"I1\",\"quantity\":3}],\"events\":[{\"id\":\"V1\","
    "\"occurred_at\":\"2024-12-21T12:00:00Z\",\"status\":\"pre_transit\",\"provider_status\":"
    "\"Label\",\"status_detail\":\"printed\",\"location\":\"Quito\",\"message\":\"Ready\","
    "\"previous_provider_status\":\"Ordered\"}]}]}}";

/* ---- reading ---- */

struct result {
    struct json_doc *doc;
    struct arena *arena;
    struct changes changes;
    enum reading reading;
};

static struct result read_as(const char *provider_name, struct slice body,
                             const struct reading_context *context) {
    struct result r;
    struct json_position where;
    const struct provider *provider = provider_find(slice_from_cstr(provider_name));
    assert_non_null(provider);
    if (json_parse(body, &r.doc, &where) != JSON_OK)
        fail_msg("%d:%d: %s in %.*s", where.line, where.column, where.message, SLICE_ARGS(body));
    r.arena = arena_new(LIMIT_REQUEST_ARENA);
    assert_non_null(r.arena);
    changes_init(&r.changes);
    assert_true(provider->read(json_root(r.doc), context, r.arena, &r.changes, &r.reading));
    return r;
}

static struct result read_body(const char *provider_name, struct slice body) {
    return read_as(provider_name, body, &NO_OPTIONS);
}

static void result_free(struct result *r) {
    arena_free(r->arena);
    json_doc_free(r->doc);
}

/* The changes as text, for comparison. */
static void dump_body(const char *provider, struct slice body, struct strbuf *out) {
    struct result r = read_body(provider, body);
    strbuf_init(out, LIMIT_BODY);
    dump_changes(&r.changes, r.reading, out);
    strbuf_add_char(out, '\0');
    assert_false(strbuf_failed(out));
    result_free(&r);
}

/* BODY with the one occurrence of OLD replaced. */
static void replace(const char *body, const char *old, const char *new, struct strbuf *out) {
    const char *at = strstr(body, old);
    if (!at || strstr(at + 1, old))
        fail_msg("%s is not once in %s", old, body);
    strbuf_init(out, LIMIT_BODY);
    strbuf_add(out, body, (size_t)(at - body));
    strbuf_add_cstr(out, new);
    strbuf_add_cstr(out, at + strlen(old));
    assert_false(strbuf_failed(out));
}

/* The same with the value of FIELD, which is written "key":value. */
static void replace_value(const char *body, const char *field, const char *value,
                          struct strbuf *out) {
    char new[4096];
    size_t key = (size_t)(strstr(field, "\":") - field) + 2;
    snprintf(new, sizeof new, "%.*s%s", (int)key, field, value);
    replace(body, field, new, out);
}

static struct result read_with_elements(const char *provider, const char *body, const char *list,
                                        const char *element, size_t count) {
    struct strbuf array = STRBUF_INIT(LIMIT_BODY), changed;
    size_t key = (size_t)(strstr(list, "\":") - list) + 2;
    strbuf_add(&array, list, key);
    for (size_t i = 0; i < count; i++)
        strbuf_addf(&array, "%c%s", i ? ',' : '[', element);
    strbuf_add(&array, "]", 2);
    assert_false(strbuf_failed(&array));
    replace(body, list, array.data, &changed);
    struct result r = read_body(provider, strbuf_slice(&changed));
    strbuf_free(&array);
    strbuf_free(&changed);
    return r;
}

/* ---- words ---- */

struct meaning {
    const char *word;
    enum status status;
    const char *detail; /* NULL: none */
    char flag;          /* 'w' weak, 'd' weak and delayed, 'D' delayed, 'a' attempt failed */
};

static void assert_meaning(const struct status_report *report, const struct meaning *m) {
    assert_int_equal(report->status, m->status);
    assert_true(slice_eq(report->detail, slice_from_cstr(m->detail)));
    assert_int_equal(report->weak, m->flag == 'w' || m->flag == 'd');
    assert_true(slice_eq(report->provider_status, slice_from_cstr(m->word)));
}

static void assert_box(const struct box_change *box, const struct meaning *m) {
    assert_true(box->has_status);
    assert_meaning(&box->status, m);
    assert_int_equal(box->was_delayed, m->flag == 'd' || m->flag == 'D');
    assert_int_equal(box->had_failed_attempt, m->flag == 'a');
}

static void assert_event(const struct tracking_event *event, const struct meaning *m) {
    assert_int_equal(event->status, m->status);
    assert_true(slice_eq(event->detail, slice_from_cstr(m->detail)));
    assert_true(slice_eq(event->provider_status, slice_from_cstr(m->word)));
}

/* Reads BODY with each word in the place of FIELD. */
static struct result read_word(const char *provider, const char *body, const char *field,
                               const char *word) {
    char value[64];
    struct strbuf changed;
    snprintf(value, sizeof value, "\"%s\"", word);
    replace_value(body, field, value, &changed);
    struct result r = read_body(provider, strbuf_slice(&changed));
    strbuf_free(&changed);
    assert_int_equal(r.reading, READING_APPLIED);
    return r;
}

static void test_crowdsender_box_words(void **state) {
    (void)state;
    static const struct meaning meanings[] = {
        {"waiting", STATUS_PENDING, NULL, 0},
        {"generated label", STATUS_PRE_TRANSIT, "label_created", 0},
        {"reprint", STATUS_PRE_TRANSIT, "label_reprinted", 'w'},
        {"scanned", STATUS_IN_TRANSIT, "received_at_origin_facility", 0},
        {"on route", STATUS_IN_TRANSIT, "in_transit", 0},
        {"depot", STATUS_IN_TRANSIT, "arrived_at_facility", 0},
        {"last mile", STATUS_OUT_FOR_DELIVERY, NULL, 0},
        {"possible delay", STATUS_IN_TRANSIT, "delayed", 'd'},
        {"incident", STATUS_EXCEPTION, "incident", 0},
        {"damaged", STATUS_EXCEPTION, "damaged", 0},
        {"not available", STATUS_UNKNOWN, "not_available", 0},
        {"delivery point", STATUS_AVAILABLE_FOR_PICKUP, "arrived_at_pickup_location", 0},
        {"delivered", STATUS_DELIVERED, NULL, 0},
        {"returned", STATUS_RETURNED, NULL, 0},
        {"lost", STATUS_FAILED, "lost", 0},
        {"destroyed", STATUS_FAILED, "destroyed", 0},
        {" Last Mile ", STATUS_OUT_FOR_DELIVERY, NULL, 0},
        {"last_mile", STATUS_OUT_FOR_DELIVERY, NULL, 0},
        {"Generated-Label", STATUS_PRE_TRANSIT, "label_created", 0},
        {"lastmile", STATUS_UNKNOWN, NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        struct result r = read_word("crowdsender", TRACKING_UPDATED,
                                    "\"newValue\":\"generated label\"", meanings[i].word);
        assert_box(&r.changes.boxes[0], &meanings[i]);
        assert_event(&r.changes.events[0], &meanings[i]);
        result_free(&r);
    }
}

static void test_crowdsender_order_words(void **state) {
    (void)state;
    static const struct meaning meanings[] = {
        {"REGISTERED", STATUS_PENDING, NULL, 0},
        {"TO_REVIEW", STATUS_PENDING, "needs_review", 0},
        {"PENDING_TO_SHIP", STATUS_PRE_TRANSIT, NULL, 0},
        {"SHIPPED", STATUS_IN_TRANSIT, NULL, 0},
        {"SHIPMENT_FAILED", STATUS_EXCEPTION, NULL, 0},
        {"COMPLETED", STATUS_DELIVERED, NULL, 0},
        {"CANCELED", STATUS_CANCELLED, NULL, 0},
        {"canceled", STATUS_CANCELLED, NULL, 0},
        {"CANCELLED", STATUS_CANCELLED, NULL, 0},
        {"pending to-ship", STATUS_PRE_TRANSIT, NULL, 0},
        {"delivered", STATUS_UNKNOWN, NULL, 0}, /* a word of boxes */
    };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        struct result r = read_word("crowdsender", STATUS_UPDATED,
                                    "\"newValue\":\"PENDING_TO_SHIP\"", meanings[i].word);
        assert_true(r.changes.order.has_status);
        assert_meaning(&r.changes.order.status, &meanings[i]);
        assert_int_equal(r.changes.box_count, 0);
        result_free(&r);
    }
}

static void test_crossborderly_words(void **state) {
    (void)state;
    static const struct meaning meanings[] = {
        {"ORDERED", STATUS_PENDING, NULL, 0},
        {"LABEL_GENERATED", STATUS_PRE_TRANSIT, "label_created", 0},
        {"MANIFEST_SUBMITTED", STATUS_PRE_TRANSIT, "manifested", 0},
        {"PICKED_UP", STATUS_IN_TRANSIT, "picked_up", 0},
        {"CUSTOMS_CLEARANCE", STATUS_IN_TRANSIT, "customs_export", 0},
        {"IN_TRANSIT", STATUS_IN_TRANSIT, NULL, 0},
        {"CUSTOMS_ARRIVED", STATUS_IN_TRANSIT, "arrived_at_destination", 0},
        {"CUSTOMS_PROCESSING", STATUS_IN_TRANSIT, "customs_import", 0},
        {"CUSTOMS_HOLD", STATUS_EXCEPTION, "customs_hold", 0},
        {"CUSTOMS_RELEASED", STATUS_IN_TRANSIT, "customs_released", 0},
        {"OUT_FOR_DELIVERY", STATUS_OUT_FOR_DELIVERY, NULL, 0},
        {"DELIVERY_ATTEMPTED", STATUS_ATTEMPT_FAILED, NULL, 'a'},
        {"DELIVERED", STATUS_DELIVERED, NULL, 0},
        {"DELIVERY_FAILED", STATUS_EXCEPTION, "delivery_failed", 0},
        {"RETURN_TO_SENDER", STATUS_RETURNING, NULL, 0},
        {"RETURNED", STATUS_RETURNED, NULL, 0},
        {"VOIDED", STATUS_CANCELLED, NULL, 0},
        {"EXCEPTION", STATUS_EXCEPTION, NULL, 0},
        {"Customs_Hold", STATUS_EXCEPTION, "customs_hold", 0},
        {"IN TRANSIT", STATUS_IN_TRANSIT, NULL, 0},
        {"out-for-delivery", STATUS_OUT_FOR_DELIVERY, NULL, 0},
        {"LOST", STATUS_UNKNOWN, NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        struct result r = read_word("crossborderly", STATUS_CHANGED, "\"newStatus\":\"IN_TRANSIT\"",
                                    meanings[i].word);
        assert_box(&r.changes.boxes[0], &meanings[i]);
        assert_event(&r.changes.events[0], &meanings[i]);
        result_free(&r);
    }
}

static void test_crossborderly_exception_types(void **state) {
    (void)state;
    static const struct meaning meanings[] = {
        {"DELIVERY_FAILED", STATUS_ATTEMPT_FAILED, "delivery_failed", 'a'},
        {" delivery_failed", STATUS_ATTEMPT_FAILED, "delivery_failed", 'a'},
        {"ADDRESS_INCORRECT", STATUS_EXCEPTION, "address_incorrect", 0},
        {"DELIVERED", STATUS_EXCEPTION, "delivered", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        struct result r = read_word("crossborderly", EXCEPTION,
                                    "\"exceptionType\":\"DELIVERY_FAILED\"", meanings[i].word);
        assert_box(&r.changes.boxes[0], &meanings[i]);
        assert_event(&r.changes.events[0], &meanings[i]);
        result_free(&r);
    }
}

static void test_shipup_tracker_words(void **state) {
    (void)state;
    static const struct meaning meanings[] = {
        {"pending", STATUS_PENDING, NULL, 0},
        {"info_received", STATUS_PRE_TRANSIT, NULL, 0},
        {"in_transit", STATUS_IN_TRANSIT, NULL, 0},
        {"transit", STATUS_IN_TRANSIT, NULL, 0},
        {"delayed", STATUS_IN_TRANSIT, NULL, 'D'},
        {"failed_attempt", STATUS_ATTEMPT_FAILED, NULL, 'a'},
        {"exception", STATUS_EXCEPTION, NULL, 0},
        {"pickup", STATUS_AVAILABLE_FOR_PICKUP, NULL, 0},
        {"delivered", STATUS_DELIVERED, NULL, 0},
        {"return", STATUS_RETURNING, NULL, 0},
        {"expired", STATUS_EXPIRED, NULL, 0},
        {"Failed Attempt", STATUS_ATTEMPT_FAILED, NULL, 'a'},
        {"out_for_delivery", STATUS_UNKNOWN, NULL, 0}, /* a word of events */
    };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        struct result r = read_word("shipup", TRACKER, "\"delivery_status_code\":\"delivered\"",
                                    meanings[i].word);
        assert_box(&r.changes.boxes[0], &meanings[i]);
        result_free(&r);
    }
}

static void test_shipup_event_words(void **state) {
    (void)state;
    static const struct meaning meanings[] = {
        {"label_created", STATUS_PRE_TRANSIT, NULL, 0},
        {"origin_scan", STATUS_IN_TRANSIT, "picked_up", 0},
        {"transit", STATUS_IN_TRANSIT, NULL, 0},
        {"incident", STATUS_EXCEPTION, NULL, 0},
        {"out_for_delivery", STATUS_OUT_FOR_DELIVERY, NULL, 0},
        {"failed_attempt", STATUS_ATTEMPT_FAILED, NULL, 'a'},
        {"pickup_point", STATUS_AVAILABLE_FOR_PICKUP, NULL, 0},
        {"delivered", STATUS_DELIVERED, NULL, 0},
        {"return", STATUS_RETURNING, NULL, 0},
        {"drop_off", STATUS_IN_TRANSIT, NULL, 0},
        {"expired", STATUS_EXPIRED, NULL, 0},
        {"", STATUS_UNKNOWN, NULL, 0},
        {"pickup", STATUS_UNKNOWN, NULL, 0}, /* a word of trackers */
    };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        struct result r =
            read_word("shipup", TRACKER, "\"event_type_code\":\"transit\"", meanings[i].word);
        assert_event(&r.changes.events[0], &meanings[i]);
        assert_int_equal(r.changes.boxes[0].had_failed_attempt, meanings[i].flag == 'a');
        assert_int_equal(r.changes.boxes[0].status.status, STATUS_DELIVERED);
        result_free(&r);
    }
}

static void test_swiftpod_order_words(void **state) {
    (void)state;
    static const struct meaning meanings[] = {
        {"draft", STATUS_PENDING, "draft", 0},
        {"new_order", STATUS_PENDING, "new_order", 0},
        {"in_production", STATUS_PENDING, "in_production", 0},
        {"on_hold", STATUS_PENDING, "on_hold", 0},
        {"shipped", STATUS_IN_TRANSIT, NULL, 0},
        {"cancelled", STATUS_CANCELLED, NULL, 0},
        {"in_production_cancelled", STATUS_CANCELLED, NULL, 0},
        {"rejected", STATUS_CANCELLED, "rejected", 0},
        {"In Production-Cancelled ", STATUS_CANCELLED, NULL, 0},
        {"delivered", STATUS_UNKNOWN, NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        struct result r =
            read_word("swiftpod", ORDER_NOTIFY, "\"status\":\"shipped\"", meanings[i].word);
        assert_true(r.changes.order.has_status);
        assert_meaning(&r.changes.order.status, &meanings[i]);
        assert_true(
            slice_eq(r.changes.order_changes[0].new_value, slice_from_cstr(meanings[i].word)));
        result_free(&r);
    }
}

static const struct meaning TRACKING_MEANINGS[] = {
    {"unknown", STATUS_UNKNOWN, NULL, 0},
    {"pre_transit", STATUS_PRE_TRANSIT, NULL, 0},
    {"", STATUS_PRE_TRANSIT, NULL, 0},
    {"in_transit", STATUS_IN_TRANSIT, NULL, 0},
    {"in transit", STATUS_IN_TRANSIT, NULL, 0},
    {" In-Transit", STATUS_IN_TRANSIT, NULL, 0},
    {"shipped", STATUS_IN_TRANSIT, NULL, 0},
    {"out_for_delivery", STATUS_OUT_FOR_DELIVERY, NULL, 0},
    {"delivered", STATUS_DELIVERED, NULL, 0},
    {"available_for_pickup", STATUS_AVAILABLE_FOR_PICKUP, NULL, 0},
    {"return_to_sender", STATUS_RETURNING, NULL, 0},
    {"failure", STATUS_EXCEPTION, "failure", 0},
    {"cancelled", STATUS_CANCELLED, NULL, 0},
    {"canceled", STATUS_CANCELLED, NULL, 0},
    {"error", STATUS_UNKNOWN, NULL, 0},
    {"intransit", STATUS_UNKNOWN, NULL, 0},
};

static void test_swiftpod_tracking_words(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TRACKING_MEANINGS); i++) {
        const struct meaning *m = &TRACKING_MEANINGS[i];
        struct result r =
            read_word("swiftpod", SHIPMENT_NOTIFY, "\"status\":\"in_transit\"", m->word);
        assert_int_equal(r.changes.box_count, 2);
        assert_box(&r.changes.boxes[0], m);
        result_free(&r);
        r = read_word("swiftpod", SHIPMENT_NOTIFY, "\"tracking_status\":\"delivered\"", m->word);
        assert_box(&r.changes.boxes[1], m);
        assert_event(&r.changes.events[0], m);
        result_free(&r);
    }
}

/* ---- required fields ---- */

struct required {
    const char *provider, *body;
    const char *field;      /* "key":value, once in the body */
    const char *missing;    /* the detail without it */
    const char *wrong_type; /* the detail with {} instead; NULL: counts as missing */
};

#define MISSING ": missing"
#define EITHER ": neither a string nor an integer"
#define NOT_A_TIME ": not a time from 2000 to 2100"

static const struct required REQUIRED[] = {
    {"crowdsender", TRACKING_UPDATED, "\"type\":\"trackingUpdated\"", "type" MISSING,
     "type" EITHER},
    {"crowdsender", TRACKING_UPDATED, "\"createdAt\":\"2022-01-09T18:30:00.000Z\"",
     "createdAt" MISSING, "createdAt" NOT_A_TIME},
    {"crowdsender", TRACKING_UPDATED, "\"orderId\":\"O1\"", "data.orderId" MISSING,
     "data.orderId" EITHER},
    {"crowdsender", TRACKING_UPDATED, "\"boxId\":\"B1\"", "data.boxId" MISSING,
     "data.boxId" EITHER},
    {"crowdsender", TRACKING_UPDATED, "\"newValue\":\"generated label\"", "data.newValue" MISSING,
     "data.newValue" EITHER},
    {"crowdsender", STATUS_UPDATED, "\"orderId\":\"O1\"", "data.orderId" MISSING,
     "data.orderId" EITHER},
    {"crowdsender", STATUS_UPDATED, "\"newValue\":\"PENDING_TO_SHIP\"", "data.newValue" MISSING,
     "data.newValue" EITHER},
    {"crowdsender", SEND_DATE_UPDATED, "\"newValue\":\"2022-01-02T00:00:00.000Z\"",
     "data.newValue" MISSING, "data.newValue" NOT_A_TIME},
    {"crowdsender", COURIER_UPDATED, "\"newValue\":\"C2\"", "data.newValue" MISSING,
     "data.newValue" EITHER},
    {"crowdsender", DESTINATION_UPDATED, "\"newValue\":" PERSON, "data.newValue" MISSING, NULL},

    {"crossborderly", STATUS_CHANGED, "\"id\":\"E1\"", "id" MISSING, "id" EITHER},
    {"crossborderly", STATUS_CHANGED, "\"event\":\"parcel.status_changed\"", "event" MISSING,
     "event" EITHER},
    {"crossborderly", STATUS_CHANGED, "\"trackingNumber\":\"P1\"", "data.trackingNumber" MISSING,
     "data.trackingNumber" EITHER},
    {"crossborderly", STATUS_CHANGED, "\"newStatus\":\"IN_TRANSIT\"", "data.newStatus" MISSING,
     "data.newStatus" EITHER},
    {"crossborderly", STATUS_CHANGED, "\"timestamp\":\"2024-12-21T14:30:05Z\"",
     "data.timestamp" MISSING, "timestamp" NOT_A_TIME},
    {"crossborderly", DELIVERED, "\"trackingNumber\":\"P1\"", "data.trackingNumber" MISSING,
     "data.trackingNumber" EITHER},
    {"crossborderly", EXCEPTION, "\"trackingNumber\":\"P1\"", "data.trackingNumber" MISSING,
     "data.trackingNumber" EITHER},
    {"crossborderly", EXCEPTION, "\"exceptionType\":\"DELIVERY_FAILED\"",
     "data.exceptionType" MISSING, "data.exceptionType" EITHER},
    {"crossborderly", MANIFEST, "\"shipmentId\":\"S1\"", "data.shipmentId" MISSING,
     "data.shipmentId" EITHER},
    {"crossborderly", MANIFEST, "\"timestamp\":\"2024-12-21T14:30:05Z\"", "data.timestamp" MISSING,
     "timestamp" NOT_A_TIME},

    {"shipup", TRACKER, "\"id\":31", "id" MISSING, "id: not an integer"},
    {"shipup", TRACKER, "\"type\":\"tracker.events.new\"", "type" MISSING, "type" EITHER},
    {"shipup", TRACKER, "\"created_at\":1530213415", "created_at" MISSING, "created_at" NOT_A_TIME},
    {"shipup", TRACKER, "\"id\":34", "data.object.id" MISSING, "data.object.id" EITHER},

    {"swiftpod", SHIPMENT_NOTIFY, "\"uuid\":\"U1\"", "event.uuid" MISSING, "event.uuid" EITHER},
    {"swiftpod", SHIPMENT_NOTIFY, "\"name\":\"shipment_notify\"", "event.name" MISSING,
     "event.name" EITHER},
    {"swiftpod", SHIPMENT_NOTIFY, "\"id\":2", "data.id" MISSING, "data.id" EITHER},
    {"swiftpod", ORDER_NOTIFY, "\"uuid\":\"U1\"", "event.uuid" MISSING, "event.uuid" EITHER},
    {"swiftpod", ORDER_NOTIFY, "\"id\":2", "data.id" MISSING, "data.id" EITHER},

    {"waybill", ORDER_UPDATED, "\"type\":\"order.updated\"", "type" MISSING, "type" EITHER},
    {"waybill", ORDER_UPDATED, "\"timestamp\":\"2024-12-21T14:30:05Z\"", "timestamp" MISSING,
     "timestamp" NOT_A_TIME},
    {"waybill", ORDER_UPDATED, "\"id\":\"O1\"", "data.id" MISSING, "data.id" EITHER},
    {"waybill", ORDER_UPDATED, "\"id\":\"B1\"", "data.boxes[0].id" MISSING,
     "data.boxes[0].id" EITHER},
    {"waybill", ORDER_UPDATED, "\"occurred_at\":\"2024-12-21T12:00:00Z\"",
     "data.boxes[0].events[0].occurred_at" MISSING,
     "data.boxes[0].events[0].occurred_at" NOT_A_TIME},
};

static void assert_quarantined(const struct required *row, const char *value, const char *detail) {
    struct strbuf body;
    replace_value(row->body, row->field, value, &body);
    struct result r = read_body(row->provider, strbuf_slice(&body));
    if (r.reading != READING_QUARANTINED || !slice_eq(r.changes.detail, slice_from_cstr(detail)))
        fail_msg("%.*s gives \"%.*s\" instead of \"%s\"", SLICE_ARGS(strbuf_slice(&body)),
                 SLICE_ARGS(r.changes.detail), detail);
    result_free(&r);
    strbuf_free(&body);
}

/* The vocabulary itself, but for what only orders derived from boxes have. */
static void test_waybill_words(void **state) {
    (void)state;
    for (enum status status = STATUS_UNKNOWN; status < STATUS_COUNT; status++) {
        char word[64];
        snprintf(word, sizeof word, "%.*s", SLICE_ARGS(status_name(status)));
        const enum status meant = status == STATUS_PARTIALLY_DELIVERED ? STATUS_UNKNOWN : status;
        struct result r = read_word("waybill", ORDER_UPDATED, "\"status\":\"in_transit\"", word);
        assert_int_equal(r.changes.boxes[0].status.status, meant);
        result_free(&r);
        r = read_word("waybill", ORDER_UPDATED, "\"status\":\"pending\"", word);
        assert_int_equal(r.changes.order.status.status, meant);
        result_free(&r);
        r = read_word("waybill", ORDER_UPDATED, "\"status\":\"pre_transit\"", word);
        assert_int_equal(r.changes.events[0].status, meant);
        result_free(&r);
    }
    static const struct {
        const char *word;
        enum status status;
    } others[] = {{" In_Transit ", STATUS_IN_TRANSIT},
                  {"in transit", STATUS_IN_TRANSIT},
                  {"Canceled", STATUS_CANCELLED},
                  {"moving", STATUS_UNKNOWN}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct result r =
            read_word("waybill", ORDER_UPDATED, "\"status\":\"in_transit\"", others[i].word);
        assert_int_equal(r.changes.boxes[0].status.status, others[i].status);
        result_free(&r);
    }
}

/* Whose order it is is not guessed. */
static void test_waybill_source_is_named_rightly(void **state) {
    (void)state;
    static const struct required row = {"waybill", ORDER_UPDATED, "\"source\":\"crossborderly\"",
                                        NULL, "data.source" EITHER};
    assert_quarantined(&row, "true", row.wrong_type);
    assert_quarantined(&row, "{}", row.wrong_type);
    struct strbuf body;
    replace_value(ORDER_UPDATED, row.field, "null", &body);
    struct result without = read_body("waybill", strbuf_slice(&body));
    assert_int_equal(without.reading, READING_APPLIED);
    assert_int_equal(without.changes.order_source.len, 0);
    result_free(&without);
    strbuf_free(&body);
}

/* ---- live or sandbox ---- */

enum world { LIVE, SANDBOX, REFUSED };

struct world_form {
    const char *value;
    enum world world; /* where true is live */
};

static void check_world(const char *provider, const char *body, const char *field,
                        const char *value, enum world world, const char *detail) {
    struct strbuf changed;
    replace_value(body, field, value, &changed);
    struct result r = read_body(provider, strbuf_slice(&changed));
    bool right = world == REFUSED ? r.reading == READING_QUARANTINED && !r.changes.live_known &&
                                        slice_eq(r.changes.detail, slice_from_cstr(detail))
                                  : r.reading == READING_APPLIED && r.changes.live_known &&
                                        r.changes.live == (world == LIVE);
    if (!right) {
        fail_msg("%s with %s: %.*s", field, value, SLICE_ARGS(r.changes.detail));
    }
    result_free(&r);
    strbuf_free(&changed);
}

static void test_flags_of_the_world(void **state) {
    (void)state;
    static const struct world_form forms[] = {
        {"true", LIVE},
        {"false", SANDBOX},
        {"1", LIVE},
        {"0", SANDBOX},
        {"\"true\"", LIVE},
        {"\"FALSE\"", SANDBOX},
        {"\"True\"", LIVE},
        {"\"false\"", SANDBOX},
        {"\"1\"", LIVE},
        {"\"0\"", SANDBOX},
        {"null", LIVE},
        {"\" true \"", LIVE},
        {"2", REFUSED},
        {"-1", REFUSED},
        {"1.0", REFUSED},
        {"\"\"", REFUSED},
        {"\"maybe\"", REFUSED},
        {"\"live\"", REFUSED},
        {"[]", REFUSED},
        {"{}", REFUSED},
        {"\"yes\"", REFUSED},
        {"[true]", REFUSED},
        {"\"truee\"", REFUSED},
        {"1e0", REFUSED},
        {"\"01\"", REFUSED},
        {"99999999999999999999", REFUSED},
    };
    static const struct {
        const char *provider, *body, *field, *path;
        bool is_test; /* true is the sandbox */
    } flags[] = {
        {"crowdsender", STATUS_UPDATED, "\"liveMode\":false", "liveMode", false},
        {"crowdsender", TRACKING_UPDATED, "\"liveMode\":false", "liveMode", false},
        {"shipup", TRACKER, "\"livemode\":false", "livemode", false},
        {"swiftpod", SHIPMENT_NOTIFY, "\"test_order\":true", "data.test_order", true},
        {"swiftpod", ORDER_NOTIFY, "\"test_order\":true", "data.test_order", true},
        {"waybill", ORDER_UPDATED, "\"live\":false", "data.live", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        char detail[128];
        snprintf(detail, sizeof detail, "%s: neither true nor false", flags[i].path);
        for (size_t j = 0; j < ARRAY_LEN(forms); j++) {
            bool is_null = strcmp(forms[j].value, "null") == 0;
            enum world world = forms[j].world;
            if (flags[i].is_test && world != REFUSED && !is_null) {
                world = world == LIVE ? SANDBOX : LIVE;
            }
            check_world(flags[i].provider, flags[i].body, flags[i].field, forms[j].value, world,
                        detail);
        }
    }
}

static void test_environment(void **state) {
    (void)state;
    static const struct world_form forms[] = {
        {"\"production\"", LIVE}, {"\"Production\"", LIVE}, {"\"PRODUCTION\"", LIVE},
        {"\"live\"", LIVE},       {"\"Live\"", LIVE},       {"\"sandbox\"", SANDBOX},
        {"\"SandBox\"", SANDBOX}, {"\"test\"", SANDBOX},    {"\"TEST\"", SANDBOX},
        {"null", LIVE},           {"\"staging\"", REFUSED}, {"\"prod\"", REFUSED},
        {"\"\"", REFUSED},        {"true", REFUSED},        {"1", REFUSED},
        {"[\"test\"]", REFUSED},  {"{}", REFUSED},          {"1.5", REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        check_world("crossborderly", STATUS_CHANGED, "\"environment\":\"sandbox\"", forms[i].value,
                    forms[i].world, "environment: neither production nor sandbox");
    }
}

static void test_required_fields(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(REQUIRED); i++) {
        const struct required *row = &REQUIRED[i];
        assert_quarantined(row, "null", row->missing);
        assert_quarantined(
            row, "\"\"", strstr(row->field, ":{") ? "data.newValue: not an object" : row->missing);
        if (row->wrong_type) {
            assert_quarantined(row, "{}", row->wrong_type);
            assert_quarantined(row, "[1]", row->wrong_type);
            assert_quarantined(row, "true", row->wrong_type);
            assert_quarantined(row, "2.5", row->wrong_type);
        }
    }
}

/* ---- optional fields ---- */

struct optional {
    const char *provider, *body;
    const char *field;  /* "key":value, once in the body */
    const char *except; /* another type that is right, or is no matter of being ignored */
};

static const struct optional OPTIONAL[] = {
    {"crowdsender", TRACKING_UPDATED, "\"orderNumber\":\"N1\"", NULL},
    {"crowdsender", TRACKING_UPDATED, "\"_externalReferenceId\":\"R1\"", NULL},
    {"crowdsender", TRACKING_UPDATED, "\"previousValue\":\"waiting\"", NULL},
    {"crowdsender", TRACKING_UPDATED, "\"trackId\":\"T1\"", NULL},
    {"crowdsender", TRACKING_UPDATED, "\"uri\":\"https://x/1\"", NULL},
    {"crowdsender", TRACKING_UPDATED, "\"typeFile\":\"label\"", NULL},
    {"crowdsender", STATUS_UPDATED, "\"previousValue\":\"REGISTERED\"", NULL},
    {"crowdsender", SEND_DATE_UPDATED, "\"previousValue\":\"2022-01-01T00:00:00.000Z\"", NULL},
    {"crowdsender", COURIER_UPDATED, "\"previousValue\":\"C1\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"previousValue\":{\"city\":\"Sevilla\"}", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"phone\":{\"prefix\":\"+34\",\"number\":\"6\"}", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"prefix\":\"+34\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"number\":\"6\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"name\":\"Ana\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"surnames\":\"Ruiz\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"street\":\"Calle\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"number\":\"1\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"details\":\"2B\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"city\":\"Madrid\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"zip\":\"28013\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"province\":\"M\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"country\":\"es\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"email\":\"a@x\"", NULL},
    {"crowdsender", DESTINATION_UPDATED, "\"company\":\"C\"", NULL},

    {"crossborderly", STATUS_CHANGED, "\"previousStatus\":\"PICKED_UP\"", NULL},
    {"crossborderly", STATUS_CHANGED, "\"location\":\"Quito, EC\"", NULL},
    {"crossborderly", DELIVERED, "\"deliveredAt\":\"2024-12-21T14:30:00Z\"", "integer"},
    {"crossborderly", DELIVERED, "\"signature\":\"M.\"", NULL},
    {"crossborderly", DELIVERED, "\"proofOfDelivery\":\"https://x\"", NULL},
    {"crossborderly", EXCEPTION, "\"reason\":\"Nobody\"", NULL},
    {"crossborderly", MANIFEST, "\"awbNumber\":\"A1\"", NULL},
    {"crossborderly", MANIFEST, "\"parcelCount\":50", "integer"},
    {"crossborderly", MANIFEST, "\"country\":\"EC\"", NULL},

    {"shipup", TRACKER, "\"delivery_status_code\":\"delivered\"", NULL},
    {"shipup", TRACKER, "\"delivered_at\":1530213410", NULL},
    {"shipup", TRACKER, "\"carrier_code\":\"colissimo\"", NULL},
    {"shipup", TRACKER, "\"carrier_tracking_url\":\"https://t\"", NULL},
    {"shipup", TRACKER, "\"shipped_at\":1530040615", NULL},
    {"shipup", TRACKER, "\"displayable_expected_delivery_date\":\"2018-06-28\"", NULL},
    {"shipup", TRACKER, "\"displayable_expected_delivery_datetime\":1530213000", NULL},
    {"shipup", TRACKER, "\"tracking_number\":\"T1\"", NULL},
    {"shipup", TRACKER, "\"id\":56", "integer"},
    {"shipup", TRACKER, "\"order_number\":\"N1\"", NULL},
    {"shipup", TRACKER, "\"merchant_id\":\"M1\"", NULL},
    {"shipup", TRACKER, "\"email\":\"a@x\"", NULL},
    {"shipup", TRACKER, "\"phone\":\"+33\"", NULL},
    {"shipup", TRACKER, "\"country_code\":\"FR\"", NULL},
    {"shipup", TRACKER, "\"state\":\"IDF\"", NULL},
    {"shipup", TRACKER, "\"address1\":\"1, rue\"", NULL},
    {"shipup", TRACKER, "\"address2\":\"B\"", NULL},
    {"shipup", TRACKER, "\"zip\":\"75001\"", NULL},
    {"shipup", TRACKER, "\"company_title\":\"ACME\"", NULL},
    {"shipup", TRACKER, "\"name\":\"John D.\"", NULL},
    {"shipup", TRACKER, "\"opening_hours\":{\"wed\":\"7-9\"}", NULL},
    {"shipup", TRACKER, "\"wed\":\"7-9\"", NULL},
    {"shipup", TRACKER, "\"phone\":\"+336\"", NULL},
    {"shipup", TRACKER, "\"google_maps_link\":\"https://m\"", NULL},
    {"shipup", TRACKER, "\"happened_at\":1530127015", NULL},
    {"shipup", TRACKER, "\"event_type_code\":\"transit\"", NULL},
    {"shipup", TRACKER, "\"message\":\"On its way\"", NULL},
    {"shipup", TRACKER, "\"city\":\"Nice\"", NULL},
    {"shipup", TRACKER, "\"state\":\"PACA\"", NULL},
    {"shipup", TRACKER, "\"country\":\"Italy\"", NULL},

    {"swiftpod", SHIPMENT_NOTIFY, "\"order_id\":\"N1\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"status\":\"shipped\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"timestamp\":\"2022-07-08T13:24:00.128774Z\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"tracking_number\":\"X9\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"tracking_status\":\"delivered\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"carrier_code\":\"UPS\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"tracking_url\":\"https://9\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"tracking_number\":\"X1\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"status\":\"in_transit\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"carrier\":\"USPS\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"tracking_url\":\"https://1\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"label_url\":\"https://l\"", NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"shipped_items\":[{\"order_item_id\":\"I1\",\"quantity\":3}]",
     NULL},
    {"swiftpod", SHIPMENT_NOTIFY, "\"order_item_id\":\"I1\"", "integer"},
    {"swiftpod", SHIPMENT_NOTIFY, "\"quantity\":3", "integer"},
    {"swiftpod", ORDER_NOTIFY, "\"name\":\"John\"", NULL},
    {"swiftpod", ORDER_NOTIFY, "\"company\":\"DEMO\"", NULL},
    {"swiftpod", ORDER_NOTIFY, "\"phone\":\"330\"", NULL},
    {"swiftpod", ORDER_NOTIFY, "\"street1\":\"Rd\"", NULL},
    {"swiftpod", ORDER_NOTIFY, "\"street2\":\"Apt\"", NULL},
    {"swiftpod", ORDER_NOTIFY, "\"city\":\"Cortland\"", NULL},
    {"swiftpod", ORDER_NOTIFY, "\"state\":\"OH\"", NULL},
    {"swiftpod", ORDER_NOTIFY, "\"country\":\"US\"", NULL},
    {"swiftpod", ORDER_NOTIFY, "\"zip\":\"44410\"", NULL},

    {"waybill", ORDER_UPDATED, "\"id\":\"E1\"", "integer"},
    {"waybill", ORDER_UPDATED, "\"order_number\":\"N1\"", "integer"},
    {"waybill", ORDER_UPDATED, "\"external_reference\":\"R1\"", "integer"},
    {"waybill", ORDER_UPDATED, "\"courier_id\":\"C1\"", "integer"},
    {"waybill", ORDER_UPDATED, "\"send_date\":\"2024-12-20\"", "integer"},
    {"waybill", ORDER_UPDATED, "\"status\":\"pending\"", NULL},
    {"waybill", ORDER_UPDATED, "\"provider_status\":\"Open\"", NULL},
    {"waybill", ORDER_UPDATED, "\"status_detail\":\"new\"", NULL},
    {"waybill", ORDER_UPDATED, "\"status_at\":\"2024-12-21T14:00:00Z\"", NULL},
    {"waybill", ORDER_UPDATED, "\"name\":\"Ana\"", NULL},
    {"waybill", ORDER_UPDATED, "\"company\":\"C\"", NULL},
    {"waybill", ORDER_UPDATED, "\"phone\":\"+34\"", NULL},
    {"waybill", ORDER_UPDATED, "\"email\":\"a@x\"", NULL},
    {"waybill", ORDER_UPDATED, "\"street\":\"Calle 1\"", NULL},
    {"waybill", ORDER_UPDATED, "\"details\":\"2B\"", NULL},
    {"waybill", ORDER_UPDATED, "\"city\":\"Madrid\"", NULL},
    {"waybill", ORDER_UPDATED, "\"zip\":\"28013\"", NULL},
    {"waybill", ORDER_UPDATED, "\"province\":\"M\"", NULL},
    {"waybill", ORDER_UPDATED, "\"country\":\"es\"", NULL},
    {"waybill", ORDER_UPDATED, "\"tracking_number\":\"T1\"", "integer"},
    {"waybill", ORDER_UPDATED, "\"carrier\":\"ACME\"", NULL},
    {"waybill", ORDER_UPDATED, "\"tracking_url\":\"https://t\"", NULL},
    {"waybill", ORDER_UPDATED, "\"status\":\"in_transit\"", NULL},
    {"waybill", ORDER_UPDATED, "\"provider_status\":\"Moving\"", NULL},
    {"waybill", ORDER_UPDATED, "\"status_detail\":\"hub\"", NULL},
    {"waybill", ORDER_UPDATED, "\"status_at\":\"2024-12-21T13:00:00Z\"", NULL},
    {"waybill", ORDER_UPDATED, "\"location\":\"Lima\"", NULL},
    {"waybill", ORDER_UPDATED, "\"next_attempt_at\":\"2024-12-22T09:00:00Z\"", NULL},
    {"waybill", ORDER_UPDATED, "\"was_delayed\":true", "boolean"},
    {"waybill", ORDER_UPDATED, "\"had_failed_attempt\":true", "boolean"},
    {"waybill", ORDER_UPDATED, "\"shipped_at\":\"2024-12-20T09:00:00Z\"", NULL},
    {"waybill", ORDER_UPDATED, "\"estimated_delivery_date\":\"2024-12-23\"", NULL},
    {"waybill", ORDER_UPDATED, "\"estimated_delivery_at\":\"2024-12-23T09:00:00Z\"", NULL},
    {"waybill", ORDER_UPDATED, "\"name\":\"Shop\"", NULL},
    {"waybill", ORDER_UPDATED, "\"street\":\"Rd\"", NULL},
    {"waybill", ORDER_UPDATED, "\"city\":\"Lyon\"", NULL},
    {"waybill", ORDER_UPDATED, "\"zip\":\"69001\"", NULL},
    {"waybill", ORDER_UPDATED, "\"country\":\"fr\"", NULL},
    {"waybill", ORDER_UPDATED, "\"phone\":\"+33\"", NULL},
    {"waybill", ORDER_UPDATED, "\"opening_hours\":\"9-5\"", NULL},
    {"waybill", ORDER_UPDATED, "\"map_url\":\"https://m\"", NULL},
    {"waybill", ORDER_UPDATED, "\"signed_by\":\"M.\"", NULL},
    {"waybill", ORDER_UPDATED, "\"proof_of_delivery\":\"https://p\"", NULL},
    {"waybill", ORDER_UPDATED, "\"kind\":\"label\"", NULL},
    {"waybill", ORDER_UPDATED, "\"url\":\"https://l\"", NULL},
    {"waybill", ORDER_UPDATED, "\"id\":\"I1\"", "integer"},
    {"waybill", ORDER_UPDATED, "\"quantity\":3", "integer"},
    {"waybill", ORDER_UPDATED, "\"id\":\"V1\"", "integer"},
    {"waybill", ORDER_UPDATED, "\"status\":\"pre_transit\"", NULL},
    {"waybill", ORDER_UPDATED, "\"provider_status\":\"Label\"", NULL},
    {"waybill", ORDER_UPDATED, "\"status_detail\":\"printed\"", NULL},
    {"waybill", ORDER_UPDATED, "\"location\":\"Quito\"", NULL},
    {"waybill", ORDER_UPDATED, "\"message\":\"Ready\"", NULL},
    {"waybill", ORDER_UPDATED, "\"previous_provider_status\":\"Ordered\"", NULL},
};

static void dump_with(const struct optional *row, const char *value, struct strbuf *out) {
    struct strbuf body;
    replace_value(row->body, row->field, value, &body);
    dump_body(row->provider, strbuf_slice(&body), out);
    strbuf_free(&body);
}

/* A text may be an integer, but no link and no time is 1. */
static bool is_right_type(const struct optional *row, const char *type) {
    const char *value = strstr(row->field, "\":") + 2;
    bool is_time = strstr(row->field, "_at\"") || strstr(row->field, "_datetime\"") ||
                   strstr(row->field, "_date\"") || strstr(row->field, ":\"2022-01-01");
    const char *own = value[0] == '{'                           ? "object"
                      : value[0] == '['                         ? "array"
                      : value[0] == 't' || value[0] == 'f'      ? "boolean"
                      : value[0] == '"' && strstr(value, "://") ? "text"
                                                                : "integer";
    if (row->except && strcmp(row->except, type) == 0) {
        return true;
    }
    return strcmp(type, own) == 0 && !(is_time && strcmp(type, "integer") == 0);
}

/* Takes the line of the detail out of DUMP; returns it, or "". */
static const char *take_detail(struct strbuf *dump) {
    static char detail[LIMIT_TEXT];
    char *at = strstr(dump->data, "  \"detail\": \"ignored: ");
    detail[0] = '\0';
    if (at != NULL) {
        char *end = strchr(at, '\n') + 1;
        snprintf(detail, sizeof detail, "%.*s", (int)(end - at), at);
        memmove(at, end, strlen(end) + 1);
    }
    return detail;
}

static bool names_field(const char *detail, const char *field) {
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)(strstr(field, "\":") - field - 1), field + 1);
    return strstr(detail, key) != NULL;
}

static void check_wrong_type(const struct optional *row, const char *value, const char *null) {
    struct strbuf other;
    dump_with(row, value, &other);
    const char *detail = take_detail(&other);
    if (strcmp(other.data, null) != 0) {
        fail_msg("%s with %s:\n%s\nis not as with null:\n%s", row->field, value, other.data, null);
    }
    if (names_field(detail, row->field) != (strcmp(value, "\"\"") != 0)) {
        fail_msg("%s with %s: %s", row->field, value, detail);
    }
    strbuf_free(&other);
}

/* They count as null, and the detail names them; an empty text is null. */
static void test_optional_fields_of_wrong_types(void **state) {
    (void)state;
    static const struct {
        const char *type, *value;
    } wrong[] = {{"empty", "\"\""},    {"boolean", "true"}, {"boolean", "false"},
                 {"integer", "1"},     {"real", "1.5"},     {"array", "[]"},
                 {"array", "[\"a\"]"}, {"object", "{}"},    {"object", "{\"a\":\"b\"}"}};
    for (size_t i = 0; i < ARRAY_LEN(OPTIONAL); i++) {
        struct strbuf with, without;
        dump_body(OPTIONAL[i].provider, slice_from_cstr(OPTIONAL[i].body), &with);
        dump_with(&OPTIONAL[i], "null", &without);
        if (strcmp(with.data, without.data) == 0) {
            fail_msg("%s is not read", OPTIONAL[i].field);
        }
        assert_non_null(strstr(without.data, "\"applied\""));
        for (size_t j = 0; j < ARRAY_LEN(wrong); j++) {
            if (!is_right_type(&OPTIONAL[i], wrong[j].type)) {
                check_wrong_type(&OPTIONAL[i], wrong[j].value, without.data);
            }
        }
        strbuf_free(&with);
        strbuf_free(&without);
    }
}

/* Ids, numbers, zips and phones as integers, however long, are their digits. */
static void test_integers_are_their_digits(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(OPTIONAL); i++) {
        const struct optional *row = &OPTIONAL[i];
        const char *value = strstr(row->field, "\":\"");
        if (value == NULL || strstr(value, "://") || strstr(value, "\":\"20")) {
            continue; /* no text, a link, a time */
        }
        static const char *const numbers[] = {"7", "9400100109361129278357"};
        for (size_t j = 0; j < ARRAY_LEN(numbers); j++) {
            char quoted[64];
            struct strbuf as_number, as_text;
            snprintf(quoted, sizeof quoted, "\"%s\"", numbers[j]);
            dump_with(row, numbers[j], &as_number);
            dump_with(row, quoted, &as_text);
            if (strcmp(as_number.data, as_text.data) != 0) {
                fail_msg("%s: %s", row->field, as_number.data);
            }
            strbuf_free(&as_number);
            strbuf_free(&as_text);
        }
    }
}

/* At most ten are named, each once. */
static void test_many_ignored_fields(void **state) {
    (void)state;
    struct result r = read_with_elements("crowdsender", TRACKING_UPDATED,
                                         "\"documents\":[{\"uri\":\"https://x/1\","
                                         "\"typeFile\":\"label\"}]",
                                         "true", 13);
    assert_int_equal(r.reading, READING_APPLIED);
    assert_true(slice_starts_with(
        r.changes.detail, SLICE_OF("ignored: data.documents[0], data.documents[1], data.")));
    assert_true(slice_eq(slice_from(r.changes.detail, r.changes.detail.len - 28),
                         SLICE_OF("data.documents[9] and 3 more")));
    result_free(&r);
}

/* ---- what the configuration adds ---- */

static void test_carrier_of_the_source(void **state) {
    (void)state;
    const struct reading_context context = {.carrier = SLICE("seur")};
    static const struct {
        const char *provider, *body, *carrier;
        bool is_default;
    } rows[] = {
        {"crowdsender", TRACKING_UPDATED, "seur", true},
        {"crossborderly", STATUS_CHANGED, "seur", true},
        {"shipup", TRACKER, "colissimo", false},
        {"swiftpod", SHIPMENT_NOTIFY, "usps", false},
        {"waybill", ORDER_UPDATED, "acme", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct result r = read_as(rows[i].provider, slice_from_cstr(rows[i].body), &context);
        assert_true(slice_eq(r.changes.boxes[0].carrier, slice_from_cstr(rows[i].carrier)));
        assert_int_equal(r.changes.boxes[0].carrier_is_default, rows[i].is_default);
        result_free(&r);
    }
}

/* ---- lengths ---- */

/* A JSON text of N bytes of content. */
static const char *text_of(size_t n) {
    static char text[2 * LIMIT_TEXT];
    memset(text, 'x', sizeof text);
    text[0] = '"';
    text[n + 1] = '"';
    text[n + 2] = '\0';
    return text;
}

static struct result read_with_length(const char *provider, const char *body, const char *field,
                                      size_t n) {
    struct strbuf changed;
    char new[sizeof "\"\":" + 64 + 2 * LIMIT_TEXT];
    size_t key = (size_t)(strstr(field, "\":") - field) + 2;
    snprintf(new, sizeof new, "%.*s%s", (int)key, field, text_of(n));
    replace(body, field, new, &changed);
    struct result r = read_body(provider, strbuf_slice(&changed));
    strbuf_free(&changed);
    return r;
}

static void test_ids_have_a_length(void **state) {
    (void)state;
    static const struct {
        const char *provider, *body, *field, *path;
    } ids[] = {
        {"crowdsender", TRACKING_UPDATED, "\"orderId\":\"O1\"", "data.orderId"},
        {"crowdsender", TRACKING_UPDATED, "\"boxId\":\"B1\"", "data.boxId"},
        {"crowdsender", TRACKING_UPDATED, "\"newValue\":\"generated label\"", "data.newValue"},
        {"crowdsender", TRACKING_UPDATED, "\"previousValue\":\"waiting\"", "data.previousValue"},
        {"crowdsender", TRACKING_UPDATED, "\"orderNumber\":\"N1\"", "data.orderNumber"},
        {"crowdsender", TRACKING_UPDATED, "\"_externalReferenceId\":\"R1\"",
         "data._externalReferenceId"},
        {"crowdsender", TRACKING_UPDATED, "\"trackId\":\"T1\"", "data.trackId"},
        {"crowdsender", TRACKING_UPDATED, "\"typeFile\":\"label\"", "data.documents[0].typeFile"},
        {"crossborderly", EXCEPTION, "\"id\":\"E1\"", "id"},
        {"crossborderly", EXCEPTION, "\"trackingNumber\":\"P1\"", "data.trackingNumber"},
        {"crossborderly", EXCEPTION, "\"exceptionType\":\"DELIVERY_FAILED\"", "data.exceptionType"},
        {"crossborderly", MANIFEST, "\"awbNumber\":\"A1\"", "data.awbNumber"},
        {"shipup", TRACKER, "\"id\":34", "data.object.id"},
        {"shipup", TRACKER, "\"id\":71", "data.object.events[0].id"},
        {"shipup", TRACKER, "\"event_type_code\":\"transit\"",
         "data.object.events[0].event_type_code"},
        {"shipup", TRACKER, "\"tracking_number\":\"T1\"", "data.object.tracking_number"},
        {"swiftpod", SHIPMENT_NOTIFY, "\"uuid\":\"U1\"", "event.uuid"},
        {"swiftpod", SHIPMENT_NOTIFY, "\"tracking_number\":\"X9\"",
         "event.tracking.tracking_number"},
        {"swiftpod", SHIPMENT_NOTIFY, "\"tracking_number\":\"X1\"",
         "data.trackings[0].tracking_number"},
        {"swiftpod", SHIPMENT_NOTIFY, "\"order_item_id\":\"I1\"",
         "data.trackings[0].shipped_items[0].order_item_id"},
        {"waybill", ORDER_UPDATED, "\"source\":\"crossborderly\"", "data.source"},
        {"waybill", ORDER_UPDATED, "\"id\":\"O1\"", "data.id"},
        {"waybill", ORDER_UPDATED, "\"order_number\":\"N1\"", "data.order_number"},
        {"waybill", ORDER_UPDATED, "\"external_reference\":\"R1\"", "data.external_reference"},
        {"waybill", ORDER_UPDATED, "\"courier_id\":\"C1\"", "data.courier_id"},
        {"waybill", ORDER_UPDATED, "\"status_detail\":\"hub\"", "data.boxes[0].status_detail"},
        {"waybill", ORDER_UPDATED, "\"tracking_number\":\"T1\"", "data.boxes[0].tracking_number"},
        {"waybill", ORDER_UPDATED, "\"kind\":\"label\"", "data.boxes[0].documents[0].kind"},
        {"waybill", ORDER_UPDATED, "\"id\":\"V1\"", "data.boxes[0].events[0].id"},
        {"waybill", ORDER_UPDATED, "\"provider_status\":\"Label\"",
         "data.boxes[0].events[0].provider_status"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char detail[128];
        snprintf(detail, sizeof detail, "%s: longer than 255 bytes", ids[i].path);
        struct result r = read_with_length(ids[i].provider, ids[i].body, ids[i].field, LIMIT_ID);
        assert_int_equal(r.reading, READING_APPLIED);
        result_free(&r);
        r = read_with_length(ids[i].provider, ids[i].body, ids[i].field, LIMIT_ID + 1);
        assert_int_equal(r.reading, READING_QUARANTINED);
        assert_true(slice_eq(r.changes.detail, slice_from_cstr(detail)));
        result_free(&r);
    }
}

static void test_texts_are_cut_and_links_dropped(void **state) {
    (void)state;
    struct result r =
        read_with_length("crossborderly", EXCEPTION, "\"reason\":\"Nobody\"", LIMIT_TEXT + 1);
    assert_int_equal(r.reading, READING_APPLIED);
    assert_int_equal(r.changes.events[0].message.len, LIMIT_TEXT);
    result_free(&r);
    const char *link = "\"carrier_tracking_url\":\"https://t\"";
    r = read_with_length("shipup", TRACKER, link, LIMIT_URL);
    assert_int_equal(r.changes.boxes[0].tracking_url.len, LIMIT_URL);
    result_free(&r);
    r = read_with_length("shipup", TRACKER, link, LIMIT_URL + 1);
    assert_int_equal(r.reading, READING_APPLIED);
    assert_int_equal(r.changes.boxes[0].tracking_url.len, 0);
    result_free(&r);
}

/* The id of an order is made of it, with a prefix. */
static void test_tracker_without_order_has_a_shorter_limit(void **state) {
    (void)state;
    struct strbuf alone;
    replace(TRACKER, "\"id\":56,", "", &alone);
    strbuf_add_char(&alone, '\0');
    struct result r =
        read_with_length("shipup", alone.data, "\"id\":34", LIMIT_ID - strlen("tracker-"));
    assert_int_equal(r.reading, READING_APPLIED);
    assert_int_equal(r.changes.order_id.len, LIMIT_ID);
    result_free(&r);
    r = read_with_length("shipup", alone.data, "\"id\":34", LIMIT_ID - strlen("tracker-") + 1);
    assert_int_equal(r.reading, READING_QUARANTINED);
    assert_int_equal(r.changes.order_id.len > 0, true);
    result_free(&r);
    strbuf_free(&alone);
}

static void test_lists_have_a_length(void **state) {
    (void)state;
    const char *items = "\"shipped_items\":[{\"order_item_id\":\"I1\",\"quantity\":3}]";
    const char *papers = "\"documents\":[{\"uri\":\"https://x/1\",\"typeFile\":\"label\"}]";
    struct result r =
        read_with_elements("swiftpod", SHIPMENT_NOTIFY, items, "{\"order_item_id\":1}", 10000);
    assert_int_equal(r.reading, READING_APPLIED);
    result_free(&r);
    r = read_with_elements("swiftpod", SHIPMENT_NOTIFY, items, "{\"order_item_id\":1}", 10001);
    assert_int_equal(r.reading, READING_QUARANTINED);
    assert_true(slice_eq(r.changes.detail,
                         SLICE_OF("data.trackings[0].shipped_items: more than 10000 elements")));
    result_free(&r);
    /* Of all boxes together. */
    r = read_with_elements(
        "waybill",
        "{\"type\":\"order.updated\",\"timestamp\":1734791400,\"data\":{\"id\":1,\"boxes\":[]}}",
        "\"boxes\":[]", "{\"id\":1,\"events\":[{\"occurred_at\":1},{\"occurred_at\":2}]}", 5001);
    assert_int_equal(r.reading, READING_QUARANTINED);
    assert_true(slice_eq(r.changes.detail,
                         SLICE_OF("data.boxes: more than 10000 events or documents in all")));
    result_free(&r);
    r = read_with_elements("crowdsender", TRACKING_UPDATED, papers, "{}", 10001);
    assert_true(slice_eq(r.changes.detail, SLICE_OF("data.documents: more than 10000 elements")));
    result_free(&r);
}

/* ---- memory ---- */

static const struct {
    const char *provider, *body;
} BODIES[] = {
    {"crowdsender", TRACKING_UPDATED},    {"crowdsender", STATUS_UPDATED},
    {"crowdsender", SEND_DATE_UPDATED},   {"crowdsender", COURIER_UPDATED},
    {"crowdsender", DESTINATION_UPDATED}, {"crossborderly", STATUS_CHANGED},
    {"crossborderly", DELIVERED},         {"crossborderly", EXCEPTION},
    {"crossborderly", MANIFEST},          {"shipup", TRACKER},
    {"swiftpod", SHIPMENT_NOTIFY},        {"swiftpod", ORDER_NOTIFY},
    {"waybill", ORDER_UPDATED},
};

/* True when MAX bytes are enough to read BODY; then the reading is the usual one. */
static bool is_enough(const char *provider, const char *body, size_t max) {
    struct json_doc *doc;
    struct json_position where;
    struct changes changes;
    enum reading reading;
    assert_int_equal(json_parse(slice_from_cstr(body), &doc, &where), JSON_OK);
    struct arena *arena = arena_new(max);
    assert_non_null(arena);
    changes_init(&changes);
    bool enough = provider_find(slice_from_cstr(provider))
                      ->read(json_root(doc), &NO_OPTIONS, arena, &changes, &reading);
    if (enough)
        assert_int_equal(reading, READING_APPLIED);
    arena_free(arena);
    json_doc_free(doc);
    return enough;
}

/* However little memory there is, the answer is either complete or false. */
static void test_memory_runs_out(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BODIES); i++) {
        size_t max = 1;
        while (!is_enough(BODIES[i].provider, BODIES[i].body, max))
            max += 8;
        assert_in_range(max, 64, 1 << 20);
    }
}

/* ---- the table ---- */

static void test_table(void **state) {
    (void)state;
    size_t count;
    const struct provider *table = provider_table(&count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(provider_find(table[i].name), &table[i]);
        assert_non_null(table[i].read);
    }
    assert_null(provider_find(SLICE_OF("shipu")));
    assert_null(provider_find(SLICE_EMPTY));
    assert_string_equal(provider_find(SLICE_OF("shipup"))->resend_counter, "retry_count");
    assert_int_equal(provider_find(SLICE_OF("shipup"))->signature.kind, SIGNATURE_NONE);
    assert_int_equal(provider_find(SLICE_OF("crowdsender"))->signature.kind, SIGNATURE_NONE);
    assert_int_equal(provider_find(SLICE_OF("swiftpod"))->signature.kind, SIGNATURE_HMAC_SHA256);
    assert_int_equal(provider_find(SLICE_OF("swiftpod"))->signature.prefix.len, 0);
    assert_true(
        slice_eq(provider_find(SLICE_OF("crossborderly"))->signature.prefix, SLICE_OF("sha256=")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowdsender_box_words),
        cmocka_unit_test(test_crowdsender_order_words),
        cmocka_unit_test(test_crossborderly_words),
        cmocka_unit_test(test_crossborderly_exception_types),
        cmocka_unit_test(test_shipup_tracker_words),
        cmocka_unit_test(test_shipup_event_words),
        cmocka_unit_test(test_swiftpod_order_words),
        cmocka_unit_test(test_swiftpod_tracking_words),
        cmocka_unit_test(test_waybill_words),
        cmocka_unit_test(test_waybill_source_is_named_rightly),
        cmocka_unit_test(test_flags_of_the_world),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_required_fields),
        cmocka_unit_test(test_optional_fields_of_wrong_types),
        cmocka_unit_test(test_integers_are_their_digits),
        cmocka_unit_test(test_many_ignored_fields),
        cmocka_unit_test(test_carrier_of_the_source),
        cmocka_unit_test(test_ids_have_a_length),
        cmocka_unit_test(test_texts_are_cut_and_links_dropped),
        cmocka_unit_test(test_tracker_without_order_has_a_shorter_limit),
        cmocka_unit_test(test_lists_have_a_length),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Identities, which are stored and must never change, and the keys whose order decides what stands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hex.h"
#include "domain/change.h"

#include <string.h>

/* ---- identities ---- */

static struct uuid uuid_from(const char *hex) {
    struct uuid uuid = {{0}};
    assert_true(hex_decode(slice_from_cstr(hex), uuid.bytes, sizeof uuid.bytes));
    return uuid;
}

static void assert_uuid(const struct uuid *uuid, const char *hex) {
    char text[33];
    hex_encode(uuid->bytes, sizeof uuid->bytes, text);
    assert_string_equal(text, hex);
    assert_int_equal(uuid->bytes[6] >> 4, 8); /* version */
    assert_int_equal(uuid->bytes[8] >> 6, 2); /* variant */
}

#define ORDER "581164822c308180acb11ade44b6d121"
#define BOX "6b9441c9af6c86f09f695321b2e5045c"
#define DELIVERY "807a175402ca8b59bb3626c4edfb5b03"

/* Computed with Python's hashlib over length-prefixed fields. */
static void test_identities_are_stable(void **state) {
    (void)state;
    const struct slice crowdsender = SLICE("crowdsender"), crossborderly = SLICE("crossborderly");
    const struct slice order_id = SLICE("3LkOSOBBZrw7oS2I1tbxaco5");
    const struct slice content = SLICE("{\"a\":1}"), event_id = SLICE("evt_abc123xyz");
    const struct uuid order = uuid_from(ORDER), box = uuid_from(BOX),
                      delivery = uuid_from(DELIVERY);
    struct uuid id;
    assert_true(order_key(crowdsender, true, order_id, &id));
    assert_uuid(&id, ORDER);
    assert_true(order_key(crowdsender, false, order_id, &id));
    assert_uuid(&id, "9a4401d1449389b2b4e76f4cef9d241b");
    assert_true(box_key(&order, SLICE_OF("3LkOSOBBZrw7oS2I1tbxaco4"), &id));
    assert_uuid(&id, BOX);
    assert_true(manifest_key(crossborderly, true, SLICE_OF("shp_abc123"), &id));
    assert_uuid(&id, "fc99a8a5117582e0961717283d27551a");
    assert_true(delivery_id(crossborderly, true, event_id, content, &id));
    assert_uuid(&id, DELIVERY);
    assert_true(delivery_id(crowdsender, true, SLICE_EMPTY, content, &id));
    assert_uuid(&id, "3ded096c1dff8cd5bb3626c4edfb5b03");
    assert_true(quarantined_delivery_id(crowdsender, SLICE_OF("{\"a\":"), &id));
    assert_uuid(&id, "9d48cb378e0b8e2aaf73b26b007d644b");
    assert_true(event_row_key(&box, SLICE_OF("312589"), &delivery, 7, &id));
    assert_uuid(&id, "7b9984cae6788d928fe61740a67de748");
    assert_true(event_row_key(&box, SLICE_EMPTY, &delivery, 258, &id));
    assert_uuid(&id, "8fcb3205c4fa8b0f86d3ab7a0b51c4f8");
}

/* One event id with other content: neighbours, but not the same. */
static void test_conflicting_deliveries_are_neighbours(void **state) {
    (void)state;
    const struct slice source = SLICE("crossborderly"), event_id = SLICE("evt_abc123xyz");
    struct uuid one, two;
    assert_true(delivery_id(source, true, event_id, SLICE_OF("{\"a\":1}"), &one));
    assert_true(delivery_id(source, true, event_id, SLICE_OF("{\"a\":2}"), &two));
    assert_memory_equal(one.bytes, two.bytes, 8);
    assert_memory_not_equal(one.bytes + 8, two.bytes + 8, 8);
    assert_uuid(&two, "807a175402ca8b59a2dc0d0313735ca3");
}

static void test_deliveries_without_an_event_id_are_strangers(void **state) {
    (void)state;
    const struct slice source = SLICE("crowdsender");
    struct uuid one, two;
    assert_true(delivery_id(source, true, SLICE_EMPTY, SLICE_OF("{\"a\":1}"), &one));
    assert_true(delivery_id(source, true, SLICE_EMPTY, SLICE_OF("{\"a\":2}"), &two));
    assert_memory_not_equal(one.bytes, two.bytes, 8);
}

/* Lengths are hashed too, so nothing can slide from one field to the next. */
static void test_fields_do_not_run_together(void **state) {
    (void)state;
    struct uuid one, two;
    assert_true(order_key(SLICE_OF("a"), true, SLICE_OF("bc"), &one));
    assert_true(order_key(SLICE_OF("ab"), true, SLICE_OF("c"), &two));
    assert_memory_not_equal(one.bytes, two.bytes, sizeof one.bytes);
}

static void test_kinds_of_identity_differ(void **state) {
    (void)state;
    const struct slice source = SLICE("s"), id = SLICE("1");
    struct uuid order, manifest;
    assert_true(order_key(source, true, id, &order));
    assert_true(manifest_key(source, true, id, &manifest));
    assert_memory_not_equal(order.bytes, manifest.bytes, sizeof order.bytes);
}

/* ---- keys ---- */

struct ordered {
    enum status status;
    bool weak;
    int64_t version_at;
    const char *word;
    uint8_t delivery; /* first byte of its id */
    uint32_t number;
};

static struct strbuf key_of(const struct ordered *o, bool of_order) {
    struct strbuf key = STRBUF_INIT(1024);
    struct uuid delivery = {{o->delivery}};
    struct status_report report;
    status_report_init(&report);
    report.status = o->status;
    report.weak = o->weak;
    report.provider_status = slice_from_cstr(o->word);
    status_key(&key, &report, of_order, o->version_at, &delivery, o->number);
    assert_false(strbuf_failed(&key));
    return key;
}

static int sign(int n) {
    return (n > 0) - (n < 0);
}

/* Each row's key is greater than all above it. */
static void assert_ascending(const struct ordered *rows, size_t count, bool of_order) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            struct strbuf a = key_of(&rows[i], of_order), b = key_of(&rows[j], of_order);
            int order = slice_cmp(strbuf_slice(&a), strbuf_slice(&b));
            if (sign(order) != sign((int)i - (int)j))
                fail_msg("rows %zu and %zu are in the wrong order", i, j);
            strbuf_free(&a);
            strbuf_free(&b);
        }
    }
}

static void test_status_key_order(void **state) {
    (void)state;
    static const struct ordered rows[] = {
        /* phase before everything */
        {STATUS_UNKNOWN, false, TIMESTAMP_MAX, "zzz", 255, 9},
        {STATUS_IN_TRANSIT, true, TIMESTAMP_MAX, "possible delay", 255, 9},
        /* then the time, as a signed number */
        {STATUS_EXPIRED, false, INT64_MIN, "", 0, 0},
        {STATUS_IN_TRANSIT, false, -1, "", 0, 0},
        {STATUS_IN_TRANSIT, false, 0, "", 0, 0},
        {STATUS_IN_TRANSIT, false, 255, "", 0, 0},
        {STATUS_IN_TRANSIT, false, 256, "", 0, 0},
        /* then the rank */
        {STATUS_PENDING, false, 1000, "zzz", 255, 9},
        {STATUS_OUT_FOR_DELIVERY, false, 1000, "", 255, 9},
        /* then the word as bytes, none first */
        {STATUS_EXCEPTION, false, 1000, "", 255, 9},
        {STATUS_EXCEPTION, false, 1000, "Damaged", 255, 9},
        {STATUS_EXCEPTION, false, 1000, "a", 255, 9},
        {STATUS_EXCEPTION, false, 1000, "a\x01", 255, 9},
        {STATUS_EXCEPTION, false, 1000, "ab", 255, 9},
        {STATUS_EXCEPTION, false, 1000, "b", 0, 0},
        {STATUS_EXCEPTION, false, 1000, "\xc3\xa9", 0, 0},
        /* then the delivery and the number in it */
        {STATUS_EXPIRED, false, 1000, "a", 1, 256},
        {STATUS_EXPIRED, false, 1000, "a", 2, 1},
        {STATUS_EXPIRED, false, 1000, "a", 2, 256},
        {STATUS_EXPIRED, false, INT64_MAX, "a", 0, 0},
        /* sticky at last */
        {STATUS_RETURNING, false, 0, "", 0, 0},
        {STATUS_DELIVERED, false, 0, "", 0, 0},
        {STATUS_RETURNING, false, 1, "", 0, 0},
    };
    assert_ascending(rows, ARRAY_LEN(rows), false);
}

/* Of an order the latest word stands, whatever it says. */
static void test_order_status_has_two_phases(void **state) {
    (void)state;
    static const struct ordered rows[] = {
        {STATUS_UNKNOWN, false, TIMESTAMP_MAX, "", 0, 0},
        {STATUS_CANCELLED, false, 1, "", 0, 0},
        {STATUS_PENDING, false, 2, "", 0, 0},
        {STATUS_DELIVERED, false, 2, "", 0, 0},
        {STATUS_PENDING, false, 3, "", 0, 0},
    };
    assert_ascending(rows, ARRAY_LEN(rows), true);
}

static void test_fact_key_order(void **state) {
    (void)state;
    static const struct ordered rows[] = {
        {.version_at = INT64_MIN, .delivery = 9, .number = 9},
        {.version_at = -2, .delivery = 9, .number = 9},
        {.version_at = -1, .delivery = 1, .number = 9},
        {.version_at = -1, .delivery = 2, .number = 0},
        {.version_at = -1, .delivery = 2, .number = 1},
        {.version_at = TIMESTAMP_MAX, .delivery = 0, .number = 0},
    };
    struct strbuf last = STRBUF_INIT(64);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct strbuf key = STRBUF_INIT(64);
        fact_key(&key, rows[i].version_at, &(struct uuid){{rows[i].delivery}}, rows[i].number);
        assert_int_equal(key.len, 8 + 16 + 4);
        assert_true(slice_cmp(strbuf_slice(&last), strbuf_slice(&key)) < 0);
        strbuf_free(&last);
        last = key;
    }
    strbuf_free(&last);
}

static void test_history_key_has_the_snapshot_second(void **state) {
    (void)state;
    const struct uuid low = {{1}}, high = {{2}};
    struct strbuf keys[4];
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        strbuf_init(&keys[i], 64);
    history_key(&keys[0], 1, 99, &high, 9);
    history_key(&keys[1], 2, -1, &high, 9);
    history_key(&keys[2], 2, 10, &low, 0);
    history_key(&keys[3], 2, 10, &high, 0);
    for (size_t i = 1; i < ARRAY_LEN(keys); i++)
        assert_true(slice_cmp(strbuf_slice(&keys[i - 1]), strbuf_slice(&keys[i])) < 0);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_int_equal(keys[i].len, 8 + 8 + 16 + 4);
        strbuf_free(&keys[i]);
    }
}

/* ---- what says nothing ---- */

static void test_init_says_nothing(void **state) {
    (void)state;
    struct changes c;
    struct box_change box;
    struct tracking_event event;
    memset(&c, 0xff, sizeof c);
    memset(&box, 0xff, sizeof box);
    memset(&event, 0xff, sizeof event);
    changes_init(&c);
    box_change_init(&box);
    tracking_event_init(&event);
    assert_true(c.version_at == TIMESTAMP_NONE && c.order.send_date == TIMESTAMP_NONE);
    assert_true(c.order.status.at == TIMESTAMP_NONE);
    assert_true(c.order.status.next_attempt_at == TIMESTAMP_NONE);
    assert_true(c.manifest.parcel_count == -1 && c.manifest.submitted_at == TIMESTAMP_NONE);
    assert_true(!c.live_known && !c.event_id.len && !c.has_manifest && !c.box_count);
    assert_true(box.estimated_delivery_date == DATE_NONE && box.shipped_at == TIMESTAMP_NONE);
    assert_true(box.estimated_delivery_at == TIMESTAMP_NONE && box.status.at == TIMESTAMP_NONE);
    assert_true(box.status.next_attempt_at == TIMESTAMP_NONE && !box.has_status);
    assert_true(event.occurred_at == TIMESTAMP_NONE && event.status == STATUS_UNKNOWN);
}

static void test_uuids_as_text(void **state) {
    static const char *const wrong[] = {"",
                                        "bd08af21",
                                        "bd08af21-82f2-8bab-8e90-7a03c5eff0c",
                                        "bd08af21-82f2-8bab-8e90-7a03c5eff0c3 ",
                                        "bd08af2182f2-8bab-8e90-7a03c5eff0c31",
                                        "bd08af21-82f2-8bab-8e90-7a03c5eff0cg",
                                        "bd08af21-82f2-8bab-8e90-7a03c5eff0c3-",
                                        "bd08af21-82f2-8bab-8e90-"};
    static const char text[] = "bd08af21-82f2-8bab-8e90-7a03c5eff0c3";
    char shown[UUID_TEXT];
    struct uuid uuid;
    (void)state;
    assert_true(uuid_parse(SLICE_OF("BD08AF21-82f2-8bab-8e90-7a03c5eff0c3"), &uuid));
    uuid_format(&uuid, shown);
    assert_string_equal(shown, text);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_false(uuid_parse(slice_from_cstr(wrong[i]), &uuid));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities_are_stable),
        cmocka_unit_test(test_conflicting_deliveries_are_neighbours),
        cmocka_unit_test(test_deliveries_without_an_event_id_are_strangers),
        cmocka_unit_test(test_fields_do_not_run_together),
        cmocka_unit_test(test_kinds_of_identity_differ),
        cmocka_unit_test(test_status_key_order),
        cmocka_unit_test(test_order_status_has_two_phases),
        cmocka_unit_test(test_fact_key_order),
        cmocka_unit_test(test_history_key_has_the_snapshot_second),
        cmocka_unit_test(test_init_says_nothing),
        cmocka_unit_test(test_uuids_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

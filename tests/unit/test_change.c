/* Identities, which are stored and must never change. */
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
    const struct uuid order = uuid_from(ORDER), box = uuid_from(BOX);
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
    assert_true(document_key(&box, SLICE_OF("label"), SLICE_OF("https://example.com/a.pdf"), &id));
    assert_uuid(&id, "e242ad56d1758da4a4bcbae52021cc6a");
}

/* The row of a box's history: by the sender's id, else by instant and provider status, whose
 * spelling is folded. Rows with one key are one row. */
static void test_rows_of_the_history(void **state) {
    static const struct {
        const char *id;
        int64_t occurred_at;
        const char *word, *key;
    } rows[] = {
        {"312589", 1, "DELIVERED", "7b9984cae6788d928fe61740a67de748"},
        {"312589", 2, "", "7b9984cae6788d928fe61740a67de748"},
        {"", 1650000000123456, "out_for_delivery", "89db230dde8789e699b7c164aacdea75"},
        {"", 1650000000123456, " Out for-DELIVERY\t", "89db230dde8789e699b7c164aacdea75"},
        {"", -1, "", "02a1213086a9850c9e8644bf884a6dbc"},
        {"", -1, "  ", "02a1213086a9850c9e8644bf884a6dbc"},
    };
    const struct uuid box = uuid_from(BOX);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tracking_event event;
        struct uuid id;
        tracking_event_init(&event);
        event.sender_event_id = slice_from_cstr(rows[i].id);
        event.occurred_at = rows[i].occurred_at;
        event.provider_status = slice_from_cstr(rows[i].word);
        /* What else it says makes no other row. */
        event.status = i % 2 ? STATUS_EXCEPTION : STATUS_DELIVERED;
        event.message = i % 2 ? SLICE_OF("message") : SLICE_EMPTY;
        assert_true(event_row_key(&box, &event, &id));
        assert_uuid(&id, rows[i].key);
    }
}

/* Each of these is another row. */
static void test_other_happenings(void **state) {
    static const struct {
        const char *box;
        int64_t occurred_at;
        const char *word;
    } rows[] = {{BOX, 1, "a b"},
                {ORDER, 1, "a b"},
                {BOX, 2, "a b"},
                {BOX, 256, "a b"},
                {BOX, -1, "a b"},
                {BOX, 1, "ab"},
                {BOX, 1, ""},
                {BOX, 1, "a__b"},
                {BOX, 1, "\xc3\x84"},
                {BOX, 1, "\xc3\xa4"},
                {BOX, TIMESTAMP_NONE, "a b"}};
    struct uuid keys[ARRAY_LEN(rows)];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct uuid box = uuid_from(rows[i].box);
        struct tracking_event event;
        tracking_event_init(&event);
        event.occurred_at = rows[i].occurred_at;
        event.provider_status = slice_from_cstr(rows[i].word);
        assert_true(event_row_key(&box, &event, &keys[i]));
        for (size_t j = 0; j < i; j++) {
            assert_false(uuid_eq(&keys[i], &keys[j]));
        }
    }
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
        cmocka_unit_test(test_rows_of_the_history),
        cmocka_unit_test(test_other_happenings),
        cmocka_unit_test(test_conflicting_deliveries_are_neighbours),
        cmocka_unit_test(test_deliveries_without_an_event_id_are_strangers),
        cmocka_unit_test(test_fields_do_not_run_together),
        cmocka_unit_test(test_kinds_of_identity_differ),
        cmocka_unit_test(test_init_says_nothing),
        cmocka_unit_test(test_uuids_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lists of boxes, rows of the history with their span, papers and manifests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fold_cases.h"

#define SAYINGS 4

/* ---- lists of boxes ---- */

/* Each webhook reports that box a has a status, and gives a list. */
static const struct list_row {
    const char *name;
    struct {
        int64_t version;
        enum status status; /* STATUS_COUNT: none */
        const char *list;   /* NULL: none */
    } said[SAYINGS];
    enum status shown;
    const char *detail;
    int64_t at;
    enum status reported; /* kept beside what is shown; STATUS_COUNT: nothing is */
} LISTS[] = {
    {"no list", {{1, STATUS_PENDING, NULL}}, STATUS_PENDING, "said", 1, STATUS_COUNT},
    {"on the list", {{1, STATUS_PENDING, "a b"}}, STATUS_PENDING, "said", 1, STATUS_COUNT},
    {"left out",
     {{1, STATUS_PENDING, "a b"}, {2, STATUS_COUNT, "b"}},
     STATUS_CANCELLED,
     "removed",
     2,
     STATUS_PENDING},
    {"left out of an older list only",
     {{1, STATUS_PENDING, "b"}, {2, STATUS_COUNT, "a b"}},
     STATUS_PENDING,
     "said",
     1,
     STATUS_COUNT},
    {"brought back",
     {{1, STATUS_PENDING, "a"}, {2, STATUS_COUNT, "b"}, {3, STATUS_COUNT, "a b"}},
     STATUS_PENDING,
     "said",
     1,
     STATUS_COUNT},
    {"a list of nothing leaves every box out",
     {{1, STATUS_PENDING, ""}},
     STATUS_CANCELLED,
     "removed",
     1,
     STATUS_PENDING},
    {"a name that begins alike is another",
     {{1, STATUS_PENDING, "ab"}},
     STATUS_CANCELLED,
     "removed",
     1,
     STATUS_PENDING},
    {"delivered boxes stay",
     {{1, STATUS_DELIVERED, "b"}},
     STATUS_DELIVERED,
     "said",
     1,
     STATUS_COUNT},
    {"returned ones, too", {{1, STATUS_RETURNED, "b"}}, STATUS_RETURNED, "said", 1, STATUS_COUNT},
    {"failed ones do not",
     {{1, STATUS_FAILED, "b"}},
     STATUS_CANCELLED,
     "removed",
     1,
     STATUS_FAILED},
    {"a delivery later than the list",
     {{1, STATUS_PENDING, "a"}, {2, STATUS_COUNT, "b"}, {3, STATUS_DELIVERED, NULL}},
     STATUS_DELIVERED,
     "said",
     3,
     STATUS_COUNT},
    {"a scan later than the list does not bring it back",
     {{1, STATUS_PENDING, "a"}, {2, STATUS_COUNT, "b"}, {3, STATUS_IN_TRANSIT, NULL}},
     STATUS_CANCELLED,
     "removed",
     2,
     STATUS_IN_TRANSIT},
};

static void check_list(const struct order_state *order, const void *given) {
    const struct list_row *row = given;
    const struct box_state *box = box_named(order, "a");
    if (box->shown.status != row->shown || box->shown.at != row->at ||
        !slice_eq(box->shown.detail, slice_from_cstr(row->detail)) ||
        box->reported.status != row->reported || box->removed != (row->reported != STATUS_COUNT)) {
        fail_msg("%s", row->name);
    }
    /* What else was reported stands. */
    assert_true(slice_eq(box->status.provider_status, SLICE_OF("word")));
}

static void a_list_removes_boxes_and_brings_them_back(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(LISTS); i++) {
        struct webhook webhooks[SAYINGS];
        size_t count = 0;
        for (; count < SAYINGS && LISTS[i].said[count].version != 0; count++) {
            int64_t version = LISTS[i].said[count].version;
            webhook_init(&webhooks[count], version, 1);
            if (LISTS[i].said[count].status != STATUS_COUNT) {
                struct status_report *report =
                    webhook_status(&webhooks[count], "a", LISTS[i].said[count].status, version);
                report->detail = SLICE_OF("said");
                report->provider_status = SLICE_OF("word");
            }
            if (LISTS[i].said[count].list != NULL) {
                webhook_list(&webhooks[count], LISTS[i].said[count].list);
            }
        }
        fold_in_every_order(webhooks, count, check_list, &LISTS[i]);
    }
}

static void a_list_has_the_time_of_its_webhook(void **state) {
    struct arena *arena = case_arena();
    struct order_state order;
    struct webhook webhook;
    (void)state;
    order_state_init(&order);
    assert_int_equal(box_list_at(&order), TIMESTAMP_NONE);
    webhook_init(&webhook, 7, 1);
    webhook_list(&webhook, "a");
    webhook_fold(&order, &webhook, arena);
    assert_int_equal(box_list_at(&order), 7);
    arena_free(arena);
}

/* ---- rows of the history ---- */

/* Each webhook has the row 1 with its message; the first message of the table stands. */
static const struct snapshot_row {
    const char *name;
    struct {
        int64_t version, snapshot;
        uint8_t delivery;
        const char *message;
    } said[SAYINGS];
} SNAPSHOTS[] = {
    {"a later snapshot corrects", {{2, 0, 1, "new"}, {1, 9, 9, "old"}}},
    {"it can take away", {{2, 0, 1, ""}, {1, 0, 2, "old"}}},
    {"of one time the greater number", {{5, 2, 1, "new"}, {5, 1, 9, "old"}, {5, -1, 8, "x"}}},
    {"of one number the greater delivery", {{5, 2, 9, "new"}, {5, 2, 1, "old"}}},
};

static void check_snapshot(const struct order_state *order, const void *given) {
    const struct snapshot_row *row = given;
    const struct event_state *event = order->events.items[0];
    struct slice message = slice_from_cstr(row->said[0].message);
    assert_int_equal(order->events.count, 1);
    if (!slice_eq(event->message, message) || event->occurred_at != row->said[0].version * 10 ||
        event->delivery.bytes[0] != row->said[0].delivery) {
        fail_msg("%s: '%.*s'", row->name, SLICE_ARGS(event->message));
    }
    assert_int_equal(order->shown.first_event_at, event->occurred_at);
    assert_int_equal(order->shown.last_event_at, event->occurred_at);
}

static void a_row_of_the_history_is_corrected_as_a_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SNAPSHOTS); i++) {
        struct webhook webhooks[SAYINGS];
        size_t count = 0;
        for (; count < SAYINGS && SNAPSHOTS[i].said[count].version != 0; count++) {
            int64_t version = SNAPSHOTS[i].said[count].version;
            webhook_init(&webhooks[count], version, SNAPSHOTS[i].said[count].delivery);
            webhooks[count].changes.number = SNAPSHOTS[i].said[count].snapshot;
            webhook_event(&webhooks[count], "1", 10 * version)->message =
                slice_from_cstr(SNAPSHOTS[i].said[count].message);
        }
        fold_in_every_order(webhooks, count, check_snapshot, &SNAPSHOTS[i]);
    }
}

/* ---- happenings ---- */

/* Each webhook reports the same happening: greatest key first. */
static const struct happening_row {
    int64_t version;
    uint8_t delivery;
    const char *word;
    enum status status;
    const char *detail, *location, *message, *previous, *stands_for;
} HAPPENINGS[] = {
    {9, 1, "Out for delivery", STATUS_OUT_FOR_DELIVERY, "", "", "", "", ""},
    {8, 2, "OUT_FOR_DELIVERY", STATUS_UNKNOWN, "d", "there", "", "", ""},
    {7, 3, " out-for-delivery ", STATUS_EXCEPTION, "e", "here", "said", "", "A|B"},
    {7, 2, "out_for_delivery", STATUS_EXPIRED, "f", "x", "y", "BEFORE", "C"},
};

static void check_happening(const struct order_state *order, const void *row) {
    (void)row;
    /* Another word, and the same at another time, are rows of their own. */
    assert_int_equal(order->events.count, 3);
    struct webhook first;
    webhook_init(&first, 9, 1);
    (void)webhook_happening(&first, "out_for_delivery", 50);
    const struct event_state *event = uuid_map_find(&order->events, &first.event_keys[0]);
    assert_non_null(event);
    assert_int_equal(event->occurred_at, 50);
    /* Of the greatest key: these go together, empty ones too. */
    assert_int_equal(event->delivery.bytes[0], 1);
    assert_int_equal(event->status, STATUS_OUT_FOR_DELIVERY);
    assert_true(slice_eq(event->provider_status, SLICE_OF("Out for delivery")));
    assert_int_equal(event->detail.len, 0);
    /* Each of the greatest that says it. */
    assert_true(slice_eq(event->location, SLICE_OF("there")));
    assert_true(slice_eq(event->message, SLICE_OF("said")));
    assert_true(slice_eq(event->previous_status, SLICE_OF("BEFORE")));
    assert_true(slice_eq(event->stands_for, SLICE_OF("A|B")));
}

static void one_happening_is_one_row(void **state) {
    struct webhook webhooks[ARRAY_LEN(HAPPENINGS)];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(HAPPENINGS); i++) {
        const struct happening_row *row = &HAPPENINGS[i];
        webhook_init(&webhooks[i], row->version, row->delivery);
        struct tracking_event *event = webhook_happening(&webhooks[i], row->word, 50);
        event->status = row->status;
        event->detail = slice_from_cstr(row->detail);
        event->location = slice_from_cstr(row->location);
        event->message = slice_from_cstr(row->message);
        event->previous_status = slice_from_cstr(row->previous);
        event->stands_for = slice_from_cstr(row->stands_for);
    }
    (void)webhook_happening(&webhooks[0], "out for deliver", 50);
    (void)webhook_happening(&webhooks[1], "out for delivery", 51);
    fold_in_every_order(webhooks, ARRAY_LEN(webhooks), check_happening, NULL);
}

static void check_union(const struct order_state *order, const void *row) {
    (void)row;
    assert_int_equal(order->documents.count, 3);
    assert_int_equal(order->events.count, 2);
    for (size_t i = 0; i < order->documents.count; i++) {
        const struct document_state *paper = order->documents.items[i];
        assert_true(slice_eq(paper->kind, SLICE_OF("label")));
    }
}

static void papers_and_rows_add_up(void **state) {
    struct webhook webhooks[3];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(webhooks); i++) {
        webhook_init(&webhooks[i], (int64_t)i, 1);
    }
    webhook_paper(&webhooks[0], "label", "https://1");
    webhook_paper(&webhooks[0], "label", "https://2");
    webhook_paper(&webhooks[1], "label", "https://2");
    webhook_paper(&webhooks[2], "label", "https://3");
    (void)webhook_event(&webhooks[0], "1", 1);
    (void)webhook_event(&webhooks[2], "2", 1);
    fold_in_every_order(webhooks, ARRAY_LEN(webhooks), check_union, NULL);
}

static void an_order_has_its_own_history(void **state) {
    struct arena *arena = case_arena();
    struct order_state order;
    struct webhook webhook;
    (void)state;
    order_state_init(&order);
    webhook_init(&webhook, 1, 3);
    webhook.changes.order_change_count = 1;
    webhook.order_change =
        (struct order_field_change){FIELD_SEND_DATE, SLICE("before"), SLICE("after"), 50};
    webhook_fold(&order, &webhook, arena);
    assert_true(show(&order, arena));
    const struct order_change_state *row = order.order_changes;
    assert_non_null(row);
    assert_null(row->next);
    assert_int_equal(row->key.bytes[0], 3);
    assert_true(slice_eq(row->field, SLICE_OF("send_date")));
    assert_true(slice_eq(row->change.new_value, SLICE_OF("after")));
    assert_int_equal(order.shown.first_event_at, 50);
    arena_free(arena);
}

static void a_manifest_is_one_register(void **state) {
    static const struct {
        int64_t version;
        uint8_t delivery;
        int64_t parcels;
    } rows[] = {{2, 1, 20}, {1, 9, 10}, {2, 2, 30}, {2, 2, 40}};
    struct arena *arena = case_arena();
    struct manifest_state manifest = {.row = ROW_STORED};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct uuid delivery = {{rows[i].delivery}};
        struct changes changes;
        changes_init(&changes);
        changes.version_at = rows[i].version;
        changes.manifest.parcel_count = rows[i].parcels;
        assert_true(fold_manifest(&manifest, &changes, &delivery, arena));
    }
    assert_int_equal(manifest.manifest.parcel_count, 30);
    assert_int_equal(manifest.row, ROW_CHANGED);
    arena_free(arena);
}

/* ---- the span of the history ---- */

/* Of a stored order with rows at 10, 20 and 30 the row ID is corrected. */
static const struct span_row {
    const char *name;
    const char *id;
    int64_t moved_to;
    bool is_lost;
    int64_t others_first, others_last; /* as they are read again */
    int64_t first, last;
} SPANS[] = {
    {"the first moves", "10", 25, true, 20, 30, 20, 30},
    {"the first moves back", "10", 5, true, 20, 30, 5, 30},
    {"the last moves", "30", 15, true, 10, 20, 10, 20},
    {"one between them moves", "20", 40, false, 0, 0, 10, 40},
    {"nothing moves", "10", 10, false, 0, 0, 10, 30},
    {"a new row", "new", 50, false, 0, 0, 10, 50},
};

static void a_span_that_is_lost_is_read_again(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SPANS); i++) {
        struct arena *arena = case_arena();
        struct order_state order;
        struct webhook before, after;
        order_state_init(&order);
        webhook_init(&before, 1, 1);
        (void)webhook_event(&before, "10", 10);
        (void)webhook_event(&before, "20", 20);
        (void)webhook_event(&before, "30", 30);
        webhook_fold(&order, &before, arena);
        assert_true(show(&order, arena));
        make_stored(&order);
        /* As a batch reads it: the rows that it touches alone. */
        struct uuid_map all = order.events;
        struct uuid key = key_of_name(slice_from_cstr(SPANS[i].id));
        struct event_state *touched = uuid_map_find(&all, &key);
        order.events = (struct uuid_map){.count = 0};
        assert_true(touched == NULL || uuid_map_add(&order.events, touched, arena));
        webhook_init(&after, 2, 2);
        (void)webhook_event(&after, SPANS[i].id, SPANS[i].moved_to);
        webhook_fold(&order, &after, arena);
        if (fold_loses_span(&order) != SPANS[i].is_lost) {
            fail_msg("%s: lost or not", SPANS[i].name);
        }
        order.others_first = SPANS[i].others_first;
        order.others_last = SPANS[i].others_last;
        (void)show(&order, arena);
        if (order.shown.first_event_at != SPANS[i].first ||
            order.shown.last_event_at != SPANS[i].last) {
            fail_msg("%s: %lld to %lld", SPANS[i].name, (long long)order.shown.first_event_at,
                     (long long)order.shown.last_event_at);
        }
        arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_removes_boxes_and_brings_them_back),
        cmocka_unit_test(a_list_has_the_time_of_its_webhook),
        cmocka_unit_test(a_row_of_the_history_is_corrected_as_a_whole),
        cmocka_unit_test(one_happening_is_one_row),
        cmocka_unit_test(papers_and_rows_add_up),
        cmocka_unit_test(an_order_has_its_own_history),
        cmocka_unit_test(a_manifest_is_one_register),
        cmocka_unit_test(a_span_that_is_lost_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

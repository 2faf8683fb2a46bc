/* The rules of the fold, one by one. Every row is folded in every order of its webhooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fold_cases.h"

#define SAYINGS 4

/* ---- the latest ---- */

/* Each says a value, 1 or more, of one fact; 0 says nothing. A row ends at version 0. */
static const struct latest_row {
    const char *name;
    struct {
        int64_t version;
        uint8_t delivery;
        int value;
    } said[SAYINGS];
    int stands;
} LATEST[] = {
    {"one", {{1, 1, 1}}, 1},
    {"the latest", {{1, 1, 1}, {3, 1, 3}, {2, 1, 2}}, 3},
    {"nothing is no change", {{1, 1, 1}, {9, 1, 0}}, 1},
    {"nothing at all", {{1, 1, 0}, {2, 1, 0}}, 0},
    {"a value comes back", {{1, 1, 1}, {2, 1, 2}, {3, 1, 1}}, 1},
    {"of one time the greater delivery", {{5, 2, 1}, {5, 9, 2}, {5, 3, 3}}, 2},
    {"the time before the delivery", {{5, 9, 1}, {6, 1, 2}}, 2},
    {"a time before 1970", {{-1, 9, 1}, {1, 1, 2}}, 2},
};

struct fact_case {
    const struct latest_row *row;
    enum fact fact;
};

static struct fact_value value_of(const struct fact_row *row, int value) {
    static const struct slice texts[] = {SLICE_EMPTY, SLICE("one"), SLICE("two"), SLICE("three")};
    bool is_text = row->type == FACT_TYPE_TEXT || row->type == FACT_TYPE_JSON;
    return (struct fact_value){.text = is_text ? texts[value] : SLICE_EMPTY,
                               .number = is_text || value == 0 ? VALUE_NONE : 1000 + value};
}

/* Sets the member of ROW in CHANGE. */
static void set_member(const struct fact_row *row, void *change, const struct fact_value *value) {
    char *member = (char *)change + row->offset;
    int32_t days = value->number == VALUE_NONE ? DATE_NONE : (int32_t)value->number;
    if (row->type == FACT_TYPE_TIME) {
        memcpy(member, &value->number, sizeof(value->number));
    } else if (row->type == FACT_TYPE_DATE) {
        memcpy(member, &days, sizeof(days));
    } else {
        memcpy(member, &value->text, sizeof(value->text));
    }
}

static void check_latest(const struct order_state *order, const void *given) {
    const struct fact_case *fact_case = given;
    const struct fact_row *row = fact_row(fact_case->fact);
    struct fact_value expected = value_of(row, fact_case->row->stands);
    bool of_order = row->subject == SUBJECT_ORDER;
    const struct fact_value *held = of_order ? &order->values[fact_case->fact]
                                             : &box_named(order, "a")->values[fact_case->fact];
    if (held->number != expected.number || !slice_eq(held->text, expected.text)) {
        fail_msg("%s, %s: %.*s %lld", row->name.data, fact_case->row->name, SLICE_ARGS(held->text),
                 (long long)held->number);
    }
}

static void the_latest_stands(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(LATEST) * FACT_COUNT; i++) {
        const struct fact_case fact_case = {&LATEST[i / FACT_COUNT], (enum fact)(i % FACT_COUNT)};
        const struct fact_row *row = fact_row(fact_case.fact);
        struct webhook webhooks[SAYINGS];
        size_t count = 0;
        if (row->offset == FACT_NO_MEMBER || row->rule != RULE_LATEST) {
            continue;
        }
        for (; count < SAYINGS && fact_case.row->said[count].version != 0; count++) {
            struct fact_value value = value_of(row, fact_case.row->said[count].value);
            webhook_init(&webhooks[count], fact_case.row->said[count].version,
                         fact_case.row->said[count].delivery);
            struct box_change *box = webhook_box(&webhooks[count], "a");
            bool of_order = row->subject == SUBJECT_ORDER;
            set_member(row, of_order ? (void *)&webhooks[count].changes.order : (void *)box,
                       &value);
        }
        fold_in_every_order(webhooks, count, check_latest, &fact_case);
    }
}

/* ---- statuses ---- */

/* The first report of a row stands. */
static const struct status_row {
    const char *name;
    bool of_order;
    struct {
        int64_t version;
        enum status status;
        const char *word;
        uint8_t delivery;
        bool weak;
    } said[SAYINGS];
} STATUSES[] = {
    {"the latest", false, {{2, STATUS_PENDING, "", 1, false}, {1, STATUS_EXCEPTION, "", 2, false}}},
    {"an unknown status last of all",
     false,
     {{1, STATUS_PENDING, "", 1, false}, {9, STATUS_UNKNOWN, "z", 2, false}}},
    {"unknown where there is no other",
     false,
     {{2, STATUS_UNKNOWN, "b", 1, false}, {1, STATUS_UNKNOWN, "a", 2, false}}},
    {"a weak one below an open one",
     false,
     {{1, STATUS_PENDING, "", 1, false}, {9, STATUS_IN_TRANSIT, "", 2, true}}},
    {"a weak one above unknown",
     false,
     {{1, STATUS_PENDING, "", 1, true}, {9, STATUS_UNKNOWN, "", 2, false}}},
    {"a late scan does not undo a delivery",
     false,
     {{1, STATUS_DELIVERED, "", 1, false}, {9, STATUS_IN_TRANSIT, "", 2, false}}},
    {"a return after a delivery does",
     false,
     {{2, STATUS_RETURNING, "", 1, false},
      {1, STATUS_DELIVERED, "", 2, false},
      {3, STATUS_EXPIRED, "", 3, false}}},
    {"of one time the higher rank",
     false,
     {{5, STATUS_OUT_FOR_DELIVERY, "", 1, false},
      {5, STATUS_IN_TRANSIT, "z", 9, false},
      {5, STATUS_PENDING, "", 8, false}}},
    {"of one rank the greater word, none first",
     false,
     {{5, STATUS_EXCEPTION, "ab", 1, false},
      {5, STATUS_EXCEPTION, "a", 9, false},
      {5, STATUS_EXCEPTION, "", 8, false}}},
    {"of one word the greater delivery",
     false,
     {{5, STATUS_EXCEPTION, "a", 9, false}, {5, STATUS_EXCEPTION, "a", 8, false}}},
    {"of an order the latest, whatever it is",
     true,
     {{2, STATUS_PENDING, "", 1, false}, {1, STATUS_CANCELLED, "", 2, false}}},
    {"of an order unknown last of all",
     true,
     {{1, STATUS_PENDING, "", 1, false}, {2, STATUS_UNKNOWN, "", 2, false}}},
    {"of an order and one time the higher rank",
     true,
     {{2, STATUS_CANCELLED, "", 1, false}, {2, STATUS_PENDING, "z", 2, false}}},
};

static void check_status(const struct order_state *order, const void *given) {
    const struct status_row *row = given;
    /* All members of a report go together: its time is 100 and the number of its delivery. */
    int64_t at = 100 + row->said[0].delivery;
    struct slice word = slice_from_cstr(row->said[0].word);
    bool same = row->of_order
                    ? order->own_status == row->said[0].status && order->own_status_at == at &&
                          slice_eq(order->own_provider_status, word)
                    : box_named(order, "a")->status.status == row->said[0].status &&
                          box_named(order, "a")->status.at == at &&
                          box_named(order, "a")->status.next_attempt_at == at + 1 &&
                          slice_eq(box_named(order, "a")->status.provider_status, word);
    if (!same) {
        fail_msg("%s", row->name);
    }
}

static void the_firmest_status_stands(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(STATUSES); i++) {
        struct webhook webhooks[SAYINGS];
        size_t count = 0;
        for (; count < SAYINGS && STATUSES[i].said[count].version != 0; count++) {
            uint8_t delivery = STATUSES[i].said[count].delivery;
            enum status status = STATUSES[i].said[count].status;
            webhook_init(&webhooks[count], STATUSES[i].said[count].version, delivery);
            struct status_report *report =
                STATUSES[i].of_order
                    ? webhook_own_status(&webhooks[count], status, 100 + delivery)
                    : webhook_status(&webhooks[count], "a", status, 100 + delivery);
            report->provider_status = slice_from_cstr(STATUSES[i].said[count].word);
            report->weak = STATUSES[i].said[count].weak;
            report->next_attempt_at = 101 + delivery;
        }
        fold_in_every_order(webhooks, count, check_status, &STATUSES[i]);
    }
}

/* Of one time the sender's own number decides, before rank and word; it comes after the time. */
static const struct number_row {
    int64_t version, number;
    uint8_t delivery;
    enum status status;
    const char *word;
} NUMBERS[] = {
    {5, 2, 1, STATUS_PENDING, "a"}, /* stands */
    {5, 1, 9, STATUS_EXPIRED, "z"},
    {5, -1, 8, STATUS_EXCEPTION, "y"},
    {4, 3, 7, STATUS_OUT_FOR_DELIVERY, "x"},
};

static void check_number(const struct order_state *order, const void *row) {
    const struct box_state *box = box_named(order, "a");
    (void)row;
    assert_int_equal(box->status.status, NUMBERS[0].status);
    assert_int_equal(order->own_status, NUMBERS[0].status);
    assert_true(slice_eq(box->values[FACT_CARRIER].text, SLICE_OF("a")));
    assert_true(slice_eq(box->values[FACT_CARRIER_NAME].text, SLICE_OF("a")));
    assert_true(slice_eq(order->values[FACT_ORDER_NUMBER].text, SLICE_OF("a")));
    assert_int_equal(order->box_list_count, 1);
    assert_true(slice_eq(order->box_list[0], SLICE_OF("a")));
}

static void the_senders_number_comes_before_the_rank(void **state) {
    struct webhook webhooks[ARRAY_LEN(NUMBERS)];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(NUMBERS); i++) {
        struct slice word = slice_from_cstr(NUMBERS[i].word);
        webhook_init(&webhooks[i], NUMBERS[i].version, NUMBERS[i].delivery);
        webhooks[i].changes.number = NUMBERS[i].number;
        webhook_status(&webhooks[i], "a", NUMBERS[i].status, 10)->provider_status = word;
        (void)webhook_own_status(&webhooks[i], NUMBERS[i].status, 10);
        webhooks[i].boxes[0].carrier = word;
        webhooks[i].boxes[0].carrier_name = word;
        webhooks[i].changes.order.order_number = word;
        webhook_list(&webhooks[i], NUMBERS[i].word);
    }
    fold_in_every_order(webhooks, ARRAY_LEN(webhooks), check_number, NULL);
}

/* Of one webhook the last report with the greatest rest of the key. */
static void a_webhook_may_speak_of_a_box_twice(void **state) {
    struct arena *arena = case_arena();
    struct order_state order;
    struct webhook webhook;
    (void)state;
    order_state_init(&order);
    webhook_init(&webhook, 1, 1);
    webhook_box(&webhook, "a")->carrier = SLICE_OF("first");
    webhook_box(&webhook, "a")->carrier = SLICE_OF("second");
    webhook_box(&webhook, "a")->tracking_number = SLICE_OF("third");
    webhook_fold(&order, &webhook, arena);
    assert_int_equal(order.boxes.count, 1);
    assert_true(slice_eq(box_named(&order, "a")->values[FACT_CARRIER].text, SLICE_OF("second")));
    arena_free(arena);
}

/* ---- times that statuses leave behind ---- */

#define NONE TIMESTAMP_NONE

/* What one webhook reports of a box, and its own shipped_at. */
struct report_row {
    int64_t version;
    enum status status;
    int64_t at, shipped_at;
    bool weak;
};

static const struct times_row {
    const char *name;
    struct report_row said[SAYINGS];
    int64_t delivered_at, shipped_at, last_open_at, last_moved_at;
} TIMES[] = {
    {"a delivery",
     {{1, STATUS_IN_TRANSIT, 10, NONE, false}, {2, STATUS_DELIVERED, 20, NONE, false}},
     20,
     10,
     10,
     10},
    {"delivered_at is kept when a return follows",
     {{2, STATUS_DELIVERED, 20, NONE, false},
      {3, STATUS_RETURNING, 30, NONE, false},
      {4, STATUS_RETURNED, 40, NONE, false}},
     20,
     NONE,
     NONE,
     NONE},
    {"of two deliveries the one with the greater key",
     {{3, STATUS_DELIVERED, 15, NONE, false}, {2, STATUS_DELIVERED, 20, NONE, false}},
     15,
     NONE,
     NONE,
     NONE},
    {"a delivery without a time",
     {{2, STATUS_DELIVERED, NONE, NONE, false}, {1, STATUS_DELIVERED, 10, NONE, false}},
     NONE,
     NONE,
     NONE,
     NONE},
    {"the earliest scan is when it was shipped",
     {{3, STATUS_IN_TRANSIT, 30, NONE, false},
      {1, STATUS_IN_TRANSIT, 10, NONE, false},
      {2, STATUS_IN_TRANSIT, 20, NONE, false}},
     NONE,
     10,
     30,
     30},
    {"the sender's own time comes before a scan",
     {{1, STATUS_IN_TRANSIT, 10, NONE, false}, {2, STATUS_IN_TRANSIT, 20, 25, false}},
     NONE,
     25,
     20,
     20},
    {"of the sender's own the earliest",
     {{1, STATUS_PENDING, 5, 30, false},
      {2, STATUS_PENDING, 5, 25, false},
      {3, STATUS_IN_TRANSIT, 1, 40, false}},
     NONE,
     25,
     5,
     1},
    {"a scan without a time is no time",
     {{1, STATUS_IN_TRANSIT, NONE, NONE, false}},
     NONE,
     NONE,
     NONE,
     NONE},
    {"the latest open status, whether it stands or not",
     {{9, STATUS_DELIVERED, 20, NONE, false},
      {1, STATUS_EXCEPTION, 30, NONE, false},
      {2, STATUS_PENDING, 5, NONE, false}},
     20,
     NONE,
     30,
     30},
    {"weak, unknown and final ones are not open",
     {{1, STATUS_IN_TRANSIT, 50, NONE, true},
      {2, STATUS_UNKNOWN, 60, NONE, false},
      {3, STATUS_RETURNING, 70, NONE, false}},
     NONE,
     50,
     NONE,
     NONE},
    {"of open ones those that are on their way or further",
     {{1, STATUS_PRE_TRANSIT, 40, NONE, false},
      {2, STATUS_IN_TRANSIT, 10, NONE, false},
      {3, STATUS_AVAILABLE_FOR_PICKUP, 30, NONE, false},
      {4, STATUS_OUT_FOR_DELIVERY, 50, NONE, true}},
     NONE,
     10,
     40,
     30},
};

static void check_times(const struct order_state *order, const void *given) {
    const struct times_row *row = given;
    const struct box_state *box = box_named(order, "a");
    if (box->delivered_at != row->delivered_at || box->shipped_at != row->shipped_at ||
        box->last_open_at != row->last_open_at || box->last_moved_at != row->last_moved_at) {
        fail_msg("%s: delivered_at %lld, shipped_at %lld, last_open_at %lld, last_moved_at %lld",
                 row->name, (long long)box->delivered_at, (long long)box->shipped_at,
                 (long long)box->last_open_at, (long long)box->last_moved_at);
    }
}

static void statuses_leave_times_behind(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TIMES); i++) {
        struct webhook webhooks[SAYINGS];
        size_t count = 0;
        for (; count < SAYINGS && TIMES[i].said[count].version != 0; count++) {
            const struct report_row *said = &TIMES[i].said[count];
            webhook_init(&webhooks[count], said->version, (uint8_t)(count + 1));
            webhook_status(&webhooks[count], "a", said->status, said->at)->weak = said->weak;
            webhooks[count].boxes[0].shipped_at = said->shipped_at;
        }
        fold_in_every_order(webhooks, count, check_times, &TIMES[i]);
    }
}

/* ---- flags ---- */

static void check_flags(const struct order_state *order, const void *row) {
    (void)row;
    assert_int_equal(box_named(order, "a")->values[FACT_WAS_DELAYED].number, 1);
    assert_int_equal(box_named(order, "a")->values[FACT_HAD_FAILED_ATTEMPT].number, 0);
}

static void a_flag_that_was_said_stays(void **state) {
    struct webhook webhooks[3];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(webhooks); i++) {
        webhook_init(&webhooks[i], (int64_t)i, 1);
        webhook_box(&webhooks[i], "a")->was_delayed = i == 0;
    }
    fold_in_every_order(webhooks, ARRAY_LEN(webhooks), check_flags, NULL);
}

/* ---- orders that move ---- */

static void check_moved(struct order_state *order, struct arena *arena, const char *id) {
    (void)show(order, arena);
    assert_true(has_moved(order));
    assert_true(slice_eq(order->values[FACT_MOVED_TO].text, slice_from_cstr(id)));
    assert_int_equal(order->boxes.count, 0);
    assert_int_equal(order->events.count, 0);
    assert_int_equal(order->documents.count, 0);
    assert_null(order->order_changes);
    assert_int_equal(order->shown.status, STATUS_UNKNOWN);
    assert_int_equal(order->shown.attention, 0);
    assert_int_equal(order->shown.boxes_total, 0);
    assert_int_equal(order->shown.boxes_delivered, 0);
    assert_int_equal(order->shown.shipped_at, NONE);
    assert_int_equal(order->shown.delivered_at, NONE);
    assert_int_equal(order->shown.first_event_at, NONE);
    assert_int_equal(order->shown.last_event_at, NONE);
}

/* A webhook of the provisional order, which has boxes of every kind. */
static void make_provisional(struct webhook *webhook) {
    webhook_init(webhook, 1, 1);
    (void)webhook_status(webhook, "a", STATUS_DELIVERED, 10);
    (void)webhook_status(webhook, "b", STATUS_EXCEPTION, 20);
    webhook->boxes[0].shipped_at = 5;
    (void)webhook_event(webhook, "1", 10);
    webhook_paper(webhook, "label", "https://label");
    webhook->changes.order_change_count = 1;
    webhook->order_change = (struct order_field_change){FIELD_COURIER, SLICE_EMPTY, SLICE("b"), 1};
}

static void an_order_that_moved_keeps_no_boxes(void **state) {
    (void)state;
    /* What comes first, and whether it is stored before the other comes. */
    for (size_t i = 0; i < 4; i++) {
        struct arena *arena = case_arena();
        struct order_state order;
        struct webhook own, names;
        bool moves_first = i & 1, is_stored = i & 2;
        order_state_init(&order);
        make_provisional(&own);
        webhook_init(&names, 2, 2);
        if (moves_first) {
            webhook_move(&order, &names, arena);
        } else {
            webhook_fold(&order, &own, arena);
        }
        assert_true(show(&order, arena));
        assert_int_equal(order.shown.boxes_total, moves_first ? 0 : 2);
        if (is_stored) {
            make_stored(&order);
        }
        if (moves_first) {
            webhook_fold(&order, &own, arena);
        } else {
            webhook_move(&order, &names, arena);
        }
        /* What does not show makes no new version. */
        assert_int_equal(show(&order, arena), !(moves_first && is_stored));
        check_moved(&order, arena, "order");
        arena_free(arena);
    }
}

/* The last that names an order: by the time, and of one time by the number. */
static void an_order_moves_to_the_one_named_last(void **state) {
    static const struct {
        int64_t version, number;
        const char *id;
    } rows[] = {{4, 9, "older"}, {5, 1, "first"}, {5, 2, "last"}};
    (void)state;
    for (size_t first = 0; first < ARRAY_LEN(rows); first++) {
        for (size_t step = 1; step < ARRAY_LEN(rows); step++) {
            struct arena *arena = case_arena();
            struct order_state order;
            struct webhook names[ARRAY_LEN(rows)];
            order_state_init(&order);
            for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                size_t number = (first + step * i) % ARRAY_LEN(rows);
                webhook_init(&names[i], rows[number].version, (uint8_t)(9 - number));
                names[i].changes.number = rows[number].number;
                names[i].changes.order_id = slice_from_cstr(rows[number].id);
                webhook_move(&order, &names[i], arena);
            }
            check_moved(&order, arena, "last");
            arena_free(arena);
        }
    }
}

/* Of its own facts what is said stays; what moves it says nothing else of it. */
static void a_move_says_nothing_else(void **state) {
    struct arena *arena = case_arena();
    struct order_state order;
    struct webhook own, names;
    (void)state;
    order_state_init(&order);
    make_provisional(&own);
    own.changes.order.order_number = SLICE_OF("1");
    webhook_fold(&order, &own, arena);
    webhook_init(&names, 2, 2);
    (void)webhook_own_status(&names, STATUS_DELIVERED, 10);
    (void)webhook_status(&names, "c", STATUS_DELIVERED, 10);
    names.changes.order.order_number = SLICE_OF("2");
    webhook_move(&order, &names, arena);
    check_moved(&order, arena, "order");
    assert_true(slice_eq(order.values[FACT_ORDER_NUMBER].text, SLICE_OF("1")));
    assert_int_equal(order.own_status, STATUS_COUNT);
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_stands),
        cmocka_unit_test(the_firmest_status_stands),
        cmocka_unit_test(the_senders_number_comes_before_the_rank),
        cmocka_unit_test(a_webhook_may_speak_of_a_box_twice),
        cmocka_unit_test(statuses_leave_times_behind),
        cmocka_unit_test(a_flag_that_was_said_stays),
        cmocka_unit_test(an_order_that_moved_keeps_no_boxes),
        cmocka_unit_test(an_order_moves_to_the_one_named_last),
        cmocka_unit_test(a_move_says_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

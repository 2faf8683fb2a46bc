/* What counts as a change of a state that is stored: rows that are written, documents that get a
 * new version. Personal texts are the same where their digests are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fold_cases.h"

/* A webhook says everything, another one the same at a later time but for what SAY changes. */
static void say_nothing_else(struct webhook *webhook) {
    (void)webhook;
}
static void say_another_place(struct webhook *webhook) {
    webhook->boxes[0].status.location = SLICE_OF("elsewhere");
}
static void say_another_word(struct webhook *webhook) {
    webhook->boxes[0].status.provider_status = SLICE_OF("WORD");
}
static void say_another_time(struct webhook *webhook) {
    webhook->boxes[0].status.at++;
}
static void say_another_carrier(struct webhook *webhook) {
    webhook->boxes[0].carrier = SLICE_OF("other");
}
static void say_another_name(struct webhook *webhook) {
    webhook->boxes[0].signed_by = SLICE_OF("other");
}
static void say_another_address(struct webhook *webhook) {
    webhook->changes.order.destination = SLICE_OF("{\"city\":\"B\"}");
}
static void say_another_message(struct webhook *webhook) {
    webhook->events[0].message = SLICE_OF("other");
}
static void say_no_message(struct webhook *webhook) {
    webhook->events[0].message = SLICE_EMPTY;
}
static void say_another_previous_status(struct webhook *webhook) {
    webhook->events[0].previous_status = SLICE_OF("other");
}
static void say_an_older_carrier(struct webhook *webhook) {
    say_another_carrier(webhook);
    webhook->changes.version_at = 0;
}
static void say_another_template(struct webhook *webhook) {
    webhook->boxes[0].tracking_url_template = SLICE_OF("https://other/{tracking_number}");
}
static void say_another_paper(struct webhook *webhook) {
    webhook_paper(webhook, "label", "https://other");
}
static void say_a_flag(struct webhook *webhook) {
    webhook->boxes[0].was_delayed = true;
}
static void say_another_own_detail(struct webhook *webhook) {
    webhook->changes.order.status.detail = SLICE_OF("other");
}

static const struct change_row {
    const char *name;
    void (*say)(struct webhook *webhook);
    bool document, box_row, event_row;
} CHANGES[] = {
    {"the same, later: keys change, the document does not", say_nothing_else, false, true, true},
    {"another place", say_another_place, true, true, true},
    {"another word", say_another_word, true, true, true},
    {"another time", say_another_time, true, true, true},
    {"another carrier", say_another_carrier, true, true, true},
    {"an older carrier", say_an_older_carrier, false, false, false},
    {"a personal text of a box", say_another_name, true, true, true},
    {"a personal text of the order", say_another_address, true, true, true},
    {"another message", say_another_message, true, true, true},
    {"no message", say_no_message, true, true, true},
    {"what no document shows", say_another_previous_status, false, true, true},
    {"the detail of the own status is not shown", say_another_own_detail, false, true, true},
    {"a template that is not needed", say_another_template, false, true, true},
    {"another paper", say_another_paper, true, true, true},
    {"a flag", say_a_flag, true, true, true},
};

static void make_full(struct webhook *webhook, int64_t version, uint8_t delivery) {
    webhook_init(webhook, version, delivery);
    struct status_report *report = webhook_status(webhook, "a", STATUS_IN_TRANSIT, 10);
    struct box_change *box = &webhook->boxes[0];
    report->location = SLICE_OF("here");
    report->provider_status = SLICE_OF("word");
    box->carrier = SLICE_OF("carrier");
    box->tracking_url = SLICE_OF("https://link");
    box->tracking_url_template = SLICE_OF("https://template/{tracking_number}");
    box->signed_by = SLICE_OF("name");
    box->estimated_delivery_date = 100;
    webhook->changes.order.destination = SLICE_OF("{\"city\":\"A\"}");
    webhook->changes.order.order_number = SLICE_OF("1");
    (void)webhook_own_status(webhook, STATUS_PENDING, 5);
    webhook_event(webhook, "1", 10)->message = SLICE_OF("message");
    webhook_paper(webhook, "label", "https://label");
}

/* Texts as the reader that may not see them gets them. */
static void put_digests(struct order_state *order, struct arena *arena) {
    struct box_state *box = order->boxes.items[0];
    struct event_state *event = order->events.items[0];
    struct fact_value *address = &order->values[FACT_DESTINATION];
    struct fact_value *name = &box->values[FACT_SIGNED_BY];
    assert_true(fact_digest(address->text, arena, &address->text));
    assert_true(fact_digest(name->text, arena, &name->text));
    assert_true(fact_digest(event->message, arena, &event->message));
    order->digests = UINT32_C(1) << FACT_DESTINATION;
    box->digests = UINT32_C(1) << FACT_SIGNED_BY;
    event->message_is_digest = true;
}

static void check_change(const struct change_row *row, bool digests) {
    struct arena *arena = case_arena();
    struct order_state order;
    struct webhook first, second;
    order_state_init(&order);
    make_full(&first, 1, 1);
    make_full(&second, 2, 2);
    webhook_fold(&order, &first, arena);
    assert_true(show(&order, arena));
    make_stored(&order);
    if (digests) {
        put_digests(&order, arena);
    }
    row->say(&second);
    webhook_fold(&order, &second, arena);
    bool document = show(&order, arena);
    const struct event_state *event = order.events.items[0];
    bool box_row = box_named(&order, "a")->row == ROW_CHANGED;
    if (document != row->document || box_row != row->box_row ||
        (event->row == ROW_CHANGED) != row->event_row) {
        fail_msg("%s, %s: document %d, box %d, event %d", row->name, digests ? "digests" : "texts",
                 document, box_row, event->row == ROW_CHANGED);
    }
    /* What was said stands there as a text again; what was not, as a digest. */
    assert_int_equal(order.digests != 0, digests && !row->box_row);
    arena_free(arena);
}

static void only_what_is_seen_is_a_change(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CHANGES); i++) {
        check_change(&CHANGES[i], false);
        check_change(&CHANGES[i], true);
    }
}

/* The digest counts, not that there is one: nothing that was stored may be lost. */
static void a_text_that_was_not_said_stays_a_digest(void **state) {
    struct arena *arena = case_arena();
    struct order_state order;
    struct webhook first, second;
    (void)state;
    order_state_init(&order);
    make_full(&first, 1, 1);
    webhook_fold(&order, &first, arena);
    assert_true(show(&order, arena));
    make_stored(&order);
    put_digests(&order, arena);
    webhook_init(&second, 2, 2);
    webhook_box(&second, "a")->carrier = SLICE_OF("other");
    webhook_fold(&order, &second, arena);
    assert_true(show(&order, arena));
    assert_int_equal(order.digests, UINT32_C(1) << FACT_DESTINATION);
    assert_int_equal(box_named(&order, "a")->digests, UINT32_C(1) << FACT_SIGNED_BY);
    arena_free(arena);
}

/* ---- what is watched ---- */

struct watched {
    size_t count[FACT_COUNT];
    size_t until; /* the claim that ends the fold; 0: none does */
    size_t total;
};

static bool watch_claim(void *context, const struct fold_claim *claim) {
    struct watched *watched = context;
    assert_true(claim->key.len > 0);
    assert_int_equal(claim->box_id.len > 0, fact_row(claim->fact)->subject == SUBJECT_BOX);
    watched->count[claim->fact]++;
    return ++watched->total != watched->until;
}

static bool watch_fold(struct watched *watched, struct arena *arena) {
    struct order_state order;
    struct webhook webhook;
    const struct fold_watch watch = {watch_claim, watched};
    order_state_init(&order);
    make_full(&webhook, 1, 1);
    webhook.boxes[0].shipped_at = 7;
    const struct fold_input input = {
        .changes = &webhook.changes,
        .delivery = &webhook.delivery,
        .box_keys = webhook.box_keys,
        .event_keys = webhook.event_keys,
        .event_box_keys = webhook.event_box_keys,
        .document_keys = webhook.document_keys,
        .document_box_keys = webhook.document_box_keys,
    };
    return fold_order(&order, &input, &watch, arena);
}

static void every_claim_is_watched(void **state) {
    static const struct {
        enum fact fact;
        size_t count;
    } rows[] = {
        {FACT_OWN_STATUS, 1}, {FACT_ORDER_NUMBER, 1}, {FACT_SEND_DATE, 0},  {FACT_DESTINATION, 1},
        {FACT_STATUS, 1},     {FACT_DELIVERED_AT, 0}, {FACT_SHIPPED_AT, 2}, {FACT_CARRIER, 1},
        {FACT_SIGNED_BY, 1},  {FACT_TRACKING_URL, 1}, {FACT_ITEMS, 0},      {FACT_WAS_DELAYED, 0},
        {FACT_EVENT, 1},      {FACT_DOCUMENT, 1},
    };
    struct arena *arena = case_arena();
    struct watched watched = {.until = 0};
    (void)state;
    assert_true(watch_fold(&watched, arena));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (watched.count[rows[i].fact] != rows[i].count) {
            fail_msg("%s: %zu claims", fact_row(rows[i].fact)->name.data,
                     watched.count[rows[i].fact]);
        }
    }
    size_t total = watched.total;
    for (size_t until = 1; until <= total; until++) {
        watched = (struct watched){.until = until};
        assert_false(watch_fold(&watched, arena));
        assert_int_equal(watched.total, until);
    }
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_seen_is_a_change),
        cmocka_unit_test(a_text_that_was_not_said_stays_a_digest),
        cmocka_unit_test(every_claim_is_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What users see of an order: the seven rules, attention, totals, times and links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fold_cases.h"

#define BOXES 4
#define NONE TIMESTAMP_NONE

/* A box: its status and the time of it. A list of boxes ends at time 0; NO_TIME stands for none. */
#define NO_TIME (-1)
struct box_row {
    enum status status;
    int64_t at;
};

/* clang-format off */
static const struct order_row {
    const char *name;
    enum status own; /* STATUS_COUNT: the sender reports none */
    int64_t own_at;
    struct box_row boxes[BOXES];
    int rule;
    enum status status;
    int64_t status_at;
    const char *attention; /* "exception failed" */
} ORDERS[] = {
    /* 1 */
    {"cancelled, no box", STATUS_CANCELLED, 5, {{0}}, 1, STATUS_CANCELLED, 5, ""},
    {"cancelled before it moved",
     STATUS_CANCELLED, 5, {{STATUS_PRE_TRANSIT, 9}}, 1, STATUS_CANCELLED, 5, ""},
    {"cancelled with unknown and cancelled boxes",
     STATUS_CANCELLED, 5, {{STATUS_UNKNOWN, 9}, {STATUS_CANCELLED, 8}}, 1, STATUS_CANCELLED, 5, ""},
    {"cancelled without a time",
     STATUS_CANCELLED, NO_TIME, {{STATUS_PENDING, 9}}, 1, STATUS_CANCELLED, NO_TIME, ""},
    {"cancelled, but on its way",
     STATUS_CANCELLED, 5, {{STATUS_PENDING, 4}, {STATUS_IN_TRANSIT, 9}},
     7, STATUS_PENDING, 4, "moved_after_cancelled"},
    {"cancelled in the moment in which it moved",
     STATUS_CANCELLED, 9, {{STATUS_IN_TRANSIT, 9}}, 7, STATUS_IN_TRANSIT, 9, ""},
    {"cancelled at no time, and on its way",
     STATUS_CANCELLED, NO_TIME, {{STATUS_IN_TRANSIT, 9}}, 7, STATUS_IN_TRANSIT, 9, ""},
    {"cancelled, but delivered",
     STATUS_CANCELLED, 5, {{STATUS_DELIVERED, 9}}, 4, STATUS_DELIVERED, 9, ""},
    /* 2 */
    {"nothing at all", STATUS_COUNT, NO_TIME, {{0}}, 2, STATUS_UNKNOWN, NO_TIME, ""},
    {"no box", STATUS_PENDING, 5, {{0}}, 2, STATUS_PENDING, 5, ""},
    {"unknown boxes",
     STATUS_EXCEPTION, 5, {{STATUS_UNKNOWN, 9}}, 2, STATUS_EXCEPTION, 5, "exception"},
    {"unknown boxes alone",
     STATUS_COUNT, NO_TIME, {{STATUS_UNKNOWN, 9}}, 2, STATUS_UNKNOWN, NO_TIME, ""},
    /* 3 */
    {"cancelled boxes",
     STATUS_COUNT, NO_TIME, {{STATUS_CANCELLED, 5}, {STATUS_CANCELLED, 9}},
     3, STATUS_CANCELLED, 9, ""},
    {"cancelled and unknown boxes",
     STATUS_PENDING, 99, {{STATUS_CANCELLED, 5}, {STATUS_UNKNOWN, 9}}, 3, STATUS_CANCELLED, 9, ""},
    /* 4 */
    {"all delivered",
     STATUS_COUNT, NO_TIME, {{STATUS_DELIVERED, 9}, {STATUS_DELIVERED, 5}},
     4, STATUS_DELIVERED, 9, ""},
    {"what does not count does not keep it",
     STATUS_EXCEPTION, 99, {{STATUS_DELIVERED, 5}, {STATUS_UNKNOWN, 9}, {STATUS_CANCELLED, 8}},
     4, STATUS_DELIVERED, 5, ""},
    {"all delivered, and the sender has more to send",
     STATUS_PENDING, 99, {{STATUS_DELIVERED, 5}}, 4, STATUS_PARTIALLY_DELIVERED, 5, ""},
    {"delivered without a time",
     STATUS_COUNT, NO_TIME, {{STATUS_DELIVERED, NO_TIME}}, 4, STATUS_DELIVERED, NO_TIME, ""},
    /* 5 */
    {"some delivered",
     STATUS_COUNT, NO_TIME, {{STATUS_DELIVERED, 5}, {STATUS_IN_TRANSIT, 9}},
     5, STATUS_PARTIALLY_DELIVERED, 5, ""},
    {"delivered and returned",
     STATUS_COUNT, NO_TIME, {{STATUS_DELIVERED, 5}, {STATUS_RETURNED, 9}, {STATUS_DELIVERED, 7}},
     5, STATUS_PARTIALLY_DELIVERED, 7, ""},
    {"delivered and returned, and the sender is done",
     STATUS_DELIVERED, 99, {{STATUS_DELIVERED, 5}, {STATUS_RETURNED, 9}, {STATUS_DELIVERED, 7}},
     5, STATUS_DELIVERED, 7, "returned"},
    {"lost and replaced",
     STATUS_DELIVERED, 99, {{STATUS_FAILED, 9}, {STATUS_DELIVERED, 5}},
     5, STATUS_DELIVERED, 5, "failed"},
    {"lost and replaced, with boxes that do not count",
     STATUS_DELIVERED, 99, {{STATUS_FAILED, 9}, {STATUS_DELIVERED, 5}, {STATUS_CANCELLED, 9},
     {STATUS_UNKNOWN, 9}}, 5, STATUS_DELIVERED, 5, "failed"},
    {"lost and replaced, and the sender does not say that it is done",
     STATUS_IN_TRANSIT, 99, {{STATUS_FAILED, 9}, {STATUS_DELIVERED, 5}},
     5, STATUS_PARTIALLY_DELIVERED, 5, "failed"},
    {"the sender is done, and a box is not",
     STATUS_DELIVERED, 99, {{STATUS_FAILED, 9}, {STATUS_DELIVERED, 5}, {STATUS_RETURNING, 9}},
     5, STATUS_PARTIALLY_DELIVERED, 5, "failed returning"},
    {"the sender is done, and a box is returned and one on its way",
     STATUS_DELIVERED, 99, {{STATUS_RETURNED, 9}, {STATUS_DELIVERED, 5}, {STATUS_PENDING, 9}},
     5, STATUS_PARTIALLY_DELIVERED, 5, ""},
    {"delivered and in trouble",
     STATUS_COUNT, NO_TIME, {{STATUS_DELIVERED, 5}, {STATUS_EXCEPTION, 9}},
     5, STATUS_PARTIALLY_DELIVERED, 5, "exception"},
    /* 6 */
    {"all returned",
     STATUS_DELIVERED, 99, {{STATUS_RETURNED, 5}, {STATUS_RETURNED, 9}, {STATUS_CANCELLED, 10}},
     6, STATUS_RETURNED, 9, ""},
    /* 7 */
    {"the box that is least far",
     STATUS_COUNT, NO_TIME, {{STATUS_OUT_FOR_DELIVERY, 9}, {STATUS_IN_TRANSIT, 5}},
     7, STATUS_IN_TRANSIT, 5, ""},
    {"of several that are least far the latest time",
     STATUS_COUNT, NO_TIME, {{STATUS_IN_TRANSIT, 5}, {STATUS_IN_TRANSIT, 7}, {STATUS_EXPIRED, 9}},
     7, STATUS_IN_TRANSIT, 7, "expired"},
    {"returned and under way",
     STATUS_COUNT, NO_TIME, {{STATUS_RETURNED, 9}, {STATUS_IN_TRANSIT, 5}},
     7, STATUS_IN_TRANSIT, 5, ""},
    {"the sender is further",
     STATUS_OUT_FOR_DELIVERY, 3, {{STATUS_IN_TRANSIT, 5}}, 7, STATUS_OUT_FOR_DELIVERY, 3, ""},
    {"the sender is less far",
     STATUS_PENDING, 99, {{STATUS_IN_TRANSIT, 5}}, 7, STATUS_IN_TRANSIT, 5, ""},
    {"both are as far: the later time",
     STATUS_IN_TRANSIT, 9, {{STATUS_IN_TRANSIT, 5}}, 7, STATUS_IN_TRANSIT, 9, ""},
    {"both are as far: the later time, of the box",
     STATUS_IN_TRANSIT, 3, {{STATUS_IN_TRANSIT, 5}}, 7, STATUS_IN_TRANSIT, 5, ""},
    {"both are as far, one without a time",
     STATUS_IN_TRANSIT, NO_TIME, {{STATUS_IN_TRANSIT, 5}}, 7, STATUS_IN_TRANSIT, 5, ""},
    {"the sender decides and is in trouble",
     STATUS_EXCEPTION, 3, {{STATUS_IN_TRANSIT, 5}}, 7, STATUS_EXCEPTION, 3, "exception"},
    {"the sender is in trouble and does not decide",
     STATUS_ATTEMPT_FAILED, 3, {{STATUS_EXPIRED, 5}}, 7, STATUS_EXPIRED, 5, "expired"},
    {"every reason of a box",
     STATUS_COUNT, NO_TIME, {{STATUS_ATTEMPT_FAILED, 5}, {STATUS_AVAILABLE_FOR_PICKUP, 6},
     {STATUS_FAILED, 7}, {STATUS_RETURNING, 8}}, 7, STATUS_ATTEMPT_FAILED, 5, "attempt_failed available_for_pickup failed returning"},
    {"all failed", STATUS_COUNT, NO_TIME, {{STATUS_FAILED, 5}}, 7, STATUS_FAILED, 5, "failed"},
};
/* clang-format on */

static int64_t time_of(int64_t at) {
    return at == NO_TIME ? NONE : at;
}

static void make_order(const struct order_row *row, struct webhook *webhook) {
    static const char *const names[BOXES] = {"a", "b", "c", "d"};
    webhook_init(webhook, 1, 1);
    if (row->own != STATUS_COUNT) {
        (void)webhook_own_status(webhook, row->own, time_of(row->own_at));
    }
    for (size_t i = 0; i < BOXES && row->boxes[i].at != 0; i++) {
        (void)webhook_status(webhook, names[i], row->boxes[i].status, time_of(row->boxes[i].at));
    }
}

static void assert_attention(const char *name, unsigned attention, const char *expected) {
    size_t count;
    const struct slice *names = attention_reasons(&count);
    struct strbuf out = STRBUF_INIT(1024);
    for (size_t i = 0; i < count; i++) {
        if (attention >> i & 1) {
            strbuf_addf(&out, "%s%.*s", out.len > 0 ? " " : "", SLICE_ARGS(names[i]));
        }
    }
    if (!slice_eq(strbuf_slice(&out), slice_from_cstr(expected))) {
        fail_msg("%s: attention '%.*s'", name, SLICE_ARGS(strbuf_slice(&out)));
    }
    strbuf_free(&out);
}

static void the_first_rule_that_fits_decides(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ORDERS); i++) {
        const struct order_row *row = &ORDERS[i];
        struct arena *arena = case_arena();
        struct order_state order;
        struct webhook webhook;
        order_state_init(&order);
        make_order(row, &webhook);
        webhook_fold(&order, &webhook, arena);
        assert_true(show(&order, arena));
        const struct shown_order *shown = &order.shown;
        if (shown->rule != row->rule || shown->status != row->status ||
            shown->status_at != time_of(row->status_at)) {
            fail_msg("%s: rule %d, %s at %lld", row->name, shown->rule,
                     status_name(shown->status).data, (long long)shown->status_at);
        }
        assert_attention(row->name, shown->attention, row->attention);
        assert_true(status_rule_text(shown->rule).len > 0);
        arena_free(arena);
    }
    assert_int_equal(status_rule_text(0).len, 0);
    assert_int_equal(status_rule_text(8).len, 0);
}

/* ---- boxes that are summed up ---- */

static void add_to_summary(struct order_state *order, const struct box_state *box) {
    struct box_summary *sum = &order->others[box->shown.status];
    sum->count++;
    sum->status_at = box->shown.at > sum->status_at ? box->shown.at : sum->status_at;
    sum->delivered_at =
        box->delivered_at > sum->delivered_at ? box->delivered_at : sum->delivered_at;
    if (box->shipped_at != NONE && (sum->shipped_at == NONE || box->shipped_at < sum->shipped_at)) {
        sum->shipped_at = box->shipped_at;
    }
    sum->moved_after_delivered =
        sum->moved_after_delivered ||
        (box->delivered_at != NONE && box->last_open_at > box->delivered_at);
    sum->last_moved_at =
        box->last_moved_at > sum->last_moved_at ? box->last_moved_at : sum->last_moved_at;
    sum->moved_after_end =
        sum->moved_after_end || (box->shown.at != NONE && box->last_moved_at > box->shown.at);
}

static bool are_same(const struct shown_order *a, const struct shown_order *b) {
    return a->status == b->status && a->status_at == b->status_at && a->attention == b->attention &&
           a->boxes_total == b->boxes_total && a->boxes_delivered == b->boxes_delivered &&
           a->shipped_at == b->shipped_at && a->delivered_at == b->delivered_at &&
           a->rule == b->rule;
}

/* Whichever boxes are there as a whole, the others as sums by status: the order shows the same. */
static void sums_give_the_same_as_boxes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ORDERS) << BOXES; i++) {
        const struct order_row *row = &ORDERS[i >> BOXES];
        struct arena *arena = case_arena();
        struct order_state whole, part;
        struct webhook webhook;
        order_state_init(&whole);
        make_order(row, &webhook);
        for (size_t j = 0; j < webhook.changes.box_count; j++) {
            webhook.boxes[j].shipped_at = 100 - (int64_t)j;
        }
        webhook_fold(&whole, &webhook, arena);
        /* A delivered box that goes on moving. */
        if (whole.boxes.count > 0) {
            ((struct box_state *)whole.boxes.items[0])->last_open_at = 6;
            ((struct box_state *)whole.boxes.items[0])->last_moved_at = i & 1 ? 6 : 10;
        }
        (void)show(&whole, arena);
        part = whole;
        part.boxes = (struct uuid_map){.count = 0};
        for (size_t j = 0; j < whole.boxes.count; j++) {
            if (i >> j & 1) {
                assert_true(uuid_map_add(&part.boxes, whole.boxes.items[j], arena));
            } else {
                add_to_summary(&part, whole.boxes.items[j]);
            }
        }
        part.shown = (struct shown_order){.status = STATUS_COUNT};
        (void)show(&part, arena);
        if (!are_same(&part.shown, &whole.shown)) {
            fail_msg("%s, boxes %zu", row->name, i & ((1u << BOXES) - 1));
        }
        arena_free(arena);
    }
}

/* ---- totals and times ---- */

static void totals_count_every_box(void **state) {
    struct arena *arena = case_arena();
    struct order_state order;
    struct webhook webhook, list;
    (void)state;
    order_state_init(&order);
    webhook_init(&webhook, 1, 1);
    (void)webhook_status(&webhook, "a", STATUS_DELIVERED, 20);
    (void)webhook_status(&webhook, "b", STATUS_DELIVERED, 30);
    (void)webhook_status(&webhook, "c", STATUS_IN_TRANSIT, 10);
    webhook.boxes[1].shipped_at = 15;
    webhook_fold(&order, &webhook, arena);
    (void)show(&order, arena);
    assert_int_equal(order.shown.boxes_total, 3);
    assert_int_equal(order.shown.boxes_delivered, 2);
    assert_int_equal(order.shown.shipped_at, 10);
    assert_int_equal(order.shown.delivered_at, NONE); /* not all are */
    /* Without the third all are delivered; it is counted, and was shipped. */
    webhook_init(&list, 2, 2);
    webhook_list(&list, "a b");
    webhook_fold(&order, &list, arena);
    (void)show(&order, arena);
    assert_int_equal(order.shown.status, STATUS_DELIVERED);
    assert_int_equal(order.shown.delivered_at, 30);
    assert_int_equal(order.shown.boxes_total, 3);
    assert_int_equal(order.shown.shipped_at, 10);
    arena_free(arena);
}

static void moving_after_delivery_needs_attention(void **state) {
    static const struct {
        const char *name;
        int64_t delivered, scanned;
        const char *attention;
    } rows[] = {
        {"a scan after it", 10, 11, "moved_after_delivered"},
        {"a scan in the same moment", 10, 10, ""},
        {"a scan before it", 10, 9, ""},
        {"a scan without a time", 10, NONE, ""},
        {"a delivery without a time", NONE, 11, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *arena = case_arena();
        struct order_state order;
        struct webhook webhook;
        order_state_init(&order);
        webhook_init(&webhook, 1, 1);
        (void)webhook_status(&webhook, "a", STATUS_DELIVERED, rows[i].delivered);
        (void)webhook_status(&webhook, "a", STATUS_IN_TRANSIT, rows[i].scanned);
        webhook_fold(&order, &webhook, arena);
        (void)show(&order, arena);
        assert_int_equal(order.shown.status, STATUS_DELIVERED);
        assert_attention(rows[i].name, order.shown.attention, rows[i].attention);
        arena_free(arena);
    }
}

/* A box that came to an end and moved. */
static void moving_after_another_end_needs_attention(void **state) {
    static const struct {
        const char *name;
        enum status end;
        int64_t ended;
        enum status scan;
        int64_t scanned;
        bool weak;
        const char *attention;
    } rows[] = {
        {"cancelled", STATUS_CANCELLED, 10, STATUS_IN_TRANSIT, 11, false, "moved_after_cancelled"},
        {"failed", STATUS_FAILED, 10, STATUS_IN_TRANSIT, 11, false, "failed moved_after_failed"},
        {"a later place", STATUS_CANCELLED, 10, STATUS_EXPIRED, 11, false, "moved_after_cancelled"},
        {"in the same moment", STATUS_CANCELLED, 10, STATUS_IN_TRANSIT, 10, false, ""},
        {"before it", STATUS_FAILED, 10, STATUS_IN_TRANSIT, 9, false, "failed"},
        {"not on its way", STATUS_CANCELLED, 10, STATUS_PRE_TRANSIT, 11, false, ""},
        {"a weak word", STATUS_CANCELLED, 10, STATUS_IN_TRANSIT, 11, true, ""},
        {"no time", STATUS_CANCELLED, NONE, STATUS_IN_TRANSIT, 11, false, ""},
        {"returned", STATUS_RETURNED, 10, STATUS_IN_TRANSIT, 11, false, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *arena = case_arena();
        struct order_state order;
        struct webhook webhook;
        order_state_init(&order);
        webhook_init(&webhook, 1, 1);
        (void)webhook_status(&webhook, "a", rows[i].end, rows[i].ended);
        webhook_status(&webhook, "a", rows[i].scan, rows[i].scanned)->weak = rows[i].weak;
        webhook_fold(&order, &webhook, arena);
        (void)show(&order, arena);
        assert_int_equal(order.shown.status, rows[i].end);
        assert_attention(rows[i].name, order.shown.attention, rows[i].attention);
        arena_free(arena);
    }
}

/* One that the sender's list leaves out is cancelled since that list. */
static void moving_after_removal_needs_attention(void **state) {
    (void)state;
    for (int64_t version = 10; version <= 11; version++) {
        struct arena *arena = case_arena();
        struct order_state order;
        struct webhook webhook, list;
        order_state_init(&order);
        webhook_init(&webhook, 1, 1);
        (void)webhook_status(&webhook, "a", STATUS_IN_TRANSIT, 11);
        webhook_init(&list, version, 2);
        webhook_list(&list, "b");
        webhook_fold(&order, &webhook, arena);
        webhook_fold(&order, &list, arena);
        (void)show(&order, arena);
        assert_int_equal(order.shown.status, STATUS_CANCELLED);
        assert_attention("removed", order.shown.attention,
                         version == 10 ? "moved_after_cancelled" : "");
        arena_free(arena);
    }
}

static void reasons_are_sorted_by_name(void **state) {
    size_t count;
    const struct slice *names = attention_reasons(&count);
    (void)state;
    for (size_t i = 1; i < count; i++) {
        assert_true(slice_cmp(names[i - 1], names[i]) < 0);
    }
}

/* ---- links ---- */

static void a_template_makes_the_link_where_there_is_none(void **state) {
    static const struct {
        const char *link, *template, *number, *shown;
    } rows[] = {
        {"", "", "", ""},
        {"https://own", "https://t/{tracking_number}", "1", "https://own"},
        {"", "https://t/{tracking_number}", "1Z9", "https://t/1Z9"},
        {"", "https://t/{tracking_number}", "", ""},
        {"", "", "1", ""},
        {"", "https://t/?a={tracking_number}&b={tracking_number}", "x", "https://t/?a=x&b=x"},
        {"", "https://t/{number}{tracking_number", "1", "https://t/{number}{tracking_number"},
        /* All but the unreserved characters of RFC 3986, in capitals. */
        {"", "{tracking_number}", "aZ09-._~", "aZ09-._~"},
        {"", "{tracking_number}", "a b/c?d=e&f#g%h+i", "a%20b%2Fc%3Fd%3De%26f%23g%25h%2Bi"},
        {"", "{tracking_number}", "\xc3\xa9\x7f", "%C3%A9%7F"},
        {"", "{tracking_number}", "{tracking_number}", "%7Btracking_number%7D"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *arena = case_arena();
        struct order_state order;
        struct webhook webhook;
        order_state_init(&order);
        webhook_init(&webhook, 1, 1);
        struct box_change *box = webhook_box(&webhook, "a");
        box->tracking_url = slice_from_cstr(rows[i].link);
        box->tracking_url_template = slice_from_cstr(rows[i].template);
        box->tracking_number = slice_from_cstr(rows[i].number);
        webhook_fold(&order, &webhook, arena);
        (void)show(&order, arena);
        struct slice shown = box_named(&order, "a")->shown_url;
        if (!slice_eq(shown, slice_from_cstr(rows[i].shown))) {
            fail_msg("row %zu: '%.*s'", i, SLICE_ARGS(shown));
        }
        arena_free(arena);
    }
}

/* A number that comes later changes the document, and the row of the box. */
static void a_link_that_differs_is_a_change(void **state) {
    struct arena *arena = case_arena();
    struct order_state order;
    struct webhook first, second;
    (void)state;
    order_state_init(&order);
    webhook_init(&first, 1, 1);
    webhook_box(&first, "a")->tracking_number = SLICE_OF("1");
    webhook_fold(&order, &first, arena);
    (void)show(&order, arena);
    make_stored(&order);
    webhook_init(&second, 2, 2);
    webhook_box(&second, "a")->tracking_url_template = SLICE_OF("https://t/{tracking_number}");
    webhook_fold(&order, &second, arena);
    assert_true(show(&order, arena));
    assert_int_equal(box_named(&order, "a")->row, ROW_CHANGED);
    arena_free(arena);
}

/* ---- new or not ---- */

static void nothing_new_is_no_change(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ORDERS); i++) {
        struct arena *arena = case_arena();
        struct order_state order;
        struct webhook webhook;
        order_state_init(&order);
        make_order(&ORDERS[i], &webhook);
        webhook_fold(&order, &webhook, arena);
        assert_true(show(&order, arena));
        make_stored(&order);
        if (show(&order, arena)) {
            fail_msg("%s: a change", ORDERS[i].name);
        }
        for (size_t j = 0; j < order.boxes.count; j++) {
            assert_int_equal(((struct box_state *)order.boxes.items[j])->row, ROW_STORED);
        }
        arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_fits_decides),
        cmocka_unit_test(sums_give_the_same_as_boxes),
        cmocka_unit_test(totals_count_every_box),
        cmocka_unit_test(moving_after_delivery_needs_attention),
        cmocka_unit_test(moving_after_another_end_needs_attention),
        cmocka_unit_test(moving_after_removal_needs_attention),
        cmocka_unit_test(reasons_are_sorted_by_name),
        cmocka_unit_test(a_template_makes_the_link_where_there_is_none),
        cmocka_unit_test(a_link_that_differs_is_a_change),
        cmocka_unit_test(nothing_new_is_no_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "domain/shown.h"

#include "base/ascii.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* ---- attention ---- */

/* A status that needs attention, by its own name; and what boxes that go on moving need. */
enum reason {
    REASON_ATTEMPT_FAILED,
    REASON_AVAILABLE_FOR_PICKUP,
    REASON_EXCEPTION,
    REASON_EXPIRED,
    REASON_FAILED,
    REASON_MOVED_AFTER_CANCELLED,
    REASON_MOVED_AFTER_DELIVERED,
    REASON_MOVED_AFTER_FAILED,
    REASON_RETURNED,
    REASON_RETURNING,
    REASON_COUNT
};

const struct slice *attention_reasons(size_t *count) {
    static const struct slice names[REASON_COUNT] = {
        [REASON_ATTEMPT_FAILED] = SLICE("attempt_failed"),
        [REASON_AVAILABLE_FOR_PICKUP] = SLICE("available_for_pickup"),
        [REASON_EXCEPTION] = SLICE("exception"),
        [REASON_EXPIRED] = SLICE("expired"),
        [REASON_FAILED] = SLICE("failed"),
        [REASON_MOVED_AFTER_CANCELLED] = SLICE("moved_after_cancelled"),
        [REASON_MOVED_AFTER_DELIVERED] = SLICE("moved_after_delivered"),
        [REASON_MOVED_AFTER_FAILED] = SLICE("moved_after_failed"),
        [REASON_RETURNED] = SLICE("returned"),
        [REASON_RETURNING] = SLICE("returning"),
    };
    *count = REASON_COUNT;
    return names;
}

static unsigned attention_of(enum status status) {
    switch (status) {
    case STATUS_ATTEMPT_FAILED:
        return 1u << REASON_ATTEMPT_FAILED;
    case STATUS_AVAILABLE_FOR_PICKUP:
        return 1u << REASON_AVAILABLE_FOR_PICKUP;
    case STATUS_EXCEPTION:
        return 1u << REASON_EXCEPTION;
    case STATUS_EXPIRED:
        return 1u << REASON_EXPIRED;
    case STATUS_FAILED:
        return 1u << REASON_FAILED;
    case STATUS_RETURNING:
        return 1u << REASON_RETURNING;
    default:
        return 0;
    }
}

/* ---- boxes ---- */

static int compare_slices(const void *left, const void *right) {
    return slice_cmp(*(const struct slice *)left, *(const struct slice *)right);
}

/* The sender's list of boxes, sorted; of no length when there is no list. */
struct sorted_list {
    struct slice *ids;
    size_t count;
    int64_t at;
    bool exists;
};

int64_t box_list_at(const struct order_state *order) {
    struct uuid delivery;
    int64_t at;
    return key_origin(order->registers.keys[REGISTER_BOX_LIST], &delivery, &at) ? at
                                                                                : TIMESTAMP_NONE;
}

static bool sort_list(const struct order_state *order, struct arena *arena,
                      struct sorted_list *list) {
    *list = (struct sorted_list){.exists = order->registers.keys[REGISTER_BOX_LIST].data != NULL};
    if (!list->exists) {
        return true;
    }
    list->at = box_list_at(order);
    list->count = order->box_list_count;
    list->ids = arena_array(arena, list->count + 1, sizeof(*list->ids));
    if (list->ids == NULL) {
        return false;
    }
    if (list->count > 0) {
        memcpy(list->ids, order->box_list, list->count * sizeof(*list->ids));
        qsort(list->ids, list->count, sizeof(*list->ids), compare_slices);
    }
    return true;
}

/* Percent-encoding of RFC 3986. */
static void add_encoded(struct strbuf *out, struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (ascii_is_unreserved(c)) {
            strbuf_add_char(out, c);
        } else {
            strbuf_addf(out, "%%%02X", (unsigned char)c);
        }
    }
}

static bool fill_template(struct slice template, struct slice number, struct arena *arena,
                          struct slice *url) {
    static const struct slice place = SLICE("{tracking_number}");
    struct strbuf out = STRBUF_INIT(LIMIT_TEMPLATE_URL);
    while (template.len > 0) {
        if (slice_starts_with(template, place)) {
            add_encoded(&out, number);
            template = slice_from(template, place.len);
        } else {
            strbuf_add_char(&out, template.data[0]);
            template = slice_from(template, 1);
        }
    }
    bool ok = !strbuf_failed(&out) && arena_dup(arena, strbuf_slice(&out), url);
    strbuf_free(&out);
    return ok;
}

static bool link_of(const struct box_state *box, struct arena *arena, struct slice *url) {
    struct slice template = box->values[FACT_TRACKING_URL_TEMPLATE].text;
    struct slice number = box->values[FACT_TRACKING_NUMBER].text;
    *url = box->values[FACT_TRACKING_URL].text;
    return url->len > 0 || template.len == 0 || number.len == 0 ||
           fill_template(template, number, arena, url);
}

static bool is_same_status(const struct shown_status *a, const struct shown_status *b) {
    return a->status == b->status && a->at == b->at && slice_eq(a->detail, b->detail);
}

/* Sets what BOX shows; true when that is another than before. */
static bool show_box(struct box_state *box, const struct sorted_list *list, struct arena *arena,
                     bool *failed) {
    const struct shown_status reported = {box->status.status, box->status.detail, box->status.at};
    const struct shown_status nothing = {STATUS_COUNT, SLICE_EMPTY, TIMESTAMP_NONE};
    const struct shown_status removed = {STATUS_CANCELLED, SLICE("removed"), list->at};
    bool is_closed = reported.status == STATUS_DELIVERED || reported.status == STATUS_RETURNED;
    struct slice url;
    box->removed =
        list->exists && !is_closed &&
        bsearch(&box->box_id, list->ids, list->count, sizeof(*list->ids), compare_slices) == NULL;
    struct shown_status shown = box->removed ? removed : reported;
    if (!link_of(box, arena, &url)) {
        *failed = true;
        return false;
    }
    bool differs = !is_same_status(&shown, &box->shown) || !slice_eq(url, box->shown_url);
    box->shown = shown;
    box->shown_url = url;
    box->reported = box->removed ? reported : nothing;
    if (differs) {
        mark_changed(&box->row);
    }
    return differs;
}

/* ---- the order ---- */

/* What its boxes say together. */
struct totals {
    struct box_summary by_status[STATUS_COUNT];
    int64_t count;
    bool any, counts;            /* any box; any that is neither cancelled nor unknown */
    enum status top;             /* of all */
    enum status lowest, highest; /* of those that count */
    int64_t all_at, counting_at; /* the latest status_at of all, and of those that count */
    int64_t shipped_at, delivered_at;
    int64_t last_moved_at;
    bool moved_after_delivered;
};

static void extend_first(int64_t *first, int64_t at) {
    if (at != TIMESTAMP_NONE && (*first == TIMESTAMP_NONE || at < *first)) {
        *first = at;
    }
}

/* TIMESTAMP_NONE is less than every time. */
static void extend_last(int64_t *last, int64_t at) {
    *last = at > *last ? at : *last;
}

static void add_box(struct box_summary *summary, const struct box_state *box) {
    summary->count++;
    extend_last(&summary->status_at, box->shown.at);
    extend_first(&summary->shipped_at, box->shipped_at);
    extend_last(&summary->delivered_at, box->delivered_at);
    summary->moved_after_delivered =
        summary->moved_after_delivered ||
        (box->delivered_at != TIMESTAMP_NONE && box->last_open_at > box->delivered_at);
    extend_last(&summary->last_moved_at, box->last_moved_at);
    summary->moved_after_end = summary->moved_after_end || (box->shown.at != TIMESTAMP_NONE &&
                                                            box->last_moved_at > box->shown.at);
}

static void add_status(struct totals *totals, enum status status) {
    const struct box_summary *summary = &totals->by_status[status];
    totals->any = true;
    totals->top = status; /* they come in the order of rank */
    totals->count += summary->count;
    extend_last(&totals->all_at, summary->status_at);
    extend_first(&totals->shipped_at, summary->shipped_at);
    extend_last(&totals->delivered_at, summary->delivered_at);
    extend_last(&totals->last_moved_at, summary->last_moved_at);
    totals->moved_after_delivered = totals->moved_after_delivered || summary->moved_after_delivered;
    if (status != STATUS_UNKNOWN && status != STATUS_CANCELLED) {
        totals->lowest = totals->counts ? totals->lowest : status;
        totals->highest = status;
        totals->counts = true;
        extend_last(&totals->counting_at, summary->status_at);
    }
}

static void sum_up(const struct order_state *order, struct totals *totals) {
    *totals = (struct totals){.all_at = TIMESTAMP_NONE,
                              .counting_at = TIMESTAMP_NONE,
                              .shipped_at = TIMESTAMP_NONE,
                              .delivered_at = TIMESTAMP_NONE,
                              .last_moved_at = TIMESTAMP_NONE};
    memcpy(totals->by_status, order->others, sizeof(totals->by_status));
    for (size_t i = 0; i < order->boxes.count; i++) {
        const struct box_state *box = order->boxes.items[i];
        add_box(&totals->by_status[box->shown.status], box);
    }
    for (enum status status = 0; status < STATUS_COUNT; status++) {
        if (totals->by_status[status].count > 0) {
            add_status(totals, status);
        }
    }
}

/* The first that fits (contract section 5). */
static int rule_of(const struct order_state *order, const struct totals *totals) {
    bool moved = totals->counts && totals->highest >= STATUS_IN_TRANSIT;
    if (order->own_status == STATUS_CANCELLED && !moved) {
        return 1;
    }
    if (!totals->any || totals->top == STATUS_UNKNOWN) {
        return 2;
    }
    if (!totals->counts) {
        return 3;
    }
    if (totals->lowest == STATUS_DELIVERED && totals->highest == STATUS_DELIVERED) {
        return 4;
    }
    if (totals->by_status[STATUS_DELIVERED].count > 0) {
        return 5;
    }
    return totals->lowest == STATUS_RETURNED && totals->highest == STATUS_RETURNED ? 6 : 7;
}

/* Rule 5: some boxes are delivered. The order is delivered when its sender says so and every other
 * box that counts came to another end: it was lost and replaced, say. */
static bool is_done_by_sender(const struct order_state *order, const struct totals *totals) {
    bool others_ended = true;
    for (enum status status = 0; status < STATUS_COUNT; status++) {
        bool ended = status == STATUS_DELIVERED || status == STATUS_FAILED ||
                     status == STATUS_RETURNED || status == STATUS_UNKNOWN ||
                     status == STATUS_CANCELLED;
        others_ended = others_ended && (ended || totals->by_status[status].count == 0);
    }
    return order->own_status == STATUS_DELIVERED && others_ended;
}

/* Rule 7, where a cancelled order status does not count: the higher of both, and of their times the
 * one that belongs to it. */
static bool own_status_decides(const struct order_state *order, const struct totals *totals) {
    return order->own_status < STATUS_COUNT && order->own_status != STATUS_CANCELLED &&
           order->own_status >= totals->lowest;
}

static void decide_status(const struct order_state *order, const struct totals *totals,
                          struct shown_order *shown) {
    bool has_own = order->own_status < STATUS_COUNT;
    bool own_decides = own_status_decides(order, totals);
    int64_t lowest_at = totals->by_status[totals->lowest].status_at;
    shown->rule = rule_of(order, totals);
    switch (shown->rule) {
    case 1:
        shown->status = STATUS_CANCELLED;
        shown->status_at = order->own_status_at;
        break;
    case 2:
        shown->status = has_own ? order->own_status : STATUS_UNKNOWN;
        shown->status_at = has_own ? order->own_status_at : TIMESTAMP_NONE;
        break;
    case 3:
        shown->status = STATUS_CANCELLED;
        shown->status_at = totals->all_at;
        break;
    case 4:
        shown->status =
            order->own_status == STATUS_PENDING ? STATUS_PARTIALLY_DELIVERED : STATUS_DELIVERED;
        shown->status_at = totals->counting_at;
        break;
    case 5:
        shown->status =
            is_done_by_sender(order, totals) ? STATUS_DELIVERED : STATUS_PARTIALLY_DELIVERED;
        shown->status_at = totals->by_status[STATUS_DELIVERED].status_at;
        break;
    case 6:
        shown->status = STATUS_RETURNED;
        shown->status_at = totals->counting_at;
        break;
    default:
        shown->status = own_decides ? order->own_status : totals->lowest;
        shown->status_at = own_decides ? order->own_status_at : TIMESTAMP_NONE;
        if (!own_decides || order->own_status == totals->lowest) {
            extend_last(&shown->status_at, lowest_at);
        }
        break;
    }
}

/* Boxes that went on moving after an end. */
static unsigned find_movement(const struct order_state *order, const struct totals *totals) {
    bool order_is_cancelled = order->own_status == STATUS_CANCELLED &&
                              order->own_status_at != TIMESTAMP_NONE &&
                              totals->last_moved_at > order->own_status_at;
    unsigned attention = totals->moved_after_delivered ? 1u << REASON_MOVED_AFTER_DELIVERED : 0;
    if (order_is_cancelled || totals->by_status[STATUS_CANCELLED].moved_after_end) {
        attention |= 1u << REASON_MOVED_AFTER_CANCELLED;
    }
    if (totals->by_status[STATUS_FAILED].moved_after_end) {
        attention |= 1u << REASON_MOVED_AFTER_FAILED;
    }
    return attention;
}

static unsigned find_attention(const struct order_state *order, const struct totals *totals,
                               const struct shown_order *shown) {
    unsigned attention = find_movement(order, totals);
    for (enum status status = 0; status < STATUS_COUNT; status++) {
        attention |= totals->by_status[status].count > 0 ? attention_of(status) : 0;
    }
    if (shown->rule == 2 || (shown->rule == 7 && own_status_decides(order, totals))) {
        attention |= attention_of(order->own_status);
    }
    if (shown->rule == 5 && shown->status == STATUS_DELIVERED &&
        totals->by_status[STATUS_RETURNED].count > 0) {
        attention |= 1u << REASON_RETURNED;
    }
    return attention;
}

static void find_span(const struct order_state *order, struct shown_order *shown) {
    shown->first_event_at =
        order->span_is_lost ? order->others_first : order->stored.first_event_at;
    shown->last_event_at = order->span_is_lost ? order->others_last : order->stored.last_event_at;
    for (size_t i = 0; i < order->events.count; i++) {
        const struct event_state *event = order->events.items[i];
        extend_first(&shown->first_event_at, event->occurred_at);
        extend_last(&shown->last_event_at, event->occurred_at);
    }
    for (const struct order_change_state *row = order->order_changes; row != NULL;
         row = row->next) {
        extend_first(&shown->first_event_at, row->change.occurred_at);
        extend_last(&shown->last_event_at, row->change.occurred_at);
    }
}

static bool is_same_order(const struct shown_order *a, const struct shown_order *b) {
    return a->status == b->status && a->status_at == b->status_at && a->attention == b->attention &&
           a->boxes_total == b->boxes_total && a->boxes_delivered == b->boxes_delivered &&
           a->shipped_at == b->shipped_at && a->delivered_at == b->delivered_at &&
           a->first_event_at == b->first_event_at && a->last_event_at == b->last_event_at;
}

/* Its boxes and their history are those of the order that took its place: the rows go. */
static void drop_boxes(struct order_state *order) {
    order->boxes = (struct uuid_map){.count = 0};
    order->events = (struct uuid_map){.count = 0};
    order->documents = (struct uuid_map){.count = 0};
    order->order_changes = NULL;
    box_summaries_init(order->others);
    order->span_is_lost = true;
    order->others_first = TIMESTAMP_NONE;
    order->others_last = TIMESTAMP_NONE;
}

bool shown_order(struct order_state *order, struct arena *arena, bool *failed) {
    struct sorted_list list;
    struct totals totals;
    struct shown_order *shown = &order->shown;
    bool changed = order->changed || order->row == ROW_NEW;
    if (has_moved(order)) {
        drop_boxes(order);
    }
    if (!sort_list(order, arena, &list)) {
        *failed = true;
        return false;
    }
    for (size_t i = 0; i < order->boxes.count; i++) {
        changed = show_box(order->boxes.items[i], &list, arena, failed) || changed;
    }
    sum_up(order, &totals);
    decide_status(order, &totals, shown);
    shown->attention = find_attention(order, &totals, shown);
    shown->boxes_total = totals.count;
    shown->boxes_delivered = totals.by_status[STATUS_DELIVERED].count;
    shown->shipped_at = totals.shipped_at;
    shown->delivered_at = shown->status == STATUS_DELIVERED ? totals.delivered_at : TIMESTAMP_NONE;
    find_span(order, shown);
    return changed || !is_same_order(shown, &order->stored);
}

struct slice status_rule_text(int rule) {
    static const struct slice texts[] = {
        SLICE("the sender has cancelled the order, and no box is on its way"),
        SLICE("no box, or none with a known status: the sender's status of the order"),
        SLICE("every box is cancelled or unknown"),
        SLICE("every box that counts is delivered"),
        SLICE("some boxes are delivered"),
        SLICE("every box that counts is returned"),
        SLICE("the box that is least far, or the sender's status of the order where that is "
              "further"),
    };
    return rule >= 1 && rule <= (int)ARRAY_LEN(texts) ? texts[rule - 1] : SLICE_EMPTY;
}

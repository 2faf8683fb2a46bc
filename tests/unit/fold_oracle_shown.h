/*
 * The second half of the oracle: boxes, and what users see of an order (contract section 5), from
 * the same claims.
 */
#ifndef TESTS_FOLD_ORACLE_SHOWN_H
#define TESTS_FOLD_ORACLE_SHOWN_H

#include "domain/shown.h"
#include "fold_oracle.h"

#define ORACLE_BOXES 64
#define ORACLE_ROWS 1024

/* A box as it must be. */
struct oracle_box {
    struct uuid key;
    struct slice box_id;
    struct claim status, delivered;
    int64_t delivered_at, shipped_at, last_open_at, last_moved_at;
    /* As it is shown. */
    enum status shown;
    struct slice detail;
    int64_t at;
};

struct oracle_order {
    struct oracle_box boxes[ORACLE_BOXES];
    size_t box_count;
    struct claim own, list;
};

static inline int64_t earlier(int64_t a, int64_t b) {
    if (a == TIMESTAMP_NONE || b == TIMESTAMP_NONE) {
        return a == TIMESTAMP_NONE ? b : a;
    }
    return a < b ? a : b;
}

static inline int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* ---- boxes ---- */

static inline void find_times(const struct fold_world *world, const struct uuid *order,
                              struct oracle_box *box) {
    int64_t senders = TIMESTAMP_NONE, derived = TIMESTAMP_NONE;
    box->last_open_at = TIMESTAMP_NONE;
    box->last_moved_at = TIMESTAMP_NONE;
    EACH_WEBHOOK(world, order, delivery) {
        EACH_BOX_CHANGE(delivery, &box->key, i) {
            const struct box_change *change = &delivery->changes.boxes[i];
            struct claim claim = {.delivery = delivery, .change = i, .report = &change->status};
            senders = earlier(senders, change->shipped_at);
            if (!change->has_status) {
                continue;
            }
            keep_greatest(&box->status, claim);
            if (change->status.status == STATUS_DELIVERED) {
                keep_greatest(&box->delivered, claim);
            }
            if (change->status.status == STATUS_IN_TRANSIT) {
                derived = earlier(derived, change->status.at);
            }
            if (claim_phase(&claim) == 1) {
                box->last_open_at = later(box->last_open_at, change->status.at);
                if (status_rank(change->status.status) >= 30) {
                    box->last_moved_at = later(box->last_moved_at, change->status.at);
                }
            }
        }
    }
    box->shipped_at = senders != TIMESTAMP_NONE ? senders : derived;
    box->delivered_at =
        box->delivered.delivery != NULL ? box->delivered.report->at : TIMESTAMP_NONE;
}

static inline bool is_on_list(const struct oracle_order *order, struct slice box_id) {
    const struct order_change *change = &order->list.delivery->changes.order;
    for (size_t i = 0; i < change->box_list_count; i++) {
        if (slice_eq(change->box_list[i], box_id)) {
            return true;
        }
    }
    return false;
}

static inline void find_shown(const struct oracle_order *order, struct oracle_box *box) {
    const struct status_report *report = box->status.report;
    bool known = box->status.delivery != NULL;
    box->shown = known ? report->status : STATUS_UNKNOWN;
    box->detail = known ? report->detail : SLICE_EMPTY;
    box->at = known ? report->at : TIMESTAMP_NONE;
    if (order->list.delivery != NULL && box->shown != STATUS_DELIVERED &&
        box->shown != STATUS_RETURNED && !is_on_list(order, box->box_id)) {
        box->shown = STATUS_CANCELLED;
        box->detail = SLICE_OF("removed");
        box->at = order->list.delivery->changes.version_at;
    }
}

/* Percent-encoded but for the unreserved characters of RFC 3986. */
static inline void expected_link(struct slice template, struct slice number, struct strbuf *out) {
    static const struct slice place = SLICE("{tracking_number}");
    while (template.len > 0) {
        bool is_place = slice_starts_with(template, place);
        for (size_t i = 0; is_place && i < number.len; i++) {
            unsigned char c = (unsigned char)number.data[i];
            bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                         (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
            strbuf_addf(out, plain ? "%c" : "%%%02X", c);
        }
        if (!is_place) {
            strbuf_add_char(out, template.data[0]);
        }
        template = slice_from(template, is_place ? place.len : 1);
    }
}

static inline void check_box_facts(const struct fold_world *world, const struct uuid *order,
                                   const struct box_state *box) {
    struct fact_value values[FACT_COUNT];
    struct strbuf link = STRBUF_INIT((size_t)1 << 16);
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        struct claim stands = {.delivery = NULL};
        if (row->subject != SUBJECT_BOX || row->offset == FACT_NO_MEMBER) {
            continue;
        }
        values[fact] = (struct fact_value){.number = row->type == FACT_TYPE_FLAG ? 0 : VALUE_NONE};
        EACH_WEBHOOK(world, order, delivery) {
            EACH_BOX_CHANGE(delivery, &box->key, i) {
                struct fact_value said;
                if (said_of(row, &delivery->changes.boxes[i], &said)) {
                    keep_greatest(&stands, (struct claim){.delivery = delivery, .change = i});
                }
            }
        }
        if (stands.delivery != NULL) {
            (void)said_of(row, &stands.delivery->changes.boxes[stands.change], &values[fact]);
        }
        require_value(row, box->box_id, &values[fact], &box->values[fact]);
        if (row->rule == RULE_LATEST) {
            require_key(row, box->box_id, &box->registers, &stands);
        }
    }
    strbuf_add_slice(&link, values[FACT_TRACKING_URL].text);
    if (link.len == 0 && values[FACT_TRACKING_NUMBER].text.len > 0) {
        expected_link(values[FACT_TRACKING_URL_TEMPLATE].text, values[FACT_TRACKING_NUMBER].text,
                      &link);
    }
    require_text("the link", box->box_id, strbuf_slice(&link), box->shown_url);
    strbuf_free(&link);
}

static inline void check_box(const struct fold_world *world, const struct uuid *order,
                             const struct oracle_box *expected, const struct box_state *box) {
    struct slice id = expected->box_id;
    const struct status_report *report = expected->status.report;
    require_text("box_id", id, id, box->box_id);
    require_key(fact_row(FACT_STATUS), id, &box->registers, &expected->status);
    require_key(fact_row(FACT_DELIVERED_AT), id, &box->registers, &expected->delivered);
    REQUIRE_EQUAL("status", id, expected->shown, box->shown.status);
    require_text("status_detail", id, expected->detail, box->shown.detail);
    REQUIRE_EQUAL("status_at", id, expected->at, box->shown.at);
    REQUIRE_EQUAL("delivered_at", id, expected->delivered_at, box->delivered_at);
    REQUIRE_EQUAL("shipped_at", id, expected->shipped_at, box->shipped_at);
    REQUIRE_EQUAL("last_open_at", id, expected->last_open_at, box->last_open_at);
    REQUIRE_EQUAL("last_moved_at", id, expected->last_moved_at, box->last_moved_at);
    if (report != NULL) {
        REQUIRE_EQUAL("the reported status", id, report->status, box->status.status);
        REQUIRE_EQUAL("the reported time", id, report->at, box->status.at);
        REQUIRE_EQUAL("next_attempt_at", id, report->next_attempt_at, box->status.next_attempt_at);
        require_text("the reported detail", id, report->detail, box->status.detail);
        require_text("provider_status", id, report->provider_status, box->status.provider_status);
        require_text("location", id, report->location, box->status.location);
    }
    check_box_facts(world, order, box);
}

static inline void check_boxes(const struct fold_world *world, const struct order_state *order,
                               struct oracle_order *expected) {
    *expected = (struct oracle_order){.own = own_status_of(world, &order->key),
                                      .list = box_list_of(world, &order->key)};
    if (move_of(world, &order->key).delivery != NULL) {
        check_nothing_left(order);
        return;
    }
    EACH_WEBHOOK(world, &order->key, delivery) {
        for (size_t i = 0; i < delivery->changes.box_count; i++) {
            size_t known = 0;
            while (known < expected->box_count &&
                   !uuid_eq(&expected->boxes[known].key, &delivery->box_keys[i])) {
                known++;
            }
            if (known == ORACLE_BOXES) {
                fold_fail("more boxes than the oracle has space for");
            }
            expected->boxes[known].key = delivery->box_keys[i];
            expected->boxes[known].box_id = delivery->changes.boxes[i].box_id;
            expected->box_count += known == expected->box_count;
        }
    }
    REQUIRE_EQUAL("the boxes", order->order_id, expected->box_count, order->boxes.count);
    for (size_t i = 0; i < expected->box_count; i++) {
        struct oracle_box *box = &expected->boxes[i];
        const struct box_state *found = uuid_map_find(&order->boxes, &box->key);
        if (found == NULL) {
            fold_fail("the box '%.*s' is missing", SLICE_ARGS(box->box_id));
        }
        find_times(world, &order->key, box);
        find_shown(expected, box);
        check_box(world, &order->key, box, found);
    }
}

/* ---- the order ---- */

static inline bool counts(const struct oracle_box *box) {
    return box->shown != STATUS_UNKNOWN && box->shown != STATUS_CANCELLED;
}

/* How many boxes that COUNT have STATUS; STATUS_COUNT: any. */
static inline size_t count_boxes(const struct oracle_order *order, enum status status) {
    size_t count = 0;
    for (size_t i = 0; i < order->box_count; i++) {
        count +=
            status == STATUS_COUNT ? counts(&order->boxes[i]) : order->boxes[i].shown == status;
    }
    return count;
}

/* The latest status_at of the boxes with STATUS; STATUS_COUNT: of all. */
static inline int64_t latest_at(const struct oracle_order *order, enum status status) {
    int64_t at = TIMESTAMP_NONE;
    for (size_t i = 0; i < order->box_count; i++) {
        if (status == STATUS_COUNT || order->boxes[i].shown == status) {
            at = later(at, order->boxes[i].at);
        }
    }
    return at;
}

/* A status with its time, and whether the order's own was it that decided. */
struct oracle_status {
    enum status status;
    int64_t at;
    bool own_decides;
    bool others_ended; /* delivered although a box failed or came back */
};

static inline struct oracle_status least_far(const struct oracle_order *order) {
    struct oracle_status least = {.status = STATUS_COUNT};
    const struct status_report *own = order->own.report;
    for (size_t i = 0; i < order->box_count; i++) {
        enum status status = order->boxes[i].shown;
        if (counts(&order->boxes[i]) &&
            (least.status == STATUS_COUNT || status_rank(status) < status_rank(least.status))) {
            least.status = status;
        }
    }
    least.at = latest_at(order, least.status);
    if (own == NULL || own->status == STATUS_CANCELLED ||
        status_rank(own->status) < status_rank(least.status)) {
        return least;
    }
    bool tie = own->status == least.status;
    return (struct oracle_status){own->status, tie ? later(own->at, least.at) : own->at, true,
                                  false};
}

/* The first line of the contract that fits. */
static inline struct oracle_status expected_status(const struct oracle_order *order) {
    const struct status_report *own = order->own.report;
    size_t counting = count_boxes(order, STATUS_COUNT);
    size_t delivered = count_boxes(order, STATUS_DELIVERED);
    bool moved = false;
    for (size_t i = 0; i < order->box_count; i++) {
        moved = moved || (order->boxes[i].shown != STATUS_CANCELLED &&
                          status_rank(order->boxes[i].shown) >= 30);
    }
    if (own != NULL && own->status == STATUS_CANCELLED && !moved) {
        return (struct oracle_status){.status = STATUS_CANCELLED, .at = own->at};
    }
    if (count_boxes(order, STATUS_UNKNOWN) == order->box_count) {
        return own != NULL ? (struct oracle_status){own->status, own->at, true, false}
                           : (struct oracle_status){STATUS_UNKNOWN, TIMESTAMP_NONE, false, false};
    }
    if (counting == 0) {
        return (struct oracle_status){.status = STATUS_CANCELLED,
                                      .at = latest_at(order, STATUS_COUNT)};
    }
    if (delivered > 0) {
        size_t ended = count_boxes(order, STATUS_FAILED) + count_boxes(order, STATUS_RETURNED);
        bool all = delivered == counting && (own == NULL || own->status != STATUS_PENDING);
        bool others_ended = ended > 0 && delivered + ended == counting && own != NULL &&
                            own->status == STATUS_DELIVERED;
        return (struct oracle_status){.status = all || others_ended ? STATUS_DELIVERED
                                                                    : STATUS_PARTIALLY_DELIVERED,
                                      .at = latest_at(order, STATUS_DELIVERED),
                                      .others_ended = others_ended};
    }
    if (count_boxes(order, STATUS_RETURNED) == counting) {
        return (struct oracle_status){.status = STATUS_RETURNED,
                                      .at = latest_at(order, STATUS_RETURNED)};
    }
    return least_far(order);
}

static inline bool is_after(int64_t at, int64_t end) {
    return end != TIMESTAMP_NONE && at != TIMESTAMP_NONE && at > end;
}

/* Whether a box went on moving after END, which it or its order came to. */
static inline bool moved_after(const struct oracle_order *order, enum status end) {
    const struct status_report *own = order->own.report;
    for (size_t i = 0; i < order->box_count; i++) {
        const struct oracle_box *box = &order->boxes[i];
        bool of_box = end == STATUS_DELIVERED
                          ? is_after(box->last_open_at, box->delivered_at)
                          : box->shown == end && is_after(box->last_moved_at, box->at);
        bool of_order = end == STATUS_CANCELLED && own != NULL && own->status == end &&
                        is_after(box->last_moved_at, own->at);
        if (of_box || of_order) {
            return true;
        }
    }
    return false;
}

static inline bool needs_attention(const struct oracle_order *order,
                                   const struct oracle_status *status, struct slice reason) {
    static const struct slice after = SLICE("moved_after_");
    bool is_movement = slice_starts_with(reason, after);
    enum status named;
    if (!status_from_name(is_movement ? slice_from(reason, after.len) : reason, &named)) {
        fold_fail("a reason that no status has");
    }
    if (is_movement) {
        return moved_after(order, named);
    }
    if (named == STATUS_RETURNED) {
        return status->others_ended && count_boxes(order, named) > 0;
    }
    return count_boxes(order, named) > 0 ||
           (status->own_decides && order->own.report != NULL && order->own.report->status == named);
}

static inline void check_span(const struct order_state *order) {
    int64_t first = TIMESTAMP_NONE, last = TIMESTAMP_NONE;
    for (size_t i = 0; i < order->events.count; i++) {
        const struct event_state *event = order->events.items[i];
        first = earlier(first, event->occurred_at);
        last = later(last, event->occurred_at);
    }
    for (const struct order_change_state *row = order->order_changes; row != NULL;
         row = row->next) {
        first = earlier(first, row->change.occurred_at);
        last = later(last, row->change.occurred_at);
    }
    REQUIRE_EQUAL("first_event_at", order->order_id, first, order->shown.first_event_at);
    REQUIRE_EQUAL("last_event_at", order->order_id, last, order->shown.last_event_at);
}

static inline void check_shown(const struct order_state *order,
                               const struct oracle_order *expected) {
    struct oracle_status status = expected_status(expected);
    const struct shown_order *shown = &order->shown;
    int64_t shipped_at = TIMESTAMP_NONE, delivered_at = TIMESTAMP_NONE;
    size_t reasons;
    const struct slice *names = attention_reasons(&reasons);
    for (size_t i = 0; i < expected->box_count; i++) {
        shipped_at = earlier(shipped_at, expected->boxes[i].shipped_at);
        delivered_at = later(delivered_at, expected->boxes[i].delivered_at);
    }
    REQUIRE_EQUAL("status", order->order_id, status.status, shown->status);
    REQUIRE_EQUAL("status_at", order->order_id, status.at, shown->status_at);
    REQUIRE_EQUAL("boxes_total", order->order_id, expected->box_count, shown->boxes_total);
    REQUIRE_EQUAL("boxes_delivered", order->order_id, count_boxes(expected, STATUS_DELIVERED),
                  shown->boxes_delivered);
    REQUIRE_EQUAL("shipped_at", order->order_id, shipped_at, shown->shipped_at);
    REQUIRE_EQUAL("delivered_at", order->order_id,
                  status.status == STATUS_DELIVERED ? delivered_at : TIMESTAMP_NONE,
                  shown->delivered_at);
    for (size_t i = 0; i < reasons; i++) {
        REQUIRE_EQUAL("attention", names[i], needs_attention(expected, &status, names[i]),
                      shown->attention >> i & 1);
    }
    check_span(order);
}

/* ---- the whole ---- */

static inline void check_end(const struct fold_world *world, const struct fold_database *db) {
    struct states states = {.shapes = db->tables->shapes, .arena = arena_new((size_t)1 << 30)};
    if (states.arena == NULL) {
        fold_fail("out of memory");
    }
    struct slice parts[ORACLE_ROWS];
    size_t count = fold_database_parts(db, false, states.arena, parts, ORACLE_ROWS);
    for (size_t i = 0; i < count; i++) {
        struct err err = ERR_INIT;
        if (!states_load(&states, parts[i], &err)) {
            fold_fail("a row is refused: %s", err.message);
        }
    }
    for (size_t i = 0; i < world->count; i++) {
        const struct delivery *delivery = world->deliveries[i];
        if ((delivery->has_order && uuid_map_find(&states.orders, &delivery->order) == NULL) ||
            (delivery->changes.moved_from.len > 0 &&
             uuid_map_find(&states.orders, &delivery->moved_order) == NULL) ||
            (delivery->changes.has_manifest &&
             uuid_map_find(&states.manifests, &delivery->manifest) == NULL)) {
            fold_fail("an order or a manifest is missing");
        }
    }
    for (size_t i = 0; i < states.orders.count; i++) {
        const struct order_state *order = states.orders.items[i];
        struct oracle_order expected;
        check_order_itself(world, order);
        check_boxes(world, order, &expected);
        if (move_of(world, &order->key).delivery == NULL) {
            check_history(world, order);
        }
        check_shown(order, &expected);
    }
    for (size_t i = 0; i < states.manifests.count; i++) {
        check_manifest(world, states.manifests.items[i]);
    }
    arena_free(states.arena);
}

#endif

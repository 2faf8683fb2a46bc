/*
 * Small webhooks, made by hand, for tests of single rules. Keys are short: of a box, a row of the
 * history and a paper they are the bytes of its name.
 */
#ifndef TESTS_FOLD_CASES_H
#define TESTS_FOLD_CASES_H

#include "domain/fold.h"
#include "domain/shown.h"

#include <string.h>

#define WEBHOOK_PARTS 4

struct webhook {
    struct changes changes;
    struct uuid delivery;
    struct box_change boxes[WEBHOOK_PARTS];
    struct tracking_event events[WEBHOOK_PARTS];
    struct document documents[WEBHOOK_PARTS];
    struct order_field_change order_change;
    struct slice list[WEBHOOK_PARTS];
    struct uuid box_keys[WEBHOOK_PARTS], event_keys[WEBHOOK_PARTS], event_box_keys[WEBHOOK_PARTS];
    struct uuid document_keys[WEBHOOK_PARTS], document_box_keys[WEBHOOK_PARTS];
};

static inline struct uuid key_of_name(struct slice name) {
    struct uuid key = {{0}};
    memcpy(key.bytes, name.data, name.len < sizeof(key.bytes) ? name.len : sizeof(key.bytes));
    return key;
}

/* DELIVERY is the first byte of its id. */
static inline void webhook_init(struct webhook *webhook, int64_t version_at, uint8_t delivery) {
    *webhook = (struct webhook){.delivery = {{delivery}}};
    changes_init(&webhook->changes);
    webhook->changes.version_at = version_at;
    webhook->changes.order_id = SLICE_OF("order");
    webhook->changes.boxes = webhook->boxes;
    webhook->changes.events = webhook->events;
    webhook->changes.documents = webhook->documents;
    webhook->changes.order_changes = &webhook->order_change;
}

static inline struct box_change *webhook_box(struct webhook *webhook, const char *box_id) {
    size_t number = webhook->changes.box_count++;
    assert_true(number < WEBHOOK_PARTS);
    box_change_init(&webhook->boxes[number]);
    webhook->boxes[number].box_id = slice_from_cstr(box_id);
    webhook->box_keys[number] = key_of_name(slice_from_cstr(box_id));
    return &webhook->boxes[number];
}

static inline struct status_report *webhook_status(struct webhook *webhook, const char *box_id,
                                                   enum status status, int64_t at) {
    struct box_change *box = webhook_box(webhook, box_id);
    box->has_status = true;
    box->status.status = status;
    box->status.at = at;
    return &box->status;
}

static inline struct status_report *webhook_own_status(struct webhook *webhook, enum status status,
                                                       int64_t at) {
    struct order_change *order = &webhook->changes.order;
    order->has_status = true;
    order->status.status = status;
    order->status.at = at;
    return &order->status;
}

static inline struct tracking_event *webhook_event(struct webhook *webhook, const char *id,
                                                   int64_t occurred_at) {
    size_t number = webhook->changes.event_count++;
    assert_true(number < WEBHOOK_PARTS);
    struct tracking_event *event = &webhook->events[number];
    tracking_event_init(event);
    event->box_id = SLICE_OF("a");
    event->sender_event_id = slice_from_cstr(id);
    event->occurred_at = occurred_at;
    webhook->event_keys[number] = key_of_name(event->sender_event_id);
    webhook->event_box_keys[number] = key_of_name(event->box_id);
    return event;
}

/* A row without an id of the sender's: WORD is its provider status. */
static inline struct tracking_event *webhook_happening(struct webhook *webhook, const char *word,
                                                       int64_t occurred_at) {
    struct tracking_event *event = webhook_event(webhook, "", occurred_at);
    size_t number = webhook->changes.event_count - 1;
    event->provider_status = slice_from_cstr(word);
    assert_true(
        event_row_key(&webhook->event_box_keys[number], event, &webhook->event_keys[number]));
    return event;
}

static inline void webhook_paper(struct webhook *webhook, const char *kind, const char *url) {
    size_t number = webhook->changes.document_count++;
    assert_true(number < WEBHOOK_PARTS);
    webhook->documents[number] =
        (struct document){SLICE("a"), slice_from_cstr(kind), slice_from_cstr(url)};
    webhook->document_keys[number] = key_of_name(slice_from_cstr(url));
    webhook->document_box_keys[number] = key_of_name(SLICE_OF("a"));
}

/* IDS is "a b c". */
static inline void webhook_list(struct webhook *webhook, const char *ids) {
    struct order_change *order = &webhook->changes.order;
    struct slice rest = slice_from_cstr(ids);
    order->has_box_list = true;
    order->box_list = webhook->list;
    while (rest.len > 0) {
        assert_true(order->box_list_count < WEBHOOK_PARTS);
        (void)slice_split(rest, ' ', &webhook->list[order->box_list_count++], &rest);
    }
}

static inline void webhook_fold(struct order_state *order, const struct webhook *webhook,
                                struct arena *arena) {
    const struct fold_input input = {
        .changes = &webhook->changes,
        .delivery = &webhook->delivery,
        .box_keys = webhook->box_keys,
        .event_keys = webhook->event_keys,
        .event_box_keys = webhook->event_box_keys,
        .document_keys = webhook->document_keys,
        .document_box_keys = webhook->document_box_keys,
    };
    assert_true(fold_order(order, &input, NULL, arena));
}

/* What WEBHOOK says of the provisional ORDER. */
static inline void webhook_move(struct order_state *order, const struct webhook *webhook,
                                struct arena *arena) {
    assert_true(fold_move(order, &webhook->changes, &webhook->delivery, arena));
}

static inline struct arena *case_arena(void) {
    struct arena *arena = arena_new((size_t)1 << 24);
    assert_non_null(arena);
    return arena;
}

static inline bool show(struct order_state *order, struct arena *arena) {
    bool failed = false;
    bool changed = shown_order(order, arena, &failed);
    assert_false(failed);
    return changed;
}

static inline const struct box_state *box_named(const struct order_state *order, const char *id) {
    struct uuid key = key_of_name(slice_from_cstr(id));
    const struct box_state *box = uuid_map_find(&order->boxes, &key);
    if (box == NULL) {
        fail_msg("there is no box '%s'", id);
    }
    return box;
}

/* The state of an order as it is read from the database: nothing differs yet. */
static inline void make_stored(struct order_state *order) {
    order->row = ROW_STORED;
    order->changed = false;
    order->span_is_lost = false;
    order->order_changes = NULL;
    order->stored = order->shown;
    for (size_t i = 0; i < order->boxes.count; i++) {
        ((struct box_state *)order->boxes.items[i])->row = ROW_STORED;
    }
    for (size_t i = 0; i < order->events.count; i++) {
        struct event_state *event = order->events.items[i];
        event->row = ROW_STORED;
        event->stored_occurred_at = event->occurred_at;
    }
    for (size_t i = 0; i < order->documents.count; i++) {
        ((struct document_state *)order->documents.items[i])->row = ROW_STORED;
    }
}

/* Folds WEBHOOKS in every order, each time into a new state, which CHECK looks at. */
static inline void fold_in_every_order(const struct webhook *webhooks, size_t count,
                                       void (*check)(const struct order_state *order,
                                                     const void *row),
                                       const void *row) {
    size_t order_count = 1;
    for (size_t i = 2; i <= count; i++) {
        order_count *= i;
    }
    for (size_t number = 0; number < order_count; number++) {
        struct arena *arena = case_arena();
        struct order_state order;
        size_t left[8], rest = number;
        assert_true(count <= ARRAY_LEN(left));
        order_state_init(&order);
        for (size_t i = 0; i < count; i++) {
            left[i] = i;
        }
        for (size_t i = count; i > 0; i--) {
            size_t chosen = rest % i;
            rest /= i;
            webhook_fold(&order, &webhooks[left[chosen]], arena);
            /* Again: an equal key keeps. */
            struct order_change_state *changes = order.order_changes;
            webhook_fold(&order, &webhooks[left[chosen]], arena);
            order.order_changes = changes;
            left[chosen] = left[i - 1];
        }
        (void)show(&order, arena);
        check(&order, row);
        arena_free(arena);
    }
}

#endif

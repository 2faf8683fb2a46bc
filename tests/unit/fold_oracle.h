/*
 * What a set of webhooks must end in, by the definition: of all claims to a fact the greatest
 * stands, found by looking at every one of them, with keys as tuples and not as bytes. Nothing here
 * folds, so the order of arrival cannot matter; and nothing here comes from fold.c or shown.c.
 */
#ifndef TESTS_FOLD_ORACLE_H
#define TESTS_FOLD_ORACLE_H

#include "fold_world.h"

#define REQUIRE_EQUAL(what, subject, expected, found)                                              \
    do {                                                                                           \
        if ((long long)(expected) != (long long)(found)) {                                         \
            fold_fail("%s of '%.*s' is %lld instead of %lld", (what), SLICE_ARGS(subject),         \
                      (long long)(found), (long long)(expected));                                  \
        }                                                                                          \
    } while (0)

static inline void require_text(const char *what, struct slice subject, struct slice expected,
                                struct slice found) {
    if (!slice_eq(expected, found)) {
        fold_fail("%s of '%.*s' is '%.*s' instead of '%.*s'", what, SLICE_ARGS(subject),
                  SLICE_ARGS(found), SLICE_ARGS(expected));
    }
}

/* ---- claims ---- */

struct claim {
    const struct delivery *delivery; /* NULL: there is none */
    size_t change;
    int64_t snapshot;
    const struct status_report *report; /* NULL: of another fact than a status */
    bool of_order;
};

static inline int compare_numbers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static inline int claim_phase(const struct claim *claim) {
    if (claim->of_order) {
        return claim->report->status == STATUS_UNKNOWN ? -1 : 1;
    }
    if (claim->report->weak) {
        return 0;
    }
    switch (claim->report->status) {
    case STATUS_UNKNOWN:
        return -1;
    case STATUS_DELIVERED:
    case STATUS_RETURNING:
    case STATUS_RETURNED:
    case STATUS_FAILED:
    case STATUS_CANCELLED:
        return 2;
    default:
        return 1;
    }
}

static inline int compare_claims(const struct claim *a, const struct claim *b) {
    int order = a->report != NULL ? compare_numbers(claim_phase(a), claim_phase(b)) : 0;
    if (order == 0) {
        order = compare_numbers(a->delivery->changes.version_at, b->delivery->changes.version_at);
    }
    if (order == 0) {
        order = compare_numbers(a->snapshot, b->snapshot);
    }
    if (order == 0 && a->report != NULL) {
        order = compare_numbers(status_rank(a->report->status), status_rank(b->report->status));
    }
    if (order == 0 && a->report != NULL) {
        order = slice_cmp(a->report->provider_status, b->report->provider_status);
    }
    if (order == 0) {
        order = memcmp(&a->delivery->id, &b->delivery->id, sizeof(struct uuid));
    }
    return order != 0 ? order : compare_numbers((int64_t)a->change, (int64_t)b->change);
}

static inline void keep_greatest(struct claim *kept, struct claim claim) {
    if (kept->delivery == NULL || compare_claims(&claim, kept) > 0) {
        *kept = claim;
    }
}

/* The key of a register is that of the claim that stands. */
static inline void require_key(const struct fact_row *row, struct slice subject,
                               const struct registers *registers, const struct claim *stands) {
    struct slice key = registers->keys[row->number];
    struct uuid delivery;
    int64_t at;
    if (stands->delivery == NULL) {
        REQUIRE_EQUAL("a key", row->name, 0, key.len);
    } else if (!key_origin(row->rule, key, &delivery, &at) ||
               !uuid_eq(&delivery, &stands->delivery->id) ||
               at != stands->delivery->changes.version_at) {
        fold_fail("%.*s of '%.*s' has the key of another webhook", SLICE_ARGS(row->name),
                  SLICE_ARGS(subject));
    }
}

/* ---- what webhooks say of one thing ---- */

/* Calls for each webhook of ORDER, or for each change of BOX. */
#define EACH_WEBHOOK(world, order_key_, delivery)                                                  \
    for (size_t i_ = 0; i_ < (world)->count; i_++)                                                 \
        for (const struct delivery *delivery = (world)->deliveries[i_];                            \
             delivery != NULL && delivery->has_order && uuid_eq(&delivery->order, (order_key_));   \
             delivery = NULL)
#define EACH_BOX_CHANGE(delivery, box_key_, change)                                                \
    for (size_t change = 0; change < (delivery)->changes.box_count; change++)                      \
        if (uuid_eq(&(delivery)->box_keys[change], (box_key_)))

/* What CHANGE has in the member of ROW; false when that says nothing. */
static inline bool said_of(const struct fact_row *row, const void *change,
                           struct fact_value *value) {
    const char *member = (const char *)change + row->offset;
    int32_t days;
    bool flag;
    *value = (struct fact_value){.number = VALUE_NONE};
    switch (row->type) {
    case FACT_TYPE_TIME:
        memcpy(&value->number, member, sizeof(value->number));
        return value->number != TIMESTAMP_NONE;
    case FACT_TYPE_DATE:
        memcpy(&days, member, sizeof(days));
        value->number = days;
        return days != DATE_NONE;
    case FACT_TYPE_FLAG:
        memcpy(&flag, member, sizeof(flag));
        value->number = flag;
        return flag;
    default:
        memcpy(&value->text, member, sizeof(value->text));
        return value->text.len > 0;
    }
}

static inline void require_value(const struct fact_row *row, struct slice subject,
                                 const struct fact_value *expected,
                                 const struct fact_value *found) {
    if (row->type == FACT_TYPE_TEXT || row->type == FACT_TYPE_JSON) {
        require_text(row->name.data, subject, expected->text, found->text);
    } else {
        REQUIRE_EQUAL(row->name.data, subject, expected->number, found->number);
    }
}

/* ---- the order itself ---- */

static inline void check_order_facts(const struct fold_world *world,
                                     const struct order_state *order) {
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        struct claim stands = {.delivery = NULL};
        struct fact_value value = {.number = VALUE_NONE};
        if (row->subject != SUBJECT_ORDER || row->offset == FACT_NO_MEMBER) {
            continue;
        }
        EACH_WEBHOOK(world, &order->key, delivery) {
            if (said_of(row, &delivery->changes.order, &value)) {
                keep_greatest(&stands, (struct claim){.delivery = delivery});
            }
        }
        value = (struct fact_value){.number = VALUE_NONE};
        if (stands.delivery != NULL) {
            (void)said_of(row, &stands.delivery->changes.order, &value);
        }
        require_value(row, order->order_id, &value, &order->values[fact]);
        require_key(row, order->order_id, &order->registers, &stands);
    }
}

static inline struct claim own_status_of(const struct fold_world *world, const struct uuid *order) {
    struct claim stands = {.delivery = NULL};
    EACH_WEBHOOK(world, order, delivery) {
        if (delivery->changes.order.has_status) {
            keep_greatest(&stands, (struct claim){.delivery = delivery,
                                                  .report = &delivery->changes.order.status,
                                                  .of_order = true});
        }
    }
    return stands;
}

static inline struct claim box_list_of(const struct fold_world *world, const struct uuid *order) {
    struct claim stands = {.delivery = NULL};
    EACH_WEBHOOK(world, order, delivery) {
        if (delivery->changes.order.has_box_list) {
            keep_greatest(&stands, (struct claim){.delivery = delivery});
        }
    }
    return stands;
}

static inline void check_order_itself(const struct fold_world *world,
                                      const struct order_state *order) {
    struct claim own = own_status_of(world, &order->key);
    struct claim list = box_list_of(world, &order->key);
    check_order_facts(world, order);
    require_key(fact_row(FACT_OWN_STATUS), order->order_id, &order->registers, &own);
    require_key(fact_row(FACT_BOX_LIST), order->order_id, &order->registers, &list);
    if (own.delivery != NULL) {
        REQUIRE_EQUAL("own_status", order->order_id, own.report->status, order->own_status);
        REQUIRE_EQUAL("own_status_at", order->order_id, own.report->at, order->own_status_at);
        require_text("own_provider_status", order->order_id, own.report->provider_status,
                     order->own_provider_status);
        require_text("own_status_detail", order->order_id, own.report->detail,
                     order->own_status_detail);
    } else {
        REQUIRE_EQUAL("own_status", order->order_id, STATUS_COUNT, order->own_status);
    }
    size_t count = list.delivery != NULL ? list.delivery->changes.order.box_list_count : 0;
    REQUIRE_EQUAL("the length of box_list", order->order_id, count, order->box_list_count);
    for (size_t i = 0; i < count; i++) {
        require_text("box_list", order->order_id, list.delivery->changes.order.box_list[i],
                     order->box_list[i]);
    }
}

/* ---- history, papers, manifests ---- */

/* The claim to the row of the history with KEY. */
static inline struct claim event_claim(const struct fold_world *world, const struct uuid *order,
                                       const struct uuid *key) {
    struct claim stands = {.delivery = NULL};
    EACH_WEBHOOK(world, order, delivery) {
        for (size_t i = 0; i < delivery->changes.event_count; i++) {
            if (uuid_eq(&delivery->event_keys[i], key)) {
                keep_greatest(&stands, (struct claim){.delivery = delivery,
                                                      .change = i,
                                                      .snapshot = delivery->changes.snapshot_id});
            }
        }
    }
    return stands;
}

static inline void check_event(const struct fold_world *world, const struct order_state *order,
                               const struct uuid *key) {
    const struct event_state *event = uuid_map_find(&order->events, key);
    struct claim stands = event_claim(world, &order->key, key);
    if (event == NULL) {
        fold_fail("a row of the history is missing");
    }
    const struct tracking_event *said = &stands.delivery->changes.events[stands.change];
    struct slice id = said->sender_event_id;
    if (!uuid_eq(&event->delivery, &stands.delivery->id)) {
        fold_fail("event '%.*s' names another delivery", SLICE_ARGS(id));
    }
    if (!uuid_eq(&event->box_key, &stands.delivery->event_box_keys[stands.change])) {
        fold_fail("event '%.*s' belongs to another box", SLICE_ARGS(id));
    }
    REQUIRE_EQUAL("occurred_at", id, said->occurred_at, event->occurred_at);
    REQUIRE_EQUAL("status", id, said->status, event->status);
    require_text("detail", id, said->detail, event->detail);
    require_text("provider_status", id, said->provider_status, event->provider_status);
    require_text("location", id, said->location, event->location);
    require_text("message", id, said->message, event->message);
    require_text("previous_status", id, said->previous_status, event->previous_status);
    require_text("stands_for", id, said->stands_for, event->stands_for);
}

static inline void check_history(const struct fold_world *world, const struct order_state *order) {
    size_t changes = 0, rows = 0;
    for (size_t i = 0; i < order->events.count; i++) {
        const struct event_state *event = order->events.items[i];
        if (event_claim(world, &order->key, &event->key).delivery == NULL) {
            fold_fail("a row of the history that no webhook speaks of");
        }
    }
    EACH_WEBHOOK(world, &order->key, delivery) {
        for (size_t i = 0; i < delivery->changes.event_count; i++) {
            check_event(world, order, &delivery->event_keys[i]);
        }
        for (size_t i = 0; i < delivery->changes.document_count; i++) {
            const struct document *said = &delivery->changes.documents[i];
            const struct document_state *paper =
                uuid_map_find(&order->documents, &delivery->document_keys[i]);
            if (paper == NULL || !slice_eq(paper->kind, said->kind) ||
                !slice_eq(paper->url, said->url) ||
                !uuid_eq(&paper->box_key, &delivery->document_box_keys[i])) {
                fold_fail("the paper %.*s is missing", SLICE_ARGS(said->url));
            }
        }
        changes += delivery->changes.order_change_count;
    }
    for (const struct order_change_state *row = order->order_changes; row != NULL;
         row = row->next) {
        rows++;
    }
    REQUIRE_EQUAL("rows of order_changes", order->order_id, changes, rows);
}

static inline void check_manifest(const struct fold_world *world,
                                  const struct manifest_state *manifest) {
    struct claim stands = {.delivery = NULL};
    for (size_t i = 0; i < world->count; i++) {
        const struct delivery *delivery = world->deliveries[i];
        if (delivery->changes.has_manifest && uuid_eq(&delivery->manifest, &manifest->key)) {
            keep_greatest(&stands, (struct claim){.delivery = delivery});
        }
    }
    if (stands.delivery == NULL) {
        fold_fail("a manifest that no webhook speaks of");
    }
    const struct manifest *said = &stands.delivery->changes.manifest, *row = &manifest->manifest;
    require_text("shipment_id", said->shipment_id, said->shipment_id, row->shipment_id);
    require_text("awb_number", said->shipment_id, said->awb_number, row->awb_number);
    require_text("country", said->shipment_id, said->country, row->country);
    REQUIRE_EQUAL("parcel_count", said->shipment_id, said->parcel_count, row->parcel_count);
    REQUIRE_EQUAL("submitted_at", said->shipment_id, said->submitted_at, row->submitted_at);
}

#endif

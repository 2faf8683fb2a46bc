/*
 * The fold: changes into state. The only place where what webhooks say is merged; ingest, rebuild,
 * replay and explanations all use it.
 *
 * Each independent group of facts is a register: a value and the key of the change that set it. The
 * greater key wins, an equal one keeps. That is commutative, associative and idempotent, so any
 * order of arrival, any duplication and any split into batches end in the same state.
 *
 * Pure: changes and state in, state out.
 */
#ifndef DOMAIN_FOLD_H
#define DOMAIN_FOLD_H

#include "domain/order_state.h"

/* One delivery: what it says, and the identities of what it speaks of, each array beside the one of
 * CHANGES that it belongs to. */
struct fold_input {
    const struct changes *changes;
    const struct uuid *delivery;
    const struct uuid *box_keys, *event_keys, *event_box_keys, *document_keys, *document_box_keys;
};

/* What a delivery says of one fact, as it is offered to the state. Only the members of its kind are
 * set. */
struct fold_claim {
    enum fact fact;
    struct slice box_id;                 /* empty: the order */
    struct slice key;                    /* by which it is compared */
    const struct fact_value *value;      /* a fact of ORDER_FACTS or BOX_FACTS */
    const struct status_report *report;  /* a status */
    const struct order_change *box_list; /* FACT_BOX_LIST */
    int64_t at;                          /* FACT_DELIVERED_AT, FACT_SHIPPED_AT */
    bool derived;                        /* FACT_SHIPPED_AT: taken from a status */
    const struct document *document;     /* FACT_DOCUMENT */
    const struct tracking_event *event;  /* FACT_EVENT */
    const struct uuid *event_key;        /* FACT_EVENT */
};

/* Is shown every claim, for an explanation. False ends the fold. */
struct fold_watch {
    bool (*claim)(void *context, const struct fold_claim *claim);
    void *context;
};

/* Folds INPUT into ORDER, whose boxes, rows of the history and papers that INPUT speaks of are
 * there as far as they are stored. What is kept of INPUT is borrowed from it; the rest is ARENA's.
 * WATCH may be NULL. False without memory, or when WATCH says so. */
MUST_CHECK bool fold_order(struct order_state *order, const struct fold_input *input,
                           const struct fold_watch *watch, struct arena *arena);
/* The same for a manifest, which belongs to no order. */
MUST_CHECK bool fold_manifest(struct manifest_state *manifest, const struct changes *changes,
                              const struct uuid *delivery, struct arena *arena);
/* Whether the span of the order's history has to be read again (order_state.span_is_lost, which it
 * sets): a stored row moved away from its begin or end. */
bool fold_loses_span(struct order_state *order);

#endif

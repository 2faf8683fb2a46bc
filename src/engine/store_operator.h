/*
 * What the administration command asks of the database and does to it (role: owner of the schema),
 * beside the migrations and the rebuild in engine/store.h.
 */
#ifndef ENGINE_STORE_OPERATOR_H
#define ENGINE_STORE_OPERATOR_H

#include "engine/store.h"

/* ---- the rows of waybill_audit.actions ---- */

struct store_action {
    struct slice command, arguments, os_user, host;
};
/* Adds a row of an action that begins now. */
MUST_CHECK enum store_result store_action_begin(struct store *store,
                                                const struct store_action *action, int64_t *id,
                                                struct err *err);
/* COUNTS is a JSON object of numbers. */
MUST_CHECK enum store_result store_action_end(struct store *store, int64_t id, bool done,
                                              struct slice counts, struct err *err);

/*
 * ---- questions ----
 * Answers are rows whose first column is a JSON object; the caller clears them. Texts are COLLATE
 * "C"; the empty slice and TIMESTAMP_NONE are no filter.
 */

/* The orders that TEXT means, at most STORE_ORDERS_MAX: source/id, a key, an order number, an
 * external reference, a tracking number or, where it is nothing of these, a sender's id. Sandbox
 * orders too. */
#define STORE_ORDERS_MAX 20
struct store_order_name {
    struct uuid key;
    struct slice json; /* {"source","id","order_number","live"} */
};
struct store_orders {
    struct pg_result *result; /* what json points into */
    struct store_order_name orders[STORE_ORDERS_MAX];
    size_t count;
};
MUST_CHECK enum store_result store_orders_named(struct store *store, struct slice text,
                                                struct store_orders *found, struct err *err);
void store_orders_free(struct store_orders *found);

struct store_delivery_filter {
    struct slice source, outcome, event_type;
    int64_t since, until;     /* of received_at: from, and before */
    const struct uuid *order; /* NULL: any */
    bool conflict;            /* only those whose event id came with other content too */
    int64_t limit;
};
/* Newest first. */
MUST_CHECK enum store_result store_deliveries(struct store *store,
                                              const struct store_delivery_filter *filter,
                                              struct pg_result **rows, struct err *err);
/* One, with headers; no row when there is none. */
MUST_CHECK enum store_result store_delivery_row(struct store *store, const struct uuid *id,
                                                struct pg_result **rows, struct err *err);

/* {"order": its document, "timeline": [ … ]}: what is told of its boxes and of itself, in the order
 * in which it happened; FULL: with personal data. No row when there is no such order. */
MUST_CHECK enum store_result store_order_timeline(struct store *store, const struct uuid *order,
                                                  bool full, struct pg_result **rows,
                                                  struct err *err);
/* One row a source that has ever sent: counts, last time of reception, event types. */
MUST_CHECK enum store_result store_source_rows(struct store *store, struct pg_result **rows,
                                               struct err *err);
/* One row: the database's part of `waybill status`. */
MUST_CHECK enum store_result store_overview(struct store *store, struct pg_result **rows,
                                            struct err *err);

/* ---- stored deliveries, read back ---- */

struct store_stored {
    struct uuid id, order;
    bool has_order, purged;
    struct slice source, provider, outcome, headers, body, body_sha256;
    int64_t received_at;
};
/* What slices point into: freed by store_batch_free(). */
struct store_batch {
    struct pg_result *result;
    struct store_stored *rows;
    size_t count;
};
void store_batch_free(struct store_batch *batch);

/* Which deliveries: with the outcome (empty: any), of the source, received since. */
struct store_selection {
    struct slice outcome, source;
    int64_t since;
};
/* How many SELECTION has. */
MUST_CHECK enum store_result store_select_count(struct store *store,
                                                const struct store_selection *selection,
                                                int64_t *count, struct err *err);
/* The next at most LIMIT of them after AFTER (NULL: from the beginning), in the order of their ids;
 * with bodies. */
MUST_CHECK enum store_result store_select(struct store *store,
                                          const struct store_selection *selection,
                                          const struct uuid *after, size_t limit,
                                          struct store_batch *batch, struct err *err);
/* One, by its id. */
MUST_CHECK enum store_result store_stored(struct store *store, const struct uuid *id,
                                          struct store_batch *batch, struct err *err);

/*
 * Gives the stored delivery ID, which was not applied, the outcome that DELIVERY has now, and
 * applies it. *outcome is then its outcome; OUTCOME_REFUSED when it is gone, purged or applied
 * already.
 */
MUST_CHECK enum store_result store_replay(struct store *store, const struct uuid *id,
                                          struct delivery *delivery, struct err *err);

/* ---- purging ---- */

struct store_purge {
    int64_t before;           /* of received_at; with ORDER: not looked at */
    struct slice source;      /* empty: all */
    const struct uuid *order; /* only this one; NULL: all */
    bool dry;                 /* only count */
    /* out: */
    int64_t deliveries, bytes, orders;
    /* The state between two calls of store_purge_step(): zero before the first. */
    struct uuid after;
    bool begun, bodies_done, done;
};
/* How many deliveries and orders there are to look at. */
MUST_CHECK enum store_result store_purge_total(struct store *store, const struct store_purge *purge,
                                               int64_t *total, struct err *err);
/*
 * Some of it, in a transaction; LOOKED is how many rows were looked at. Bodies and headers of the
 * deliveries received before then go, and personal data of the orders of which no delivery has
 * come since. Rows stay. done says that nothing is left.
 */
MUST_CHECK enum store_result store_purge_step(struct store *store, struct store_purge *purge,
                                              int64_t *looked, struct err *err);

#endif

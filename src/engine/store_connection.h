/* What the files of the store share: one connection and how a piece of work is run on it. Nobody
 * else includes this. */
#ifndef ENGINE_STORE_CONNECTION_H
#define ENGINE_STORE_CONNECTION_H

#include "engine/document_cache.h"
#include "engine/store.h"

/* The composite types of schema/0003_ingest.sql, in the order of the parameters of
 * waybill_data.ingest(). */
enum row_type {
    ROW_DELIVERY,
    ROW_ORDER,
    ROW_BOX,
    ROW_EVENT,
    ROW_DOCUMENT,
    ROW_ORDER_CHANGE,
    ROW_MANIFEST,
    ROW_TYPES
};

struct store {
    char *dsn; /* wiped, it may hold a password */
    const char *application;
    enum store_patience patience;
    struct pg *pg;                    /* NULL: not connected */
    uint32_t row_types[ROW_TYPES];    /* oids in this database; 0: not seen */
    int64_t down_until_ms;            /* known to be down until then: no new attempt */
    struct document_cache *documents; /* of this connection; NULL: nothing was remembered */
};

/*
 * Runs WORK on a connected store: again after a deadlock, and on a new connection after the old one
 * broke, while the budget lasts. WORK gets its deadline on the monotonic clock.
 */
MUST_CHECK enum store_result store_run(struct store *store,
                                       bool (*work)(struct store *store, void *context,
                                                    int64_t deadline_ms, struct err *err),
                                       void *context, struct err *err);

/* Adds the seven arrays of rows that waybill_data.ingest() and, without the deliveries,
 * rebuild_order() take. */
MUST_CHECK bool store_add_changes(struct store *store, struct pg_params *params,
                                  struct delivery *const *deliveries, size_t count,
                                  bool with_deliveries, struct err *err);

#endif

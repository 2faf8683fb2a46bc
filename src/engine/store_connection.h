/* What the files of the store share: one connection and how a piece of work is run on it. Nobody
 * else includes this. */
#ifndef ENGINE_STORE_CONNECTION_H
#define ENGINE_STORE_CONNECTION_H

#include "engine/document_cache.h"
#include "engine/states.h"
#include "engine/store.h"

struct store {
    char *dsn; /* wiped, it may hold a password */
    const char *application;
    enum store_patience patience;
    struct pg *pg;                      /* NULL: not connected */
    struct row_shape shapes[ROW_KINDS]; /* of the tables in this database */
    int64_t down_until_ms;              /* known to be down until then: no new attempt */
    struct document_cache *documents;   /* of this connection; NULL: nothing was remembered */
};

/*
 * Runs WORK on a connected store: again after a deadlock, and on a new connection after the old one
 * broke, while the budget lasts. WORK gets its deadline on the monotonic clock.
 */
MUST_CHECK enum store_result store_run(struct store *store,
                                       bool (*work)(struct store *store, void *context,
                                                    int64_t deadline_ms, struct err *err),
                                       void *context, struct err *err);

/* Ends a transaction that failed. A failing rollback means a broken connection, which the next
 * statement finds out by itself. */
void store_roll_back(struct store *store, int64_t deadline_ms);

/* What one transaction folds into, empty; DIGESTS as in struct states. NULL arena without memory.
 */
struct states store_states(const struct store *store, bool digests);
/* The parts in COLUMN of all rows of RESULT. */
MUST_CHECK bool store_load_states(struct states *states, const struct pg_result *result, int column,
                                  struct err *err);

/* Reads the span of the history again of those orders that have lost it (fold_loses_span()).
 * DELIVERIES: those of the batch; the database shows the orders of those that are new. */
MUST_CHECK bool store_read_spans(struct store *store, struct states *states,
                                 const struct uuid_map *deliveries, int64_t deadline_ms,
                                 struct err *err);

/* What writes: READ COMMITTED whatever the database's default is, so that a statement sees what was
 * committed before the lock that the one before it waited for. */
extern const char STORE_BEGIN[];
extern const char STORE_COMMIT[];
extern const char STORE_WRITE_STATES[];

#endif

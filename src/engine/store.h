/*
 * All SQL that the programs send. A store is one database connection, opened on demand and opened
 * again when it broke; it belongs to one thread.
 *
 * What happens after an error is decided by its SQLSTATE, here and nowhere else: refused data is
 * reported, a deadlock is tried again, a lost connection is opened again and the work repeated (all
 * of it is idempotent) as long as the budget of one call lasts.
 */
#ifndef ENGINE_STORE_H
#define ENGINE_STORE_H

#include "adapter/pg.h"
#include "domain/order_state.h"
#include "engine/delivery.h"

struct store;

/* The migrations this release knows: the number of the last file in schema/migrations/. */
#define STORE_SCHEMA 2

enum store_result {
    STORE_OK,
    STORE_REFUSED, /* the data is refused, now and ever: SQLSTATE in err */
    STORE_DOWN,    /* the database cannot do it within the budget; what was sent may or may not be
                      committed */
};

/* How long one call may take: requests wait for it, or an administrator who has the time. */
enum store_patience { STORE_PROMPT, STORE_PATIENT };

/* A store for DSN, not yet connected. APPLICATION (kept, not copied) is what pg_stat_activity
 * shows. NULL without memory. */
MUST_CHECK struct store *store_new(const char *dsn, const char *application,
                                   enum store_patience patience);
void store_free(struct store *store);
/* From the next call on, DSN: the old connection is closed unless it is the same. False without
 * memory: then nothing changes. */
MUST_CHECK bool store_use(struct store *store, const char *dsn);

/* ---- writing (role waybill_ingest) ---- */

/* Stores COUNT deliveries in one transaction and sets the outcome of each, on STORE_OK. */
MUST_CHECK enum store_result store_ingest(struct store *store, struct delivery *const *deliveries,
                                          size_t count, struct err *err);

/* ---- reading (role waybill_status) ---- */

/* One look-up of one order by its key. */
struct store_lookup {
    struct uuid order;
    bool full, events;
    bool version_only; /* the document is not wanted */
    bool remember;     /* it may be asked for again: the store keeps a copy, see below */
    /* In: the version as this request has just read it, 0 where it has not. Out: the version, 0
     * where there is no such order. */
    int64_t version;
    struct slice document; /* JSON, until store_results_free() or the next look-up */
};
/* A search for orders. Empty slices and zero counts are no filter. */
struct store_search {
    /* The orders that changed after position AFTER, oldest change first; only live and sources
     * filter. */
    bool changes;
    bool from_newest; /* begin at the feed's end: nothing is found, but where that is */
    int64_t after;
    const struct slice *order_numbers, *external_references, *tracking_numbers;
    size_t order_number_count, external_reference_count, tracking_number_count;
    struct slice source, status;
    const struct uuid *order; /* one order, by its key; NULL: any */
    /* A number, reference, tracking number or id in any spelling; with it source, status and live
     * filter. KNOWN: the keys of orders with that very id. */
    struct slice words;
    const struct uuid *known;
    size_t known_count;
    bool live;
    bool all_sources;
    const struct slice *sources; /* unless all_sources: only these */
    size_t source_count;
    int64_t before; /* only changes before this position; 0: no limit */
    int32_t limit;
    /* out: */
    struct store_found
        *found; /* newest change first, at most limit; freed by store_search_free() */
    size_t count;
    bool more;
    int64_t stopped_at;      /* where a walk ended before it had found enough; 0: it did not */
    int64_t feed_id, newest; /* of this database */
    bool standby;            /* it follows another, which may be ahead of it */
};
struct store_found {
    struct uuid order;
    int64_t version;
};
void store_search_free(struct store_search *search);

/* What the documents of look-ups point into. Zeroed before use, freed by store_results_free(). */
struct store_results {
    struct pg_result *results[5];
    size_t count;
};
void store_results_free(struct store_results *results);

/* Answers COUNT look-ups, all of one kind of document in one statement. Of an order whose document
 * was remembered only the version is read, and the document where that differs. */
MUST_CHECK enum store_result store_look_up(struct store *store, struct store_lookup *const *lookups,
                                           size_t count, struct store_results *results,
                                           struct err *err);
MUST_CHECK enum store_result store_find(struct store *store, struct store_search *search,
                                        struct err *err);

/* What an explanation of one order is made of; all of it in the memory of the answer. */
struct store_told {
    struct uuid id;
    struct slice source, provider, event_type, event_id;
    int64_t received_at;
    struct slice body;
    bool purged;
    bool left_out; /* older than the newest that max_bytes hold */
};
struct store_explanation {
    struct uuid order;
    bool full, events;
    int64_t max_bytes; /* of bodies */
    /* out: */
    int64_t version; /* 0: there is no such order */
    struct slice document;
    struct order_state *state;     /* whole; without FULL no personal fact has its value */
    struct store_told *deliveries; /* sorted by id */
    size_t delivery_count;
    struct pg_result *result;
    struct arena *arena; /* STATE's */
};
MUST_CHECK enum store_result store_explain(struct store *store,
                                           struct store_explanation *explanation, struct err *err);
void store_explanation_free(struct store_explanation *explanation);

/* What the console shows beside documents: a JSON text for each panel. */
struct store_panel {
    size_t number; /* from store_panel_named() */
    bool live;
    int32_t days;
    bool all_sources;
    const struct slice *sources; /* unless all_sources: only these */
    size_t source_count;
};
/* False: there is no panel NAME ("deliveries"). */
bool store_panel_named(struct slice name, size_t *number);
/* Appends the text to JSON. */
MUST_CHECK enum store_result store_read_panel(struct store *store, const struct store_panel *panel,
                                              struct strbuf *json, struct err *err);

/* How long a source has been silent. */
struct store_newest {
    struct slice source;
    int64_t age_ms; /* since its newest stored webhook was received */
};
/* Of the COUNT SOURCES those that have sent anything, into NEWEST, which has room for COUNT; their
 * slices are those of SOURCES. */
MUST_CHECK enum store_result store_newest(struct store *store, const struct slice *sources,
                                          size_t count, struct store_newest *newest,
                                          size_t *newest_count, struct err *err);

/* ---- health ---- */

struct store_health {
    bool durable;   /* fsync and full_page_writes are on */
    int64_t schema; /* the last migration that ran there; 0: none */
};
/* The next call connects even where the database was down a moment ago. */
void store_try_now(struct store *store);
MUST_CHECK enum store_result store_health(struct store *store, struct store_health *health,
                                          struct err *err);

/* ---- administration (owner of the schema) ---- */

/* The orders that deliveries speak of, in order of their keys: at most LIMIT after AFTER (NULL:
 * from the beginning). Returns the count. */
MUST_CHECK enum store_result store_order_keys(struct store *store, const struct uuid *after,
                                              size_t limit, struct uuid *keys, size_t *count,
                                              struct err *err);
MUST_CHECK enum store_result store_order_count(struct store *store, int64_t *count,
                                               struct err *err);

/* Removes entries of the change feed that a newer change of their order has replaced, among at most
 * ENTRIES behind *position, which it moves on; -1: there are no more. */
MUST_CHECK enum store_result store_prune_feed(struct store *store, int64_t *position,
                                              int32_t entries, int64_t *pruned, struct err *err);

/* One stored delivery, read back. */
struct store_delivery {
    struct slice source, provider, body; /* body empty and purged set where it was purged */
    bool purged;
    int64_t received_at;
    struct uuid id;
};
/*
 * Derives one order again: locks it, hands all its applied deliveries to READ, which fills
 * DELIVERIES (as delivery_identify() leaves them), and writes what they say, in one transaction.
 * READ returns false to leave the order as it is.
 */
struct store_rebuild {
    struct uuid order;
    bool (*read)(void *context, const struct store_delivery *stored, size_t count,
                 struct delivery ***deliveries, size_t *delivery_count);
    void *context;
    bool changed; /* out */
};
MUST_CHECK enum store_result store_rebuild(struct store *store, struct store_rebuild *rebuild,
                                           struct err *err);

#endif

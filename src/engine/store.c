#include "engine/store.h"

#include "adapter/crypto.h"
#include "base/limits.h"
#include "domain/fold.h"
#include "engine/store_connection.h"

#include <stdlib.h>
#include <string.h>

/* One call of the store takes no longer than this, so that its requests can still be answered
 * within five seconds. */
#define PROMPT_MS 3500
#define PATIENT_MS 600000
/* How long a database that cannot be reached is left alone. */
#define DOWN_MS 250
#define ATTEMPTS 3

struct store *store_new(const char *dsn, const char *application, enum store_patience patience) {
    struct store *store = calloc(1, sizeof(*store));
    if (store == NULL || !store_use(store, dsn)) {
        free(store);
        return NULL;
    }
    store->application = application;
    store->patience = patience;
    return store;
}

static void disconnect(struct store *store) {
    pg_close(store->pg);
    store->pg = NULL;
    /* The next server may be another one: a backup, say, whose versions tell of other documents. */
    document_cache_free(store->documents);
    store->documents = NULL;
}

static void forget_dsn(struct store *store) {
    if (store->dsn != NULL) {
        crypto_wipe(store->dsn, strlen(store->dsn));
        free(store->dsn);
    }
}

void store_free(struct store *store) {
    if (store != NULL) {
        disconnect(store);
        forget_dsn(store);
        free(store);
    }
}

bool store_use(struct store *store, const char *dsn) {
    if (store->dsn != NULL && strcmp(store->dsn, dsn) == 0) {
        return true;
    }
    char *copy = strdup(dsn);
    if (copy == NULL) {
        return false;
    }
    disconnect(store);
    forget_dsn(store);
    store->dsn = copy;
    store->down_until_ms = 0; /* that was another database, or another password */
    return true;
}

/*
 * The session as every statement expects it, whatever ALTER DATABASE and ALTER ROLE say. A server
 * that waits for its standbys to apply keeps doing so; nothing less than `on` is accepted. A
 * warning may say that a commit is not replicated. Time limits end what nobody waits for any more:
 * a program that stops between the halves of a batch would keep all others from the lane.
 */
static bool prepare_session(struct store *store, int64_t deadline_ms, struct err *err) {
    /* By itself, and first: a standby runs no query in the isolation level SERIALIZABLE. */
    static const char transactions[] =
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE,"
        " NOT DEFERRABLE";
    /* Those that an older server does not know are left out. */
    static const char settings[] =
        "SELECT pg_catalog.set_config(s.name, s.value, false) FROM (VALUES"
        " ('search_path', 'pg_catalog, pg_temp'), ('client_encoding', 'UTF8'),"
        " ('client_min_messages', 'warning'), ('standard_conforming_strings', 'on'),"
        " ('timezone', 'UTC'), ('datestyle', 'ISO, MDY'), ('intervalstyle', 'postgres'),"
        " ('bytea_output', 'hex'), ('extra_float_digits', '1'), ('statement_timeout', $1),"
        " ('lock_timeout', $2), ('idle_in_transaction_session_timeout', $3),"
        " ('transaction_timeout', '0'), ('synchronous_commit',"
        " CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=)"
        " 'remote_apply' THEN 'remote_apply' ELSE 'on' END)) AS s (name, value)"
        " WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL";
    bool patient = store->patience == STORE_PATIENT;
    struct pg_params params;
    pg_params_init(&params, 256);
    pg_add_text(&params, patient ? SLICE_OF("0") : SLICE_OF("3000"));
    pg_add_text(&params, patient ? SLICE_OF("0") : SLICE_OF("2000"));
    pg_add_text(&params, patient ? SLICE_OF("10000") : SLICE_OF("1000"));
    bool ok = pg_query(store->pg, transactions, NULL, deadline_ms, NULL, err) &&
              pg_query(store->pg, settings, &params, deadline_ms, NULL, err);
    pg_params_free(&params);
    return ok;
}

static bool connect_store(struct store *store, int64_t deadline_ms, struct err *err) {
    if (store->pg != NULL) {
        return true;
    }
    if (monotonic_ms() < store->down_until_ms) {
        return err_set(err, ERR_CONNECTION, "the database was down a moment ago");
    }
    store->pg = pg_connect(store->dsn, store->application, err);
    if (store->pg != NULL && prepare_session(store, deadline_ms, err) &&
        shapes_learn(store->pg, store->shapes, deadline_ms, err)) {
        return true;
    }
    disconnect(store);
    store->down_until_ms = monotonic_ms() + DOWN_MS;
    return false;
}

enum store_result store_run(struct store *store,
                            bool (*work)(struct store *, void *, int64_t, struct err *),
                            void *context, struct err *err) {
    int64_t deadline_ms =
        monotonic_ms() + (store->patience == STORE_PATIENT ? PATIENT_MS : PROMPT_MS);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        bool fresh = store->pg == NULL;
        if (attempt > 0 && fresh && monotonic_ms() < store->down_until_ms) {
            return STORE_DOWN; /* ERR still says why */
        }
        err_clear(err);
        if (!connect_store(store, deadline_ms, err)) {
            return STORE_DOWN;
        }
        if (work(store, context, deadline_ms, err)) {
            return STORE_OK;
        }
        if (pg_error_is_data(err)) {
            return STORE_REFUSED;
        }
        if (pg_error_needs_reconnect(err)) {
            /* A connection that broke while it was idle is no news; a new one that breaks is. */
            disconnect(store);
            if (fresh) {
                store->down_until_ms = monotonic_ms() + DOWN_MS;
            }
        } else if (!pg_error_is_retryable(err)) {
            break;
        }
        if (monotonic_ms() >= deadline_ms) {
            break;
        }
    }
    return STORE_DOWN;
}

/* ---- transactions ---- */

const char STORE_BEGIN[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const char STORE_COMMIT[] = "COMMIT";
const char STORE_WRITE_STATES[] =
    "SELECT waybill_data.write_states($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

void store_roll_back(struct store *store, int64_t deadline_ms) {
    struct err ignored = ERR_INIT;
    bool done = pg_query(store->pg, "ROLLBACK", NULL, deadline_ms, NULL, &ignored);
    (void)done;
}

struct states store_states(const struct store *store, bool digests) {
    return (struct states){
        .shapes = store->shapes, .arena = arena_new(LIMIT_STATES), .digests = digests};
}

bool store_load_states(struct states *states, const struct pg_result *result, int column,
                       struct err *err) {
    for (size_t row = 0; row < pg_row_count(result); row++) {
        struct slice part = pg_bytes(result, row, column);
        if (part.len > 0 && !states_load(states, part, err)) {
            return false;
        }
    }
    return true;
}

static bool take_spans(struct states *states, const struct pg_result *result) {
    for (size_t row = 0; row < pg_row_count(result); row++) {
        struct uuid key;
        memcpy(key.bytes, pg_bytes(result, row, 0).data, sizeof(key.bytes));
        struct order_state *order = uuid_map_find(&states->orders, &key);
        if (order == NULL) {
            return false;
        }
        order->others_first = pg_timestamp(result, row, 1);
        order->others_last = pg_timestamp(result, row, 2);
    }
    return true;
}

bool store_read_spans(struct store *store, struct states *states, const struct uuid_map *deliveries,
                      int64_t deadline_ms, struct err *err) {
    static const char sql[] =
        "SELECT order_key, first_event_at, last_event_at FROM waybill_data.read_spans($1, $2, $3)";
    struct strbuf ids = STRBUF_INIT(LIMIT_STATES);
    struct strbuf orders = STRBUF_INIT(LIMIT_STATES), events = STRBUF_INIT(LIMIT_STATES);
    struct pg_params params;
    struct pg_result *result = NULL;
    bool ok = true;
    for (size_t i = 0; i < states->orders.count; i++) {
        struct order_state *order = states->orders.items[i];
        if (!fold_loses_span(order)) {
            continue;
        }
        strbuf_add(&orders, order->key.bytes, sizeof(order->key.bytes));
        for (size_t j = 0; j < order->events.count; j++) {
            strbuf_add(&events, order->events.items[j], sizeof(struct uuid));
        }
    }
    for (size_t i = 0; orders.len > 0 && i < deliveries->count; i++) {
        strbuf_add(&ids, deliveries->items[i], sizeof(struct uuid));
    }
    if (orders.len > 0) {
        pg_params_init(&params, LIMIT_STATEMENT);
        pg_add_uuid_array(&params, (const uint8_t *)ids.data, ids.len / sizeof(struct uuid));
        pg_add_uuid_array(&params, (const uint8_t *)orders.data, orders.len / sizeof(struct uuid));
        pg_add_uuid_array(&params, (const uint8_t *)events.data, events.len / sizeof(struct uuid));
        ok = pg_query_prepared(store->pg, sql, &params, deadline_ms, &result, err) &&
             (take_spans(states, result) ||
              err_set(err, ERR_DATABASE, "the database returned the span of another order"));
        pg_params_free(&params);
        pg_result_clear(result);
    }
    bool failed = strbuf_failed(&ids) || strbuf_failed(&orders) || strbuf_failed(&events);
    ok = ok && (!failed || err_set(err, ERR_MEMORY, "out of memory"));
    strbuf_free(&ids);
    strbuf_free(&orders);
    strbuf_free(&events);
    return ok;
}

/* ---- health ---- */

static bool ask_health(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    /* The comment is what every role may read; waybill migrate keeps it. */
    static const char sql[] =
        "SELECT pg_catalog.current_setting('fsync') = 'on' AND pg_catalog.current_setting('full_page_writes') = 'on',"
        " COALESCE(pg_catalog.substring(pg_catalog.obj_description(pg_catalog.to_regnamespace('waybill_data'),"
        " 'pg_namespace'), '[0-9]+$')::bigint, 0)";
    struct store_health *health = context;
    struct pg_result *result = NULL;
    if (!pg_query(store->pg, sql, NULL, deadline_ms, &result, err)) {
        return false;
    }
    health->durable = pg_integer(result, 0, 0) != 0;
    health->schema = pg_integer(result, 0, 1);
    pg_result_clear(result);
    return true;
}

void store_try_now(struct store *store) {
    store->down_until_ms = 0;
}

enum store_result store_health(struct store *store, struct store_health *health, struct err *err) {
    return store_run(store, ask_health, health, err);
}

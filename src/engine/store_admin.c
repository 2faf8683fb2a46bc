#include "engine/store_connection.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define PATIENT_MS (int64_t)600000

static bool run_command(struct pg *pg, const char *sql, struct err *err) {
    return pg_query(pg, sql, NULL, monotonic_ms() + PATIENT_MS, NULL, err);
}

/* ---- rebuild ---- */

struct order_keys {
    const struct uuid *after;
    size_t limit;
    struct uuid *keys;
    size_t count;
};

static bool run_order_keys(struct store *store, void *context, int64_t deadline_ms,
                           struct err *err) {
    static const char sql[] =
        "SELECT DISTINCT order_key FROM waybill_data.deliveries"
        " WHERE order_key IS NOT NULL AND order_key > $1 ORDER BY order_key LIMIT $2";
    static const struct uuid zero;
    struct order_keys *wanted = context;
    struct pg_params params;
    struct pg_result *result = NULL;
    pg_params_init(&params, 4096);
    pg_add_uuid(&params, wanted->after != NULL ? wanted->after->bytes : zero.bytes);
    pg_add_int8(&params, (int64_t)wanted->limit);
    bool ok = pg_query(store->pg, sql, &params, deadline_ms, &result, err);
    pg_params_free(&params);
    if (ok) {
        wanted->count = pg_row_count(result);
        for (size_t i = 0; i < wanted->count; i++) {
            memcpy(wanted->keys[i].bytes, pg_bytes(result, i, 0).data, 16);
        }
    }
    pg_result_clear(result);
    return ok;
}

enum store_result store_order_keys(struct store *store, const struct uuid *after, size_t limit,
                                   struct uuid *keys, size_t *count, struct err *err) {
    struct order_keys wanted = {after, limit, keys, 0};
    enum store_result result = store_run(store, run_order_keys, &wanted, err);
    *count = wanted.count;
    return result;
}

static bool run_order_count(struct store *store, void *context, int64_t deadline_ms,
                            struct err *err) {
    struct pg_result *result = NULL;
    if (!pg_query(store->pg,
                  "SELECT pg_catalog.count(DISTINCT order_key) FROM waybill_data.deliveries", NULL,
                  deadline_ms, &result, err)) {
        return false;
    }
    *(int64_t *)context = pg_integer(result, 0, 0);
    pg_result_clear(result);
    return true;
}

enum store_result store_order_count(struct store *store, int64_t *count, struct err *err) {
    return store_run(store, run_order_count, count, err);
}

struct pruning {
    int64_t position, pruned;
    int32_t entries;
};

static bool run_prune(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    struct pruning *pruning = context;
    struct pg_params params;
    struct pg_result *result = NULL;
    pg_params_init(&params, 4096);
    pg_add_int8(&params, pruning->position);
    pg_add_int4(&params, pruning->entries);
    bool ok = pg_query(store->pg, "SELECT looked_to, pruned FROM waybill_data.prune_feed($1, $2)",
                       &params, deadline_ms, &result, err);
    pg_params_free(&params);
    if (ok) {
        pruning->position = pg_is_null(result, 0, 0) ? -1 : pg_integer(result, 0, 0);
        pruning->pruned = pg_integer(result, 0, 1);
    }
    pg_result_clear(result);
    return ok;
}

enum store_result store_prune_feed(struct store *store, int64_t *position, int32_t entries,
                                   int64_t *pruned, struct err *err) {
    struct pruning pruning = {*position, 0, entries};
    enum store_result result = store_run(store, run_prune, &pruning, err);
    *position = pruning.position;
    *pruned = pruning.pruned;
    return result;
}

static bool write_rebuilt(struct store *store, struct store_rebuild *rebuild,
                          struct delivery *const *deliveries, size_t count, int64_t deadline_ms,
                          struct err *err) {
    struct pg_params params;
    struct pg_result *result = NULL;
    pg_params_init(&params, (size_t)1 << 30);
    pg_add_uuid(&params, rebuild->order.bytes);
    bool ok = store_add_changes(store, &params, deliveries, count, false, err) &&
              pg_query(store->pg, "SELECT waybill_data.rebuild_order($1, $2, $3, $4, $5, $6, $7)",
                       &params, deadline_ms, &result, err);
    if (ok) {
        rebuild->changed = pg_integer(result, 0, 0) != 0;
    }
    pg_params_free(&params);
    pg_result_clear(result);
    return ok;
}

/* The rows of RESULT as the use case wants them; they point into it. */
static struct store_delivery *stored_deliveries(const struct pg_result *result) {
    struct store_delivery *stored = calloc(pg_row_count(result) + 1, sizeof(*stored));
    for (size_t row = 0; stored != NULL && row < pg_row_count(result); row++) {
        stored[row] = (struct store_delivery){
            .source = pg_bytes(result, row, 1),
            .provider = pg_bytes(result, row, 2),
            .body = pg_bytes(result, row, 3),
            .purged = pg_is_null(result, row, 3),
            .received_at = pg_timestamp(result, row, 4),
        };
        memcpy(stored[row].id.bytes, pg_bytes(result, row, 0).data, 16);
    }
    return stored;
}

static bool rebuild_locked(struct store *store, struct store_rebuild *rebuild, int64_t deadline_ms,
                           struct err *err) {
    /* The lock first, in a statement of its own: what commits later waits for it, what committed
     * before is seen by the next. */
    static const char lock[] =
        "SELECT 1 FROM waybill_data.orders WHERE order_key = $1 FOR NO KEY UPDATE";
    static const char read[] =
        "SELECT delivery_id, source, provider, body, received_at FROM waybill_data.deliveries"
        " WHERE order_key = $1 AND outcome = 'applied' ORDER BY delivery_id";
    struct pg_params params;
    struct pg_result *result = NULL;
    pg_params_init(&params, 4096);
    pg_add_uuid(&params, rebuild->order.bytes);
    bool ok = pg_query(store->pg, lock, &params, deadline_ms, NULL, err) &&
              pg_query(store->pg, read, &params, deadline_ms, &result, err);
    pg_params_free(&params);
    struct store_delivery *stored = ok ? stored_deliveries(result) : NULL;
    if (ok && stored == NULL) {
        ok = err_set(err, ERR_MEMORY, "out of memory");
    }
    struct delivery **deliveries = NULL;
    size_t count = 0;
    rebuild->changed = false;
    if (ok && rebuild->read(rebuild->context, stored, pg_row_count(result), &deliveries, &count)) {
        ok = write_rebuilt(store, rebuild, deliveries, count, deadline_ms, err);
    }
    free(stored);
    pg_result_clear(result);
    return ok;
}

static bool run_rebuild(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    struct err ignored = ERR_INIT;
    if (!run_command(store->pg, "BEGIN", err)) {
        return false;
    }
    if (rebuild_locked(store, context, deadline_ms, err) && run_command(store->pg, "COMMIT", err)) {
        return true;
    }
    /* A failing rollback means a broken connection, which the caller finds out by itself. */
    bool rolled_back = run_command(store->pg, "ROLLBACK", &ignored);
    (void)rolled_back;
    return false;
}

enum store_result store_rebuild(struct store *store, struct store_rebuild *rebuild,
                                struct err *err) {
    return store_run(store, run_rebuild, rebuild, err);
}

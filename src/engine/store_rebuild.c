#include "engine/store_connection.h"

#include "base/limits.h"
#include "domain/shown.h"

#include <stdlib.h>
#include <string.h>

/*
 * A rebuild reads the state and the deliveries of an order and folds these from nothing, all
 * without a lock; only where that differs from what is stored it takes the lock of the lane and
 * writes, unless the order was written meanwhile: then it begins again.
 */

#define ATTEMPTS 10

/* ---- which orders ---- */

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

/* ---- one order ---- */

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

/* The template of a link comes from the configuration and not from a delivery: it stays. */
static void keep_templates(struct order_state *made, const struct order_state *stored) {
    int number = fact_row(FACT_TRACKING_URL_TEMPLATE)->number;
    for (size_t i = 0; i < made->boxes.count; i++) {
        struct box_state *box = made->boxes.items[i];
        const struct box_state *old = uuid_map_find(&stored->boxes, &box->key);
        if (old != NULL) {
            box->values[FACT_TRACKING_URL_TEMPLATE] = old->values[FACT_TRACKING_URL_TEMPLATE];
            box->registers.keys[number] = old->registers.keys[number];
        }
    }
}

static int compare_items(const void *left, const void *right) {
    return memcmp(*(void *const *)left, *(void *const *)right, sizeof(struct uuid));
}

static void sort_items(struct uuid_map *map) {
    if (map->count > 0) {
        qsort(map->items, map->count, sizeof(*map->items), compare_items);
    }
}

static bool comes_before(const struct order_change_state *a, const struct order_change_state *b) {
    int by_delivery = memcmp(&a->key, &b->key, sizeof(a->key));
    return by_delivery != 0 ? by_delivery < 0 : a->change.field < b->change.field;
}

static void sort_changes(struct order_state *order) {
    struct order_change_state *sorted = NULL;
    while (order->order_changes != NULL) {
        struct order_change_state *row = order->order_changes, **place = &sorted;
        order->order_changes = row->next;
        while (*place != NULL && comes_before(*place, row)) {
            place = &(*place)->next;
        }
        row->next = *place;
        *place = row;
    }
    order->order_changes = sorted;
}

/* The rows of ORDER as if all were new, in the order of their keys: equal states give equal bytes.
 * The maps lose their look-up. */
static void add_all_rows(struct states *states, struct order_state *order,
                         struct pg_params *params) {
    struct uuid_map *const maps[] = {&order->boxes, &order->events, &order->documents};
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        sort_items(maps[i]);
    }
    sort_changes(order);
    order->row = ROW_NEW;
    for (size_t i = 0; i < order->boxes.count; i++) {
        ((struct box_state *)order->boxes.items[i])->row = ROW_NEW;
    }
    for (size_t i = 0; i < order->events.count; i++) {
        ((struct event_state *)order->events.items[i])->row = ROW_NEW;
    }
    for (size_t i = 0; i < order->documents.count; i++) {
        ((struct document_state *)order->documents.items[i])->row = ROW_NEW;
    }
    states_add_rows(states, params);
}

/* What one attempt knows. */
struct attempt {
    struct states stored, made;
    struct order_state *before, *after; /* before NULL: the order has no row */
};

static bool fold_all(struct attempt *attempt, const struct store_rebuild *rebuild,
                     struct delivery *const *deliveries, size_t count, struct err *err) {
    bool failed = false;
    for (size_t i = 0; i < count; i++) {
        if (!states_fold(&attempt->made, deliveries[i], err)) {
            return false;
        }
    }
    attempt->made.manifests = (struct uuid_map){.count = 0}; /* they are not this order's */
    attempt->after = uuid_map_find(&attempt->made.orders, &rebuild->order);
    if (attempt->after == NULL) {
        return err_set(err, ERR_DATABASE, "the deliveries of an order speak of another one");
    }
    if (attempt->before != NULL) {
        keep_templates(attempt->after, attempt->before);
        attempt->after->version = attempt->before->version;
        attempt->after->updated_at = attempt->before->updated_at;
        attempt->after->writes = attempt->before->writes;
        attempt->after->provider = attempt->before->provider;
    } else {
        attempt->after->updated_at = 0; /* until it is announced */
    }
    bool shown = shown_order(attempt->after, attempt->made.arena, &failed);
    (void)shown;
    return !failed || err_set(err, ERR_MEMORY, "out of memory");
}

/* Whether what was made is what is stored; PARAMS then has the rows that were made. */
static bool is_as_stored(struct attempt *attempt, struct pg_params *params) {
    struct pg_params stored;
    pg_params_init(&stored, LIMIT_STATEMENT);
    if (attempt->before != NULL) {
        add_all_rows(&attempt->stored, attempt->before, &stored);
    }
    add_all_rows(&attempt->made, attempt->after, params);
    bool same = attempt->before != NULL && pg_params_are_equal(&stored, params);
    pg_params_free(&stored);
    return same;
}

static bool write_made(struct store *store, struct store_rebuild *rebuild, struct attempt *attempt,
                       bool *stale, int64_t deadline_ms, struct err *err) {
    static const char sql[] =
        "SELECT waybill_data.replace_order($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    struct pg_params params;
    struct pg_step steps[] = {
        {.sql = STORE_BEGIN}, {.sql = sql, .params = &params}, {.sql = STORE_COMMIT}};
    attempt->after->writes++;
    pg_params_init(&params, LIMIT_STATEMENT);
    pg_add_uuid(&params, rebuild->order.bytes);
    if (attempt->before != NULL) {
        pg_add_int4(&params, (int32_t)attempt->before->writes);
    } else {
        pg_add_null(&params);
    }
    states_add_rows(&attempt->made, &params);
    bool ok = pg_pipeline(store->pg, steps, ARRAY_LEN(steps), deadline_ms, err);
    if (ok) {
        struct slice result = pg_bytes(steps[1].result, 0, 0);
        *stale = slice_eq(result, SLICE_OF("stale"));
        rebuild->changed = slice_eq(result, SLICE_OF("changed"));
    } else {
        store_roll_back(store, deadline_ms);
    }
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        pg_result_clear(steps[i].result);
    }
    pg_params_free(&params);
    return ok;
}

static bool make_order(struct store *store, struct store_rebuild *rebuild, struct attempt *attempt,
                       const struct pg_result *stored_result, bool *stale, int64_t deadline_ms,
                       struct err *err) {
    struct store_delivery *stored = stored_deliveries(stored_result);
    struct delivery **deliveries = NULL;
    struct pg_params params;
    size_t count = 0;
    bool ok = stored != NULL || err_set(err, ERR_MEMORY, "out of memory");
    pg_params_init(&params, LIMIT_STATEMENT);
    if (ok &&
        rebuild->read(rebuild->context, stored, pg_row_count(stored_result), &deliveries, &count)) {
        ok = fold_all(attempt, rebuild, deliveries, count, err) &&
             (is_as_stored(attempt, &params) ||
              write_made(store, rebuild, attempt, stale, deadline_ms, err));
    }
    pg_params_free(&params);
    free(stored);
    return ok;
}

static bool try_rebuild(struct store *store, struct store_rebuild *rebuild, bool *stale,
                        int64_t deadline_ms, struct err *err) {
    /* The state first: what comes in between counts as a write of the order. */
    static const char state[] = "SELECT s FROM waybill_data.read_order($1, true, true) s";
    static const char read[] =
        "SELECT d.delivery_id, d.source, d.provider, b.body, d.received_at"
        " FROM waybill_data.deliveries d LEFT JOIN waybill_data.bodies b"
        " ON b.received_at = d.received_at AND b.delivery_id = d.delivery_id"
        " WHERE d.order_key = $1 AND d.outcome = 'applied' ORDER BY d.delivery_id";
    struct attempt attempt = {store_states(store, false), store_states(store, false), NULL, NULL};
    struct pg_params params;
    struct pg_result *state_result = NULL, *deliveries = NULL;
    pg_params_init(&params, 4096);
    pg_add_uuid(&params, rebuild->order.bytes);
    bool ok = (attempt.stored.arena != NULL && attempt.made.arena != NULL) ||
              err_set(err, ERR_MEMORY, "out of memory");
    ok = ok && pg_query(store->pg, state, &params, deadline_ms, &state_result, err) &&
         store_load_states(&attempt.stored, state_result, 0, err) &&
         pg_query(store->pg, read, &params, deadline_ms, &deliveries, err);
    pg_params_free(&params);
    if (ok) {
        attempt.before = uuid_map_find(&attempt.stored.orders, &rebuild->order);
        ok = make_order(store, rebuild, &attempt, deliveries, stale, deadline_ms, err);
    }
    pg_result_clear(state_result);
    pg_result_clear(deliveries);
    arena_free(attempt.stored.arena);
    arena_free(attempt.made.arena);
    return ok;
}

static bool run_rebuild(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    struct store_rebuild *rebuild = context;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        bool stale = false;
        rebuild->changed = false;
        if (!try_rebuild(store, rebuild, &stale, deadline_ms, err)) {
            return false;
        }
        if (!stale) {
            return true;
        }
    }
    return err_set(err, ERR_DATABASE, "webhooks kept changing the order while it was rebuilt");
}

enum store_result store_rebuild(struct store *store, struct store_rebuild *rebuild,
                                struct err *err) {
    return store_run(store, run_rebuild, rebuild, err);
}

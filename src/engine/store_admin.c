#include "engine/store_connection.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define PATIENT_MS (int64_t)600000

static bool run_command(struct pg *pg, const char *sql, struct err *err) {
    return pg_query(pg, sql, NULL, monotonic_ms() + PATIENT_MS, NULL, err);
}

<<<<<<< HEAD
/* The number of the last migration that ran. Waits for another waybill migrate: the lock lasts
 * until the end of the transaction. */
static bool lock_and_look(struct pg *pg, int64_t *last, struct err *err) {
    static const char lock[] =
        "SELECT pg_catalog.pg_advisory_xact_lock(7795553107002310253)"; /* "wybl…": ours alone */
    static const char exists[] =
        "SELECT 1 WHERE pg_catalog.to_regclass('waybill_data.schema_migrations') IS NOT NULL";
    static const char newest[] =
        "SELECT COALESCE(pg_catalog.max(number), 0) FROM waybill_data.schema_migrations";
    struct pg_result *result = NULL;
    *last = 0;
    if (!run_command(pg, lock, err) ||
        !pg_query(pg, exists, NULL, monotonic_ms() + PATIENT_MS, &result, err)) {
        return false;
    }
    bool begun = pg_row_count(result) > 0;
    pg_result_clear(result);
    if (!begun) {
        return true;
    }
    if (!pg_query(pg, newest, NULL, monotonic_ms() + PATIENT_MS, &result, err)) {
        return false;
    }
    *last = pg_integer(result, 0, 0);
=======
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
>>>>>>> schema
    pg_result_clear(result);
    return true;
}

<<<<<<< HEAD
#define MIGRATION_COMMENT                                                                          \
    "COMMENT ON SCHEMA waybill_data IS 'Tables and functions of waybill, schema %lld'"

static bool record(struct pg *pg, const struct store_migration *migration, struct err *err) {
    struct pg_params params;
    pg_params_init(&params, 4096);
    pg_add_int4(&params, (int32_t)number_of(migration->name));
    pg_add_text(&params, slice_from_cstr(migration->name));
    bool ok =
        pg_query(pg, "INSERT INTO waybill_data.schema_migrations (number, name) VALUES ($1, $2)",
                 &params, monotonic_ms() + PATIENT_MS, NULL, err);
    pg_params_free(&params);
    /* Where every role can read it. */
    char comment[160];
    struct strbuf text;
    strbuf_init(&text, sizeof(comment));
    strbuf_addf(&text, MIGRATION_COMMENT, (long long)number_of(migration->name));
    struct slice sql = strbuf_slice(&text);
    if (ok && !strbuf_failed(&text) && sql.len < sizeof(comment)) {
        memcpy(comment, sql.data, sql.len);
        comment[sql.len] = '\0';
        ok = run_command(pg, comment, err);
    }
    strbuf_free(&text);
    return ok;
}

static bool run_migration(struct pg *pg, const struct store_migration *migration,
                          void (*told)(const char *text), struct err *err) {
    /* The first makes the owner; the others run as it, so that it owns all they make. */
    bool as_owner = number_of(migration->name) > 1;
    return (!as_owner || run_command(pg, "SET LOCAL ROLE waybill_owner", err)) &&
           pg_script(pg, migration->sql, told, err) && record(pg, migration, err);
}

/* One transaction: the next migration that is missing, if any. */
static bool run_next(struct pg *pg, const struct store_migration *migrations,
                     void (*told)(const char *text), bool *ran, struct err *err) {
    int64_t last = 0;
    *ran = false;
    if (!run_command(pg, "BEGIN", err) || !lock_and_look(pg, &last, err)) {
        return false;
    }
    for (const struct store_migration *migration = migrations; migration->name != NULL;
         migration++) {
        if (number_of(migration->name) > last) {
            if (!run_migration(pg, migration, told, err)) {
                struct err why = *err;
                err_clear(err);
                return err_set(err, why.kind, "%s: %s", migration->name, why.message);
            }
            told(migration->name);
            *ran = true;
            break;
        }
    }
    return run_command(pg, "COMMIT", err);
}

void store_migration_script(const struct store_migration *migrations, int64_t last,
                            void (*put)(const char *text)) {
    for (const struct store_migration *migration = migrations; migration->name != NULL;
         migration++) {
        long long number = (long long)number_of(migration->name);
        char text[256];
        if (number <= last) {
            continue;
        }
        (void)snprintf(text, sizeof(text), "-- %s\nBEGIN;\n%s", migration->name,
                       number > 1 ? "SET LOCAL ROLE waybill_owner;\n" : "");
        put(text);
        put(migration->sql);
        (void)snprintf(
            text, sizeof(text),
            "INSERT INTO waybill_data.schema_migrations (number, name) VALUES (%lld, '%s');\n",
            number, migration->name);
        put(text);
        (void)snprintf(text, sizeof(text), MIGRATION_COMMENT ";\nCOMMIT;\n", number);
        put(text);
    }
}

bool store_migrate(const char *dsn, const struct store_migration *migrations,
                   void (*told)(const char *text), size_t *ran, struct err *err) {
    struct pg *pg = pg_connect(dsn, "waybill migrate", err);
    bool more = pg != NULL;
    bool ok = pg != NULL;
    *ran = 0;
    while (ok && more) {
        ok = run_next(pg, migrations, told, &more, err);
        *ran += ok && more ? 1 : 0;
    }
    pg_close(pg);
    return ok;
}

/* ---- pruning ---- */
=======
enum store_result store_order_count(struct store *store, int64_t *count, struct err *err) {
    return store_run(store, run_order_count, count, err);
}
>>>>>>> schema

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

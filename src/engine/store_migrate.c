#include "engine/store_migrate.h"

#include "adapter/crypto.h"
#include "adapter/pg.h"
#include "base/embedded.h"
#include "base/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The folders of schema/. */
extern const struct embedded_file migration_table[], view_table[], function_table[];

/* The files that may run more than once. */
static const struct folder {
    const char *name;
    const struct embedded_file *files;
} views = {"views", view_table}, functions = {"functions", function_table};

#define PATIENT_MS ((int64_t)600000)
#define STATEMENT_MAX ((size_t)64 * 1024)

struct migration {
    struct pg *pg;                 /* NULL: a new database, of which only the script is wanted */
    void (*put)(const char *text); /* gets the script; NULL: the statements are run */
    void (*report)(const char *text);
    struct strbuf names;      /* of all files of the folders, as an array in SQL */
    struct strbuf sql;        /* the statement that is being made */
    int64_t last;             /* the last migration that ran there before */
    struct pg_result *stored; /* name and digest of the files whose views and functions exist */
    struct store_migrated ran;
};

/* ---- statements ---- */

static bool query(const struct migration *migration, const char *sql, struct pg_result **result,
                  struct err *err) {
    return pg_query(migration->pg, sql, NULL, monotonic_ms() + PATIENT_MS, result, err);
}

/* Runs SQL, or gives it to the script. */
static bool give(const struct migration *migration, const char *sql, struct err *err) {
    if (migration->put == NULL) {
        return pg_script(migration->pg, sql, migration->report, err);
    }
    migration->put(sql);
    return true;
}

/* The statement in migration->sql; NULL without memory. */
static const char *made(struct migration *migration, struct err *err) {
    strbuf_add_char(&migration->sql, '\0');
    if (strbuf_failed(&migration->sql)) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    return migration->sql.data;
}

/* Gives it and begins the next. */
static bool give_made(struct migration *migration, struct err *err) {
    const char *sql = made(migration, err);
    bool ok = sql != NULL && give(migration, sql, err);
    strbuf_clear(&migration->sql);
    return ok;
}

/* What no file makes, as what follows DROP. */
static void add_strays(struct strbuf *sql, struct slice names) {
    strbuf_addf(
        sql,
        "SELECT 'VIEW ' || string_agg(c.oid::regclass::text, ', ') FROM pg_class c WHERE c.relkind = 'v'"
        " AND c.relnamespace::regnamespace::text IN ('waybill', 'waybill_audit', 'waybill_data')"
        " AND 'views/' || c.relnamespace::regnamespace || '.' || c.relname || '.sql' <> ALL (%.*s)"
        " HAVING count(*) > 0"
        " UNION ALL SELECT 'ROUTINE ' || string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p"
        " WHERE p.pronamespace = 'waybill_data'::regnamespace AND NOT EXISTS ("
        "SELECT FROM waybill_data.schema_files f WHERE f.name = ANY (%.*s)"
        " AND p.oid::regprocedure::text = ANY (f.functions)) HAVING count(*) > 0",
        SLICE_ARGS(names), SLICE_ARGS(names));
}

/* ---- what the database has ---- */

static int64_t number_of(const struct embedded_file *file) {
    struct slice digits, rest;
    int64_t number = 0;
    slice_split(slice_from_cstr(file->name), '_', &digits, &rest);
    return slice_to_int64(digits, &number) ? number : 0;
}

static bool add_names(struct migration *migration, struct err *err) {
    strbuf_add_cstr(&migration->names, "'{");
    for (const struct embedded_file *file = view_table; file->name != NULL; file++) {
        strbuf_addf(&migration->names, "views/%s,", file->name);
    }
    for (const struct embedded_file *file = function_table; file->name != NULL; file++) {
        strbuf_addf(&migration->names, "functions/%s,", file->name);
    }
    strbuf_add_cstr(&migration->names, "migrations}'::text[]");
    return !strbuf_failed(&migration->names) || err_set(err, ERR_MEMORY, "out of memory");
}

static bool read_state(struct migration *migration, struct err *err) {
    static const char begun[] =
        "SELECT 1 WHERE pg_catalog.to_regclass('waybill_data.schema_migrations') IS NOT NULL";
    static const char last[] =
        "SELECT COALESCE(pg_catalog.max(number), 0) FROM waybill_data.schema_migrations";
    static const char stored[] =
        "SELECT f.name, f.digest FROM waybill_data.schema_files f"
        " WHERE NOT EXISTS (SELECT FROM unnest(f.functions) u (name) WHERE to_regprocedure(u.name) IS NULL)"
        " AND (f.name NOT LIKE 'views/%' OR to_regclass(substring(f.name FROM 'views/(.*)[.]sql')) IS NOT NULL)";
    struct pg_result *result = NULL;
    if (migration->pg == NULL) {
        return true;
    }
    if (!query(migration, begun, &result, err)) {
        return false;
    }
    bool is_new = pg_row_count(result) == 0;
    pg_result_clear(result);
    if (is_new) {
        return true;
    }
    if (!query(migration, last, &result, err)) {
        return false;
    }
    migration->last = pg_integer(result, 0, 0);
    pg_result_clear(result);
    return query(migration, stored, &migration->stored, err);
}

/* Whether the file runs: it is not stored as it is, or a migration ran. */
static bool is_due(const struct migration *migration, const char *path, const uint8_t *digest) {
    struct slice name = slice_from_cstr(path), bytes = {(const char *)digest, SHA256_LEN};
    if (migration->ran.migrations > 0 || migration->stored == NULL) {
        return true;
    }
    for (size_t row = 0; row < pg_row_count(migration->stored); row++) {
        if (slice_eq(pg_bytes(migration->stored, row, 0), name)) {
            return !slice_eq(pg_bytes(migration->stored, row, 1), bytes);
        }
    }
    return true;
}

/* ---- what it lacks ---- */

/* One row of what there is to do. */
struct step {
    const struct embedded_file *file;
    const struct folder *folder; /* NULL: a migration */
    char path[128];
    uint8_t digest[SHA256_LEN];
};

static bool run_migration(struct migration *migration, const struct step *step, struct err *err) {
    int64_t number = number_of(step->file);
    strbuf_addf(
        &migration->sql,
        "INSERT INTO waybill_data.schema_migrations (number, name) VALUES (%" PRId64 ", '%s');\n"
        /* Where every role can read it. */
        "COMMENT ON SCHEMA waybill_data IS 'Tables and functions of waybill, schema %" PRId64
        "';\n",
        number, step->file->name, number);
    migration->ran.migrations++;
    return (number == 1 || give(migration, "SET LOCAL ROLE waybill_owner;\n", err)) &&
           give(migration, step->file->text, err) && give_made(migration, err);
}

/* Before the file of STEP runs: replacing a function would keep its old privileges and cannot
 * change its result; of a view that is replaced, our roles lose their privileges. */
static bool prepare(struct migration *migration, const struct step *step, struct err *err) {
    if (step->folder == &functions) {
        strbuf_addf(
            &migration->sql,
            "DO $do$ DECLARE old regprocedure; BEGIN FOR old IN SELECT to_regprocedure(u.name)"
            " FROM waybill_data.schema_files f, unnest(f.functions) u (name) WHERE f.name = '%s' LOOP"
            " CONTINUE WHEN old IS NULL OR EXISTS (SELECT FROM pg_depend d"
            " WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = old);"
            " EXECUTE 'DROP ROUTINE ' || old; END LOOP; END $do$;\n",
            step->path);
    } else {
        struct slice name = slice_from_cstr(step->file->name);
        struct slice view = slice_first(name, name.len - strlen(".sql"));
        strbuf_addf(&migration->sql,
                    "DO $do$ BEGIN IF to_regclass('%.*s') IS NOT NULL THEN REVOKE ALL ON %.*s"
                    " FROM waybill_report, waybill_audit, waybill_ingest, waybill_status; END IF;"
                    " END $do$;\n",
                    SLICE_ARGS(view), SLICE_ARGS(view));
    }
    return give_made(migration, err);
}

static bool run_file(struct migration *migration, const struct step *step, struct err *err) {
    char digest[2 * SHA256_LEN + 1];
    migration->ran.files++;
    if (!prepare(migration, step, err)) {
        return false;
    }
    hex_encode(step->digest, sizeof(step->digest), digest);
    strbuf_addf(
        &migration->sql,
        "INSERT INTO waybill_data.schema_files (name, digest, functions)"
        " SELECT '%s', '\\x%s', %s ON CONFLICT (name) DO UPDATE SET"
        " digest = excluded.digest, functions = excluded.functions, applied_at = now();\n",
        step->path, digest,
        step->folder == &functions
            /* What this transaction made and no file before. */
            ? "ARRAY(SELECT p.oid::regprocedure::text FROM pg_proc p"
              " WHERE p.pronamespace = 'waybill_data'::regnamespace AND age(p.xmin) <= 0"
              " AND NOT EXISTS (SELECT FROM waybill_data.schema_files f WHERE f.applied_at = now()"
              " AND p.oid::regprocedure::text = ANY (f.functions)) ORDER BY 1)"
            : "'{}'");
    return give(migration, step->file->text, err) && give_made(migration, err);
}

typedef bool run_function(struct migration *migration, const struct step *step, struct err *err);

/* Calls RUN for each migration that is due until one fails. */
static bool each_migration(struct migration *migration, run_function *run, struct err *err) {
    struct step step = {.folder = NULL};
    for (step.file = migration_table; step.file->name != NULL; step.file++) {
        (void)snprintf(step.path, sizeof(step.path), "%s", step.file->name);
        if (number_of(step.file) > migration->last && !run(migration, &step, err)) {
            return false;
        }
    }
    return true;
}

/* The same for the files of a folder. */
static bool each_file(struct migration *migration, const struct folder *folder, run_function *run,
                      struct err *err) {
    struct step step = {.folder = folder};
    for (step.file = folder->files; step.file->name != NULL; step.file++) {
        (void)snprintf(step.path, sizeof(step.path), "%s/%s", folder->name, step.file->name);
        if (!crypto_sha256((struct slice){step.file->text, step.file->len}, step.digest)) {
            return err_set(err, ERR_MEMORY, "out of memory");
        }
        if (is_due(migration, step.path, step.digest) && !run(migration, &step, err)) {
            return false;
        }
    }
    return true;
}

static bool run_step(struct migration *migration, const struct step *step, struct err *err) {
    char text[sizeof(step->path) + 8];
    (void)snprintf(text, sizeof(text), "-- %s\n", step->path);
    if (migration->put != NULL) {
        migration->put(text);
    }
    bool ok =
        step->folder == NULL ? run_migration(migration, step, err) : run_file(migration, step, err);
    if (!ok) {
        struct err why = *err;
        err_clear(err);
        err_set(err, why.kind, "%s: %s", step->path, why.message);
        memcpy(err->sqlstate, why.sqlstate, sizeof(err->sqlstate));
    } else if (migration->put == NULL && step->folder == NULL) {
        migration->report(step->path);
    }
    return ok;
}

static bool is_step(struct migration *migration, const struct step *step, struct err *err) {
    (void)step;
    (void)err;
    migration->ran.anything = true;
    return false;
}

/* Sets ran.anything. */
static bool find_anything(struct migration *migration, struct err *err) {
    struct pg_result *result = NULL;
    if (!each_migration(migration, is_step, err) || !each_file(migration, &views, is_step, err) ||
        !each_file(migration, &functions, is_step, err)) {
        return !err_is_set(err);
    }
    struct slice names = strbuf_slice(&migration->names);
    add_strays(&migration->sql, names);
    strbuf_addf(&migration->sql,
                " UNION ALL SELECT name FROM waybill_data.schema_files WHERE name <> ALL (%.*s)",
                SLICE_ARGS(names));
    const char *sql = made(migration, err);
    bool ok = sql != NULL && query(migration, sql, &result, err);
    migration->ran.anything = ok && pg_row_count(result) > 0;
    strbuf_clear(&migration->sql);
    pg_result_clear(result);
    return ok;
}

/* After the views, which no longer use what goes, and before the functions: two of one name would
 * be ambiguous there. */
static bool drop_strays(struct migration *migration, struct err *err) {
    struct slice names = strbuf_slice(&migration->names);
    strbuf_addf(&migration->sql,
                "SET LOCAL client_min_messages = notice;\n"
                "DO $do$ DECLARE what text; BEGIN"
                " DELETE FROM waybill_data.schema_files WHERE name <> ALL (%.*s); FOR what IN ",
                SLICE_ARGS(names));
    add_strays(&migration->sql, names);
    strbuf_add_cstr(&migration->sql, " LOOP RAISE NOTICE 'DROP %', what;"
                                     " EXECUTE 'DROP ' || what; END LOOP; END $do$;\n"
                                     "SET LOCAL client_min_messages = warning;\n");
    return give_made(migration, err);
}

/* All that is to do, after BEGIN. */
static bool bring_up(struct migration *migration, struct err *err) {
    static const char lock_lanes[] =
        "SET LOCAL ROLE waybill_owner;\n"
        "DO $do$ BEGIN PERFORM FROM waybill_data.lanes ORDER BY lane FOR NO KEY UPDATE; END $do$;\n";
    return (migration->last == 0 || give(migration, lock_lanes, err)) &&
           each_migration(migration, run_step, err) &&
           each_file(migration, &views, run_step, err) && drop_strays(migration, err) &&
           each_file(migration, &functions, run_step, err);
}

/* The settings on which the files rest, whatever the database and the role say. */
static const char begin[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n"
                            "SET LOCAL search_path = pg_catalog, pg_temp;\n"
                            "SET LOCAL statement_timeout = 0;\n"
                            "SET LOCAL lock_timeout = '3s';\n"
                            "SET LOCAL standard_conforming_strings = on;\n"
                            "SET LOCAL client_min_messages = warning;\n";

static bool migrate(struct migration *migration, struct err *err) {
    static const char lock[] =
        "SELECT pg_advisory_xact_lock(7795553107002310253);"; /* "wybl…": ours alone */
    return give(migration, begin, err) && give(migration, lock, err) &&
           read_state(migration, err) && find_anything(migration, err) &&
           (!migration->ran.anything || bring_up(migration, err)) &&
           query(migration, "COMMIT", NULL, err);
}

static bool migration_begin(struct migration *migration, const char *dsn, struct err *err) {
    strbuf_init(&migration->names, STATEMENT_MAX);
    strbuf_init(&migration->sql, 2 * STATEMENT_MAX);
    if (dsn != NULL) {
        migration->pg = pg_connect(dsn, "waybill migrate", err);
    }
    return add_names(migration, err) && (dsn == NULL || migration->pg != NULL);
}

static void migration_forget(struct migration *migration) {
    pg_result_clear(migration->stored);
    migration->stored = NULL;
    migration->last = 0;
    migration->ran = (struct store_migrated){.anything = false};
    strbuf_clear(&migration->sql);
}

static void migration_end(struct migration *migration) {
    migration_forget(migration);
    strbuf_free(&migration->names);
    strbuf_free(&migration->sql);
    pg_close(migration->pg);
}

bool store_migrate(const char *dsn, void (*report)(const char *text), struct store_migrated *ran,
                   struct err *err) {
    static const struct timespec pause = {.tv_sec = 1};
    struct migration migration = {.report = report};
    int64_t give_up_ms = monotonic_ms() + PATIENT_MS;
    bool waits = false;
    bool ok = migration_begin(&migration, dsn, err);
    while (ok && !migrate(&migration, err)) {
        struct err ignored = ERR_INIT;
        ok = pg_error_is_retryable(err) && monotonic_ms() < give_up_ms &&
             query(&migration, "ROLLBACK", NULL, &ignored);
        if (ok) {
            if (!waits) {
                report("waiting for a lock that another session holds");
            }
            waits = true;
            err_clear(err);
            migration_forget(&migration);
            (void)nanosleep(&pause, NULL);
        }
    }
    *ran = migration.ran;
    migration_end(&migration);
    return ok;
}

bool store_migrate_script(const char *dsn, void (*put)(const char *text), struct err *err) {
    struct migration migration = {.put = put};
    bool ok = migration_begin(&migration, dsn, err) &&
              (dsn == NULL || pg_script(migration.pg, begin, NULL, err)) &&
              read_state(&migration, err) && find_anything(&migration, err);
    if (ok && migration.ran.anything) {
        put(begin);
        ok = bring_up(&migration, err) && give(&migration, "COMMIT;\n", err);
    }
    migration_end(&migration);
    return ok;
}

/* waybill status: the health in one screen. */
#include "cli/command.h"
#include "cli/output.h"

#include "app/program.h"
#include "app/settings.h"
#include "engine/spool.h"
#include "engine/store_operator.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define JSON_MAX ((size_t)1 << 20)
#define PROBLEMS_MAX 8

/* What was found. */
struct health {
    struct err config, database, spool_error;
    bool has_spool;
    struct spool_state spool;
    int64_t spool_max;
    struct pg_result *rows;
    struct records records;
    char problems[PROBLEMS_MAX][640];
    size_t problem_count;
};

static void problem(struct health *health, const char *format, ...) PRINTF_LIKE(2, 3);
static void problem(struct health *health, const char *format, ...) {
    va_list args;
    if (health->problem_count < PROBLEMS_MAX) {
        char *text = health->problems[health->problem_count++];
        va_start(args, format);
        (void)vsnprintf(text, sizeof(health->problems[0]), format, args);
        va_end(args);
    }
}

static struct slice row_of(const void *context, size_t n) {
    return pg_bytes(context, n, 0);
}

static const struct json *database_row(const struct health *health) {
    return health->records.count > 0 ? record(&health->records, 0) : NULL;
}

/* ---- looking ---- */

static void tell_nobody(const char *text) {
    (void)text;
}

static void look_at_spool(struct health *health, const struct settings *settings) {
    health->has_spool = settings->spool.len > 0;
    health->spool_max = (int64_t)settings->spool_max;
    if (!health->has_spool) {
        return;
    }
    struct spool *spool = spool_new(settings->spool.data, settings->spool_max, tell_nobody);
    if (spool == NULL) {
        err_set(&health->spool_error, ERR_MEMORY, "out of memory");
    } else if (!spool_look(spool, &health->spool, &health->spool_error)) {
        problem(health, "spool: %s", health->spool_error.message);
    } else if (health->spool.events > 0) {
        problem(health, "spool: %lld webhooks wait for the database",
                (long long)health->spool.events);
    }
    spool_free(spool);
}

static void look_at_database(struct health *health, const char *dsn) {
    struct store *store = store_new(dsn, "waybill status", STORE_PATIENT);
    if (store == NULL || store_overview(store, &health->rows, &health->database) != STORE_OK ||
        !records_read(&health->records, pg_row_count(health->rows), row_of, health->rows,
                      &health->database)) {
        problem(health, "database: %s", health->database.message);
    } else {
        const struct json *row = database_row(health);
        int64_t schema = record_integer(row, "schema");
        if (schema != STORE_SCHEMA) {
            problem(health, "schema: %lld, but this release has %d%s", (long long)schema,
                    STORE_SCHEMA, schema < STORE_SCHEMA ? ": waybill migrate" : "");
        }
        if (!record_true(row, "durable")) {
            problem(health, "database: fsync or full_page_writes is off");
        }
        if (record_true(row, "standby")) {
            problem(health, "database: this is a standby");
        }
    }
    store_free(store);
}

static void look(struct health *health, const char *dsn) {
    struct settings *settings = settings_load(settings_path(), PART_ADMIN, &health->config);
    if (settings == NULL) {
        problem(health, "configuration: %s", health->config.message);
    } else {
        look_at_spool(health, settings);
    }
    settings_free(settings);
    look_at_database(health, dsn);
}

/* ---- telling ---- */

static void print_line(const char *name, struct slice text) {
    printf("%-15s ", name);
    output_text(stdout, text);
    printf("\n");
}

static void print_database(const struct health *health) {
    const struct json *row = database_row(health);
    const struct json *last = json_get(row, "last_action");
    const struct records *records = &health->records;
    static const char *const outcomes[] = {"applied", "ignored", "quarantined", "duplicate"};
    printf("%-15s PostgreSQL ", "database");
    output_text(stdout, record_text(records, row, "server_version"));
    printf(", schema %lld, ", (long long)record_integer(row, "schema"));
    output_bytes(stdout, record_integer(row, "bytes"));
    printf("\n%-15s %lld, %lld need attention\n", "orders",
           (long long)record_integer(row, "orders"),
           (long long)record_integer(row, "orders_with_attention"));
    print_line("last webhook", record_text(records, row, "last_received_at"));
    print_line("last change", record_text(records, row, "last_change_at"));
    printf("%-15s", "last 24 hours");
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
        printf("%s %lld %s", i > 0 ? "," : "",
               (long long)record_integer(json_get(row, "last_day"), outcomes[i]), outcomes[i]);
    }
    printf("\n%-15s %lld, ", "quarantine", (long long)record_integer(row, "quarantined"));
    output_bytes(stdout, record_integer(row, "quarantined_bytes"));
    printf("\n");
    if (last != NULL && !json_is_null(last)) {
        printf("%-15s %.*s by ", "last action", SLICE_ARGS(record_text(records, last, "command")));
        output_text(stdout, record_text(records, last, "os_user"));
        printf(", %.*s\n", SLICE_ARGS(record_text(records, last, "started_at")));
    }
}

static void print_text(const struct health *health) {
    printf("%-15s %s\n", "waybill", WAYBILL_VERSION);
    if (!err_is_set(&health->config)) {
        printf("%-15s %s\n", "configuration", settings_path());
    }
    if (database_row(health) != NULL) {
        print_database(health);
    }
    if (health->has_spool && !err_is_set(&health->spool_error)) {
        printf("%-15s %lld webhooks, ", "spool", (long long)health->spool.events);
        output_bytes(stdout, health->spool.bytes);
        printf(" of ");
        output_bytes(stdout, health->spool_max);
        printf("\n");
    }
    for (size_t i = 0; i < health->problem_count; i++) {
        print_line(i == 0 ? "problems" : "", slice_from_cstr(health->problems[i]));
    }
    if (health->problem_count == 0) {
        printf("%-15s ok\n", "health");
    }
}

static bool print_json(const struct health *health) {
    struct strbuf out = STRBUF_INIT(JSON_MAX);
    struct json_writer writer;
    json_writer_init(&writer, &out);
    json_begin_object(&writer, NULL);
    json_put_text(&writer, "release", SLICE_OF(WAYBILL_VERSION));
    json_put_boolean(&writer, "ok", health->problem_count == 0);
    json_begin_array(&writer, "problems");
    for (size_t i = 0; i < health->problem_count; i++) {
        json_put_text(&writer, NULL, slice_from_cstr(health->problems[i]));
    }
    json_end_array(&writer);
    if (database_row(health) != NULL) {
        json_put_raw(&writer, "database", pg_bytes(health->rows, 0, 0));
    } else {
        json_put_null(&writer, "database");
    }
    if (health->has_spool && !err_is_set(&health->spool_error)) {
        json_begin_object(&writer, "spool");
        json_put_integer(&writer, "events", health->spool.events);
        json_put_integer(&writer, "bytes", health->spool.bytes);
        json_put_integer(&writer, "max_bytes", health->spool_max);
        json_end_object(&writer);
    } else {
        json_put_null(&writer, "spool");
    }
    json_end_object(&writer);
    return output_json(&out);
}

static int run_status(const struct invocation *invocation) {
    struct health health;
    memset(&health, 0, sizeof(health));
    look(&health, invocation->dsn);
    bool told = true;
    if (invocation->json) {
        told = print_json(&health);
    } else {
        print_text(&health);
    }
    bool ok = health.problem_count == 0 && told;
    records_free(&health.records);
    pg_result_clear(health.rows);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

const struct command status_command = {
    .name = "status",
    .summary = "the health in one screen: database, schema, webhooks, quarantine, spool",
    .details =
        "Exit code 1 when anything is wrong: no database, another schema than that of this "
        "release, fsync off, a configuration that cannot be read, webhooks that wait in the spool.",
    .takes_dsn = true,
    .takes_json = true,
    .examples = {"sudo waybill status", "sudo waybill status --json | jq .problems"},
    .run = run_status,
};

/* waybill sources: what to enter at each sender, and what has come from it. */
#include "cli/command.h"
#include "cli/output.h"

#include "app/program.h"
#include "app/settings.h"
#include "base/timestamp.h"
#include "engine/metrics.h"
#include "engine/store_operator.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define JSON_MAX ((size_t)64 << 20)

static struct slice row_of(const void *context, size_t n) {
    return pg_bytes(context, n, 0);
}

/* What came from NAME; NULL: nothing. */
static const struct json *row_named(const struct records *records, struct slice name) {
    for (size_t i = 0; i < records->count; i++) {
        if (slice_eq(record_text(records, record(records, i), "source"), name)) {
            return record(records, i);
        }
    }
    return NULL;
}

/* What webhook.fcgi counted of the refusals; where that is not known, why. */
struct refused {
    struct metric_refusals counted;
    bool known;
    char why_not[640];
};

static void look_at_refusals(struct refused *refused) {
    struct err err = ERR_INIT;
    char name[PROGRAM_METRICS_NAME];
    program_metrics_name("webhook.fcgi", name);
    refused->known = metrics_refusals(name, &refused->counted, &err);
    (void)snprintf(refused->why_not, sizeof(refused->why_not), "%s",
                   err_is_set(&err)
                       ? err.message
                       : "no webhook.fcgi of this release runs with this configuration");
}

/* Whether it is one of SOURCE; "": of no source of the configuration. */
static bool is_of(const struct metric_refusal *row, struct slice source) {
    return slice_eq(slice_from_cstr(row->source), source);
}

static const char *mode_name(enum source_mode mode) {
    static const char *const names[] = {
        [MODE_ANY] = "any", [MODE_LIVE] = "live", [MODE_SANDBOX] = "sandbox"};
    return names[mode];
}

static void add_url(struct strbuf *out, const char *base, const struct source *source) {
    struct slice root = slice_from_cstr(base);
    while (root.len > 0 && root.data[root.len - 1] == '/') {
        root.len--;
    }
    strbuf_addf(out, "%.*s/%.*s%s", SLICE_ARGS(root), SLICE_ARGS(source->name),
                source->has_url_token ? "/URL_TOKEN" : "");
}

/* ---- JSON ---- */

static void put_time(struct json_writer *writer, const char *key, int64_t at) {
    char text[TIMESTAMP_TEXT];
    timestamp_format(at, text);
    json_put_text(writer, key, slice_from_cstr(text));
}

/* The latest first; null: not known. */
static void put_refusals(struct json_writer *writer, const char *key, const struct refused *refused,
                         struct slice source) {
    if (!refused->known) {
        json_put_null(writer, key);
        return;
    }
    json_begin_array(writer, key);
    for (size_t i = 0; i < refused->counted.count; i++) {
        const struct metric_refusal *row = &refused->counted.rows[i];
        if (is_of(row, source)) {
            json_begin_object(writer, NULL);
            json_put_text(writer, "reason", slice_from_cstr(row->reason));
            json_put_integer(writer, "count", (int64_t)row->count);
            put_time(writer, "last_at", row->last_at);
            json_end_object(writer);
        }
    }
    json_end_array(writer);
}

static void put_source(struct json_writer *writer, const struct source *source, const char *base,
                       const struct refused *refused, struct slice seen) {
    struct strbuf url = STRBUF_INIT(64 * 1024);
    const char *const *event = source->provider->events;
    add_url(&url, base, source);
    json_begin_object(writer, NULL);
    json_put_text(writer, "source", source->name);
    json_put_text(writer, "provider", source->provider->name);
    json_put_text(writer, "mode", slice_from_cstr(mode_name(source->mode)));
    json_put_text(writer, "url", strbuf_slice(&url));
    json_begin_array(writer, "events_to_tick");
    for (; event != NULL && *event != NULL; event++) {
        json_put_text(writer, NULL, slice_from_cstr(*event));
    }
    json_end_array(writer);
    put_refusals(writer, "refusals", refused, source->name);
    if (seen.len > 0) {
        json_put_raw(writer, "seen", seen);
    } else {
        json_put_null(writer, "seen");
    }
    json_end_object(writer);
    strbuf_free(&url);
}

static bool print_json(const struct settings *settings, const struct records *records,
                       const struct pg_result *rows, const struct refused *refused,
                       const char *base) {
    struct strbuf out = STRBUF_INIT(JSON_MAX);
    struct json_writer writer;
    json_writer_init(&writer, &out);
    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "sources");
    for (size_t i = 0; i < settings->source_count; i++) {
        const struct source *source = &settings->sources[i];
        struct slice seen = SLICE_EMPTY;
        for (size_t k = 0; k < records->count; k++) {
            if (record(records, k) == row_named(records, source->name)) {
                seen = pg_bytes(rows, k, 0);
            }
        }
        put_source(&writer, source, base, refused, seen);
    }
    json_end_array(&writer);
    json_begin_array(&writer, "not_configured");
    for (size_t k = 0; k < records->count; k++) {
        if (settings_source(settings, record_text(records, record(records, k), "source")) == NULL) {
            json_put_raw(&writer, NULL, pg_bytes(rows, k, 0));
        }
    }
    json_end_array(&writer);
    put_refusals(&writer, "refusals_of_no_source", refused, SLICE_EMPTY);
    if (refused->known) {
        put_time(&writer, "refusals_since", refused->counted.since);
        json_put_null(&writer, "refusals_problem");
    } else {
        json_put_null(&writer, "refusals_since");
        json_put_text(&writer, "refusals_problem", slice_from_cstr(refused->why_not));
    }
    json_end_object(&writer);
    return output_json(&out);
}

/* ---- text ---- */

static bool has_refusals(const struct refused *refused, struct slice source) {
    bool found = false;
    for (size_t i = 0; refused->known && i < refused->counted.count; i++) {
        found = found || is_of(&refused->counted.rows[i], source);
    }
    return found;
}

/* The latest first, a line each. */
static void print_refusals(const struct refused *refused, struct slice source) {
    const char *title = "  refused ";
    char at[TIMESTAMP_TEXT];
    for (size_t i = 0; refused->known && i < refused->counted.count; i++) {
        const struct metric_refusal *row = &refused->counted.rows[i];
        if (is_of(row, source)) {
            timestamp_format(row->last_at, at);
            printf("%-10s %s ", title, at);
            output_text(stdout, slice_from_cstr(row->reason));
            printf(" (%" PRIu64 " in all)\n", row->count);
            title = "";
        }
    }
    if (refused->known && !has_refusals(refused, source)) {
        timestamp_format(refused->counted.since, at);
        printf("%s none since %s\n", title, at);
    }
}

static bool print_seen(const struct records *records, const struct json *row) {
    static const char *const heads[] = {"  EVENT TYPE", "DELIVERIES", "QUARANTINED",
                                        "LAST RECEIVED"};
    const struct json *types = json_get(row, "event_types");
    struct table table = {.heads = heads, .columns = ARRAY_LEN(heads)};
    if (row == NULL) {
        printf("  nothing has come yet\n");
        return true;
    }
    for (size_t i = 0; i < json_array_len(types); i++) {
        const struct json *type = json_array_at(types, i);
        struct strbuf indented = STRBUF_INIT(4096);
        struct slice name = record_text(records, type, "event_type"), copy = SLICE_EMPTY;
        strbuf_addf(&indented, "  %.*s", SLICE_ARGS(name.len > 0 ? name : SLICE_OF("(none)")));
        if (!arena_dup(records->arena, strbuf_slice(&indented), &copy)) {
            table.failed = true;
        }
        strbuf_free(&indented);
        table_cell(&table, copy);
        table_cell(&table, record_text(records, type, "deliveries"));
        table_cell(&table, record_text(records, type, "quarantined"));
        table_cell(&table, record_text(records, type, "last_received_at"));
    }
    return table_print(&table, stdout);
}

static bool print_source(const struct source *source, const struct records *records,
                         const struct refused *refused, const char *base) {
    struct strbuf url = STRBUF_INIT(64 * 1024);
    const char *const *event = source->provider->events;
    add_url(&url, base, source);
    printf("%.*s\n  provider %.*s, mode %s\n  URL      %.*s\n", SLICE_ARGS(source->name),
           SLICE_ARGS(source->provider->name), mode_name(source->mode),
           SLICE_ARGS(strbuf_slice(&url)));
    strbuf_free(&url);
    printf("  tick    ");
    for (; event != NULL && *event != NULL; event++) {
        printf(" %s", *event);
    }
    printf("%s\n", source->provider->events == NULL ? " whatever it offers" : "");
    print_refusals(refused, source->name);
    return print_seen(records, row_named(records, source->name));
}

static bool print_text(const struct settings *settings, const struct records *records,
                       const struct refused *refused, const char *base) {
    bool ok = true;
    for (size_t i = 0; ok && i < settings->source_count; i++) {
        printf("%s", i > 0 ? "\n" : "");
        ok = print_source(&settings->sources[i], records, refused, base);
    }
    for (size_t k = 0; ok && k < records->count; k++) {
        struct slice name = record_text(records, record(records, k), "source");
        if (settings_source(settings, name) == NULL) {
            printf("\n%.*s\n  not configured any more\n", SLICE_ARGS(name));
            ok = print_seen(records, record(records, k));
        }
    }
    if (settings->source_count == 0) {
        printf("no source is configured\n");
    }
    if (has_refusals(refused, SLICE_EMPTY)) {
        printf("\n(no source of the configuration)\n");
        print_refusals(refused, SLICE_EMPTY);
    }
    if (!refused->known) {
        printf("\nwhat was refused is not known: ");
        output_text(stdout, slice_from_cstr(refused->why_not));
        printf("\n");
    }
    return ok;
}

static int run_sources(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    const char *url = option_value(invocation, "url");
    const char *base = url != NULL ? url : "https://YOUR.HOST/webhooks";
    struct pg_result *rows = NULL;
    struct records records = {.arena = NULL};
    struct settings *settings = settings_load(settings_path(), PART_ADMIN, &err);
    struct store *store = store_new(invocation->dsn, "waybill sources", STORE_PATIENT);
    bool ok = settings != NULL && store != NULL &&
              store_source_rows(store, &rows, &err) == STORE_OK &&
              records_read(&records, pg_row_count(rows), row_of, rows, &err);
    struct refused refused = {.known = false};
    look_at_refusals(&refused);
    if (ok && !(invocation->json ? print_json(settings, &records, rows, &refused, base)
                                 : print_text(settings, &records, &refused, base))) {
        ok = err_set(&err, ERR_MEMORY, "out of memory");
    }
    metrics_refusals_free(&refused.counted);
    records_free(&records);
    pg_result_clear(rows);
    store_free(store);
    settings_free(settings);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command sources_command = {
    .name = "sources",
    .summary =
        "for each source: the URL to enter at the sender, the events to tick, what has come, and "
        "what was refused",
    .details =
        "Refusals leave nothing in the database: when and why the last ones were is counted in "
        "the memory that the processes of webhook.fcgi share, from the start of the first to the "
        "end of the last one. Their user alone may read it, and root; anybody else is told so. The "
        "reason is that of the log (reason=).",
    .takes_dsn = true,
    .takes_json = true,
    .options = {{"url", "URL",
                 "where the webhooks are mounted; https://YOUR.HOST/webhooks unless given"}},
    .examples = {"sudo waybill sources --url https://shop.example/webhooks",
                 "waybill sources --json | jq '.sources[] | {source, refusals}'"},
    .run = run_sources,
};

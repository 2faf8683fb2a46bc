/* waybill deliveries: the stored webhooks. */
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/order.h"
#include "cli/output.h"

#include "app/program.h"
#include "engine/store_operator.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 100000
#define JSON_MAX ((size_t)1 << 30)

static struct slice row_of(const void *context, size_t n) {
    return pg_bytes(context, n, 0);
}

/* ---- one ---- */

/* The exact bytes; on a terminal without what it would obey. */
static int show_body(const struct store_batch *batch) {
    const struct store_stored *stored = &batch->rows[0];
    if (stored->purged) {
        fprintf(stderr, "waybill: the body was purged\n");
        return EXIT_FAILED;
    }
    if (isatty(STDOUT_FILENO)) {
        output_text(stdout, stored->body);
        printf("\n");
    } else {
        fwrite(stored->body.data, 1, stored->body.len, stdout);
    }
    return EXIT_DONE;
}

static int no_such_delivery(const struct invocation *invocation) {
    fprintf(stderr, "waybill: there is no delivery %s\n", invocation->operands[0]);
    return EXIT_FAILED;
}

static int print_body(const struct invocation *invocation, struct store *store,
                      const struct uuid *id) {
    struct err err = ERR_INIT;
    struct store_batch batch;
    if (store_stored(store, id, &batch, &err) != STORE_OK) {
        return command_failed(&err);
    }
    int code = batch.count > 0 ? show_body(&batch) : no_such_delivery(invocation);
    store_batch_free(&batch);
    return code;
}

static void print_fields(const struct records *records) {
    static const char *const fields[] = {"delivery",       "received_at",
                                         "times_received", "source",
                                         "provider",       "live",
                                         "event_type",     "event_id",
                                         "outcome",        "conflict",
                                         "detail",         "order.source",
                                         "order.id",       "order.order_number",
                                         "body_bytes",     "purged",
                                         "body_sha256"};
    const struct json *row = record(records, 0);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct slice text = record_text(records, row, fields[i]);
        if (text.len > 0) {
            printf("%-18s ", fields[i]);
            output_text(stdout, text);
            printf("\n");
        }
    }
    struct strbuf headers = STRBUF_INIT(JSON_MAX);
    if (!json_is_null(json_get(row, "headers")) &&
        json_canonical(json_get(row, "headers"), NULL, &headers)) {
        printf("%-18s ", "headers");
        output_text(stdout, strbuf_slice(&headers));
        printf("\n");
    }
    strbuf_free(&headers);
}

static int show_one(const struct invocation *invocation, struct store *store) {
    struct err err = ERR_INIT;
    struct uuid id;
    struct pg_result *rows = NULL;
    struct records records = {.arena = NULL};
    if (!uuid_parse(slice_from_cstr(invocation->operands[0]), &id)) {
        return command_misused(invocation, "a delivery's id is a UUID");
    }
    if (option_given(invocation, "body")) {
        return print_body(invocation, store, &id);
    }
    int code = EXIT_DONE;
    if (store_delivery_row(store, &id, &rows, &err) != STORE_OK) {
        code = command_failed(&err);
    } else if (pg_row_count(rows) == 0) {
        code = no_such_delivery(invocation);
    } else if (invocation->json) {
        printf("%.*s\n", SLICE_ARGS(pg_bytes(rows, 0, 0)));
    } else if (records_read(&records, 1, row_of, rows, &err)) {
        print_fields(&records);
    } else {
        code = command_failed(&err);
    }
    records_free(&records);
    pg_result_clear(rows);
    return code;
}

/* ---- a list ---- */

static bool print_table(const struct pg_result *rows, struct err *err) {
    static const char *const heads[] = {"RECEIVED", "SOURCE", "EVENT",    "OUTCOME",
                                        "CONFLICT", "TIMES",  "DELIVERY", "DETAIL"};
    static const char *const members[] = {"received_at", "source",         "event_type", "outcome",
                                          "conflict",    "times_received", "delivery",   "detail"};
    struct records records;
    struct table table = {.heads = heads, .columns = ARRAY_LEN(heads)};
    bool ok = records_read(&records, pg_row_count(rows), row_of, rows, err);
    for (size_t i = 0; ok && i < records.count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(members); k++) {
            table_cell(&table, record_text(&records, record(&records, i), members[k]));
        }
    }
    if (ok && !table_print(&table, stdout)) {
        ok = err_set(err, ERR_MEMORY, "out of memory");
    }
    records_free(&records);
    return ok;
}

static bool print_json(const struct pg_result *rows) {
    struct strbuf out = STRBUF_INIT(JSON_MAX);
    struct json_writer writer;
    json_writer_init(&writer, &out);
    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "deliveries");
    for (size_t i = 0; i < pg_row_count(rows); i++) {
        json_put_raw(&writer, NULL, pg_bytes(rows, i, 0));
    }
    json_end_array(&writer);
    json_end_object(&writer);
    return output_json(&out);
}

static const char *read_times(const struct invocation *invocation,
                              struct store_delivery_filter *filter) {
    const char *since = option_value(invocation, "since");
    const char *until = option_value(invocation, "until");
    const char *limit = option_value(invocation, "limit");
    int64_t now = timestamp_now();
    if (since != NULL && !argument_time(since, now, &filter->since)) {
        return "--since is a time, a date or a span like 2h or 7d";
    }
    if (until != NULL && !argument_time(until, now, &filter->until)) {
        return "--until is a time, a date or a span like 2h or 7d";
    }
    if (limit != NULL && !argument_count(limit, LIMIT_MAX, &filter->limit)) {
        return "--limit is 1 to 100000";
    }
    return NULL;
}

static int list(const struct invocation *invocation, struct store *store) {
    struct err err = ERR_INIT;
    struct store_delivery_filter filter = {
        .source = slice_from_cstr(option_value(invocation, "source")),
        .outcome = slice_from_cstr(option_value(invocation, "outcome")),
        .event_type = slice_from_cstr(option_value(invocation, "event")),
        .since = TIMESTAMP_NONE,
        .until = TIMESTAMP_NONE,
        .conflict = option_given(invocation, "conflict"),
        .limit = LIMIT_DEFAULT,
    };
    enum delivery_outcome outcome;
    struct uuid order;
    struct pg_result *rows = NULL;
    const char *flaw = read_times(invocation, &filter);
    if (flaw == NULL && filter.outcome.len > 0 &&
        (!delivery_outcome_find(filter.outcome, &outcome) || outcome == OUTCOME_REFUSED)) {
        flaw = "--outcome is applied, ignored, quarantined or duplicate";
    }
    if (flaw != NULL) {
        return command_misused(invocation, flaw);
    }
    if (option_given(invocation, "order")) {
        if (!order_named(store, option_value(invocation, "order"), &order, &err)) {
            return command_failed(&err);
        }
        filter.order = &order;
    }
    bool ok = store_deliveries(store, &filter, &rows, &err) == STORE_OK &&
              (invocation->json ? print_json(rows) : print_table(rows, &err));
    pg_result_clear(rows);
    return ok ? EXIT_DONE : command_failed(&err);
}

static int run_deliveries(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    struct store *store = store_new(invocation->dsn, "waybill deliveries", STORE_PATIENT);
    if (store == NULL) {
        err_set(&err, ERR_MEMORY, "out of memory");
        return command_failed(&err);
    }
    int code =
        invocation->operand_count > 0 ? show_one(invocation, store) : list(invocation, store);
    store_free(store);
    return code;
}

const struct command deliveries_command = {
    .name = "deliveries",
    .operands = "[DELIVERY]",
    .most_operands = 1,
    .summary = "list the stored webhooks, newest first, or show one, or its body",
    .details =
        "Without DELIVERY the options filter the list. A time is RFC 3339, a date, or a span "
        "before now: 90s, 30min, 2h, 7d, 4w.",
    .takes_dsn = true,
    .takes_json = true,
    .options = {{"source", "NAME", "only of this source"},
                {"outcome", "applied|ignored|quarantined|duplicate", "only with this outcome"},
                {"event", "TYPE", "only of this event type, as the sender spells it"},
                {"order", "ORDER", "only those applied to this order; see waybill help show"},
                {"since", "WHEN", "only received then or later"},
                {"until", "WHEN", "only received before then"},
                {"conflict", NULL, "only those whose event id came with other content too"},
                {"limit", "N", "at most so many; 50 unless given"},
                {"body", NULL, "of one: its exact bytes"}},
    .examples = {"waybill deliveries --outcome quarantined --since 7d",
                 "waybill deliveries --order shipup/311111",
                 "waybill deliveries bd08af21-82f2-8bab-8e90-7a03c5eff0c3",
                 "waybill deliveries bd08af21-82f2-8bab-8e90-7a03c5eff0c3 --body | jq ."},
    .run = run_deliveries,
};

/* waybill show: an order, with what was told of it in the order in which it happened. */
#include "cli/command.h"
#include "cli/output.h"

#include "app/program.h"
#include "engine/store_operator.h"

#include <stdio.h>

#define JSON_MAX ((size_t)256 << 20)

static struct slice row_of(const void *context, size_t n) {
    return pg_bytes(context, n, 0);
}

static void print_field(const char *name, struct slice text) {
    if (text.len > 0) {
        printf("  %-18s ", name);
        output_text(stdout, text);
        printf("\n");
    }
}

/* Members of ROW, by their names; what is not known is left out. */
static void print_fields(const struct records *records, const struct json *row,
                         const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct slice key = slice_from_cstr(names[i]), section, last;
        slice_split_last(key, '.', &section, &last);
        print_field(last.data, record_text(records, row, names[i]));
    }
}

static void print_attention(const struct records *records, const struct json *order) {
    const struct json *list = json_get(order, "attention");
    struct strbuf text = STRBUF_INIT(4096);
    bool failed = false;
    for (size_t i = 0; i < json_array_len(list); i++) {
        strbuf_add_cstr(&text, i > 0 ? ", " : "");
        strbuf_add_slice(&text, json_text(json_array_at(list, i), records->arena, &failed));
    }
    print_field("attention", strbuf_slice(&text));
    strbuf_free(&text);
}

static void print_order(const struct records *records, const struct json *order) {
    static const char *const own[] = {"order_number", "external_reference", "status", "status_at",
                                      "provider_status"};
    static const char *const rest[] = {"send_date",
                                       "courier_id",
                                       "shipped_at",
                                       "delivered_at",
                                       "destination.name",
                                       "destination.company",
                                       "destination.phone",
                                       "destination.email",
                                       "destination.street",
                                       "destination.details",
                                       "destination.zip",
                                       "destination.city",
                                       "destination.province",
                                       "destination.country",
                                       "updated_at",
                                       "version"};
    static const char *const of_box[] = {"tracking_number",
                                         "carrier",
                                         "status",
                                         "status_detail",
                                         "provider_status",
                                         "status_at",
                                         "location",
                                         "tracking_url",
                                         "shipped_at",
                                         "delivered_at",
                                         "estimated_delivery_date",
                                         "estimated_delivery_at",
                                         "next_attempt_at",
                                         "pickup_point.name",
                                         "signed_by",
                                         "proof_of_delivery"};
    const struct json *boxes = json_get(order, "boxes");
    output_text(stdout, record_text(records, order, "source"));
    printf("/");
    output_text(stdout, record_text(records, order, "id"));
    printf("%s\n", record_true(order, "live") ? "" : "  (sandbox)");
    print_fields(records, order, own, ARRAY_LEN(own));
    print_attention(records, order);
    print_fields(records, order, rest, ARRAY_LEN(rest));
    for (size_t i = 0; i < json_array_len(boxes); i++) {
        const struct json *box = json_array_at(boxes, i);
        printf("box ");
        output_text(stdout, record_text(records, box, "id"));
        printf("\n");
        print_fields(records, box, of_box, ARRAY_LEN(of_box));
    }
}

/* What a row of the timeline says, in one line. */
static struct slice what_happened(const struct records *records, const struct json *row) {
    struct strbuf text = STRBUF_INIT(64 * 1024);
    struct slice field = record_text(records, row, "field");
    if (field.len > 0) {
        struct slice before = record_text(records, row, "previous_value");
        strbuf_addf(&text, "%.*s: %.*s%s%.*s", SLICE_ARGS(field), SLICE_ARGS(before),
                    before.len > 0 ? " -> " : "",
                    SLICE_ARGS(record_text(records, row, "new_value")));
    } else {
        struct slice detail = record_text(records, row, "status_detail");
        strbuf_addf(&text, "%.*s%s%.*s%s", SLICE_ARGS(record_text(records, row, "status")),
                    detail.len > 0 ? " (" : "", SLICE_ARGS(detail), detail.len > 0 ? ")" : "");
    }
    struct slice copy = SLICE_EMPTY;
    bool ok = arena_dup(records->arena, strbuf_slice(&text), &copy);
    strbuf_free(&text);
    return ok ? copy : SLICE_EMPTY;
}

static bool print_timeline(const struct records *records, const struct json *timeline) {
    static const char *const heads[] = {"WHEN",  "BOX",      "WHAT",   "SENDER'S WORD",
                                        "WHERE", "RECEIVED", "MESSAGE"};
    struct table table = {.heads = heads, .columns = ARRAY_LEN(heads)};
    if (json_array_len(timeline) == 0) {
        return true;
    }
    for (size_t i = 0; i < json_array_len(timeline); i++) {
        const struct json *row = json_array_at(timeline, i);
        table_cell(&table, record_text(records, row, "occurred_at"));
        table_cell(&table, record_text(records, row, "box"));
        table_cell(&table, what_happened(records, row));
        table_cell(&table, record_text(records, row, "provider_status"));
        table_cell(&table, record_text(records, row, "location"));
        table_cell(&table, record_text(records, row, "received_at"));
        table_cell(&table, record_text(records, row, "message"));
    }
    printf("\n");
    return table_print(&table, stdout);
}

static bool show_one(struct store *store, const struct uuid *key, bool full, bool first,
                     struct strbuf *out, struct err *err) {
    struct pg_result *rows = NULL;
    struct records records = {.arena = NULL};
    bool ok = store_order_timeline(store, key, full, &rows, err) == STORE_OK;
    if (ok && pg_row_count(rows) > 0 && out != NULL) {
        strbuf_add_cstr(out, first ? "" : ",");
        strbuf_add_slice(out, pg_bytes(rows, 0, 0));
    } else if (ok && pg_row_count(rows) > 0) {
        ok = records_read(&records, 1, row_of, rows, err);
        if (ok) {
            printf("%s", first ? "" : "\n");
            print_order(&records, json_get(record(&records, 0), "order"));
            ok = print_timeline(&records, json_get(record(&records, 0), "timeline")) ||
                 err_set(err, ERR_MEMORY, "out of memory");
        }
        records_free(&records);
    }
    pg_result_clear(rows);
    return ok;
}

static bool show(const struct invocation *invocation, struct store *store, struct err *err) {
    struct store_orders found;
    struct strbuf out = STRBUF_INIT(JSON_MAX);
    bool ok = store_orders_named(store, slice_from_cstr(invocation->operands[0]), &found, err) ==
              STORE_OK;
    if (ok && found.count == 0) {
        ok = err_set(err, ERR_INPUT, "there is no order %s", invocation->operands[0]);
    }
    strbuf_add_cstr(&out, "{\"orders\":[");
    for (size_t i = 0; ok && i < found.count; i++) {
        ok = show_one(store, &found.orders[i].key, option_given(invocation, "full"), i == 0,
                      invocation->json ? &out : NULL, err);
    }
    strbuf_add_cstr(&out, "]}");
    store_orders_free(&found);
    if (ok && invocation->json) {
        return output_json(&out) || err_set(err, ERR_MEMORY, "out of memory");
    }
    strbuf_free(&out);
    return ok;
}

static int run_show(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    struct store *store = store_new(invocation->dsn, "waybill show", STORE_PATIENT);
    bool ok =
        store != NULL ? show(invocation, store, &err) : err_set(&err, ERR_MEMORY, "out of memory");
    store_free(store);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command show_command = {
    .name = "show",
    .operands = "ORDER",
    .least_operands = 1,
    .most_operands = 1,
    .summary = "show an order: its state, its boxes, and a timeline of what was told of them",
    .details =
        "ORDER is source/id, an order number, an external reference, a tracking number, the sender's "
        "id, or an order key. All orders of that name are shown, sandbox orders last.",
    .takes_dsn = true,
    .takes_json = true,
    .options = {{"full", NULL,
                 "with personal data: recipient, signatures, links to papers, messages"}},
    .examples = {"waybill show 28002-A", "waybill show crossborderly/CBECUSD123456789 --full"},
    .run = run_show,
};

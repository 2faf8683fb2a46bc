/* waybill purge: bodies and personal data go, statuses, history and de-duplication stay. */
#include "cli/action.h"
#include "cli/arguments.h"
#include "cli/order.h"
#include "cli/output.h"
#include "cli/progress.h"

#include "app/program.h"

#include <stdio.h>

static bool purge_all(struct store *store, struct store_purge *purge, struct err *err) {
    int64_t total, looked, done = 0;
    if (store_purge_total(store, purge, &total, err) != STORE_OK) {
        return false;
    }
    while (!purge->done) {
        if (store_purge_step(store, purge, &looked, err) != STORE_OK) {
            return false;
        }
        done += looked;
        progress_show(done, total);
    }
    return true;
}

static bool purge_recorded(const struct invocation *invocation, struct store *store,
                           struct store_purge *purge, struct err *err) {
    struct action action;
    struct err ignored = ERR_INIT;
    if (!purge->dry && !action_begin(&action, invocation, invocation->dsn, err)) {
        return false;
    }
    bool ok = purge_all(store, purge, err);
    progress_end();
    const struct action_count counts[] = {
        {"deliveries", purge->deliveries}, {"bytes", purge->bytes}, {"orders", purge->orders}};
    return purge->dry
               ? ok
               : action_end(&action, ok, counts, ARRAY_LEN(counts), ok ? err : &ignored) && ok;
}

static bool tell(const struct invocation *invocation, const struct store_purge *purge) {
    if (!invocation->json) {
        printf("%s %lld bodies, ", purge->dry ? "would purge" : "purged",
               (long long)purge->deliveries);
        output_bytes(stdout, purge->bytes);
        printf(", and the personal data of %lld orders\n", (long long)purge->orders);
        return true;
    }
    struct strbuf out = STRBUF_INIT(4096);
    struct json_writer writer;
    json_writer_init(&writer, &out);
    json_begin_object(&writer, NULL);
    json_put_boolean(&writer, "dry_run", purge->dry);
    json_put_integer(&writer, "deliveries", purge->deliveries);
    json_put_integer(&writer, "bytes", purge->bytes);
    json_put_integer(&writer, "orders", purge->orders);
    json_end_object(&writer);
    return output_json(&out);
}

static int run_purge(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    const char *age = option_value(invocation, "older-than");
    const char *order = option_value(invocation, "order");
    struct store_purge purge = {.before = TIMESTAMP_NONE,
                                .source = slice_from_cstr(option_value(invocation, "source")),
                                .dry = option_given(invocation, "dry-run")};
    int64_t span;
    struct uuid key;
    if ((age == NULL) == (order == NULL)) {
        return command_misused(invocation, "either --older-than or --order");
    }
    if (order != NULL && purge.source.len > 0) {
        return command_misused(invocation, "--source goes with --older-than");
    }
    if (age != NULL) {
        if (!argument_span(age, &span)) {
            return command_misused(invocation, "--older-than is a number of days, or like 52w");
        }
        purge.before = timestamp_now() - span;
    }
    struct store *store = store_new(invocation->dsn, "waybill purge", STORE_PATIENT);
    bool ok = store != NULL || err_set(&err, ERR_MEMORY, "out of memory");
    if (ok && order != NULL) {
        ok = order_named(store, order, &key, &err);
        purge.order = &key;
    }
    ok = ok && purge_recorded(invocation, store, &purge, &err) && tell(invocation, &purge);
    store_free(store);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command purge_command = {
    .name = "purge",
    .summary = "delete bodies and personal data; statuses, history and de-duplication stay",
    .details =
        "With --older-than: the bytes and headers of the webhooks received before then, and the "
        "personal data of orders of which no webhook has come since: recipient (country, zip and city "
        "stay), who signed, links to papers, messages. With --order: those of one order, whatever their "
        "age, from whichever source; webhooks that are of no order (quarantined ones, "
        "notifications, feedback) go by age alone.\n"
        "Purged webhooks sent again are still duplicates. waybill rebuild leaves orders with a purged "
        "webhook as they are. The rooms in the files are free after the next vacuum; backups and the "
        "spool are not touched.",
    .takes_dsn = true,
    .takes_json = true,
    .options = {{"older-than", "DAYS", "a number of days, or a span like 52w"},
                {"order", "ORDER", "one order; see waybill help show"},
                {"source", "NAME", "only what this source sent, and its own orders"},
                {"dry-run", NULL, "delete nothing; say how much it would be"}},
    .examples = {"waybill purge --older-than 365 --dry-run", "waybill purge --older-than 365",
                 "waybill purge --order shipup/311111"},
    .run = run_purge,
};

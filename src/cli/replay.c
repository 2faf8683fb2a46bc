/* waybill replay: stored webhooks read again by the providers of this release. */
#include "cli/action.h"
#include "cli/arguments.h"
#include "cli/output.h"
#include "cli/progress.h"

#include "app/program.h"
#include "app/replay.h"

#include <stdio.h>
#include <string.h>

/* So few, since they come with their bodies. */
#define AT_ONCE 32
#define JSON_MAX ((size_t)64 << 20)

struct replay {
    struct store *store;
    struct settings *settings;
    bool dry, json;
    int64_t counts[REPLAY_ENDS];
    int64_t done, total;
    /* What is told of single deliveries, for --json. */
    struct strbuf out;
    struct json_writer writer;
};

/* Of a single one everything is told, of many those that need somebody to look at them. */
static bool is_worth_telling(const struct replay *replay, enum replay_end end) {
    return replay->total == 1 || (end != REPLAY_APPLIED && end != REPLAY_IGNORED &&
                                  end != REPLAY_DUPLICATE && end != REPLAY_UNCHANGED);
}

static void tell(struct replay *replay, const struct uuid *id, const struct replay_result *result) {
    char text[UUID_TEXT];
    uuid_format(id, text);
    if (replay->json) {
        json_begin_object(&replay->writer, NULL);
        json_put_text(&replay->writer, "delivery", slice_from_cstr(text));
        json_put_text(&replay->writer, "result", slice_from_cstr(replay_end_name(result->end)));
        json_put_text(&replay->writer, "detail", slice_from_cstr(result->detail));
        json_end_object(&replay->writer);
        return;
    }
    progress_end();
    printf("%s  %s", text, replay_end_name(result->end));
    if (result->detail[0] != '\0') {
        printf(": ");
        output_text(stdout, slice_from_cstr(result->detail));
    }
    printf("\n");
}

static bool replay_batch(struct replay *replay, const struct store_batch *batch, struct err *err) {
    for (size_t i = 0; i < batch->count; i++) {
        struct replay_result result;
        if (!replay_stored(replay->store, replay->settings, &batch->rows[i], replay->dry, &result,
                           err)) {
            return false;
        }
        replay->counts[result.end]++;
        if (is_worth_telling(replay, result.end)) {
            tell(replay, &batch->rows[i].id, &result);
        }
        progress_show(++replay->done, replay->total);
    }
    return true;
}

static bool replay_all(struct replay *replay, const struct store_selection *selection,
                       struct err *err) {
    struct uuid after;
    size_t count = AT_ONCE;
    bool ok = store_select_count(replay->store, selection, &replay->total, err) == STORE_OK;
    for (bool begun = false; ok && count == AT_ONCE; begun = true) {
        struct store_batch batch;
        if (store_select(replay->store, selection, begun ? &after : NULL, AT_ONCE, &batch, err) !=
            STORE_OK) {
            return false;
        }
        count = batch.count;
        if (count > 0) {
            after = batch.rows[count - 1].id;
        }
        ok = replay_batch(replay, &batch, err);
        store_batch_free(&batch);
    }
    return ok;
}

static bool replay_named(struct replay *replay, const struct uuid *id, struct err *err) {
    struct store_batch batch;
    if (store_stored(replay->store, id, &batch, err) != STORE_OK) {
        return false;
    }
    replay->total = 1;
    bool ok = batch.count > 0 ? replay_batch(replay, &batch, err)
                              : err_set(err, ERR_INPUT, "there is no such delivery");
    store_batch_free(&batch);
    return ok;
}

/* ---- the row of the audit, and the summary ---- */

static const char *const count_names[] = {
    [REPLAY_APPLIED] = "applied",        [REPLAY_IGNORED] = "ignored",
    [REPLAY_DUPLICATE] = "duplicate",    [REPLAY_QUARANTINED] = "still_quarantined",
    [REPLAY_REBUILT] = "orders_changed", [REPLAY_UNCHANGED] = "unchanged",
    [REPLAY_PURGED] = "purged",          [REPLAY_NO_SOURCE] = "no_source",
    [REPLAY_WRONG_MODE] = "wrong_mode",  [REPLAY_REFUSED] = "refused",
};

static bool end_action(struct replay *replay, struct action *action, bool ok, struct err *err) {
    struct action_count counts[REPLAY_ENDS + 1] = {{"deliveries", replay->done}};
    struct err ignored = ERR_INIT;
    for (size_t i = 0; i < REPLAY_ENDS; i++) {
        counts[i + 1] = (struct action_count){count_names[i], replay->counts[i]};
    }
    return action_end(action, ok, counts, ARRAY_LEN(counts), ok ? err : &ignored) && ok;
}

static void summarise(const struct replay *replay) {
    printf("%s %lld deliveries", replay->dry ? "would replay" : "replayed",
           (long long)replay->done);
    for (size_t i = 0; i < REPLAY_ENDS; i++) {
        if (replay->counts[i] > 0) {
            printf(", %lld %s", (long long)replay->counts[i], replay_end_name((enum replay_end)i));
        }
    }
    printf("\n");
}

static bool summarise_json(struct replay *replay) {
    json_end_array(&replay->writer);
    json_put_boolean(&replay->writer, "dry_run", replay->dry);
    json_put_integer(&replay->writer, "replayed", replay->done);
    for (size_t i = 0; i < REPLAY_ENDS; i++) {
        json_put_integer(&replay->writer, count_names[i], replay->counts[i]);
    }
    json_end_object(&replay->writer);
    return output_json(&replay->out);
}

static bool do_it(const struct invocation *invocation, struct replay *replay,
                  const struct store_selection *selection, const struct uuid *id, struct err *err) {
    struct action action;
    if (!replay->dry && !action_begin(&action, invocation, invocation->dsn, err)) {
        return false;
    }
    bool ok = id != NULL ? replay_named(replay, id, err) : replay_all(replay, selection, err);
    progress_end();
    return replay->dry ? ok : end_action(replay, &action, ok, err);
}

static int run_with(const struct invocation *invocation, struct replay *replay,
                    const struct store_selection *selection, const struct uuid *id) {
    struct err err = ERR_INIT;
    replay->settings = settings_load(settings_path(), PART_ADMIN, &err);
    replay->store = store_new(invocation->dsn, "waybill replay", STORE_PATIENT);
    strbuf_init(&replay->out, JSON_MAX);
    json_writer_init(&replay->writer, &replay->out);
    json_begin_object(&replay->writer, NULL);
    json_begin_array(&replay->writer, "deliveries");
    bool ok = replay->settings != NULL && replay->store != NULL &&
              do_it(invocation, replay, selection, id, &err);
    if (ok && !replay->json) {
        summarise(replay);
    } else if (ok && !summarise_json(replay)) {
        ok = err_set(&err, ERR_MEMORY, "out of memory");
    }
    strbuf_free(&replay->out);
    store_free(replay->store);
    settings_free(replay->settings);
    return ok ? EXIT_DONE : command_failed(&err);
}

static int run_replay(const struct invocation *invocation) {
    struct replay replay = {.dry = option_given(invocation, "dry-run"), .json = invocation->json};
    struct store_selection selection = {
        .outcome = delivery_outcome_name(OUTCOME_QUARANTINED),
        .source = slice_from_cstr(option_value(invocation, "source")),
        .since = TIMESTAMP_NONE,
    };
    const char *since = option_value(invocation, "since");
    bool all = option_given(invocation, "quarantined");
    struct uuid id;
    if (all == (invocation->operand_count > 0)) {
        return command_misused(invocation, "either a DELIVERY or --quarantined");
    }
    if (!all && (since != NULL || selection.source.len > 0)) {
        return command_misused(invocation, "--since and --source go with --quarantined");
    }
    if (since != NULL && !argument_time(since, timestamp_now(), &selection.since)) {
        return command_misused(invocation, "--since is a time, a date or a span like 2h or 7d");
    }
    if (!all && !uuid_parse(slice_from_cstr(invocation->operands[0]), &id)) {
        return command_misused(invocation, "a delivery's id is a UUID");
    }
    return run_with(invocation, &replay, &selection, all ? NULL : &id);
}

const struct command replay_command = {
    .name = "replay",
    .operands = "[DELIVERY]",
    .most_operands = 1,
    .summary = "read stored webhooks again with the providers of this release",
    .details =
        "A quarantined webhook that is understood now is applied, as if it came now but with its "
        "time of reception, and its outcome changes; where the same event was stored meanwhile, it "
        "becomes a duplicate and changes nothing. The provider, mode and tracking_url are those that the "
        "source has in the configuration now.\n"
        "Of a webhook that was applied already, the order is derived again (as by waybill rebuild).",
    .takes_dsn = true,
    .takes_json = true,
    .options = {{"quarantined", NULL, "all quarantined ones"},
                {"source", "NAME", "only of this source"},
                {"since", "WHEN", "only received then or later: a time, a date, or a span like 7d"},
                {"dry-run", NULL, "change nothing; say what would become of them"}},
    .examples = {"waybill replay --quarantined --since 30d --dry-run",
                 "waybill replay --quarantined --source shipup",
                 "waybill replay bd08af21-82f2-8bab-8e90-7a03c5eff0c3"},
    .run = run_replay,
};

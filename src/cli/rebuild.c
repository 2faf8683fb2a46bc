/* waybill rebuild: all orders again from the stored webhooks. */
#include "cli/action.h"
#include "cli/progress.h"

#include "app/program.h"
#include "app/replay.h"

#include <stdio.h>

static void show_progress(const struct replay_counts *counts) {
    progress_show(counts->done, counts->total);
}

static bool rebuild(const struct invocation *invocation, struct replay_counts *counts,
                    struct err *err) {
    struct action action;
    struct err ignored = ERR_INIT;
    struct settings *settings;
    if (!settings_load_found(settings_path(), PART_ADMIN, &settings, err)) {
        return false;
    }
    if (!action_begin(&action, invocation, invocation->dsn, err)) {
        settings_free(settings);
        return false;
    }
    bool ok = replay_rebuild(invocation->dsn, settings, show_progress, counts, err);
    progress_end();
    settings_free(settings);
    const struct action_count numbers[] = {{"orders", counts->done},
                                           {"changed", counts->changed},
                                           {"unchanged", counts->unchanged},
                                           {"purged", counts->purged},
                                           {"unreadable", counts->unreadable}};
    return action_end(&action, ok, numbers, ARRAY_LEN(numbers), ok ? err : &ignored) && ok;
}

static int run_rebuild(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    struct replay_counts counts = {.total = 0};
    if (!rebuild(invocation, &counts, &err)) {
        return command_failed(&err);
    }
    printf(
        "rebuilt %lld orders: %lld changed, %lld unchanged; left as they are: %lld with a purged delivery, %lld "
        "unreadable\n",
        (long long)counts.changed + (long long)counts.unchanged, (long long)counts.changed,
        (long long)counts.unchanged, (long long)counts.purged, (long long)counts.unreadable);
    return EXIT_DONE;
}

const struct command rebuild_command = {
    .name = "rebuild",
    .summary = "derive all orders again from the stored webhooks, while webhooks and readers go on",
    .details =
        "After an upgrade whose changelog says so. Orders with a purged webhook, or with one "
        "that this release cannot read, are left as they are and counted. The time zones and "
        "carriers of the sources are those of the configuration.",
    .takes_dsn = true,
    .examples = {"waybill rebuild"},
    .run = run_rebuild,
};

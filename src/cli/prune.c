/* waybill prune: entries of the change feed that nobody needs any more. */
#include "cli/action.h"

#include "app/program.h"
#include "engine/store.h"

#include <inttypes.h>
#include <stdio.h>

/* Of one transaction: short, so that nobody waits for it. */
#define ENTRIES_AT_ONCE 10000

static bool prune_all(const struct invocation *invocation, int64_t *pruned, struct err *err) {
    struct store *store = store_new(invocation->dsn, "waybill prune", STORE_PATIENT);
    int64_t position = 0, count = 0;
    if (store == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    bool ok = true;
    while (ok && position >= 0) {
        ok = store_prune_feed(store, &position, ENTRIES_AT_ONCE, &count, err) == STORE_OK;
        *pruned += ok ? count : 0;
    }
    store_free(store);
    return ok;
}

static int run_prune(const struct invocation *invocation) {
    struct err err = ERR_INIT, ignored = ERR_INIT;
    struct action action;
    int64_t pruned = 0;
    if (!action_begin(&action, invocation, invocation->dsn, &err)) {
        return command_failed(&err);
    }
    bool ok = prune_all(invocation, &pruned, &err);
    const struct action_count count = {"entries", pruned};
    ok = action_end(&action, ok, &count, 1, ok ? &err : &ignored) && ok;
    if (!ok) {
        return command_failed(&err);
    }
    printf("pruned %" PRId64 " entries of the change feed\n", pruned);
    return EXIT_DONE;
}

const struct command prune_command = {
    .name = "prune",
    .summary = "remove entries of the change feed that newer changes have replaced",
    .details = "Every change of an order is an entry, about 70 bytes; only the newest of an order "
               "is of use. Cursors stay good. While webhooks and readers go on; once a month is "
               "plenty: systemctl enable --now waybill-prune.timer.",
    .takes_dsn = true,
    .examples = {"sudo waybill prune"},
    .run = run_prune,
};

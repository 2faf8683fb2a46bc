/* waybill migrate: the schema of this release. */
#include "cli/action.h"

#include "app/program.h"
#include "engine/store_migrate.h"

#include <stdio.h>

static void report(const char *text) {
    printf("%s\n", text);
}

/* Afterwards, because the table for it comes with the migrations. */
static bool leave_row(const struct invocation *invocation, const struct store_migrated *ran,
                      struct err *err) {
    const struct action_count counts[] = {{"migrations", (int64_t)ran->migrations},
                                          {"files", (int64_t)ran->files}};
    struct action action;
    return action_begin(&action, invocation, invocation->dsn, err) &&
           action_end(&action, true, counts, ARRAY_LEN(counts), err);
}

static int run_migrate(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    struct store_migrated ran;
    if (!store_migrate(invocation->dsn, report, &ran, &err) ||
        (ran.anything && !leave_row(invocation, &ran, &err))) {
        return command_failed(&err);
    }
    if (ran.files > 0) {
        printf("views and functions: %zu\n", ran.files);
    }
    printf(ran.anything ? "the schema is current\n" : "nothing to do: the schema is current\n");
    return EXIT_DONE;
}

const struct command migrate_command = {
    .name = "migrate",
    .summary = "bring the schema up to date: migrations, each once, views and functions",
    .details =
        "The first migration makes the roles and needs a superuser, or an owner of the database "
        "where the roles exist already. All of it is one transaction, in which webhooks wait or "
        "are spooled. Safe when two run at once.",
    .takes_dsn = true,
    .examples = {"sudo waybill migrate",
                 "waybill migrate --dsn 'host=/var/run/postgresql dbname=waybill user=postgres'"},
    .run = run_migrate,
};

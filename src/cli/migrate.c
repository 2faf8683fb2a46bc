/* waybill migrate: the schema of this release. */
#include "cli/action.h"

#include "app/program.h"
#include "engine/store.h"

#include <stdio.h>

/* The files of schema/, made part of the program by the build; ends with a row without a name. */
extern const struct store_migration migration_table[];

static void tell(const char *text) {
    printf("%s\n", text);
}

/* Afterwards, because the table for it comes with the migrations. */
static bool leave_row(const struct invocation *invocation, size_t ran, struct err *err) {
    const struct action_count count = {"migrations", (int64_t)ran};
    struct action action;
    return action_begin(&action, invocation, invocation->dsn, err) &&
           action_end(&action, true, &count, 1, err);
}

static int run_migrate(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    size_t ran = 0;
    if (!store_migrate(invocation->dsn, migration_table, tell, &ran, &err) ||
        (ran > 0 && !leave_row(invocation, ran, &err))) {
        return command_failed(&err);
    }
    printf(ran == 0 ? "nothing to do: the schema is current\n" : "the schema is current\n");
    return EXIT_DONE;
}

const struct command migrate_command = {
    .name = "migrate",
    .summary = "bring the schema up to date: run the migrations that are missing, each once",
    .details = "The first makes the roles and needs a superuser, or an owner of the database where "
               "the roles exist already. Safe when two run at once.",
    .takes_dsn = true,
    .examples = {"sudo waybill migrate",
                 "waybill migrate --dsn 'host=/var/run/postgresql dbname=waybill user=postgres'"},
    .run = run_migrate,
};

/* The table of subcommands, and what they share. */
#include "cli/command.h"

#include "app/program.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A line each, so that two who add one do not meet. */
/* clang-format off */
extern const struct command
    init_command,
    migrate_command,
    check_command,
    token_command,
    sources_command,
    status_command,
    show_command,
    explain_command,
    deliveries_command,
    replay_command,
    rebuild_command,
    verify_command,
    spool_command,
    purge_command,
    prune_command,
    simulate_command,
    completion_command,
    help_command;

const struct command *const command_table[] = {
    &init_command,
    &migrate_command,
    &check_command,
    &token_command,
    &sources_command,
    &status_command,
    &show_command,
    &explain_command,
    &deliveries_command,
    &replay_command,
    &rebuild_command,
    &verify_command,
    &spool_command,
    &purge_command,
    &prune_command,
    &simulate_command,
    &completion_command,
    &help_command,
};
/* clang-format on */

const size_t command_count = ARRAY_LEN(command_table);

const struct command *command_find(const char *name) {
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(command_table[i]->name, name) == 0) {
            return command_table[i];
        }
    }
    return NULL;
}

const char *option_value(const struct invocation *invocation, const char *name) {
    const struct command_option *options = invocation->command->options;
    for (size_t i = 0; i < COMMAND_OPTIONS && options[i].name != NULL; i++) {
        if (strcmp(options[i].name, name) == 0) {
            return invocation->values[i];
        }
    }
    assert(false && "an option of another command");
    return NULL;
}

bool option_given(const struct invocation *invocation, const char *name) {
    return option_value(invocation, name) != NULL;
}

int command_failed(const struct err *err) {
    return program_failed("waybill", err);
}

int command_misused(const struct invocation *invocation, const char *why) {
    fprintf(stderr, "waybill: %s: %s; see waybill help %s\n", invocation->command->name, why,
            invocation->command->name);
    return EXIT_USAGE;
}

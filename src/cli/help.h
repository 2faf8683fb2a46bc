/* The texts that are made from the table of commands. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

/* All commands, a line each. */
void help_overview(FILE *out);
/* One command: usage, options, examples. */
void help_command_page(FILE *out, const struct command *command);

/* The options of COMMAND with those that several commands have, up to one without a name. */
#define HELP_OPTIONS (COMMAND_OPTIONS + 4)
void help_options(const struct command *command, struct command_option options[HELP_OPTIONS]);

#endif

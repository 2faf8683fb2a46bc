/* The texts that are made from the table of commands. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

/* All commands, a line each. */
void help_overview(FILE *out);
/* One command: usage, options, examples. */
void help_command_page(FILE *out, const struct command *command);

#endif

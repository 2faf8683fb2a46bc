/*
 * A subcommand of waybill: a file of its own in cli/ and a row in the table of cli/commands.c. The
 * command line is read, and help, completion and the manual page are made, from these rows.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/err.h"

#include <stddef.h>

#define COMMAND_OPTIONS 12
#define COMMAND_EXAMPLES 6

struct command_option {
    const char *name;     /* without the dashes */
    const char *argument; /* what the help calls its value, "a|b" where it is one of some words;
                             NULL: a flag */
    const char *summary;
};

struct invocation;

struct command {
    const char *name;
    const char *operands; /* as the help shows them: "[DELIVERY]"; NULL: none */
    size_t least_operands, most_operands;
    const char *summary; /* one line, without a full stop */
    const char *details; /* one paragraph, or several with a newline between; NULL: nothing to add
                          */
    bool takes_dsn;      /* --dsn: it connects to the database as the schema's owner */
    bool takes_json;     /* --json */
    struct command_option options[COMMAND_OPTIONS]; /* up to the first without a name */
    const char *examples[COMMAND_EXAMPLES];         /* whole command lines; at least one */
    /* Does it and returns the exit code (contract section 9). */
    int (*run)(const struct invocation *invocation);
};

/* The rows, in the order of the help. */
extern const struct command *const command_table[];
extern const size_t command_count;
/* NULL when there is none. */
const struct command *command_find(const char *name);

/* What a command line says. */
struct invocation {
    const struct command *command;
    const char *dsn; /* --dsn, else $WAYBILL_DSN, else "": libpq's own environment; of root, who
                        says nothing of all that, the database waybill here */
    bool json;
    char *const *operands;
    size_t operand_count;
    const char *values[COMMAND_OPTIONS]; /* of the command's options; "" for a flag; NULL: not
                                            given */
};

/* NAME is one of the command's own options. */
bool option_given(const struct invocation *invocation, const char *name);
const char *option_value(const struct invocation *invocation, const char *name); /* or NULL */

/* Tells on stderr and returns the exit code: of a failure, of a wrong use. */
int command_failed(const struct err *err);
int command_misused(const struct invocation *invocation, const char *why);

#endif

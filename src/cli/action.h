/*
 * What an administrator does to the data leaves a row in waybill_audit.actions: who, when, what was
 * asked, how many. Written in a transaction of its own before the work begins, and ended after it:
 * a row without an end is of a command that was cut off. Without the row nothing is done.
 */
#ifndef CLI_ACTION_H
#define CLI_ACTION_H

#include "cli/command.h"

#include <stdint.h>

struct action {
    struct store *store;
    int64_t id;
};

/* A number of the work's result. */
struct action_count {
    const char *name;
    int64_t value;
};

MUST_CHECK bool action_begin(struct action *action, const struct invocation *invocation,
                             const char *dsn, struct err *err);
/* Closes ACTION, which began; DONE says whether the work was. False with ERR when the row could not
 * be ended. */
MUST_CHECK bool action_end(struct action *action, bool done, const struct action_count *counts,
                           size_t count, struct err *err);

#endif

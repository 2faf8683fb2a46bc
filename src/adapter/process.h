/*
 * What the process itself shows of its memory: nothing. And as whom it acts.
 */
#ifndef ADAPTER_PROCESS_H
#define ADAPTER_PROCESS_H

#include "base/attr.h"

#include <stdbool.h>

/*
 * From now on the kernel writes no core file of this process, whatever kills it, and only root can
 * read its memory or trace it: both would hold credentials and people's addresses. Called first in
 * main(), before there is anything to show. It cannot fail in a way that matters: a kernel that
 * refuses leaves things as they were.
 */
void process_keep_to_itself(void);
/*
 * Makes TEXT, an argument of main() with a secret in it, unreadable in the list of processes. Its
 * length stays.
 */
void process_hide_argument(char *text);

/*
 * Root acts as USER from now on, until process_act_as(NULL): so PostgreSQL sees another user at the
 * other end of its socket. False when there is no such user, or when we are not root.
 */
MUST_CHECK bool process_act_as(const char *user);

#endif

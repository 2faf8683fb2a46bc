/*
 * A watch over things under way: what takes longer than a limit is reported, once, while it goes
 * on.
 *
 * Whoever works on them may hang in a library; the watch has a thread of its own and asks nobody.
 */
#ifndef ENGINE_WATCH_H
#define ENGINE_WATCH_H

#include "base/attr.h"
#include "base/err.h"

#include <stdint.h>

/* What a user embeds in its own thing. */
struct watched {
    struct watched *older, *newer; /* the watch's */
    int64_t since_ms;
    bool listed;
};

struct watch;

/*
 * Reports each thing that was added more than LIMIT_MS ago (a little later, never earlier) to
 * OVERDUE, in the watch's thread and under its lock: nobody gets the thing out meanwhile, and
 * OVERDUE must not call the watch. NULL with ERR_SYSTEM or ERR_MEMORY.
 */
MUST_CHECK struct watch *watch_new(int64_t limit_ms,
                                   void (*overdue)(void *context, struct watched *thing),
                                   void *context, struct err *err);
void watch_add(struct watch *watch, struct watched *thing);
/* THING is done. False when it was reported. */
MUST_CHECK bool watch_remove(struct watch *watch, struct watched *thing);
/* Nothing is reported any more. NULL is allowed. */
void watch_free(struct watch *watch);

#endif

/*
 * Memory that several processes share by its name, and a lot of it for each of them.
 *
 * A file in /dev/shm for each user, mode 0600. It begins as zeros; what a process wrote stays
 * however it ends, and the last one to leave in order removes it. A process holds its lot by a lock
 * that the kernel takes back when it ends, so nobody has to tidy up after a kill.
 */
#ifndef ADAPTER_SHARED_H
#define ADAPTER_SHARED_H

#include "base/err.h"

#include <stddef.h>

/* Processes that can have a lot each. */
#define SHARED_LOTS 64

struct shared;

/*
 * This user's SIZE bytes called NAME ("waybill-…", no slash). Where that cannot be (no /dev/shm, a
 * file of somebody else's or of another size, more processes than lots) ERR says why, and the
 * memory is this process's alone. NULL without memory.
 */
MUST_CHECK struct shared *shared_open(const char *name, size_t size, struct err *err);
void shared_close(struct shared *shared); /* NULL is allowed */

/*
 * The same bytes for one who only looks: those of this user's processes, or, when they have none,
 * those of another user's. Takes no lot; shared_bytes() may be read, shared_close() removes
 * nothing. NULL where nobody has any, and with ERR when they are not this user's to read, or those
 * of several others could be meant.
 */
MUST_CHECK struct shared *shared_look(const char *name, size_t size, struct err *err);

void *shared_bytes(const struct shared *shared);
/* This process's lot; not of one who only looks. */
size_t shared_lot(const struct shared *shared);
/* Whether a process holds LOT now. */
bool shared_is_held(const struct shared *shared, size_t lot);

#endif

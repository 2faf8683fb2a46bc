/*
 * Memory that several processes share by its name, and a lot of it for each of them.
 *
 * A file in /dev/shm, mode 0600. It begins as zeros; what a process wrote stays however it ends,
 * and the last one to leave in order removes it. A process holds its lot by a lock that the kernel
 * takes back when it ends, so nobody has to tidy up after a kill.
 */
#ifndef ADAPTER_SHARED_H
#define ADAPTER_SHARED_H

#include "base/err.h"

#include <stddef.h>

/* Processes that can have a lot each. */
#define SHARED_LOTS 64

struct shared;

/*
 * The SIZE bytes called NAME ("waybill-…", no slash). Where that cannot be (no /dev/shm, a file of
 * somebody else's or of another size, more processes than lots) ERR says why, and the memory is
 * this process's alone. NULL without memory.
 */
MUST_CHECK struct shared *shared_open(const char *name, size_t size, struct err *err);
void shared_close(struct shared *shared); /* NULL is allowed */

void *shared_bytes(const struct shared *shared);
/* This process's lot. */
size_t shared_lot(const struct shared *shared);
/* Whether a process holds LOT now. */
bool shared_is_held(const struct shared *shared, size_t lot);

#endif

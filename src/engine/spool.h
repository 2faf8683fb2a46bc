/*
 * The spool: a waiting room on the local disk for authentic webhooks that the database cannot take.
 *
 * One folder, one SQLite file in it (WAL, synchronous=FULL), shared by any number of processes and
 * threads. What spool_append() took survives kill -9 and power loss. An event leaves only by
 * spool_remove(), after PostgreSQL has committed it; an event that is delivered twice is a
 * duplicate there. No lock outlives its process.
 *
 *   events.sqlite3        the events; -wal and -shm beside it are SQLite's
 *   room.lock             held shared while a process uses the file, alone while it replaces it
 *   drain.lock            held by the one process that drains
 *   damaged-TIME.sqlite3  a file that was found damaged, as it was
 *   salvage-TIME.sqlite3  the same, as long as its events are copied; any process finishes that
 *
 * A damaged or truncated file is moved aside, a new one is begun, and every event that can still be
 * read whole (each carries a SHA-256) goes into it.
 *
 * The bodies hold personal data: files are made with mode 0600, a missing folder with 0700. Emptied
 * by draining, the file shrinks and what was in it is overwritten.
 */
#ifndef ENGINE_SPOOL_H
#define ENGINE_SPOOL_H

#include "adapter/crypto.h"
#include "base/arena.h"
#include "base/err.h"

struct spool;

/* A webhook as it was received: all that its delivery is made of. */
struct spool_event {
    int64_t received_at;
    /* PROVIDER is one name; where the event may speak of another source's order, which was settled
     * when it came, a space and the name of that order's provider follow. */
    struct slice source, provider, tracking_url, headers, body;
    /* Set by spool_read(): which one it is. */
    int64_t id;
    uint8_t digest[SHA256_LEN];
};

struct spool_state {
    int64_t events, oldest; /* count; time of reception, TIMESTAMP_NONE when there is none */
    int64_t bytes;          /* of the file that are in use */
};

/*
 * The spool in FOLDER with at most MAX_BYTES in its file; what SQLite keeps beside it (-wal) comes
 * on top, some megabytes. Nothing is touched before the first call. TOLD
 * hears of damage, in a line for the log; it may be called by any thread that uses the spool. NULL
 * without memory.
 */
MUST_CHECK struct spool *spool_new(const char *folder, size_t max_bytes,
                                   void (*told)(const char *text));
void spool_free(struct spool *spool); /* NULL is allowed */

/* Each call waits at most about a second for other processes. On failure: ERR_MEMORY when the spool
 * or the disk is full, ERR_TIMEOUT when others are in the way, else ERR_SYSTEM. */

/* Makes folder and file where they are missing, and opens them; the other calls do without. */
MUST_CHECK bool spool_make(struct spool *spool, struct err *err);
/* Stores COUNT events in one transaction; on true they are on the disk. */
MUST_CHECK bool spool_append(struct spool *spool, const struct spool_event *events, size_t count,
                             struct err *err);
/*
 * The oldest events with ids above AFTER: as many as fit in MAX_COUNT and MAX_BYTES of bodies, but
 * at least one. *COUNT is 0 when there is none. The bytes live in ARENA.
 */
MUST_CHECK bool spool_read(struct spool *spool, int64_t after, size_t max_count, size_t max_bytes,
                           struct arena *arena, struct spool_event *events, size_t *count,
                           struct err *err);
MUST_CHECK bool spool_remove(struct spool *spool, const struct spool_event *events, size_t count,
                             struct err *err);
/* Gives an empty file's room back to the disk. */
MUST_CHECK bool spool_tidy(struct spool *spool, struct err *err);
MUST_CHECK bool spool_look(struct spool *spool, struct spool_state *state, struct err *err);
/* Writes and takes back: could an event be kept now? */
MUST_CHECK bool spool_check(struct spool *spool, struct err *err);

enum spool_drain { SPOOL_DRAIN_TAKEN, SPOOL_DRAIN_HELD, SPOOL_DRAIN_FAILED };

/* At most one process drains at a time: HELD when another does. FAILED with ERR_SYSTEM where nobody
 * can tell, as without the rights to the folder. What is taken is given back by spool_drain_end(),
 * and by the kernel when the process ends. One thread of a process drains. */
MUST_CHECK enum spool_drain spool_drain_begin(struct spool *spool, struct err *err);
void spool_drain_end(struct spool *spool);

#endif

/*
 * What waits in the spool goes to PostgreSQL: oldest first, in batches, each event read again from
 * its bytes as if it came now, with the time of its reception. An event leaves the spool after the
 * commit, so whatever ends a process in between, it is delivered again and is a duplicate then.
 *
 * Its source need not be configured any more: an event carries what its delivery is made of, but
 * for the source's time zone and carrier, which are those of the configuration. Nor does
 * quarantine_max stop it, for it was answered 200.
 */
#ifndef APP_DRAIN_H
#define APP_DRAIN_H

#include "app/settings.h"
#include "engine/spool.h"
#include "engine/store.h"

enum drain_end {
    DRAIN_EMPTY,   /* nothing waits */
    DRAIN_STOPPED, /* GO_ON said so */
    DRAIN_BUSY,    /* another process drains */
    DRAIN_DOWN,    /* the database is away, or takes nothing: ERR */
    DRAIN_STUCK,   /* the rest is events that cannot be stored one by one now: ERR of one */
    DRAIN_FAILED,  /* the spool cannot be used: ERR */
};

struct drain {
    struct spool *spool;
    struct store *store;
    const struct settings *settings;
    /* Asked before each transaction, and so told after the one before: DRAINED events so far. False
     * ends the pass. */
    bool (*go_on)(void *context, int64_t drained);
    void *context;
    /* The pass begins behind this id and goes round: INT64_MIN at first. Where a pass gave up, it
     * is set to that event, so that the next one does not begin with the same. */
    int64_t after;
    int64_t drained, left; /* out: events of the pass */
    int64_t failed;        /* out: those of LEFT that the database did not take */
};

/* One pass over the spool. */
MUST_CHECK enum drain_end drain_pass(struct drain *drain, struct err *err);

/* ---- the thread of a process that fills the spool ---- */

struct drainer;

/*
 * Drains a spool into a database whenever there is something, also what other processes left.
 */
struct drainer_options {
    struct spool *spool; /* kept */
    const char *dsn;
    /* Before each pass: the database may be another one meanwhile (store_use()). */
    void (*renew)(void *context, struct store *store);
    /* The settings in force, for the caller to free. */
    const struct settings *(*settings)(void *context);
    /* Whether somebody waits to hear that the database takes events, and telling it. */
    bool (*is_down)(void *context);
    void (*up)(void *context);
    /* Whether events are on their way into the spool, those among them that found out that the
     * database is down: an empty spool proves nothing then. */
    bool (*is_filling)(void *context);
    /* It answers, but what waits could not be stored: one new event shall try, and tell by it. */
    void (*try_one)(void *context);
    void *context;
};
/* NULL with ERR_SYSTEM or ERR_MEMORY. */
MUST_CHECK struct drainer *drainer_new(const struct drainer_options *options, struct err *err);
/* There is something to do. */
void drainer_wake(struct drainer *drainer);
/* Ends it after the batch at hand. NULL is allowed. */
void drainer_free(struct drainer *drainer);

#endif

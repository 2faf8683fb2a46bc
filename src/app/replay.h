/*
 * Stored bytes back through the path that webhooks take: what an order's deliveries say is derived
 * again by the providers of this release.
 */
#ifndef APP_REPLAY_H
#define APP_REPLAY_H

#include "app/settings.h"
#include "engine/store_operator.h"

/* What became of the orders so far. */
struct replay_counts {
    int64_t total; /* orders to do, as counted at the beginning */
    int64_t done;  /* of which: */
    int64_t changed, unchanged;
    int64_t purged;     /* left as they are: a delivery's bytes are gone */
    int64_t unreadable; /* left as they are: a delivery that was understood once is not any more */
};

/* Derives every order again, order by order, each in a transaction of its own, with the time zones
 * and carriers of the sources in SETTINGS (NULL: without). PROGRESS is told after every order. */
MUST_CHECK bool replay_rebuild(const char *dsn, const struct settings *settings,
                               void (*progress)(const struct replay_counts *counts),
                               struct replay_counts *counts, struct err *err);

/* What became of one stored webhook that was read again. */
enum replay_end {
    REPLAY_APPLIED,     /* understood now */
    REPLAY_IGNORED,     /* understood now, nothing for the rows */
    REPLAY_DUPLICATE,   /* what it says is stored already, as another delivery */
    REPLAY_QUARANTINED, /* still not understood */
    REPLAY_REBUILT,     /* it was applied before: its order was derived again, and changed */
    REPLAY_UNCHANGED,   /* it was understood before, and nothing is new */
    REPLAY_PURGED,      /* its bytes are gone */
    REPLAY_NO_SOURCE,   /* its source is not configured */
    REPLAY_WRONG_MODE,  /* its source may not write what it says */
    REPLAY_REFUSED,     /* the database refuses what it says */
    REPLAY_ENDS
};
struct replay_result {
    enum replay_end end;
    char detail[256]; /* why it is not understood or refused; empty: nothing to say */
};
/* "applied", "still quarantined", … */
const char *replay_end_name(enum replay_end end);

/*
 * Reads STORED again with the provider that its source has in SETTINGS, and applies it where it is
 * understood: it takes the identity that it would have now, and its facts merge by the same rules
 * as ever. One that was applied before has its order rebuilt. DRY changes nothing and says what
 * would become of it. False when the database cannot do it now.
 */
MUST_CHECK bool replay_stored(struct store *store, const struct settings *settings,
                              const struct store_stored *stored, bool dry,
                              struct replay_result *result, struct err *err);

#endif

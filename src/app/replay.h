/*
 * Stored bytes back through the path that webhooks take: what an order's deliveries say is derived
 * again by the providers of this release.
 */
#ifndef APP_REPLAY_H
#define APP_REPLAY_H

#include "engine/store.h"

/* What became of the orders so far. */
struct replay_counts {
    int64_t total; /* orders to do, as counted at the beginning */
    int64_t done;  /* of which: */
    int64_t changed, unchanged;
    int64_t purged;     /* left as they are: a delivery's bytes are gone */
    int64_t unreadable; /* left as they are: a delivery that was understood once is not any more */
};

/* Derives every order again, order by order, each in a transaction of its own. PROGRESS is told
 * after every order. */
MUST_CHECK bool replay_rebuild(const char *dsn,
                               void (*progress)(const struct replay_counts *counts),
                               struct replay_counts *counts, struct err *err);

#endif

/*
 * The orders that one transaction folds into: filled from what the database returns, changed by
 * domain/fold.h, and written back. One thread, one attempt.
 */
#ifndef ENGINE_STATES_H
#define ENGINE_STATES_H

#include "domain/fold.h"
#include "engine/state_rows.h"

struct states {
    const struct row_shape *shapes;
    struct arena *arena;
    struct uuid_map orders;    /* struct order_state */
    struct uuid_map manifests; /* struct manifest_state */
    /* Whether personal facts come as digests. */
    bool digests;
};

/* Takes in the state_row VALUE (schema/migrations/0002_tables.sql). */
MUST_CHECK bool states_load(struct states *states, struct slice value, struct err *err);
/* Folds DELIVERY into its order, which is made where it is not there yet, and its manifest. */
MUST_CHECK bool states_fold(struct states *states, const struct delivery *delivery,
                            struct err *err);
/* Derives what every order shows. Those whose document changed get the next of the COUNT POSITIONS
 * of the feed as their version, and STAMPED_AT. */
MUST_CHECK bool states_show(struct states *states, const int64_t *positions, size_t count,
                            int64_t stamped_at, struct err *err);
/* Adds the parameters of waybill_data.write_states(). */
void states_add_rows(const struct states *states, struct pg_params *params);

/* Folds DELIVERY into ORDER with the identities that it has. */
MUST_CHECK bool fold_delivery(struct order_state *order, const struct delivery *delivery,
                              const struct fold_watch *watch, struct arena *arena);

#endif

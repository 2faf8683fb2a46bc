/*
 * Deliveries into the database, however they came there: from a request, or out of the spool.
 */
#ifndef APP_COMMIT_H
#define APP_COMMIT_H

#include "engine/batch.h"
#include "engine/store.h"

/*
 * Stores COUNT deliveries in one transaction. BATCH_REFUSED: the data of one of several is refused,
 * try halves; a single one that is refused goes to quarantine, with memory of ARENA for the reason.
 * BATCH_FAILED with ERR: the database cannot do it now.
 */
MUST_CHECK enum batch_result commit_deliveries(struct store *store,
                                               struct delivery *const *deliveries, size_t count,
                                               struct arena *arena, struct err *err);

#endif

/*
 * What the administration command asks of the database and does to it (role: owner of the schema),
 * beside the migrations and the rebuild in engine/store.h.
 */
#ifndef ENGINE_STORE_OPERATOR_H
#define ENGINE_STORE_OPERATOR_H

#include "engine/store.h"

/* ---- the rows of waybill_audit.actions ---- */

struct store_action {
    struct slice command, arguments, os_user, host;
};
/* Adds a row of an action that begins now. */
MUST_CHECK enum store_result store_action_begin(struct store *store,
                                                const struct store_action *action, int64_t *id,
                                                struct err *err);
/* COUNTS is a JSON object of numbers. */
MUST_CHECK enum store_result store_action_end(struct store *store, int64_t id, bool done,
                                              struct slice counts, struct err *err);

#endif

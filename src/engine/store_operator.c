#include "engine/store_operator.h"

#include "engine/store_connection.h"

#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX ((size_t)1 << 20)

/* ---- actions ---- */

struct begun {
    const struct store_action *action;
    int64_t id;
};

/* "does not exist" says nothing to who forgot to migrate. */
static bool explain_old_schema(struct err *err) {
    if (memcmp(err->sqlstate, "42P01", 6) == 0 || memcmp(err->sqlstate, "42883", 6) == 0) {
        struct err why = *err;
        err_clear(err);
        err_set(err, ERR_DATABASE, "%s (is the schema older than this release? waybill migrate)",
                why.message);
        memcpy(err->sqlstate, why.sqlstate, sizeof(err->sqlstate));
    }
    return false;
}

static bool run_action_begin(struct store *store, void *context, int64_t deadline_ms,
                             struct err *err) {
    static const char sql[] =
        "INSERT INTO waybill_data.actions (command, arguments, os_user, host, release)"
        " VALUES ($1, COALESCE($2, ''), $3, COALESCE($4, ''), $5) RETURNING action_id";
    struct begun *begun = context;
    struct pg_params params;
    struct pg_result *result = NULL;
    pg_params_init(&params, PARAMS_MAX);
    pg_add_text(&params, begun->action->command);
    pg_add_text(&params, begun->action->arguments);
    pg_add_text(&params, begun->action->os_user);
    pg_add_text(&params, begun->action->host);
    pg_add_text(&params, SLICE_OF(WAYBILL_VERSION));
    bool ok = pg_query(store->pg, sql, &params, deadline_ms, &result, err);
    pg_params_free(&params);
    if (!ok) {
        return explain_old_schema(err);
    }
    begun->id = pg_integer(result, 0, 0);
    pg_result_clear(result);
    return true;
}

enum store_result store_action_begin(struct store *store, const struct store_action *action,
                                     int64_t *id, struct err *err) {
    struct begun begun = {.action = action};
    enum store_result result = store_run(store, run_action_begin, &begun, err);
    *id = begun.id;
    return result;
}

struct ended {
    int64_t id;
    bool done;
    struct slice counts;
};

static bool run_action_end(struct store *store, void *context, int64_t deadline_ms,
                           struct err *err) {
    static const char sql[] =
        "UPDATE waybill_data.actions SET ended_at = pg_catalog.clock_timestamp(), done = $2,"
        " counts = $3::text::jsonb WHERE action_id = $1";
    const struct ended *ended = context;
    struct pg_params params;
    pg_params_init(&params, PARAMS_MAX);
    pg_add_int8(&params, ended->id);
    pg_add_bool(&params, ended->done);
    pg_add_text(&params, ended->counts);
    bool ok = pg_query(store->pg, sql, &params, deadline_ms, NULL, err);
    pg_params_free(&params);
    return ok;
}

enum store_result store_action_end(struct store *store, int64_t id, bool done, struct slice counts,
                                   struct err *err) {
    struct ended ended = {id, done, counts};
    return store_run(store, run_action_end, &ended, err);
}

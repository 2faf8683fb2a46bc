#include "engine/store_connection.h"

#include "domain/shown.h"

#include <stdlib.h>
#include <string.h>

/* The columns of waybill_data.explain_order(). */
enum column_number {
    VERSION,
    DOCUMENT,
    STATE,
    DELIVERY_ID,
    SOURCE,
    PROVIDER,
    EVENT_TYPE,
    EVENT_ID,
    RECEIVED_AT,
    BODY,
    LEFT_OUT
};

static void take_delivery(struct store_explanation *out, const struct pg_result *result,
                          size_t row) {
    struct store_told *told = &out->deliveries[out->delivery_count++];
    *told = (struct store_told){
        .source = pg_bytes(result, row, SOURCE),
        .provider = pg_bytes(result, row, PROVIDER),
        .event_type = pg_bytes(result, row, EVENT_TYPE),
        .event_id = pg_bytes(result, row, EVENT_ID),
        .received_at = pg_timestamp(result, row, RECEIVED_AT),
        .body = pg_bytes(result, row, BODY),
        .left_out = pg_integer(result, row, LEFT_OUT) != 0,
    };
    told->purged = pg_is_null(result, row, BODY) && !told->left_out;
    memcpy(told->id.bytes, pg_bytes(result, row, DELIVERY_ID).data, sizeof(told->id.bytes));
}

/* The state of the order, with what it shows. */
static bool take_state(struct store *store, struct store_explanation *out, struct err *err) {
    struct states states = store_states(store, false);
    bool failed = false;
    out->arena = states.arena;
    if (states.arena == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    if (!store_load_states(&states, out->result, STATE, err)) {
        return false;
    }
    out->state = uuid_map_find(&states.orders, &out->order);
    if (out->state == NULL) {
        return err_set(err, ERR_DATABASE, "the database returned another order");
    }
    /* For the rule; what is shown is stored already. */
    bool differs = shown_order(out->state, states.arena, &failed);
    (void)differs;
    return !failed || err_set(err, ERR_MEMORY, "out of memory");
}

static bool take_explanation(struct store *store, struct store_explanation *out, struct err *err) {
    size_t rows = pg_row_count(out->result);
    if (rows == 0) {
        return true;
    }
    out->version = pg_integer(out->result, 0, VERSION);
    out->document = pg_bytes(out->result, 0, DOCUMENT);
    out->deliveries = calloc(rows, sizeof(*out->deliveries));
    if (out->deliveries == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t row = 1; row < rows; row++) {
        if (!pg_is_null(out->result, row, DELIVERY_ID)) {
            take_delivery(out, out->result, row);
        }
    }
    return take_state(store, out, err);
}

static bool run_explain(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    static const char sql[] = "SELECT * FROM waybill_data.explain_order($1, $2, $3, $4)";
    struct store_explanation *out = context;
    struct pg_params params;
    store_explanation_free(out); /* of an attempt before */
    pg_params_init(&params, 4096);
    pg_add_uuid(&params, out->order.bytes);
    pg_add_bool(&params, out->full);
    pg_add_bool(&params, out->events);
    pg_add_int8(&params, out->max_bytes);
    bool ok = pg_query(store->pg, sql, &params, deadline_ms, &out->result, err) &&
              take_explanation(store, out, err);
    pg_params_free(&params);
    return ok;
}

enum store_result store_explain(struct store *store, struct store_explanation *explanation,
                                struct err *err) {
    return store_run(store, run_explain, explanation, err);
}

void store_explanation_free(struct store_explanation *explanation) {
    free(explanation->deliveries);
    arena_free(explanation->arena);
    pg_result_clear(explanation->result);
    explanation->deliveries = NULL;
    explanation->arena = NULL;
    explanation->state = NULL;
    explanation->result = NULL;
    explanation->delivery_count = 0;
    explanation->version = 0;
}

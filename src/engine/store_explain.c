#include "engine/store_connection.h"

#include <stdlib.h>
#include <string.h>

/* The columns of waybill_data.explain_order(). */
enum column {
    PART,
    NUMBER,
    NAME,
    BOX_ID,
    ITEM,
    KEY,
    VALUE,
    DELIVERY_ID,
    SOURCE,
    PROVIDER,
    EVENT_TYPE,
    EVENT_ID,
    RECEIVED_AT,
    BODY
};

static void take_document(struct store_explanation *out, const struct pg_result *result,
                          size_t row) {
    out->version = pg_integer(result, row, NUMBER);
    out->document = pg_bytes(result, row, VALUE);
}

static void take_rule(struct store_explanation *out, const struct pg_result *result, size_t row) {
    out->rule = pg_integer(result, row, NUMBER);
}

static void take_register(struct store_explanation *out, const struct pg_result *result,
                          size_t row) {
    out->registers[out->register_count++] = (struct store_register){
        .name = pg_bytes(result, row, NAME),
        .box_id = pg_bytes(result, row, BOX_ID),
        .item = pg_bytes(result, row, ITEM),
        .key = pg_bytes(result, row, KEY),
        .value = pg_bytes(result, row, VALUE),
    };
}

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
        .left_out = pg_integer(result, row, NUMBER) != 0,
    };
    told->purged = pg_is_null(result, row, BODY) && !told->left_out;
    memcpy(told->id.bytes, pg_bytes(result, row, DELIVERY_ID).data, sizeof(told->id.bytes));
}

static const struct {
    struct slice name;
    void (*take)(struct store_explanation *out, const struct pg_result *result, size_t row);
} PARTS[] = {
    {SLICE("document"), take_document},
    {SLICE("rule"), take_rule},
    {SLICE("register"), take_register},
    {SLICE("delivery"), take_delivery},
};

static bool take_parts(struct store_explanation *out, struct err *err) {
    size_t rows = pg_row_count(out->result);
    out->registers = calloc(rows + 1, sizeof(*out->registers));
    out->deliveries = calloc(rows + 1, sizeof(*out->deliveries));
    if (out->registers == NULL || out->deliveries == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < ARRAY_LEN(PARTS); i++) {
            if (slice_eq(pg_bytes(out->result, row, PART), PARTS[i].name)) {
                PARTS[i].take(out, out->result, row);
            }
        }
    }
    return true;
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
    bool ok =
        pg_query(store->pg, sql, &params, deadline_ms, &out->result, err) && take_parts(out, err);
    pg_params_free(&params);
    return ok;
}

enum store_result store_explain(struct store *store, struct store_explanation *explanation,
                                struct err *err) {
    return store_run(store, run_explain, explanation, err);
}

void store_explanation_free(struct store_explanation *explanation) {
    free(explanation->registers);
    free(explanation->deliveries);
    pg_result_clear(explanation->result);
    explanation->registers = NULL;
    explanation->deliveries = NULL;
    explanation->result = NULL;
    explanation->register_count = 0;
    explanation->delivery_count = 0;
    explanation->version = 0;
}

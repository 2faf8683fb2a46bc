#include "engine/store_connection.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/*
 * Deliveries become arrays of rows, one a table. A row of the database may be changed by several
 * deliveries of a batch, or by one delivery several times: such changes get rounds 1, 2, … and the
 * function writes each row once a round. Rows are sorted by key, so that concurrent batches meet in
 * the same order.
 */

/* Where one row comes from. */
struct row {
    struct uuid order, key; /* sorted by; zero where a table has only one of them */
    uint32_t delivery;      /* index in the batch */
    uint32_t number;        /* index among the delivery's changes of this kind */
    uint32_t round;
};

static int compare_keys(const struct row *a, const struct row *b) {
    int by_order = memcmp(&a->order, &b->order, sizeof(a->order));
    return by_order != 0 ? by_order : memcmp(&a->key, &b->key, sizeof(a->key));
}

static int compare_rows(const void *left, const void *right) {
    const struct row *a = left, *b = right;
    int by_key = compare_keys(a, b);
    if (by_key != 0) {
        return by_key;
    }
    if (a->delivery != b->delivery) {
        return a->delivery < b->delivery ? -1 : 1;
    }
    return (a->number > b->number) - (a->number < b->number);
}

static void sort_and_number(struct row *rows, size_t count) {
    qsort(rows, count, sizeof(*rows), compare_rows);
    for (size_t i = 0; i < count; i++) {
        rows[i].round =
            i > 0 && compare_keys(&rows[i - 1], &rows[i]) == 0 ? rows[i - 1].round + 1 : 1;
    }
}

/* What one batch is encoded from. */
struct encoding {
    struct store *store;
    struct pg_params *params;
    struct delivery *const *deliveries;
    struct row *rows; /* of the table at hand */
    size_t row_count;
    struct strbuf key; /* the register key at hand */
};

/* One table: how many rows a delivery has in it, where they belong, and their columns. */
struct table {
    enum row_type type;
    size_t (*count)(const struct delivery *delivery);
    void (*locate)(const struct delivery *delivery, size_t number, struct row *row);
    void (*encode)(struct encoding *encoding, struct pg_rows *out, const struct delivery *delivery,
                   const struct row *row);
};

static void add_ordinal(struct pg_rows *out, const struct row *row) {
    pg_col_int4(out, (int32_t)row->delivery + 1);
}

static void add_fact_key(struct encoding *encoding, struct pg_rows *out,
                         const struct delivery *delivery, uint32_t number) {
    strbuf_clear(&encoding->key);
    fact_key(&encoding->key, delivery->changes.version_at, &delivery->id, number);
    pg_col_bytea(out, strbuf_slice(&encoding->key));
}

static void add_status_key(struct encoding *encoding, struct pg_rows *out,
                           const struct delivery *delivery, const struct status_report *report,
                           bool of_order, uint32_t number) {
    strbuf_clear(&encoding->key);
    status_key(&encoding->key, report, of_order, delivery->changes.version_at, &delivery->id,
               number);
    pg_col_bytea(out, strbuf_slice(&encoding->key));
}

/* ---- deliveries ---- */

static size_t count_delivery(const struct delivery *delivery) {
    (void)delivery;
    return 1;
}

static void locate_delivery(const struct delivery *delivery, size_t number, struct row *row) {
    (void)number;
    row->key = delivery->id;
}

static struct slice reading_outcome(enum reading reading) {
    switch (reading) {
    case READING_APPLIED:
        return delivery_outcome_name(OUTCOME_APPLIED);
    case READING_QUARANTINED:
        return delivery_outcome_name(OUTCOME_QUARANTINED);
    case READING_IGNORED:
    case READING_URL_CHECK:
        break;
    }
    return delivery_outcome_name(OUTCOME_IGNORED);
}

static void encode_delivery(struct encoding *encoding, struct pg_rows *out,
                            const struct delivery *delivery, const struct row *row) {
    (void)encoding;
    const struct changes *changes = &delivery->changes;
    add_ordinal(out, row);
    pg_col_int4(out, (int32_t)row->round);
    pg_col_uuid(out, delivery->id.bytes);
    pg_col_uuid(out, delivery->has_order ? delivery->order.bytes : NULL);
    pg_col_text(out, delivery->source);
    pg_col_text(out, delivery->provider);
    if (changes->live_known) {
        pg_col_bool(out, changes->live);
    } else {
        pg_col_null_bool(out);
    }
    pg_col_timestamptz(out, delivery->received_at);
    pg_col_text(out, changes->event_type);
    pg_col_text(out, changes->event_id);
    pg_col_text(out, reading_outcome(delivery->reading));
    pg_col_text(out, changes->detail);
    pg_col_jsonb(out, delivery->headers);
    pg_col_bytea(out, delivery->body);
    pg_col_int8(out, (int64_t)delivery->quarantine_max);
}

/* ---- orders ---- */

static size_t count_order(const struct delivery *delivery) {
    return delivery->has_order ? 1 : 0;
}

static void locate_order(const struct delivery *delivery, size_t number, struct row *row) {
    (void)number;
    row->order = delivery->order;
}

static bool order_says_something(const struct order_change *order) {
    return order->has_status || order->order_number.len > 0 || order->external_reference.len > 0 ||
           order->courier_id.len > 0 || order->send_date != TIMESTAMP_NONE ||
           order->destination.len > 0 || order->has_box_list;
}

static void encode_order(struct encoding *encoding, struct pg_rows *out,
                         const struct delivery *delivery, const struct row *row) {
    const struct order_change *order = &delivery->changes.order;
    add_ordinal(out, row);
    pg_col_int4(out, (int32_t)row->round);
    pg_col_uuid(out, delivery->order.bytes);
    pg_col_text(out, delivery->order_source);
    pg_col_text(out, delivery->order_provider);
    pg_col_bool(out, delivery->changes.live);
    pg_col_text(out, delivery->changes.order_id);
    if (order_says_something(order)) {
        add_fact_key(encoding, out, delivery, 0);
    } else {
        pg_col_null_bytea(out);
    }
    if (order->has_status) {
        add_status_key(encoding, out, delivery, &order->status, true, 0);
    } else {
        pg_col_null_bytea(out);
    }
    pg_col_text(out, order->has_status ? status_name(order->status.status) : SLICE_EMPTY);
    pg_col_text(out, order->status.provider_status);
    pg_col_text(out, order->status.detail);
    pg_col_timestamptz(out, order->status.at);
    pg_col_text(out, order->order_number);
    pg_col_text(out, order->external_reference);
    pg_col_timestamptz(out, order->send_date);
    pg_col_text(out, order->courier_id);
    pg_col_jsonb(out, order->destination);
    if (order->has_box_list) {
        pg_col_text_array(out, order->box_list, order->box_list_count);
    } else {
        pg_col_null_text_array(out);
    }
    pg_col_timestamptz(out, order->has_box_list ? delivery->changes.version_at : TIMESTAMP_NONE);
}

/* ---- boxes ---- */

static size_t count_boxes(const struct delivery *delivery) {
    return delivery->has_order ? delivery->changes.box_count : 0;
}

static void locate_box(const struct delivery *delivery, size_t number, struct row *row) {
    row->order = delivery->order;
    row->key = delivery->box_keys[number];
}

static void encode_box_status(struct encoding *encoding, struct pg_rows *out,
                              const struct delivery *delivery, const struct box_change *box,
                              uint32_t number) {
    if (box->has_status) {
        add_status_key(encoding, out, delivery, &box->status, false, number);
    } else {
        pg_col_null_bytea(out);
    }
    pg_col_bool(out, box->status.weak);
    pg_col_text(out, box->has_status ? status_name(box->status.status) : SLICE_EMPTY);
    pg_col_text(out, box->status.provider_status);
    pg_col_text(out, box->status.detail);
    pg_col_timestamptz(out, box->status.at);
    pg_col_text(out, box->status.location);
    pg_col_timestamptz(out, box->status.next_attempt_at);
}

static void encode_box(struct encoding *encoding, struct pg_rows *out,
                       const struct delivery *delivery, const struct row *row) {
    const struct box_change *box = &delivery->changes.boxes[row->number];
    add_ordinal(out, row);
    pg_col_int4(out, (int32_t)row->round);
    pg_col_uuid(out, delivery->order.bytes);
    pg_col_uuid(out, row->key.bytes);
    pg_col_text(out, box->box_id);
    add_fact_key(encoding, out, delivery, row->number);
    encode_box_status(encoding, out, delivery, box, row->number);
    pg_col_bool(out, box->was_delayed);
    pg_col_bool(out, box->had_failed_attempt);
    pg_col_timestamptz(out, box->shipped_at);
    pg_col_text(out, box->tracking_number);
    pg_col_text(out, box->carrier);
    pg_col_text(out, box->tracking_url);
    pg_col_text(out, delivery->tracking_url_template);
    pg_col_date(out, box->estimated_delivery_date);
    pg_col_timestamptz(out, box->estimated_delivery_at);
    pg_col_jsonb(out, box->pickup_point);
    pg_col_jsonb(out, box->items);
    pg_col_text(out, box->label_url);
    pg_col_text(out, box->signed_by);
    pg_col_text(out, box->proof_of_delivery);
}

/* ---- history, documents, order changes, manifests ---- */

static size_t count_events(const struct delivery *delivery) {
    return delivery->has_order ? delivery->changes.event_count : 0;
}

static void locate_event(const struct delivery *delivery, size_t number, struct row *row) {
    row->order = delivery->order;
    row->key = delivery->event_keys[number];
}

static void encode_event(struct encoding *encoding, struct pg_rows *out,
                         const struct delivery *delivery, const struct row *row) {
    const struct tracking_event *event = &delivery->changes.events[row->number];
    add_ordinal(out, row);
    pg_col_int4(out, (int32_t)row->round);
    pg_col_uuid(out, delivery->order.bytes);
    pg_col_uuid(out, row->key.bytes);
    pg_col_uuid(out, delivery->event_box_keys[row->number].bytes);
    pg_col_uuid(out, delivery->id.bytes);
    strbuf_clear(&encoding->key);
    history_key(&encoding->key, delivery->changes.version_at, delivery->changes.snapshot_id,
                &delivery->id, row->number);
    pg_col_bytea(out, strbuf_slice(&encoding->key));
    pg_col_timestamptz(out, event->occurred_at);
    pg_col_text(out, status_name(event->status));
    pg_col_text(out, event->detail);
    pg_col_text(out, event->provider_status);
    pg_col_text(out, event->location);
    pg_col_text(out, event->message);
    pg_col_text(out, event->previous_status);
    pg_col_text(out, event->stands_for);
}

static size_t count_documents(const struct delivery *delivery) {
    return delivery->has_order ? delivery->changes.document_count : 0;
}

static void locate_document(const struct delivery *delivery, size_t number, struct row *row) {
    row->order = delivery->order;
    row->key = delivery->document_box_keys[number];
}

static void encode_document(struct encoding *encoding, struct pg_rows *out,
                            const struct delivery *delivery, const struct row *row) {
    (void)encoding;
    const struct document *document = &delivery->changes.documents[row->number];
    add_ordinal(out, row);
    pg_col_uuid(out, delivery->order.bytes);
    pg_col_uuid(out, row->key.bytes);
    pg_col_text(out, document->kind);
    pg_col_text(out, document->url);
}

static size_t count_order_changes(const struct delivery *delivery) {
    return delivery->has_order ? delivery->changes.order_change_count : 0;
}

static void encode_order_change(struct encoding *encoding, struct pg_rows *out,
                                const struct delivery *delivery, const struct row *row) {
    (void)encoding;
    static const struct slice fields[] = {
        [FIELD_STATUS] = SLICE("status"),
        [FIELD_SEND_DATE] = SLICE("send_date"),
        [FIELD_COURIER] = SLICE("courier"),
        [FIELD_DESTINATION] = SLICE("destination"),
    };
    const struct order_field_change *change = &delivery->changes.order_changes[row->number];
    add_ordinal(out, row);
    pg_col_uuid(out, delivery->order.bytes);
    pg_col_uuid(out, delivery->id.bytes);
    pg_col_text(out, fields[change->field]);
    pg_col_text(out, change->previous_value);
    pg_col_text(out, change->new_value);
    pg_col_timestamptz(out, change->occurred_at);
}

static size_t count_manifest(const struct delivery *delivery) {
    return delivery->reading == READING_APPLIED && delivery->changes.has_manifest ? 1 : 0;
}

static void locate_manifest(const struct delivery *delivery, size_t number, struct row *row) {
    (void)number;
    row->key = delivery->manifest;
}

static void encode_manifest(struct encoding *encoding, struct pg_rows *out,
                            const struct delivery *delivery, const struct row *row) {
    const struct manifest *manifest = &delivery->changes.manifest;
    add_ordinal(out, row);
    pg_col_int4(out, (int32_t)row->round);
    pg_col_uuid(out, delivery->manifest.bytes);
    add_fact_key(encoding, out, delivery, 0);
    pg_col_text(out, delivery->source);
    pg_col_bool(out, delivery->changes.live);
    pg_col_text(out, manifest->shipment_id);
    pg_col_text(out, manifest->awb_number);
    if (manifest->parcel_count >= 0) {
        pg_col_int8(out, manifest->parcel_count);
    } else {
        pg_col_null_int8(out);
    }
    pg_col_text(out, manifest->country);
    pg_col_timestamptz(out, manifest->submitted_at);
}

/* In the order of the function's parameters. */
static const struct table tables[] = {
    {ROW_DELIVERY, count_delivery, locate_delivery, encode_delivery},
    {ROW_ORDER, count_order, locate_order, encode_order},
    {ROW_BOX, count_boxes, locate_box, encode_box},
    {ROW_EVENT, count_events, locate_event, encode_event},
    {ROW_DOCUMENT, count_documents, locate_document, encode_document},
    {ROW_ORDER_CHANGE, count_order_changes, locate_order, encode_order_change},
    {ROW_MANIFEST, count_manifest, locate_manifest, encode_manifest},
};

static size_t count_rows(const struct table *table, struct delivery *const *deliveries,
                         size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += table->count(deliveries[i]);
    }
    return total;
}

static void encode_table(struct encoding *encoding, const struct table *table,
                         size_t delivery_count) {
    encoding->row_count = 0;
    for (size_t i = 0; i < delivery_count; i++) {
        size_t rows = table->count(encoding->deliveries[i]);
        for (size_t number = 0; number < rows; number++) {
            struct row *row = &encoding->rows[encoding->row_count++];
            *row = (struct row){.delivery = (uint32_t)i, .number = (uint32_t)number};
            table->locate(encoding->deliveries[i], number, row);
        }
    }
    sort_and_number(encoding->rows, encoding->row_count);

    struct pg_rows out;
    pg_rows_begin(&out, encoding->params, encoding->store->row_types[table->type]);
    for (size_t i = 0; i < encoding->row_count; i++) {
        const struct row *row = &encoding->rows[i];
        pg_row_begin(&out);
        table->encode(encoding, &out, encoding->deliveries[row->delivery], row);
        pg_row_end(&out);
    }
    pg_rows_end(&out);
}

bool store_add_changes(struct store *store, struct pg_params *params,
                       struct delivery *const *deliveries, size_t count, bool with_deliveries,
                       struct err *err) {
    size_t most = 1;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        size_t rows = count_rows(&tables[i], deliveries, count);
        most = rows > most ? rows : most;
    }
    struct encoding encoding = {.store = store,
                                .params = params,
                                .deliveries = deliveries,
                                .rows = calloc(most, sizeof(struct row))};
    strbuf_init(&encoding.key, LIMIT_ID + 64);
    if (encoding.rows == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = with_deliveries ? 0 : 1; i < ARRAY_LEN(tables); i++) {
        encode_table(&encoding, &tables[i], count);
    }
    bool ok =
        !strbuf_failed(&encoding.key) || err_set(err, ERR_MEMORY, "a register key is too long");
    strbuf_free(&encoding.key);
    free(encoding.rows);
    return ok;
}

/* ---- the call ---- */

struct ingest {
    struct delivery *const *deliveries;
    size_t count;
};

static bool take_outcomes(const struct pg_result *result, const struct ingest *ingest,
                          struct err *err) {
    if (pg_row_count(result) != ingest->count) {
        return err_set(err, ERR_DATABASE,
                       "the ingest function gave %zu outcomes for %zu deliveries",
                       pg_row_count(result), ingest->count);
    }
    for (size_t i = 0; i < ingest->count; i++) {
        if (!delivery_outcome_find(pg_bytes(result, i, 0), &ingest->deliveries[i]->outcome)) {
            return err_set(err, ERR_DATABASE,
                           "the ingest function gave an outcome that this release does not know");
        }
    }
    return true;
}

static bool run_ingest(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    static const char sql[] =
        "SELECT o.outcome FROM pg_catalog.unnest(waybill_data.ingest($1, $2, $3, $4, $5, $6, $7))"
        " WITH ORDINALITY AS o (outcome, ordinal) ORDER BY o.ordinal";
    const struct ingest *ingest = context;
    struct pg_params params;
    struct pg_result *result = NULL;
    pg_params_init(&params, (size_t)256 << 20);
    bool ok = store_add_changes(store, &params, ingest->deliveries, ingest->count, true, err) &&
              pg_query_prepared(store->pg, sql, &params, deadline_ms, &result, err) &&
              take_outcomes(result, ingest, err);
    pg_params_free(&params);
    pg_result_clear(result);
    return ok;
}

enum store_result store_ingest(struct store *store, struct delivery *const *deliveries,
                               size_t count, struct err *err) {
    struct ingest ingest = {deliveries, count};
    return store_run(store, run_ingest, &ingest, err);
}

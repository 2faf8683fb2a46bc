/*
 * Batches of webhooks on the way into a fold_database, as engine/store_ingest.c takes them; and
 * whether two databases ended in the same rows.
 */
#ifndef TESTS_FOLD_BATCH_H
#define TESTS_FOLD_BATCH_H

#include "fold_database.h"

#define BATCH_MAX 64
/* A webhook speaks of its order, and of the one whose place that takes. */
#define BATCH_ORDERS (2 * BATCH_MAX)

struct fold_batch {
    struct delivery *unique[BATCH_MAX];
    bool is_new[BATCH_MAX];
    size_t count;
};

/* ---- what take_deliveries() does ---- */

static inline void begin_batch(struct fold_database *db, struct delivery *const *deliveries,
                               size_t count, struct fold_batch *batch) {
    *batch = (struct fold_batch){.count = 0};
    for (size_t i = 0; i < count; i++) {
        bool repeats = false;
        for (size_t j = 0; !repeats && j < batch->count; j++) {
            repeats = uuid_eq(&batch->unique[j]->id, &deliveries[i]->id);
        }
        if (repeats) {
            continue;
        }
        bool is_new = uuid_map_find(&db->deliveries, &deliveries[i]->id) == NULL;
        if (is_new) {
            struct uuid *key = must_alloc(db->arena, sizeof(*key));
            *key = deliveries[i]->id;
            must_add(&db->deliveries, key, db->arena);
        }
        batch->is_new[batch->count] = is_new;
        batch->unique[batch->count++] = deliveries[i];
    }
}

static inline bool wants_whole(const struct fold_batch *batch, const struct uuid *order) {
    for (size_t i = 0; i < batch->count; i++) {
        const struct delivery *delivery = batch->unique[i];
        if (delivery->has_order && delivery->changes.order.has_box_list &&
            uuid_eq(&delivery->order, order)) {
            return true;
        }
    }
    return false;
}

static inline bool wants_box(const struct fold_batch *batch, const struct uuid *box) {
    for (size_t i = 0; i < batch->count; i++) {
        const struct delivery *delivery = batch->unique[i];
        for (size_t j = 0; delivery->has_order && j < delivery->changes.box_count; j++) {
            if (uuid_eq(&delivery->box_keys[j], box)) {
                return true;
            }
        }
    }
    return false;
}

/* The greatest, or the least, of the values of a column. */
static inline void keep_extreme(struct slice *kept, struct slice value, bool greatest) {
    int64_t number = pg_value_integer(value), held = pg_value_integer(*kept);
    if (value.data != NULL && (kept->data == NULL || (greatest ? number > held : number < held))) {
        *kept = value;
    }
}

/* The boxes of one status that the batch does not touch. */
struct summing {
    int64_t count;
    struct slice status, status_at, shipped_at, delivered_at, last_moved_at;
    bool moved_after_delivered, moved_after_end;
};

/* As SQL compares: false where one is null. */
static inline bool is_later(const struct slice *a, const struct slice *b) {
    return a->data != NULL && b->data != NULL && pg_value_integer(*a) > pg_value_integer(*b);
}

static inline void add_to_summary(const struct fold_database *db, const struct stored_row *box,
                                  struct summing *sums) {
    const struct slice *delivered_at = column_of(db, ROWS_BOXES, box, "delivered_at");
    const struct slice *last_open_at = column_of(db, ROWS_BOXES, box, "last_open_at");
    const struct slice *last_moved_at = column_of(db, ROWS_BOXES, box, "last_moved_at");
    const struct slice *status_at = column_of(db, ROWS_BOXES, box, "status_at");
    enum status status;
    if (!status_from_name(*column_of(db, ROWS_BOXES, box, "status"), &status)) {
        fold_fail("a box has no status");
    }
    struct summing *sum = &sums[status];
    sum->count++;
    sum->status = *column_of(db, ROWS_BOXES, box, "status");
    keep_extreme(&sum->status_at, *status_at, true);
    keep_extreme(&sum->shipped_at, *column_of(db, ROWS_BOXES, box, "shipped_at"), false);
    keep_extreme(&sum->delivered_at, *delivered_at, true);
    keep_extreme(&sum->last_moved_at, *last_moved_at, true);
    sum->moved_after_delivered = sum->moved_after_delivered || is_later(last_open_at, delivered_at);
    sum->moved_after_end = sum->moved_after_end || is_later(last_moved_at, status_at);
}

static inline void load_summary(struct states *states, const struct uuid *order,
                                const struct summing *sum) {
    const char after_delivered = (char)sum->moved_after_delivered;
    const char after_end = (char)sum->moved_after_end;
    char count[8];
    struct strbuf out = STRBUF_INIT(4096);
    for (size_t i = 0; i < sizeof(count); i++) {
        count[i] = (char)((uint64_t)sum->count >> (56 - 8 * i));
    }
    strbuf_add_be32(&out, 9);
    put_field(&out, (struct slice){(const char *)order->bytes, sizeof(order->bytes)});
    put_field(&out, sum->status);
    put_field(&out, (struct slice){count, sizeof(count)});
    put_field(&out, sum->status_at);
    put_field(&out, sum->shipped_at);
    put_field(&out, sum->delivered_at);
    put_field(&out, sum->last_moved_at);
    put_field(&out, (struct slice){&after_delivered, 1});
    put_field(&out, (struct slice){&after_end, 1});
    load_part(states, PART_SUMMARY, strbuf_slice(&out));
    strbuf_free(&out);
}

static inline void read_boxes(const struct fold_database *db, const struct fold_batch *batch,
                              const struct uuid *order, struct states *states) {
    const struct uuid_map *boxes = &db->rows[ROWS_BOXES];
    struct summing sums[STATUS_COUNT] = {{.count = 0}};
    bool whole = wants_whole(batch, order);
    for (size_t i = 0; i < boxes->count; i++) {
        const struct stored_row *box = boxes->items[i];
        if (!uuid_eq(&box->order, order)) {
            continue;
        }
        if (whole || wants_box(batch, &box->key)) {
            load_row(db, states, ROWS_BOXES, PART_BOX, box);
        } else {
            add_to_summary(db, box, sums);
        }
    }
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (sums[i].count > 0) {
            load_summary(states, order, &sums[i]);
        }
    }
}

/* The rows of KIND with KEYS, each once. A paper comes by its keys alone. */
static inline void read_keys(const struct fold_database *db, struct order_state *order,
                             struct states *states, enum row_kind kind, const struct uuid *key) {
    struct uuid_map *loaded = kind == ROWS_EVENTS ? &order->events : &order->documents;
    const struct stored_row *row = uuid_map_find(&db->rows[kind], key);
    if (row != NULL && uuid_map_find(loaded, key) == NULL) {
        load_row(db, states, kind, kind == ROWS_EVENTS ? PART_EVENT : PART_DOCUMENT, row);
    }
    if (kind == ROWS_DOCUMENTS && row != NULL) {
        struct document_state *document = uuid_map_find(loaded, key);
        document->kind = SLICE_EMPTY;
        document->url = SLICE_EMPTY;
    }
}

static inline void read_history(const struct fold_database *db, const struct fold_batch *batch,
                                struct states *states) {
    for (size_t i = 0; i < batch->count; i++) {
        const struct delivery *delivery = batch->unique[i];
        struct order_state *order =
            delivery->has_order ? uuid_map_find(&states->orders, &delivery->order) : NULL;
        if (order == NULL) {
            continue;
        }
        for (size_t j = 0; j < delivery->changes.event_count; j++) {
            read_keys(db, order, states, ROWS_EVENTS, &delivery->event_keys[j]);
        }
        for (size_t j = 0; j < delivery->changes.document_count; j++) {
            read_keys(db, order, states, ROWS_DOCUMENTS, &delivery->document_keys[j]);
        }
    }
}

static inline void read_order(const struct fold_database *db, const struct fold_batch *batch,
                              const struct uuid *order, struct states *states) {
    const struct stored_row *row = uuid_map_find(&db->rows[ROWS_ORDERS], order);
    if (row != NULL && uuid_map_find(&states->orders, order) == NULL) {
        load_row(db, states, ROWS_ORDERS, PART_ORDER, row);
        read_boxes(db, batch, order, states);
    }
}

/* What read_states() returns. */
static inline void read_batch(const struct fold_database *db, const struct fold_batch *batch,
                              struct states *states) {
    for (size_t i = 0; i < batch->count; i++) {
        const struct delivery *delivery = batch->unique[i];
        const struct stored_row *row;
        if (delivery->changes.has_manifest &&
            uuid_map_find(&states->manifests, &delivery->manifest) == NULL &&
            (row = uuid_map_find(&db->rows[ROWS_MANIFESTS], &delivery->manifest)) != NULL) {
            load_row(db, states, ROWS_MANIFESTS, PART_MANIFEST, row);
        }
        if (batch->is_new[i] && delivery->has_order) {
            read_order(db, batch, &delivery->order, states);
        }
        if (batch->is_new[i] && delivery->moves_order) {
            read_order(db, batch, &delivery->moved_order, states);
        }
    }
    read_history(db, batch, states);
}

/* What read_spans() returns, where the fold asks for it. */
static inline void read_spans(const struct fold_database *db, struct states *states) {
    static const enum row_kind kinds[] = {ROWS_EVENTS, ROWS_ORDER_CHANGES};
    for (size_t i = 0; i < states->orders.count; i++) {
        struct order_state *order = states->orders.items[i];
        struct slice first = SLICE_EMPTY, last = SLICE_EMPTY;
        if (!fold_loses_span(order)) {
            continue;
        }
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            for (size_t j = 0; j < db->rows[kinds[k]].count; j++) {
                const struct stored_row *row = db->rows[kinds[k]].items[j];
                if (uuid_eq(&row->order, &order->key) &&
                    (kinds[k] != ROWS_EVENTS || uuid_map_find(&order->events, &row->key) == NULL)) {
                    keep_extreme(&first, *column_of(db, kinds[k], row, "occurred_at"), false);
                    keep_extreme(&last, *column_of(db, kinds[k], row, "occurred_at"), true);
                }
            }
        }
        order->others_first = pg_value_timestamp(first);
        order->others_last = pg_value_timestamp(last);
    }
}

/* ---- what must hold of a batch ---- */

/* Whether DELIVERY says nothing twice, so that what it changes it does not change back. */
static inline bool is_plain(const struct delivery *delivery) {
    const struct changes *changes = &delivery->changes;
    for (size_t i = 0; i < changes->box_count; i++) {
        const struct box_change *box = &changes->boxes[i];
        if (box->shipped_at != TIMESTAMP_NONE && box->has_status &&
            box->status.status == STATUS_IN_TRANSIT) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (uuid_eq(&delivery->box_keys[i], &delivery->box_keys[j])) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < changes->event_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (uuid_eq(&delivery->event_keys[i], &delivery->event_keys[j])) {
                return false;
            }
        }
    }
    return true;
}

/* A document that differs has a new version; what differs at all counts as a write; and one webhook
 * that changes nothing in the document makes no version. */
static inline void check_versions(const struct fold_batch *batch, const struct states *states,
                                  struct order_effect *effects) {
    for (size_t i = 0; i < states->orders.count; i++) {
        const struct order_state *order = states->orders.items[i];
        if (effects[i].document_differs && !order->is_in_feed) {
            fold_fail("the document differs and has no new version");
        }
        if (effects[i].differs && order->writes <= effects[i].writes) {
            fold_fail("the order differs and its writes do not grow");
        }
        if (batch->count == 1 && is_plain(batch->unique[0]) && order->is_in_feed &&
            !effects[i].document_differs) {
            fold_fail("a new version of a document that does not differ");
        }
    }
}

/* One transaction. */
static inline void fold_commit(struct fold_database *db, struct delivery *const *deliveries,
                               size_t count) {
    struct fold_batch batch;
    struct order_effect effects[BATCH_ORDERS] = {{.writes = 0}};
    int64_t positions[BATCH_ORDERS];
    struct err err = ERR_INIT;
    struct states states = {
        .shapes = db->tables->shapes, .arena = arena_new((size_t)1 << 30), .digests = true};
    if (count > BATCH_MAX || states.arena == NULL) {
        fold_fail("the batch is too large");
    }
    begin_batch(db, deliveries, count, &batch);
    read_batch(db, &batch, &states);
    for (size_t i = 0; i < states.orders.count; i++) {
        effects[i].writes = ((const struct order_state *)states.orders.items[i])->writes;
    }
    for (size_t i = 0; i < batch.count; i++) {
        if (batch.is_new[i] && !states_fold(&states, batch.unique[i], &err)) {
            fold_fail("%s", err.message);
        }
    }
    read_spans(db, &states);
    for (size_t i = 0; i < states.orders.count; i++) {
        const struct order_state *order = states.orders.items[i];
        positions[i] = ++db->position;
        effects[i].order = order->key;
    }
    if (!states_show(&states, positions, states.orders.count, TIMESTAMP_MIN, &err)) {
        fold_fail("%s", err.message);
    }
    fold_database_write(db, &states, effects, states.orders.count);
    check_versions(&batch, &states, effects);
    arena_free(states.arena);
}

/* ---- ends ---- */

static inline void describe(struct slice value, char text[200]) {
    size_t len = 0;
    (void)snprintf(text, 200, value.data == NULL ? "null" : "'");
    for (size_t i = 0; value.data != NULL && i < value.len && len + 8 < 200; i++) {
        unsigned char c = (unsigned char)value.data[i];
        len = strlen(text);
        (void)snprintf(text + len, 200 - len, c >= ' ' && c <= '~' ? "%c" : "\\%02x", c);
    }
}

/* The rows of both are the same, byte for byte, but for what counts batches. */
static inline void check_same_end(const struct fold_database *expected,
                                  const struct fold_database *actual) {
    for (enum row_kind kind = 0; kind < ROW_KINDS; kind++) {
        const struct uuid_map *rows = &expected->rows[kind];
        if (rows->count != actual->rows[kind].count) {
            fold_fail("%s: %zu rows instead of %zu", table_name(kind).data,
                      actual->rows[kind].count, rows->count);
        }
        for (size_t i = 0; i < rows->count; i++) {
            const struct stored_row *want = rows->items[i];
            const struct stored_row *have = uuid_map_find(&actual->rows[kind], &want->key);
            for (size_t j = 0; j < expected->tables->shapes[kind].count; j++) {
                if (have != NULL &&
                    ((column_traits(expected->tables, kind, j) & IS_OF_HISTORY) != 0 ||
                     is_same_value(want->columns[j], have->columns[j]))) {
                    continue;
                }
                char wanted[200], found[200];
                describe(want->columns[j], wanted);
                describe(have != NULL ? have->columns[j] : SLICE_EMPTY, found);
                fold_fail("%s.%.*s: %s instead of %s", table_name(kind).data,
                          SLICE_ARGS(expected->tables->names[kind].columns[j]), found, wanted);
            }
        }
    }
}

#endif

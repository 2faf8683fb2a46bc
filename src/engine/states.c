#include "engine/states.h"

#include "base/limits.h"
#include "domain/shown.h"

#include <string.h>

/* ---- the orders of a batch ---- */

/* The order KEY that DELIVERY speaks of, made as a new one when it is not there yet. NULL without
 * memory. */
static struct order_state *order_of(struct states *states, const struct delivery *delivery,
                                    const struct uuid *key, struct slice order_id) {
    struct order_state *order = uuid_map_find(&states->orders, key);
    if (order != NULL) {
        return order;
    }
    order = arena_alloc(states->arena, sizeof(*order));
    if (order == NULL) {
        return NULL;
    }
    order_state_init(order);
    order->key = *key;
    order->source = delivery->order_source;
    order->provider = delivery->order_provider;
    order->order_id = order_id;
    order->live = delivery->changes.live;
    return uuid_map_add(&states->orders, order, states->arena) ? order : NULL;
}

/* ---- loading ---- */

/* A row could not be read. */
static bool fail_row(const struct states *states, struct err *err) {
    if (arena_failed(states->arena)) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    err_set(err, ERR_DATABASE, "the database's tables have another shape than a moment ago");
    /* datatype_mismatch: what the connection has learnt is out of date. */
    memcpy(err->sqlstate, "42804", 6);
    return false;
}

/* Reads VALUE, a row of the table KIND, into ROW. */
static bool load_row(const struct states *states, enum row_kind kind, struct slice value, void *row,
                     struct err *err) {
    return shape_decode(&states->shapes[kind], value, row, states->arena) || fail_row(states, err);
}

/* Adds ITEM to MAP. */
static bool keep_row(const struct states *states, struct uuid_map *map, void *item,
                     struct err *err) {
    return uuid_map_add(map, item, states->arena) || err_set(err, ERR_MEMORY, "out of memory");
}

/* A JSON text in quotes, as a digest of JSON comes. */
static void unquote(struct slice *text) {
    if (text->len >= 2 && text->data[0] == '"') {
        *text = (struct slice){text->data + 1, text->len - 2};
    }
}

static uint32_t digests_of(enum fact_subject subject, const struct fact_value *values) {
    uint32_t digests = 0;
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        if (row->subject == subject && row->personal && values[fact].text.len > 0) {
            digests |= UINT32_C(1) << fact;
        }
    }
    return digests;
}

static bool load_order(struct states *states, struct slice value, struct err *err) {
    struct order_state *order = arena_alloc(states->arena, sizeof(*order));
    if (order == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    order_state_init(order);
    if (!load_row(states, ROWS_ORDERS, value, order, err)) {
        return false;
    }
    order->row = ROW_STORED;
    order->stored = order->shown;
    order->has_no_rows = has_moved(order);
    if (states->digests) {
        unquote(&order->values[FACT_DESTINATION].text);
        order->digests = digests_of(SUBJECT_ORDER, order->values);
    }
    return keep_row(states, &states->orders, order, err);
}

/* The order of a row that came behind it; NULL is a fault of the database's. */
static struct order_state *owner_of(struct states *states, const struct uuid *order_key,
                                    struct err *err) {
    struct order_state *order = uuid_map_find(&states->orders, order_key);
    if (order == NULL) {
        err_set(err, ERR_DATABASE,
                "the database returned a row of an order that was not asked for");
    }
    return order;
}

static bool load_box(struct states *states, struct slice value, struct err *err) {
    struct box_state *box = arena_alloc(states->arena, sizeof(*box));
    if (box == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    box_state_init(box);
    if (!load_row(states, ROWS_BOXES, value, box, err)) {
        return false;
    }
    box->row = ROW_STORED;
    box->removed = box->reported.status < STATUS_COUNT;
    const struct shown_status *reported = box->removed ? &box->reported : &box->shown;
    box->status.status = reported->status;
    box->status.detail = reported->detail;
    box->status.at = reported->at;
    /* The column holds the link that is shown, which is the sender's where its register has a key.
     */
    if (box->registers.keys[fact_row(FACT_TRACKING_URL)->number].data != NULL) {
        box->values[FACT_TRACKING_URL].text = box->shown_url;
    }
    if (states->digests) {
        box->digests = digests_of(SUBJECT_BOX, box->values);
    }
    struct order_state *order = owner_of(states, &box->order_key, err);
    return order != NULL && keep_row(states, &order->boxes, box, err);
}

static bool load_event(struct states *states, struct slice value, struct err *err) {
    struct event_state *event = arena_alloc(states->arena, sizeof(*event));
    if (event == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    event_state_init(event);
    if (!load_row(states, ROWS_EVENTS, value, event, err)) {
        return false;
    }
    event->row = ROW_STORED;
    event->stored_occurred_at = event->occurred_at;
    event->message_is_digest = states->digests && event->message.len > 0;
    struct order_state *order = owner_of(states, &event->order_key, err);
    return order != NULL && keep_row(states, &order->events, event, err);
}

static bool load_document(struct states *states, struct slice value, struct err *err) {
    struct document_state *document = arena_alloc(states->arena, sizeof(*document));
    if (document == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    if (!load_row(states, ROWS_DOCUMENTS, value, document, err)) {
        return false;
    }
    document->row = ROW_STORED;
    struct order_state *order = owner_of(states, &document->order_key, err);
    return order != NULL && keep_row(states, &order->documents, document, err);
}

static bool load_order_change(struct states *states, struct slice value, struct err *err) {
    struct order_change_state *row = arena_alloc(states->arena, sizeof(*row));
    if (row == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    if (!load_row(states, ROWS_ORDER_CHANGES, value, row, err)) {
        return false;
    }
    struct order_state *order = owner_of(states, &row->order_key, err);
    if (order != NULL) {
        row->next = order->order_changes;
        order->order_changes = row;
    }
    return order != NULL;
}

static bool load_manifest(struct states *states, struct slice value, struct err *err) {
    struct manifest_state *manifest = arena_alloc(states->arena, sizeof(*manifest));
    if (manifest == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    if (!load_row(states, ROWS_MANIFESTS, value, manifest, err)) {
        return false;
    }
    manifest->row = ROW_STORED;
    return keep_row(states, &states->manifests, manifest, err);
}

static bool load_summary(struct states *states, struct slice value, struct err *err) {
    struct uuid order_key;
    enum status status;
    struct box_summary summary;
    if (!summary_decode(value, &order_key, &status, &summary)) {
        return fail_row(states, err);
    }
    struct order_state *order = owner_of(states, &order_key, err);
    if (order != NULL) {
        order->others[status] = summary;
    }
    return order != NULL;
}

bool states_load(struct states *states, struct slice value, struct err *err) {
    /* In the order of the columns of state_row. */
    static bool (*const parts[])(struct states *, struct slice, struct err *) = {
        load_order,        load_box,      load_event,   load_document,
        load_order_change, load_manifest, load_summary,
    };
    struct pg_reader reader;
    if (!pg_read_row(value, &reader) || reader.left != ARRAY_LEN(parts)) {
        return fail_row(states, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct slice part;
        if (!pg_read_next(&reader, &part)) {
            return fail_row(states, err);
        }
        if (part.data != NULL && !parts[i](states, part, err)) {
            return false;
        }
    }
    return true;
}

/* ---- folding ---- */

bool fold_delivery(struct order_state *order, const struct delivery *delivery,
                   const struct fold_watch *watch, struct arena *arena) {
    const struct fold_input input = {
        .changes = &delivery->changes,
        .delivery = &delivery->id,
        .box_keys = delivery->box_keys,
        .event_keys = delivery->event_keys,
        .event_box_keys = delivery->event_box_keys,
        .document_keys = delivery->document_keys,
        .document_box_keys = delivery->document_box_keys,
    };
    return fold_order(order, &input, watch, arena);
}

/* One that comes through the spool may have been received before the first that was stored. */
static void see_order(struct order_state *order, const struct delivery *delivery) {
    if (order->first_seen_at == TIMESTAMP_NONE || delivery->received_at < order->first_seen_at) {
        order->first_seen_at = delivery->received_at;
        mark_changed(&order->row);
        order->changed = true;
    }
}

static bool fold_into_manifest(struct states *states, const struct delivery *delivery) {
    struct manifest_state *manifest = uuid_map_find(&states->manifests, &delivery->manifest);
    if (manifest == NULL) {
        manifest = arena_alloc(states->arena, sizeof(*manifest));
        if (manifest == NULL) {
            return false;
        }
        *manifest = (struct manifest_state){
            .key = delivery->manifest, .source = delivery->source, .live = delivery->changes.live};
        if (!uuid_map_add(&states->manifests, manifest, states->arena)) {
            return false;
        }
    }
    return fold_manifest(manifest, &delivery->changes, &delivery->id, states->arena);
}

bool states_fold(struct states *states, const struct delivery *delivery, struct err *err) {
    bool ok = true;
    if (delivery->reading == READING_APPLIED && delivery->changes.has_manifest) {
        ok = fold_into_manifest(states, delivery);
    }
    if (ok && delivery->has_order) {
        struct order_state *order =
            order_of(states, delivery, &delivery->order, delivery->changes.order_id);
        ok = order != NULL && fold_delivery(order, delivery, NULL, states->arena);
        if (ok) {
            see_order(order, delivery);
        }
    }
    if (ok && delivery->moves_order) {
        struct order_state *order =
            order_of(states, delivery, &delivery->moved_order, delivery->changes.moved_from);
        ok = order != NULL && fold_move(order, &delivery->changes, &delivery->id, states->arena);
        if (ok) {
            see_order(order, delivery);
        }
    }
    return ok || err_set(err, ERR_MEMORY, "out of memory");
}

/* Whether anything of ORDER that is stored differs: its own row then does too, since it counts the
 * writes. */
static bool order_differs(const struct order_state *order) {
    bool differs = order->row != ROW_STORED || order->order_changes != NULL;
    for (size_t i = 0; !differs && i < order->boxes.count; i++) {
        differs = ((const struct box_state *)order->boxes.items[i])->row != ROW_STORED;
    }
    for (size_t i = 0; !differs && i < order->events.count; i++) {
        differs = ((const struct event_state *)order->events.items[i])->row != ROW_STORED;
    }
    for (size_t i = 0; !differs && i < order->documents.count; i++) {
        differs = ((const struct document_state *)order->documents.items[i])->row != ROW_STORED;
    }
    return differs;
}

bool states_show(struct states *states, const int64_t *positions, size_t count, int64_t stamped_at,
                 struct err *err) {
    size_t used = 0;
    for (size_t i = 0; i < states->orders.count; i++) {
        struct order_state *order = states->orders.items[i];
        bool failed = false;
        bool changed = shown_order(order, states->arena, &failed);
        if (failed) {
            return err_set(err, ERR_MEMORY, "out of memory");
        }
        if (changed && used == count) {
            return err_set(err, ERR_DATABASE, "the database gave too few positions of the feed");
        }
        order->is_in_feed = changed;
        if (changed) {
            order->version = positions[used++];
            order->updated_at = stamped_at;
        }
        if (changed || order_differs(order)) {
            mark_changed(&order->row);
            order->writes++;
        }
    }
    return true;
}

/* ---- writing ---- */

enum part { PART_ORDERS, PART_BOXES, PART_EVENTS, PART_DOCUMENTS };

static const struct uuid_map *part_of(const struct order_state *order, enum part part) {
    switch (part) {
    case PART_BOXES:
        return &order->boxes;
    case PART_EVENTS:
        return &order->events;
    default:
        return &order->documents;
    }
}

static enum row_state state_of(const void *row, enum part part) {
    switch (part) {
    case PART_ORDERS:
        return ((const struct order_state *)row)->row;
    case PART_BOXES:
        return ((const struct box_state *)row)->row;
    case PART_EVENTS:
        return ((const struct event_state *)row)->row;
    case PART_DOCUMENTS:
        break;
    }
    return ((const struct document_state *)row)->row;
}

static void add_rows(const struct states *states, struct pg_params *params, enum row_kind kind,
                     enum part part, enum row_state wanted) {
    struct pg_rows out;
    pg_rows_begin(&out, params, states->shapes[kind].type);
    for (size_t i = 0; i < states->orders.count; i++) {
        const struct order_state *order = states->orders.items[i];
        if (part == PART_ORDERS) {
            if (order->row == wanted) {
                shape_encode(&states->shapes[kind], &out, order);
            }
            continue;
        }
        const struct uuid_map *rows = part_of(order, part);
        for (size_t j = 0; j < rows->count; j++) {
            if (state_of(rows->items[j], part) == wanted) {
                shape_encode(&states->shapes[kind], &out, rows->items[j]);
            }
        }
    }
    pg_rows_end(&out);
}

static void add_order_changes(const struct states *states, struct pg_params *params) {
    struct pg_rows out;
    pg_rows_begin(&out, params, states->shapes[ROWS_ORDER_CHANGES].type);
    for (size_t i = 0; i < states->orders.count; i++) {
        const struct order_state *order = states->orders.items[i];
        for (const struct order_change_state *row = order->order_changes; row != NULL;
             row = row->next) {
            shape_encode(&states->shapes[ROWS_ORDER_CHANGES], &out, row);
        }
    }
    pg_rows_end(&out);
}

static void add_manifests(const struct states *states, struct pg_params *params,
                          enum row_state wanted) {
    struct pg_rows out;
    pg_rows_begin(&out, params, states->shapes[ROWS_MANIFESTS].type);
    for (size_t i = 0; i < states->manifests.count; i++) {
        const struct manifest_state *manifest = states->manifests.items[i];
        if (manifest->row == wanted) {
            shape_encode(&states->shapes[ROWS_MANIFESTS], &out, manifest);
        }
    }
    pg_rows_end(&out);
}

static void add_feed(const struct states *states, struct pg_params *params) {
    struct pg_rows out;
    pg_rows_begin(&out, params, states->shapes[ROWS_FEED].type);
    for (size_t i = 0; i < states->orders.count; i++) {
        const struct order_state *order = states->orders.items[i];
        if (order->is_in_feed) {
            const struct feed_row row = {.order_key = order->key,
                                         .position = order->version,
                                         .live = order->live,
                                         .source = order->source};
            shape_encode(&states->shapes[ROWS_FEED], &out, &row);
        }
    }
    pg_rows_end(&out);
}

/* The orders that others took the place of: what is stored of their boxes goes. */
static void add_moved(const struct states *states, struct pg_params *params) {
    struct strbuf keys = STRBUF_INIT(LIMIT_STATES);
    for (size_t i = 0; i < states->orders.count; i++) {
        const struct order_state *order = states->orders.items[i];
        if (has_moved(order) && !order->has_no_rows && order->row == ROW_CHANGED) {
            strbuf_add(&keys, order->key.bytes, sizeof(order->key.bytes));
        }
    }
    pg_add_uuid_array(params, (const uint8_t *)keys.data, keys.len / sizeof(struct uuid));
    if (strbuf_failed(&keys)) {
        pg_params_fail(params);
    }
    strbuf_free(&keys);
}

void states_add_rows(const struct states *states, struct pg_params *params) {
    add_rows(states, params, ROWS_ORDERS, PART_ORDERS, ROW_NEW);
    add_rows(states, params, ROWS_ORDERS, PART_ORDERS, ROW_CHANGED);
    add_rows(states, params, ROWS_BOXES, PART_BOXES, ROW_NEW);
    add_rows(states, params, ROWS_BOXES, PART_BOXES, ROW_CHANGED);
    add_rows(states, params, ROWS_EVENTS, PART_EVENTS, ROW_NEW);
    add_rows(states, params, ROWS_EVENTS, PART_EVENTS, ROW_CHANGED);
    add_rows(states, params, ROWS_DOCUMENTS, PART_DOCUMENTS, ROW_NEW);
    add_order_changes(states, params);
    add_manifests(states, params, ROW_NEW);
    add_manifests(states, params, ROW_CHANGED);
    add_feed(states, params);
    add_moved(states, params);
}

/*
 * States as rows of the database and back: which column holds which member of which struct, in
 * tables, so that a column is named once.
 *
 * Rows travel as values of the tables' own row types. Their columns are learnt when a connection is
 * made and matched by name: a column that a release does not know is written as null and read over.
 */
#ifndef ENGINE_STATE_ROWS_H
#define ENGINE_STATE_ROWS_H

#include "adapter/pg.h"
#include "domain/order_state.h"
#include "engine/delivery.h"

enum row_kind {
    ROWS_DELIVERIES,
    ROWS_BODIES,
    ROWS_ORDERS,
    ROWS_BOXES,
    ROWS_EVENTS,
    ROWS_DOCUMENTS,
    ROWS_ORDER_CHANGES,
    ROWS_MANIFESTS,
    ROWS_FEED,
    ROW_KINDS
};

/* What of one delivery its two rows hold. */
struct delivery_row {
    struct uuid id, order;                 /* order zero: it is about none */
    int64_t received_at, body_bytes, live; /* live VALUE_NONE: not known */
    struct slice source, provider, event_type, event_id, outcome, detail, body_sha256, headers,
        body;
};
struct delivery_row delivery_row_of(const struct delivery *delivery);

/* What a row of the feed holds, beside its order's members. */
struct feed_row {
    struct uuid order_key;
    int64_t position, lane;
    bool live;
    struct slice source;
};

#define SHAPE_COLUMNS_MAX 64

/* The columns of one table in a database. */
struct row_shape {
    uint32_t type; /* oid of the row type; 0: there is no such table */
    size_t count;
    struct {
        const struct column *column; /* NULL: not known to this release */
        uint32_t type;
    } columns[SHAPE_COLUMNS_MAX];
};

/* Adds the next column of TABLE, whose row type is ROW_TYPE; other tables are passed over. SHAPES
 * begin as zero. */
MUST_CHECK bool shapes_add(struct row_shape shapes[ROW_KINDS], struct slice table,
                           uint32_t row_type, struct slice column, uint32_t column_type,
                           struct err *err);
/* Asks the database for all of them. */
MUST_CHECK bool shapes_learn(struct pg *pg, struct row_shape shapes[ROW_KINDS], int64_t deadline_ms,
                             struct err *err);

/* Adds ROW, the struct that KIND stands for: delivery_row, order_state, box_state, event_state, …
 */
void shape_encode(const struct row_shape *shape, struct pg_rows *out, const void *row);
/* Reads a composite VALUE into ROW, whose slices borrow from it. False when it has another shape,
 * or without memory. */
MUST_CHECK bool shape_decode(const struct row_shape *shape, struct slice value, void *row,
                             struct arena *arena);
/* The same for the sums over boxes of one status; *order says whose. */
MUST_CHECK bool summary_decode(struct slice value, struct uuid *order, enum status *status,
                               struct box_summary *summary);

#endif

/*
 * A database for the fold, in memory: it holds the columns of rows as engine/state_rows.c encodes
 * them, gives a batch what read_states() would (schema/functions/), takes what write_states()
 * would, and holds against a batch what PostgreSQL would: a row that is there already, one that is
 * not there, null where none may be.
 */
#ifndef TESTS_FOLD_DATABASE_H
#define TESTS_FOLD_DATABASE_H

#include "engine/states.h"
#include "fold_shapes.h"

#include "base/hex.h"

struct stored_row {
    struct uuid key; /* first */
    struct uuid order;
    struct slice columns[]; /* data NULL: null */
};

struct fold_database {
    const struct fold_tables *tables;
    struct arena *arena;
    struct uuid_map rows[ROW_KINDS];
    struct uuid_map deliveries; /* the identities of those that came */
    int64_t position;           /* of the feed */
};

static inline void *must_alloc(struct arena *arena, size_t size) {
    void *piece = arena_alloc(arena, size);
    if (piece == NULL) {
        fold_fail("out of memory");
    }
    return piece;
}

static inline struct slice must_dup(struct arena *arena, struct slice text) {
    struct slice copy = SLICE_EMPTY;
    if (text.data != NULL && !arena_dup(arena, text, &copy)) {
        fold_fail("out of memory");
    }
    return copy;
}

static inline void must_add(struct uuid_map *map, void *item, struct arena *arena) {
    if (!uuid_map_add(map, item, arena)) {
        fold_fail("out of memory");
    }
}

static inline struct fold_database fold_database_new(void) {
    struct fold_database db = {.tables = fold_tables(), .arena = arena_new((size_t)1 << 30)};
    if (db.arena == NULL) {
        fold_fail("out of memory");
    }
    return db;
}

static inline void fold_database_free(struct fold_database *db) {
    arena_free(db->arena);
}

/* ---- columns ---- */

enum column_trait {
    IS_PERSONAL_FACT = 1, /* read as a digest; null keeps what the row has */
    IS_MESSAGE = 2,       /* read as a digest, which keeps what the row has */
    IS_NOT_SHOWN = 4,     /* in no document */
    IS_OF_HISTORY = 8     /* depends on how arrivals were cut into batches */
};

struct trait_row {
    enum row_kind kind;
    const char *name;
    unsigned traits;
};
static const struct trait_row COLUMN_TRAITS[] = {
    {ROWS_ORDERS, "destination", IS_PERSONAL_FACT},
    {ROWS_ORDERS, "version", IS_NOT_SHOWN | IS_OF_HISTORY},
    {ROWS_ORDERS, "updated_at", IS_NOT_SHOWN | IS_OF_HISTORY},
    {ROWS_ORDERS, "writes", IS_NOT_SHOWN | IS_OF_HISTORY},
    {ROWS_ORDERS, "own_status", IS_NOT_SHOWN},
    {ROWS_ORDERS, "own_status_detail", IS_NOT_SHOWN},
    {ROWS_ORDERS, "own_status_at", IS_NOT_SHOWN},
    {ROWS_ORDERS, "box_list", IS_NOT_SHOWN},
    {ROWS_ORDERS, "registers", IS_NOT_SHOWN},
    {ROWS_BOXES, "label_url", IS_PERSONAL_FACT},
    {ROWS_BOXES, "signed_by", IS_PERSONAL_FACT},
    {ROWS_BOXES, "proof_of_delivery", IS_PERSONAL_FACT},
    {ROWS_BOXES, "reported_status", IS_NOT_SHOWN},
    {ROWS_BOXES, "reported_status_detail", IS_NOT_SHOWN},
    {ROWS_BOXES, "reported_status_at", IS_NOT_SHOWN},
    {ROWS_BOXES, "last_open_at", IS_NOT_SHOWN},
    {ROWS_BOXES, "last_moved_at", IS_NOT_SHOWN},
    {ROWS_BOXES, "tracking_url_template", IS_NOT_SHOWN},
    {ROWS_BOXES, "registers", IS_NOT_SHOWN},
    {ROWS_EVENTS, "message", IS_MESSAGE},
    {ROWS_EVENTS, "delivery_id", IS_NOT_SHOWN},
    {ROWS_EVENTS, "previous_status", IS_NOT_SHOWN},
    {ROWS_EVENTS, "stands_for", IS_NOT_SHOWN},
    {ROWS_EVENTS, "registers", IS_NOT_SHOWN},
};

static inline unsigned column_traits(const struct fold_tables *tables, enum row_kind kind,
                                     size_t column) {
    static unsigned traits[ROW_KINDS][SHAPE_COLUMNS_MAX];
    static bool known;
    for (size_t i = 0; !known && i < ARRAY_LEN(COLUMN_TRAITS); i++) {
        const struct trait_row *row = &COLUMN_TRAITS[i];
        traits[row->kind][table_column(tables, row->kind, row->name)] |= row->traits;
    }
    known = true;
    return traits[kind][column];
}

static inline const struct slice *column_of(const struct fold_database *db, enum row_kind kind,
                                            const struct stored_row *row, const char *name) {
    return &row->columns[table_column(db->tables, kind, name)];
}

/* ---- reading ---- */

static inline void put_field(struct strbuf *out, struct slice value) {
    strbuf_add_be32(out, 0);
    strbuf_add_be32(out, value.data != NULL ? (uint32_t)value.len : UINT32_MAX);
    strbuf_add_slice(out, value);
}

/* digest() of the schema, in quotes: TEXT is it as JSON. */
#define DIGEST_LEN ((size_t)2 * SHA256_LEN)
static inline struct slice digest_of(struct slice value, char text[DIGEST_LEN + 3]) {
    uint8_t digest[SHA256_LEN];
    if (!crypto_sha256(value, digest)) {
        fold_fail("no digest");
    }
    text[0] = '"';
    hex_encode(digest, sizeof(digest), text + 1);
    text[DIGEST_LEN + 1] = '"';
    return (struct slice){text + 1, DIGEST_LEN};
}

static inline void put_digest(struct strbuf *out, struct slice value, bool quoted) {
    char text[DIGEST_LEN + 3];
    struct slice digest = digest_of(value, text);
    put_field(out, quoted ? (struct slice){text, DIGEST_LEN + 2} : digest);
}

static inline void put_stored(const struct fold_database *db, enum row_kind kind,
                              const struct stored_row *row, bool digests, struct strbuf *out) {
    const struct row_shape *shape = &db->tables->shapes[kind];
    strbuf_add_be32(out, (uint32_t)shape->count);
    for (size_t i = 0; i < shape->count; i++) {
        struct slice value = row->columns[i];
        unsigned traits = column_traits(db->tables, kind, i);
        if (digests && value.data != NULL && (traits & (IS_PERSONAL_FACT | IS_MESSAGE)) != 0) {
            put_digest(out, value, kind == ROWS_ORDERS);
        } else {
            put_field(out, value);
        }
    }
}

/* The parts of a state_row. */
enum state_part {
    PART_ORDER,
    PART_BOX,
    PART_EVENT,
    PART_DOCUMENT,
    PART_ORDER_CHANGE,
    PART_MANIFEST,
    PART_SUMMARY,
    PARTS
};

/* A state_row with VALUE as its PART. */
static inline struct slice make_part(enum state_part part, struct slice value,
                                     struct arena *arena) {
    struct strbuf out = STRBUF_INIT((size_t)1 << 24);
    strbuf_add_be32(&out, PARTS);
    for (enum state_part i = 0; i < PARTS; i++) {
        put_field(&out, i == part ? value : SLICE_EMPTY);
    }
    if (strbuf_failed(&out)) {
        fold_fail("out of memory");
    }
    struct slice made = must_dup(arena, strbuf_slice(&out));
    strbuf_free(&out);
    return made;
}

static inline void load_part(struct states *states, enum state_part part, struct slice value) {
    struct err err = ERR_INIT;
    if (!states_load(states, make_part(part, value, states->arena), &err)) {
        fold_fail("a part of the state is refused: %s", err.message);
    }
}

static inline struct slice make_row_part(const struct fold_database *db, enum row_kind kind,
                                         enum state_part part, const struct stored_row *row,
                                         bool digests, struct arena *arena) {
    struct strbuf out = STRBUF_INIT((size_t)1 << 24);
    put_stored(db, kind, row, digests, &out);
    struct slice made = make_part(part, strbuf_slice(&out), arena);
    strbuf_free(&out);
    return made;
}

static inline void load_row(const struct fold_database *db, struct states *states,
                            enum row_kind kind, enum state_part part,
                            const struct stored_row *row) {
    struct err err = ERR_INIT;
    struct slice value = make_row_part(db, kind, part, row, states->digests, states->arena);
    if (!states_load(states, value, &err)) {
        fold_fail("a row of %s is refused: %s", table_name(kind).data, err.message);
    }
}

/* All there is, one after the other; at most MAX. */
static inline size_t fold_database_parts(const struct fold_database *db, bool digests,
                                         struct arena *arena, struct slice *parts, size_t max) {
    static const struct {
        enum row_kind kind;
        enum state_part part;
    } kinds[] = {{ROWS_ORDERS, PART_ORDER},
                 {ROWS_BOXES, PART_BOX},
                 {ROWS_EVENTS, PART_EVENT},
                 {ROWS_DOCUMENTS, PART_DOCUMENT},
                 {ROWS_ORDER_CHANGES, PART_ORDER_CHANGE},
                 {ROWS_MANIFESTS, PART_MANIFEST}};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct uuid_map *rows = &db->rows[kinds[i].kind];
        for (size_t j = 0; j < rows->count; j++) {
            if (count == max) {
                fold_fail("more rows than there is space for");
            }
            parts[count++] =
                make_row_part(db, kinds[i].kind, kinds[i].part, rows->items[j], digests, arena);
        }
    }
    return count;
}

/* ---- writing ---- */

/* What a batch did to one order. */
struct order_effect {
    struct uuid order;
    bool differs, document_differs;
    int64_t writes; /* before */
};

static inline struct order_effect *effect_of(struct order_effect *effects, size_t count,
                                             const struct uuid *order) {
    for (size_t i = 0; i < count; i++) {
        if (uuid_eq(&effects[i].order, order)) {
            return &effects[i];
        }
    }
    return NULL;
}

/* The column that is its key in the maps; an order's change has two. */
static inline struct uuid row_key(const struct fold_database *db, enum row_kind kind,
                                  const struct slice *columns) {
    static const char *const names[ROW_KINDS] = {
        [ROWS_ORDERS] = "order_key",          [ROWS_BOXES] = "box_key",
        [ROWS_EVENTS] = "event_key",          [ROWS_DOCUMENTS] = "document_key",
        [ROWS_ORDER_CHANGES] = "delivery_id", [ROWS_MANIFESTS] = "manifest_key",
    };
    static size_t numbers[ROW_KINDS];
    if (numbers[kind] == 0) {
        numbers[kind] = table_column(db->tables, kind, names[kind]) + 1;
    }
    struct slice value = columns[numbers[kind] - 1];
    struct uuid key = {{0}};
    if (value.len != sizeof(key)) {
        fold_fail("%s has no key", table_name(kind).data);
    }
    memcpy(&key, value.data, sizeof(key));
    if (kind == ROWS_ORDER_CHANGES) {
        /* Their names differ in length. */
        key.bytes[0] ^= (uint8_t)columns[table_column(db->tables, kind, "field")].len;
    }
    return key;
}

static inline bool is_same_value(struct slice a, struct slice b) {
    return (a.data == NULL) == (b.data == NULL) && slice_eq(a, b);
}

static inline struct stored_row *make_row(struct fold_database *db, enum row_kind kind,
                                          const struct uuid *key, const struct slice *columns) {
    size_t count = db->tables->shapes[kind].count;
    struct stored_row *row = must_alloc(db->arena, sizeof(*row) + count * sizeof(row->columns[0]));
    row->key = *key;
    if (kind != ROWS_MANIFESTS) {
        struct slice order = columns[table_column(db->tables, kind, "order_key")];
        if (order.len != sizeof(row->order)) {
            fold_fail("a row of %s has no order", table_name(kind).data);
        }
        memcpy(&row->order, order.data, sizeof(row->order));
    }
    must_add(&db->rows[kind], row, db->arena);
    return row;
}

/* Whether the column stays as it is: what the fold may not read it cannot write. */
static inline bool keeps_value(unsigned traits, struct slice stored, struct slice value) {
    char text[DIGEST_LEN + 3];
    if ((traits & IS_PERSONAL_FACT) != 0) {
        return value.data == NULL;
    }
    return (traits & IS_MESSAGE) != 0 && stored.data != NULL && value.len == DIGEST_LEN &&
           slice_eq(value, digest_of(stored, text));
}

static inline void write_columns(struct fold_database *db, enum row_kind kind,
                                 struct stored_row *row, bool is_new, const struct slice *columns,
                                 struct order_effect *effect) {
    for (size_t i = 0; i < db->tables->shapes[kind].count; i++) {
        unsigned traits = column_traits(db->tables, kind, i);
        if (!is_new && keeps_value(traits, row->columns[i], columns[i])) {
            continue;
        }
        if (columns[i].data == NULL && db->tables->names[kind].required[i]) {
            fold_fail("%s.%.*s is null", table_name(kind).data,
                      SLICE_ARGS(db->tables->names[kind].columns[i]));
        }
        if (is_same_value(columns[i], row->columns[i])) {
            continue;
        }
        row->columns[i] = must_dup(db->arena, columns[i]);
        if (effect != NULL && (traits & IS_OF_HISTORY) == 0) {
            effect->differs = true;
            effect->document_differs = effect->document_differs ||
                                       (kind != ROWS_ORDER_CHANGES && (traits & IS_NOT_SHOWN) == 0);
        }
    }
}

static inline void write_row(struct fold_database *db, enum row_kind kind, bool is_new,
                             struct slice value, struct order_effect *effects, size_t count) {
    struct slice columns[SHAPE_COLUMNS_MAX] = {SLICE_EMPTY};
    struct pg_reader reader;
    if (!pg_read_row(value, &reader) || reader.left != db->tables->shapes[kind].count) {
        fold_fail("a row of %s has another shape", table_name(kind).data);
    }
    for (size_t i = 0; i < db->tables->shapes[kind].count; i++) {
        if (!pg_read_next(&reader, &columns[i])) {
            fold_fail("a row of %s is cut off", table_name(kind).data);
        }
    }
    struct uuid key = row_key(db, kind, columns);
    struct stored_row *row = uuid_map_find(&db->rows[kind], &key);
    if (is_new != (row == NULL)) {
        fold_fail("%s: %s", table_name(kind).data,
                  is_new ? "the row is there already" : "the row is not there");
    }
    if (is_new) {
        row = make_row(db, kind, &key, columns);
    }
    write_columns(db, kind, row, is_new, columns,
                  kind != ROWS_MANIFESTS ? effect_of(effects, count, &row->order) : NULL);
}

/* The rows of KIND that belong to ORDER go. */
static inline void delete_rows(struct fold_database *db, enum row_kind kind,
                               const struct uuid *order, struct order_effect *effect) {
    struct uuid_map left = {.count = 0};
    for (size_t i = 0; i < db->rows[kind].count; i++) {
        struct stored_row *row = db->rows[kind].items[i];
        if (!uuid_eq(&row->order, order)) {
            must_add(&left, row, db->arena);
        } else if (effect != NULL) {
            effect->differs = true;
            effect->document_differs = effect->document_differs || kind != ROWS_ORDER_CHANGES;
        }
    }
    if (left.count < db->rows[kind].count) {
        db->rows[kind] = left;
    }
}

/* The last parameter: orders that others took the place of. */
static inline void delete_moved(struct fold_database *db, struct slice array,
                                struct order_effect *effects, size_t count) {
    static const enum row_kind kinds[] = {ROWS_BOXES, ROWS_EVENTS, ROWS_DOCUMENTS,
                                          ROWS_ORDER_CHANGES};
    struct pg_reader keys;
    struct slice key;
    struct uuid order;
    if (!pg_read_array(array, &keys)) {
        fold_fail("the orders that moved are no array");
    }
    while (pg_read_next(&keys, &key)) {
        if (key.len != sizeof(order)) {
            fold_fail("the key of an order that moved is no uuid");
        }
        memcpy(&order, key.data, sizeof(order));
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            delete_rows(db, kinds[i], &order, effect_of(effects, count, &order));
        }
    }
}

static inline struct slice param_of(const struct pg_params *params, size_t number) {
    return (struct slice){params->data.data + params->offsets[number],
                          (size_t)params->lengths[number]};
}

/* What write_states() does with the rows of STATES; they are followed by the feed and the orders
 * that moved. */
static inline void fold_database_write(struct fold_database *db, const struct states *states,
                                       struct order_effect *effects, size_t count) {
    static const struct {
        enum row_kind kind;
        bool is_new;
    } arrays[] = {{ROWS_ORDERS, true},    {ROWS_ORDERS, false},       {ROWS_BOXES, true},
                  {ROWS_BOXES, false},    {ROWS_EVENTS, true},        {ROWS_EVENTS, false},
                  {ROWS_DOCUMENTS, true}, {ROWS_ORDER_CHANGES, true}, {ROWS_MANIFESTS, true},
                  {ROWS_MANIFESTS, false}};
    struct pg_params params;
    pg_params_init(&params, LIMIT_STATEMENT);
    states_add_rows(states, &params);
    if (strbuf_failed(&params.data) || params.overflow ||
        params.count != (int)ARRAY_LEN(arrays) + 2) {
        fold_fail("the rows cannot be written");
    }
    if (params.lengths[ARRAY_LEN(arrays) + 1] >= 0) {
        delete_moved(db, param_of(&params, ARRAY_LEN(arrays) + 1), effects, count);
    }
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        struct pg_reader rows;
        struct slice row;
        if (params.lengths[i] < 0) {
            continue;
        }
        if (!pg_read_array(param_of(&params, i), &rows)) {
            fold_fail("the rows of %s are no array", table_name(arrays[i].kind).data);
        }
        while (pg_read_next(&rows, &row)) {
            write_row(db, arrays[i].kind, arrays[i].is_new, row, effects, count);
        }
    }
    pg_params_free(&params);
}

#endif

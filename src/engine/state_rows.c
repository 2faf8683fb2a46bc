#include "engine/state_rows.h"

#include "base/limits.h"
#include "domain/shown.h"

#include <string.h>

/* How a member is written as a column; the types of members in brackets. */
enum column_kind {
    COLUMN_UUID,            /* (struct uuid) all zero: null */
    COLUMN_TEXT,            /* (struct slice) empty: null; also json and varchar */
    COLUMN_BYTES,           /* (struct slice) */
    COLUMN_TIME,            /* (int64_t) */
    COLUMN_DATE,            /* (int64_t) VALUE_NONE: null */
    COLUMN_NUMBER,          /* (int64_t) smallint, integer or bigint as the column is */
    COLUMN_COUNT,           /* (int64_t) negative: null */
    COLUMN_FLAG,            /* (int64_t) 0 or 1, VALUE_NONE: null */
    COLUMN_BOOL,            /* (bool) */
    COLUMN_STATUS,          /* (enum status) STATUS_COUNT: null */
    COLUMN_WORDS,           /* (struct slice) words joined by '|', as an array; empty: null */
    COLUMN_LIST,            /* (struct order_state) its list of boxes; null without its register */
    COLUMN_ATTENTION,       /* (unsigned) no bit: null */
    COLUMN_REGISTERS,       /* (struct registers) */
    COLUMN_EVENT_REGISTERS, /* (struct event_state) */
};

struct column {
    struct slice name;
    enum column_kind kind;
    size_t offset;
    /* A text that is null instead where its bit is set among the bits at DIGESTS: the row keeps
     * what it has. BIT 0: it never is. */
    size_t digests;
    uint32_t bit;
};

#define COLUMN(name_, kind_, struct_, member_)                                                     \
    { .name = SLICE(name_), .kind = (kind_), .offset = offsetof(struct struct_, member_) }

static const struct column DELIVERY_COLUMNS[] = {
    COLUMN("delivery_id", COLUMN_UUID, delivery_row, id),
    COLUMN("order_key", COLUMN_UUID, delivery_row, order),
    COLUMN("received_at", COLUMN_TIME, delivery_row, received_at),
    COLUMN("body_bytes", COLUMN_NUMBER, delivery_row, body_bytes),
    COLUMN("live", COLUMN_FLAG, delivery_row, live),
    COLUMN("source", COLUMN_TEXT, delivery_row, source),
    COLUMN("provider", COLUMN_TEXT, delivery_row, provider),
    COLUMN("event_type", COLUMN_TEXT, delivery_row, event_type),
    COLUMN("event_id", COLUMN_TEXT, delivery_row, event_id),
    COLUMN("outcome", COLUMN_TEXT, delivery_row, outcome),
    COLUMN("detail", COLUMN_TEXT, delivery_row, detail),
    COLUMN("body_sha256", COLUMN_BYTES, delivery_row, body_sha256),
    COLUMN("headers", COLUMN_TEXT, delivery_row, headers),
    COLUMN("body", COLUMN_BYTES, delivery_row, body),
};

static const struct column ORDER_COLUMNS[] = {
    COLUMN("order_key", COLUMN_UUID, order_state, key),
    COLUMN("version", COLUMN_NUMBER, order_state, version),
    COLUMN("updated_at", COLUMN_TIME, order_state, updated_at),
    COLUMN("first_seen_at", COLUMN_TIME, order_state, first_seen_at),
    COLUMN("writes", COLUMN_NUMBER, order_state, writes),
    COLUMN("live", COLUMN_BOOL, order_state, live),
    COLUMN("source", COLUMN_TEXT, order_state, source),
    COLUMN("provider", COLUMN_TEXT, order_state, provider),
    COLUMN("order_id", COLUMN_TEXT, order_state, order_id),
    COLUMN("own_status", COLUMN_STATUS, order_state, own_status),
    COLUMN("own_provider_status", COLUMN_TEXT, order_state, own_provider_status),
    COLUMN("own_status_detail", COLUMN_TEXT, order_state, own_status_detail),
    COLUMN("own_status_at", COLUMN_TIME, order_state, own_status_at),
    COLUMN("box_list", COLUMN_LIST, order_state, box_list),
    COLUMN("registers", COLUMN_REGISTERS, order_state, registers),
    COLUMN("status", COLUMN_STATUS, order_state, shown.status),
    COLUMN("status_at", COLUMN_TIME, order_state, shown.status_at),
    COLUMN("attention", COLUMN_ATTENTION, order_state, shown.attention),
    COLUMN("boxes_total", COLUMN_NUMBER, order_state, shown.boxes_total),
    COLUMN("boxes_delivered", COLUMN_NUMBER, order_state, shown.boxes_delivered),
    COLUMN("shipped_at", COLUMN_TIME, order_state, shown.shipped_at),
    COLUMN("delivered_at", COLUMN_TIME, order_state, shown.delivered_at),
    COLUMN("first_event_at", COLUMN_TIME, order_state, shown.first_event_at),
    COLUMN("last_event_at", COLUMN_TIME, order_state, shown.last_event_at),
};

static const struct column BOX_COLUMNS[] = {
    COLUMN("order_key", COLUMN_UUID, box_state, order_key),
    COLUMN("box_key", COLUMN_UUID, box_state, key),
    COLUMN("box_id", COLUMN_TEXT, box_state, box_id),
    COLUMN("status", COLUMN_STATUS, box_state, shown.status),
    COLUMN("status_detail", COLUMN_TEXT, box_state, shown.detail),
    COLUMN("status_at", COLUMN_TIME, box_state, shown.at),
    COLUMN("reported_status", COLUMN_STATUS, box_state, reported.status),
    COLUMN("reported_status_detail", COLUMN_TEXT, box_state, reported.detail),
    COLUMN("reported_status_at", COLUMN_TIME, box_state, reported.at),
    COLUMN("provider_status", COLUMN_TEXT, box_state, status.provider_status),
    COLUMN("location", COLUMN_TEXT, box_state, status.location),
    COLUMN("next_attempt_at", COLUMN_TIME, box_state, status.next_attempt_at),
    COLUMN("shipped_at", COLUMN_TIME, box_state, shipped_at),
    COLUMN("delivered_at", COLUMN_TIME, box_state, delivered_at),
    COLUMN("last_open_at", COLUMN_TIME, box_state, last_open_at),
    COLUMN("last_moved_at", COLUMN_TIME, box_state, last_moved_at),
    COLUMN("tracking_url", COLUMN_TEXT, box_state, shown_url),
    COLUMN("registers", COLUMN_REGISTERS, box_state, registers),
};

static const struct column EVENT_COLUMNS[] = {
    COLUMN("order_key", COLUMN_UUID, event_state, order_key),
    COLUMN("event_key", COLUMN_UUID, event_state, key),
    COLUMN("box_key", COLUMN_UUID, event_state, box_key),
    COLUMN("delivery_id", COLUMN_UUID, event_state, delivery),
    COLUMN("occurred_at", COLUMN_TIME, event_state, occurred_at),
    COLUMN("status", COLUMN_STATUS, event_state, status),
    COLUMN("status_detail", COLUMN_TEXT, event_state, detail),
    COLUMN("provider_status", COLUMN_TEXT, event_state, provider_status),
    COLUMN("location", COLUMN_TEXT, event_state, location),
    COLUMN("message", COLUMN_TEXT, event_state, message),
    COLUMN("previous_status", COLUMN_TEXT, event_state, previous_status),
    COLUMN("stands_for", COLUMN_WORDS, event_state, stands_for),
    COLUMN("registers", COLUMN_EVENT_REGISTERS, event_state, registers),
};

static const struct column DOCUMENT_COLUMNS[] = {
    COLUMN("order_key", COLUMN_UUID, document_state, order_key),
    COLUMN("document_key", COLUMN_UUID, document_state, key),
    COLUMN("box_key", COLUMN_UUID, document_state, box_key),
    COLUMN("kind", COLUMN_TEXT, document_state, kind),
    COLUMN("url", COLUMN_TEXT, document_state, url),
};

static const struct column ORDER_CHANGE_COLUMNS[] = {
    COLUMN("order_key", COLUMN_UUID, order_change_state, order_key),
    COLUMN("delivery_id", COLUMN_UUID, order_change_state, key),
    COLUMN("occurred_at", COLUMN_TIME, order_change_state, change.occurred_at),
    COLUMN("field", COLUMN_TEXT, order_change_state, field),
    COLUMN("previous_value", COLUMN_TEXT, order_change_state, change.previous_value),
    COLUMN("new_value", COLUMN_TEXT, order_change_state, change.new_value),
};

static const struct column MANIFEST_COLUMNS[] = {
    COLUMN("manifest_key", COLUMN_UUID, manifest_state, key),
    COLUMN("submitted_at", COLUMN_TIME, manifest_state, manifest.submitted_at),
    COLUMN("parcel_count", COLUMN_COUNT, manifest_state, manifest.parcel_count),
    COLUMN("live", COLUMN_BOOL, manifest_state, live),
    COLUMN("source", COLUMN_TEXT, manifest_state, source),
    COLUMN("shipment_id", COLUMN_TEXT, manifest_state, manifest.shipment_id),
    COLUMN("awb_number", COLUMN_TEXT, manifest_state, manifest.awb_number),
    COLUMN("country", COLUMN_TEXT, manifest_state, manifest.country),
    COLUMN("registers", COLUMN_REGISTERS, manifest_state, registers),
};

static const struct column FEED_COLUMNS[] = {
    COLUMN("position", COLUMN_NUMBER, feed_row, position),
    COLUMN("order_key", COLUMN_UUID, feed_row, order_key),
    COLUMN("lane", COLUMN_NUMBER, feed_row, lane),
    COLUMN("live", COLUMN_BOOL, feed_row, live),
    COLUMN("source", COLUMN_TEXT, feed_row, source),
};

/* The facts, each in the column of its name. */
#define FACT_COLUMN_TEXT(struct_, fact_, name_)                                                    \
    {                                                                                              \
        .name = SLICE(name_), .kind = COLUMN_TEXT,                                                 \
        .offset = offsetof(struct struct_, values) + (fact_) * sizeof(struct fact_value) +         \
                  offsetof(struct fact_value, text),                                               \
        .digests = offsetof(struct struct_, digests), .bit = UINT32_C(1) << (fact_)                \
    }
#define FACT_COLUMN_JSON FACT_COLUMN_TEXT
#define FACT_COLUMN_NUMBER(struct_, fact_, name_, kind_)                                           \
    {                                                                                              \
        .name = SLICE(name_), .kind = (kind_),                                                     \
        .offset = offsetof(struct struct_, values) + (fact_) * sizeof(struct fact_value) +         \
                  offsetof(struct fact_value, number)                                              \
    }
#define FACT_COLUMN_TIME(struct_, fact_, name_)                                                    \
    FACT_COLUMN_NUMBER(struct_, fact_, name_, COLUMN_TIME)
#define FACT_COLUMN_DATE(struct_, fact_, name_)                                                    \
    FACT_COLUMN_NUMBER(struct_, fact_, name_, COLUMN_DATE)
#define FACT_COLUMN_FLAG(struct_, fact_, name_)                                                    \
    FACT_COLUMN_NUMBER(struct_, fact_, name_, COLUMN_FLAG)
#define ORDER_FACT_COLUMN(constant, name, type, scope, number, text)                               \
    FACT_COLUMN_##type(order_state, FACT_##constant, #name),
#define BOX_FACT_COLUMN(constant, name, type, scope, number, text)                                 \
    FACT_COLUMN_##type(box_state, FACT_##constant, #name),

static const struct column ORDER_FACT_COLUMNS[] = {ORDER_FACTS(ORDER_FACT_COLUMN)};
static const struct column BOX_FACT_COLUMNS[] = {BOX_FACTS(BOX_FACT_COLUMN)};

/* A table and the columns that this release knows of it. The link in tracking_url is the one that
 * is shown: the first match of a name counts. */
static const struct {
    struct slice name;
    const struct column *columns, *facts;
    size_t column_count, fact_count;
} TABLES[ROW_KINDS] = {
    [ROWS_DELIVERIES] = {SLICE("deliveries"), DELIVERY_COLUMNS, NULL, ARRAY_LEN(DELIVERY_COLUMNS),
                         0},
    [ROWS_BODIES] = {SLICE("bodies"), DELIVERY_COLUMNS, NULL, ARRAY_LEN(DELIVERY_COLUMNS), 0},
    [ROWS_ORDERS] = {SLICE("orders"), ORDER_COLUMNS, ORDER_FACT_COLUMNS, ARRAY_LEN(ORDER_COLUMNS),
                     ARRAY_LEN(ORDER_FACT_COLUMNS)},
    [ROWS_BOXES] = {SLICE("boxes"), BOX_COLUMNS, BOX_FACT_COLUMNS, ARRAY_LEN(BOX_COLUMNS),
                    ARRAY_LEN(BOX_FACT_COLUMNS)},
    [ROWS_EVENTS] = {SLICE("tracking_events"), EVENT_COLUMNS, NULL, ARRAY_LEN(EVENT_COLUMNS), 0},
    [ROWS_DOCUMENTS] = {SLICE("documents"), DOCUMENT_COLUMNS, NULL, ARRAY_LEN(DOCUMENT_COLUMNS), 0},
    [ROWS_ORDER_CHANGES] = {SLICE("order_changes"), ORDER_CHANGE_COLUMNS, NULL,
                            ARRAY_LEN(ORDER_CHANGE_COLUMNS), 0},
    [ROWS_MANIFESTS] = {SLICE("manifests"), MANIFEST_COLUMNS, NULL, ARRAY_LEN(MANIFEST_COLUMNS), 0},
    [ROWS_FEED] = {SLICE("feed"), FEED_COLUMNS, NULL, ARRAY_LEN(FEED_COLUMNS), 0},
};

struct delivery_row delivery_row_of(const struct delivery *delivery) {
    static const enum delivery_outcome outcomes[] = {
        [READING_APPLIED] = OUTCOME_APPLIED,
        [READING_IGNORED] = OUTCOME_IGNORED,
        [READING_URL_CHECK] = OUTCOME_IGNORED,
        [READING_QUARANTINED] = OUTCOME_QUARANTINED,
    };
    const struct changes *changes = &delivery->changes;
    struct delivery_row row = {
        .id = delivery->id,
        .received_at = delivery->received_at,
        .body_bytes = (int64_t)delivery->body.len,
        .live = changes->live_known ? changes->live : VALUE_NONE,
        .source = delivery->source,
        .provider = delivery->provider,
        .event_type = changes->event_type,
        .event_id = changes->event_id,
        .outcome = delivery_outcome_name(outcomes[delivery->reading]),
        .detail = changes->detail,
        .body_sha256 = {(const char *)delivery->body_sha256, sizeof(delivery->body_sha256)},
        .headers = delivery->headers,
        .body = delivery->body,
    };
    if (delivery->has_order) {
        row.order = delivery->order;
    }
    return row;
}

/* ---- shapes ---- */

static const struct column *find_column(const struct column *columns, size_t count,
                                        struct slice name) {
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(columns[i].name, name)) {
            return &columns[i];
        }
    }
    return NULL;
}

static bool add_column(struct row_shape *shape, enum row_kind kind, struct slice name,
                       uint32_t type, struct err *err) {
    if (shape->count == SHAPE_COLUMNS_MAX) {
        return err_set(err, ERR_DATABASE, "the table %.*s has too many columns",
                       SLICE_ARGS(TABLES[kind].name));
    }
    const struct column *column =
        find_column(TABLES[kind].columns, TABLES[kind].column_count, name);
    if (column == NULL) {
        column = find_column(TABLES[kind].facts, TABLES[kind].fact_count, name);
    }
    shape->columns[shape->count].column = column;
    shape->columns[shape->count].type = type;
    shape->count++;
    return true;
}

bool shapes_add(struct row_shape shapes[ROW_KINDS], struct slice table, uint32_t row_type,
                struct slice column, uint32_t column_type, struct err *err) {
    for (enum row_kind kind = 0; kind < ROW_KINDS; kind++) {
        if (slice_eq(table, TABLES[kind].name)) {
            shapes[kind].type = row_type;
            return add_column(&shapes[kind], kind, column, column_type, err);
        }
    }
    return true;
}

static bool take_columns(const struct pg_result *result, struct row_shape shapes[ROW_KINDS],
                         struct err *err) {
    for (size_t row = 0; row < pg_row_count(result); row++) {
        if (!shapes_add(shapes, pg_bytes(result, row, 0), (uint32_t)pg_integer(result, row, 1),
                        pg_bytes(result, row, 2), (uint32_t)pg_integer(result, row, 3), err)) {
            return false;
        }
    }
    return true;
}

bool shapes_learn(struct pg *pg, struct row_shape shapes[ROW_KINDS], int64_t deadline_ms,
                  struct err *err) {
    static const char sql[] =
        "SELECT c.relname::text, c.reltype, a.attname::text, a.atttypid"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = pg_catalog.to_regnamespace('waybill_data') AND c.relkind = 'r'"
        " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum";
    struct pg_result *result = NULL;
    memset(shapes, 0, ROW_KINDS * sizeof(*shapes));
    if (!pg_query(pg, sql, NULL, deadline_ms, &result, err)) {
        return false;
    }
    bool ok = take_columns(result, shapes, err);
    pg_result_clear(result);
    return ok;
}

/* ---- writing ---- */

static void put_number(struct pg_rows *out, uint32_t type, int64_t value) {
    switch (type) {
    case PG_TYPE_INT2:
        pg_col_int2(out, (int16_t)value);
        break;
    case PG_TYPE_INT4:
        pg_col_int4(out, (int32_t)value);
        break;
    default:
        pg_col_int8(out, value);
        break;
    }
}

static void put_attention(struct pg_rows *out, unsigned attention) {
    size_t count, chosen = 0;
    const struct slice *names = attention_reasons(&count);
    struct slice reasons[8 * sizeof(attention)];
    if (attention == 0) {
        pg_col_null_text_array(out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (attention >> i & 1) {
            reasons[chosen++] = names[i];
        }
    }
    pg_col_text_array(out, reasons, chosen);
}

static void put_words(struct pg_rows *out, struct slice joined) {
    struct slice words[LIMIT_STANDS_FOR];
    size_t count = 0;
    if (joined.len == 0) {
        pg_col_null_text_array(out);
        return;
    }
    while (joined.len > 0 && count < ARRAY_LEN(words)) {
        slice_split(joined, '|', &words[count++], &joined);
    }
    pg_col_text_array(out, words, count);
}

static void put_list(struct pg_rows *out, const struct order_state *order) {
    if (order->registers.keys[REGISTER_BOX_LIST].data == NULL) {
        pg_col_null_text_array(out);
    } else {
        pg_col_text_array(out, order->box_list, order->box_list_count);
    }
}

/* Frees BYTES. */
static void put_bytes(struct pg_rows *out, struct strbuf *bytes) {
    pg_col_bytea(out, strbuf_slice(bytes));
    if (strbuf_failed(bytes)) {
        pg_rows_fail(out);
    }
    strbuf_free(bytes);
}

static void put_registers(struct pg_rows *out, const struct registers *registers) {
    struct strbuf bytes = STRBUF_INIT((size_t)REGISTERS_MAX * LIMIT_REGISTER_KEY);
    registers_encode(registers, &bytes);
    put_bytes(out, &bytes);
}

/* As a rule one webhook said all that a row of the history has: then the one key is enough, and its
 * delivery is in a column of the row. */
static bool has_one_key(const struct event_state *event) {
    struct slice key = event->registers.keys[REGISTER_EVENT];
    for (size_t i = 0; i < EVENT_REGISTERS; i++) {
        struct slice other = event->registers.keys[i];
        if (other.data != NULL && !slice_eq(other, key)) {
            return false;
        }
    }
    return true;
}

/* What the registers of a row of the history begin with. */
#define EVENT_HAS_KEYS 0
#define EVENT_HAS_ONE_KEY 1

static void put_event_registers(struct pg_rows *out, const struct event_state *event) {
    struct strbuf bytes = STRBUF_INIT((size_t)EVENT_REGISTERS * LIMIT_REGISTER_KEY);
    if (has_one_key(event)) {
        strbuf_add_char(&bytes, EVENT_HAS_ONE_KEY);
        register_encode(event->registers.keys[REGISTER_EVENT], &bytes);
    } else {
        strbuf_add_char(&bytes, EVENT_HAS_KEYS);
        registers_encode(&event->registers, &bytes);
    }
    put_bytes(out, &bytes);
}

static const void *member_of(const struct column *column, const void *row) {
    return (const char *)row + column->offset;
}

static bool is_digest(const struct column *column, const void *row) {
    uint32_t digests;
    if (column->bit == 0) {
        return false;
    }
    memcpy(&digests, (const char *)row + column->digests, sizeof(digests));
    return (digests & column->bit) != 0;
}

static void put_column(struct pg_rows *out, const struct column *column, uint32_t type,
                       const void *row) {
    static const struct uuid nothing;
    const void *member = member_of(column, row);
    const struct slice *text = member;
    int64_t number = 0;
    switch (column->kind) {
    case COLUMN_TIME:
    case COLUMN_DATE:
    case COLUMN_NUMBER:
    case COLUMN_COUNT:
    case COLUMN_FLAG:
        memcpy(&number, member, sizeof(number));
        break;
    default:
        break;
    }
    switch (column->kind) {
    case COLUMN_UUID:
        pg_col_uuid(out, uuid_eq(member, &nothing) ? NULL : ((const struct uuid *)member)->bytes);
        break;
    case COLUMN_TEXT:
        pg_col_text(out, type, is_digest(column, row) ? SLICE_EMPTY : *text);
        break;
    case COLUMN_BYTES:
        pg_col_bytea(out, *text);
        break;
    case COLUMN_TIME:
        pg_col_timestamptz(out, number);
        break;
    case COLUMN_DATE:
        pg_col_date(out, number == VALUE_NONE ? DATE_NONE : (int32_t)number);
        break;
    case COLUMN_NUMBER:
        put_number(out, type, number);
        break;
    case COLUMN_COUNT:
        if (number < 0) {
            pg_col_null(out, type);
        } else {
            put_number(out, type, number);
        }
        break;
    case COLUMN_FLAG:
        if (number == VALUE_NONE) {
            pg_col_null(out, type);
        } else {
            pg_col_bool(out, number != 0);
        }
        break;
    case COLUMN_BOOL:
        pg_col_bool(out, *(const bool *)member);
        break;
    case COLUMN_STATUS: {
        enum status status = *(const enum status *)member;
        pg_col_text(out, type, status < STATUS_COUNT ? status_name(status) : SLICE_EMPTY);
        break;
    }
    case COLUMN_WORDS:
        put_words(out, *text);
        break;
    case COLUMN_LIST:
        put_list(out, row);
        break;
    case COLUMN_ATTENTION:
        put_attention(out, *(const unsigned *)member);
        break;
    case COLUMN_REGISTERS:
        put_registers(out, member);
        break;
    case COLUMN_EVENT_REGISTERS:
        put_event_registers(out, row);
        break;
    }
}

void shape_encode(const struct row_shape *shape, struct pg_rows *out, const void *row) {
    pg_row_begin(out);
    for (size_t i = 0; i < shape->count; i++) {
        const struct column *column = shape->columns[i].column;
        if (column == NULL) {
            pg_col_null(out, shape->columns[i].type);
        } else {
            put_column(out, column, shape->columns[i].type, row);
        }
    }
    pg_row_end(out);
}

/* ---- reading ---- */

static bool take_status(struct slice value, enum status *status) {
    *status = STATUS_COUNT;
    return value.data == NULL || status_from_name(value, status);
}

static bool take_texts(struct slice value, struct arena *arena, struct slice **texts,
                       size_t *count) {
    struct pg_reader reader;
    *count = 0;
    if (value.data == NULL) {
        return true;
    }
    if (!pg_read_array(value, &reader)) {
        return false;
    }
    *texts = arena_array(arena, reader.left + 1, sizeof(**texts));
    while (*texts != NULL && reader.left > 0) {
        if (!pg_read_next(&reader, &(*texts)[*count])) {
            return false;
        }
        ++*count;
    }
    return *texts != NULL;
}

static bool take_words(struct slice value, struct arena *arena, struct slice *joined) {
    struct slice *words;
    size_t count, len = 0;
    if (!take_texts(value, arena, &words, &count)) {
        return false;
    }
    *joined = SLICE_EMPTY;
    if (count == 0) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        len += words[i].len + 1;
    }
    char *text = arena_alloc(arena, len);
    if (text == NULL) {
        return false;
    }
    *joined = (struct slice){text, len - 1};
    for (size_t i = 0; i < count; i++) {
        if (words[i].len > 0) {
            memcpy(text, words[i].data, words[i].len);
        }
        text[words[i].len] = i + 1 < count ? '|' : '\0';
        text += words[i].len + 1;
    }
    return true;
}

static bool take_attention(struct slice value, unsigned *attention) {
    size_t count;
    const struct slice *names = attention_reasons(&count);
    struct pg_reader reader;
    struct slice reason;
    *attention = 0;
    if (value.data == NULL) {
        return true;
    }
    if (!pg_read_array(value, &reader)) {
        return false;
    }
    while (pg_read_next(&reader, &reason)) {
        for (size_t i = 0; i < count; i++) {
            *attention |= slice_eq(names[i], reason) ? 1u << i : 0;
        }
    }
    return true;
}

/* The column is the last: what it belongs to has been read. */
static bool take_event_registers(struct slice value, struct event_state *event,
                                 struct arena *arena) {
    const struct slice members[EVENT_REGISTERS] = {
        [REGISTER_EVENT_LOCATION] = event->location,
        [REGISTER_EVENT_MESSAGE] = event->message,
        [REGISTER_EVENT_PREVIOUS] = event->previous_status,
        [REGISTER_EVENT_STANDS_FOR] = event->stands_for,
    };
    struct slice key;
    if (value.len == 0 || value.data[0] != EVENT_HAS_ONE_KEY) {
        return value.len > 0 && registers_decode(slice_from(value, 1), arena, &event->registers);
    }
    if (!register_decode(slice_from(value, 1), &event->delivery, arena, &key)) {
        return false;
    }
    event->registers.keys[REGISTER_EVENT] = key;
    for (size_t i = REGISTER_EVENT + 1; i < EVENT_REGISTERS; i++) {
        event->registers.keys[i] = members[i].len > 0 ? key : SLICE_EMPTY;
    }
    return true;
}

static bool take_column(const struct column *column, struct slice value, void *row,
                        struct arena *arena) {
    void *member = (char *)row + column->offset;
    int64_t number = VALUE_NONE;
    switch (column->kind) {
    case COLUMN_UUID:
        if (value.len == sizeof(struct uuid)) {
            memcpy(member, value.data, value.len);
        }
        return true;
    case COLUMN_TEXT:
    case COLUMN_BYTES:
        *(struct slice *)member = value;
        return true;
    case COLUMN_TIME:
        number = pg_value_timestamp(value);
        break;
    case COLUMN_DATE:
        number = value.data == NULL ? VALUE_NONE : pg_value_date(value);
        break;
    case COLUMN_NUMBER:
        number = pg_value_integer(value);
        break;
    case COLUMN_COUNT:
        number = value.data == NULL ? -1 : pg_value_integer(value);
        break;
    case COLUMN_FLAG:
        number = value.data == NULL ? VALUE_NONE : pg_value_integer(value);
        break;
    case COLUMN_BOOL:
        *(bool *)member = pg_value_integer(value) != 0;
        return true;
    case COLUMN_STATUS:
        return take_status(value, member);
    case COLUMN_WORDS:
        return take_words(value, arena, member);
    case COLUMN_LIST: {
        struct order_state *order = row;
        return take_texts(value, arena, &order->box_list, &order->box_list_count);
    }
    case COLUMN_ATTENTION:
        return take_attention(value, member);
    case COLUMN_REGISTERS:
        return registers_decode(value, arena, member);
    case COLUMN_EVENT_REGISTERS:
        return take_event_registers(value, row, arena);
    }
    memcpy(member, &number, sizeof(number));
    return true;
}

bool shape_decode(const struct row_shape *shape, struct slice value, void *row,
                  struct arena *arena) {
    struct pg_reader reader;
    if (!pg_read_row(value, &reader) || reader.left != shape->count) {
        return false;
    }
    for (size_t i = 0; i < shape->count; i++) {
        struct slice field;
        if (!pg_read_next(&reader, &field)) {
            return false;
        }
        const struct column *column = shape->columns[i].column;
        if (column != NULL && !take_column(column, field, row, arena)) {
            return false;
        }
    }
    return true;
}

bool summary_decode(struct slice value, struct uuid *order, enum status *status,
                    struct box_summary *summary) {
    struct pg_reader reader;
    struct slice fields[9];
    if (!pg_read_row(value, &reader) || reader.left != ARRAY_LEN(fields)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (!pg_read_next(&reader, &fields[i])) {
            return false;
        }
    }
    if (fields[0].len != sizeof(*order) || !status_from_name(fields[1], status)) {
        return false;
    }
    memcpy(order, fields[0].data, sizeof(*order));
    *summary = (struct box_summary){
        .count = pg_value_integer(fields[2]),
        .status_at = pg_value_timestamp(fields[3]),
        .shipped_at = pg_value_timestamp(fields[4]),
        .delivered_at = pg_value_timestamp(fields[5]),
        .last_moved_at = pg_value_timestamp(fields[6]),
        .moved_after_delivered = pg_value_integer(fields[7]) != 0,
        .moved_after_end = pg_value_integer(fields[8]) != 0,
    };
    return true;
}

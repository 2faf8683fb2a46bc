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

/* ---- running a statement of one row type ---- */

/* A statement with its parameters, and what it gave. */
struct question {
    const char *sql;
    struct pg_params params;
    struct pg_result *result;
};

static void question_init(struct question *question, const char *sql) {
    *question = (struct question){.sql = sql};
    pg_params_init(&question->params, PARAMS_MAX);
}

static bool run_question(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    struct question *question = context;
    return pg_query(store->pg, question->sql, &question->params, deadline_ms, &question->result,
                    err) ||
           explain_old_schema(err);
}

/* Asks and frees the parameters; on STORE_OK *result is the caller's. */
static enum store_result ask(struct store *store, struct question *question,
                             struct pg_result **result, struct err *err) {
    enum store_result outcome = store_run(store, run_question, question, err);
    pg_params_free(&question->params);
    *result = question->result;
    return outcome;
}

static void add_time(struct pg_params *params, int64_t at) {
    if (at == TIMESTAMP_NONE) {
        pg_add_null(params);
    } else {
        pg_add_timestamptz(params, at);
    }
}

static void add_uuid(struct pg_params *params, const struct uuid *uuid) {
    if (uuid == NULL) {
        pg_add_null(params);
    } else {
        pg_add_uuid(params, uuid->bytes);
    }
}

static struct uuid read_uuid(const struct pg_result *result, size_t row, int column) {
    struct uuid uuid = {{0}};
    struct slice bytes = pg_bytes(result, row, column);
    if (bytes.len == sizeof(uuid.bytes)) {
        memcpy(uuid.bytes, bytes.data, sizeof(uuid.bytes));
    }
    return uuid;
}

/* ---- orders by any name ---- */

/* The keys that TEXT is or that source/id gives; the count. */
static size_t keys_of(struct slice text, struct uuid keys[3]) {
    struct slice source, id;
    size_t count = uuid_parse(text, &keys[0]) ? 1 : 0;
    if (slice_split(text, '/', &source, &id)) {
        for (int live = 0; live < 2; live++) {
            count += order_key(source, live != 0, id, &keys[count]);
        }
    }
    return count;
}

enum store_result store_orders_named(struct store *store, struct slice text,
                                     struct store_orders *found, struct err *err) {
    /* The last look-up has no index, so it is only made when nothing else has found anything. */
    static const char sql[] =
        "WITH quick AS ("
        " SELECT order_key FROM waybill_data.orders WHERE order_key = ANY ($2)"
        " UNION SELECT order_key FROM waybill_data.orders WHERE order_number = $1"
        " UNION SELECT order_key FROM waybill_data.orders WHERE external_reference = $1"
        " UNION SELECT order_key FROM waybill_data.boxes WHERE tracking_number = $1),"
        " named AS (SELECT order_key FROM quick UNION ALL"
        " SELECT order_key FROM waybill_data.orders WHERE order_id = $1 AND NOT EXISTS (SELECT FROM quick))"
        " SELECT pg_catalog.json_build_object('source', o.source, 'id', o.order_id, 'order_number', o.order_number,"
        " 'live', o.live)::text, o.order_key"
        " FROM named n JOIN waybill_data.orders o ON o.order_key = n.order_key"
        " ORDER BY o.live DESC, o.version DESC LIMIT $3";
    struct uuid keys[3];
    struct question question;
    question_init(&question, sql);
    pg_add_text(&question.params, text);
    pg_add_uuid_array(&question.params, keys[0].bytes, keys_of(text, keys));
    pg_add_int8(&question.params, STORE_ORDERS_MAX);
    found->count = 0;
    enum store_result outcome = ask(store, &question, &found->result, err);
    for (size_t i = 0; outcome == STORE_OK && i < pg_row_count(found->result); i++) {
        found->orders[found->count++] = (struct store_order_name){
            .key = read_uuid(found->result, i, 1), .json = pg_bytes(found->result, i, 0)};
    }
    return outcome;
}

void store_orders_free(struct store_orders *found) {
    pg_result_clear(found->result);
    found->result = NULL;
    found->count = 0;
}

/* ---- deliveries ---- */

enum store_result store_deliveries(struct store *store, const struct store_delivery_filter *filter,
                                   struct pg_result **rows, struct err *err) {
    static const char sql[] =
        "SELECT pg_catalog.row_to_json(r)::text FROM ("
        " SELECT d.delivery_id AS delivery, waybill_data.instant(d.received_at) AS received_at, d.source, d.live,"
        " d.event_type, d.event_id, d.outcome, d.conflict, d.detail, d.times_received, d.body_bytes,"
        " NOT EXISTS (SELECT FROM waybill_data.bodies b WHERE b.received_at = d.received_at AND b.delivery_id = d.delivery_id)"
        " AS purged FROM waybill.deliveries d"
        " WHERE ($1::text IS NULL OR d.source = $1) AND ($2::text IS NULL OR d.outcome = $2)"
        " AND ($3::text IS NULL OR d.event_type = $3) AND ($4::timestamptz IS NULL OR d.received_at >= $4)"
        " AND ($5::timestamptz IS NULL OR d.received_at < $5)"
        " AND ($6::uuid IS NULL OR d.order_key = $6)"
        " AND (NOT $7 OR d.conflict)"
        " ORDER BY d.received_at DESC, d.delivery_id LIMIT $8) r";
    struct question question;
    question_init(&question, sql);
    struct pg_params *params = &question.params;
    pg_add_text(params, filter->source);
    pg_add_text(params, filter->outcome);
    pg_add_text(params, filter->event_type);
    add_time(params, filter->since);
    add_time(params, filter->until);
    add_uuid(params, filter->order);
    pg_add_bool(params, filter->conflict);
    pg_add_int8(params, filter->limit);
    return ask(store, &question, rows, err);
}

enum store_result store_delivery_row(struct store *store, const struct uuid *id,
                                     struct pg_result **rows, struct err *err) {
    static const char sql[] =
        "SELECT pg_catalog.row_to_json(r)::text FROM ("
        " SELECT d.delivery_id AS delivery, waybill_data.instant(d.received_at) AS received_at, d.source, t.provider, d.live,"
        " d.event_type, d.event_id, d.outcome, d.conflict, d.detail, d.times_received, d.body_bytes,"
        " b.delivery_id IS NULL AS purged, pg_catalog.encode(d.body_sha256, 'hex') AS body_sha256,"
        " CASE WHEN o.order_key IS NOT NULL THEN pg_catalog.json_build_object('source', o.source, 'id', o.order_id,"
        " 'order_number', o.order_number, 'live', o.live) END AS order, b.headers::jsonb AS headers"
        " FROM waybill.deliveries d JOIN waybill_data.deliveries t ON t.delivery_id = d.delivery_id"
        " LEFT JOIN waybill_data.bodies b ON b.received_at = d.received_at AND b.delivery_id = d.delivery_id"
        " LEFT JOIN waybill_data.orders o ON o.order_key = d.order_key"
        " WHERE d.delivery_id = $1) r";
    struct question question;
    question_init(&question, sql);
    pg_add_uuid(&question.params, id->bytes);
    return ask(store, &question, rows, err);
}

/* ---- stored deliveries, read back ---- */

#define STORED_COLUMNS                                                                             \
    "d.delivery_id, d.order_key, d.source, d.provider, d.outcome, b.headers::text, b.body,"        \
    " d.body_sha256, d.received_at"
#define STORED                                                                                     \
    " FROM waybill_data.deliveries d LEFT JOIN waybill_data.bodies b"                              \
    " ON b.received_at = d.received_at AND b.delivery_id = d.delivery_id"

static bool take_batch(struct store_batch *batch, struct err *err) {
    const struct pg_result *result = batch->result;
    batch->rows = calloc(pg_row_count(result) + 1, sizeof(*batch->rows));
    if (batch->rows == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < pg_row_count(result); i++) {
        batch->rows[batch->count++] = (struct store_stored){
            .id = read_uuid(result, i, 0),
            .has_order = !pg_is_null(result, i, 1),
            .order = read_uuid(result, i, 1),
            .source = pg_bytes(result, i, 2),
            .provider = pg_bytes(result, i, 3),
            .outcome = pg_bytes(result, i, 4),
            .headers = pg_bytes(result, i, 5),
            .body = pg_bytes(result, i, 6),
            .purged = pg_is_null(result, i, 6),
            .body_sha256 = pg_bytes(result, i, 7),
            .received_at = pg_timestamp(result, i, 8),
        };
    }
    return true;
}

static enum store_result ask_batch(struct store *store, struct question *question,
                                   struct store_batch *batch, struct err *err) {
    *batch = (struct store_batch){.count = 0};
    enum store_result outcome = ask(store, question, &batch->result, err);
    if (outcome == STORE_OK && !take_batch(batch, err)) {
        outcome = STORE_DOWN;
    }
    if (outcome != STORE_OK) {
        store_batch_free(batch);
    }
    return outcome;
}

void store_batch_free(struct store_batch *batch) {
    free(batch->rows);
    pg_result_clear(batch->result);
    *batch = (struct store_batch){.count = 0};
}

#define SELECTED                                                                                   \
    " WHERE ($1::text IS NULL OR d.outcome = $1)"                                                  \
    " AND ($2::text IS NULL OR d.source = $2) AND ($3::timestamptz IS NULL OR d.received_at >= $3)"

static void add_selection(struct pg_params *params, const struct store_selection *selection) {
    pg_add_text(params, selection->outcome);
    pg_add_text(params, selection->source);
    add_time(params, selection->since);
}

enum store_result store_select_count(struct store *store, const struct store_selection *selection,
                                     int64_t *count, struct err *err) {
    struct question question;
    struct pg_result *result = NULL;
    question_init(&question, "SELECT pg_catalog.count(*) FROM waybill_data.deliveries d" SELECTED);
    add_selection(&question.params, selection);
    enum store_result outcome = ask(store, &question, &result, err);
    *count = outcome == STORE_OK ? pg_integer(result, 0, 0) : 0;
    pg_result_clear(result);
    return outcome;
}

enum store_result store_select(struct store *store, const struct store_selection *selection,
                               const struct uuid *after, size_t limit, struct store_batch *batch,
                               struct err *err) {
    struct question question;
    question_init(&question, "SELECT " STORED_COLUMNS STORED SELECTED
                             " AND ($4::uuid IS NULL OR d.delivery_id > $4)"
                             " ORDER BY d.delivery_id LIMIT $5");
    add_selection(&question.params, selection);
    add_uuid(&question.params, after);
    pg_add_int8(&question.params, (int64_t)limit);
    return ask_batch(store, &question, batch, err);
}

enum store_result store_stored(struct store *store, const struct uuid *id,
                               struct store_batch *batch, struct err *err) {
    struct question question;
    question_init(&question, "SELECT " STORED_COLUMNS STORED " WHERE d.delivery_id = $1");
    pg_add_uuid(&question.params, id->bytes);
    return ask_batch(store, &question, batch, err);
}

/* ---- purging ---- */

/* Deliveries, and orders, in one transaction. What is looked at is found by the primary key, so
 * that nothing is missed while rows move. */
#define DELIVERIES_AT_ONCE 2000
#define ORDERS_AT_ONCE 200

/* $1 after, $2 limit, $3 before, $4 source, $5 order, $6 dry: the last key, rows looked at, purged,
 * bytes. The deliveries of one order are few. */
static const char purge_deliveries_sql[] =
    "WITH page AS MATERIALIZED ("
    " SELECT d.delivery_id, d.body_bytes, ($5::uuid IS NOT NULL OR d.received_at < $3)"
    " AND ($4::text IS NULL OR d.source = $4) AND EXISTS (SELECT FROM waybill_data.bodies b"
    " WHERE b.received_at = d.received_at AND b.delivery_id = d.delivery_id) AS goes"
    " FROM waybill_data.deliveries d WHERE ($1::uuid IS NULL OR d.delivery_id > $1)"
    " AND ($5::uuid IS NULL OR d.order_key = $5) ORDER BY d.delivery_id LIMIT $2),"
    " chosen AS (SELECT pg_catalog.array_agg(p.delivery_id ORDER BY p.delivery_id) AS ids, pg_catalog.count(*) AS count,"
    " pg_catalog.sum(p.body_bytes)::bigint AS bytes FROM page p WHERE p.goes)"
    " SELECT (SELECT p.delivery_id FROM page p ORDER BY 1 DESC LIMIT 1), (SELECT pg_catalog.count(*) FROM page),"
    " COALESCE(r.purged, 0), COALESCE(r.bytes, 0)"
    " FROM chosen c LEFT JOIN LATERAL ("
    " SELECT c.count AS purged, c.bytes WHERE $6 AND c.count > 0"
    " UNION ALL SELECT e.purged, e.bytes FROM waybill_data.purge_deliveries(c.ids) e WHERE NOT $6 AND c.count > 0) r ON true";

/* The same of the orders of which no delivery has come since. */
static const char purge_orders_sql[] =
    "WITH page AS MATERIALIZED ("
    " SELECT o.order_key, o.source FROM waybill_data.orders o WHERE ($1::uuid IS NULL OR o.order_key > $1)"
    " AND ($5::uuid IS NULL OR o.order_key = $5) ORDER BY o.order_key LIMIT $2),"
    " chosen AS (SELECT pg_catalog.array_agg(p.order_key) AS keys, pg_catalog.count(*) AS count FROM page p"
    " JOIN waybill_data.personal_orders o ON o.order_key = p.order_key"
    " WHERE ($4::text IS NULL OR p.source = $4) AND ($5::uuid IS NOT NULL OR NOT EXISTS ("
    " SELECT FROM waybill_data.deliveries d WHERE d.order_key = p.order_key AND d.received_at >= $3)))"
    " SELECT (SELECT p.order_key FROM page p ORDER BY 1 DESC LIMIT 1), (SELECT pg_catalog.count(*) FROM page),"
    " CASE WHEN c.count = 0 OR $6 THEN c.count ELSE waybill_data.purge_orders(c.keys)::bigint END, 0::bigint"
    " FROM chosen c";

enum store_result store_purge_total(struct store *store, const struct store_purge *purge,
                                    int64_t *total, struct err *err) {
    static const char sql[] =
        "SELECT (SELECT pg_catalog.count(*) FROM waybill_data.deliveries d WHERE $1::uuid IS NULL OR d.order_key = $1)"
        " + (SELECT pg_catalog.count(*) FROM waybill_data.orders o WHERE $1::uuid IS NULL OR o.order_key = $1)";
    struct question question;
    struct pg_result *result = NULL;
    question_init(&question, sql);
    add_uuid(&question.params, purge->order);
    enum store_result outcome = ask(store, &question, &result, err);
    *total = outcome == STORE_OK ? pg_integer(result, 0, 0) : 0;
    pg_result_clear(result);
    return outcome;
}

enum store_result store_purge_step(struct store *store, struct store_purge *purge, int64_t *looked,
                                   struct err *err) {
    struct question question;
    struct pg_result *result = NULL;
    size_t limit = purge->bodies_done ? ORDERS_AT_ONCE : DELIVERIES_AT_ONCE;
    question_init(&question, purge->bodies_done ? purge_orders_sql : purge_deliveries_sql);
    add_uuid(&question.params, purge->begun ? &purge->after : NULL);
    pg_add_int8(&question.params, (int64_t)limit);
    add_time(&question.params, purge->before);
    pg_add_text(&question.params, purge->source);
    add_uuid(&question.params, purge->order);
    pg_add_bool(&question.params, purge->dry);
    enum store_result outcome = ask(store, &question, &result, err);
    if (outcome != STORE_OK) {
        return outcome;
    }
    *looked = pg_integer(result, 0, 1);
    purge->after = read_uuid(result, 0, 0);
    purge->begun = true;
    if (purge->bodies_done) {
        purge->orders += pg_integer(result, 0, 2);
    } else {
        purge->deliveries += pg_integer(result, 0, 2);
        purge->bytes += pg_integer(result, 0, 3);
    }
    if (*looked < (int64_t)limit) {
        purge->done = purge->bodies_done;
        purge->bodies_done = true;
        purge->begun = false;
    }
    pg_result_clear(result);
    return STORE_OK;
}

/* ---- pruning ---- */

struct pruning {
    int64_t position, pruned;
    int32_t entries;
};

static bool run_prune(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    struct pruning *pruning = context;
    struct pg_params params;
    struct pg_result *result = NULL;
    pg_params_init(&params, 4096);
    pg_add_int8(&params, pruning->position);
    pg_add_int4(&params, pruning->entries);
    bool ok = pg_query(store->pg, "SELECT looked_to, pruned FROM waybill_data.prune_feed($1, $2)",
                       &params, deadline_ms, &result, err);
    pg_params_free(&params);
    if (ok) {
        pruning->position = pg_is_null(result, 0, 0) ? -1 : pg_integer(result, 0, 0);
        pruning->pruned = pg_integer(result, 0, 1);
    }
    pg_result_clear(result);
    return ok;
}

enum store_result store_prune_feed(struct store *store, int64_t *position, int32_t entries,
                                   int64_t *pruned, struct err *err) {
    struct pruning pruning = {*position, 0, entries};
    enum store_result result = store_run(store, run_prune, &pruning, err);
    *position = pruning.position;
    *pruned = pruning.pruned;
    return result;
}

/* ---- looking ---- */

enum store_result store_order_timeline(struct store *store, const struct uuid *order, bool full,
                                       struct pg_result **rows, struct err *err) {
    static const char sql[] =
        "SELECT pg_catalog.json_build_object('order', r.document::json, 'timeline', ("
        " SELECT COALESCE(pg_catalog.json_agg(pg_catalog.row_to_json(t) ORDER BY t.occurred_at, t.received_at, t.box, t.field),"
        " '[]') FROM ("
        "  SELECT waybill_data.instant(e.occurred_at) AS occurred_at, waybill_data.instant(d.received_at) AS received_at,"
        "  b.box_id AS box, NULL::text AS field, e.status::text AS status, e.status_detail, e.provider_status, e.location,"
        "  CASE WHEN $2 THEN e.message END AS message, NULL::text AS previous_value, NULL::text AS new_value,"
        "  e.delivery_id AS delivery"
        "  FROM waybill_data.tracking_events e"
        "  JOIN waybill_data.boxes b ON b.order_key = e.order_key AND b.box_key = e.box_key"
        "  LEFT JOIN waybill_data.deliveries d ON d.delivery_id = e.delivery_id WHERE e.order_key = $1"
        "  UNION ALL"
        "  SELECT waybill_data.instant(c.occurred_at), waybill_data.instant(d.received_at), NULL, c.field, NULL, NULL, NULL,"
        "  NULL, NULL, c.previous_value, c.new_value, c.delivery_id"
        "  FROM waybill_data.order_changes c"
        "  LEFT JOIN waybill_data.deliveries d ON d.delivery_id = c.delivery_id WHERE c.order_key = $1) t))::text"
        " FROM waybill_data.read_orders(ARRAY[$1::uuid], $2, true) r";
    struct question question;
    question_init(&question, sql);
    pg_add_uuid(&question.params, order->bytes);
    pg_add_bool(&question.params, full);
    return ask(store, &question, rows, err);
}

enum store_result store_source_rows(struct store *store, struct pg_result **rows, struct err *err) {
    static const char sql[] =
        "SELECT pg_catalog.json_build_object('source', s.source, 'deliveries', pg_catalog.sum(s.count)::bigint,"
        " 'quarantined', pg_catalog.sum(s.quarantined)::bigint, 'last_received_at', waybill_data.instant(pg_catalog.max(s.last)),"
        " 'event_types', pg_catalog.json_agg(pg_catalog.json_build_object('event_type', s.event_type, 'deliveries', s.count,"
        " 'quarantined', s.quarantined, 'last_received_at', waybill_data.instant(s.last)) ORDER BY s.event_type))::text"
        " FROM (SELECT d.source, d.event_type, pg_catalog.count(*) AS count,"
        " pg_catalog.count(*) FILTER (WHERE d.outcome = 'quarantined') AS quarantined, pg_catalog.max(d.received_at) AS last"
        " FROM waybill_data.deliveries d GROUP BY d.source, d.event_type) s GROUP BY s.source ORDER BY s.source";
    struct question question;
    question_init(&question, sql);
    return ask(store, &question, rows, err);
}

enum store_result store_overview(struct store *store, struct pg_result **rows, struct err *err) {
    static const char sql[] =
        "SELECT pg_catalog.json_build_object("
        " 'server_version', pg_catalog.current_setting('server_version'),"
        " 'standby', pg_catalog.pg_is_in_recovery(),"
        " 'durable', pg_catalog.current_setting('fsync') = 'on' AND pg_catalog.current_setting('full_page_writes') = 'on',"
        " 'schema', (SELECT COALESCE(pg_catalog.max(m.number), 0) FROM waybill_data.schema_migrations m),"
        " 'bytes', pg_catalog.pg_database_size(pg_catalog.current_database()),"
        " 'orders', (SELECT pg_catalog.count(*) FROM waybill_data.orders o WHERE o.moved_to IS NULL),"
        " 'orders_with_attention', (SELECT pg_catalog.count(*) FROM waybill_data.orders o WHERE o.attention IS NOT NULL AND o.moved_to IS NULL),"
        " 'last_change_at', (SELECT waybill_data.instant(o.updated_at) FROM waybill_data.orders o"
        "  WHERE o.order_key = (SELECT f.order_key FROM waybill_data.feed f ORDER BY f.position DESC LIMIT 1)),"
        " 'last_received_at', (SELECT waybill_data.instant(pg_catalog.max(d.received_at)) FROM waybill_data.deliveries d),"
        " 'last_day', (SELECT COALESCE(pg_catalog.json_object_agg(c.outcome, c.count ORDER BY c.outcome), '{}') FROM ("
        "  SELECT d.outcome, pg_catalog.count(*) AS count FROM waybill_data.deliveries d"
        "  WHERE d.received_at >= pg_catalog.now() - interval '1 day' GROUP BY d.outcome) c),"
        " 'quarantined', (SELECT pg_catalog.count(*) FROM waybill_data.deliveries d JOIN waybill_data.bodies b"
        "  ON b.received_at = d.received_at AND b.delivery_id = d.delivery_id WHERE d.outcome = 'quarantined'),"
        " 'quarantined_bytes', (SELECT COALESCE(pg_catalog.sum(u.bytes), 0)::bigint FROM waybill_data.quarantine_usage u),"
        " 'last_action', (SELECT pg_catalog.json_build_object('command', a.command, 'started_at',"
        "  waybill_data.instant(a.started_at), 'done', a.done, 'os_user', a.os_user) FROM waybill_data.actions a"
        "  ORDER BY a.action_id DESC LIMIT 1))::text";
    struct question question;
    question_init(&question, sql);
    return ask(store, &question, rows, err);
}

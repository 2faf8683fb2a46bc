#include "engine/store_connection.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* ---- look-ups by key ---- */

/* The kinds of answer, each one statement: the version alone, or one of the four documents. */
enum lookup_kind {
    LOOKUP_VERSION,
    LOOKUP_PLAIN,
    LOOKUP_EVENTS,
    LOOKUP_FULL,
    LOOKUP_FULL_EVENTS,
    LOOKUP_KINDS
};

static enum lookup_kind kind_of(const struct store_lookup *lookup) {
    if (lookup->version_only) {
        return LOOKUP_VERSION;
    }
    return (enum lookup_kind)(LOOKUP_PLAIN + (lookup->full ? 2 : 0) + (lookup->events ? 1 : 0));
}

/* What a look-up still needs. */
enum need { NEED_VERSION, NEED_DOCUMENT, NEED_NOTHING };

struct look_up {
    struct store_lookup *const *lookups;
    size_t count;
    struct store_results *results;
    enum need *needs; /* one for each */
    uint8_t *keys;    /* room for all */
};

static bool concerns(const struct look_up *look_up, size_t i, enum lookup_kind kind) {
    return kind == LOOKUP_VERSION
               ? look_up->needs[i] == NEED_VERSION
               : look_up->needs[i] == NEED_DOCUMENT && kind_of(look_up->lookups[i]) == kind;
}

static int compare_orders(const void *left, const void *right) {
    return memcmp(left, right, sizeof(struct uuid));
}

/* Every look-up that KIND concerns and whose order is in a row of RESULT gets it; several may ask
 * for one order. */
static void spread(const struct look_up *look_up, enum lookup_kind kind,
                   const struct pg_result *result) {
    for (size_t i = 0; i < look_up->count; i++) {
        struct store_lookup *lookup = look_up->lookups[i];
        if (!concerns(look_up, i, kind)) {
            continue;
        }
        look_up->needs[i] = NEED_NOTHING;
        lookup->version = 0;
        for (size_t row = 0; row < pg_row_count(result); row++) {
            if (memcmp(pg_bytes(result, row, 0).data, lookup->order.bytes, 16) == 0) {
                lookup->version = pg_integer(result, row, 1);
                lookup->document = kind == LOOKUP_VERSION ? SLICE_EMPTY : pg_bytes(result, row, 2);
                break;
            }
        }
    }
}

static size_t collect_keys(const struct look_up *look_up, enum lookup_kind kind) {
    size_t count = 0;
    for (size_t i = 0; i < look_up->count; i++) {
        if (concerns(look_up, i, kind)) {
            memcpy(look_up->keys + 16 * count++, look_up->lookups[i]->order.bytes, 16);
        }
    }
    qsort(look_up->keys, count, 16, compare_orders);
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        if (distinct == 0 ||
            memcmp(look_up->keys + 16 * (distinct - 1), look_up->keys + 16 * i, 16) != 0) {
            memmove(look_up->keys + 16 * distinct++, look_up->keys + 16 * i, 16);
        }
    }
    return distinct;
}

static bool look_up_kind(struct store *store, const struct look_up *look_up, enum lookup_kind kind,
                         int64_t deadline_ms, struct err *err) {
    static const char versions[] = "SELECT order_key, version FROM waybill_data.order_versions($1)";
    static const char documents[] =
        "SELECT order_key, version, document FROM waybill_data.read_orders($1, $2, $3)";
    size_t count = collect_keys(look_up, kind);
    if (count == 0) {
        return true;
    }
    struct pg_params params;
    pg_params_init(&params, (size_t)16 << 20);
    pg_add_uuid_array(&params, look_up->keys, count);
    if (kind != LOOKUP_VERSION) {
        pg_add_bool(&params, kind >= LOOKUP_FULL);
        pg_add_bool(&params, kind == LOOKUP_EVENTS || kind == LOOKUP_FULL_EVENTS);
    }
    struct pg_result *result = NULL;
    bool ok = pg_query_prepared(store->pg, kind == LOOKUP_VERSION ? versions : documents, &params,
                                deadline_ms, &result, err);
    pg_params_free(&params);
    if (ok) {
        spread(look_up, kind, result);
        look_up->results->results[look_up->results->count++] = result;
    }
    return ok;
}

/* ---- the documents that were asked for before ---- */

static bool is_remembered(struct store *store, const struct store_lookup *lookup) {
    return store->documents != NULL && lookup->remember && !lookup->version_only &&
           document_cache_has(store->documents, &lookup->order, (uint8_t)kind_of(lookup));
}

/* The version alone where that may be enough. */
static void decide_needs(struct store *store, const struct look_up *look_up) {
    if (store->documents != NULL) {
        document_cache_begin(store->documents);
    }
    for (size_t i = 0; i < look_up->count; i++) {
        const struct store_lookup *lookup = look_up->lookups[i];
        bool version =
            lookup->version_only || (lookup->version == 0 && is_remembered(store, lookup));
        look_up->needs[i] = version ? NEED_VERSION : NEED_DOCUMENT;
    }
}

/* Whose version is known now gets the document that was remembered with it. */
static void recall(struct store *store, const struct look_up *look_up) {
    for (size_t i = 0; i < look_up->count; i++) {
        struct store_lookup *lookup = look_up->lookups[i];
        if (lookup->version != 0 && is_remembered(store, lookup)) {
            look_up->needs[i] =
                document_cache_get(store->documents, &lookup->order, (uint8_t)kind_of(lookup),
                                   lookup->version, &lookup->document)
                    ? NEED_NOTHING
                    : NEED_DOCUMENT;
        }
    }
}

static void remember(struct store *store, const struct look_up *look_up) {
    for (size_t i = 0; i < look_up->count; i++) {
        const struct store_lookup *lookup = look_up->lookups[i];
        if (!lookup->remember || lookup->version_only || lookup->version == 0) {
            continue;
        }
        if (store->documents == NULL) {
            store->documents = document_cache_new(LIMIT_DOCUMENT_CACHE);
        }
        if (store->documents != NULL) {
            document_cache_keep(store->documents, &lookup->order, (uint8_t)kind_of(lookup),
                                lookup->version, lookup->document);
        }
    }
}

static bool run_look_up(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    const struct look_up *look_up = context;
    store_results_free(look_up->results); /* of an attempt before */
    decide_needs(store, look_up);
    if (!look_up_kind(store, look_up, LOOKUP_VERSION, deadline_ms, err)) {
        return false;
    }
    recall(store, look_up);
    for (enum lookup_kind kind = LOOKUP_PLAIN; kind < LOOKUP_KINDS; kind++) {
        if (!look_up_kind(store, look_up, kind, deadline_ms, err)) {
            return false;
        }
    }
    remember(store, look_up);
    return true;
}

enum store_result store_look_up(struct store *store, struct store_lookup *const *lookups,
                                size_t count, struct store_results *results, struct err *err) {
    struct look_up look_up = {lookups, count, results, calloc(count, sizeof(enum need)),
                              calloc(count, 16)};
    enum store_result result = STORE_DOWN;
    if (look_up.needs == NULL || look_up.keys == NULL) {
        err_set(err, ERR_MEMORY, "out of memory");
    } else {
        result = store_run(store, run_look_up, &look_up, err);
    }
    free(look_up.needs);
    free(look_up.keys);
    return result;
}

void store_results_free(struct store_results *results) {
    for (size_t i = 0; i < results->count; i++) {
        pg_result_clear(results->results[i]);
    }
    results->count = 0;
}

/* ---- searches ---- */

static void add_filter_array(struct pg_params *params, const struct slice *items, size_t count) {
    if (count > 0) {
        pg_add_text_array(params, items, count);
    } else {
        pg_add_null(params);
    }
}

static bool take_found(const struct pg_result *result, struct store_search *search,
                       struct err *err) {
    size_t rows = pg_row_count(result);
    /* The first row is the state of the feed and always there. A last row without a key says where
     * a walk stopped; otherwise one row more than asked for says that there are more. */
    bool stopped = rows > 1 && pg_is_null(result, rows - 1, 0);
    size_t found = rows - (stopped ? 2 : 1);
    search->more = stopped || found > (size_t)search->limit;
    search->count = found > (size_t)search->limit ? (size_t)search->limit : found;
    search->stopped_at = stopped ? pg_integer(result, rows - 1, 1) : 0;
    search->newest = pg_integer(result, 0, 1);
    search->feed_id = pg_integer(result, 0, 2);
    search->standby = pg_integer(result, 0, 3) != 0;
    search->found = calloc(search->count + 1, sizeof(*search->found));
    if (search->found == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < search->count; i++) {
        memcpy(search->found[i].order.bytes, pg_bytes(result, i + 1, 0).data, 16);
        search->found[i].version = pg_integer(result, i + 1, 1);
    }
    return true;
}

static void add_visible_sources(struct pg_params *params, bool all, const struct slice *sources,
                                size_t count) {
    if (all) {
        pg_add_null(params);
    } else {
        pg_add_text_array(params, sources, count);
    }
}

static void add_sources(struct pg_params *params, const struct store_search *search) {
    add_visible_sources(params, search->all_sources, search->sources, search->source_count);
}

/* The state of the feed comes along: a cursor is judged by the database that answers. */
#define WITH_FEED_STATE                                                                            \
    "SELECT NULL::uuid, s.newest, s.feed_id, pg_catalog.pg_is_in_recovery()"                       \
    " FROM waybill_data.feed_state() s UNION ALL SELECT f.*, NULL, NULL FROM "

/* No index leads to these. */
static bool is_walk(const struct store_search *search) {
    return search->changes ||
           (search->order_number_count == 0 && search->external_reference_count == 0 &&
            search->tracking_number_count == 0 && search->order == NULL);
}

static void add_before(struct pg_params *params, const struct store_search *search) {
    if (search->before > 0) {
        pg_add_int8(params, search->before);
    } else {
        pg_add_null(params);
    }
}

/* Changes after a position, or orders from their newest change back. */
static const char *add_walk(struct pg_params *params, const struct store_search *search) {
    int64_t after = search->from_newest ? INT64_MAX : search->after;
    int64_t before = search->before > 0 ? search->before : INT64_MAX;
    pg_add_int8(params, search->changes ? after : before);
    pg_add_bool(params, !search->changes);
    pg_add_text(params, search->source);
    pg_add_text(params, search->status);
    pg_add_bool(params, search->live);
    add_sources(params, search);
    pg_add_int4(params, search->limit + 1);
    return WITH_FEED_STATE "waybill_data.walk_feed($1, $2, $3, $4, $5, $6, $7) f";
}

static const char *add_words(struct pg_params *params, const struct store_search *search) {
    pg_add_text(params, search->words);
    pg_add_uuid_array(params, search->known->bytes, search->known_count);
    pg_add_text(params, search->source);
    pg_add_text(params, search->status);
    pg_add_bool(params, search->live);
    add_sources(params, search);
    add_before(params, search);
    pg_add_int4(params, search->limit + 1);
    return WITH_FEED_STATE "waybill_data.search_orders($1, $2, $3, $4, $5, $6, $7, $8) f";
}

static const char *add_filters(struct pg_params *params, const struct store_search *search) {
    add_filter_array(params, search->order_numbers, search->order_number_count);
    add_filter_array(params, search->external_references, search->external_reference_count);
    add_filter_array(params, search->tracking_numbers, search->tracking_number_count);
    if (search->order != NULL) {
        pg_add_uuid(params, search->order->bytes);
    } else {
        pg_add_null(params);
    }
    pg_add_text(params, search->source);
    pg_add_text(params, search->status);
    pg_add_bool(params, search->live);
    add_sources(params, search);
    add_before(params, search);
    pg_add_int4(params, search->limit + 1);
    return WITH_FEED_STATE "waybill_data.find_orders($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) f";
}

static const char *add_search(struct pg_params *params, const struct store_search *search) {
    if (search->words.len > 0 && !search->changes) {
        return add_words(params, search);
    }
    return is_walk(search) ? add_walk(params, search) : add_filters(params, search);
}

static bool run_find(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    struct store_search *search = context;
    struct pg_params params;
    struct pg_result *result = NULL;
    store_search_free(search); /* of an attempt before */
    pg_params_init(&params, (size_t)1 << 20);
    const char *sql = add_search(&params, search);
    bool ok = pg_query(store->pg, sql, &params, deadline_ms, &result, err) &&
              take_found(result, search, err);
    pg_params_free(&params);
    pg_result_clear(result);
    return ok;
}

enum store_result store_find(struct store *store, struct store_search *search, struct err *err) {
    return store_run(store, run_find, search, err);
}

void store_search_free(struct store_search *search) {
    free(search->found);
    search->found = NULL;
    search->count = 0;
}

/* ---- panels ---- */

static const struct {
    struct slice name;
    const char *sql;
} panels[] = {
    {SLICE("deliveries"), "SELECT waybill_data.panel_deliveries($1, $2, $3)"},
    {SLICE("sources"), "SELECT waybill_data.panel_sources($1, $2, $3)"},
    {SLICE("problems"), "SELECT waybill_data.panel_problems($1, $2, $3)"},
    {SLICE("silent"), "SELECT waybill_data.panel_silent($1, $2, $3)"},
    {SLICE("gaps"), "SELECT waybill_data.panel_gaps($1, $2, $3)"},
};

bool store_panel_named(struct slice name, size_t *number) {
    for (*number = 0; *number < ARRAY_LEN(panels); ++*number) {
        if (slice_eq(panels[*number].name, name)) {
            return true;
        }
    }
    return false;
}

struct read_panel {
    const struct store_panel *panel;
    struct strbuf *json;
};

static bool run_read_panel(struct store *store, void *context, int64_t deadline_ms,
                           struct err *err) {
    const struct read_panel *read = context;
    const struct store_panel *panel = read->panel;
    struct pg_params params;
    struct pg_result *result = NULL;
    pg_params_init(&params, (size_t)1 << 16);
    add_visible_sources(&params, panel->all_sources, panel->sources, panel->source_count);
    pg_add_bool(&params, panel->live);
    pg_add_int4(&params, panel->days);
    bool ok = pg_query(store->pg, panels[panel->number].sql, &params, deadline_ms, &result, err);
    if (ok) {
        strbuf_add_slice(read->json, pg_bytes(result, 0, 0));
    }
    pg_params_free(&params);
    pg_result_clear(result);
    return ok;
}

enum store_result store_read_panel(struct store *store, const struct store_panel *panel,
                                   struct strbuf *json, struct err *err) {
    struct read_panel read = {panel, json};
    return store_run(store, run_read_panel, &read, err);
}

/* ---- the newest webhooks ---- */

struct newest_question {
    const struct slice *sources;
    size_t count;
    struct store_newest *newest;
    size_t *newest_count;
};

static void take_newest(const struct pg_result *result, const struct newest_question *question) {
    size_t found = 0;
    for (size_t i = 0; i < question->count; i++) {
        for (size_t row = 0; row < pg_row_count(result); row++) {
            if (slice_eq(pg_bytes(result, row, 0), question->sources[i])) {
                question->newest[found++] =
                    (struct store_newest){question->sources[i], pg_integer(result, row, 1)};
                break;
            }
        }
    }
    *question->newest_count = found;
}

static bool ask_newest(struct store *store, void *context, int64_t deadline_ms, struct err *err) {
    static const char sql[] = "SELECT source, age_ms FROM waybill_data.newest_deliveries($1)";
    const struct newest_question *question = context;
    struct pg_params params;
    struct pg_result *result = NULL;
    pg_params_init(&params, (size_t)1 << 20);
    pg_add_text_array(&params, question->sources, question->count);
    bool ok = pg_query(store->pg, sql, &params, deadline_ms, &result, err);
    pg_params_free(&params);
    if (ok) {
        take_newest(result, question);
    }
    pg_result_clear(result);
    return ok;
}

enum store_result store_newest(struct store *store, const struct slice *sources, size_t count,
                               struct store_newest *newest, size_t *newest_count, struct err *err) {
    struct newest_question question = {sources, count, newest, newest_count};
    *newest_count = 0;
    return store_run(store, ask_newest, &question, err);
}

#include "app/query.h"

#include "adapter/crypto.h"
#include "adapter/json.h"
#include "base/hex.h"
#include "base/limits.h"
#include "engine/batch.h"

#include <stdlib.h>
#include <string.h>

/* The shape of the documents: part of every ETag, so that a client's copy ends with the release
 * that changes it. */
#define DOCUMENT_FORMAT 1

struct query {
    const struct settings *settings;
    struct batch *batch;
};

enum job_kind { JOB_PROBE, JOB_DOCUMENT, JOB_SEARCH };

/* One request, from the handler to the answer. Owned by whoever works on it: the handler, then the
 * engine. */
struct job {
    struct batch_job batch; /* first */
    struct query *query;
    struct exchange *exchange;
    struct request_head head;
    struct request_record record; /* not changed after parking: a late answer reads it */
    struct arena *arena;
    enum job_kind kind;
    const struct client *client;
    bool is_head;
    struct slice if_none_match; /* a copy */
    bool full, events, live;

    struct store_lookup lookup; /* JOB_DOCUMENT */
    struct uuid order;          /* JOB_SEARCH by source and id */
    struct store_search search;
    struct slice cursor;          /* as given */
    int64_t cursor_position;      /* of the next one */
    struct store_lookup *lookups; /* of what the search found */
    struct store_health health;   /* JOB_PROBE */
    enum store_result health_result;

    struct http_answer answer;
    struct slice outcome;
    bool answered; /* ANSWER is made */
};

static void job_free(struct job *job) {
    if (job != NULL) {
        store_search_free(&job->search);
        free(job->lookups);
        http_answer_free(&job->answer);
        arena_free(job->arena);
        free(job);
    }
}

/* ---- answers ---- */

static void finish(struct job *job, struct slice reason) {
    struct request_record record = job->record;
    record.outcome = job->outcome;
    record.reason = reason;
    job->answer.head = job->is_head;
    respond(job->exchange, &job->answer, &job->head, &record);
    job_free(job);
}

static void finish_problem(struct job *job, int status, struct slice detail, struct slice reason) {
    make_problem(&job->answer, status, detail);
    finish(job, reason);
}

static void make_not_found(struct job *job) {
    make_problem(&job->answer, 404, SLICE_EMPTY);
    job->outcome = SLICE_OF("not_found");
    job->answered = true;
}

static void add_validators(struct job *job, struct slice etag) {
    http_answer_field(&job->answer, "ETag", etag);
    http_answer_field(&job->answer, "Cache-Control", SLICE_OF("private, no-cache"));
    http_answer_field(&job->answer, "Vary", SLICE_OF("Authorization"));
}

static void make_not_modified(struct job *job, struct slice etag) {
    job->answer.status = 304;
    add_validators(job, etag);
    job->outcome = SLICE_OF("not_modified");
    job->answered = true;
}

static void make_ok(struct job *job, struct slice etag) {
    job->answer.status = 200;
    job->answer.content_type = "application/json";
    add_validators(job, etag);
    job->outcome = SLICE_OF("found");
    job->answered = true;
}

/* Whether If-None-Match names ETAG: "*", or a list whose weak and strong tags compare alike (RFC
 * 9110, 13.1.2). */
static bool matches(struct slice if_none_match, struct slice etag) {
    while (if_none_match.len > 0) {
        struct slice one;
        slice_split(if_none_match, ',', &one, &if_none_match);
        one = slice_trim(one);
        if (slice_starts_with(one, SLICE_OF("W/"))) {
            one = slice_from(one, 2);
        }
        if (slice_eq(one, SLICE_OF("*")) || slice_eq(one, etag)) {
            return true;
        }
    }
    return false;
}

/* Scope and parameters that shape a document: "fe" full with events, "te" tracking with events, …
 */
static const char *variant_of(const struct job *job) {
    static const char *const variants[] = {"t", "te", "f", "fe"};
    return variants[(job->full ? 2 : 0) + (job->events ? 1 : 0)];
}

/* ---- one document ---- */

static struct slice document_etag(const struct job *job, struct strbuf *out) {
    strbuf_clear(out);
    strbuf_addf(out, "\"%d-%s-%lld\"", DOCUMENT_FORMAT, variant_of(job),
                (long long)job->lookup.version);
    return strbuf_slice(out);
}

/* The version is known: enough where the client has the document already. */
static void take_version(struct job *job) {
    struct strbuf etag;
    strbuf_init(&etag, 128);
    struct slice text = document_etag(job, &etag);
    if (job->lookup.version == 0) {
        make_not_found(job);
    } else if (matches(job->if_none_match, text)) {
        make_not_modified(job, text);
    }
    strbuf_free(&etag);
}

static void take_document(struct job *job) {
    struct strbuf etag;
    if (job->lookup.version == 0) {
        make_not_found(job);
        return;
    }
    strbuf_init(&etag, 128);
    make_ok(job, document_etag(job, &etag));
    strbuf_add_slice(&job->answer.body, job->lookup.document);
    strbuf_free(&etag);
}

/* ---- a search ---- */

/* A cursor is the identity of the database's feed and a position in it. */
static void put_cursor(struct strbuf *out, int64_t feed_id, int64_t position) {
    strbuf_addf(out, "%llx-%llx", (unsigned long long)feed_id, (unsigned long long)position);
}

static bool hex_to_int64(struct slice text, int64_t *value) {
    char digits[17] = "0000000000000000";
    uint8_t bytes[8];
    if (text.len == 0 || text.len > 16) {
        return false;
    }
    memcpy(digits + 16 - text.len, text.data, text.len);
    if (!hex_decode((struct slice){digits, 16}, bytes, sizeof(bytes))) {
        return false;
    }
    uint64_t all = 0;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        all = all << 8 | bytes[i];
    }
    *value = (int64_t)all;
    return *value > 0;
}

static bool read_cursor(struct slice text, int64_t *feed_id, int64_t *position) {
    struct slice feed, place;
    return slice_split(text, '-', &feed, &place) && hex_to_int64(feed, feed_id) &&
           hex_to_int64(place, position);
}

static bool cursor_is_ours(const struct job *job) {
    int64_t feed_id = 0, position = 0;
    return read_cursor(job->cursor, &feed_id, &position) && feed_id == job->search.feed_id &&
           position <= job->search.newest;
}

static bool search_etag(const struct job *job, struct strbuf *out) {
    const struct store_search *search = &job->search;
    uint8_t digest[SHA256_LEN];
    char text[2 * SHA256_LEN + 1];
    struct slice found = {(const char *)search->found, search->count * sizeof(*search->found)};
    struct slice fields[] = {slice_from_cstr(variant_of(job)), found,
                             search->more ? SLICE_OF("more") : SLICE_EMPTY};
    if (!crypto_sha256_fields(fields, ARRAY_LEN(fields), digest)) {
        return false;
    }
    hex_encode(digest, 16, text);
    strbuf_addf(out, "\"%d-%s\"", DOCUMENT_FORMAT, text);
    return !strbuf_failed(out);
}

/* What the search found is known: enough for a cursor of another database and for a client that has
 * it already. */
static void take_found(struct job *job) {
    struct strbuf etag;
    if (job->cursor.len > 0 && !cursor_is_ours(job)) {
        make_problem(&job->answer, 410, SLICE_OF("after: this database never gave that cursor"));
        job->outcome = SLICE_OF("gone");
        job->answered = true;
        return;
    }
    strbuf_init(&etag, 128);
    if (search_etag(job, &etag) && matches(job->if_none_match, strbuf_slice(&etag))) {
        make_not_modified(job, strbuf_slice(&etag));
    }
    strbuf_free(&etag);
}

static bool prepare_lookups(struct job *job) {
    job->lookups = calloc(job->search.count + 1, sizeof(*job->lookups));
    for (size_t i = 0; job->lookups != NULL && i < job->search.count; i++) {
        job->lookups[i] = (struct store_lookup){
            .order = job->search.found[i].order, .full = job->full, .events = job->events};
    }
    return job->lookups != NULL;
}

static void take_found_documents(struct job *job) {
    struct store_search *search = &job->search;
    struct json_writer writer;
    struct strbuf text;
    strbuf_init(&text, 128);
    /* An order may have changed since it was found: the ETag speaks of what is sent. */
    for (size_t i = 0; i < search->count; i++) {
        search->found[i].version = job->lookups[i].version;
    }
    if (!search_etag(job, &text)) {
        strbuf_free(&text);
        make_problem(&job->answer, 503, SLICE_OF("out of memory; try again"));
        job->answered = true;
        return;
    }
    make_ok(job, strbuf_slice(&text));
    json_writer_init(&writer, &job->answer.body);
    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "orders");
    for (size_t i = 0; i < search->count; i++) {
        if (job->lookups[i].version > 0) {
            json_put_raw(&writer, NULL, job->lookups[i].document);
        }
    }
    json_end_array(&writer);
    strbuf_clear(&text);
    if (search->more) {
        put_cursor(&text, search->feed_id, job->cursor_position);
    }
    json_put_text(&writer, "next_cursor", strbuf_slice(&text));
    json_put_boolean(&writer, "has_more", search->more);
    json_end_object(&writer);
    strbuf_free(&text);
}

/* ---- the engine's side: one reader, one connection ---- */

static void *open_store(void *context) {
    const struct query *query = context;
    return store_new(query->settings->status_dsn.data, "waybill status", STORE_PROMPT);
}

static void close_store(void *state) {
    store_free(state);
}

static bool fail(enum store_result result, const struct err *err, enum batch_result *why) {
    log_store_failure(result, err);
    *why = result == STORE_REFUSED ? BATCH_REFUSED : BATCH_FAILED;
    return false;
}

/* Probes and searches: one statement each. */
static bool run_single(struct store *store, struct job **jobs, size_t count,
                       enum batch_result *why) {
    struct err err = ERR_INIT;
    for (size_t i = 0; i < count; i++) {
        struct job *job = jobs[i];
        if (job->kind == JOB_PROBE) {
            job->health_result = store_health(store, &job->health, &err);
        } else if (job->kind == JOB_SEARCH) {
            enum store_result result = store_find(store, &job->search, &err);
            if (result != STORE_OK) {
                return fail(result, &err, why);
            }
            job->cursor_position =
                job->search.count > 0 ? job->search.found[job->search.count - 1].version : 0;
            take_found(job);
            if (!job->answered && !prepare_lookups(job)) {
                err_set(&err, ERR_MEMORY, "out of memory");
                return fail(STORE_DOWN, &err, why);
            }
        }
    }
    return true;
}

/* The look-ups of all jobs that are not answered yet: versions alone, or documents. */
static size_t collect_lookups(struct job **jobs, size_t count, bool versions,
                              struct store_lookup **lookups) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        struct job *job = jobs[i];
        if (job->answered) {
            continue;
        }
        if (job->kind == JOB_DOCUMENT && (!versions || job->if_none_match.len > 0)) {
            job->lookup.version_only = versions;
            if (lookups != NULL) {
                lookups[total] = &job->lookup;
            }
            total++;
        }
        for (size_t k = 0; job->kind == JOB_SEARCH && !versions && k < job->search.count; k++) {
            if (lookups != NULL) {
                lookups[total] = &job->lookups[k];
            }
            total++;
        }
    }
    return total;
}

static bool look_up(struct store *store, struct job **jobs, size_t count, bool versions,
                    struct store_results *results, enum batch_result *why) {
    struct err err = ERR_INIT;
    size_t total = collect_lookups(jobs, count, versions, NULL);
    if (total == 0) {
        return true;
    }
    struct store_lookup **lookups = calloc(total, sizeof(struct store_lookup *));
    if (lookups == NULL) {
        err_set(&err, ERR_MEMORY, "out of memory");
        return fail(STORE_DOWN, &err, why);
    }
    collect_lookups(jobs, count, versions, lookups);
    enum store_result result = store_look_up(store, lookups, total, results, &err);
    free(lookups);
    return result == STORE_OK || fail(result, &err, why);
}

static bool run_versions(struct store *store, struct job **jobs, size_t count,
                         enum batch_result *why) {
    struct store_results results = {.count = 0};
    bool ok = look_up(store, jobs, count, true, &results, why);
    for (size_t i = 0; ok && i < count; i++) {
        if (jobs[i]->kind == JOB_DOCUMENT && !jobs[i]->answered && jobs[i]->if_none_match.len > 0) {
            take_version(jobs[i]);
        }
    }
    store_results_free(&results);
    return ok;
}

static bool run_documents(struct store *store, struct job **jobs, size_t count,
                          enum batch_result *why) {
    struct store_results results = {.count = 0};
    bool ok = look_up(store, jobs, count, false, &results, why);
    for (size_t i = 0; ok && i < count; i++) {
        if (jobs[i]->kind == JOB_DOCUMENT && !jobs[i]->answered) {
            take_document(jobs[i]);
        } else if (jobs[i]->kind == JOB_SEARCH && !jobs[i]->answered) {
            take_found_documents(jobs[i]);
        }
    }
    store_results_free(&results);
    return ok;
}

/* A half that runs again after a refusal begins anew. */
static void begin_anew(struct job *job) {
    http_answer_free(&job->answer);
    http_answer_init(&job->answer);
    free(job->lookups);
    job->lookups = NULL;
    job->answered = false;
    job->lookup.version = 0;
}

static enum batch_result run(void *state, struct batch_job **batch_jobs, size_t count) {
    struct store *store = state;
    struct job **jobs =
        (struct job **)(void *)batch_jobs; /* the engine's part is the first member */
    enum batch_result why = BATCH_FAILED;
    for (size_t i = 0; i < count; i++) {
        begin_anew(jobs[i]);
    }
    if (store == NULL || !run_single(store, jobs, count, &why) ||
        !run_versions(store, jobs, count, &why) || !run_documents(store, jobs, count, &why)) {
        return why;
    }
    return BATCH_DONE;
}

static void complete(void *context, struct batch_job *batch_job, enum batch_result result) {
    struct job *job = (struct job *)batch_job;
    (void)context;
    if (job->kind == JOB_PROBE) {
        begin_anew(job);
        make_readyz(&job->answer, result == BATCH_DONE ? job->health_result : STORE_DOWN,
                    &job->health, job->client != NULL);
        finish(job, SLICE_OF("readyz"));
    } else if (result != BATCH_DONE) {
        begin_anew(job);
        finish_problem(job, 503, SLICE_OF("the database cannot be asked; try again"),
                       SLICE_OF("database"));
    } else {
        finish(job, SLICE_EMPTY);
    }
}

void query_late(void *context, struct exchange *exchange, struct http_answer *answer) {
    const struct job *job = exchange->user;
    (void)context;
    respond_late(answer, &job->head, &job->record);
}

/* ---- parameters ---- */

/* The values of one parameter. */
struct values {
    struct slice items[LIMIT_QUERY_VALUES];
    size_t count;
};

enum parameter {
    P_ORDER_NUMBER,
    P_EXTERNAL_REFERENCE,
    P_TRACKING_NUMBER,
    P_SOURCE,
    P_ID,
    P_STATUS,
    P_LIVE,
    P_EVENTS,
    P_LIMIT,
    P_AFTER,
    PARAMETERS
};

static const struct parameter_row {
    struct slice name;
    size_t most;      /* how often it may be given */
    bool of_document; /* also for one order */
} parameter_rows[] = {
    [P_ORDER_NUMBER] = {SLICE("order_number"), LIMIT_QUERY_VALUES, false},
    [P_EXTERNAL_REFERENCE] = {SLICE("external_reference"), LIMIT_QUERY_VALUES, false},
    [P_TRACKING_NUMBER] = {SLICE("tracking_number"), LIMIT_QUERY_VALUES, false},
    [P_SOURCE] = {SLICE("source"), 1, false},
    [P_ID] = {SLICE("id"), 1, false},
    [P_STATUS] = {SLICE("status"), 1, false},
    [P_LIVE] = {SLICE("live"), 1, true},
    [P_EVENTS] = {SLICE("events"), 1, true},
    [P_LIMIT] = {SLICE("limit"), 1, false},
    [P_AFTER] = {SLICE("after"), 1, false},
};

static bool is_text(struct slice s) {
    return s.len > 0 && memchr(s.data, '\0', s.len) == NULL && slice_is_utf8(s);
}

/* Sorts the query into VALUES (one a parameter); *wrong names the first pair that is not allowed.
 */
static bool sort_query(const struct job *job, struct slice query, struct values *values,
                       struct slice *wrong) {
    struct http_query_pair *pairs = NULL;
    size_t count = 0;
    *wrong = SLICE_OF("the query");
    if (!http_parse_query(query, PARAMETERS * LIMIT_QUERY_VALUES, job->arena, &pairs, &count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t p = 0;
        while (p < PARAMETERS && !slice_eq(pairs[i].name, parameter_rows[p].name)) {
            p++;
        }
        *wrong = p < PARAMETERS ? parameter_rows[p].name : SLICE_OF("an unknown parameter");
        if (p == PARAMETERS || values[p].count == parameter_rows[p].most ||
            !is_text(pairs[i].value) ||
            (job->kind == JOB_DOCUMENT && !parameter_rows[p].of_document)) {
            return false;
        }
        values[p].items[values[p].count++] = pairs[i].value;
    }
    return true;
}

static struct slice only(const struct values *values) {
    return values->count > 0 ? values->items[0] : SLICE_EMPTY;
}

static bool read_flag(const struct values *values, bool *flag) {
    struct slice text = only(values);
    if (slice_eq(text, SLICE_OF("true"))) {
        *flag = true;
    } else if (slice_eq(text, SLICE_OF("false"))) {
        *flag = false;
    } else {
        return text.len == 0;
    }
    return true;
}

static bool read_limit(const struct values *values, int32_t *limit) {
    int64_t number = 100;
    if (values->count > 0 &&
        (!slice_to_int64(values->items[0], &number) || number < 1 || number > LIMIT_PAGE_ORDERS)) {
        return false;
    }
    *limit = (int32_t)number;
    return true;
}

/* What shapes a document, for one order and for lists. */
static bool read_shape(struct job *job, const struct values *values, struct slice *wrong) {
    job->live = job->events = true;
    *wrong = parameter_rows[P_LIVE].name;
    if (!read_flag(&values[P_LIVE], &job->live)) {
        return false;
    }
    *wrong = parameter_rows[P_EVENTS].name;
    return read_flag(&values[P_EVENTS], &job->events);
}

static bool read_filters(struct job *job, struct values *values, struct slice *wrong) {
    struct store_search *search = &job->search;
    enum status status;
    *search = (struct store_search){
        .order_numbers = values[P_ORDER_NUMBER].items,
        .order_number_count = values[P_ORDER_NUMBER].count,
        .external_references = values[P_EXTERNAL_REFERENCE].items,
        .external_reference_count = values[P_EXTERNAL_REFERENCE].count,
        .tracking_numbers = values[P_TRACKING_NUMBER].items,
        .tracking_number_count = values[P_TRACKING_NUMBER].count,
        .source = only(&values[P_SOURCE]),
        .status = only(&values[P_STATUS]),
        .live = job->live,
        .all_sources = job->client->all_sources,
        .sources = job->client->sources,
        .source_count = job->client->source_count,
    };
    *wrong = parameter_rows[P_STATUS].name;
    if (search->status.len > 0 && !status_from_name(search->status, &status)) {
        return false;
    }
    *wrong = parameter_rows[P_LIMIT].name;
    if (!read_limit(&values[P_LIMIT], &search->limit)) {
        return false;
    }
    *wrong = SLICE_OF("id (it needs source)");
    if (values[P_ID].count > 0) {
        search->order = &job->order;
        return search->source.len > 0 &&
               order_key(search->source, job->live, only(&values[P_ID]), &job->order);
    }
    return true;
}

static void finish_bad_parameter(struct job *job, struct slice wrong) {
    struct strbuf detail;
    strbuf_init(&detail, 512);
    strbuf_add_slice(&detail, wrong);
    strbuf_add_cstr(&detail, ": not allowed, or not with this value");
    make_problem(&job->answer, 400, strbuf_slice(&detail));
    strbuf_free(&detail);
    finish(job, SLICE_OF("parameter"));
}

/* ---- the request ---- */

static void park(struct job *job, size_t weight) {
    job->batch.bytes = sizeof(*job) + weight;
    job->exchange->user = job;
    if (!batch_submit(job->query->batch, &job->batch)) {
        finish_problem(job, 503, SLICE_OF("too many requests in hand; try again"),
                       SLICE_OF("queue_full"));
    }
}

/* /orders/{source}/{id}: the id may hold anything, slashes too. */
static bool read_document_path(struct job *job, const struct request_path *path, struct slice below,
                               struct slice *source, struct slice *id) {
    if (!slice_split(below, '/', source, id) || source->len == 0 || id->len == 0) {
        return false;
    }
    return !path->raw || (http_percent_decode(*source, false, job->arena, source) &&
                          http_percent_decode(*id, false, job->arena, id));
}

static void take_document_request(struct job *job, const struct request_path *path,
                                  struct slice below, struct slice query) {
    struct values *values = arena_array(job->arena, PARAMETERS, sizeof(*values));
    struct slice source, id, wrong;
    if (values == NULL) {
        finish_problem(job, 503, SLICE_OF("out of memory; try again"), SLICE_OF("memory"));
    } else if (!sort_query(job, query, values, &wrong) || !read_shape(job, values, &wrong)) {
        finish_bad_parameter(job, wrong);
    } else if (!read_document_path(job, path, below, &source, &id) ||
               !client_may_see(job->client, source) ||
               !order_key(source, job->live, id, &job->lookup.order)) {
        make_not_found(job);
        finish(job, SLICE_EMPTY);
    } else {
        job->lookup.full = job->full;
        job->lookup.events = job->events;
        park(job, 16384);
    }
}

static void take_search_request(struct job *job, struct slice query) {
    struct values *values = arena_array(job->arena, PARAMETERS, sizeof(*values));
    struct slice wrong;
    if (values == NULL) {
        finish_problem(job, 503, SLICE_OF("out of memory; try again"), SLICE_OF("memory"));
        return;
    }
    if (!sort_query(job, query, values, &wrong) || !read_shape(job, values, &wrong) ||
        !read_filters(job, values, &wrong)) {
        finish_bad_parameter(job, wrong);
        return;
    }
    job->cursor = only(&values[P_AFTER]);
    int64_t feed_id;
    if (job->cursor.len > 0 && !read_cursor(job->cursor, &feed_id, &job->search.before)) {
        finish_problem(job, 410, SLICE_OF("after: this database never gave that cursor"),
                       SLICE_OF("cursor"));
        return;
    }
    park(job, (size_t)job->search.limit * 4096);
}

static void finish_method(struct job *job) {
    http_answer_field(&job->answer, "Allow", SLICE_OF("GET, HEAD"));
    finish_problem(job, 405, SLICE_EMPTY, SLICE_OF("method"));
}

static void finish_unauthorized(struct job *job) {
    http_answer_field(&job->answer, "WWW-Authenticate", SLICE_OF("Bearer realm=\"waybill\""));
    finish_problem(job, 401, SLICE_EMPTY, SLICE_OF("token"));
}

static void take_probe(struct job *job, enum probe probe) {
    if (probe == PROBE_LIVEZ) {
        make_livez(&job->answer);
        finish(job, SLICE_OF("livez"));
        return;
    }
    job->kind = JOB_PROBE;
    park(job, 0);
}

/* Where "/orders" ends in the path; false when the path has none. */
static bool find_orders_path(const struct request_path *path, struct slice *below) {
    static const struct slice orders = SLICE("/orders");
    struct slice rest = path->text;
    for (;;) {
        if (slice_starts_with(rest, orders) &&
            (rest.len == orders.len || rest.data[orders.len] == '/')) {
            *below = slice_from(rest, orders.len);
            return true;
        }
        const char *slash =
            path->below_mount || rest.len < 2 ? NULL : memchr(rest.data + 1, '/', rest.len - 1);
        if (slash == NULL) {
            return false;
        }
        rest = slice_from(rest, (size_t)(slash - rest.data));
    }
}

static void dispatch(struct job *job) {
    const struct http_params *params = &job->exchange->params;
    struct request_path path = request_path_read(params);
    struct slice method = http_param(params, "REQUEST_METHOD");
    struct slice query = http_param(params, "QUERY_STRING");
    struct slice below = SLICE_EMPTY;
    enum probe probe = probe_of(&path);
    exchange_discard_body(job->exchange);
    job->is_head = slice_eq(method, SLICE_OF("HEAD"));
    job->client = responder_client(job->exchange, &job->head, job->query->settings);
    job->full = job->client != NULL && job->client->full;
    if (probe == PROBE_NONE && !find_orders_path(&path, &below)) {
        finish_problem(job, 404, SLICE_EMPTY, SLICE_OF("path"));
    } else if (!job->is_head && !slice_eq(method, SLICE_OF("GET"))) {
        finish_method(job);
    } else if (probe != PROBE_NONE) {
        take_probe(job, probe);
    } else if (job->client == NULL) {
        finish_unauthorized(job);
    } else if (!arena_dup(job->arena, http_header(params, SLICE_OF("If-None-Match")),
                          &job->if_none_match)) {
        finish_problem(job, 503, SLICE_OF("out of memory; try again"), SLICE_OF("memory"));
    } else if (below.len > 1) {
        job->kind = JOB_DOCUMENT;
        take_document_request(job, &path, slice_from(below, 1), query);
    } else {
        job->kind = JOB_SEARCH;
        take_search_request(job, query);
    }
}

void query_handle(void *context, struct exchange *exchange) {
    struct query *query = context;
    struct request_head head;
    request_head_read(&head, exchange, query->settings);
    struct job *job = calloc(1, sizeof(*job));
    struct arena *arena = arena_new(LIMIT_REQUEST_ARENA);
    if (job == NULL || arena == NULL || exchange->overloaded) {
        struct request_record record = {.reason = exchange->overloaded ? SLICE_OF("max_in_flight")
                                                                       : SLICE_OF("memory")};
        respond_overloaded(exchange, &head, &record);
        free(job);
        arena_free(arena);
        return;
    }
    *job = (struct job){.query = query, .exchange = exchange, .head = head, .arena = arena};
    http_answer_init(&job->answer);
    dispatch(job);
}

struct query *query_new(const struct settings *settings, struct err *err) {
    struct query *query = calloc(1, sizeof(*query));
    if (query == NULL) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    query->settings = settings;
    struct batch_options options = {
        .committers = settings->connections,
        .max_jobs = settings->max_in_flight,
        .max_bytes =
            (size_t)1 << 40, /* weights are for the batches; what waits is bounded by its number */
        .batch_jobs = LIMIT_BATCH_JOBS,
        .batch_bytes = LIMIT_BATCH_BYTES,
        .open = open_store,
        .close = close_store,
        .run = run,
        .complete = complete,
        .context = query,
    };
    query->batch = batch_new(&options, err);
    if (query->batch == NULL) {
        free(query);
        return NULL;
    }
    return query;
}

void query_free(struct query *query) {
    if (query != NULL) {
        batch_free(query->batch);
        free(query);
    }
}

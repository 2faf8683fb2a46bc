#include "app/query.h"

#include "adapter/crypto.h"
#include "adapter/json.h"
#include "app/explain.h"
#include "app/metrics_page.h"
#include "app/page.h"
#include "app/query_parameters.h"
#include "app/validator.h"
#include "base/ascii.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/batch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* The shape of the documents: part of every ETag, so that a client's copy ends with the release
 * that changes it. */
#define DOCUMENT_FORMAT 1
/* How long what readyz has seen of the spool holds. */
#define LOOK_AGAIN_MS 1000

struct query {
    struct current *current;
    struct pages *pages;
    struct batch *batch;
    struct spool *spool; /* to see whether events wait; NULL: none is configured */
    pthread_mutex_t spool_lock;
    struct spool_state seen; /* of the spool; no events where nothing was to be seen */
    int64_t look_again_ms;
};

enum job_kind { JOB_PROBE, JOB_METRICS, JOB_DOCUMENT, JOB_EXPLANATION, JOB_SEARCH, JOB_PANEL };

/* One request, from the handler to the answer. Owned by whoever works on it: the handler, then the
 * engine. */
struct job {
    struct batch_job batch; /* first */
    struct query *query;
    const struct settings *settings; /* the request's, whatever is in force meanwhile */
    struct exchange *exchange;
    struct request_head head;
    struct request_record record; /* not changed after parking: a late answer reads it */
    struct arena *arena;
    enum job_kind kind;
    const struct client *client;
    bool is_head;
    struct slice if_none_match; /* a copy */
    bool full, events;

    struct store_lookup lookup; /* JOB_DOCUMENT, JOB_EXPLANATION */
    struct uuid order;          /* JOB_SEARCH by source and id */
    struct store_search search;
    struct store_panel panel;     /* JOB_PANEL */
    struct slice cursor;          /* as given */
    int64_t cursor_position;      /* of the next one */
    struct store_lookup *lookups; /* of what the search found */
    struct store_health health;   /* JOB_PROBE */
    enum store_result health_result;
    struct slice *sources; /* JOB_METRICS: all that are configured */
    struct store_newest *newest;
    size_t newest_count;

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
        settings_free(job->settings);
        free(job);
    }
}

/* ---- answers ---- */

#define NO_MEMORY SLICE_OF("out of memory; try again")
#define NO_DATABASE SLICE_OF("the database cannot be asked; try again")

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

static void finish_no_memory(struct job *job) {
    finish_problem(job, 503, NO_MEMORY, SLICE_OF("memory"));
}

/* Whatever was made so far is dropped. */
static void make_unavailable(struct job *job, struct slice detail) {
    http_answer_free(&job->answer);
    http_answer_init(&job->answer);
    make_problem(&job->answer, 503, detail);
    job->outcome = SLICE_EMPTY;
    job->answered = true;
}

static void make_not_found(struct job *job) {
    make_problem(&job->answer, 404, SLICE_EMPTY);
    job->outcome = SLICE_OF("not_found");
    job->answered = true;
}

static void add_validators(struct job *job, struct slice etag) {
    if (etag.len > 0) {
        http_answer_field(&job->answer, "ETag", etag);
    }
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
    } else if (etag_matches(job->if_none_match, text)) {
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

/* Where the client goes on: behind what it got, and at the feed's end when it got all there is. A
 * standby may be behind what another database has told the client already. */
static int64_t next_position(const struct store_search *search) {
    if (search->stopped_at > 0) {
        return search->stopped_at;
    }
    if (search->changes && !search->more) {
        return search->newest > search->after ? search->newest : search->after;
    }
    return search->count > 0 ? search->found[search->count - 1].version : 0;
}

static bool cursor_is_ours(const struct job *job) {
    int64_t feed_id = 0, position = 0;
    return cursor_read(job->cursor, &feed_id, &position) && feed_id == job->search.feed_id &&
           (position <= job->search.newest || job->search.standby);
}

static bool search_etag(const struct job *job, struct strbuf *out) {
    const struct store_search *search = &job->search;
    char digest[ETAG_DIGEST_TEXT];
    struct slice found = {(const char *)search->found, search->count * sizeof(*search->found)};
    struct slice next = {(const char *)&job->cursor_position, sizeof(job->cursor_position)};
    struct slice fields[] = {slice_from_cstr(variant_of(job)), found,
                             search->more ? next : SLICE_EMPTY};
    if (!etag_digest(fields, ARRAY_LEN(fields), digest)) {
        return false;
    }
    strbuf_addf(out, "\"%d-%s\"", DOCUMENT_FORMAT, digest);
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
    /* A follower wants its next cursor, also when nothing changed. */
    if (!job->search.changes && search_etag(job, &etag) &&
        etag_matches(job->if_none_match, strbuf_slice(&etag))) {
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
    /* An order may have changed since it was found. To a follower it comes again, behind the
     * cursor, so it is left out here; of a list the ETag speaks of what is sent. */
    for (size_t i = 0; i < search->count; i++) {
        if (search->changes && job->lookups[i].version != search->found[i].version) {
            job->lookups[i].version = 0;
        }
        search->found[i].version = job->lookups[i].version;
    }
    if (!search_etag(job, &text)) {
        strbuf_free(&text);
        make_unavailable(job, NO_MEMORY);
        return;
    }
    make_ok(job, search->changes ? SLICE_EMPTY : strbuf_slice(&text));
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
    if (search->more || search->changes) {
        cursor_put(&text, search->feed_id, job->cursor_position);
    }
    json_put_text(&writer, "next_cursor", strbuf_slice(&text));
    json_put_boolean(&writer, "has_more", search->more);
    json_end_object(&writer);
    strbuf_free(&text);
}

/* ---- the engine's side: one reader, one connection ---- */

static void *open_store(void *context) {
    const struct query *query = context;
    const struct settings *settings = current_take(query->current);
    struct store *store = store_new(settings->status_dsn.data, "waybill status", STORE_PROMPT);
    settings_free(settings);
    return store;
}

static void renew(void *context, void *store) {
    const struct query *query = context;
    const struct settings *settings = current_take(query->current);
    if (store != NULL && !store_use(store, settings->status_dsn.data)) {
        log_text(LOG_ERROR, "no memory for another status_dsn", SLICE_EMPTY);
    }
    settings_free(settings);
}

static void close_store(void *state) {
    store_free(state);
}

static bool fail(enum store_result result, const struct err *err, enum batch_result *why) {
    log_store_failure(result, err);
    *why = result == STORE_REFUSED ? BATCH_REFUSED : BATCH_FAILED;
    return false;
}

/* A search of its own that fails takes nobody else down: it may just be too slow. */
static void search(struct store *store, struct job *job) {
    struct err err = ERR_INIT;
    enum store_result result = store_find(store, &job->search, &err);
    if (result == STORE_OK) {
        job->cursor_position = next_position(&job->search);
        take_found(job);
        if (job->answered || prepare_lookups(job)) {
            return;
        }
        err_set(&err, ERR_MEMORY, "out of memory");
    }
    log_store_failure(result, &err);
    make_unavailable(job, NO_DATABASE);
}

static void take_explanation(struct job *job, const struct store_explanation *explanation) {
    struct strbuf etag;
    strbuf_init(&etag, 128);
    strbuf_addf(&etag, "\"%d-x", DOCUMENT_FORMAT);
    bool ok = explain_etag(explanation, variant_of(job), &etag);
    strbuf_add_char(&etag, '"');
    if (explanation->version == 0) {
        make_not_found(job);
    } else if (ok && etag_matches(job->if_none_match, strbuf_slice(&etag))) {
        make_not_modified(job, strbuf_slice(&etag));
    } else if (ok && explain_write(explanation, job->settings, &job->answer.body)) {
        make_ok(job, strbuf_slice(&etag));
    } else {
        make_unavailable(job, NO_MEMORY);
    }
    strbuf_free(&etag);
}

static void explain(struct store *store, struct job *job) {
    struct err err = ERR_INIT;
    struct store_explanation explanation = {.order = job->lookup.order,
                                            .full = job->full,
                                            .events = job->events,
                                            .max_bytes = EXPLAIN_BODY_BYTES};
    enum store_result result = store_explain(store, &explanation, &err);
    if (result == STORE_OK) {
        take_explanation(job, &explanation);
    } else {
        log_store_failure(result, &err);
        make_unavailable(job, NO_DATABASE);
    }
    store_explanation_free(&explanation);
}

/* The schema may be that of the release before, which does not know the newest webhooks. */
static void measure(struct store *store, struct job *job) {
    struct err err = ERR_INIT;
    job->health_result = store_newest(store, job->sources, job->settings->source_count, job->newest,
                                      &job->newest_count, &err);
    if (job->health_result != STORE_OK) {
        job->health_result = store_health(store, &job->health, &err);
    }
}

static void read_panel(struct store *store, struct job *job) {
    struct err err = ERR_INIT;
    make_ok(job, SLICE_EMPTY);
    enum store_result result = store_read_panel(store, &job->panel, &job->answer.body, &err);
    if (result != STORE_OK) {
        log_store_failure(result, &err);
        make_unavailable(job,
                         SLICE_OF("the database cannot tell now, or has too much to look through"));
    }
}

/* Probes, explanations, searches and panels: one statement each. */
static void run_single(struct store *store, struct job **jobs, size_t count) {
    struct err err = ERR_INIT;
    for (size_t i = 0; i < count; i++) {
        if (jobs[i]->kind == JOB_PROBE) {
            jobs[i]->health_result = store_health(store, &jobs[i]->health, &err);
        } else if (jobs[i]->kind == JOB_EXPLANATION) {
            explain(store, jobs[i]);
        } else if (jobs[i]->kind == JOB_METRICS) {
            measure(store, jobs[i]);
        } else if (jobs[i]->kind == JOB_SEARCH) {
            search(store, jobs[i]);
        } else if (jobs[i]->kind == JOB_PANEL) {
            read_panel(store, jobs[i]);
        }
    }
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
    job->outcome = SLICE_EMPTY;
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
    if (store == NULL) {
        return why;
    }
    run_single(store, jobs, count);
    if (!run_versions(store, jobs, count, &why) || !run_documents(store, jobs, count, &why)) {
        return why;
    }
    return BATCH_DONE;
}

/* Whether events wait, and which. Anybody may send probes, so that is looked at once a second. */
static bool events_wait(struct query *query, struct spool_state *state) {
    struct err err = ERR_INIT;
    if (query->spool == NULL) {
        return false;
    }
    pthread_mutex_lock(&query->spool_lock);
    if (monotonic_ms() >= query->look_again_ms) {
        /* Where this process may not look, webhook.fcgi's readyz tells. */
        if (!spool_look(query->spool, &query->seen, &err)) {
            query->seen.events = 0;
        }
        query->look_again_ms = monotonic_ms() + LOOK_AGAIN_MS;
    }
    *state = query->seen;
    pthread_mutex_unlock(&query->spool_lock);
    return state->events > 0;
}

/* readyz: degraded while events wait, for what is shown is behind them; without the database there
 * is nothing to show. */
static void finish_probe(struct job *job, enum store_result result) {
    struct spool_state state = {.events = 0};
    bool waits = result == STORE_OK && events_wait(job->query, &state);
    begin_anew(job);
    make_readyz(&job->answer, result, &job->health, waits ? &state : NULL, job->client != NULL);
    finish(job, SLICE_OF("readyz"));
}

/* Runs beside the committer when it is late, so it reads nothing of its without being told. */
static void make_scrape(const struct job *job, struct http_answer *answer, bool asked, bool up) {
    const struct metrics_page page = {.endpoint = "status",
                                      .client = job->client,
                                      .database_asked = asked,
                                      .database_up = up,
                                      .newest = job->newest,
                                      .newest_count = up ? job->newest_count : 0};
    make_metrics(answer, &page);
}

static void finish_scrape(struct job *job, bool asked, bool up) {
    begin_anew(job);
    make_scrape(job, &job->answer, asked, up);
    finish(job, SLICE_OF("metrics"));
}

static void complete(void *context, struct batch_job *batch_job, enum batch_result result) {
    struct job *job = (struct job *)batch_job;
    (void)context;
    if (job->kind == JOB_PROBE) {
        finish_probe(job, result == BATCH_DONE ? job->health_result : STORE_DOWN);
    } else if (job->kind == JOB_METRICS) {
        finish_scrape(job, true, result == BATCH_DONE && job->health_result == STORE_OK);
    } else if (result != BATCH_DONE) {
        begin_anew(job);
        finish_problem(job, 503, NO_DATABASE, SLICE_OF("database"));
    } else {
        finish(job, SLICE_EMPTY);
    }
}

void query_late(void *context, struct exchange *exchange, struct http_answer *answer) {
    const struct job *job = exchange->user;
    (void)context;
    if (job->kind == JOB_METRICS) {
        make_scrape(job, answer, true, false);
    } else {
        make_late(answer, job->kind == JOB_PROBE);
    }
    respond_late(answer, &job->head, &job->record);
}

/* ---- the request ---- */

static void take_filters(struct job *job, const struct query_parameters *parameters) {
    job->search = (struct store_search){
        .order_numbers = parameters->order_numbers.items,
        .order_number_count = parameters->order_numbers.count,
        .external_references = parameters->external_references.items,
        .external_reference_count = parameters->external_references.count,
        .tracking_numbers = parameters->tracking_numbers.items,
        .tracking_number_count = parameters->tracking_numbers.count,
        .source = parameters->source,
        .status = parameters->status,
        .live = parameters->live,
        .all_sources = job->client->all_sources,
        .sources = job->client->sources,
        .source_count = job->client->source_count,
        .limit = parameters->limit,
    };
    job->events = parameters->events;
}

static void finish_bad_parameter(struct job *job, struct slice wrong) {
    struct strbuf detail;
    strbuf_init(&detail, 512);
    strbuf_add_slice(&detail, wrong);
    strbuf_add_cstr(&detail, ": not allowed, or not with this value");
    if (strbuf_failed(&detail)) {
        finish_no_memory(job);
    } else {
        make_problem(&job->answer, 400, strbuf_slice(&detail));
        finish(job, SLICE_OF("parameter"));
    }
    strbuf_free(&detail);
}

static void park(struct job *job, size_t weight) {
    job->batch.bytes = sizeof(*job) + weight;
    job->exchange->user = job;
    if (batch_submit(job->query->batch, &job->batch)) {
        return;
    }
    if (job->kind == JOB_METRICS) {
        finish_scrape(job, false, false);
    } else {
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
                                  struct slice below, const struct query_parameters *parameters) {
    struct slice source, id;
    if (!read_document_path(job, path, below, &source, &id) ||
        !client_may_see(job->client, source)) {
        if (arena_failed(job->arena)) {
            finish_no_memory(job);
        } else {
            make_not_found(job);
            finish(job, SLICE_EMPTY);
        }
        return;
    }
    if (!order_key(source, parameters->live, id, &job->lookup.order)) {
        finish_no_memory(job);
        return;
    }
    job->kind = parameters->explain ? JOB_EXPLANATION : JOB_DOCUMENT;
    job->events = parameters->events;
    job->lookup.full = job->full;
    job->lookup.events = job->events;
    job->lookup.remember = true;
    park(job, 16384);
}

/* Where a list or the changes go on; false when the cursor is none. */
static bool take_cursor(struct job *job, struct slice after) {
    struct store_search *search = &job->search;
    int64_t feed_id, position;
    search->from_newest = search->changes && slice_eq(after, SLICE_OF("latest"));
    if (after.len == 0 || search->from_newest) {
        return true;
    }
    if (!cursor_read(after, &feed_id, &position) || (position == 0 && !search->changes)) {
        return false;
    }
    job->cursor = after;
    *(search->changes ? &search->after : &search->before) = position;
    return true;
}

/* As waybill_data.plain_form() has it: without spaces and dashes, in capitals. */
static struct slice plain_form(struct slice words, char *room) {
    size_t len = 0;
    for (size_t i = 0; i < words.len; i++) {
        char c = words.data[i];
        if (c != ' ' && c != '-') {
            room[len++] = ascii_to_upper(c);
        }
    }
    return (struct slice){room, len};
}

/* A number in any spelling. Ids have no index but the order's key, which is made of source and id:
 * those that the words would have as they are, and in the plain form, are tried. */
static bool take_words(struct job *job, const struct query_parameters *parameters) {
    const struct settings *settings = job->settings;
    struct uuid *keys = arena_alloc(job->arena, (2 * settings->source_count + 1) * sizeof(*keys));
    char *room = arena_alloc(job->arena, parameters->words.len + 1);
    if (keys == NULL || room == NULL) {
        return false;
    }
    struct slice words = slice_trim(parameters->words);
    struct slice ids[] = {words, plain_form(words, room)};
    job->search.words = words;
    job->search.known = keys;
    for (size_t i = 0; i < settings->source_count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(ids); k++) {
            if (!order_key(settings->sources[i].name, parameters->live, ids[k],
                           &keys[job->search.known_count++])) {
                return false;
            }
        }
    }
    return true;
}

static void take_search_request(struct job *job, const struct query_parameters *parameters,
                                bool changes) {
    take_filters(job, parameters);
    job->kind = JOB_SEARCH;
    job->search.changes = changes;
    if (!take_cursor(job, parameters->after)) {
        finish_problem(job, 410, SLICE_OF("after: this database never gave that cursor"),
                       SLICE_OF("cursor"));
        return;
    }
    if (parameters->words.len > 0 && !take_words(job, parameters)) {
        finish_no_memory(job);
        return;
    }
    if (parameters->id.len > 0) {
        job->search.order = &job->order;
        if (!order_key(parameters->source, parameters->live, parameters->id, &job->order)) {
            finish_no_memory(job);
            return;
        }
    }
    park(job, (size_t)job->search.limit * 4096);
}

static void take_panel_request(struct job *job, struct slice name,
                               const struct query_parameters *parameters) {
    job->kind = JOB_PANEL;
    job->panel = (struct store_panel){
        .live = parameters->live,
        .days = parameters->days,
        .all_sources = job->client->all_sources,
        .sources = job->client->sources,
        .source_count = job->client->source_count,
    };
    if (!store_panel_named(name, &job->panel.number)) {
        make_not_found(job);
        finish(job, SLICE_EMPTY);
        return;
    }
    park(job, 65536);
}

/* With a token: what is asked for? */
static void take_request(struct job *job, const struct request_path *path, enum query_kind kind,
                         struct slice below) {
    const struct http_params *params = &job->exchange->params;
    struct slice wrong = SLICE_EMPTY;
    struct query_parameters *parameters = arena_alloc(job->arena, sizeof(*parameters));
    if (parameters == NULL || !arena_dup(job->arena, http_header(params, SLICE_OF("If-None-Match")),
                                         &job->if_none_match)) {
        finish_no_memory(job);
    } else if (!query_parameters_read(http_param(params, "QUERY_STRING"), kind, job->arena,
                                      parameters, &wrong)) {
        if (arena_failed(job->arena)) {
            finish_no_memory(job);
        } else {
            finish_bad_parameter(job, wrong);
        }
    } else if (kind == QUERY_DOCUMENT) {
        take_document_request(job, path, below, parameters);
    } else if (kind == QUERY_PANEL) {
        take_panel_request(job, below, parameters);
    } else {
        take_search_request(job, parameters, kind == QUERY_CHANGES);
    }
}

static void finish_method(struct job *job) {
    http_answer_field(&job->answer, "Allow", SLICE_OF("GET, HEAD"));
    finish_problem(job, 405, SLICE_EMPTY, SLICE_OF("method"));
}

static void finish_unauthorized(struct job *job) {
    http_answer_field(&job->answer, "WWW-Authenticate", SLICE_OF("Bearer realm=\"waybill\""));
    finish_problem(job, 401, SLICE_EMPTY, SLICE_OF("token"));
}

static void take_scrape(struct job *job) {
    const struct settings *settings = job->settings;
    if (!responder_may_measure(&job->head, settings, job->client)) {
        finish_unauthorized(job);
        return;
    }
    job->kind = JOB_METRICS;
    job->sources = arena_array(job->arena, settings->source_count + 1, sizeof(*job->sources));
    job->newest = arena_array(job->arena, settings->source_count + 1, sizeof(*job->newest));
    if (job->exchange->overloaded || job->sources == NULL || job->newest == NULL) {
        finish_scrape(job, false, false);
        return;
    }
    for (size_t i = 0; i < settings->source_count; i++) {
        job->sources[i] = settings->sources[i].name;
    }
    park(job, 0);
}

static void take_probe(struct job *job, enum probe probe) {
    if (probe == PROBE_LIVEZ) {
        make_livez(&job->answer);
        finish(job, SLICE_OF("livez"));
        return;
    }
    if (probe == PROBE_METRICS) {
        take_scrape(job);
        return;
    }
    job->kind = JOB_PROBE;
    park(job, 0);
}

/* Where NAME ("/orders") ends in the path; false when the path has none. */
static bool find_in_path(const struct request_path *path, struct slice name, struct slice *below) {
    struct slice rest = path->text;
    for (;;) {
        if (slice_starts_with(rest, name) && (rest.len == name.len || rest.data[name.len] == '/')) {
            *below = slice_from(rest, name.len);
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

/* NULL: the path is no page. */
static const struct page *find_page(const struct query *query, const struct request_path *path) {
    static const struct slice names[] = {SLICE("/console"), SLICE("/openapi.json")};
    struct slice below;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (find_in_path(path, names[i], &below) && below.len == 0) {
            return pages_find(query->pages, slice_from(names[i], 1));
        }
    }
    return NULL;
}

/* /orders, /orders/{source}/{id} with *BELOW what stands behind /orders/, /changes, or
 * /console/{panel} with *BELOW the panel. */
static bool find_resource(const struct request_path *path, enum query_kind *kind,
                          struct slice *below) {
    if (find_in_path(path, SLICE_OF("/orders"), below)) {
        *kind = below->len > 1 ? QUERY_DOCUMENT : QUERY_ORDERS;
        *below = slice_from(*below, 1);
        return true;
    }
    *kind = QUERY_CHANGES;
    if (find_in_path(path, SLICE_OF("/changes"), below) && below->len == 0) {
        return true;
    }
    *kind = QUERY_PANEL;
    if (find_in_path(path, SLICE_OF("/console"), below) && below->len > 1) {
        *below = slice_from(*below, 1);
        return true;
    }
    return false;
}

static void dispatch(struct job *job) {
    const struct http_params *params = &job->exchange->params;
    struct request_path path = request_path_read(params);
    struct slice method = http_param(params, "REQUEST_METHOD");
    struct slice below = SLICE_EMPTY;
    enum query_kind kind = QUERY_DOCUMENT;
    enum probe probe = probe_of(&path);
    bool found = probe == PROBE_NONE && find_resource(&path, &kind, &below);
    const struct page *page = probe == PROBE_NONE && !found ? find_page(job->query, &path) : NULL;
    exchange_discard_body(job->exchange);
    job->is_head = slice_eq(method, SLICE_OF("HEAD"));
    bool told = responder_client(job->exchange, &job->head, job->settings, &job->client);
    job->full = job->client != NULL && job->client->full;
    job->record.client_name = job->client != NULL ? job->client->name : SLICE_EMPTY;
    if (probe == PROBE_NONE && !found && page == NULL) {
        finish_problem(job, 404, SLICE_EMPTY, SLICE_OF("path"));
    } else if (!job->is_head && !slice_eq(method, SLICE_OF("GET"))) {
        finish_method(job);
    } else if (page != NULL) {
        page_answer(page, http_header(params, SLICE_OF("If-None-Match")), &job->answer);
        finish(job, SLICE_OF("page"));
    } else if (!told) {
        finish_no_memory(job);
    } else if (probe != PROBE_NONE) {
        take_probe(job, probe);
    } else if (job->client == NULL) {
        finish_unauthorized(job);
    } else {
        take_request(job, &path, kind, below);
    }
}

void query_handle(void *context, struct exchange *exchange) {
    struct query *query = context;
    struct request_head head;
    const struct settings *settings = current_take(query->current);
    request_head_read(&head, exchange, settings);
    struct job *job = calloc(1, sizeof(*job));
    struct arena *arena = arena_new(LIMIT_REQUEST_ARENA);
    if (job == NULL || arena == NULL || request_is_refused(exchange)) {
        struct request_record record = {.reason = exchange->overloaded ? SLICE_OF("max_in_flight")
                                                                       : SLICE_OF("memory")};
        respond_overloaded(exchange, &head, &record);
        free(job);
        arena_free(arena);
        settings_free(settings);
        return;
    }
    *job = (struct job){
        .query = query, .settings = settings, .exchange = exchange, .head = head, .arena = arena};
    http_answer_init(&job->answer);
    dispatch(job);
}

static bool open_queue(struct query *query, const struct settings *settings, struct err *err) {
    struct batch_options options = {
        .committers = settings->connections,
        .max_jobs = settings->max_in_flight,
        .max_bytes =
            (size_t)1 << 40, /* weights are for the batches; what waits is bounded by its number */
        .batch_jobs = LIMIT_BATCH_JOBS,
        .batch_bytes = LIMIT_BATCH_BYTES,
        .open = open_store,
        .close = close_store,
        .renew = renew,
        .run = run,
        .complete = complete,
        .context = query,
    };
    if (settings->spool.len > 0) {
        query->spool = responder_spool(settings);
        if (query->spool == NULL) {
            return err_set(err, ERR_MEMORY, "out of memory");
        }
    }
    query->batch = batch_new(&options, err);
    return query->batch != NULL;
}

struct query *query_new(struct current *current, struct err *err) {
    struct query *query = calloc(1, sizeof(*query));
    if (query == NULL) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    query->current = current;
    query->pages = pages_new(err);
    pthread_mutex_init(&query->spool_lock, NULL);
    const struct settings *settings = current_take(current);
    bool ok = query->pages != NULL && open_queue(query, settings, err);
    settings_free(settings);
    if (!ok) {
        query_free(query);
        return NULL;
    }
    return query;
}

void query_renew(struct query *query) {
    batch_renew(query->batch);
}

void query_free(struct query *query) {
    if (query != NULL) {
        batch_free(query->batch);
        spool_free(query->spool);
        pages_free(query->pages);
        pthread_mutex_destroy(&query->spool_lock);
        free(query);
    }
}

#include "app/ingest.h"

#include "adapter/json.h"
#include "app/commit.h"
#include "app/drain.h"
#include "app/metrics_page.h"
#include "app/read_delivery.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/metrics.h"
#include "engine/watch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* With a spool, what the database has not committed after this time goes there: soon enough for the
 * answer, whatever a committer hangs in. */
#define SPOOL_AFTER_MS 3000
/* How long a spool that took something is taken to take more, by readyz. */
#define SPOOL_WORKS_MS 1000

struct ingest {
    struct current *current;
    struct batch *batch;
    /* Where a spool is configured, else NULL. */
    struct spool *spool;
    struct batch *shelter; /* the queue in front of it */
    struct watch *watch;   /* over what the database has in hand */
    struct drainer *drainer;
    /* The spool's committer's: until when what is known of the spool holds. */
    int64_t spool_works_until_ms;
    atomic_bool down;   /* the database: events go to the spool at once, until the drainer gets one
                           through, or */
    atomic_bool trial;  /* the next one does, which the drainer wants to be tried */
    atomic_int filling; /* events on their way into the spool */
};

/*
 * One request, from the handler to the answer. Owned by whoever works on it: the handler, then the
 * engine. Where the database takes too long, by two: its committer and the spool's. The first to
 * finish answers, the last one frees.
 */
struct job {
    struct batch_job batch;   /* in the database's queue */
    struct batch_job spooled; /* in the spool's queue */
    struct watched watched;
    atomic_int holders;
    atomic_bool answered;
    bool sheltered; /* in the spool's queue too; written under the watch's lock */
    bool is_trial;  /* the database is down as far as is known */
    struct ingest *ingest;
    const struct settings *settings; /* the request's, whatever is in force meanwhile */
    struct exchange *exchange;
    struct request_head head;
    struct request_record
        record; /* what was known when it was parked; not changed after, a late answer reads it */
    struct arena *arena;
    struct strbuf body;
    const struct source *source;
    struct slice signatures; /* what the request shows of them; empty: nothing */
    struct delivery delivery;
    bool is_probe, details; /* readyz */
    bool is_scrape;         /* or /metrics, which is a probe too */
    const struct client *client;
    struct store_health health;
    enum store_result health_result;
    bool not_json; /* answered 400 after it is kept */
    /* Of the delivery, as it was parked: its committer may change it. */
    struct uuid id;
    struct slice detail;
    struct slice spooled_provider; /* as engine/spool.h wants it */
    /* readyz: what the spool says, and whether the database was asked before, with success. */
    struct spool_state spool_state;
    bool spool_looked, spool_works, database_works;
};

#define JOB_OF(pointer, member)                                                                    \
    ((struct job *)(void *)((char *)(pointer)-offsetof(struct job, member)))

static void job_release(struct job *job) {
    if (atomic_fetch_sub(&job->holders, 1) == 1) {
        strbuf_free(&job->body);
        arena_free(job->arena);
        settings_free(job->settings);
        free(job);
    }
}

/* ---- kept headers ---- */

/* A header that a source takes as its credential is never kept. */
static bool is_credential(const struct auth_policy *policy, struct slice name) {
    for (size_t i = 0; i < policy->headers.count; i++) {
        struct slice configured, value;
        slice_split(policy->headers.items[i], ':', &configured, &value);
        if (slice_eq_nocase(slice_trim(configured), name)) {
            return true;
        }
    }
    return slice_eq_nocase(name, SLICE_OF("Authorization"));
}

/* The header that carries the signatures; empty where nothing is signed. */
static struct slice signature_header(const struct auth_signature *signature) {
    return signature->kind == SIGNATURE_STANDARD_WEBHOOKS ? SLICE_OF("webhook-signature")
                                                          : signature->header;
}

static void keep_header(struct json_writer *writer, const struct job *job, struct slice name) {
    bool is_signature = slice_eq(name, signature_header(&job->source->policy.signature));
    struct slice value = is_signature ? job->signatures : http_header(&job->exchange->params, name);
    char key[LIMIT_ID + 1];
    if (value.len > 0 && name.len > 0 && name.len < sizeof(key) &&
        !is_credential(&job->source->policy, name)) {
        memcpy(key, name.data, name.len);
        key[name.len] = '\0';
        json_put_text(writer, key, slice_first(value, AUTH_HEADER_MAX));
    }
}

/* The headers that matter later: what the body is, who says to have sent it, and the signature,
 * which `waybill verify` needs. */
static bool keep_headers(struct job *job) {
    static const struct slice always[] = {SLICE("Content-Type"), SLICE("User-Agent")};
    static const struct slice standard[] = {SLICE("webhook-id"), SLICE("webhook-timestamp"),
                                            SLICE("webhook-signature")};
    const struct auth_signature *signature = &job->source->policy.signature;
    const char *const *extra = job->source->provider->kept_headers;
    struct strbuf out;
    struct json_writer writer;
    strbuf_init(&out, LIMIT_REQUEST_ARENA);
    json_writer_init(&writer, &out);
    json_begin_object(&writer, NULL);
    for (size_t i = 0; i < ARRAY_LEN(always); i++) {
        keep_header(&writer, job, always[i]);
    }
    if (signature->kind == SIGNATURE_HMAC_SHA256) {
        keep_header(&writer, job, signature->header);
    }
    for (size_t i = 0; signature->kind == SIGNATURE_STANDARD_WEBHOOKS && i < ARRAY_LEN(standard);
         i++) {
        keep_header(&writer, job, standard[i]);
    }
    for (; extra != NULL && *extra != NULL; extra++) {
        keep_header(&writer, job, slice_from_cstr(*extra));
    }
    json_end_object(&writer);
    bool ok =
        !strbuf_failed(&out) && arena_dup(job->arena, strbuf_slice(&out), &job->delivery.headers);
    strbuf_free(&out);
    return ok;
}

/* What the configuration allows now is kept with an event that goes to the spool. */
static bool name_providers(struct job *job) {
    const struct delivery *delivery = &job->delivery;
    struct strbuf both;
    job->spooled_provider = delivery->provider;
    if (!delivery->has_order || slice_eq(delivery->order_source, delivery->source)) {
        return true;
    }
    strbuf_init(&both, LIMIT_ID);
    strbuf_add_slice(&both, delivery->provider);
    strbuf_add_char(&both, ' ');
    strbuf_add_slice(&both, delivery->order_provider);
    bool ok =
        !strbuf_failed(&both) && arena_dup(job->arena, strbuf_slice(&both), &job->spooled_provider);
    strbuf_free(&both);
    return ok;
}

/* ---- answers ---- */

/* Answers and ends the job. */
static void finish(struct job *job, struct http_answer *answer, struct slice outcome,
                   struct slice reason) {
    struct request_record record = job->record;
    record.outcome = outcome;
    record.reason = reason;
    record.is_delivery = outcome.len > 0;
    if (!atomic_exchange(&job->answered, true)) {
        respond(job->exchange, answer, &job->head, &record);
    } else {
        http_answer_free(answer);
    }
    job_release(job);
}

static void finish_problem(struct job *job, int status, struct slice detail, struct slice reason) {
    struct http_answer answer;
    http_answer_init(&answer);
    make_problem(&answer, status, detail);
    finish(job, &answer, SLICE_EMPTY, reason);
}

static void finish_no_memory(struct job *job) {
    finish_problem(job, 503, SLICE_OF("out of memory; try again"), SLICE_OF("memory"));
}

/* One refusal for all reasons, byte for byte: nothing tells whether the source exists or what was
 * wrong. */
static void finish_unauthorized(struct job *job, enum auth_result why) {
    struct http_answer answer;
    http_answer_init(&answer);
    make_problem(&answer, 401, SLICE_EMPTY);
    http_answer_field(&answer, "WWW-Authenticate", SLICE_OF("Basic realm=\"waybill\", Bearer"));
    finish(job, &answer, SLICE_EMPTY, slice_from_cstr(auth_result_name(why)));
}

static void finish_method(struct job *job, const char *allow) {
    struct http_answer answer;
    http_answer_init(&answer);
    make_problem(&answer, 405, SLICE_EMPTY);
    http_answer_field(&answer, "Allow", slice_from_cstr(allow));
    finish(job, &answer, SLICE_EMPTY, SLICE_OF("method"));
}

/* 200. ID: of what is kept; NULL: nothing is. */
static void finish_received(struct job *job, struct slice outcome, const struct uuid *id,
                            struct slice detail) {
    char text[UUID_TEXT] = "";
    struct http_answer answer;
    struct json_writer writer;
    http_answer_init(&answer);
    answer.status = 200;
    answer.content_type = "application/json";
    if (id != NULL) {
        uuid_format(id, text);
    }
    json_writer_init(&writer, &answer.body);
    json_begin_object(&writer, NULL);
    json_put_boolean(&writer, "received", true);
    json_put_text(&writer, "outcome", outcome);
    json_put_text(&writer, "delivery", slice_from_cstr(text));
    if (detail.len > 0) {
        json_put_text(&writer, "detail", detail);
    }
    json_end_object(&writer);
    finish(job, &answer, outcome, detail);
}

/* /metrics: what is known. Runs beside the committers when it is late, so it reads nothing of
 * theirs. */
static void make_scrape(const struct job *job, struct http_answer *answer, bool asked, bool up,
                        const struct spool_state *spool) {
    const struct metrics_page page = {.endpoint = "webhook",
                                      .client = job->client,
                                      .database_asked = asked,
                                      .database_up = up,
                                      .spool = spool,
                                      .spool_max = job->settings->spool_max};
    make_metrics(answer, &page);
}

static void finish_scrape(struct job *job, bool asked, bool up, const struct spool_state *spool) {
    struct http_answer answer;
    http_answer_init(&answer);
    make_scrape(job, &answer, asked, up, spool);
    finish(job, &answer, SLICE_EMPTY, SLICE_OF("metrics"));
}

static void finish_queue_full(struct job *job) {
    if (job->is_scrape) {
        finish_scrape(job, job->database_works, job->database_works, NULL);
    } else {
        finish_problem(job, 503, SLICE_OF("too many requests in hand; try again"),
                       SLICE_OF("queue_full"));
    }
}

static void finish_probe(struct job *job, enum store_result result,
                         const struct spool_state *spool) {
    struct http_answer answer;
    if (job->is_scrape) {
        finish_scrape(job, true, result == STORE_OK, job->spool_looked ? &job->spool_state : NULL);
        return;
    }
    http_answer_init(&answer);
    make_readyz(&answer, result, &job->health, spool, job->details);
    finish(job, &answer, SLICE_EMPTY, SLICE_OF("readyz"));
}

static void finish_committed(struct job *job) {
    const struct delivery *delivery = &job->delivery;
    if (delivery->outcome == OUTCOME_REFUSED) {
        finish_problem(job, 503, SLICE_OF("not stored; try again"), SLICE_OF("quarantine_full"));
    } else if (job->not_json) {
        finish_problem(job, 400, delivery->changes.detail, SLICE_OF("not_json"));
    } else {
        finish_received(job, delivery_outcome_name(delivery->outcome), &delivery->id,
                        delivery->changes.detail);
    }
}

/* ---- the spool's side ---- */

static void database_is_down(struct ingest *ingest) {
    if (!atomic_exchange(&ingest->down, true)) {
        atomic_store(&ingest->trial, false);
        drainer_wake(ingest->drainer);
    }
}

static bool is_down(void *context) {
    struct ingest *ingest = context;
    return atomic_load(&ingest->down);
}

static void is_up(void *context) {
    struct ingest *ingest = context;
    atomic_store(&ingest->down, false);
}

static void try_one(void *context) {
    struct ingest *ingest = context;
    atomic_store(&ingest->trial, true);
}

/* The next event in an outage, where one is to be tried. */
static bool is_trial(const struct job *job) {
    return !job->is_probe && atomic_exchange(&job->ingest->trial, false);
}

static bool is_filling(void *context) {
    struct ingest *ingest = context;
    return atomic_load(&ingest->filling) > 0;
}

/* Probes only ask it, and anybody may send them: they do not count. */
static void count_filling(struct job *job, int change) {
    if (!job->is_probe) {
        atomic_fetch_add(&job->ingest->filling, change);
    }
}

static bool submit_to_shelter(struct job *job) {
    count_filling(job, 1);
    bool taken = batch_submit(job->ingest->shelter, &job->spooled);
    if (!taken) {
        count_filling(job, -1);
    }
    return taken;
}

static void shelter(struct job *job) {
    if (!submit_to_shelter(job)) {
        finish_queue_full(job);
    }
}

/* The database takes its time: the spool shall answer, unless it is quicker after all. */
static void overdue(void *context, struct watched *watched) {
    struct ingest *ingest = context;
    struct job *job = JOB_OF(watched, watched);
    atomic_fetch_add(&job->holders, 1);
    job->sheltered = submit_to_shelter(job);
    if (!job->sheltered) {
        atomic_fetch_sub(&job->holders, 1);
    }
    database_is_down(ingest);
}

static void *open_spool(void *context) {
    return context;
}

static void close_spool(void *state) {
    (void)state;
}

/* Can an event be kept? That costs an fsync, so what was seen holds for a while. */
static bool spool_works(struct ingest *ingest, struct err *err) {
    if (monotonic_ms() >= ingest->spool_works_until_ms) {
        if (!spool_check(ingest->spool, err)) {
            return false;
        }
        ingest->spool_works_until_ms = monotonic_ms() + SPOOL_WORKS_MS;
    }
    return true;
}

/* What waits, and, while the database is away, can an event be kept? Asked once for the PROBES
 * among the jobs, and after their events: anybody may send probes. */
static void look_at_spool(struct ingest *ingest, struct batch_job **jobs, size_t count) {
    struct err err = ERR_INIT;
    struct spool_state state;
    bool looked = spool_look(ingest->spool, &state, &err), asked = false, works = false;
    for (size_t i = 0; i < count; i++) {
        struct job *job = JOB_OF(jobs[i], spooled);
        if (!job->is_probe) {
            continue;
        }
        if (looked && !job->database_works && !asked) {
            works = spool_works(ingest, &err);
            asked = true;
        }
        job->spool_state = state;
        job->spool_looked = looked;
        job->spool_works = looked && (job->database_works || works);
    }
    if (err_is_set(&err)) {
        request_log_failure("the spool cannot be used", SLICE_EMPTY, slice_from_cstr(err.message));
    }
}

static enum batch_result append_events(struct ingest *ingest, const struct spool_event *events,
                                       size_t count) {
    struct err err = ERR_INIT;
    if (spool_append(ingest->spool, events, count, &err)) {
        ingest->spool_works_until_ms = monotonic_ms() + SPOOL_WORKS_MS;
        return BATCH_DONE;
    }
    ingest->spool_works_until_ms = 0;
    if (err.kind == ERR_MEMORY && count > 1) {
        return BATCH_REFUSED; /* full: a smaller one may fit */
    }
    request_log_failure("an event cannot be spooled", SLICE_EMPTY, slice_from_cstr(err.message));
    return BATCH_FAILED;
}

static enum batch_result run_spool(void *state, struct batch_job **jobs, size_t count) {
    struct ingest *ingest = state;
    struct spool_event events[LIMIT_BATCH_JOBS];
    size_t event_count = 0, probe_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct job *job = JOB_OF(jobs[i], spooled);
        const struct delivery *delivery = &job->delivery;
        if (job->is_probe) {
            probe_count++;
        } else if (!atomic_load(&job->answered)) {
            events[event_count++] = (struct spool_event){
                .received_at = delivery->received_at,
                .source = delivery->source,
                .provider = job->spooled_provider,
                .tracking_url = delivery->tracking_url_template,
                .headers = delivery->headers,
                .body = delivery->body,
            };
        }
    }
    enum batch_result result =
        event_count > 0 ? append_events(ingest, events, event_count) : BATCH_DONE;
    if (probe_count > 0 && result != BATCH_REFUSED) {
        look_at_spool(ingest, jobs, count);
    }
    return result;
}

/* readyz: degraded while events wait, or would have to, or while nobody can tell. */
static void finish_degraded(struct job *job) {
    if (!job->database_works) {
        finish_probe(job, STORE_DOWN, job->spool_works ? &job->spool_state : NULL);
    } else {
        bool waits = !job->spool_works || job->spool_state.events > 0;
        finish_probe(job, STORE_OK, waits ? &job->spool_state : NULL);
    }
}

/* The spool's committer is done with the job. */
static void complete_spooled(void *context, struct batch_job *batch_job, enum batch_result result) {
    struct job *job = JOB_OF(batch_job, spooled);
    (void)context;
    count_filling(job, -1);
    if (job->is_probe) {
        finish_degraded(job);
    } else if (result != BATCH_DONE) {
        finish_problem(job, 503, SLICE_OF("not stored; try again"), SLICE_OF("spool"));
    } else if (job->not_json) {
        finish_problem(job, 400, job->detail, SLICE_OF("not_json, spooled"));
    } else {
        finish_received(job, SLICE_OF("spooled"), &job->id, job->detail);
    }
}

/* ---- the database's side ---- */

/* The database's committer is done with the job. */
static void complete(void *context, struct batch_job *batch_job, enum batch_result result) {
    struct ingest *ingest = context;
    struct job *job = JOB_OF(batch_job, batch);
    bool done = result == BATCH_DONE && (!job->is_probe || job->health_result == STORE_OK);
    bool alone = ingest->watch == NULL || watch_remove(ingest->watch, &job->watched);
    if (!done && !alone && job->sheltered) {
        job_release(job); /* the spool answers */
    } else if (!done && alone && ingest->spool != NULL) {
        shelter(job);
        database_is_down(ingest);
    } else if (job->is_probe && done && alone && ingest->spool != NULL) {
        job->database_works = true;
        shelter(job); /* does anything wait? */
    } else if (job->is_probe) {
        finish_probe(job, job->health_result, NULL);
    } else if (!done) {
        finish_problem(job, 503, SLICE_OF("not stored; try again"), SLICE_OF("database"));
    } else {
        if (job->is_trial && alone) {
            is_up(ingest);
        }
        finish_committed(job);
    }
}

void ingest_late(void *context, struct exchange *exchange, struct http_answer *answer) {
    const struct job *job = exchange->user;
    (void)context;
    if (job->is_scrape) {
        make_scrape(job, answer, true, false, NULL);
    } else {
        make_late(answer, job->is_probe);
    }
    respond_late(answer, &job->head, &job->record);
}

/* ---- the engine's side: one committer, one connection ---- */

static void *open_store(void *context) {
    const struct ingest *ingest = context;
    const struct settings *settings = current_take(ingest->current);
    struct store *store = store_new(settings->ingest_dsn.data, "waybill webhook", STORE_PROMPT);
    settings_free(settings);
    return store;
}

static void renew_store(void *context, struct store *store) {
    const struct ingest *ingest = context;
    const struct settings *settings = current_take(ingest->current);
    if (store != NULL && !store_use(store, settings->ingest_dsn.data)) {
        log_text(LOG_ERROR, "no memory for another ingest_dsn", SLICE_EMPTY);
    }
    settings_free(settings);
}

static const struct settings *take_settings(void *context) {
    const struct ingest *ingest = context;
    return current_take(ingest->current);
}

static void renew(void *context, void *state) {
    renew_store(context, state);
}

static void close_store(void *state) {
    store_free(state);
}

/* Nobody waits for a job that the spool has answered. */
static enum batch_result run(void *state, struct batch_job **jobs, size_t count) {
    struct store *store = state;
    struct delivery *deliveries[LIMIT_BATCH_JOBS];
    struct err err = ERR_INIT;
    size_t delivery_count = 0;
    struct arena *arena = NULL;
    if (store == NULL) {
        return BATCH_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        struct job *job = JOB_OF(jobs[i], batch);
        if (job->is_probe) {
            job->health_result = store_health(store, &job->health, &err);
        } else if (!atomic_load(&job->answered)) {
            deliveries[delivery_count++] = &job->delivery;
            arena = job->arena;
        }
    }
    if (delivery_count == 0) {
        return BATCH_DONE;
    }
    err_clear(&err);
    int64_t began_us = monotonic_us();
    enum batch_result result = commit_deliveries(store, deliveries, delivery_count, arena, &err);
    if (result == BATCH_DONE) {
        metrics_observe(METRIC_COMMIT_SECONDS, monotonic_us() - began_us);
        metrics_observe(METRIC_BATCH_EVENTS, (int64_t)delivery_count);
    }
    if (result == BATCH_FAILED) {
        log_store_failure(STORE_DOWN, &err);
    }
    return result;
}

/* ---- the request ---- */

/* Where a request goes: /<source> or /<source>/<token>. */
struct route {
    struct slice source, token;
};

static bool has_slash(struct slice s) {
    struct slice head, rest;
    return slice_split(s, '/', &head, &rest);
}

/*
 * False when the path can be no source. Where the server does not say where its mount ends, the
 * mount is whatever stands before the name of a source.
 */
static bool find_route(const struct settings *settings, const struct request_path *path,
                       struct route *route) {
    struct slice below = slice_from(path->text, 1), before, last, mount;
    bool two = slice_split(below, '/', &route->source, &route->token);
    if (!path->below_mount && two) {
        slice_split_last(path->text, '/', &before, &last);
        slice_split_last(before, '/', &mount, &before);
        bool with_token =
            settings_source(settings, last) == NULL && settings_source(settings, before) != NULL;
        *route = with_token ? (struct route){before, last} : (struct route){last, SLICE_EMPTY};
        two = with_token;
    }
    return source_name_is_valid(route->source) &&
           (!two || (route->token.len > 0 && !has_slash(route->token)));
}

static struct slice header_of(const void *context, struct slice name) {
    const struct job *job = context;
    return http_header(&job->exchange->params, name);
}

static struct slice signatures_of(const void *context, struct slice name) {
    const struct job *job = context;
    (void)name;
    return job->signatures;
}

/* Of the header that carries the signatures of the source: all values. */
static bool read_signatures(struct job *job) {
    struct strbuf out;
    strbuf_init(&out, LIMIT_REQUEST_ARENA);
    http_header_all(&job->exchange->params, signature_header(&job->source->policy.signature), &out);
    bool ok = !strbuf_failed(&out) && arena_dup(job->arena, strbuf_slice(&out), &job->signatures);
    strbuf_free(&out);
    return ok;
}

static enum auth_result authenticate(struct job *job, struct slice token) {
    if (!read_signatures(job)) {
        return AUTH_UNABLE;
    }
    struct auth_request request = {
        .header = header_of,
        .signatures = signatures_of,
        .context = job,
        .body = strbuf_slice(&job->body),
        .url_token = token,
        .client = job->head.address,
        .https = job->head.https || job->settings->plain_http,
        .received_at = job->head.received_at,
    };
    enum auth_result result = auth_check(&job->source->policy, &request);
    return result != AUTH_UNABLE && job->source == &job->settings->decoy ? AUTH_UNKNOWN_SOURCE
                                                                         : result;
}

/* To the database's committers; with a spool, watched, or past them when they are known to fail. */
static bool submit(struct job *job) {
    struct ingest *ingest = job->ingest;
    if (ingest->spool == NULL) {
        return batch_submit(ingest->batch, &job->batch);
    }
    if (atomic_load(&ingest->down)) {
        job->is_trial = is_trial(job);
        if (!job->is_trial) {
            return submit_to_shelter(job);
        }
    }
    watch_add(ingest->watch, &job->watched);
    if (batch_submit(ingest->batch, &job->batch)) {
        return true;
    }
    if (watch_remove(ingest->watch, &job->watched) || !job->sheltered) {
        return false;
    }
    job_release(job); /* the spool has it */
    return true;
}

static void park(struct job *job) {
    job->batch.bytes = job->spooled.bytes = sizeof(*job) + job->body.len;
    job->exchange->user = job;
    job->id = job->delivery.id;
    job->detail = job->delivery.changes.detail;
    if (!submit(job)) {
        finish_queue_full(job);
    }
}

/* Authentic bytes: what do they say? */
static void take_body(struct job *job) {
    struct delivery *delivery = &job->delivery;
    struct slice body = strbuf_slice(&job->body);
    if (body.len == 0) {
        finish_problem(job, 400, SLICE_OF("line 1 column 1: the body is empty"), SLICE_OF("empty"));
        return;
    }
    *delivery = (struct delivery){
        .source = job->source->name,
        .provider = job->source->provider->name,
        .owners = job->source->writes_to,
        .owner_count = job->source->writes_to_count,
        .body = body,
        .tracking_url_template = job->source->tracking_url,
        .received_at = job->head.received_at,
        .quarantine_max = job->settings->quarantine_max,
    };
    enum read_result reading =
        read_delivery(delivery, job->source->provider, &job->source->reading, job->arena);
    const struct changes *changes = &delivery->changes;
    job->not_json = reading == READ_NOT_JSON;
    job->record.event_type = changes->event_type;
    job->record.event_known = changes->event_known;
    job->record.changes = (int64_t)(changes->box_count + changes->event_count +
                                    changes->document_count + changes->order_change_count);
    if (reading == READ_NO_MEMORY || !keep_headers(job) || !name_providers(job)) {
        finish_no_memory(job);
    } else if (!source_allows(job->source, changes)) {
        finish_unauthorized(job, AUTH_WRONG_MODE);
    } else if (delivery->reading == READING_URL_CHECK) {
        finish_received(job, delivery_outcome_name(OUTCOME_IGNORED), NULL, SLICE_EMPTY);
    } else {
        park(job);
    }
}

static bool is_identity(struct slice encoding) {
    return encoding.len == 0 || slice_eq_nocase(slice_trim(encoding), SLICE_OF("identity"));
}

static void take_post(struct job *job, const struct route *route) {
    const struct settings *settings = job->settings;
    enum body_status status = exchange_read_body(job->exchange, settings->max_body, &job->body);
    job->record.bytes = (int64_t)job->body.len;
    if (status == BODY_TOO_LONG) {
        finish_problem(job, 413, SLICE_EMPTY, SLICE_OF("too_long"));
        return;
    }
    if (status == BODY_NO_ROOM) {
        finish_problem(job, 503, SLICE_OF("too many requests in hand; try again"),
                       SLICE_OF("max_buffered"));
        return;
    }
    enum auth_result result = authenticate(job, route->token);
    if (result == AUTH_UNABLE) {
        finish_no_memory(job);
    } else if (result != AUTH_OK) {
        finish_unauthorized(job, result);
    } else if (status == BODY_CUT_SHORT) {
        finish_problem(job, 400, SLICE_OF("the body is shorter than announced"),
                       SLICE_OF("cut_short"));
    } else {
        take_body(job);
    }
}

/* readyz or /metrics: details, or all of it, are for clients. */
static void take_question(struct job *job, enum probe probe) {
    job->is_probe = true;
    job->is_scrape = probe == PROBE_METRICS;
    if (!responder_client(job->exchange, &job->head, job->settings, &job->client)) {
        finish_no_memory(job);
        return;
    }
    job->details = job->client != NULL;
    job->record.client_name = job->details ? job->client->name : SLICE_EMPTY;
    if (!job->is_scrape) {
        park(job);
    } else if (!responder_may_measure(&job->head, job->settings, job->client)) {
        finish_unauthorized(job, AUTH_CREDENTIAL_WRONG);
    } else if (job->exchange->overloaded) {
        finish_scrape(job, false, false, NULL);
    } else {
        park(job);
    }
}

static void take_probe(struct job *job, enum probe probe, struct slice method) {
    exchange_discard_body(job->exchange);
    if (!slice_eq(method, SLICE_OF("GET")) && !slice_eq(method, SLICE_OF("HEAD"))) {
        finish_method(job, "GET, HEAD");
    } else if (probe == PROBE_LIVEZ) {
        struct http_answer answer;
        http_answer_init(&answer);
        make_livez(&answer);
        finish(job, &answer, SLICE_EMPTY, SLICE_OF("livez"));
    } else {
        take_question(job, probe);
    }
}

static void dispatch(struct job *job) {
    const struct settings *settings = job->settings;
    const struct http_params *params = &job->exchange->params;
    struct slice method = http_param(params, "REQUEST_METHOD");
    struct request_path path = request_path_read(params);
    struct route route;
    enum probe probe = probe_of(&path);
    if (probe != PROBE_NONE) {
        take_probe(job, probe, method);
        return;
    }
    if (!find_route(settings, &path, &route)) {
        exchange_discard_body(job->exchange);
        finish_problem(job, 404, SLICE_EMPTY, SLICE_OF("path"));
        return;
    }
    job->source = settings_source(settings, route.source);
    if (job->source == NULL) {
        job->source = &settings->decoy;
    } else {
        job->record.source = job->source->name;
        job->record.provider = job->source->provider->name;
    }
    if (!slice_eq(method, SLICE_OF("POST"))) {
        exchange_discard_body(job->exchange);
        finish_method(job, "POST");
    } else if (!is_identity(http_header(params, SLICE_OF("Content-Encoding")))) {
        exchange_discard_body(job->exchange);
        finish_problem(job, 415, SLICE_OF("the only Content-Encoding is identity"),
                       SLICE_OF("content_encoding"));
    } else {
        take_post(job, &route);
    }
}

void ingest_handle(void *context, struct exchange *exchange) {
    struct ingest *ingest = context;
    struct request_head head;
    const struct settings *settings = current_take(ingest->current);
    request_head_read(&head, exchange, settings);
    struct job *job = calloc(1, sizeof(*job));
    struct arena *arena = arena_new(LIMIT_REQUEST_ARENA + 2 * settings->max_body);
    if (job == NULL || arena == NULL || request_is_refused(exchange)) {
        struct request_record record = {.reason = exchange->overloaded ? SLICE_OF("max_in_flight")
                                                                       : SLICE_OF("memory")};
        respond_overloaded(exchange, &head, &record);
        free(job);
        arena_free(arena);
        settings_free(settings);
        return;
    }
    *job = (struct job){.ingest = ingest,
                        .settings = settings,
                        .exchange = exchange,
                        .head = head,
                        .arena = arena,
                        .holders = 1};
    /* A little more than the longest body, so that a longer one is seen to be longer. */
    strbuf_init(&job->body, settings->max_body + 2 * 65536);
    dispatch(job);
}

/* ---- start and end ---- */

static struct batch_options queue_options(struct ingest *ingest, const struct settings *settings) {
    return (struct batch_options){
        .max_jobs = settings->max_in_flight,
        .max_bytes = settings->max_buffered + settings->max_in_flight * sizeof(struct job),
        .batch_jobs = LIMIT_BATCH_JOBS,
        .batch_bytes = LIMIT_BATCH_BYTES,
        .context = ingest,
    };
}

static bool open_shelter(struct ingest *ingest, const struct settings *settings, struct err *err) {
    struct batch_options options = queue_options(ingest, settings);
    options.committers = 1;
    options.open = open_spool;
    options.close = close_spool;
    options.run = run_spool;
    options.complete = complete_spooled;
    ingest->spool = responder_spool(settings);
    if (ingest->spool == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    struct err why = ERR_INIT;
    if (!spool_make(ingest->spool, &why)) {
        /* Told now, and not in the outage; it may be repaired until then. */
        log_text(LOG_ERROR, "the spool cannot be used", slice_from_cstr(why.message));
    }
    ingest->shelter = batch_new(&options, err);
    if (ingest->shelter == NULL) {
        return false;
    }
    struct drainer_options drain = {.spool = ingest->spool,
                                    .dsn = settings->ingest_dsn.data,
                                    .renew = renew_store,
                                    .settings = take_settings,
                                    .is_down = is_down,
                                    .is_filling = is_filling,
                                    .up = is_up,
                                    .try_one = try_one,
                                    .context = ingest};
    ingest->watch = watch_new(SPOOL_AFTER_MS, overdue, ingest, err);
    ingest->drainer = drainer_new(&drain, err);
    return ingest->watch != NULL && ingest->drainer != NULL;
}

static bool open_queues(struct ingest *ingest, const struct settings *settings, struct err *err) {
    struct batch_options options = queue_options(ingest, settings);
    options.committers = 1; /* one lane, one writer */
    options.open = open_store;
    options.close = close_store;
    options.renew = renew;
    options.run = run;
    options.complete = complete;
    if (settings->spool.len == 0 || open_shelter(ingest, settings, err)) {
        ingest->batch = batch_new(&options, err);
    }
    return ingest->batch != NULL;
}

struct ingest *ingest_new(struct current *current, struct err *err) {
    struct ingest *ingest = calloc(1, sizeof(*ingest));
    if (ingest == NULL) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    ingest->current = current;
    const struct settings *settings = current_take(current);
    bool ok = open_queues(ingest, settings, err);
    settings_free(settings);
    if (!ok) {
        ingest_free(ingest);
        return NULL;
    }
    return ingest;
}

void ingest_renew(struct ingest *ingest) {
    batch_renew(ingest->batch);
    if (ingest->drainer != NULL) {
        drainer_wake(ingest->drainer);
    }
}

void ingest_free(struct ingest *ingest) {
    if (ingest != NULL) {
        /* What the database does not take any more is still spooled. */
        batch_free(ingest->batch);
        watch_free(ingest->watch);
        batch_free(ingest->shelter);
        drainer_free(ingest->drainer);
        spool_free(ingest->spool);
        free(ingest);
    }
}

#include "app/responder.h"

#include "adapter/crypto.h"
#include "adapter/json.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"

#include <string.h>

/* ---- the request ---- */

static void copy_text(char *to, size_t room, struct slice from) {
    from = slice_first(from, room - 1);
    if (from.len > 0) {
        memcpy(to, from.data, from.len);
    }
    to[from.len] = '\0';
}

/* What the proxies say of the scheme; the rightmost word is the one the trusted proxy wrote. */
static bool forwarded_https(const struct exchange *exchange) {
    struct slice proto = http_header(&exchange->params, SLICE_OF("X-Forwarded-Proto"));
    struct slice before, last;
    slice_split_last(proto, ',', &before, &last);
    return slice_eq_nocase(slice_trim(last), SLICE_OF("https"));
}

void request_head_read(struct request_head *head, const struct exchange *exchange,
                       const struct settings *settings) {
    uint8_t id[16] = {0};
    struct address peer = {.is_set = false};
    struct slice remote = http_param(&exchange->params, "REMOTE_ADDR");
    *head = (struct request_head){.received_at = timestamp_now(), .began_us = monotonic_us()};
    /* Without randomness the id is all zeros: it identifies nothing, but nothing depends on it
     * either. */
    bool drawn = crypto_random(id, sizeof(id));
    (void)drawn;
    hex_encode(id, sizeof(id), head->id);

    bool known = address_parse(remote, &peer);
    bool trusted =
        known && address_in(&peer, settings->trusted_proxies, settings->trusted_proxy_count);
    head->address =
        address_of_client(&peer, http_header(&exchange->params, SLICE_OF("X-Forwarded-For")),
                          settings->trusted_proxies, settings->trusted_proxy_count);
    address_format(&head->address, head->client, sizeof(head->client));
    if (!head->address.is_set) {
        copy_text(head->client, sizeof(head->client), known ? SLICE_EMPTY : remote);
    }
    head->https = slice_eq_nocase(http_param(&exchange->params, "HTTPS"), SLICE_OF("on")) ||
                  (trusted && forwarded_https(exchange));
}

bool responder_client(const struct exchange *exchange, const struct request_head *head,
                      const struct settings *settings, const struct client **client) {
    struct slice token =
        auth_bearer_token(http_header(&exchange->params, SLICE_OF("Authorization")));
    bool ok = settings_client(settings, token, client);
    if (token.len == 0) {
        *client = settings_login(settings, http_param(&exchange->params, "REMOTE_USER"));
    }
    if (!head->https && !settings->plain_http) {
        *client = NULL;
    }
    return ok;
}

bool responder_may_measure(const struct request_head *head, const struct settings *settings,
                           const struct client *client) {
    return client != NULL ||
           address_in(&head->address, settings->metrics_allow, settings->metrics_allow_count);
}

/* ---- the answer ---- */

void respond(struct exchange *exchange, struct http_answer *answer, const struct request_head *head,
             const struct request_record *record) {
    http_answer_field(answer, "X-Request-Id", slice_from_cstr(head->id));
    if (strbuf_failed(&answer->body) || strbuf_failed(&answer->fields)) {
        http_answer_free(answer);
        http_answer_init(answer);
        http_answer_field(answer, "X-Request-Id", slice_from_cstr(head->id));
        make_problem(answer, 503, SLICE_OF("out of memory"));
    }
    int status = http_answer_status(answer);
    if (exchange_answer(exchange, answer)) {
        request_log(status, head, record);
    }
}

bool request_is_refused(const struct exchange *exchange) {
    struct request_path path = request_path_read(&exchange->params);
    enum probe probe = exchange->overloaded ? probe_of(&path) : PROBE_LIVEZ;
    return probe != PROBE_LIVEZ && probe != PROBE_METRICS;
}

void make_late(struct http_answer *answer, bool is_readyz) {
    make_problem(answer, 503,
                 is_readyz ? SLICE_OF("database") : SLICE_OF("not done in time; try again"));
}

void respond_late(struct http_answer *answer, const struct request_head *head,
                  const struct request_record *record) {
    struct request_record late = *record;
    late.outcome = SLICE_EMPTY;
    late.reason = SLICE_OF("deadline");
    http_answer_field(answer, "X-Request-Id", slice_from_cstr(head->id));
    request_log(http_answer_status(answer), head, &late);
}

void respond_overloaded(struct exchange *exchange, const struct request_head *head,
                        const struct request_record *record) {
    struct http_answer answer;
    exchange_discard_body(exchange);
    http_answer_init(&answer);
    make_problem(&answer, 503, SLICE_OF("too many requests in hand; try again"));
    respond(exchange, &answer, head, record);
}

void make_problem(struct http_answer *answer, int status, struct slice detail) {
    http_answer_problem(answer, status, detail);
    if (status == 503) {
        http_answer_field(answer, "Retry-After", SLICE_OF(RETRY_AFTER));
    }
}

void log_store_failure(enum store_result result, const struct err *err) {
    bool refused = result == STORE_REFUSED;
    request_log_failure(refused ? "the database refuses the data" : "the database failed",
                        slice_from_cstr(err->sqlstate),
                        refused ? SLICE_EMPTY : slice_from_cstr(err->message));
}

/* ---- probes ---- */

struct request_path request_path_read(const struct http_params *params) {
    struct request_path path = {.raw = true};
    path.text = http_path_below_mount(params, &path.raw);
    /* The whole of REQUEST_URI's path: nothing was taken off. */
    path.below_mount = path.text.data != http_param(params, "REQUEST_URI").data;
    return path;
}

static void tell_of_spool(const char *text) {
    log_text(LOG_ERROR, text, SLICE_EMPTY);
}

struct spool *responder_spool(const struct settings *settings) {
    return spool_new(settings->spool.data, settings->spool_max, tell_of_spool);
}

enum probe probe_of(const struct request_path *path) {
    struct slice before, last;
    slice_split_last(path->text, '/', &before, &last);
    if (path->below_mount && before.len > 0) {
        return PROBE_NONE;
    }
    if (slice_eq(last, SLICE_OF("livez"))) {
        return PROBE_LIVEZ;
    }
    if (slice_eq(last, SLICE_OF("metrics"))) {
        return PROBE_METRICS;
    }
    return slice_eq(last, SLICE_OF("readyz")) ? PROBE_READYZ : PROBE_NONE;
}

static void put_database(struct json_writer *writer, enum store_result result,
                         const struct store_health *health) {
    json_put_text(writer, "release", SLICE_OF(WAYBILL_VERSION));
    json_put_text(writer, "database", result == STORE_OK ? SLICE_OF("up") : SLICE_OF("down"));
    if (result != STORE_OK) {
        return;
    }
    json_put_integer(writer, "schema", health->schema);
    json_put_integer(writer, "schema_of_release", STORE_SCHEMA);
    if (health->schema != STORE_SCHEMA) {
        json_put_text(writer, "difference",
                      SLICE_OF("the schema is of another release: run waybill migrate, or upgrade "
                               "the programs"));
    }
}

static void put_spool(struct json_writer *writer, const struct spool_state *spool) {
    char oldest[TIMESTAMP_TEXT] = "";
    if (spool->oldest != TIMESTAMP_NONE) {
        timestamp_format(spool->oldest, oldest);
    }
    json_begin_object(writer, "spool");
    json_put_integer(writer, "events", spool->events);
    json_put_text(writer, "oldest", slice_from_cstr(oldest));
    json_put_integer(writer, "bytes", spool->bytes);
    json_end_object(writer);
}

/* 200, with the status as its only content so far; the caller ends it. */
static void begin_probe(struct http_answer *answer, struct json_writer *writer,
                        struct slice status) {
    answer->status = 200;
    answer->content_type = "application/json";
    http_answer_field(answer, "Cache-Control", SLICE_OF("no-store"));
    json_writer_init(writer, &answer->body);
    json_begin_object(writer, NULL);
    json_put_text(writer, "status", status);
}

void make_livez(struct http_answer *answer) {
    struct json_writer writer;
    begin_probe(answer, &writer, SLICE_OF("ok"));
    json_end_object(&writer);
}

static struct slice failing_part(enum store_result result, const struct store_health *health) {
    if (result != STORE_OK) {
        return SLICE_OF("database: not reachable");
    }
    if (health->schema == 0) {
        return SLICE_OF("schema: missing, run waybill migrate");
    }
    return health->durable ? SLICE_EMPTY : SLICE_OF("database: fsync or full_page_writes is off");
}

void make_readyz(struct http_answer *answer, enum store_result result,
                 const struct store_health *health, const struct spool_state *spool, bool details) {
    struct json_writer writer;
    struct slice failing =
        result != STORE_OK && spool != NULL ? SLICE_EMPTY : failing_part(result, health);
    if (failing.len > 0) {
        struct slice part, why;
        slice_split(failing, ':', &part, &why);
        http_answer_field(answer, "Cache-Control", SLICE_OF("no-store"));
        make_problem(answer, 503, details ? failing : part);
        return;
    }
    begin_probe(answer, &writer, spool != NULL ? SLICE_OF("degraded") : SLICE_OF("ok"));
    if (spool != NULL) {
        json_put_text(&writer, "part", SLICE_OF("spool"));
    }
    if (details) {
        put_database(&writer, result, health);
    }
    if (details && spool != NULL) {
        put_spool(&writer, spool);
    }
    json_end_object(&writer);
}

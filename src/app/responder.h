/*
 * What both endpoints do alike with a request: its id, who sent it, its log line, and the answers
 * livez and readyz.
 */
#ifndef APP_RESPONDER_H
#define APP_RESPONDER_H

#include "adapter/exchange.h"
#include "app/request_log.h"
#include "app/settings.h"
#include "engine/spool.h"
#include "engine/store.h"

/* Seconds after which a refused request may come again. */
#define RETRY_AFTER "10"

/* The answer is due this long after a request is parked; the store gives up before. */
#define ANSWER_DEADLINE_MS 4000

void request_head_read(struct request_head *head, const struct exchange *exchange,
                       const struct settings *settings);

/* Adds X-Request-Id, sends the answer, and writes the log line unless the transport had answered
 * for it already. Takes ANSWER. */
void respond(struct exchange *exchange, struct http_answer *answer, const struct request_head *head,
             const struct request_record *record);
/* For the callback of a late request: makes ANSWER a 503, where it is one; a late readyz names the
 * database. */
void make_late(struct http_answer *answer, bool is_readyz);
/* Likewise: adds X-Request-Id to the ANSWER that the transport sends, and writes the log line. */
void respond_late(struct http_answer *answer, const struct request_head *head,
                  const struct request_record *record);
/* Too many requests are in hand for this one. Not for livez, which asks nobody, nor for /metrics,
 * which tells why. */
bool request_is_refused(const struct exchange *exchange);
/* Answers 503 at once, without a look at the request. */
void respond_overloaded(struct exchange *exchange, const struct request_head *head,
                        const struct request_record *record);
/* Makes ANSWER a problem; 503 gets its Retry-After. */
void make_problem(struct http_answer *answer, int status, struct slice detail);

/* The path of a request. */
struct request_path {
    struct slice text; /* begins with '/', or is empty */
    bool raw;          /* still percent-encoded */
    bool below_mount;  /* false: the server does not say where the mount ends, so it is the whole
                          path */
};
struct request_path request_path_read(const struct http_params *params);

/* Logs why the store failed. Refused data is told by its SQLSTATE alone: the server's message may
 * quote it. */
void log_store_failure(enum store_result result, const struct err *err);

/* The spool of SETTINGS, which has one; what happens to its file goes to the log. NULL without
 * memory. */
MUST_CHECK struct spool *responder_spool(const struct settings *settings);

enum probe { PROBE_NONE, PROBE_LIVEZ, PROBE_READYZ, PROBE_METRICS };
/* Which probe the path is. */
enum probe probe_of(const struct request_path *path);
/* The answer to livez. */
void make_livez(struct http_answer *answer);
/* The answer to readyz, from what the store said; DETAILS with a token only. SPOOL: events wait
 * there, or go there while the store is down, which is not ready but degraded; else NULL. */
void make_readyz(struct http_answer *answer, enum store_result result,
                 const struct store_health *health, const struct spool_state *spool, bool details);

/* Whose token the Authorization header of EXCHANGE is, over HTTPS or where plain HTTP is allowed;
 * *CLIENT is NULL when it is none. False when that cannot be told, without memory. */
MUST_CHECK bool responder_client(const struct exchange *exchange, const struct request_head *head,
                                 const struct settings *settings, const struct client **client);
/* Whether the request may read /metrics: by a client's token (or NULL), or by its address. */
bool responder_may_measure(const struct request_head *head, const struct settings *settings,
                           const struct client *client);

#endif

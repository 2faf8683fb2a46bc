/*
 * The log lines of requests (contract section 9): one a request, and fewer when there are very
 * many.
 *
 * Of answers below 400 go out 200 a second and then every hundredth; of refusals 20 a second for
 * each lot of client addresses, so that a flood leaves the others' to be seen, and then every
 * hundredth; of failures (the database, the spool) 20 a second. A line "log lines left out" says
 * how many, every second. Metrics count all.
 */
#ifndef APP_REQUEST_LOG_H
#define APP_REQUEST_LOG_H

#include "base/log.h"
#include "domain/address.h"

/* What is known of a request before anything is decided. Copied, so it outlives the handler. */
struct request_head {
    char id[33];     /* X-Request-Id */
    char client[48]; /* its address, after trusted proxies */
    struct address address;
    bool https;
    int64_t received_at; /* microseconds */
    int64_t began_us;    /* monotonic */
};

/* What one request left for the log (contract section 9). Empty slices are shown as "-". */
struct request_record {
    struct slice source, provider, event_type, outcome, reason;
    struct slice client_name; /* whose token it showed */
    bool is_delivery,
        event_known; /* an answer about a webhook that counts as one, of a known type */
    int64_t bytes;   /* of the body */
    int64_t changes; /* rows it speaks of */
};

/* Counts the request in the metrics too. */
void request_log(int status, const struct request_head *head, const struct request_record *record);
/* A failure that requests meet, as often as they come. */
void request_log_failure(const char *message, struct slice sqlstate, struct slice reason);
/* Tells what was left out; called every now and then, also when no request comes. */
void request_log_tick(void);

#endif

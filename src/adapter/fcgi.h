/*
 * FastCGI responder over libfcgi. Nobody else includes <fcgiapp.h>.
 *
 * Worker threads accept connections and take readable ones from an epoll set; a request is read by
 * one of them, may be parked, and is answered from any thread: a short answer is written there, a
 * long one by a worker, so that no other thread waits for a peer. Kept connections wait in the
 * epoll set and pin no thread. When all workers wait for slow peers, more are started. libfcgi's
 * own accept(), signal handling and closing are not used (its traps: docs/fastcgi.md).
 */
#ifndef ADAPTER_FCGI_H
#define ADAPTER_FCGI_H

#include "adapter/exchange.h"
#include "base/err.h"

struct fcgi_options {
    int listen_fd;
    size_t max_in_flight; /* requests; beyond, exchanges are marked overloaded */
    size_t max_buffered;  /* bytes of all bodies in hand */
    int64_t deadline_ms;  /* from parking to the answer */
    /* A request came. */
    void (*handle)(void *context, struct exchange *exchange);
    /* A parked request was not answered in time: fill ANSWER, and call nothing of this module.
     * Runs beside the thread that works on
     * the request. */
    void (*late)(void *context, struct exchange *exchange, struct http_answer *answer);
    void *context;
    /* SIGHUP came; called in the thread of fcgi_serve(), which looks at no deadline meanwhile.
     * NULL: nothing happens. */
    void (*hang_up)(void *upkeep);
    /* Some times a second, likewise, with the number of requests in hand; may be NULL. */
    void (*tick)(void *upkeep, size_t in_flight);
    void *upkeep;
};

/*
 * Serves, whatever SIGHUP does, until SIGTERM, SIGUSR1 or SIGINT, then takes no more connections,
 * finishes the requests in hand and returns true. All signals must be blocked in every thread
 * before the call (fcgi_block_signals() in main, first). Requests that are still in hand 15 seconds
 * after the signal are cut: the process ends there, with exit code 0. False with ERR_SYSTEM when it
 * cannot start.
 */
MUST_CHECK bool fcgi_serve(const struct fcgi_options *options, struct err *err);

/* Blocks the signals that fcgi_serve() takes, in this thread and all it starts later. */
void fcgi_block_signals(void);

#endif

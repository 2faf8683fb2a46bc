/*
 * One HTTP request in hand and the way to answer it, whatever transport brought it (adapter/fcgi.h,
 * adapter/cgi.h).
 *
 * The handler of a transport is called once for each request. It may answer at once or park the
 * request and answer later from any thread; it answers exactly once. A request that is not answered
 * in time is answered by the transport: the later answer then goes nowhere, and exchange_answer()
 * says so.
 */
#ifndef ADAPTER_EXCHANGE_H
#define ADAPTER_EXCHANGE_H

#include "adapter/http.h"

enum body_status {
    BODY_COMPLETE,
    BODY_TOO_LONG,  /* announced or counted longer than the maximum; what was sent is thrown away */
    BODY_CUT_SHORT, /* shorter than Content-Length announced, or the connection broke */
    BODY_NO_ROOM, /* the bytes of all bodies in hand are at their maximum, or there is no memory */
};

struct exchange {
    /* Valid until the handler returns, not longer: copy what is needed later. */
    struct http_params params;
    /* More requests are in hand than allowed: answer 503 at once. */
    bool overloaded;
    /* The user's, for the callback of a late request. */
    void *user;

    enum body_status (*read_body)(struct exchange *exchange, size_t max, struct strbuf *body);
    void (*discard_body)(struct exchange *exchange);
    bool (*answer)(struct exchange *exchange, struct http_answer *answer);
};

/* For transports: the length that Content-Length announces, -1 where it does not, INT64_MAX where
 * that is less. False when it is no number. */
MUST_CHECK bool exchange_announced_length(const struct http_params *params, int64_t *length);

/* Reads the whole body, at most MAX bytes, into BODY (initialised by the caller, who frees it).
 * Only within the handler. */
MUST_CHECK enum body_status exchange_read_body(struct exchange *exchange, size_t max,
                                               struct strbuf *body);
/* Reads what is left of the body and throws it away, so that the web server is there to read the
 * answer. Bounded in time and length. Only within the handler. */
void exchange_discard_body(struct exchange *exchange);
/*
 * Sends ANSWER and takes it: the caller's copy is emptied. After this call EXCHANGE is gone. False
 * when the request had been answered already because it was late.
 */
bool exchange_answer(struct exchange *exchange, struct http_answer *answer);

#endif

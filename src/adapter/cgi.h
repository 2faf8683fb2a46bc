/*
 * One plain CGI request (RFC 3875): meta-variables in the environment, body on standard input,
 * answer on standard output. For web servers without FastCGI, and for trying things out: each
 * request is a process and a database connection.
 */
#ifndef ADAPTER_CGI_H
#define ADAPTER_CGI_H

#include "adapter/exchange.h"
#include "base/err.h"

/* Whether the environment is that of a CGI request. */
bool cgi_is_request(void);
/* Calls HANDLE with the one request and returns when it is answered: by its user, or by LATE after
 * DEADLINE_MS. */
MUST_CHECK bool cgi_serve(void (*handle)(void *context, struct exchange *exchange),
                          void (*late)(void *context, struct exchange *exchange,
                                       struct http_answer *answer),
                          void *context, int64_t deadline_ms, struct err *err);

#endif

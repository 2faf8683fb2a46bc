/*
 * One status request, from request to answer (contract section 6): authorise, read the parameters,
 * park it in the batching engine, and answer with documents that PostgreSQL made.
 */
#ifndef APP_QUERY_H
#define APP_QUERY_H

#include "app/responder.h"

struct query;

/* The use case over SETTINGS (PART_STATUS), with its readers started. SETTINGS must outlive it. */
MUST_CHECK struct query *query_new(const struct settings *settings, struct err *err);
/* Finishes what is parked. */
void query_free(struct query *query);

/* For a transport: a request came, a parked one is late. CONTEXT is the struct query. */
void query_handle(void *context, struct exchange *exchange);
void query_late(void *context, struct exchange *exchange, struct http_answer *answer);

#endif

/*
 * One status request, from request to answer (contract section 6): authorise, read the parameters,
 * park it in the batching engine, and answer with documents that PostgreSQL made.
 */
#ifndef APP_QUERY_H
#define APP_QUERY_H

#include "app/current.h"
#include "app/responder.h"

struct query;

/* The use case over CURRENT (PART_STATUS), which must outlive it, with its readers started. */
MUST_CHECK struct query *query_new(struct current *current, struct err *err);
/* CURRENT has been replaced: connections to another database are made anew. */
void query_renew(struct query *query);
/* Finishes what is parked. */
void query_free(struct query *query);

/* For a transport: a request came, a parked one is late. CONTEXT is the struct query. */
void query_handle(void *context, struct exchange *exchange);
void query_late(void *context, struct exchange *exchange, struct http_answer *answer);

#endif

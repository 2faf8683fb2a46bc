/*
 * One webhook, from request to answer (contract section 4): route, read, authenticate, parse, let
 * the provider say what it means, park it in the batching engine, and answer after the commit.
 */
#ifndef APP_INGEST_H
#define APP_INGEST_H

#include "app/current.h"
#include "app/responder.h"

struct ingest;

/* The use case over CURRENT (PART_WEBHOOK), which must outlive it, with its committers started. */
MUST_CHECK struct ingest *ingest_new(struct current *current, struct err *err);
/* CURRENT has been replaced: connections to another database are made anew. */
void ingest_renew(struct ingest *ingest);
/* Finishes what is parked. */
void ingest_free(struct ingest *ingest);

/* For a transport: a request came, a parked one is late. CONTEXT is the struct ingest. */
void ingest_handle(void *context, struct exchange *exchange);
void ingest_late(void *context, struct exchange *exchange, struct http_answer *answer);

#endif

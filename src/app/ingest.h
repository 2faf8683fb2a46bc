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

/*
 * Reads the body of DELIVERY as PROVIDER's, as CONTEXT says: its source, owners, body and times are
 * set. Parses,
 * lets the provider read, derives content and identities; what the delivery says lives in ARENA.
 * Shared with replay.
 */
enum ingest_reading {
    INGEST_READ,     /* delivery->reading says what it is */
    INGEST_NOT_JSON, /* the delivery is quarantined, its detail says where and why */
    INGEST_NO_MEMORY,
};
MUST_CHECK enum ingest_reading ingest_read(struct delivery *delivery,
                                           const struct provider *provider,
                                           const struct reading_context *context,
                                           struct arena *arena);

#endif

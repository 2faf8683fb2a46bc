/*
 * The batching engine: a bounded queue whose committers turn many jobs into one transaction.
 *
 * A committer takes everything that queued while its previous batch was under way: at low load a
 * batch is one job and latency is one commit; at high load the batch grows by itself and one round
 * trip and one fsync pay for many jobs. While batches are under way another one begins when as many
 * jobs wait as are in those, and after 20 ms at the latest, so that many connections do not make
 * many small batches. A job whose data is refused is isolated by halving, so it takes no neighbour
 * down.
 */
#ifndef ENGINE_BATCH_H
#define ENGINE_BATCH_H

#include "base/attr.h"
#include "base/err.h"

#include <stddef.h>

/* What a user embeds in its own job. */
struct batch_job {
    struct batch_job *next; /* the engine's */
    size_t bytes;           /* what the job counts for in the limits */
};

enum batch_result {
    BATCH_DONE,    /* all of it committed */
    BATCH_REFUSED, /* some job's data is refused: nothing is committed, try halves */
    BATCH_FAILED,  /* it cannot be done now, whatever the jobs */
};

struct batch_options {
    size_t committers; /* threads, each with a state of its own */
    size_t max_jobs;   /* waiting; beyond, batch_submit() refuses */
    size_t max_bytes;  /* likewise */
    size_t batch_jobs; /* in one transaction */
    size_t batch_bytes;
    /* The state of one committer (a connection); called in its thread. NULL is a state too. */
    void *(*open)(void *context);
    void (*close)(void *state);
    /* Between two transactions, after batch_renew(): what the state was made of has changed. NULL:
     * nobody calls that. */
    void (*renew)(void *context, void *state);
    /* One transaction over COUNT jobs, in the order of submission. */
    enum batch_result (*run)(void *state, struct batch_job **jobs, size_t count);
    /* The end of one job: DONE, REFUSED (alone) or FAILED. The job is the user's again. Called in
     * the committer's thread. */
    void (*complete)(void *context, struct batch_job *job, enum batch_result result);
    void *context;
};

struct batch;

/* Starts the committers. NULL with ERR_SYSTEM or ERR_MEMORY. */
MUST_CHECK struct batch *batch_new(const struct batch_options *options, struct err *err);
/* Queues JOB; false, and the job stays the caller's, when the queue is full. */
MUST_CHECK bool batch_submit(struct batch *batch, struct batch_job *job);
/* Has every committer call renew() before its next transaction, an idle one at once. */
void batch_renew(struct batch *batch);
/* Finishes what is queued, ends the committers and frees BATCH. No job may be submitted any more.
 */
void batch_free(struct batch *batch);

#endif

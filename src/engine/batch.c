#include "engine/batch.h"

#include "base/condition.h"
#include "base/timestamp.h"

#include <pthread.h>
#include <stdlib.h>

/* Jobs wait no longer than this for the batches that are under way when a committer is free: one of
 * those may be stuck behind a lock. */
#define PATIENCE_MS 20

struct committer {
    struct batch *batch;
    pthread_t thread;
    pthread_cond_t wake;
    bool idle;
    size_t renewals;          /* called for */
    struct batch_job **taken; /* room for one transaction */
};

struct batch {
    struct batch_options options;
    pthread_mutex_t lock;
    struct batch_job *first, *last;
    size_t jobs, bytes; /* waiting */
    size_t running;     /* jobs of the batches under way, of which */
    size_t answering;   /* those that are done but for complete() */
    int64_t since_ms;   /* the queue has not been empty, or untouched, since then */
    bool stopping;
    size_t renewals; /* asked for */
    struct committer *committers;
    size_t started;
};

/* Moves up to one transaction's worth from the queue to TAKEN; the lock is held. */
static size_t take(struct batch *batch, struct batch_job **taken) {
    size_t count = 0, bytes = 0;
    while (batch->first != NULL && count < batch->options.batch_jobs &&
           (count == 0 || bytes + batch->first->bytes <= batch->options.batch_bytes)) {
        struct batch_job *job = batch->first;
        batch->first = job->next;
        job->next = NULL;
        bytes += job->bytes;
        taken[count++] = job;
    }
    if (batch->first == NULL) {
        batch->last = NULL;
    }
    batch->jobs -= count;
    batch->bytes -= bytes;
    batch->running += count;
    batch->since_ms = monotonic_ms();
    return count;
}

/* Runs JOBS in one transaction, or, when their data is refused, in halves down to the one that is
 * to blame. */
/* NOLINTNEXTLINE(misc-no-recursion): a batch is halved a dozen times at most. */
static void run(struct batch *batch, void *state, struct batch_job **jobs, size_t count) {
    enum batch_result result = batch->options.run(state, jobs, count);
    if (result == BATCH_REFUSED && count > 1) {
        run(batch, state, jobs, count / 2);
        run(batch, state, jobs + count / 2, count - count / 2);
        return;
    }
    pthread_mutex_lock(&batch->lock);
    batch->answering += count;
    pthread_mutex_unlock(&batch->lock);
    for (size_t i = 0; i < count; i++) {
        batch->options.complete(batch->options.context, jobs[i], result);
    }
}

/*
 * Whether one more batch is to begin. While others are under way it waits until it is as large as
 * they are: many small ones would cost more than they gain. And a committer that is about to be
 * free takes up to as many as it has just done, so that one request after another stays with one
 * connection.
 */
static bool is_due(const struct batch *batch) {
    if (batch->stopping || batch->jobs == 0 || batch->running == 0) {
        return batch->stopping || batch->jobs > 0;
    }
    return (batch->jobs >= batch->running && batch->jobs > batch->answering) ||
           monotonic_ms() >= batch->since_ms + PATIENCE_MS;
}

/* Wakes one committer, the same as before where that is idle: what its connection and its server
 * process know is still at hand. */
static void wake_one(struct batch *batch) {
    for (size_t i = 0; i < batch->started; i++) {
        if (batch->committers[i].idle) {
            batch->committers[i].idle = false;
            pthread_cond_signal(&batch->committers[i].wake);
            return;
        }
    }
}

/* Waits until a batch is due or a renewal; the lock is held. */
static void wait_for_work(struct committer *committer) {
    struct batch *batch = committer->batch;
    while (!is_due(batch) && committer->renewals == batch->renewals) {
        committer->idle = true;
        if (batch->jobs == 0) {
            pthread_cond_wait(&committer->wake, &batch->lock);
        } else {
            (void)condition_wait_until(&committer->wake, &batch->lock,
                                       batch->since_ms + PATIENCE_MS);
        }
    }
    committer->idle = false;
}

/* The lock is held; not meanwhile. */
static void renew(struct committer *committer, void *state) {
    struct batch *batch = committer->batch;
    while (committer->renewals != batch->renewals) {
        committer->renewals = batch->renewals;
        pthread_mutex_unlock(&batch->lock);
        batch->options.renew(batch->options.context, state);
        pthread_mutex_lock(&batch->lock);
        wait_for_work(committer);
    }
}

static void *commit(void *argument) {
    struct committer *committer = argument;
    struct batch *batch = committer->batch;
    void *state = batch->options.open(batch->options.context);
    size_t count = 0;
    for (;;) {
        pthread_mutex_lock(&batch->lock);
        /* Under the same lock as the next look at the queue: the turn stays here. */
        batch->running -= count;
        batch->answering -= count;
        wait_for_work(committer);
        renew(committer, state);
        count = take(batch, committer->taken);
        if (batch->jobs > 0) {
            wake_one(batch);
        }
        pthread_mutex_unlock(&batch->lock);
        if (count == 0) {
            break;
        }
        run(batch, state, committer->taken, count);
    }
    batch->options.close(state);
    return NULL;
}

static bool start(struct batch *batch, struct committer *committer) {
    committer->batch = batch;
    committer->taken = calloc(batch->options.batch_jobs, sizeof(struct batch_job *));
    condition_init(&committer->wake);
    if (committer->taken == NULL ||
        pthread_create(&committer->thread, NULL, commit, committer) != 0) {
        pthread_cond_destroy(&committer->wake);
        free(committer->taken);
        return false;
    }
    return true;
}

struct batch *batch_new(const struct batch_options *options, struct err *err) {
    struct batch *batch = calloc(1, sizeof(*batch));
    struct committer *committers = calloc(options->committers, sizeof(*committers));
    if (batch == NULL || committers == NULL) {
        free(batch);
        free(committers);
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    *batch = (struct batch){.options = *options, .committers = committers};
    pthread_mutex_init(&batch->lock, NULL);
    while (batch->started < options->committers) {
        if (!start(batch, &committers[batch->started])) {
            batch_free(batch);
            err_set(err, ERR_SYSTEM, "cannot start a committer thread");
            return NULL;
        }
        batch->started++;
    }
    return batch;
}

bool batch_submit(struct batch *batch, struct batch_job *job) {
    pthread_mutex_lock(&batch->lock);
    bool room = !batch->stopping && batch->jobs < batch->options.max_jobs &&
                batch->bytes + job->bytes <= batch->options.max_bytes;
    if (room) {
        job->next = NULL;
        *(batch->last != NULL ? &batch->last->next : &batch->first) = job;
        batch->last = job;
        if (batch->jobs++ == 0) {
            batch->since_ms = monotonic_ms();
        }
        batch->bytes += job->bytes;
        /* The first one also for the clock that starts with it. */
        if (batch->jobs == 1 || is_due(batch)) {
            wake_one(batch);
        }
    }
    pthread_mutex_unlock(&batch->lock);
    return room;
}

void batch_renew(struct batch *batch) {
    pthread_mutex_lock(&batch->lock);
    batch->renewals++;
    for (size_t i = 0; i < batch->started; i++) {
        pthread_cond_signal(&batch->committers[i].wake);
    }
    pthread_mutex_unlock(&batch->lock);
}

void batch_free(struct batch *batch) {
    if (batch == NULL) {
        return;
    }
    pthread_mutex_lock(&batch->lock);
    batch->stopping = true;
    for (size_t i = 0; i < batch->started; i++) {
        pthread_cond_signal(&batch->committers[i].wake);
    }
    pthread_mutex_unlock(&batch->lock);
    for (size_t i = 0; i < batch->started; i++) {
        pthread_join(batch->committers[i].thread, NULL);
        pthread_cond_destroy(&batch->committers[i].wake);
        free(batch->committers[i].taken);
    }
    pthread_mutex_destroy(&batch->lock);
    free(batch->committers);
    free(batch);
}

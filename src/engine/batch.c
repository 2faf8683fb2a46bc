#include "engine/batch.h"

#include <pthread.h>
#include <stdlib.h>

struct committer {
    struct batch *batch;
    pthread_t thread;
    struct batch_job **taken; /* room for one transaction */
};

struct batch {
    struct batch_options options;
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    struct batch_job *first, *last;
    size_t jobs, bytes; /* waiting */
    bool stopping;
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
    return count;
}

/* Runs JOBS in one transaction, or, when their data is refused, in halves down to the one that is
 * to blame. */
static void run(struct batch *batch, void *state, struct batch_job **jobs, size_t count) {
    enum batch_result result = batch->options.run(state, jobs, count);
    if (result == BATCH_REFUSED && count > 1) {
        run(batch, state, jobs, count / 2);
        run(batch, state, jobs + count / 2, count - count / 2);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        batch->options.complete(batch->options.context, jobs[i], result);
    }
}

static void *commit(void *argument) {
    struct committer *committer = argument;
    struct batch *batch = committer->batch;
    void *state = batch->options.open(batch->options.context);
    for (;;) {
        pthread_mutex_lock(&batch->lock);
        while (batch->first == NULL && !batch->stopping) {
            pthread_cond_wait(&batch->not_empty, &batch->lock);
        }
        size_t count = take(batch, committer->taken);
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
    if (committer->taken == NULL ||
        pthread_create(&committer->thread, NULL, commit, committer) != 0) {
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
    pthread_cond_init(&batch->not_empty, NULL);
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
        batch->jobs++;
        batch->bytes += job->bytes;
        pthread_cond_signal(&batch->not_empty);
    }
    pthread_mutex_unlock(&batch->lock);
    return room;
}

void batch_free(struct batch *batch) {
    if (batch == NULL) {
        return;
    }
    pthread_mutex_lock(&batch->lock);
    batch->stopping = true;
    pthread_cond_broadcast(&batch->not_empty);
    pthread_mutex_unlock(&batch->lock);
    for (size_t i = 0; i < batch->started; i++) {
        pthread_join(batch->committers[i].thread, NULL);
        free(batch->committers[i].taken);
    }
    pthread_cond_destroy(&batch->not_empty);
    pthread_mutex_destroy(&batch->lock);
    free(batch->committers);
    free(batch);
}

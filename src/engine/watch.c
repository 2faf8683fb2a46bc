#include "engine/watch.h"

#include "base/condition.h"
#include "base/timestamp.h"

#include <pthread.h>
#include <stdlib.h>

/* How often it looks: a sleep is cheaper than being woken for each thing. */
#define TICK_MS 100

struct watch {
    int64_t limit_ms;
    void (*overdue)(void *context, struct watched *thing);
    void *context;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    struct watched *oldest, *newest;
    bool stopping;
};

static void unlist(struct watch *watch, struct watched *thing) {
    *(thing->older != NULL ? &thing->older->newer : &watch->oldest) = thing->newer;
    *(thing->newer != NULL ? &thing->newer->older : &watch->newest) = thing->older;
    thing->older = thing->newer = NULL;
    thing->listed = false;
}

static void report(struct watch *watch) {
    int64_t limit = monotonic_ms() - watch->limit_ms;
    while (watch->oldest != NULL && watch->oldest->since_ms <= limit) {
        struct watched *thing = watch->oldest;
        unlist(watch, thing);
        watch->overdue(watch->context, thing);
    }
}

static void *run(void *argument) {
    struct watch *watch = argument;
    pthread_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        (void)condition_wait_until(&watch->stop, &watch->lock, monotonic_ms() + TICK_MS);
        if (!watch->stopping) {
            report(watch);
        }
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

struct watch *watch_new(int64_t limit_ms, void (*overdue)(void *context, struct watched *thing),
                        void *context, struct err *err) {
    struct watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    *watch = (struct watch){.limit_ms = limit_ms, .overdue = overdue, .context = context};
    pthread_mutex_init(&watch->lock, NULL);
    condition_init(&watch->stop);
    if (pthread_create(&watch->thread, NULL, run, watch) != 0) {
        pthread_cond_destroy(&watch->stop);
        pthread_mutex_destroy(&watch->lock);
        free(watch);
        err_set(err, ERR_SYSTEM, "cannot start the watch");
        return NULL;
    }
    return watch;
}

void watch_add(struct watch *watch, struct watched *thing) {
    pthread_mutex_lock(&watch->lock);
    *thing = (struct watched){.older = watch->newest, .since_ms = monotonic_ms(), .listed = true};
    *(watch->newest != NULL ? &watch->newest->newer : &watch->oldest) = thing;
    watch->newest = thing;
    pthread_mutex_unlock(&watch->lock);
}

bool watch_remove(struct watch *watch, struct watched *thing) {
    pthread_mutex_lock(&watch->lock);
    bool listed = thing->listed;
    if (listed) {
        unlist(watch, thing);
    }
    pthread_mutex_unlock(&watch->lock);
    return listed;
}

void watch_free(struct watch *watch) {
    if (watch == NULL) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    pthread_cond_signal(&watch->stop);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->stop);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

#include "app/drain.h"

#include "app/commit.h"
#include "app/read_delivery.h"
#include "base/condition.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/timestamp.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What one batch's events become in memory. */
#define DRAIN_ARENA ((size_t)1 << 30)
/* So many that fail one by one, and none that does not: the database takes nothing. */
#define HOPELESS 3

/* How long the drainer sleeps after a pass. */
#define IDLE_MS 2000   /* other processes' leftovers */
#define DOWN_MS 250    /* the database */
#define STUCK_MS 10000 /* what cannot be helped soon */

/* ---- one pass ---- */

/* One batch; both arrays have the same order. */
struct batch_of_events {
    struct arena *arena;
    struct spool_event events[LIMIT_BATCH_JOBS];
    struct delivery *deliveries[LIMIT_BATCH_JOBS];
    size_t count;
};

enum step { STEP_ON, STEP_END, STEP_STOPPED, STEP_DOWN, STEP_FAILED };

static struct delivery *read_event(const struct drain *drain, const struct spool_event *event,
                                   struct arena *arena) {
    struct slice name, order_provider;
    (void)slice_split(event->provider, ' ', &name, &order_provider);
    const struct provider *provider = provider_find(name);
    struct delivery *delivery = arena_alloc(arena, sizeof(*delivery));
    if (provider == NULL || delivery == NULL) {
        return NULL;
    }
    *delivery = (struct delivery){
        .source = event->source,
        .provider = name,
        .order_provider = order_provider,
        .body = event->body,
        .headers = event->headers,
        .tracking_url_template = event->tracking_url,
        .received_at = event->received_at,
        .quarantine_max = INT64_MAX,
    };
    const struct reading_context *context = settings_reading(drain->settings, event->source);
    return read_delivery(delivery, provider, context, arena) != READ_NO_MEMORY ? delivery : NULL;
}

/* Keeps those that could be read; the others stay in the spool. */
static void read_batch(struct drain *drain, struct batch_of_events *batch) {
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct delivery *delivery = read_event(drain, &batch->events[i], batch->arena);
        if (delivery != NULL) {
            batch->deliveries[kept] = delivery;
            batch->events[kept++] = batch->events[i];
        }
    }
    drain->left += (int64_t)(batch->count - kept);
    batch->count = kept;
}

/* Is it the database, or what was asked of it? An event's error may have ended the connection, and
 * that says nothing of the next one. */
static bool database_answers(struct store *store) {
    struct store_health health;
    struct err err = ERR_INIT;
    store_try_now(store);
    return store_health(store, &health, &err) == STORE_OK;
}

/* Commits the events FIRST to FIRST + COUNT and takes them out of the spool; in halves where they
 * cannot be stored together. */
/* NOLINTNEXTLINE(misc-no-recursion): a batch is halved a dozen times at most. */
static enum step commit_range(struct drain *drain, const struct batch_of_events *batch,
                              size_t first, size_t count, struct err *err) {
    if (count == 0) {
        return STEP_ON;
    }
    /* Each attempt may take its whole budget. */
    if (!drain->go_on(drain->context, drain->drained)) {
        return STEP_STOPPED;
    }
    err_clear(err);
    enum batch_result result =
        commit_deliveries(drain->store, batch->deliveries + first, count, batch->arena, err);
    if (result == BATCH_DONE) {
        if (!spool_remove(drain->spool, batch->events + first, count, err)) {
            return STEP_FAILED;
        }
        drain->drained += (int64_t)count;
        return STEP_ON;
    }
    if (result == BATCH_FAILED && !database_answers(drain->store)) {
        drain->after = batch->events[first].id;
        return STEP_DOWN;
    }
    if (count == 1) {
        drain->left++;
        drain->failed++;
        if (drain->drained > 0 || drain->failed < HOPELESS) {
            return STEP_ON;
        }
        drain->after = batch->events[first].id;
        return STEP_DOWN;
    }
    enum step step = commit_range(drain, batch, first, count / 2, err);
    return step == STEP_ON ? commit_range(drain, batch, first + count / 2, count - count / 2, err)
                           : step;
}

/* Where a pass is: in ids above AFTER, up to END. */
struct place {
    int64_t after, end;
};

/* The next batch of PLACE. */
static enum step drain_batch(struct drain *drain, struct batch_of_events *batch,
                             struct place *place, struct err *err) {
    if (!spool_read(drain->spool, place->after, LIMIT_BATCH_JOBS, LIMIT_BATCH_BYTES, batch->arena,
                    batch->events, &batch->count, err)) {
        return STEP_FAILED;
    }
    while (batch->count > 0 && batch->events[batch->count - 1].id > place->end) {
        batch->count--;
    }
    if (batch->count == 0) {
        return STEP_END;
    }
    place->after = batch->events[batch->count - 1].id;
    read_batch(drain, batch);
    return commit_range(drain, batch, 0, batch->count, err);
}

static enum step drain_alone(struct drain *drain, struct place *place, struct err *err) {
    struct batch_of_events *batch = calloc(1, sizeof(*batch));
    struct arena *arena = arena_new(DRAIN_ARENA);
    enum step step = STEP_FAILED;
    if (batch != NULL && arena != NULL) {
        batch->arena = arena;
        step = drain_batch(drain, batch, place, err);
    } else {
        err_set(err, ERR_MEMORY, "out of memory");
    }
    arena_free(arena);
    free(batch);
    return step;
}

static enum drain_end end_of(struct drain *drain, enum step step, struct err *err) {
    if (step != STEP_END) {
        return step == STEP_STOPPED ? DRAIN_STOPPED : step == STEP_DOWN ? DRAIN_DOWN : DRAIN_FAILED;
    }
    if (drain->left > 0) {
        err_set(err, ERR_INPUT, "of a sender that this release does not know, or no memory");
        return DRAIN_STUCK;
    }
    return drain->drained == 0 || spool_tidy(drain->spool, err) ? DRAIN_EMPTY : DRAIN_FAILED;
}

enum drain_end drain_pass(struct drain *drain, struct err *err) {
    int64_t begin = drain->after;
    struct place place = {begin, INT64_MAX};
    enum step step = STEP_ON;
    drain->drained = drain->left = drain->failed = 0;
    while (step == STEP_ON) {
        /* For one batch only, so that processes take turns. */
        enum spool_drain turn = spool_drain_begin(drain->spool, err);
        if (turn != SPOOL_DRAIN_TAKEN) {
            return turn == SPOOL_DRAIN_HELD ? DRAIN_BUSY : DRAIN_FAILED;
        }
        step = drain_alone(drain, &place, err);
        spool_drain_end(drain->spool);
        if (step == STEP_END && place.end > begin && begin > INT64_MIN) {
            place = (struct place){INT64_MIN, begin};
            step = STEP_ON;
        }
    }
    if (step == STEP_END) {
        drain->after = INT64_MIN;
    }
    return end_of(drain, step, err);
}

/* ---- the thread ---- */

struct drainer {
    struct drainer_options options;
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken, stopping;
    /* The thread's: what the log was told last, so that it is told once. */
    enum drain_end told;
    int64_t drained; /* since the spool was empty */
    int64_t after;   /* where the last pass gave up */
};

static bool is_stopping(struct drainer *drainer) {
    pthread_mutex_lock(&drainer->lock);
    bool stopping = drainer->stopping;
    pthread_mutex_unlock(&drainer->lock);
    return stopping;
}

static bool go_on(void *context, int64_t drained) {
    struct drainer *drainer = context;
    if (drained > 0) {
        drainer->options.up(drainer->options.context);
    }
    return !is_stopping(drainer);
}

static void tell(struct drainer *drainer, enum drain_end end, const struct drain *drain,
                 const struct err *err) {
    struct log_line line;
    drainer->drained += drain->drained;
    bool news = end != drainer->told || (end == DRAIN_EMPTY && drainer->drained > 0);
    if (end == DRAIN_STOPPED || end == DRAIN_BUSY || !news) {
        return;
    }
    drainer->told = end;
    if (end == DRAIN_EMPTY) {
        if (drainer->drained > 0) {
            log_begin(&line, LOG_INFO);
            log_str(&line, "message", SLICE_OF("the spool is drained"));
            log_int(&line, "events", drainer->drained);
            log_end(&line);
        }
        drainer->drained = 0;
        return;
    }
    log_begin(&line, end == DRAIN_FAILED ? LOG_ERROR : LOG_WARN);
    log_str(&line, "message",
            end == DRAIN_DOWN    ? SLICE_OF("the database takes no events: they wait in the spool")
            : end == DRAIN_STUCK ? SLICE_OF("events stay in the spool: they cannot be stored now")
                                 : SLICE_OF("the spool cannot be drained"));
    log_int(&line, "left", drain->left);
    log_str(&line, "sqlstate", slice_from_cstr(err->sqlstate));
    log_str(&line, "reason", slice_from_cstr(err->message));
    log_end(&line);
}

/* Somebody believes that the database is away, and no event was got through to prove otherwise.
 * IS_EMPTY: none waits that it has not taken. */
static enum drain_end ask_database(struct drainer *drainer, enum drain_end end, bool is_empty) {
    struct err err = ERR_INIT;
    if (!database_answers(drainer->store)) {
        return DRAIN_DOWN;
    }
    /* It may answer without storing anything: then one tries while the others are spooled, unless
     * they cannot be, which would refuse them all and wait for an event that nobody sends. */
    if (!is_empty && spool_check(drainer->options.spool, &err)) {
        drainer->options.try_one(drainer->options.context);
    } else {
        drainer->options.up(drainer->options.context);
    }
    return end;
}

static int64_t ms_after(enum drain_end end, int64_t left, bool is_filling) {
    switch (end) {
    case DRAIN_DOWN:
        return left > 0 ? IDLE_MS : DOWN_MS;
    case DRAIN_EMPTY:
        return is_filling ? DOWN_MS : IDLE_MS;
    case DRAIN_BUSY:
        return DOWN_MS;
    case DRAIN_STOPPED:
    case DRAIN_STUCK:
    case DRAIN_FAILED:
        break;
    }
    return STUCK_MS;
}

/* The time to sleep after it. */
static int64_t pass(struct drainer *drainer) {
    struct drain drain = {.spool = drainer->options.spool,
                          .store = drainer->store,
                          .go_on = go_on,
                          .context = drainer,
                          .after = drainer->after};
    struct spool_state state;
    struct err err = ERR_INIT;
    enum drain_end end = DRAIN_EMPTY;
    drainer->options.renew(drainer->options.context, drainer->store);
    /* In this order: what found it down is on its way into the spool by then, or in it. */
    bool is_down = drainer->options.is_down(drainer->options.context);
    bool is_filling = drainer->options.is_filling(drainer->options.context);
    if (!spool_look(drainer->options.spool, &state, &err)) {
        end = DRAIN_FAILED;
    } else if (state.events > 0) {
        drain.settings = drainer->options.settings(drainer->options.context);
        end = drain_pass(&drain, &err);
        settings_free(drain.settings);
        drainer->after = drain.after;
    }
    enum drain_end seen = end;
    if (end != DRAIN_DOWN && drain.drained > 0) {
        drainer->options.up(drainer->options.context);
    } else if (is_down && end != DRAIN_DOWN && end != DRAIN_STOPPED) {
        end = ask_database(drainer, end, end == DRAIN_EMPTY && !is_filling);
    }
    /* Last, so that who reads it finds what it led to. */
    tell(drainer, seen, &drain, &err);
    return ms_after(end, drain.left, is_filling);
}

/* False when the end has come. */
static bool sleep_for(struct drainer *drainer, int64_t ms) {
    int64_t until = monotonic_ms() + ms;
    pthread_mutex_lock(&drainer->lock);
    while (!drainer->woken && !drainer->stopping &&
           condition_wait_until(&drainer->changed, &drainer->lock, until)) {
    }
    drainer->woken = false;
    bool stopping = drainer->stopping;
    pthread_mutex_unlock(&drainer->lock);
    return !stopping;
}

static void *run(void *argument) {
    struct drainer *drainer = argument;
    while (sleep_for(drainer, pass(drainer))) {
    }
    return NULL;
}

static void destroy(struct drainer *drainer) {
    pthread_cond_destroy(&drainer->changed);
    pthread_mutex_destroy(&drainer->lock);
    store_free(drainer->store);
    free(drainer);
}

struct drainer *drainer_new(const struct drainer_options *options, struct err *err) {
    struct drainer *drainer = calloc(1, sizeof(*drainer));
    struct store *store = store_new(options->dsn, "waybill drain", STORE_PROMPT);
    if (drainer == NULL || store == NULL) {
        free(drainer);
        store_free(store);
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    *drainer = (struct drainer){.options = *options, .store = store, .after = INT64_MIN};
    pthread_mutex_init(&drainer->lock, NULL);
    condition_init(&drainer->changed);
    if (pthread_create(&drainer->thread, NULL, run, drainer) != 0) {
        destroy(drainer);
        err_set(err, ERR_SYSTEM, "cannot start the drainer");
        return NULL;
    }
    return drainer;
}

void drainer_wake(struct drainer *drainer) {
    pthread_mutex_lock(&drainer->lock);
    drainer->woken = true;
    pthread_cond_signal(&drainer->changed);
    pthread_mutex_unlock(&drainer->lock);
}

void drainer_free(struct drainer *drainer) {
    if (drainer == NULL) {
        return;
    }
    pthread_mutex_lock(&drainer->lock);
    drainer->stopping = true;
    pthread_cond_signal(&drainer->changed);
    pthread_mutex_unlock(&drainer->lock);
    pthread_join(drainer->thread, NULL);
    destroy(drainer);
}

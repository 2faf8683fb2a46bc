#include "engine/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MOST_JOBS 300

/* A job that knows whether its data will be refused, and what became of it. */
struct job {
    struct batch_job batch; /* first */
    bool poison;
    int completed;
    enum batch_result result;
};

/* What the committers of one test share. */
struct world {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool gate_closed; /* run() waits */
    size_t in_run;    /* committers inside run() */
    size_t completed;
    size_t runs;
    size_t largest;
    bool down; /* run() fails whatever the jobs */
    size_t opened, closed;
};

static void *open_state(void *context) {
    struct world *world = context;
    pthread_mutex_lock(&world->lock);
    world->opened++;
    pthread_mutex_unlock(&world->lock);
    return world;
}

static void close_state(void *state) {
    struct world *world = state;
    pthread_mutex_lock(&world->lock);
    world->closed++;
    pthread_mutex_unlock(&world->lock);
}

static enum batch_result run(void *state, struct batch_job **jobs, size_t count) {
    struct world *world = state;
    enum batch_result result = BATCH_DONE;
    pthread_mutex_lock(&world->lock);
    world->in_run++;
    world->runs++;
    world->largest = count > world->largest ? count : world->largest;
    pthread_cond_broadcast(&world->changed);
    while (world->gate_closed) {
        pthread_cond_wait(&world->changed, &world->lock);
    }
    world->in_run--;
    for (size_t i = 0; i < count; i++) {
        if (((struct job *)jobs[i])->poison) {
            result = BATCH_REFUSED;
        }
    }
    if (world->down) {
        result = BATCH_FAILED;
    }
    pthread_mutex_unlock(&world->lock);
    return result;
}

static void complete(void *context, struct batch_job *batch_job, enum batch_result result) {
    struct world *world = context;
    struct job *job = (struct job *)batch_job;
    pthread_mutex_lock(&world->lock);
    job->completed++;
    job->result = result;
    world->completed++;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
}

struct fixture {
    struct world world;
    struct batch *batch;
    struct job jobs[MOST_JOBS];
};

static void start(struct fixture *fixture, size_t committers, size_t max_jobs, size_t max_bytes,
                  size_t batch_jobs, size_t batch_bytes) {
    struct err err = ERR_INIT;
    *fixture = (struct fixture){
        .world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}};
    struct batch_options options = {
        .committers = committers,
        .max_jobs = max_jobs,
        .max_bytes = max_bytes,
        .batch_jobs = batch_jobs,
        .batch_bytes = batch_bytes,
        .open = open_state,
        .close = close_state,
        .run = run,
        .complete = complete,
        .context = &fixture->world,
    };
    fixture->batch = batch_new(&options, &err);
    assert_non_null(fixture->batch);
}

static bool submit(struct fixture *fixture, size_t index, size_t bytes) {
    fixture->jobs[index].batch.bytes = bytes;
    return batch_submit(fixture->batch, &fixture->jobs[index].batch);
}

static void set_gate(struct world *world, bool closed) {
    pthread_mutex_lock(&world->lock);
    world->gate_closed = closed;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
}

static void wait_until_running(struct world *world, size_t committers) {
    pthread_mutex_lock(&world->lock);
    while (world->in_run < committers) {
        pthread_cond_wait(&world->changed, &world->lock);
    }
    pthread_mutex_unlock(&world->lock);
}

static void wait_until_completed(struct world *world, size_t count) {
    pthread_mutex_lock(&world->lock);
    while (world->completed < count) {
        pthread_cond_wait(&world->changed, &world->lock);
    }
    pthread_mutex_unlock(&world->lock);
}

static void a_job_alone_is_a_batch(void **state) {
    static struct fixture fixture;
    (void)state;
    start(&fixture, 1, 10, 1000, 10, 1000);
    assert_true(submit(&fixture, 0, 1));
    wait_until_completed(&fixture.world, 1);
    batch_free(fixture.batch);
    assert_int_equal(fixture.jobs[0].result, BATCH_DONE);
    assert_int_equal(fixture.world.runs, 1);
}

/* Holds the committer in a first batch while COUNT more jobs queue. */
static void queue_behind_one(struct fixture *fixture, size_t count, size_t bytes) {
    set_gate(&fixture->world, true);
    assert_true(submit(fixture, 0, 1));
    wait_until_running(&fixture->world, 1);
    for (size_t i = 1; i <= count; i++) {
        assert_true(submit(fixture, i, bytes));
    }
    set_gate(&fixture->world, false);
    wait_until_completed(&fixture->world, count + 1);
}

static void what_queued_meanwhile_is_one_batch(void **state) {
    static struct fixture fixture;
    (void)state;
    start(&fixture, 1, MOST_JOBS, 1u << 20, MOST_JOBS, 1u << 20);
    queue_behind_one(&fixture, 200, 1);
    batch_free(fixture.batch);
    assert_int_equal(fixture.world.runs, 2);
    assert_int_equal(fixture.world.largest, 200);
}

static void a_batch_keeps_its_limits(void **state) {
    static const struct {
        size_t batch_jobs, batch_bytes, job_bytes, largest;
    } rows[] = {
        {16, 1u << 20, 1, 16}, /* by number */
        {100, 50, 10, 5},      /* by bytes */
        {100, 50, 60, 1},      /* one too large for any batch goes alone */
    };
    static struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start(&fixture, 1, MOST_JOBS, 1u << 20, rows[i].batch_jobs, rows[i].batch_bytes);
        queue_behind_one(&fixture, 64, rows[i].job_bytes);
        batch_free(fixture.batch);
        assert_int_equal(fixture.world.largest, rows[i].largest);
    }
}

static void a_full_queue_refuses_at_once(void **state) {
    static const struct {
        size_t max_jobs, max_bytes, taken;
    } rows[] = {
        {5, 1000, 5},
        {100, 7, 7},
        {1, 1000, 1},
    };
    static struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start(&fixture, 1, rows[i].max_jobs, rows[i].max_bytes, 10, 1000);
        set_gate(&fixture.world, true);
        assert_true(submit(&fixture, 0, 1));
        wait_until_running(&fixture.world, 1);
        size_t taken = 0;
        while (taken < MOST_JOBS - 1 && submit(&fixture, taken + 1, 1)) {
            taken++;
        }
        assert_int_equal(taken, rows[i].taken);
        set_gate(&fixture.world, false);
        wait_until_completed(&fixture.world, taken + 1);
        assert_true(submit(&fixture, taken + 1, 1)); /* it recovers by itself */
        batch_free(fixture.batch);
    }
}

static void poison_takes_no_neighbour_down(void **state) {
    static struct fixture fixture;
    enum { JOBS = 33 };
    (void)state;
    for (size_t poison = 1; poison <= JOBS; poison++) {
        start(&fixture, 1, MOST_JOBS, 1u << 20, MOST_JOBS, 1u << 20);
        fixture.jobs[poison].poison = true;
        queue_behind_one(&fixture, JOBS, 1);
        batch_free(fixture.batch);
        for (size_t i = 0; i <= JOBS; i++) {
            assert_int_equal(fixture.jobs[i].completed, 1);
            assert_int_equal(fixture.jobs[i].result, i == poison ? BATCH_REFUSED : BATCH_DONE);
        }
        /* The first job, the whole, and two halves a level: log2(33) is a little over 5. */
        assert_in_range(fixture.world.runs, 3, 2 + 2 * 6);
    }
}

static void all_poison_is_told_one_by_one(void **state) {
    static struct fixture fixture;
    (void)state;
    start(&fixture, 1, MOST_JOBS, 1u << 20, MOST_JOBS, 1u << 20);
    for (size_t i = 0; i < 20; i++) {
        fixture.jobs[i].poison = true;
    }
    queue_behind_one(&fixture, 19, 1);
    batch_free(fixture.batch);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(fixture.jobs[i].completed, 1);
        assert_int_equal(fixture.jobs[i].result, BATCH_REFUSED);
    }
}

static void a_failure_is_no_reason_for_halves(void **state) {
    static struct fixture fixture;
    (void)state;
    start(&fixture, 1, MOST_JOBS, 1u << 20, MOST_JOBS, 1u << 20);
    fixture.world.down = true;
    queue_behind_one(&fixture, 50, 1);
    batch_free(fixture.batch);
    assert_int_equal(fixture.world.runs, 2);
    for (size_t i = 0; i <= 50; i++) {
        assert_int_equal(fixture.jobs[i].result, BATCH_FAILED);
    }
}

static void the_end_finishes_what_is_parked(void **state) {
    static struct fixture fixture;
    (void)state;
    start(&fixture, 2, MOST_JOBS, 1u << 20, 7, 1u << 20);
    for (size_t i = 0; i < 250; i++) {
        assert_true(submit(&fixture, i, 1));
    }
    batch_free(fixture.batch);
    for (size_t i = 0; i < 250; i++) {
        assert_int_equal(fixture.jobs[i].completed, 1);
        assert_int_equal(fixture.jobs[i].result, BATCH_DONE);
    }
    assert_int_equal(fixture.world.opened, 2);
    assert_int_equal(fixture.world.closed, 2);
}

static void committers_work_at_the_same_time(void **state) {
    static struct fixture fixture;
    (void)state;
    start(&fixture, 2, 10, 1000, 1, 1000);
    set_gate(&fixture.world, true);
    assert_true(submit(&fixture, 0, 1));
    assert_true(submit(&fixture, 1, 1));
    wait_until_running(&fixture.world, 2); /* would wait for ever with one */
    set_gate(&fixture.world, false);
    batch_free(fixture.batch);
    assert_int_equal(fixture.world.completed, 2);
}

/* Many submitters, for ThreadSanitizer and for the count. */
struct submitter {
    struct fixture *fixture;
    size_t first, count;
};

static void *submit_many(void *argument) {
    struct submitter *submitter = argument;
    for (size_t i = submitter->first; i < submitter->first + submitter->count; i++) {
        if (!submit(submitter->fixture, i, 1)) {
            return argument;
        }
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state) {
    static struct fixture fixture;
    struct submitter submitters[6];
    pthread_t threads[6];
    (void)state;
    start(&fixture, 3, MOST_JOBS, 1u << 20, 8, 1u << 20);
    for (size_t i = 0; i < 6; i++) {
        submitters[i] = (struct submitter){&fixture, i * 50, 50};
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &submitters[i]), 0);
    }
    for (size_t i = 0; i < 6; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    batch_free(fixture.batch);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(fixture.jobs[i].completed, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_alone_is_a_batch),
        cmocka_unit_test(what_queued_meanwhile_is_one_batch),
        cmocka_unit_test(a_batch_keeps_its_limits),
        cmocka_unit_test(a_full_queue_refuses_at_once),
        cmocka_unit_test(poison_takes_no_neighbour_down),
        cmocka_unit_test(all_poison_is_told_one_by_one),
        cmocka_unit_test(a_failure_is_no_reason_for_halves),
        cmocka_unit_test(the_end_finishes_what_is_parked),
        cmocka_unit_test(committers_work_at_the_same_time),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

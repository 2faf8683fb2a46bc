#include "engine/batch.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define MOST_JOBS 300
#define IN_A_ROW 20

/* Nobody ever goes away. */
#define NEVER SIZE_MAX

/* A job that knows whether its data will be refused, and what became of it. */
struct job {
    struct batch_job batch; /* first */
    bool poison;
    int committed; /* in so many transactions */
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
    size_t sizes[8];   /* of the first transactions */
    size_t down_after; /* so many runs, and from then on it fails whatever the jobs */
    bool out_of_order; /* a transaction had its jobs in another order than they were submitted in */
    size_t opened, closed, renewed;
    struct connection {
        struct world *world;
    } connections[8]; /* one a committer */
    struct connection *last;
    size_t changes;          /* runs on another connection than the one before */
    struct fixture *chained; /* complete() submits the next job, IN_A_ROW in all */
};

static void *open_state(void *context) {
    struct world *world = context;
    pthread_mutex_lock(&world->lock);
    struct connection *connection = &world->connections[world->opened++];
    connection->world = world;
    pthread_mutex_unlock(&world->lock);
    return connection;
}

static void close_state(void *state) {
    struct world *world = ((struct connection *)state)->world;
    pthread_mutex_lock(&world->lock);
    world->closed++;
    pthread_mutex_unlock(&world->lock);
}

static void renew(void *context, void *state) {
    struct world *world = context;
    assert_ptr_equal(((struct connection *)state)->world, world);
    pthread_mutex_lock(&world->lock);
    assert_true(world->in_run < world->opened);
    world->renewed++;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
}

static enum batch_result judge(struct world *world, struct batch_job **jobs, size_t count) {
    enum batch_result result = BATCH_DONE;
    for (size_t i = 0; i < count; i++) {
        /* The order of submission is that of the addresses. */
        world->out_of_order |= i > 0 && jobs[i - 1] >= jobs[i];
        if (((struct job *)jobs[i])->poison) {
            result = BATCH_REFUSED;
        }
    }
    return world->runs > world->down_after ? BATCH_FAILED : result;
}

static enum batch_result run(void *state, struct batch_job **jobs, size_t count) {
    struct connection *connection = state;
    struct world *world = connection->world;
    pthread_mutex_lock(&world->lock);
    world->changes += world->last != connection;
    world->last = connection;
    world->in_run++;
    if (world->runs < ARRAY_LEN(world->sizes)) {
        world->sizes[world->runs] = count;
    }
    world->runs++;
    world->largest = count > world->largest ? count : world->largest;
    pthread_cond_broadcast(&world->changed);
    while (world->gate_closed) {
        pthread_cond_wait(&world->changed, &world->lock);
    }
    world->in_run--;
    enum batch_result result = judge(world, jobs, count);
    for (size_t i = 0; i < count && result == BATCH_DONE; i++) {
        ((struct job *)jobs[i])->committed++;
    }
    pthread_mutex_unlock(&world->lock);
    return result;
}

struct fixture {
    struct world world;
    struct batch *batch;
    struct job jobs[MOST_JOBS];
};

static bool submit(struct fixture *fixture, size_t index, size_t bytes) {
    fixture->jobs[index].batch.bytes = bytes;
    return batch_submit(fixture->batch, &fixture->jobs[index].batch);
}

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void complete(void *context, struct batch_job *batch_job, enum batch_result result) {
    struct world *world = context;
    struct job *job = (struct job *)batch_job;
    pthread_mutex_lock(&world->lock);
    job->completed++;
    job->result = result;
    size_t completed = ++world->completed;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
    if (world->chained != NULL && completed < IN_A_ROW) {
        assert_true(submit(world->chained, completed, 1));
        sleep_ms(5); /* time for others, and less than the engine's patience */
    }
}

static void start(struct fixture *fixture, size_t committers, size_t max_jobs, size_t max_bytes,
                  size_t batch_jobs, size_t batch_bytes) {
    struct err err = ERR_INIT;
    *fixture = (struct fixture){.world = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                          .changed = PTHREAD_COND_INITIALIZER,
                                          .down_after = NEVER}};
    struct batch_options options = {
        .committers = committers,
        .max_jobs = max_jobs,
        .max_bytes = max_bytes,
        .batch_jobs = batch_jobs,
        .batch_bytes = batch_bytes,
        .open = open_state,
        .close = close_state,
        .renew = renew,
        .run = run,
        .complete = complete,
        .context = &fixture->world,
    };
    fixture->batch = batch_new(&options, &err);
    assert_non_null(fixture->batch);
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

/* The engine is gone. Every job was answered once, and DONE is what was committed, once. */
static void check_answers(const struct fixture *fixture, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct job *job = &fixture->jobs[i];
        assert_int_equal(job->completed, 1);
        assert_int_equal(job->committed, job->result == BATCH_DONE ? 1 : 0);
        assert_true(job->poison ? job->result != BATCH_DONE : job->result != BATCH_REFUSED);
    }
    assert_false(fixture->world.out_of_order);
    assert_int_equal(fixture->world.completed, count);
    assert_int_equal(fixture->world.opened, fixture->world.closed);
}

static size_t count_results(const struct fixture *fixture, size_t count, enum batch_result result) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += fixture->jobs[i].result == result ? 1 : 0;
    }
    return found;
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
        size_t batch_jobs, batch_bytes, jobs, job_bytes;
        size_t sizes[6]; /* of the transactions, after that of the first job */
    } rows[] = {
        {16, 1u << 20, 64, 1, {16, 16, 16, 16}}, /* by number */
        {16, 1u << 20, 17, 1, {16, 1}},          /* one too many */
        {16, 1u << 20, 15, 1, {15}},             /* not full */
        {1, 1u << 20, 3, 1, {1, 1, 1}},          /* a batch of one */
        {100, 50, 17, 10, {5, 5, 5, 2}},         /* by bytes, to the last one */
        {100, 59, 12, 10, {5, 5, 2}},            /* by bytes, with some left over */
        {100, 50, 3, 60, {1, 1, 1}},             /* one too large for any batch goes alone */
        {LIMIT_BATCH_JOBS,
         LIMIT_BATCH_BYTES,
         299,
         4096,
         {LIMIT_BATCH_JOBS, 299 - LIMIT_BATCH_JOBS}},
        {LIMIT_BATCH_JOBS, LIMIT_BATCH_BYTES, 20, 1u << 20, {8, 8, 4}},
    };
    static struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t batches = 0;
        start(&fixture, 1, MOST_JOBS, 1u << 30, rows[i].batch_jobs, rows[i].batch_bytes);
        queue_behind_one(&fixture, rows[i].jobs, rows[i].job_bytes);
        batch_free(fixture.batch);
        check_answers(&fixture, rows[i].jobs + 1);
        assert_int_equal(fixture.world.sizes[0], 1);
        while (batches < ARRAY_LEN(rows[i].sizes) && rows[i].sizes[batches] > 0) {
            assert_int_equal(fixture.world.sizes[batches + 1], rows[i].sizes[batches]);
            batches++;
        }
        assert_int_equal(fixture.world.runs, batches + 1);
    }
}

/* Holds the committer in its batch and queues until the engine refuses; how many it took. */
static size_t fill_queue(struct fixture *fixture, size_t first, size_t bytes) {
    size_t taken = 0;
    set_gate(&fixture->world, true);
    assert_true(submit(fixture, first, 1));
    wait_until_running(&fixture->world, 1);
    while (first + taken < MOST_JOBS - 1 && submit(fixture, first + 1 + taken, bytes)) {
        taken++;
    }
    assert_false(submit(fixture, first + 1 + taken, bytes)); /* and stays refused */
    set_gate(&fixture->world, false);
    wait_until_completed(&fixture->world, first + 1 + taken);
    return taken;
}

static void a_full_queue_refuses_at_once(void **state) {
    static const struct {
        size_t max_jobs, max_bytes, job_bytes, taken;
    } rows[] = {
        {5, 1000, 1, 5},  {100, 7, 1, 7},   {1, 1000, 1, 1},
        {100, 70, 10, 7}, {100, 79, 10, 7}, /* by bytes, with some left over */
        {100, 70, 71, 0},                   /* larger than the whole queue */
    };
    static struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t first = 0;
        start(&fixture, 1, rows[i].max_jobs, rows[i].max_bytes, 10, 1000);
        /* It recovers by itself, and what was taken before counts no more. */
        for (int again = 0; again < 4; again++) {
            assert_int_equal(fill_queue(&fixture, first, rows[i].job_bytes), rows[i].taken);
            first += rows[i].taken + 1;
        }
        batch_free(fixture.batch);
        check_answers(&fixture, first);
        assert_int_equal(count_results(&fixture, first, BATCH_DONE), first);
    }
}

/* How often COUNT can be halved, rounded up. */
static size_t levels(size_t count) {
    size_t found = 0;
    while (((size_t)1 << found) < count) {
        found++;
    }
    return found;
}

static void poison_takes_no_neighbour_down(void **state) {
    static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 16, 33, 64, 100, LIMIT_BATCH_JOBS};
    static struct fixture fixture;
    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        size_t most = 2 + 2 * levels(sizes[s]); /* the first job, the whole, two halves a level */
        for (size_t poison = 1; poison <= sizes[s]; poison++) {
            start(&fixture, 1, MOST_JOBS, 1u << 20, MOST_JOBS, 1u << 20);
            fixture.jobs[poison].poison = true;
            queue_behind_one(&fixture, sizes[s], 1);
            batch_free(fixture.batch);
            check_answers(&fixture, sizes[s] + 1);
            assert_int_equal(fixture.jobs[poison].result, BATCH_REFUSED);
            assert_int_equal(count_results(&fixture, sizes[s] + 1, BATCH_DONE), sizes[s]);
            assert_in_range(fixture.world.runs, 2, most);
        }
    }
}

static void several_poisons_are_found_one_by_one(void **state) {
    static const struct {
        size_t jobs, poisons, first, step;
    } rows[] = {
        {2, 2, 1, 1},     /* nothing else */
        {64, 2, 1, 63},   /* both ends */
        {64, 2, 32, 1},   /* side by side, in different halves */
        {64, 8, 9, 1},    /* a half of a half of a half */
        {100, 33, 2, 3},  /* every third */
        {255, 5, 17, 51}, /* here and there */
        {40, 40, 1, 1},   /* all of them */
    };
    static struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start(&fixture, 1, MOST_JOBS, 1u << 20, MOST_JOBS, 1u << 20);
        for (size_t poison = 0; poison < rows[i].poisons; poison++) {
            fixture.jobs[rows[i].first + poison * rows[i].step].poison = true;
        }
        queue_behind_one(&fixture, rows[i].jobs, 1);
        batch_free(fixture.batch);
        check_answers(&fixture, rows[i].jobs + 1);
        assert_int_equal(count_results(&fixture, rows[i].jobs + 1, BATCH_REFUSED), rows[i].poisons);
        assert_in_range(fixture.world.runs, 3, 2 + 2 * rows[i].poisons * levels(rows[i].jobs));
    }
}

static void a_failure_is_no_reason_for_halves(void **state) {
    static struct fixture fixture;
    (void)state;
    start(&fixture, 1, MOST_JOBS, 1u << 20, MOST_JOBS, 1u << 20);
    fixture.world.down_after = 0;
    queue_behind_one(&fixture, 50, 1);
    batch_free(fixture.batch);
    assert_int_equal(fixture.world.runs, 2);
    check_answers(&fixture, 51);
    assert_int_equal(count_results(&fixture, 51, BATCH_FAILED), 51);
}

/* The database goes away after each possible number of transactions of a batch that is halved: what
 * was committed stays DONE, the rest is told FAILED, and none is tried for ever. */
static void a_failure_between_halves_leaves_what_is_done(void **state) {
    static struct fixture fixture;
    enum { JOBS = 33, POISON = 20 };
    size_t done_before = 0, most_runs = 0;
    (void)state;
    for (size_t down_after = 0; down_after <= 2 + 2 * 6; down_after++) {
        start(&fixture, 1, MOST_JOBS, 1u << 20, MOST_JOBS, 1u << 20);
        fixture.world.down_after = down_after;
        fixture.jobs[POISON].poison = true;
        queue_behind_one(&fixture, JOBS, 1);
        batch_free(fixture.batch);
        check_answers(&fixture, JOBS + 1);
        size_t done = count_results(&fixture, JOBS + 1, BATCH_DONE);
        assert_true(done >= done_before);
        done_before = done;
        most_runs = fixture.world.runs > most_runs ? fixture.world.runs : most_runs;
    }
    assert_int_equal(done_before, JOBS); /* the last time it went away too late */
    assert_in_range(most_runs, 3, 2 + 2 * 6);
}

static void *end(void *argument) {
    batch_free(argument);
    return NULL;
}

static void the_end_finishes_what_is_parked(void **state) {
    static const struct {
        size_t poison;     /* every so many jobs; 0: none */
        size_t down_after; /* transactions */
    } rows[] = {{0, NEVER}, {50, NEVER}, {0, 3}, {0, 0}};
    static struct fixture fixture;
    enum { JOBS = 250 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        pthread_t ender;
        start(&fixture, 2, MOST_JOBS, 1u << 20, 7, 1u << 20);
        fixture.world.down_after = rows[i].down_after;
        set_gate(&fixture.world, true);
        for (size_t job = 0; job < JOBS; job++) {
            fixture.jobs[job].poison = rows[i].poison > 0 && job % rows[i].poison == 1;
            assert_true(submit(&fixture, job, 1));
        }
        /* Both committers have a batch in hand, everything else is parked. */
        wait_until_running(&fixture.world, 2);
        assert_int_equal(pthread_create(&ender, NULL, end, fixture.batch), 0);
        set_gate(&fixture.world, false);
        pthread_join(ender, NULL);
        check_answers(&fixture, JOBS);
        assert_int_equal(fixture.world.closed, 2);
        assert_int_equal(count_results(&fixture, JOBS, BATCH_REFUSED),
                         rows[i].poison > 0 ? JOBS / rows[i].poison : 0);
        assert_true((count_results(&fixture, JOBS, BATCH_FAILED) > 0) ==
                    (rows[i].down_after != NEVER));
    }
}

static void the_end_of_an_engine_without_work(void **state) {
    static struct fixture fixture;
    (void)state;
    start(&fixture, 3, 10, 1000, 10, 1000);
    batch_free(fixture.batch);
    check_answers(&fixture, 0);
    assert_int_equal(fixture.world.opened, 3);
    assert_int_equal(fixture.world.runs, 0);
    batch_free(NULL);
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

/* Two batches of one job are stuck: a third job is fewer than those, yet it does not wait for them.
 */
static void a_stuck_batch_holds_nobody_up(void **state) {
    static struct fixture fixture;
    (void)state;
    start(&fixture, 3, 10, 1000, 10, 1000);
    set_gate(&fixture.world, true);
    for (size_t i = 0; i < 3; i++) {
        assert_true(submit(&fixture, i, 1));
        wait_until_running(&fixture.world, i + 1);
    }
    set_gate(&fixture.world, false);
    batch_free(fixture.batch);
    assert_int_equal(fixture.world.completed, 3);
}

/* Each is submitted when all committers wait. */
static size_t changes_with_pauses(void) {
    static struct fixture fixture;
    start(&fixture, 4, 10, 1000, 10, 1000);
    for (size_t i = 0; i < IN_A_ROW; i++) {
        sleep_ms(1);
        assert_true(submit(&fixture, i, 1));
        wait_until_completed(&fixture.world, i + 1);
    }
    batch_free(fixture.batch);
    return fixture.world.changes;
}

/* Each is submitted when the one before is answered, and its committer not yet free again. */
static size_t changes_without_pauses(void) {
    static struct fixture fixture;
    start(&fixture, 4, 10, 1000, 10, 1000);
    fixture.world.chained = &fixture;
    assert_true(submit(&fixture, 0, 1));
    wait_until_completed(&fixture.world, IN_A_ROW);
    batch_free(fixture.batch);
    return fixture.world.changes;
}

/* A committer that loses its processor for long enough loses its turn, so on a machine with much
 * else to do it takes some attempts to see the rule. */
static void one_after_another_stays_with_one_connection(void **state) {
    enum { ATTEMPTS = 100 };
    size_t (*const ways[])(void) = {changes_with_pauses, changes_without_pauses};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        size_t changes = IN_A_ROW;
        for (int attempt = 0; attempt < ATTEMPTS && changes >= IN_A_ROW / 4; attempt++) {
            changes = ways[i]();
        }
        assert_in_range(changes, 1, IN_A_ROW / 4 - 1);
    }
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
    static const struct {
        size_t committers, batch_jobs, poison; /* every so many jobs; 0: none */
    } rows[] = {{3, 8, 0}, {4, 8, 10}, {2, MOST_JOBS, 60}, {8, 1, 7}};
    static struct fixture fixture;
    struct submitter submitters[6];
    pthread_t threads[6];
    (void)state;
    for (size_t row = 0; row < ARRAY_LEN(rows); row++) {
        size_t poisons = 0;
        start(&fixture, rows[row].committers, MOST_JOBS, 1u << 20, rows[row].batch_jobs, 1u << 20);
        for (size_t i = 0; i < MOST_JOBS; i++) {
            fixture.jobs[i].poison = rows[row].poison > 0 && i % rows[row].poison == 0;
            poisons += fixture.jobs[i].poison ? 1 : 0;
        }
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
        fixture.world.out_of_order = false; /* six threads have none */
        check_answers(&fixture, MOST_JOBS);
        assert_int_equal(count_results(&fixture, MOST_JOBS, BATCH_REFUSED), poisons);
        assert_int_equal(count_results(&fixture, MOST_JOBS, BATCH_FAILED), 0);
    }
}

static void wait_until_renewed(struct world *world, size_t count) {
    pthread_mutex_lock(&world->lock);
    while (world->renewed < count) {
        pthread_cond_wait(&world->changed, &world->lock);
    }
    pthread_mutex_unlock(&world->lock);
}

/* An idle committer at once, a busy one after its batch; and the work goes on. */
static void every_committer_renews(void **state) {
    struct fixture fixture;
    (void)state;
    start(&fixture, 2, 100, 1000, 10, 1000);
    batch_renew(fixture.batch);
    wait_until_renewed(&fixture.world, 2);
    set_gate(&fixture.world, true);
    assert_true(submit(&fixture, 0, 1));
    wait_until_running(&fixture.world, 1);
    batch_renew(fixture.batch);
    wait_until_renewed(&fixture.world, 3);
    set_gate(&fixture.world, false);
    wait_until_renewed(&fixture.world, 4);
    assert_true(submit(&fixture, 1, 1));
    batch_free(fixture.batch);
    check_answers(&fixture, 2);
    assert_int_equal(fixture.world.renewed, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_alone_is_a_batch),
        cmocka_unit_test(what_queued_meanwhile_is_one_batch),
        cmocka_unit_test(a_batch_keeps_its_limits),
        cmocka_unit_test(a_full_queue_refuses_at_once),
        cmocka_unit_test(poison_takes_no_neighbour_down),
        cmocka_unit_test(several_poisons_are_found_one_by_one),
        cmocka_unit_test(a_failure_is_no_reason_for_halves),
        cmocka_unit_test(a_failure_between_halves_leaves_what_is_done),
        cmocka_unit_test(the_end_finishes_what_is_parked),
        cmocka_unit_test(the_end_of_an_engine_without_work),
        cmocka_unit_test(committers_work_at_the_same_time),
        cmocka_unit_test(a_stuck_batch_holds_nobody_up),
        cmocka_unit_test(one_after_another_stays_with_one_connection),
        cmocka_unit_test(every_committer_renews),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

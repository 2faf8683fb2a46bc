/*
 * Any order of arrival, any duplication and any cut into batches end in the same rows, byte for
 * byte, registers included; and in the right ones (fold_oracle.h). Webhooks are those of all
 * senders (fold_bodies.h) and made up ones whose times, keys and words collide (fold_synthetic.h);
 * between batches the state is what the database holds (fold_database.h).
 *
 * WAYBILL_TEST_SEED repeats a run, WAYBILL_TEST_ARRIVALS says how many random arrivals there are:
 * a million, and fewer where the programs are slow. tests/unit/planted.sh shows that this test
 * fails when the code is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fold_bodies.h"
#include "fold_oracle_shown.h"
#include "fold_synthetic.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 2
#define SET_MAX 7
#define FULL_RUN 200000
#define ARRIVALS_OF_WORLD 8

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SLOW
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define IS_SLOW
#endif
#ifdef IS_SLOW
#define ARRIVALS 40000
#else
#define ARRIVALS 1000000
#endif

static uint64_t seed_of_run;
static size_t arrivals_of_run;

/* Each worker does its part in a process of its own and returns how many webhooks arrived. */
typedef size_t work_fn(size_t worker);

static void run_workers(work_fn *work) {
    int results[WORKERS][2];
    pid_t pids[WORKERS];
    size_t total = 0;
    (void)fflush(NULL);
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(pipe(results[i]), 0);
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            size_t done = work(i);
            exit(write(results[i][1], &done, sizeof(done)) == (ssize_t)sizeof(done) ? 0 : 1);
        }
        (void)close(results[i][1]);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        size_t done = 0;
        int status = -1;
        ssize_t len = read(results[i][0], &done, sizeof(done));
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        (void)close(results[i][0]);
        total += done;
        if (len != (ssize_t)sizeof(done) || status != 0) {
            fail_msg("failed, as reported above; WAYBILL_TEST_SEED=%llu repeats it",
                     (unsigned long long)seed_of_run);
        }
    }
    print_message("%zu arrivals\n", total);
}

/* ---- worlds ---- */

/* Made-up webhooks first, then those of each sender. */
static size_t kind_count(void) {
    size_t senders;
    (void)provider_table(&senders);
    return ARRAY_LEN(FOLD_STYLES) + senders;
}

static struct fold_world make_world(size_t kind, uint64_t seed, size_t count) {
    size_t senders;
    const struct provider *table = provider_table(&senders);
    struct choices choices = choices_of_seed(seed);
    const struct provider *provider =
        kind < ARRAY_LEN(FOLD_STYLES) ? NULL : &table[kind - ARRAY_LEN(FOLD_STYLES)];
    struct fold_world world =
        fold_world_new(provider != NULL ? provider->name.data : FOLD_STYLES[kind].name, seed);
    if (provider != NULL) {
        add_bodies(&world, &choices, provider, count);
    } else {
        add_synthetic(&world, &choices, &FOLD_STYLES[kind], count);
    }
    return world;
}

static uint64_t seed_for(size_t a, size_t b) {
    struct choices choices = choices_of_seed(seed_of_run + a * 1000003 + b);
    return choose_bits(&choices) >> 1;
}

/* ---- every order of a few webhooks ---- */

struct orders {
    const struct fold_world *world;
    const struct fold_database *end;
    struct choices choices;
    struct fold_arrival arrival;
    bool every_cut;
    size_t done;
};

static void try_cuts(struct orders *orders) {
    struct fold_arrival *arrival = &orders->arrival;
    uint64_t cuts = UINT64_C(1) << (arrival->count - 1);
    uint64_t first = orders->every_cut ? 0 : choose_bits(&orders->choices) % cuts;
    for (arrival->cuts = first; arrival->cuts < (orders->every_cut ? cuts : first + 1);
         arrival->cuts++) {
        check_arrival(orders->world, orders->end, arrival);
        orders->done += arrival->count;
    }
}

/* Every order of the numbers from AT on. */
static void try_orders(struct orders *orders, size_t at) {
    size_t *numbers = orders->arrival.numbers;
    if (at == orders->arrival.count) {
        try_cuts(orders);
        return;
    }
    for (size_t i = at; i < orders->arrival.count; i++) {
        size_t number = numbers[at];
        numbers[at] = numbers[i];
        numbers[i] = number;
        try_orders(orders, at + 1);
        numbers[i] = numbers[at];
        numbers[at] = number;
    }
}

static size_t try_set(const struct fold_world *world) {
    if (world->count == 0) {
        return 0;
    }
    struct fold_database end = fold_end_of(world);
    struct orders orders = {.world = world,
                            .end = &end,
                            .choices = choices_of_seed(world->seed),
                            .arrival = {.count = world->count},
                            .every_cut = world->count <= 4};
    for (size_t i = 0; i < world->count; i++) {
        orders.arrival.numbers[i] = i;
    }
    check_end(world, &end);
    try_orders(&orders, 0);
    fold_database_free(&end);
    return orders.done;
}

/* How many sets of each size there are of each kind: many small ones, few large ones; of a short
 * run none of the large ones. */
static size_t sets_of(size_t size) {
    static const size_t sets[SET_MAX + 1] = {
        [2] = 60, [3] = 40, [4] = 12, [5] = 8, [6] = 2, [7] = 1};
    size_t part = arrivals_of_run < FULL_RUN ? sets[size] * arrivals_of_run / FULL_RUN : sets[size];
    return part == 0 && size <= 4 ? 1 : part;
}

static size_t try_sets(size_t worker) {
    size_t done = 0, number = 0;
    for (size_t kind = 0; kind < kind_count(); kind++) {
        for (size_t size = 2; size <= SET_MAX; size++) {
            for (size_t i = 0; i < sets_of(size); i++) {
                if ((number++ + kind) % WORKERS != worker) {
                    continue;
                }
                struct fold_world world = make_world(kind, seed_for(number, size), size);
                done += try_set(&world);
                fold_world_free(&world);
            }
        }
    }
    return done;
}

static void every_order_of_up_to_seven_webhooks_ends_the_same(void **state) {
    (void)state;
    run_workers(try_sets);
}

/* ---- random arrivals ---- */

static size_t try_random(size_t worker) {
    size_t done = 0;
    for (size_t number = 0; done < arrivals_of_run / WORKERS; number++) {
        uint64_t seed = seed_for(WORKERS * number + worker, 0);
        struct choices choices = choices_of_seed(seed);
        size_t count = 2 + choose(&choices, 20);
        struct fold_world world = make_world(number % kind_count(), seed, count);
        if (world.count > 0) {
            struct fold_database end = fold_end_of(&world);
            check_end(&world, &end);
            for (size_t i = 0; i < ARRIVALS_OF_WORLD; i++) {
                struct fold_arrival arrival = choose_arrival(&world, &choices);
                check_arrival(&world, &end, &arrival);
                done += arrival.count;
            }
            fold_database_free(&end);
        }
        fold_world_free(&world);
    }
    return done;
}

static void random_arrivals_end_the_same(void **state) {
    (void)state;
    run_workers(try_random);
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_of_up_to_seven_webhooks_ends_the_same),
        cmocka_unit_test(random_arrivals_end_the_same),
    };
    seed_of_run = number_from("WAYBILL_TEST_SEED", (uint64_t)time(NULL));
    arrivals_of_run = (size_t)number_from("WAYBILL_TEST_ARRIVALS", ARRIVALS);
    print_message("seed %llu\n", (unsigned long long)seed_of_run);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

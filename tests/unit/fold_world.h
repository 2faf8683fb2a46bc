/*
 * A world: webhooks that speak of the same few orders, and their arrival in any order, with
 * duplicates, in batches.
 */
#ifndef TESTS_FOLD_WORLD_H
#define TESTS_FOLD_WORLD_H

#include "choices.h"
#include "fold_batch.h"

#define WORLD_MAX BATCH_MAX

struct fold_world {
    const char *name;
    uint64_t seed;
    struct arena *arena;
    struct delivery *deliveries[WORLD_MAX];
    size_t count;
};

static inline struct fold_world fold_world_new(const char *name, uint64_t seed) {
    struct fold_world world = {.name = name, .seed = seed, .arena = arena_new((size_t)1 << 30)};
    if (world.arena == NULL) {
        fold_fail("out of memory");
    }
    (void)snprintf(fold_subject, sizeof(fold_subject), "%s, seed %llu", name,
                   (unsigned long long)seed);
    return world;
}

static inline void fold_world_free(struct fold_world *world) {
    arena_free(world->arena);
}

/* Adds DELIVERY, which has no identities yet, unless it is there already. */
static inline void fold_world_add(struct fold_world *world, const struct delivery *delivery) {
    struct delivery *added = must_alloc(world->arena, sizeof(*added));
    *added = *delivery;
    if (!delivery_identify(added, world->arena)) {
        fold_fail("out of memory");
    }
    for (size_t i = 0; i < world->count; i++) {
        if (uuid_eq(&world->deliveries[i]->id, &added->id)) {
            return;
        }
    }
    if (world->count < WORLD_MAX && added->reading == READING_APPLIED) {
        world->deliveries[world->count++] = added;
    }
}

/* An arrival: numbers of webhooks, one after the other; a batch ends behind each whose bit is set.
 */
struct fold_arrival {
    size_t numbers[WORLD_MAX];
    size_t count;
    uint64_t cuts;
};

static inline void describe_arrival(const struct fold_world *world,
                                    const struct fold_arrival *arrival) {
    int len = snprintf(fold_subject, sizeof(fold_subject), "%s, seed %llu, arrival", world->name,
                       (unsigned long long)world->seed);
    for (size_t i = 0; i < arrival->count && len > 0 && len + 8 < (int)sizeof(fold_subject); i++) {
        len += snprintf(fold_subject + len, 8, " %zu%s", arrival->numbers[i],
                        arrival->cuts >> i & 1 ? " |" : "");
    }
}

static inline struct fold_database fold_arrive(const struct fold_world *world,
                                               const struct fold_arrival *arrival) {
    struct fold_database db = fold_database_new();
    struct delivery *batch[WORLD_MAX];
    size_t count = 0;
    describe_arrival(world, arrival);
    for (size_t i = 0; i < arrival->count; i++) {
        batch[count++] = world->deliveries[arrival->numbers[i]];
        if ((arrival->cuts >> i & 1) != 0 || i + 1 == arrival->count) {
            fold_commit(&db, batch, count);
            count = 0;
        }
    }
    return db;
}

/* The end of all webhooks in one batch. */
static inline struct fold_database fold_end_of(const struct fold_world *world) {
    struct fold_arrival arrival = {.count = world->count};
    for (size_t i = 0; i < arrival.count; i++) {
        arrival.numbers[i] = i;
    }
    return fold_arrive(world, &arrival);
}

static inline void check_arrival(const struct fold_world *world,
                                 const struct fold_database *expected,
                                 const struct fold_arrival *arrival) {
    struct fold_database db = fold_arrive(world, arrival);
    check_same_end(expected, &db);
    fold_database_free(&db);
}

/* Every webhook once, in any order, some again, cut anywhere. */
static inline struct fold_arrival choose_arrival(const struct fold_world *world,
                                                 struct choices *choices) {
    struct fold_arrival arrival = {.count = 0};
    unsigned percent_again = (unsigned)choose(choices, 40);
    unsigned percent_cuts = (unsigned)choose(choices, 101);
    for (size_t i = 0; i < world->count; i++) {
        arrival.numbers[arrival.count++] = i;
    }
    for (size_t i = 0; i < world->count && arrival.count < WORLD_MAX; i++) {
        if (choose_whether(choices, percent_again)) {
            arrival.numbers[arrival.count++] = i;
        }
    }
    for (size_t i = arrival.count; i > 1; i--) {
        size_t other = choose(choices, i), last = arrival.numbers[i - 1];
        arrival.numbers[i - 1] = arrival.numbers[other];
        arrival.numbers[other] = last;
    }
    for (size_t i = 0; i < arrival.count; i++) {
        arrival.cuts |= (uint64_t)choose_whether(choices, percent_cuts) << i;
    }
    return arrival;
}

#endif

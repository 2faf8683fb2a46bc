/* Things by their UUID. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/uuid_map.h"

#include <string.h>

struct thing {
    struct uuid key; /* first */
    size_t number;
};

/* Keys as a hash makes them; with ALIKE all have the same place in the table. */
static struct uuid key_of(size_t number, bool alike) {
    struct uuid key = {{0}};
    uint64_t bits = (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(key.bytes, &bits, sizeof(bits));
    if (!alike) {
        memcpy(key.bytes + 8, &bits, sizeof(bits));
    }
    return key;
}

static struct arena *must_have_arena(size_t max) {
    struct arena *arena = arena_new(max);
    assert_non_null(arena);
    return arena;
}

static void fill(struct uuid_map *map, size_t count, bool alike, struct arena *arena) {
    for (size_t i = 0; i < count; i++) {
        struct thing *thing = arena_alloc(arena, sizeof(*thing));
        assert_non_null(thing);
        *thing = (struct thing){key_of(i, alike), i};
        assert_true(uuid_map_add(map, thing, arena));
    }
}

static void check_found(size_t count, bool alike) {
    struct arena *arena = must_have_arena((size_t)1 << 26);
    struct uuid_map map = {.count = 0};
    fill(&map, count, alike, arena);
    assert_int_equal(map.count, count);
    for (size_t i = 0; i < count; i++) {
        struct uuid key = key_of(i, alike);
        const struct thing *found = uuid_map_find(&map, &key);
        const struct thing *item = map.items[i];
        /* They stand there in the order in which they were added. */
        if (found == NULL || found->number != i || item != found) {
            fail_msg("number %zu of %zu is not found", i, count);
        }
    }
    for (size_t i = count; i < 2 * count + 8; i++) {
        struct uuid key = key_of(i, alike);
        assert_null(uuid_map_find(&map, &key));
    }
    arena_free(arena);
}

static void what_is_added_is_found(void **state) {
    static const size_t counts[] = {0, 1, 3, 4, 5, 8, 9, 100, 20000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        check_found(counts[i], false);
    }
}

/* Also where every key belongs to the same slot. */
static void keys_that_collide_are_told_apart(void **state) {
    static const size_t counts[] = {1, 4, 5, 300};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        check_found(counts[i], true);
    }
}

static void keys_differ_in_any_byte(void **state) {
    const struct uuid key = {{1, 2, 3}};
    (void)state;
    for (size_t i = 0; i < sizeof(key.bytes); i++) {
        struct uuid other = key;
        assert_true(uuid_eq(&key, &other));
        other.bytes[i] ^= 0x80;
        assert_false(uuid_eq(&key, &other));
    }
}

/* What was there stays there. */
static void without_memory_nothing_is_added(void **state) {
    struct arena *arena = must_have_arena((size_t)1 << 20), *none = must_have_arena(0);
    struct uuid_map map = {.count = 0};
    struct thing more = {key_of(99, false), 99};
    (void)state;
    assert_false(uuid_map_add(&map, &more, none));
    assert_int_equal(map.count, 0);
    assert_null(uuid_map_find(&map, &more.key));
    fill(&map, 4, false, arena);
    assert_false(uuid_map_add(&map, &more, none));
    assert_int_equal(map.count, 4);
    for (size_t i = 0; i < 4; i++) {
        struct uuid key = key_of(i, false);
        assert_non_null(uuid_map_find(&map, &key));
    }
    assert_true(uuid_map_add(&map, &more, arena));
    assert_ptr_equal(uuid_map_find(&map, &more.key), &more);
    arena_free(arena);
    arena_free(none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_found),
        cmocka_unit_test(keys_that_collide_are_told_apart),
        cmocka_unit_test(keys_differ_in_any_byte),
        cmocka_unit_test(without_memory_nothing_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

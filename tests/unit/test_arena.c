/* Arenas: alignment, zeroes, the maximum, and pieces that do not touch each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

#include <stdalign.h>
#include <string.h>

static void test_pieces(void **state) {
    static const size_t sizes[] = {0,    1,     7,     16,    17,   1000, 4095, 4096,
                                   4097, 70000, 16384, 65536, 9999, 1,    0,    300000};
    enum { ROUNDS = 8 };
    unsigned char *pieces[ROUNDS * ARRAY_LEN(sizes)];
    struct arena *arena = arena_new(SIZE_MAX);
    size_t total = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        size_t size = sizes[i % ARRAY_LEN(sizes)];
        pieces[i] = arena_alloc(arena, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t j = 0; j < size; j++)
            assert_int_equal(pieces[i][j], 0);
        memset(pieces[i], (int)(i + 1), size);
        total += size;
    }
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        for (size_t j = 0; j < sizes[i % ARRAY_LEN(sizes)]; j++)
            assert_int_equal(pieces[i][j], (unsigned char)(i + 1));
    assert_int_equal(arena_used(arena), total);
    arena_free(arena);
}

static void test_maximum(void **state) {
    static const struct {
        size_t max, before, size;
        bool fits;
    } rows[] = {
        {100, 0, 100, true},
        {100, 0, 101, false},
        {100, 60, 40, true},
        {100, 60, 41, false},
        {100, 100, 0, true},
        {0, 0, 0, true},
        {0, 0, 1, false},
        {100, 1, SIZE_MAX, false},
        {SIZE_MAX, 1, SIZE_MAX, false},
        {SIZE_MAX, 1, SIZE_MAX / 2 + 1, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *arena = arena_new(rows[i].max);
        assert_non_null(arena_alloc(arena, rows[i].before));
        if ((arena_alloc(arena, rows[i].size) != NULL) != rows[i].fits)
            fail_msg("row %zu", i);
        assert_int_equal(arena_failed(arena), !rows[i].fits);
        assert_int_equal(arena_used(arena), rows[i].before + (rows[i].fits ? rows[i].size : 0));
        arena_free(arena);
    }
}

static void test_array(void **state) {
    struct arena *arena = arena_new(1000);

    (void)state;
    assert_null(arena_array(arena, SIZE_MAX / 2, 3));
    assert_null(arena_array(arena, SIZE_MAX, SIZE_MAX));
    assert_null(arena_array(arena, 101, 10));
    assert_non_null(arena_array(arena, 0, 10));
    assert_non_null(arena_array(arena, 100, 10));
    assert_null(arena_array(arena, 1, 1));
    arena_free(arena);
}

static void test_dup(void **state) {
    struct arena *arena = arena_new(10);
    struct slice out;

    (void)state;
    assert_true(arena_dup(arena, SLICE_OF("a\0b"), &out));
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "a\0b", 4);
    assert_true(arena_dup(arena, SLICE_EMPTY, &out));
    assert_int_equal(out.len, 0);
    assert_string_equal(out.data, "");
    assert_false(arena_dup(arena, SLICE_OF("12345"), &out)); /* its NUL has no room */
    assert_null(out.data);
    assert_int_equal(out.len, 0);
    assert_true(arena_dup(arena, SLICE_OF("1234"), &out));
    arena_free(arena);
    arena_free(NULL);
}

static void test_wipe(void **state) {
    struct arena *arena = arena_new(100000);
    struct slice secrets[3];
    char *large;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_true(arena_dup(arena, SLICE_OF("hunter2"), &secrets[i]));
    large = arena_alloc(arena, 50000); /* a block of its own */
    assert_non_null(large);
    large[49999] = 'x';
    arena_wipe(arena);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(secrets[i].data, "\0\0\0\0\0\0\0", 7);
    assert_int_equal(large[49999], 0);
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces), cmocka_unit_test(test_maximum), cmocka_unit_test(test_array),
        cmocka_unit_test(test_dup),    cmocka_unit_test(test_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What the fuzz targets share. A target is one file fuzz_<target>.c with one function; it is linked
 * with libFuzzer (`make fuzz`) or with replay.c, which runs the inputs of a corpus once (`make
 * check`).
 *
 * A target does more than not to crash: REQUIRE says what must hold of every input, also in builds
 * without sanitizers.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 0 always. SIZE bytes at DATA, which end where their memory ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(__FILE__, __LINE__, #condition);                                             \
    } while (0)

static inline _Noreturn void fuzz_fail(const char *file, int line, const char *condition) {
    (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

static inline struct slice fuzz_input(const uint8_t *data, size_t size) {
    return (struct slice){(const char *)data, size};
}

static inline void *fuzz_memory(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    REQUIRE(memory);
    return memory;
}

/* A copy whose memory ends with it, so that a read beyond it is found. The caller frees .data. */
static inline struct slice fuzz_exact(struct slice s) {
    char *copy = fuzz_memory(s.len);
    if (s.len)
        memcpy(copy, s.data, s.len);
    return (struct slice){copy, s.len};
}

static inline void fuzz_release(struct slice exact) {
    free((void *)(uintptr_t)exact.data);
}

/* "NAME=value" as a string of the C library: of the value what stands before a NUL. To be freed. */
static inline char *fuzz_pair(const char *name, struct slice value) {
    size_t len = strlen(name);
    char *pair = fuzz_memory(len + 1 + value.len + 1), *exact;
    memcpy(pair, name, len);
    pair[len] = '=';
    if (value.len)
        memcpy(pair + len + 1, value.data, value.len);
    exact = realloc(pair, strlen(pair) + 1);
    REQUIRE(exact);
    return exact;
}

/* Up to the next line feed; *rest behind it. */
static inline struct slice fuzz_line(struct slice *rest) {
    struct slice line;
    (void)slice_split(*rest, '\n', &line, rest);
    return line;
}

/* The next byte; 0 when there is none. */
static inline uint8_t fuzz_byte(struct slice *rest) {
    uint8_t byte = rest->len ? (uint8_t)rest->data[0] : 0;
    *rest = slice_from(*rest, 1);
    return byte;
}

static inline struct arena *fuzz_arena(void) {
    struct arena *arena = arena_new(LIMIT_REQUEST_ARENA);
    REQUIRE(arena);
    return arena;
}

/* Whether PART lies within WHOLE. */
static inline bool fuzz_within(struct slice part, struct slice whole) {
    return (uintptr_t)part.data >= (uintptr_t)whole.data &&
           (uintptr_t)part.data + part.len <= (uintptr_t)whole.data + whole.len;
}

/* UTF-8 without U+0000. */
static inline bool fuzz_is_text(struct slice s) {
    return slice_is_utf8(s) && (s.len == 0 || memchr(s.data, '\0', s.len) == NULL);
}

#endif

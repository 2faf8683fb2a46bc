/*
 * Every allocation of the process comes by here, also those of the libraries, and a chosen one
 * fails. Included once, by a test program.
 *
 * Allocations are counted for each thread: what others do meanwhile is not disturbed.
 */
#ifndef TESTS_FAILING_MEMORY_H
#define TESTS_FAILING_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/* Where memory comes from: a sanitizer's, or the C library's. */
void *__interceptor_malloc(size_t size) __attribute__((weak));
void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *memory, size_t size) __attribute__((weak));
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

/* How memory is short. */
enum shortage {
    SHORT_ONCE,     /* the Nth allocation fails */
    SHORT_FROM_THEN /* and all that follow */
};

static _Thread_local struct memory_of_thread {
    size_t failing; /* 0: none */
    enum shortage shortage;
    size_t count;
} memory;

/* From now on the Nth allocation of this thread fails; with 0 none does, and they are counted. */
static inline void memory_fails_at(size_t nth, enum shortage shortage) {
    memory.failing = nth;
    memory.shortage = shortage;
    memory.count = 0;
}

/* No allocation fails any more. How many there were. */
static inline size_t memory_is_back(void) {
    memory.failing = 0;
    return memory.count;
}

/* Until memory_resume() with what it returns none fails, and they are not counted. */
static inline struct memory_of_thread memory_pause(void) {
    struct memory_of_thread before = memory;
    memory.failing = 0;
    return before;
}

static inline void memory_resume(struct memory_of_thread before) {
    memory = before;
}

/* ThreadSanitizer's run-time allocates before it can take calls from instrumented code. */
#define NOT_TRACED __attribute__((no_sanitize_thread))

NOT_TRACED static bool memory_lacks(void) {
    memory.count++;
    bool lacks =
        memory.failing != 0 && (memory.shortage == SHORT_ONCE ? memory.count == memory.failing
                                                              : memory.count >= memory.failing);
    if (lacks) {
        errno = ENOMEM;
    }
    return lacks;
}

/* gcc's analyzer takes what these return for lost. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
NOT_TRACED void *malloc(size_t size) {
    if (memory_lacks()) {
        return NULL;
    }
    return __interceptor_malloc != NULL ? __interceptor_malloc(size) : __libc_malloc(size);
}

NOT_TRACED void *calloc(size_t count, size_t size) {
    if (memory_lacks()) {
        return NULL;
    }
    return __interceptor_calloc != NULL ? __interceptor_calloc(count, size)
                                        : __libc_calloc(count, size);
}

NOT_TRACED void *realloc(void *old, size_t size) {
    if (memory_lacks()) {
        return NULL;
    }
    return __interceptor_realloc != NULL ? __interceptor_realloc(old, size)
                                         : __libc_realloc(old, size);
}

#endif

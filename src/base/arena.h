/*
 * Memory that lives until the request ends: allocated piece by piece, freed at once.
 *
 * An arena parameter in any function means "what I return lives as long as this arena". An arena
 * belongs to one thread at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

struct arena;

/* A new arena that never holds more than MAX bytes; NULL without memory. The owner frees it. */
MUST_CHECK struct arena *arena_new(size_t max);
/* Frees the arena and all that came from it; NULL is allowed. */
void arena_free(struct arena *arena);
/* Overwrites all that came from the arena, in a way that no compiler leaves out, before it is
 * freed: for secrets. */
void arena_wipe(struct arena *arena);
/* SIZE zeroed bytes, aligned for any type; NULL when the maximum or the memory is exhausted. */
MUST_CHECK void *arena_alloc(struct arena *arena, size_t size);
/* COUNT zeroed elements of SIZE bytes; NULL also when the product overflows. */
MUST_CHECK void *arena_array(struct arena *arena, size_t count, size_t size);
/* A copy of S, NUL-terminated beyond its length. False without memory; *out is then empty. */
MUST_CHECK bool arena_dup(struct arena *arena, struct slice s, struct slice *out);
/* Whether anything that was asked of it was refused: no memory, or its maximum. */
bool arena_failed(const struct arena *arena);
/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);

#endif

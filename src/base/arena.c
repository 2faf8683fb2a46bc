#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_FIRST = 4096, BLOCK_MOST = 256 * 1024 };

struct block {
    struct block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    size_t max, used;
    bool failed;          /* once */
    size_t next_block;    /* doubles, so that a big request needs few blocks */
    struct block *blocks; /* the first one is the one being filled */
};

struct arena *arena_new(size_t max) {
    struct arena *arena = calloc(1, sizeof(*arena));

    if (arena) {
        arena->max = max;
        arena->next_block = BLOCK_FIRST;
    }
    return arena;
}

void arena_free(struct arena *arena) {
    if (!arena)
        return;
    while (arena->blocks) {
        struct block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
    free(arena);
}

void arena_wipe(struct arena *arena) {
    for (struct block *block = arena->blocks; block; block = block->next)
        explicit_bzero(block->bytes, block->size);
}

/* A block that holds SIZE bytes at least. A large piece gets a block of its own behind the one
 * being filled. */
static struct block *add_block(struct arena *arena, size_t size) {
    bool own = arena->blocks && size > arena->next_block / 4;
    size_t room = own || size > arena->next_block ? size : arena->next_block;
    /* Zeroed by calloc: for fresh pages that costs nothing. */
    struct block *block = calloc(1, sizeof(*block) + room);

    if (!block)
        return NULL;
    block->size = room;
    if (own) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
        return block;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    if (arena->next_block < BLOCK_MOST)
        arena->next_block *= 2;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size) {
    const size_t align = alignof(max_align_t);
    struct block *block = arena->blocks;
    void *piece;

    /* The maximum comes first, so that the rounding below cannot overflow: max + align always fits
     * in practice. */
    if (size > arena->max - arena->used || size > SIZE_MAX / 2) {
        arena->failed = true;
        return NULL;
    }
    arena->used += size;
    size = size ? (size + align - 1) / align * align : align;
    if (!block || block->size - block->used < size)
        block = add_block(arena, size);
    if (!block) {
        arena->failed = true;
        return NULL;
    }
    piece = block->bytes + block->used;
    block->used += size;
    return piece;
}

void *arena_array(struct arena *arena, size_t count, size_t size) {
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(arena, bytes);
}

bool arena_dup(struct arena *arena, struct slice s, struct slice *out) {
    char *copy = s.len < SIZE_MAX ? arena_alloc(arena, s.len + 1) : NULL;

    *out = SLICE_EMPTY;
    if (!copy)
        return false;
    if (s.len)
        memcpy(copy, s.data, s.len);
    *out = (struct slice){copy, s.len};
    return true;
}

bool arena_failed(const struct arena *arena) {
    return arena->failed;
}

size_t arena_used(const struct arena *arena) {
    return arena->used;
}

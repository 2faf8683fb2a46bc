/*
 * Things by their UUID, in the order in which they were added. Each begins with its key as its
 * first member. Memory is an arena's.
 */
#ifndef DOMAIN_UUID_MAP_H
#define DOMAIN_UUID_MAP_H

#include "base/arena.h"

/* A UUIDv8 (RFC 9562) made from a SHA-256: derived, never drawn. */
struct uuid {
    uint8_t bytes[16];
};
bool uuid_eq(const struct uuid *a, const struct uuid *b);

/* Zeroed before use. */
struct uuid_map {
    void **items; /* COUNT of them */
    size_t count, item_capacity;
    uint32_t *slots; /* hash table of item numbers, from 1; 0: free */
    size_t slot_count;
};

/* The item with KEY; NULL when the map does not have it. */
void *uuid_map_find(const struct uuid_map *map, const struct uuid *key);
/* Adds ITEM, whose key is not there yet. False without memory. */
MUST_CHECK bool uuid_map_add(struct uuid_map *map, void *item, struct arena *arena);

#endif

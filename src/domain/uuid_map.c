#include "domain/uuid_map.h"

#include <string.h>

#define FIRST_CAPACITY 4

bool uuid_eq(const struct uuid *a, const struct uuid *b) {
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* The bytes come from a hash already. */
static size_t home_of(const struct uuid *key, size_t slot_count) {
    uint64_t bits;
    memcpy(&bits, key->bytes + 8, sizeof(bits));
    return (size_t)bits & (slot_count - 1);
}

/* Where KEY stands, or the free slot where it belongs. */
static size_t slot_of(const struct uuid_map *map, const struct uuid *key) {
    size_t slot = home_of(key, map->slot_count);
    while (map->slots[slot] != 0 && !uuid_eq(map->items[map->slots[slot] - 1], key)) {
        slot = (slot + 1) & (map->slot_count - 1);
    }
    return slot;
}

void *uuid_map_find(const struct uuid_map *map, const struct uuid *key) {
    if (map->count == 0) {
        return NULL;
    }
    uint32_t number = map->slots[slot_of(map, key)];
    return number == 0 ? NULL : map->items[number - 1];
}

static bool grow(struct uuid_map *map, struct arena *arena) {
    size_t capacity = map->item_capacity == 0 ? FIRST_CAPACITY : 2 * map->item_capacity;
    void **items = arena_array(arena, capacity, sizeof(void *));
    uint32_t *slots = arena_array(arena, 2 * capacity, sizeof(*slots));
    if (items == NULL || slots == NULL) {
        return false;
    }
    if (map->count > 0) {
        memcpy(items, map->items, map->count * sizeof(void *));
    }
    map->items = items;
    map->item_capacity = capacity;
    map->slots = slots;
    map->slot_count = 2 * capacity;
    for (size_t i = 0; i < map->count; i++) {
        map->slots[slot_of(map, map->items[i])] = (uint32_t)i + 1;
    }
    return true;
}

bool uuid_map_add(struct uuid_map *map, void *item, struct arena *arena) {
    if (map->count == map->item_capacity && !grow(map, arena)) {
        return false;
    }
    map->items[map->count++] = item;
    map->slots[slot_of(map, item)] = (uint32_t)map->count;
    return true;
}

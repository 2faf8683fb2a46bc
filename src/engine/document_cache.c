#include "engine/document_cache.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* An order has one set of places where it may be: order keys are digests, evenly spread. */
#define SETS 4096
#define WAYS 4

struct place {
    struct uuid order;
    int64_t version;
    char *text; /* owned */
    size_t len;
    uint32_t used; /* in which use, the last time; 0: the place is free */
    uint8_t kind;
};

struct document_cache {
    size_t bytes, limit;
    uint32_t use;
    struct place places[SETS][WAYS];
};

struct document_cache *document_cache_new(size_t bytes) {
    struct document_cache *cache = calloc(1, sizeof(*cache));
    if (cache != NULL) {
        cache->limit = bytes;
        cache->use = 1;
    }
    return cache;
}

static void release(struct document_cache *cache, struct place *place) {
    cache->bytes -= place->len;
    free(place->text);
    *place = (struct place){.used = 0};
}

static void release_all(struct document_cache *cache) {
    for (size_t set = 0; set < SETS; set++) {
        for (size_t way = 0; way < WAYS; way++) {
            release(cache, &cache->places[set][way]);
        }
    }
}

void document_cache_free(struct document_cache *cache) {
    if (cache != NULL) {
        release_all(cache);
        free(cache);
    }
}

void document_cache_begin(struct document_cache *cache) {
    cache->use++;
    if (cache->bytes > cache->limit || cache->use == 0) {
        release_all(cache);
        cache->use = 1;
    }
}

static struct place *set_of(struct document_cache *cache, const struct uuid *order) {
    uint16_t start;
    memcpy(&start, order->bytes, sizeof(start));
    return cache->places[start % SETS];
}

static bool is_of(const struct place *place, const struct uuid *order, uint8_t kind) {
    return place->used != 0 && place->kind == kind &&
           memcmp(place->order.bytes, order->bytes, sizeof(order->bytes)) == 0;
}

static struct place *find(struct document_cache *cache, const struct uuid *order, uint8_t kind) {
    struct place *set = set_of(cache, order);
    for (size_t way = 0; way < WAYS; way++) {
        if (is_of(&set[way], order, kind)) {
            return &set[way];
        }
    }
    return NULL;
}

static struct place *find_oldest(struct document_cache *cache, const struct uuid *order) {
    struct place *set = set_of(cache, order), *oldest = set;
    for (size_t way = 1; way < WAYS; way++) {
        if (set[way].used < oldest->used) {
            oldest = &set[way];
        }
    }
    return oldest;
}

bool document_cache_has(struct document_cache *cache, const struct uuid *order, uint8_t kind) {
    return find(cache, order, kind) != NULL;
}

bool document_cache_get(struct document_cache *cache, const struct uuid *order, uint8_t kind,
                        int64_t version, struct slice *document) {
    struct place *place = find(cache, order, kind);
    if (place == NULL || place->version != version) {
        return false;
    }
    place->used = cache->use;
    *document = (struct slice){place->text, place->len};
    return true;
}

void document_cache_keep(struct document_cache *cache, const struct uuid *order, uint8_t kind,
                         int64_t version, struct slice document) {
    struct place *place = find(cache, order, kind);
    if (place == NULL) {
        place = find_oldest(cache, order);
    }
    /* What was found in this use stays where it is. */
    if (place->used == cache->use || document.len > LIMIT_CACHED_DOCUMENT) {
        return;
    }
    char *text = malloc(document.len + 1);
    if (text == NULL) {
        return;
    }
    memcpy(text, document.data, document.len);
    release(cache, place);
    *place = (struct place){
        .order = *order,
        .version = version,
        .text = text,
        .len = document.len,
        .used = cache->use,
        .kind = kind,
    };
    cache->bytes += document.len;
}

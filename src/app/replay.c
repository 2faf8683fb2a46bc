#include "app/replay.h"

#include "app/ingest.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_AT_ONCE 1000
/* One order's deliveries, parsed. */
#define REBUILD_ARENA ((size_t)1 << 30)

enum order_state { ORDER_REBUILT, ORDER_PURGED, ORDER_UNREADABLE };

/* What one order's deliveries became. */
struct reread {
    struct arena *arena;
    struct uuid order;
    enum order_state state;
};

static void reread_free(struct reread *reread) {
    arena_free(reread->arena);
    reread->arena = NULL;
}

/* One stored webhook as if it came again. Its identity stays: the stored id is that of its event id
 * and content. */
static bool reread_one(struct reread *reread, const struct store_delivery *stored,
                       struct delivery *delivery) {
    const struct provider *provider = provider_find(stored->provider);
    if (provider == NULL) {
        return false;
    }
    *delivery = (struct delivery){.source = stored->source,
                                  .provider = stored->provider,
                                  .body = stored->body,
                                  .received_at = stored->received_at};
    bool ok = ingest_read(delivery, provider, reread->arena) == INGEST_READ &&
              delivery->reading == READING_APPLIED;
    return ok && delivery->has_order &&
           memcmp(&delivery->order, &reread->order, sizeof(reread->order)) == 0;
}

static bool read_order(void *context, const struct store_delivery *stored, size_t count,
                       struct delivery ***deliveries, size_t *delivery_count) {
    struct reread *reread = context;
    reread_free(reread); /* of an attempt before */
    reread->state = ORDER_UNREADABLE;
    reread->arena = arena_new(REBUILD_ARENA);
    if (reread->arena == NULL) {
        return false;
    }
    struct delivery *all = arena_array(reread->arena, count + 1, sizeof(*all));
    *deliveries = arena_array(reread->arena, count + 1, sizeof(**deliveries));
    if (all == NULL || *deliveries == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (stored[i].purged) {
            reread->state = ORDER_PURGED;
            return false;
        }
        if (!reread_one(reread, &stored[i], &all[i])) {
            return false;
        }
        (*deliveries)[i] = &all[i];
    }
    *delivery_count = count;
    reread->state = ORDER_REBUILT;
    return true;
}

static bool rebuild_one(struct store *store, const struct uuid *order, struct replay_counts *counts,
                        struct err *err) {
    struct reread reread = {.order = *order};
    struct store_rebuild rebuild = {.order = *order, .read = read_order, .context = &reread};
    bool ok = store_rebuild(store, &rebuild, err) == STORE_OK;
    reread_free(&reread);
    if (!ok) {
        return false;
    }
    counts->done++;
    counts->purged += reread.state == ORDER_PURGED;
    counts->unreadable += reread.state == ORDER_UNREADABLE;
    counts->changed += reread.state == ORDER_REBUILT && rebuild.changed;
    counts->unchanged += reread.state == ORDER_REBUILT && !rebuild.changed;
    return true;
}

static bool rebuild_all(struct store *store, struct uuid *keys,
                        void (*progress)(const struct replay_counts *),
                        struct replay_counts *counts, struct err *err) {
    struct uuid after;
    bool begun = false;
    size_t count = 0;
    if (store_order_count(store, &counts->total, err) != STORE_OK) {
        return false;
    }
    do {
        if (store_order_keys(store, begun ? &after : NULL, KEYS_AT_ONCE, keys, &count, err) !=
            STORE_OK) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            if (!rebuild_one(store, &keys[i], counts, err)) {
                return false;
            }
            progress(counts);
            after = keys[i];
            begun = true;
        }
    } while (count == KEYS_AT_ONCE);
    return true;
}

bool replay_rebuild(const char *dsn, void (*progress)(const struct replay_counts *counts),
                    struct replay_counts *counts, struct err *err) {
    struct store *store = store_new(dsn, "waybill rebuild", STORE_PATIENT);
    struct uuid *keys = calloc(KEYS_AT_ONCE, sizeof(*keys));
    *counts = (struct replay_counts){.total = 0};
    bool ok = store != NULL && keys != NULL ? rebuild_all(store, keys, progress, counts, err)
                                            : err_set(err, ERR_MEMORY, "out of memory");
    free(keys);
    store_free(store);
    return ok;
}

#include "app/replay.h"

#include "app/read_delivery.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_AT_ONCE 1000
/* One order's deliveries, parsed. */
#define REBUILD_ARENA ((size_t)1 << 30)

enum reread_state { ORDER_REBUILT, ORDER_PURGED, ORDER_UNREADABLE };

/* What one order's deliveries became. */
struct reread {
    const struct settings *settings;
    struct arena *arena;
    struct uuid order;
    enum reread_state state;
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
    /* It was applied, so it might speak of this order; whose provider the order has already. */
    *delivery = (struct delivery){.source = stored->source,
                                  .provider = stored->provider,
                                  .order_provider = stored->provider,
                                  .body = stored->body,
                                  .received_at = stored->received_at};
    bool ok = read_delivery(delivery, provider, settings_reading(reread->settings, stored->source),
                            reread->arena) == READ_DONE &&
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
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers is meant. */
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

static bool rebuild_one(struct store *store, const struct settings *settings,
                        const struct uuid *order, struct replay_counts *counts, struct err *err) {
    struct reread reread = {.settings = settings, .order = *order};
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

static bool rebuild_all(struct store *store, const struct settings *settings, struct uuid *keys,
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
            if (!rebuild_one(store, settings, &keys[i], counts, err)) {
                return false;
            }
            progress(counts);
            after = keys[i];
            begun = true;
        }
    } while (count == KEYS_AT_ONCE);
    return true;
}

bool replay_rebuild(const char *dsn, const struct settings *settings,
                    void (*progress)(const struct replay_counts *counts),
                    struct replay_counts *counts, struct err *err) {
    struct store *store = store_new(dsn, "waybill rebuild", STORE_PATIENT);
    struct uuid *keys = calloc(KEYS_AT_ONCE, sizeof(*keys));
    *counts = (struct replay_counts){.total = 0};
    bool ok = store != NULL && keys != NULL
                  ? rebuild_all(store, settings, keys, progress, counts, err)
                  : err_set(err, ERR_MEMORY, "out of memory");
    free(keys);
    store_free(store);
    return ok;
}

/* ---- one delivery ---- */

const char *replay_end_name(enum replay_end end) {
    static const char *const names[] = {
        [REPLAY_APPLIED] = "applied",
        [REPLAY_IGNORED] = "ignored",
        [REPLAY_DUPLICATE] = "duplicate",
        [REPLAY_QUARANTINED] = "still quarantined",
        [REPLAY_REBUILT] = "order changed",
        [REPLAY_UNCHANGED] = "unchanged",
        [REPLAY_PURGED] = "purged",
        [REPLAY_NO_SOURCE] = "source not configured",
        [REPLAY_WRONG_MODE] = "not allowed by the source's mode",
        [REPLAY_REFUSED] = "refused by the database",
    };
    return names[end];
}

static void set_detail(struct replay_result *result, struct slice detail) {
    struct slice cut = slice_cut_utf8(detail, sizeof(result->detail) - 1);
    if (cut.len > 0) {
        memcpy(result->detail, cut.data, cut.len);
    }
    result->detail[cut.len] = '\0';
}

/* One that is applied: what its order's deliveries say, all together. */
static bool replay_applied(struct store *store, const struct settings *settings,
                           const struct store_stored *stored, bool dry,
                           struct replay_result *result, struct err *err) {
    struct replay_counts counts = {.total = 0};
    result->end = REPLAY_UNCHANGED;
    if (dry || !stored->has_order) {
        return true;
    }
    if (!rebuild_one(store, settings, &stored->order, &counts, err)) {
        return false;
    }
    if (counts.changed > 0) {
        result->end = REPLAY_REBUILT;
    } else if (counts.purged > 0) {
        result->end = REPLAY_PURGED;
        set_detail(result, SLICE_OF("another delivery of its order is purged"));
    } else if (counts.unreadable > 0) {
        result->end = REPLAY_QUARANTINED;
        set_detail(result, SLICE_OF("its order has a delivery that this release cannot read"));
    }
    return true;
}

/* Where the outcome is known without the database. */
static enum replay_end expected_end(const struct store_stored *stored,
                                    const struct delivery *delivery) {
    bool was_ignored = slice_eq(stored->outcome, delivery_outcome_name(OUTCOME_IGNORED));
    switch (delivery->reading) {
    case READING_APPLIED:
        return REPLAY_APPLIED;
    case READING_QUARANTINED:
        return was_ignored ? REPLAY_UNCHANGED : REPLAY_QUARANTINED;
    case READING_IGNORED:
    case READING_URL_CHECK:
        break;
    }
    return was_ignored ? REPLAY_UNCHANGED : REPLAY_IGNORED;
}

static bool write_replayed(struct store *store, const struct store_stored *stored,
                           struct delivery *delivery, struct replay_result *result,
                           struct err *err) {
    enum replay_end expected = expected_end(stored, delivery);
    enum store_result outcome = store_replay(store, &stored->id, delivery, err);
    if (outcome == STORE_REFUSED) {
        result->end = REPLAY_REFUSED;
        set_detail(result, slice_from_cstr(err->message));
        err_clear(err);
        return true;
    }
    /* Gone, or done by somebody else meanwhile: nothing is left to do. */
    result->end = delivery->outcome == OUTCOME_DUPLICATE ? REPLAY_DUPLICATE
                  : delivery->outcome == OUTCOME_REFUSED ? REPLAY_UNCHANGED
                                                         : expected;
    return outcome == STORE_OK;
}

static bool replay_unapplied(struct store *store, const struct source *source,
                             const struct store_stored *stored, bool dry, struct arena *arena,
                             struct replay_result *result, struct err *err) {
    struct delivery delivery = {
        .source = stored->source,
        .provider = source->provider->name,
        .owners = source->writes_to,
        .owner_count = source->writes_to_count,
        .body = stored->body,
        .tracking_url_template = source->tracking_url,
        .received_at = stored->received_at,
    };
    if (read_delivery(&delivery, source->provider, &source->reading, arena) == READ_NO_MEMORY) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    set_detail(result,
               delivery.reading == READING_QUARANTINED ? delivery.changes.detail : SLICE_EMPTY);
    if (!source_allows(source, &delivery.changes)) {
        result->end = REPLAY_WRONG_MODE;
        return true;
    }
    if (dry) {
        result->end = expected_end(stored, &delivery);
        return true;
    }
    delivery.body = SLICE_EMPTY; /* it is there already */
    return write_replayed(store, stored, &delivery, result, err);
}

bool replay_stored(struct store *store, const struct settings *settings,
                   const struct store_stored *stored, bool dry, struct replay_result *result,
                   struct err *err) {
    const struct source *source = settings_source(settings, stored->source);
    *result = (struct replay_result){.end = REPLAY_UNCHANGED};
    if (slice_eq(stored->outcome, delivery_outcome_name(OUTCOME_DUPLICATE))) {
        return true;
    }
    if (stored->purged) {
        result->end = REPLAY_PURGED;
        return true;
    }
    if (slice_eq(stored->outcome, delivery_outcome_name(OUTCOME_APPLIED))) {
        return replay_applied(store, settings, stored, dry, result, err);
    }
    if (source == NULL) {
        result->end = REPLAY_NO_SOURCE;
        return true;
    }
    struct arena *arena = arena_new(LIMIT_REQUEST_ARENA);
    bool ok = arena != NULL ? replay_unapplied(store, source, stored, dry, arena, result, err)
                            : err_set(err, ERR_MEMORY, "out of memory");
    arena_free(arena);
    return ok;
}

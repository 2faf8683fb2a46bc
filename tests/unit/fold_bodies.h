/*
 * Webhooks of the senders: the bodies of tests/golden and variants of them, read as a webhook is.
 *
 * A variant is a golden body with some of its values replaced by values that other golden bodies of
 * the sender have under the same key. A world chooses from few values of each key, so that orders,
 * boxes, times and words come together.
 */
#ifndef TESTS_FOLD_BODIES_H
#define TESTS_FOLD_BODIES_H

#include "app/read_delivery.h"
#include "domain/provider.h"
#include "fold_world.h"

#define POOL_KEYS 256
#define POOL_VALUES 64
#define BODIES_MAX 64

/* The values that a key has in the golden bodies of one sender, as JSON. */
struct pool {
    struct slice key;
    struct slice values[POOL_VALUES];
    size_t count;
};

struct sender {
    const struct provider *provider;
    struct arena *arena;
    struct slice bodies[BODIES_MAX]; /* those that apply, canonical */
    size_t body_count;
    struct pool pools[POOL_KEYS];
    size_t pool_count;
};

/* Of a source without timezone and carrier. */
static const struct reading_context FOLD_NO_OPTIONS = {.zone = NULL};

static inline bool read_webhook(const struct provider *provider, struct slice body,
                                struct arena *arena, struct delivery *delivery) {
    *delivery = (struct delivery){.source = SLICE("shop"),
                                  .provider = provider->name,
                                  .order_provider = provider->name,
                                  .tracking_url_template = SLICE("https://t/{tracking_number}"),
                                  .body = body};
    enum read_result reading = read_delivery(delivery, provider, &FOLD_NO_OPTIONS, arena);
    if (reading == READ_NO_MEMORY) {
        fold_fail("out of memory");
    }
    return reading == READ_DONE && delivery->reading == READING_APPLIED;
}

/* ---- walking through canonical JSON ---- */

struct walk {
    struct slice rest;
    struct sender *sender;
    struct choices *choices; /* NULL: values are collected */
    uint64_t salt;           /* which values of a key this world has */
    size_t width;            /* and how many of each */
    struct strbuf *out;
};

static inline char walk_next(const struct walk *walk) {
    if (walk->rest.len == 0) {
        fold_fail("a golden body is cut off");
    }
    return walk->rest.data[0];
}

/* Copies LEN bytes. */
static inline void walk_copy(struct walk *walk, size_t len) {
    strbuf_add_slice(walk->out, slice_first(walk->rest, len));
    walk->rest = slice_from(walk->rest, len);
}

/* A text with its quotes, or the other scalars. */
static inline size_t scalar_len(const struct walk *walk) {
    size_t len = 1;
    if (walk_next(walk) != '"') {
        while (len < walk->rest.len && strchr(",]}", walk->rest.data[len]) == NULL) {
            len++;
        }
        return len;
    }
    while (len < walk->rest.len && walk->rest.data[len] != '"') {
        len += walk->rest.data[len] == '\\' ? 2 : 1;
    }
    return len + 1;
}

static inline struct pool *pool_of(struct sender *sender, struct slice key, bool add) {
    for (size_t i = 0; i < sender->pool_count; i++) {
        if (slice_eq(sender->pools[i].key, key)) {
            return &sender->pools[i];
        }
    }
    if (!add || sender->pool_count == POOL_KEYS) {
        return NULL;
    }
    struct pool *pool = &sender->pools[sender->pool_count++];
    pool->key = must_dup(sender->arena, key);
    return pool;
}

static inline void collect(struct sender *sender, struct slice key, struct slice value) {
    struct pool *pool = pool_of(sender, key, true);
    for (size_t i = 0; pool != NULL && i < pool->count; i++) {
        if (slice_eq(pool->values[i], value)) {
            return;
        }
    }
    if (pool != NULL && pool->count < POOL_VALUES) {
        pool->values[pool->count++] = must_dup(sender->arena, value);
    }
}

/* What says which kind of webhook it is stays as it is. */
static inline bool names_the_kind(struct slice key) {
    static const struct slice keys[] = {SLICE("\"type\""), SLICE("\"event\""), SLICE("\"name\"")};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (slice_eq(keys[i], key)) {
            return true;
        }
    }
    return false;
}

static inline void walk_scalar(struct walk *walk, struct slice key) {
    size_t len = scalar_len(walk);
    struct slice value = slice_first(walk->rest, len);
    if (walk->choices == NULL) {
        collect(walk->sender, key, value);
    } else if (!names_the_kind(key) && choose_whether(walk->choices, 85)) {
        const struct pool *pool = pool_of(walk->sender, key, false);
        if (pool != NULL) {
            uint64_t first = walk->salt;
            for (size_t i = 0; i < key.len; i++) {
                first = first * 31 + (uint8_t)key.data[i];
            }
            value = pool->values[(first + choose(walk->choices, walk->width)) % pool->count];
        }
    }
    strbuf_add_slice(walk->out, value);
    walk->rest = slice_from(walk->rest, len);
}

static inline void walk_value(struct walk *walk, struct slice key) {
    char first = walk_next(walk);
    if (first != '{' && first != '[') {
        walk_scalar(walk, key);
        return;
    }
    walk_copy(walk, 1);
    while (walk_next(walk) != '}' && walk_next(walk) != ']') {
        struct slice inner = key;
        if (walk_next(walk) == ',') {
            walk_copy(walk, 1);
        }
        if (first == '{') {
            inner = slice_first(walk->rest, scalar_len(walk));
            walk_copy(walk, inner.len + 1);
        }
        walk_value(walk, inner);
    }
    walk_copy(walk, 1);
}

/* ---- senders ---- */

static inline void add_golden_body(struct sender *sender, struct slice text) {
    struct delivery delivery;
    struct json_doc *doc;
    struct json_position where;
    struct strbuf canonical = STRBUF_INIT((size_t)1 << 20), copy = STRBUF_INIT((size_t)1 << 20);
    if (!read_webhook(sender->provider, text, sender->arena, &delivery) ||
        sender->body_count == BODIES_MAX) {
        return;
    }
    if (json_parse(text, &doc, &where) != JSON_OK ||
        !json_canonical(json_root(doc), NULL, &canonical)) {
        fold_fail("a golden body is no JSON");
    }
    json_doc_free(doc);
    struct slice body = must_dup(sender->arena, strbuf_slice(&canonical));
    struct walk walk = {.rest = body, .sender = sender, .out = &copy};
    walk_value(&walk, SLICE_EMPTY);
    if (!slice_eq(strbuf_slice(&copy), body)) {
        fold_fail("a golden body is not walked through as a whole");
    }
    sender->bodies[sender->body_count++] = body;
    strbuf_free(&canonical);
    strbuf_free(&copy);
}

static inline int is_golden_case(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* Read once a process; PROVIDER is a row of the table. */
static inline struct sender *sender_of(const struct provider *provider) {
    static struct sender senders[8];
    struct sender *sender = senders;
    char path[512];
    struct dirent **entries;
    while (sender < senders + ARRAY_LEN(senders) && sender->provider != NULL &&
           sender->provider != provider) {
        sender++;
    }
    if (sender == senders + ARRAY_LEN(senders)) {
        fold_fail("there are more senders than this test has space for");
    }
    if (sender->provider == provider) {
        return sender;
    }
    sender->provider = provider;
    sender->arena = arena_new((size_t)1 << 28);
    (void)snprintf(path, sizeof(path), "tests/golden/%.64s", provider->name.data);
    int count = scandir(path, &entries, is_golden_case, alphasort);
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "tests/golden/%.64s/%.255s/body.json",
                       provider->name.data, entries[i]->d_name);
        struct strbuf text = STRBUF_INIT((size_t)1 << 20);
        read_file(path, &text);
        add_golden_body(sender, strbuf_slice(&text));
        strbuf_free(&text);
        free(entries[i]);
    }
    free(entries);
    if (sender->body_count == 0) {
        fold_fail("%s has no golden body that applies", provider->name.data);
    }
    return sender;
}

/* COUNT webhooks of PROVIDER more, as far as variants that apply are found. */
static inline void add_bodies(struct fold_world *world, struct choices *choices,
                              const struct provider *provider, size_t count) {
    struct sender *sender = sender_of(provider);
    uint64_t salt = choose_bits(choices);
    size_t width = 1 + choose(choices, 3);
    for (size_t tries = 0; world->count < count && tries < 20 * count; tries++) {
        struct strbuf out = STRBUF_INIT((size_t)1 << 20);
        struct delivery delivery;
        struct walk walk = {.rest = sender->bodies[choose(choices, sender->body_count)],
                            .sender = sender,
                            .choices = choices,
                            .salt = salt,
                            .width = width,
                            .out = &out};
        walk_value(&walk, SLICE_EMPTY);
        struct slice body = must_dup(world->arena, strbuf_slice(&out));
        if (read_webhook(provider, body, world->arena, &delivery)) {
            fold_world_add(world, &delivery);
        }
        strbuf_free(&out);
    }
}

#endif

/*
 * The documents that were asked for lately, each with the version it has: whoever knows an order's
 * current version from the database need not have its document made again. What is kept is used for
 * an equal version only, so it cannot be out of date. Belongs to one thread.
 */
#ifndef ENGINE_DOCUMENT_CACHE_H
#define ENGINE_DOCUMENT_CACHE_H

#include "base/attr.h"
#include "base/slice.h"
#include "engine/delivery.h"

struct document_cache;

/* At most BYTES of documents stay between two uses; of each LIMIT_CACHED_DOCUMENT at most. NULL
 * without memory. */
MUST_CHECK struct document_cache *document_cache_new(size_t bytes);
void document_cache_free(struct document_cache *cache);

/* Begins one use: what is found from now on stays where it is until the next one begins. A cache
 * that has grown beyond its limit begins anew. */
void document_cache_begin(struct document_cache *cache);
/* Whether any version is kept of ORDER as KIND (0 to 255, the caller's) of document. */
bool document_cache_has(struct document_cache *cache, const struct uuid *order, uint8_t kind);
/* The document with that very VERSION; false: it is not kept. */
MUST_CHECK bool document_cache_get(struct document_cache *cache, const struct uuid *order,
                                   uint8_t kind, int64_t version, struct slice *document);
/* Keeps a copy of DOCUMENT in place of another version or of what was not used for longest; nothing
 * happens where there is no room. */
void document_cache_keep(struct document_cache *cache, const struct uuid *order, uint8_t kind,
                         int64_t version, struct slice document);

#endif

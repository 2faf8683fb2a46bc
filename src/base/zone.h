/*
 * A time zone: how far local time is ahead of UTC, and when that changes (RFC 8536). A table that
 * is made once and only read after, so that threads share it; the C library's own zone belongs to
 * the whole process.
 *
 * Pure: the bytes of the file are the caller's (app/settings.c reads /usr/share/zoneinfo).
 */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include "base/arena.h"
#include "base/slice.h"

struct zone_change {
    int64_t at;     /* seconds since 1970 in UTC; from then on */
    int64_t offset; /* seconds that local time is ahead of UTC */
};

struct zone {
    struct slice name; /* "Europe/Madrid" */
    int64_t first_offset;
    struct zone_change *changes; /* by time; up to the year 2100 */
    size_t count;
};

/*
 * The zone of the TZif file FILE (version 2 or later), in ARENA; NAME is the caller's and must live
 * as long. False without memory, with *flaw NULL, and for a file of another form, with *flaw saying
 * what is wrong.
 */
MUST_CHECK bool zone_parse(struct slice name, struct slice file, struct arena *arena,
                           struct zone *zone, const char **flaw);

/* ZONE NULL stands for UTC. */
int64_t zone_offset_at(const struct zone *zone, int64_t utc);
/*
 * The seconds in UTC of LOCAL, which are seconds since 1970 on a clock of the zone. Of the two
 * instants of an hour that comes twice the first; an hour that is left out counts on from the
 * change.
 */
int64_t zone_to_utc(const struct zone *zone, int64_t local);

#endif

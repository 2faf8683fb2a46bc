/*
 * Points in time: microseconds since 1970-01-01T00:00:00Z in an int64_t.
 *
 * Parsing and printing are pure. Only timestamp_now() and monotonic_ms() look at a clock, and the
 * domain never calls them.
 */
#ifndef BASE_TIMESTAMP_H
#define BASE_TIMESTAMP_H

#include "base/slice.h"
#include "base/zone.h"

#define TIMESTAMP_NONE INT64_MIN
#define TIMESTAMP_SECOND INT64_C(1000000)

/* When an event can have happened: from 2000-01-01 up to, not including, 2100-01-01. */
#define TIMESTAMP_MIN INT64_C(946684800000000)
#define TIMESTAMP_MAX INT64_C(4102444800000000)

/*
 * RFC 3339 date and time ("2022-01-09T18:30:00.000Z"), and what senders write for it: a blank or
 * 't' for 'T', no seconds, any number of fraction digits (beyond microseconds they are cut), "Z",
 * "z", "+hh:mm", "+hhmm", "+hh" and the same with '-', a blank before them; without a zone it is
 * UTC. A leap second (:60) counts as :59.999999. False on any other text, on a date that no
 * calendar has, and outside TIMESTAMP_MIN and TIMESTAMP_MAX.
 */
MUST_CHECK bool timestamp_parse(struct slice text, int64_t *at);
/* The same; without a zone it is a time of ZONE (NULL: UTC), a date alone is midnight there; and
 * digits as timestamp_from_number() reads them. */
MUST_CHECK bool timestamp_parse_in(struct slice text, const struct zone *zone, int64_t *at);
/* Seconds since 1970; false outside TIMESTAMP_MIN and TIMESTAMP_MAX. */
MUST_CHECK bool timestamp_from_unix(int64_t seconds, int64_t *at);
/* Seconds or milliseconds since 1970: no number within the range is both. */
MUST_CHECK bool timestamp_from_number(int64_t number, int64_t *at);
/* The date, in days since 1970-01-01, on a calendar of ZONE (NULL: UTC). AT is within the range. */
int32_t date_of(int64_t at, const struct zone *zone);
/* A calendar date "YYYY-MM-DD", alone or in front of a time: days since 1970-01-01. */
MUST_CHECK bool date_parse(struct slice text, int32_t *days);
#define DATE_NONE INT32_MIN

/* RFC 3339 in UTC with milliseconds (the rest is cut) and Z; years outside 0 to 9999 are clamped.
 */
#define TIMESTAMP_TEXT 32
void timestamp_format(int64_t at, char text[TIMESTAMP_TEXT]);

/* The wall clock, for log lines and the time of reception. */
int64_t timestamp_now(void);
/* A clock that only goes forward, in milliseconds, for deadlines. */
int64_t monotonic_ms(void);
int64_t monotonic_us(void);

#endif

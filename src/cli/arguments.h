/* Values on the command line. Pure: the present is an argument. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include "base/timestamp.h"

/* "90s", "30min", "2h", "7d", "4w", a bare number counting as days: microseconds. False on anything
 * else, and beyond a hundred years. */
MUST_CHECK bool argument_span(const char *text, int64_t *span);
/* RFC 3339 time, a date (its first moment in UTC), or a span before NOW. */
MUST_CHECK bool argument_time(const char *text, int64_t now, int64_t *at);
/* 1 to MOST. */
MUST_CHECK bool argument_count(const char *text, int64_t most, int64_t *count);

#endif

/*
 * Log lines are data: time, level and key=value pairs, one line each, on stderr in one write().
 *
 * Values with a space, quote, '=' or control byte are quoted and escaped; a line is cut at
 * LIMIT_LOG_LINE. Bodies, parameters and secrets never come here. Only programs and use cases log;
 * lower floors return an error.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/limits.h"
#include "base/slice.h"

enum log_level { LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_line {
    char text[LIMIT_LOG_LINE];
    size_t len;
};

/* Begins a line with the time and the level. */
void log_begin(struct log_line *line, enum log_level level);
/* Adds " key=value"; an empty value is written as "-": every line of a kind has the same keys. */
void log_str(struct log_line *line, const char *key, struct slice value);
void log_int(struct log_line *line, const char *key, int64_t value);
/* Writes the line; failure to write is ignored, there is nowhere to tell. */
void log_end(struct log_line *line);
/* A line of message= and, unless empty, detail=: log_text(LOG_WARN, "database is down", why). */
void log_text(enum log_level level, const char *message, struct slice detail);

#endif

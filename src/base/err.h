/*
 * One error, with where it happened, for whoever reports it at the top. Lower floors fill it and
 * return false; they never log.
 *
 * The first error wins: err_set() on an error that is already set does nothing.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

#include <stdbool.h>

enum err_kind {
    ERR_NONE,
    ERR_MEMORY,     /* allocation failed or a maximum was reached */
    ERR_USAGE,      /* command line */
    ERR_CONFIG,     /* configuration; the message begins with file:line: option: */
    ERR_SYSTEM,     /* a system call failed */
    ERR_DATABASE,   /* PostgreSQL said so; sqlstate is set */
    ERR_CONNECTION, /* PostgreSQL is out of reach or the connection broke: outcome unknown */
    ERR_TIMEOUT,
    ERR_INPUT, /* outside data does not have its shape */
};

struct err {
    enum err_kind kind;
    char sqlstate[6];  /* five characters and NUL, or empty */
    char message[512]; /* one line: control characters have become spaces */
};

#define ERR_INIT                                                                                   \
    { .kind = ERR_NONE }

bool err_is_set(const struct err *err);
void err_clear(struct err *err);
/* Sets ERR unless it is set already, and returns false: a caller can say return err_set(…). */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same with ": " and the text of errno at its end. */
bool err_set_errno(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif

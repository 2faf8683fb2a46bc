#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_is_set(const struct err *err) {
    return err->kind != ERR_NONE;
}

void err_clear(struct err *err) {
    *err = (struct err)ERR_INIT;
}

/* What is quoted from outside must not begin a line of its own, nor speak to a terminal. */
static void make_printable(char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            *text = ' ';
        }
    }
}

/* Returns how much of the message is written; a longer one is cut. */
static size_t set(struct err *err, enum err_kind kind, const char *format, va_list args) {
    int len = vsnprintf(err->message, sizeof(err->message), format, args);

    err->kind = kind;
    if (len < 0) {
        err->message[0] = '\0';
        return 0;
    }
    make_printable(err->message);
    return (size_t)len < sizeof(err->message) ? (size_t)len : sizeof(err->message) - 1;
}

bool err_set(struct err *err, enum err_kind kind, const char *format, ...) {
    va_list args;

    if (err_is_set(err))
        return false;
    va_start(args, format);
    set(err, kind, format, args);
    va_end(args);
    return false;
}

bool err_set_errno(struct err *err, const char *format, ...) {
    int number = errno;
    char room[128];
    va_list args;
    size_t len;

    if (err_is_set(err))
        return false;
    va_start(args, format);
    len = set(err, ERR_SYSTEM, format, args);
    va_end(args);
    (void)snprintf(err->message + len, sizeof(err->message) - len, ": %s",
                   strerror_r(number, room, sizeof(room)));
    return false;
}

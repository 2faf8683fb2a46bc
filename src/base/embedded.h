/*
 * Files that the build makes part of the programs (Makefile: migrations, views, functions, pages,
 * samples): tables in the order of their names, which end with a row without a name.
 *
 * Pure data.
 */
#ifndef BASE_EMBEDDED_H
#define BASE_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
    const char *name;
    const char *text; /* NUL-terminated */
    size_t len;       /* without the NUL */
};

#endif

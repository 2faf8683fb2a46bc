/*
 * Makes the text of a configuration file fit for libConfuse 3.3, whose scanner has habits that an
 * operator cannot foresee: it replaces ${NAME} in double quotes by the environment, counts the
 * lines of a comment more than once, takes an open section, string or comment at the end of the
 * file for closed, and leaves out characters that it does not know.
 *
 * Here every "${" stays as it is written, comments are blanked out, and what would be mangled is
 * refused with its line. Pure: text in, text out.
 */
#ifndef ADAPTER_CONFIG_TEXT_H
#define ADAPTER_CONFIG_TEXT_H

#include "base/arena.h"

struct config_text {
    struct slice text; /* in the arena; the same lines as the original, newline at the end */
    /* The line on which each section opens, in the order of the file. */
    const int *section_lines;
    size_t section_count;
};

struct config_flaw {
    int line;
    const char *reason; /* constant, never a piece of the text; NULL: no memory */
};

/* False on a flaw. */
MUST_CHECK bool config_text_prepare(struct slice text, struct arena *arena, struct config_text *out,
                                    struct config_flaw *flaw);

#endif

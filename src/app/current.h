/*
 * The configuration in force. SIGHUP replaces it as a whole; whoever took it keeps what it was
 * until he gives it back, so that a request ends with the configuration that it began with, and
 * secrets that were taken out of it are wiped with the last one of those.
 *
 * To take it costs an uncontended mutex, some 20 nanoseconds: less than any other step of a
 * request.
 */
#ifndef APP_CURRENT_H
#define APP_CURRENT_H

#include "app/settings.h"

struct current;

/* SETTINGS, which it takes, are in force. NULL without memory; SETTINGS stay the caller's then. */
MUST_CHECK struct current *current_new(const struct settings *settings);
void current_free(struct current *current); /* NULL is allowed */

/* What is in force, given back with settings_free(). */
const struct settings *current_take(struct current *current);
/* From now on SETTINGS, which it takes. One thread replaces. */
void current_replace(struct current *current, const struct settings *settings);

#endif

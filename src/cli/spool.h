/* waybill spool: what waits for the database, and draining by hand. */
#ifndef CLI_SPOOL_H
#define CLI_SPOOL_H

#include <stdbool.h>

/*
 * Prints count, age and bytes of the configured spool, as text or JSON; with DRAIN, moves its
 * events into the database DSN first. Returns the exit code: 1 when it cannot be read, or not be
 * emptied.
 */
int spool_command(const char *dsn, bool drain, bool json);

#endif

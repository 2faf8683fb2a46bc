/*
 * Bringing a database to the schema of this release, whose files (schema/) the build makes part of
 * the program.
 *
 * A migration has a number and runs once. A view or a function stands in a file of its own, which
 * runs when its digest differs from the one that the database keeps, when what it made is missing,
 * and when any migration ran. A view or function that no file makes is dropped.
 *
 * All of it is one transaction, which locks the lanes first, so that every writer waits. The order
 * is: migrations by number, views by name, functions by name. So a view may use one with a smaller
 * name, and a function any table and view; a view uses no function of ours, for its readers may
 * execute none. A function is dropped first unless something depends on it, so that its privileges
 * and its result are those of the file; a view is replaced, so that views of others on it last:
 * one that loses or reorders columns has to be dropped by a migration. The first migration runs as
 * the role that connects, since it makes the owner; all else runs as the owner.
 */
#ifndef ENGINE_STORE_MIGRATE_H
#define ENGINE_STORE_MIGRATE_H

#include "base/err.h"

#include <stddef.h>

/* What ran. */
struct store_migrated {
    bool anything; /* also when something was dropped alone */
    size_t migrations, files;
};

/* Brings the database of DSN to this release; also when several do so at once. Where a lock is not
 * to be had it gives all locks back and tries again, for ten minutes. REPORT gets a line for each
 * migration and notice. On failure nothing has changed, and ERR names the file. */
MUST_CHECK bool store_migrate(const char *dsn, void (*report)(const char *text),
                              struct store_migrated *ran, struct err *err);

/* What store_migrate() would do to the database of DSN, NULL for a new one, as a script for psql,
 * piece by piece; nothing where it is current. */
MUST_CHECK bool store_migrate_script(const char *dsn, void (*put)(const char *text),
                                     struct err *err);

#endif

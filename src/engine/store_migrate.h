/*
 * Brings a database to the schema of this release. The files of schema/ are part of the program.
 *
 * A migration has a number and runs once. A view or a function stands in a file of its own, which
 * runs when its digest differs from the one that the database keeps, when what it made is missing,
 * and when any migration ran. Views and functions that no file makes are dropped.
 *
 * All of it is one transaction, which locks the lanes first, so that writers wait. The order is:
 * migrations by number, views by name, functions by name. So a view may use a view with a smaller
 * name, and a function any table and view; a view uses no function of ours, for its readers may
 * execute none. The first migration runs as the role that connects, since it makes the owner; all
 * else runs as the owner.
 *
 * A function is dropped before its file runs, unless something depends on it, so that its
 * privileges and its result are those of the file. A view is replaced, so that views of others on
 * it last: one that loses or reorders columns is dropped by a migration.
 */
#ifndef ENGINE_STORE_MIGRATE_H
#define ENGINE_STORE_MIGRATE_H

#include "base/err.h"

#include <stddef.h>

/* What ran. */
struct store_migrated {
    bool anything; /* also when something was only dropped */
    size_t migrations, files;
};

/* Brings the database of DSN to this release; safe when several do so at once. When another session
 * holds a lock for three seconds, it releases its own locks and tries again, for ten minutes.
 * REPORT gets a line for each migration and notice. On failure nothing has changed, and ERR names
 * the file. */
MUST_CHECK bool store_migrate(const char *dsn, void (*report)(const char *text),
                              struct store_migrated *ran, struct err *err);

/* What store_migrate() would do to the database of DSN, NULL for a new one, as a script for psql,
 * piece by piece; nothing when it is current. */
MUST_CHECK bool store_migrate_script(const char *dsn, void (*put)(const char *text),
                                     struct err *err);

#endif

/*
 * One SQLite file, over libsqlite3. Nobody else includes <sqlite3.h>.
 *
 * A connection belongs to one thread at a time. The kind of an error says what can be done:
 *   ERR_INPUT    the file is damaged, or is no database at all
 *   ERR_TIMEOUT  another connection holds it; again later
 *   ERR_MEMORY   a maximum is reached (of the file, of the disk), or there is no memory
 *   ERR_SYSTEM   anything else: a failed read, write or fsync, missing permissions
 */
#ifndef ADAPTER_SQLITE_H
#define ADAPTER_SQLITE_H

#include "base/err.h"
#include "base/slice.h"

struct sqlite;
struct sqlite_statement;

/*
 * Opens the file PATH, which must exist (an empty one is an empty database). Waits up to BUSY_MS
 * for others in each call. NULL on failure; a damaged file is found when it is used, not here.
 */
MUST_CHECK struct sqlite *sqlite_open(const char *path, int busy_ms, struct err *err);
/* Rolls back what is open. All statements must be finalized. NULL is allowed. */
void sqlite_close(struct sqlite *db);
/* Runs statements without parameters; rows are thrown away. */
MUST_CHECK bool sqlite_run(struct sqlite *db, const char *sql, struct err *err);

/* Finalized by the caller; NULL is allowed there. */
MUST_CHECK struct sqlite_statement *sqlite_prepare(struct sqlite *db, const char *sql,
                                                   struct err *err);
void sqlite_finalize(struct sqlite_statement *statement);
/* Parameters count from 1. Bytes are not copied: they must live until the statement is reset. A
 * failure comes out of sqlite_step(). */
void sqlite_bind_integer(struct sqlite_statement *statement, int number, int64_t value);
void sqlite_bind_bytes(struct sqlite_statement *statement, int number, struct slice bytes);

enum sqlite_result { SQLITE_A_ROW, SQLITE_NO_MORE, SQLITE_FAILED };
MUST_CHECK enum sqlite_result sqlite_step(struct sqlite_statement *statement, struct err *err);
/* For the next run, with its parameters forgotten. */
void sqlite_reset(struct sqlite_statement *statement);
/* Columns count from 0. Bytes are valid until the next step. Without memory they are empty. */
int64_t sqlite_integer(const struct sqlite_statement *statement, int column);
struct slice sqlite_bytes(const struct sqlite_statement *statement, int column);
/* Whether memory lacked for a column of the row at hand. */
bool sqlite_lacked_memory(const struct sqlite_statement *statement);

/* How many rows the last statement changed. */
int64_t sqlite_changes(const struct sqlite *db);

#endif

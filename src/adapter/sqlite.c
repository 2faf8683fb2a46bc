#include "adapter/sqlite.h"

#include <sqlite3.h>
#include <stdlib.h>

struct sqlite {
    sqlite3 *handle;
};

struct sqlite_statement {
    sqlite3_stmt *handle;
    int failure; /* of a bind, for the next step */
};

static enum err_kind kind_of(int code) {
    /* Shorter than its own index says. */
    if (code == SQLITE_IOERR_SHORT_READ) {
        return ERR_INPUT;
    }
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_INPUT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_TIMEOUT;
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
        return ERR_MEMORY;
    default:
        return ERR_SYSTEM;
    }
}

/* SQLite's messages quote statements and names, never a row's content. */
static bool fail(sqlite3 *handle, int code, struct err *err) {
    return err_set(err, kind_of(code), "SQLite: %s (%d)",
                   handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(code), code);
}

struct sqlite *sqlite_open(const char *path, int busy_ms, struct err *err) {
    struct sqlite *db = calloc(1, sizeof(*db));
    if (db == NULL) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    int code =
        sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        fail(db->handle, code, err);
        sqlite_close(db);
        return NULL;
    }
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, busy_ms);
    return db;
}

void sqlite_close(struct sqlite *db) {
    if (db != NULL) {
        sqlite3_close(db->handle);
        free(db);
    }
}

bool sqlite_run(struct sqlite *db, const char *sql, struct err *err) {
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || fail(db->handle, code, err);
}

struct sqlite_statement *sqlite_prepare(struct sqlite *db, const char *sql, struct err *err) {
    struct sqlite_statement *statement = calloc(1, sizeof(*statement));
    if (statement == NULL) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement->handle, NULL);
    if (code != SQLITE_OK) {
        fail(db->handle, code, err);
        free(statement);
        return NULL;
    }
    return statement;
}

void sqlite_finalize(struct sqlite_statement *statement) {
    if (statement != NULL) {
        sqlite3_finalize(statement->handle);
        free(statement);
    }
}

static void note(struct sqlite_statement *statement, int code) {
    statement->failure = statement->failure == SQLITE_OK ? code : statement->failure;
}

void sqlite_bind_integer(struct sqlite_statement *statement, int number, int64_t value) {
    note(statement, sqlite3_bind_int64(statement->handle, number, value));
}

void sqlite_bind_bytes(struct sqlite_statement *statement, int number, struct slice bytes) {
    /* A NULL pointer would be bound as null. */
    note(statement, sqlite3_bind_blob64(statement->handle, number, bytes.len > 0 ? bytes.data : "",
                                        bytes.len, SQLITE_STATIC));
}

enum sqlite_result sqlite_step(struct sqlite_statement *statement, struct err *err) {
    int code = statement->failure;
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement->handle);
    }
    if (code == SQLITE_ROW) {
        return SQLITE_A_ROW;
    }
    if (code == SQLITE_DONE) {
        return SQLITE_NO_MORE;
    }
    fail(sqlite3_db_handle(statement->handle), code, err);
    return SQLITE_FAILED;
}

void sqlite_reset(struct sqlite_statement *statement) {
    /* It gives the code of the step before once more. */
    sqlite3_reset(statement->handle);
    sqlite3_clear_bindings(statement->handle);
    statement->failure = SQLITE_OK;
}

int64_t sqlite_integer(const struct sqlite_statement *statement, int column) {
    return sqlite3_column_int64(statement->handle, column);
}

struct slice sqlite_bytes(const struct sqlite_statement *statement, int column) {
    const char *data = sqlite3_column_blob(statement->handle, column);
    int len = sqlite3_column_bytes(statement->handle, column);
    return data != NULL && len > 0 ? (struct slice){data, (size_t)len} : SLICE_EMPTY;
}

bool sqlite_lacked_memory(const struct sqlite_statement *statement) {
    return (sqlite3_errcode(sqlite3_db_handle(statement->handle)) & 0xff) == SQLITE_NOMEM;
}

int64_t sqlite_changes(const struct sqlite *db) {
    return sqlite3_changes64(db->handle);
}

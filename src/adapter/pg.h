/*
 * PostgreSQL, over libpq. Nobody else includes <libpq-fe.h>.
 *
 * A connection belongs to one thread at a time. Parameters and results travel in binary. Every call
 * has a deadline on the monotonic clock; after ERR_TIMEOUT or ERR_CONNECTION the connection is of
 * no use and its outcome unknown: close it, do it again.
 */
#ifndef ADAPTER_PG_H
#define ADAPTER_PG_H

#include "base/err.h"
#include "base/strbuf.h"
#include "base/timestamp.h"

struct pg;
struct pg_result;

/*
 * Connects with DSN (any libpq string; empty: libpq's own environment). Two seconds a host unless
 * it says otherwise, application_name APPLICATION unless it says otherwise. NULL with
 * ERR_CONNECTION on failure; never a password in the message.
 */
MUST_CHECK struct pg *pg_connect(const char *dsn, const char *application, struct err *err);
/* From now on this process, root's and without other threads, is USER of the operating system
 * (kept, not copied) while it connects: PostgreSQL lets that one in by its socket. */
void pg_connect_as(const char *user);
void pg_close(struct pg *pg);
/* Whether libpq can read DSN as a connection string, and no rest of a password that was not escaped
 * counts as something else; nothing is connected. */
bool pg_dsn_is_valid(const char *dsn);

/* DSN as keyword=value text with another database. False when it cannot be read. */
MUST_CHECK bool pg_dsn_with_database(const char *dsn, const char *database, struct strbuf *out);
/* The host that DSN, else the environment, names; empty when neither does. */
MUST_CHECK bool pg_dsn_host(const char *dsn, struct strbuf *out);
/* What the server stores of the PASSWORD of ROLE (SCRAM-SHA-256): it needs no quoting, and with it
 * the password itself is in no statement and no log. */
MUST_CHECK bool pg_password_verifier(struct pg *pg, const char *role, const char *password,
                                     struct strbuf *out, struct err *err);

/* ---- parameters ---- */

#define PG_MAX_PARAMS 16

/* The parameters of one statement. Each pg_add_…() adds the next ($1, $2, …); failures are found by
 * pg_query(). */
struct pg_params {
    struct strbuf data;
    size_t offsets[PG_MAX_PARAMS];
    int lengths[PG_MAX_PARAMS]; /* -1: null */
    uint32_t types[PG_MAX_PARAMS];
    int count;
    bool overflow;
};

void pg_params_init(struct pg_params *params, size_t max_bytes);
void pg_params_free(struct pg_params *params);
/* Whether both have the same values. */
bool pg_params_are_equal(const struct pg_params *a, const struct pg_params *b);
void pg_add_null(struct pg_params *params);
void pg_add_text(struct pg_params *params, struct slice text); /* empty: null */
void pg_add_bool(struct pg_params *params, bool value);
void pg_add_int4(struct pg_params *params, int32_t value);
void pg_add_int8(struct pg_params *params, int64_t value);
void pg_add_timestamptz(struct pg_params *params, int64_t at);
void pg_add_uuid(struct pg_params *params, const uint8_t uuid[16]);
void pg_add_uuid_array(struct pg_params *params, const uint8_t *uuids,
                       size_t count); /* COUNT times 16 bytes */
void pg_add_int8_array(struct pg_params *params, const int64_t *values, size_t count);
void pg_add_text_array(struct pg_params *params, const struct slice *items, size_t count);

/*
 * An array of rows of a composite type, as the next parameter: begin, then for each row
 * pg_row_begin(), its columns in the order of the type and pg_row_end(), then end. Column functions
 * write null for what the project calls absent: the empty slice, TIMESTAMP_NONE, DATE_NONE.
 */
/* Oids of the integer types. */
#define PG_TYPE_INT2 21
#define PG_TYPE_INT4 23

struct pg_rows {
    struct pg_params *params;
    size_t count_offset, row_offset;
    uint32_t rows, columns;
};
void pg_rows_begin(struct pg_rows *rows, struct pg_params *params, uint32_t row_type);
void pg_row_begin(struct pg_rows *rows);
void pg_row_end(struct pg_rows *rows);
void pg_rows_end(struct pg_rows *rows);
/* What is to be written cannot be made: the statement fails for lack of memory. */
void pg_rows_fail(struct pg_rows *rows);
void pg_params_fail(struct pg_params *params);
/* TYPE is the oid of text or of another type whose binary form is its text: json, varchar, an enum.
 */
void pg_col_text(struct pg_rows *rows, uint32_t type, struct slice text);
void pg_col_bytea(struct pg_rows *rows, struct slice bytes); /* empty is an empty value, not null */
void pg_col_bool(struct pg_rows *rows, bool value);
void pg_col_null(struct pg_rows *rows, uint32_t type);
void pg_col_int2(struct pg_rows *rows, int16_t value);
void pg_col_int4(struct pg_rows *rows, int32_t value);
void pg_col_int8(struct pg_rows *rows, int64_t value);
void pg_col_uuid(struct pg_rows *rows, const uint8_t uuid[16]); /* NULL: null */
void pg_col_timestamptz(struct pg_rows *rows, int64_t at);
void pg_col_date(struct pg_rows *rows, int32_t days);
void pg_col_text_array(struct pg_rows *rows, const struct slice *items, size_t count);
void pg_col_null_text_array(struct pg_rows *rows);

/* ---- statements ---- */

/*
 * Runs one statement and waits for its end, its commit included. On success *result is the caller's
 * to clear (RESULT may be NULL). A warning of the server counts as a failure (ERR_DATABASE): a
 * commit that may not have been replicated comes as one.
 */
MUST_CHECK bool pg_query(struct pg *pg, const char *sql, const struct pg_params *params,
                         int64_t deadline_ms, struct pg_result **result, struct err *err);
/* The same for a statement that comes again and again: the connection keeps it prepared, so that
 * the server parses and plans it once. SQL is a constant, known by its address, and its parameters
 * always have the same types; a connection keeps twelve. */
MUST_CHECK bool pg_query_prepared(struct pg *pg, const char *sql, const struct pg_params *params,
                                  int64_t deadline_ms, struct pg_result **result, struct err *err);
/* One statement of several that go to the server together. */
struct pg_step {
    const char *sql;                /* as pg_query_prepared() wants it */
    const struct pg_params *params; /* NULL: there are no parameters */
    struct pg_result *result;       /* out: the caller's to clear, on success */
};
/* Runs STEPS one after the other in one round trip. The first that fails ends them; an open
 * transaction stays open. Without BEGIN and COMMIT among them they are one transaction. */
MUST_CHECK bool pg_pipeline(struct pg *pg, struct pg_step *steps, size_t count, int64_t deadline_ms,
                            struct err *err);
/* Runs a script of several statements without parameters or results, for migrations. Notices go to
 * NOTICE (may be NULL). */
MUST_CHECK bool pg_script(struct pg *pg, const char *sql, void (*notice)(const char *text),
                          struct err *err);

size_t pg_row_count(const struct pg_result *result);
bool pg_is_null(const struct pg_result *result, size_t row, int column);
/* text, uuid, bytea: the bytes, valid until the result is cleared; null gives empty. */
struct slice pg_bytes(const struct pg_result *result, size_t row, int column);
/* int2, int4, int8, oid, bool; null and other types give 0. */
int64_t pg_integer(const struct pg_result *result, size_t row, int column);
/* timestamptz; null gives TIMESTAMP_NONE. */
int64_t pg_timestamp(const struct pg_result *result, size_t row, int column);
void pg_result_clear(struct pg_result *result);

/* The fields of a composite value, or the elements of an array of one dimension, one by one. They
 * point into the value. */
struct pg_reader {
    struct slice rest;
    size_t left;
    bool with_types;
};
/* False when VALUE has another form. */
MUST_CHECK bool pg_read_row(struct slice value, struct pg_reader *reader);
MUST_CHECK bool pg_read_array(struct slice value, struct pg_reader *reader);
/* The next one: *value has data NULL where it is null. False at the end. */
MUST_CHECK bool pg_read_next(struct pg_reader *reader, struct slice *value);
/* What such a value says: an integer or bool; a timestamptz; a date. Null gives 0, TIMESTAMP_NONE
 * and DATE_NONE. */
int64_t pg_value_integer(struct slice value);
int64_t pg_value_timestamp(struct slice value);
int32_t pg_value_date(struct slice value);

/* ---- what an error means: its SQLSTATE decides ---- */

/* The data itself is refused (classes 21, 22, 23, 54, …): trying it again gives the same. */
bool pg_error_is_data(const struct err *err);
/* The connection cannot be used any more: lost, out of date, read-only after a failover, shutting
 * down. */
bool pg_error_needs_reconnect(const struct err *err);
/* Deadlock, serialization failure, lock timeout: the same again may succeed on the same connection.
 */
bool pg_error_is_retryable(const struct err *err);

#endif

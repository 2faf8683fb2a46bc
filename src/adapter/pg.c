#include "adapter/pg.h"

#include "adapter/process.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Type oids of pg_type.dat; they never change. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = PG_TYPE_INT2,
    OID_INT4 = PG_TYPE_INT4,
    OID_TEXT = 25,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    OID_DATE = 1082,
    OID_TIMESTAMPTZ = 1184,
    OID_UUID = 2950,
    OID_UUID_ARRAY = 2951,
};

/* PostgreSQL counts from 2000-01-01. */
#define PG_EPOCH_DAYS 10957
#define PG_EPOCH_MICROSECONDS (INT64_C(10957) * 86400 * 1000000)

/* Statements that a connection keeps prepared. */
#define PREPARED_MAX 12

struct pg {
    PGconn *conn;
    const char *prepared[PREPARED_MAX]; /* the n-th has the name of its number */
    size_t prepared_count;
    bool warned; /* a WARNING came during the present statement */
    char warning[256];
    void (*notice)(const char *text);
};

/* ---- connection ---- */

static void on_notice(void *context, const PGresult *result) {
    struct pg *pg = context;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (severity != NULL && strcmp(severity, "WARNING") == 0) {
        pg->warned = true;
        struct slice message = slice_first(slice_from_cstr(text), sizeof(pg->warning) - 1);
        if (message.len > 0) {
            memcpy(pg->warning, message.data, message.len);
        }
        pg->warning[message.len] = '\0';
    }
    if (pg->notice != NULL && text != NULL) {
        pg->notice(text);
    }
}

static bool is_uri(const char *dsn) {
    struct slice text = slice_from_cstr(dsn);
    return slice_starts_with(text, SLICE_OF("postgresql://")) ||
           slice_starts_with(text, SLICE_OF("postgres://"));
}

/* In a URI, a password with a '/' or '@' that is not escaped ends too early, and its rest counts as
 * port, host or database, which the library names when it cannot find them. */
static bool holds_rest_of_password(const PQconninfoOption *option, bool uri) {
    if (option->val == NULL) {
        return false;
    }
    if (strcmp(option->keyword, "port") == 0) {
        return strspn(option->val, "0123456789,") != strlen(option->val);
    }
    return uri &&
           (strcmp(option->keyword, "host") == 0 || strcmp(option->keyword, "dbname") == 0) &&
           /* In front it names an abstract socket. */
           option->val[0] != '\0' && strchr(option->val + 1, '@') != NULL;
}

bool pg_dsn_is_valid(const char *dsn) {
    /* What the library says of it is left out: it quotes the text. */
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    bool valid = options != NULL;
    for (PQconninfoOption *option = options; valid && option->keyword != NULL; option++) {
        valid = !holds_rest_of_password(option, is_uri(dsn));
    }
    PQconninfoFree(options);
    return valid;
}

static const char *connects_as; /* NULL: as whom it is */

void pg_connect_as(const char *user) {
    connects_as = user;
}

/* Anything else is the name of a database. */
static bool is_connection_string(const char *dsn) {
    return strchr(dsn, '=') != NULL || is_uri(dsn);
}

struct pg *pg_connect(const char *dsn, const char *application, struct err *err) {
    /* What stands before dbname are defaults: the connection string overrides them. */
    static const char *const keywords[] = {"connect_timeout",
                                           "fallback_application_name",
                                           "tcp_user_timeout",
                                           "keepalives_idle",
                                           "keepalives_interval",
                                           "keepalives_count",
                                           "client_encoding",
                                           "dbname",
                                           NULL};
    const char *values[] = {
        "2", application, "5000", "10", "5", "3", "UTF8", dsn != NULL ? dsn : "", NULL};
    if (dsn != NULL && is_connection_string(dsn) && !pg_dsn_is_valid(dsn)) {
        err_set(err, ERR_CONNECTION,
                "the connection string is not valid (not shown: it may hold a password)");
        return NULL;
    }
    struct pg *pg = calloc(1, sizeof(*pg));
    if (pg == NULL) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    if (connects_as != NULL && !process_act_as(connects_as)) {
        err_set(err, ERR_CONNECTION, "there is no user %s here: say with --dsn how to connect",
                connects_as);
        pg_close(pg);
        return NULL;
    }
    pg->conn = PQconnectdbParams(keywords, values, 1);
    if (connects_as != NULL && !process_act_as(NULL)) {
        err_set(err, ERR_SYSTEM, "cannot be root again");
        pg_close(pg);
        return NULL;
    }
    if (pg->conn == NULL || PQstatus(pg->conn) != CONNECTION_OK) {
        struct slice message =
            slice_trim(slice_from_cstr(pg->conn ? PQerrorMessage(pg->conn) : "out of memory"));
        err_set(err, ERR_CONNECTION, "%.*s", SLICE_ARGS(message));
        pg_close(pg);
        return NULL;
    }
    PQsetNoticeReceiver(pg->conn, on_notice, pg);
    if (PQsetnonblocking(pg->conn, 1) != 0) {
        err_set(err, ERR_CONNECTION, "cannot make the connection non-blocking");
        pg_close(pg);
        return NULL;
    }
    return pg;
}

void pg_close(struct pg *pg) {
    if (pg != NULL) {
        PQfinish(pg->conn);
        free(pg);
    }
}

/* A value in quotes, as libpq reads them. */
static void add_quoted(struct strbuf *out, const char *keyword, const char *value) {
    strbuf_addf(out, "%s%s='", out->len > 0 ? " " : "", keyword);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\') {
            strbuf_add_char(out, '\\');
        }
        strbuf_add_char(out, *value);
    }
    strbuf_add_char(out, '\'');
}

bool pg_dsn_with_database(const char *dsn, const char *database, struct strbuf *out) {
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
        if (option->val != NULL && strcmp(option->keyword, "dbname") != 0) {
            add_quoted(out, option->keyword, option->val);
        }
    }
    add_quoted(out, "dbname", database);
    strbuf_add_char(out, '\0');
    PQconninfoFree(options);
    return options != NULL && !strbuf_failed(out);
}

bool pg_dsn_host(const char *dsn, struct strbuf *out) {
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    const char *host = getenv("PGHOST");
    for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
        if (option->val != NULL && strcmp(option->keyword, "host") == 0) {
            host = option->val;
        }
    }
    strbuf_add_cstr(out, host != NULL ? host : "");
    PQconninfoFree(options);
    return options != NULL && !strbuf_failed(out);
}

bool pg_password_verifier(struct pg *pg, const char *role, const char *password, struct strbuf *out,
                          struct err *err) {
    char *verifier = PQencryptPasswordConn(pg->conn, password, role, "scram-sha-256");
    if (verifier == NULL) {
        return err_set(err, ERR_MEMORY, "the password cannot be hashed");
    }
    strbuf_add_cstr(out, verifier);
    PQfreemem(verifier);
    return !strbuf_failed(out) || err_set(err, ERR_MEMORY, "out of memory");
}

/* ---- parameters ---- */

void pg_params_init(struct pg_params *params, size_t max_bytes) {
    memset(params, 0, sizeof(*params));
    strbuf_init(&params->data, max_bytes);
}

void pg_params_free(struct pg_params *params) {
    strbuf_free(&params->data);
}

bool pg_params_are_equal(const struct pg_params *a, const struct pg_params *b) {
    return a->count == b->count && !a->overflow && !b->overflow && !strbuf_failed(&a->data) &&
           !strbuf_failed(&b->data) &&
           memcmp(a->lengths, b->lengths, (size_t)a->count * sizeof(*a->lengths)) == 0 &&
           slice_eq(strbuf_slice(&a->data), strbuf_slice(&b->data));
}

/* Opens the next parameter; its bytes follow in data, close_param() counts them. */
static int open_param(struct pg_params *params, uint32_t type) {
    if (params->count == PG_MAX_PARAMS) {
        params->overflow = true;
        return PG_MAX_PARAMS - 1;
    }
    int index = params->count++;
    params->types[index] = type;
    params->offsets[index] = params->data.len;
    return index;
}

static void close_param(struct pg_params *params, int index) {
    params->lengths[index] = (int)(params->data.len - params->offsets[index]);
}

void pg_add_null(struct pg_params *params) {
    params->lengths[open_param(params, 0)] = -1;
}

void pg_add_text(struct pg_params *params, struct slice text) {
    int index = open_param(params, OID_TEXT);
    strbuf_add_slice(&params->data, text);
    close_param(params, index);
    if (text.len == 0) {
        params->lengths[index] = -1;
    }
}

void pg_add_bool(struct pg_params *params, bool value) {
    int index = open_param(params, OID_BOOL);
    strbuf_add_char(&params->data, value ? 1 : 0);
    close_param(params, index);
}

void pg_add_int4(struct pg_params *params, int32_t value) {
    int index = open_param(params, OID_INT4);
    strbuf_add_be32(&params->data, (uint32_t)value);
    close_param(params, index);
}

void pg_add_int8(struct pg_params *params, int64_t value) {
    int index = open_param(params, OID_INT8);
    strbuf_add_be64(&params->data, (uint64_t)value);
    close_param(params, index);
}

void pg_add_timestamptz(struct pg_params *params, int64_t at) {
    int index = open_param(params, OID_TIMESTAMPTZ);
    strbuf_add_be64(&params->data, (uint64_t)(at - PG_EPOCH_MICROSECONDS));
    close_param(params, index);
}

void pg_add_uuid(struct pg_params *params, const uint8_t uuid[16]) {
    int index = open_param(params, OID_UUID);
    strbuf_add(&params->data, uuid, 16);
    close_param(params, index);
}

/* The head of a one-dimensional array; the count stands at the returned offset. An empty array has
 * no dimension. */
static size_t add_array_head(struct strbuf *data, uint32_t element_type, size_t count) {
    strbuf_add_be32(data, count > 0 ? 1 : 0);
    strbuf_add_be32(data, 0); /* no nulls among the elements */
    strbuf_add_be32(data, element_type);
    size_t offset = data->len;
    if (count > 0) {
        strbuf_add_be32(data, (uint32_t)count);
        strbuf_add_be32(data, 1);
    }
    return offset;
}

void pg_add_uuid_array(struct pg_params *params, const uint8_t *uuids, size_t count) {
    int index = open_param(params, OID_UUID_ARRAY);
    add_array_head(&params->data, OID_UUID, count);
    for (size_t i = 0; i < count; i++) {
        strbuf_add_be32(&params->data, 16);
        strbuf_add(&params->data, uuids + 16 * i, 16);
    }
    close_param(params, index);
}

void pg_add_int8_array(struct pg_params *params, const int64_t *values, size_t count) {
    int index = open_param(params, OID_INT8_ARRAY);
    add_array_head(&params->data, OID_INT8, count);
    for (size_t i = 0; i < count; i++) {
        strbuf_add_be32(&params->data, 8);
        strbuf_add_be64(&params->data, (uint64_t)values[i]);
    }
    close_param(params, index);
}

static void add_text_array(struct strbuf *data, const struct slice *items, size_t count) {
    add_array_head(data, OID_TEXT, count);
    for (size_t i = 0; i < count; i++) {
        strbuf_add_be32(data, (uint32_t)items[i].len);
        strbuf_add_slice(data, items[i]);
    }
}

void pg_add_text_array(struct pg_params *params, const struct slice *items, size_t count) {
    int index = open_param(params, OID_TEXT_ARRAY);
    add_text_array(&params->data, items, count);
    close_param(params, index);
}

/* ---- rows ---- */

void pg_rows_begin(struct pg_rows *rows, struct pg_params *params, uint32_t row_type) {
    *rows = (struct pg_rows){.params = params};
    /* The type of the parameter is left to the server: the function's signature decides. */
    open_param(params, 0);
    rows->count_offset = add_array_head(&params->data, row_type, 1);
}

void pg_row_begin(struct pg_rows *rows) {
    struct strbuf *data = &rows->params->data;
    rows->rows++;
    rows->columns = 0;
    rows->row_offset = data->len;
    strbuf_add_be32(data, 0); /* length, known at the end */
    strbuf_add_be32(data, 0); /* columns, likewise */
}

void pg_row_end(struct pg_rows *rows) {
    struct strbuf *data = &rows->params->data;
    if (strbuf_failed(data)) {
        return;
    }
    strbuf_set_be32(data, rows->row_offset, (uint32_t)(data->len - rows->row_offset - 4));
    strbuf_set_be32(data, rows->row_offset + 4, rows->columns);
}

void pg_rows_end(struct pg_rows *rows) {
    struct pg_params *params = rows->params;
    int index = params->count - 1;
    if (strbuf_failed(&params->data)) {
        return;
    }
    if (rows->rows == 0) {
        params->data.len = params->offsets[index];
        params->lengths[index] = -1;
        return;
    }
    strbuf_set_be32(&params->data, rows->count_offset, rows->rows);
    close_param(params, index);
}

void pg_params_fail(struct pg_params *params) {
    params->overflow = true;
}

void pg_rows_fail(struct pg_rows *rows) {
    pg_params_fail(rows->params);
}

static void column(struct pg_rows *rows, uint32_t type, size_t len) {
    rows->columns++;
    strbuf_add_be32(&rows->params->data, type);
    strbuf_add_be32(&rows->params->data, (uint32_t)len);
}

static void null_column(struct pg_rows *rows, uint32_t type) {
    rows->columns++;
    strbuf_add_be32(&rows->params->data, type);
    strbuf_add_be32(&rows->params->data, UINT32_MAX);
}

void pg_col_text(struct pg_rows *rows, uint32_t type, struct slice text) {
    if (text.len == 0) {
        null_column(rows, type);
        return;
    }
    column(rows, type, text.len);
    strbuf_add_slice(&rows->params->data, text);
}

void pg_col_bytea(struct pg_rows *rows, struct slice bytes) {
    column(rows, OID_BYTEA, bytes.len);
    strbuf_add_slice(&rows->params->data, bytes);
}

void pg_col_bool(struct pg_rows *rows, bool value) {
    column(rows, OID_BOOL, 1);
    strbuf_add_char(&rows->params->data, value ? 1 : 0);
}

void pg_col_null(struct pg_rows *rows, uint32_t type) {
    null_column(rows, type);
}

void pg_col_int2(struct pg_rows *rows, int16_t value) {
    column(rows, OID_INT2, 2);
    strbuf_add_be16(&rows->params->data, (uint16_t)value);
}

void pg_col_int4(struct pg_rows *rows, int32_t value) {
    column(rows, OID_INT4, 4);
    strbuf_add_be32(&rows->params->data, (uint32_t)value);
}

void pg_col_int8(struct pg_rows *rows, int64_t value) {
    column(rows, OID_INT8, 8);
    strbuf_add_be64(&rows->params->data, (uint64_t)value);
}

void pg_col_uuid(struct pg_rows *rows, const uint8_t uuid[16]) {
    if (uuid == NULL) {
        null_column(rows, OID_UUID);
        return;
    }
    column(rows, OID_UUID, 16);
    strbuf_add(&rows->params->data, uuid, 16);
}

void pg_col_timestamptz(struct pg_rows *rows, int64_t at) {
    if (at == TIMESTAMP_NONE) {
        null_column(rows, OID_TIMESTAMPTZ);
        return;
    }
    column(rows, OID_TIMESTAMPTZ, 8);
    strbuf_add_be64(&rows->params->data, (uint64_t)(at - PG_EPOCH_MICROSECONDS));
}

void pg_col_date(struct pg_rows *rows, int32_t days) {
    if (days == DATE_NONE) {
        null_column(rows, OID_DATE);
        return;
    }
    column(rows, OID_DATE, 4);
    strbuf_add_be32(&rows->params->data, (uint32_t)(days - PG_EPOCH_DAYS));
}

void pg_col_text_array(struct pg_rows *rows, const struct slice *items, size_t count) {
    struct strbuf *data = &rows->params->data;
    column(rows, OID_TEXT_ARRAY, 0);
    size_t start = data->len;
    add_text_array(data, items, count);
    if (!strbuf_failed(data)) {
        strbuf_set_be32(data, start - 4, (uint32_t)(data->len - start));
    }
}

void pg_col_null_text_array(struct pg_rows *rows) {
    null_column(rows, OID_TEXT_ARRAY);
}

/* ---- statements ---- */

/* The opaque result is libpq's own. */
static PGresult *raw(const struct pg_result *result) {
    return (PGresult *)(uintptr_t)result;
}

static bool fail_from_result(const PGresult *result, struct err *err) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = text != NULL ? text : PQresultErrorMessage(result);
    struct slice message = slice_trim(slice_from_cstr(detail));
    if (!err_is_set(err)) {
        err_set(err, state != NULL ? ERR_DATABASE : ERR_CONNECTION, "%.*s", SLICE_ARGS(message));
        if (state != NULL && strlen(state) == 5) {
            memcpy(err->sqlstate, state, 6);
        }
    }
    return false;
}

static bool fail_from_connection(struct pg *pg, struct err *err) {
    struct slice message = slice_trim(slice_from_cstr(PQerrorMessage(pg->conn)));
    return err_set(err, ERR_CONNECTION, "%.*s", SLICE_ARGS(message));
}

static bool fail_from_warning(const struct pg *pg, struct err *err) {
    err_set(err, ERR_DATABASE, "warning: %s", pg->warning);
    memcpy(err->sqlstate, "01000", 6);
    return false;
}

/* Waits until the socket is ready for EVENTS; false at the deadline. */
static bool wait_for(struct pg *pg, short events, int64_t deadline_ms, struct err *err) {
    for (;;) {
        int64_t left = deadline_ms - monotonic_ms();
        if (left <= 0) {
            return err_set(err, ERR_TIMEOUT, "the database did not answer in time");
        }
        struct pollfd fd = {.fd = PQsocket(pg->conn), .events = events};
        int n = poll(&fd, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            /* What was sent may be done or not, as after any other loss. */
            return err_set(err, ERR_CONNECTION, "poll: the connection cannot be waited for");
        }
    }
}

/* Sends what is buffered, taking in what the server says meanwhile, or both sides could wait for
 * each other. */
static bool flush(struct pg *pg, int64_t deadline_ms, struct err *err) {
    for (;;) {
        int left = PQflush(pg->conn);
        if (left == 0) {
            return true;
        }
        if (left < 0) {
            return fail_from_connection(pg, err);
        }
        if (!wait_for(pg, POLLIN | POLLOUT, deadline_ms, err)) {
            return false;
        }
        if (PQconsumeInput(pg->conn) == 0) {
            return fail_from_connection(pg, err);
        }
    }
}

/* The next result of the present statement, NULL at its end. */
static bool next_result(struct pg *pg, int64_t deadline_ms, PGresult **result, struct err *err) {
    while (PQisBusy(pg->conn)) {
        if (!wait_for(pg, POLLIN, deadline_ms, err)) {
            return false;
        }
        if (PQconsumeInput(pg->conn) == 0) {
            return fail_from_connection(pg, err);
        }
    }
    *result = PQgetResult(pg->conn);
    return true;
}

/* Reads all results; the last one with rows is kept. Only the end of the results says that the
 * transaction is committed. */
static bool collect(struct pg *pg, int64_t deadline_ms, PGresult **kept, struct err *err) {
    bool ok = true;
    for (;;) {
        PGresult *result = NULL;
        if (!next_result(pg, deadline_ms, &result, err)) {
            return false;
        }
        if (result == NULL) {
            /* Without memory libpq may have no result at all to give. */
            return ok && (*kept != NULL ||
                          err_set(err, ERR_CONNECTION, "the statement ended without a result"));
        }
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            ok = fail_from_result(result, err);
            PQclear(result);
        } else {
            PQclear(*kept);
            *kept = result;
        }
        if (PQstatus(pg->conn) != CONNECTION_OK) {
            return ok ? fail_from_connection(pg, err) : false;
        }
    }
}

/* The parameters as libpq wants them. */
struct arguments {
    const char *values[PG_MAX_PARAMS];
    int formats[PG_MAX_PARAMS];
    const int *lengths;
    const uint32_t *types;
    int count;
};

static bool take_arguments(struct arguments *arguments, const struct pg_params *params,
                           struct err *err) {
    *arguments = (struct arguments){.count = 0};
    if (params == NULL || params->count == 0) {
        return true;
    }
    if (params->overflow || strbuf_failed(&params->data)) {
        return err_set(err, ERR_MEMORY, "the parameters of a statement are too large");
    }
    for (int i = 0; i < params->count; i++) {
        /* An empty value is not null: it needs an address. */
        const char *data = params->data.data != NULL ? params->data.data + params->offsets[i] : "";
        arguments->values[i] = params->lengths[i] < 0 ? NULL : data;
        arguments->formats[i] = 1;
    }
    arguments->lengths = params->lengths;
    arguments->types = params->types;
    arguments->count = params->count;
    return true;
}

/* The answer to the statement that was sent. */
static bool receive(struct pg *pg, bool sent, int64_t deadline_ms, struct pg_result **result,
                    struct err *err) {
    PGresult *kept = NULL;
    if (!sent) {
        return fail_from_connection(pg, err);
    }
    bool ok = flush(pg, deadline_ms, err) && collect(pg, deadline_ms, &kept, err);
    if (ok && pg->warned) {
        ok = fail_from_warning(pg, err);
    }
    if (!ok || result == NULL) {
        PQclear(kept);
        return ok;
    }
    *result = (struct pg_result *)kept;
    return true;
}

bool pg_query(struct pg *pg, const char *sql, const struct pg_params *params, int64_t deadline_ms,
              struct pg_result **result, struct err *err) {
    struct arguments arguments;
    if (!take_arguments(&arguments, params, err)) {
        return false;
    }
    pg->warned = false;
    bool sent = PQsendQueryParams(pg->conn, sql, arguments.count, arguments.types, arguments.values,
                                  arguments.lengths, arguments.formats, 1) != 0;
    return receive(pg, sent, deadline_ms, result, err);
}

/* The number of SQL among the prepared statements; prepared_count when it is not there yet. False
 * when there is no space for one more. */
static bool find_prepared(const struct pg *pg, const char *sql, size_t *number, struct err *err) {
    *number = 0;
    while (*number < pg->prepared_count && pg->prepared[*number] != sql) {
        ++*number;
    }
    return *number < PREPARED_MAX || err_set(err, ERR_DATABASE, "too many prepared statements");
}

static void name_prepared(size_t number, char name[2]) {
    name[0] = (char)('a' + number);
    name[1] = '\0';
}

static bool prepare(struct pg *pg, const char *sql, const struct arguments *arguments,
                    int64_t deadline_ms, char name[2], struct err *err) {
    size_t number;
    if (!find_prepared(pg, sql, &number, err)) {
        return false;
    }
    name_prepared(number, name);
    if (number < pg->prepared_count) {
        return true;
    }
    bool sent = PQsendPrepare(pg->conn, name, sql, arguments->count, arguments->types) != 0;
    if (!receive(pg, sent, deadline_ms, NULL, err)) {
        return false;
    }
    pg->prepared[pg->prepared_count++] = sql;
    return true;
}

bool pg_query_prepared(struct pg *pg, const char *sql, const struct pg_params *params,
                       int64_t deadline_ms, struct pg_result **result, struct err *err) {
    struct arguments arguments;
    char name[2];
    pg->warned = false;
    if (!take_arguments(&arguments, params, err) ||
        !prepare(pg, sql, &arguments, deadline_ms, name, err)) {
        return false;
    }
    bool sent = PQsendQueryPrepared(pg->conn, name, arguments.count, arguments.values,
                                    arguments.lengths, arguments.formats, 1) != 0;
    return receive(pg, sent, deadline_ms, result, err);
}

static bool prepare_step(struct pg *pg, const struct pg_step *step, int64_t deadline_ms,
                         struct err *err) {
    struct arguments arguments;
    char name[2];
    return take_arguments(&arguments, step->params, err) &&
           prepare(pg, step->sql, &arguments, deadline_ms, name, err);
}

static bool send_step(struct pg *pg, const struct pg_step *step, struct err *err) {
    struct arguments arguments;
    size_t number;
    char name[2];
    if (!take_arguments(&arguments, step->params, err) ||
        !find_prepared(pg, step->sql, &number, err)) {
        return false;
    }
    name_prepared(number, name);
    return PQsendQueryPrepared(pg->conn, name, arguments.count, arguments.values, arguments.lengths,
                               arguments.formats, 1) != 0 ||
           fail_from_connection(pg, err);
}

/* The results up to the end of the pipeline. A step has its result, then none; those behind a
 * failed one are skipped by the server. */
static bool collect_steps(struct pg *pg, struct pg_step *steps, size_t count, int64_t deadline_ms,
                          struct err *err) {
    bool ok = true, at_end = false;
    size_t number = 0;
    while (!at_end) {
        PGresult *result = NULL;
        if (!next_result(pg, deadline_ms, &result, err)) {
            return false;
        }
        if (PQstatus(pg->conn) != CONNECTION_OK) {
            PQclear(result);
            return fail_from_connection(pg, err);
        }
        if (result == NULL) {
            number++;
            if (number > count) {
                return err_set(err, ERR_CONNECTION, "the statements ended without a result");
            }
            continue;
        }
        ExecStatusType status = PQresultStatus(result);
        at_end = status == PGRES_PIPELINE_SYNC;
        if ((status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) && number < count) {
            steps[number].result = (struct pg_result *)result;
            continue;
        }
        if (!at_end && status != PGRES_PIPELINE_ABORTED) {
            ok = fail_from_result(result, err);
        }
        PQclear(result);
    }
    return ok;
}

bool pg_pipeline(struct pg *pg, struct pg_step *steps, size_t count, int64_t deadline_ms,
                 struct err *err) {
    bool ok = true;
    pg->warned = false;
    for (size_t i = 0; i < count; i++) {
        steps[i].result = NULL;
        ok = ok && prepare_step(pg, &steps[i], deadline_ms, err);
    }
    if (!ok) {
        return false;
    }
    if (PQenterPipelineMode(pg->conn) == 0) {
        return fail_from_connection(pg, err);
    }
    for (size_t i = 0; i < count && ok; i++) {
        ok = send_step(pg, &steps[i], err);
    }
    ok = ok && (PQpipelineSync(pg->conn) != 0 || fail_from_connection(pg, err)) &&
         flush(pg, deadline_ms, err) && collect_steps(pg, steps, count, deadline_ms, err);
    if (ok && pg->warned) {
        ok = fail_from_warning(pg, err);
    }
    /* After a failure that left results behind it cannot be left: the connection is closed then. */
    bool left = PQexitPipelineMode(pg->conn) != 0;
    if (!left && ok) {
        ok = fail_from_connection(pg, err);
    }
    for (size_t i = 0; !ok && i < count; i++) {
        pg_result_clear(steps[i].result);
        steps[i].result = NULL;
    }
    return ok;
}

bool pg_script(struct pg *pg, const char *sql, void (*notice)(const char *text), struct err *err) {
    PGresult *kept = NULL;
    pg->notice = notice;
    /* Migrations may take as long as they need. */
    int64_t never = INT64_MAX / 2;
    bool ok = PQsendQuery(pg->conn, sql) != 0
                  ? flush(pg, never, err) && collect(pg, never, &kept, err)
                  : fail_from_connection(pg, err);
    PQclear(kept);
    pg->notice = NULL;
    return ok;
}

size_t pg_row_count(const struct pg_result *result) {
    return (size_t)PQntuples(raw(result));
}

bool pg_is_null(const struct pg_result *result, size_t row, int column_number) {
    return PQgetisnull(raw(result), (int)row, column_number) != 0;
}

struct slice pg_bytes(const struct pg_result *result, size_t row, int column_number) {
    if (pg_is_null(result, row, column_number)) {
        return SLICE_EMPTY;
    }
    return (struct slice){PQgetvalue(raw(result), (int)row, column_number),
                          (size_t)PQgetlength(raw(result), (int)row, column_number)};
}

int64_t pg_value_integer(struct slice value) {
    if (value.len == 0 || value.len > 8) {
        return 0;
    }
    /* The sign. */
    uint64_t number = (uint8_t)value.data[0] & 0x80 && value.len > 1 ? UINT64_MAX : 0;
    for (size_t i = 0; i < value.len; i++) {
        number = number << 8 | (uint8_t)value.data[i];
    }
    return (int64_t)number;
}

int64_t pg_value_timestamp(struct slice value) {
    return value.data == NULL ? TIMESTAMP_NONE : pg_value_integer(value) + PG_EPOCH_MICROSECONDS;
}

int32_t pg_value_date(struct slice value) {
    return value.data == NULL ? DATE_NONE : (int32_t)pg_value_integer(value) + PG_EPOCH_DAYS;
}

int64_t pg_integer(const struct pg_result *result, size_t row, int column_number) {
    return pg_value_integer(pg_bytes(result, row, column_number));
}

int64_t pg_timestamp(const struct pg_result *result, size_t row, int column_number) {
    return pg_value_timestamp(pg_bytes(result, row, column_number));
}

/* ---- composites and arrays ---- */

static bool read_be32(struct slice *rest, uint32_t *number) {
    if (rest->len < 4) {
        return false;
    }
    *number = (uint32_t)pg_value_integer(slice_first(*rest, 4));
    *rest = slice_from(*rest, 4);
    return true;
}

bool pg_read_row(struct slice value, struct pg_reader *reader) {
    uint32_t count;
    *reader = (struct pg_reader){.rest = value, .with_types = true};
    if (!read_be32(&reader->rest, &count)) {
        return false;
    }
    reader->left = count;
    return true;
}

bool pg_read_array(struct slice value, struct pg_reader *reader) {
    uint32_t dimensions, has_nulls, type, count, from;
    *reader = (struct pg_reader){.rest = value};
    if (!read_be32(&reader->rest, &dimensions) || !read_be32(&reader->rest, &has_nulls) ||
        !read_be32(&reader->rest, &type)) {
        return false;
    }
    if (dimensions == 0) {
        return true;
    }
    if (dimensions != 1 || !read_be32(&reader->rest, &count) || !read_be32(&reader->rest, &from)) {
        return false;
    }
    reader->left = count;
    return true;
}

bool pg_read_next(struct pg_reader *reader, struct slice *value) {
    uint32_t type, len;
    *value = SLICE_EMPTY;
    if (reader->left == 0 || (reader->with_types && !read_be32(&reader->rest, &type)) ||
        !read_be32(&reader->rest, &len)) {
        return false;
    }
    reader->left--;
    if (len == UINT32_MAX) {
        return true;
    }
    if (len > reader->rest.len) {
        return false;
    }
    /* Of no length it is not null, also where nothing follows. */
    *value = len > 0 ? slice_first(reader->rest, len) : SLICE_OF("");
    reader->rest = slice_from(reader->rest, len);
    return true;
}

void pg_result_clear(struct pg_result *result) {
    PQclear(raw(result));
}

/* ---- what an error means ---- */

static bool state_starts(const struct err *err, const char *const *prefixes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strncmp(err->sqlstate, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool pg_error_is_data(const struct err *err) {
    /* Cardinality, data, constraint, WITH CHECK, program limits, and what a trigger of the
     * installation may raise. */
    static const char *const prefixes[] = {"21", "22", "23", "44", "54", "P0001"};
    return err->kind == ERR_DATABASE && state_starts(err, prefixes, ARRAY_LEN(prefixes));
}

bool pg_error_needs_reconnect(const struct err *err) {
    /* Connection exceptions, shutdown and crash, a primary that became a standby, an idle
     * transaction that was ended, a commit that may not be replicated. And types, functions or
     * rights that are not there, and a prepared statement that has gone or has another result: what
     * a connection learnt may be out of date. */
    static const char *const prefixes[] = {"08", "57P", "25006", "25P03", "01",
                                           "42", "3F",  "0A000", "26"};
    return err->kind == ERR_CONNECTION || err->kind == ERR_TIMEOUT ||
           (err->kind == ERR_DATABASE && state_starts(err, prefixes, ARRAY_LEN(prefixes)));
}

bool pg_error_is_retryable(const struct err *err) {
    static const char *const prefixes[] = {"40", "55P03"};
    return err->kind == ERR_DATABASE && state_starts(err, prefixes, ARRAY_LEN(prefixes));
}

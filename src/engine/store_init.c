#include "engine/store_init.h"

#include "adapter/pg.h"

#include <stdio.h>

#define DEADLINE_MS 60000
#define STATEMENT_MAX 1024

static int64_t deadline(void) {
    return monotonic_ms() + DEADLINE_MS;
}

/* Connects, asks one question and hands its only row to TAKE. */
static bool ask_once(const char *dsn, const char *sql, const struct pg_params *params,
                     void (*take)(const struct pg_result *result, void *context), void *context,
                     struct err *err) {
    struct pg_result *result = NULL;
    struct pg *pg = pg_connect(dsn, "waybill init", err);
    bool ok = pg != NULL && pg_query(pg, sql, params, deadline(), &result, err);
    if (ok && take != NULL) {
        take(result, context);
    }
    pg_result_clear(result);
    pg_close(pg);
    return ok;
}

static void take_site(const struct pg_result *result, void *context) {
    *(struct store_site *)context = (struct store_site){
        .superuser = pg_integer(result, 0, 0) != 0,
        .has_database = pg_integer(result, 0, 1) != 0,
        .ingest_logs_in = pg_integer(result, 0, 2) != 0,
        .status_logs_in = pg_integer(result, 0, 3) != 0,
        .port = pg_integer(result, 0, 4),
    };
}

bool store_site_look(const char *dsn, const char *database, struct store_site *site,
                     struct err *err) {
    static const char sql[] =
        "SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),"
        " EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1),"
        " EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waybill_ingest' AND rolcanlogin),"
        " EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waybill_status' AND rolcanlogin),"
        " pg_catalog.current_setting('port')::integer";
    struct pg_params params;
    pg_params_init(&params, STATEMENT_MAX);
    pg_add_text(&params, slice_from_cstr(database));
    bool ok = ask_once(dsn, sql, &params, take_site, site, err);
    pg_params_free(&params);
    return ok;
}

bool store_create_database(const char *dsn, const char *name, struct err *err) {
    char sql[STATEMENT_MAX];
    (void)snprintf(sql, sizeof(sql), STORE_CREATE_DATABASE, name);
    return ask_once(dsn, sql, NULL, NULL, NULL, err);
}

bool store_let_in(const char *dsn, const char *role, const char *password, struct err *err) {
    struct strbuf sql = STRBUF_INIT(STATEMENT_MAX);
    struct pg *pg = pg_connect(dsn, "waybill init", err);
    strbuf_addf(&sql, "ALTER ROLE %s LOGIN PASSWORD '", role);
    bool ok = pg != NULL && pg_password_verifier(pg, role, password, &sql, err);
    strbuf_add_cstr(&sql, "'");
    strbuf_add_char(&sql, '\0');
    ok = ok && (!strbuf_failed(&sql) || err_set(err, ERR_MEMORY, "out of memory")) &&
         pg_query(pg, sql.data, NULL, deadline(), NULL, err);
    strbuf_free(&sql);
    pg_close(pg);
    return ok;
}

/*
 * Setting up: the database and the roles that the responders log in as. As a superuser, who
 * connects to the database postgres; the schema itself comes from engine/store_migrate.h.
 */
#ifndef ENGINE_STORE_INIT_H
#define ENGINE_STORE_INIT_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

/* What is there already. */
struct store_site {
    bool superuser, has_database;
    bool ingest_logs_in, status_logs_in; /* the roles exist and may log in */
    int64_t port;                        /* of the server */
};

/* DSN leads to the database postgres. */
MUST_CHECK bool store_site_look(const char *dsn, const char *database, struct store_site *site,
                                struct err *err);
/* NAME is [a-z_][a-z0-9_]*; SQL is what it runs, for who wants to read it first. */
#define STORE_CREATE_DATABASE "CREATE DATABASE %s ENCODING 'UTF8' TEMPLATE template0"
MUST_CHECK bool store_create_database(const char *dsn, const char *name, struct err *err);
/* Lets ROLE log in with PASSWORD, of which the server gets to see a hash alone. */
MUST_CHECK bool store_let_in(const char *dsn, const char *role, const char *password,
                             struct err *err);

#endif

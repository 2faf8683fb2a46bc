/*
 * The configuration file, over libConfuse. Nobody else includes <confuse.h>.
 *
 * This module knows syntax, option names, types, bounds and defaults (one table row each); what the
 * values mean is decided in app/settings.h. Every error says file:line: section: option: why, where
 * a line is known, and never quotes a value.
 *
 * Values are taken as they are written: "${NAME}" is no reference to the environment, a file cannot
 * include another, and of the backslash escapes in double quotes an unknown one is an error.
 */
#ifndef ADAPTER_CONFIG_H
#define ADAPTER_CONFIG_H

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

/* A list of strings; each NUL-terminated, owned by the configuration. */
struct config_list {
    const char *const *items;
    size_t count;
};

/* One source section, as written. NULL: not given. */
struct config_source {
    const char *name;
    int line;
    const char *provider;
    /* Each credential inline or by file, both as lists (a single string is a list of one). */
    struct config_list secret, secret_file;
    struct config_list basic, basic_file;
    struct config_list bearer, bearer_file;
    struct config_list header, header_file;
    struct config_list url_token, url_token_file;
    struct config_list allow_from;
    const char *mode; /* "any" unless given */
    const char *signature, *signature_header, *signature_prefix, *signature_encoding;
    const char *timezone, *carrier;
    const char *tracking_url;
    struct config_list writes_to;
};

/* One client section, as written. */
struct config_client {
    const char *name;
    int line;
    struct config_list token_sha256;
    const char *scope; /* "tracking" unless given */
    struct config_list sources;
};

struct config {
    const char *path;
    const char *ingest_dsn, *status_dsn; /* NULL: not given */
    struct {
        size_t max_body, max_buffered, spool_max, quarantine_max; /* bytes */
        size_t max_in_flight, connections;
        const char *spool; /* NULL: none */
        struct config_list trusted_proxies, metrics_allow;
        bool plain_http;
    } webhook;
    struct {
        size_t max_in_flight, connections;
        struct config_list metrics_allow;
        bool plain_http, remote_user;
    } status;
    const struct config_source *sources;
    size_t source_count;
    const struct config_client *clients;
    size_t client_count;
    bool has_secrets; /* a credential or a dsn with a password stands in the file itself */
};

/*
 * Reads PATH. Not a regular file, longer than LIMIT_CONFIG_FILE, unknown section or option, bad
 * type or bound, an option or a section twice: ERR_CONFIG. A file that holds secrets and that group
 * or others may read (group is allowed to when the file belongs to root) is refused. NULL on
 * failure; else freed with config_free(). libConfuse has global state: one thread at a time.
 */
MUST_CHECK struct config *config_read(const char *path, struct err *err);
void config_free(struct config *config);
/* The line where the option NAME is given in SECTION ("webhook", "source"), TITLE being the
 * section's name or NULL; 0 when it is not given. */
int config_option_line(const struct config *config, const char *section, const char *title,
                       const char *name);

/* All options, a line each, separated by tabs: section, name, type, default, least, most ("-" where
 * there is none), meaning. For help and for the check of manual and sample file. */
void config_reference(struct strbuf *out);

/* "1MiB", "64KiB", "1GiB", "4096" to bytes; false on anything else or overflow. */
MUST_CHECK bool config_parse_size(const char *text, size_t *bytes);

#endif

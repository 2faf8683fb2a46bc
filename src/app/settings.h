/*
 * The configuration, checked and ready for use: what the values of adapter/config.h mean.
 *
 * Immutable after loading, so threads share it without locks, and counted: the last holder frees
 * it. Each program opens only the secrets it needs.
 */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include "base/err.h"
#include "base/strbuf.h"
#include "domain/auth.h"
#include "domain/provider.h"
#include "engine/delivery.h"

enum source_mode { MODE_ANY, MODE_LIVE, MODE_SANDBOX };

/* A sender's account: one URL. */
struct source {
    struct slice name;
    const struct provider *provider;
    struct auth_policy policy;
    enum source_mode mode;
    struct reading_context reading;
    struct slice tracking_url; /* template with {tracking_number}; empty: none */
    /* The sources whose orders its events may speak of beside its own. */
    struct order_owner *writes_to;
    size_t writes_to_count;
    bool has_url_token; /* known also where its value is not loaded */
};

/* Who may read the status endpoint. */
struct client {
    struct slice name;
    uint8_t (*token_sha256)[32];
    size_t token_count;
    bool full;             /* scope full: personal data too */
    bool all_sources;      /* sources = {"*"} */
    struct slice *sources; /* otherwise these */
    size_t source_count;
};

/* Made by settings_load() only. */
struct settings {
    /* Database connection strings; empty: libpq's own environment decides. Only the one of the
     * program's own part is set, both for PART_CHECK. */
    struct slice ingest_dsn, status_dsn; /* NUL-terminated */
    size_t max_body, max_buffered, quarantine_max;
    size_t max_in_flight,
        connections;    /* of the program's own part; PART_CHECK and PART_ADMIN: webhook's */
    bool plain_http;    /* likewise */
    bool remote_user;   /* a login of the web server counts as a client */
    struct slice spool; /* NUL-terminated folder; empty: none. A relative one is relative to the
                           configuration file's folder */
    size_t spool_max;
    struct address_range *trusted_proxies;
    size_t trusted_proxy_count;
    struct address_range *metrics_allow; /* of the program's own part */
    size_t metrics_allow_count;
    /* In the order of the file. The values in their policies are loaded for PART_WEBHOOK,
     * PART_CHECK and PART_VERIFY only; without them a policy passes nobody. */
    struct source *sources;
    size_t source_count;
    /* Stands in for an unknown source: a random signature key and a random Basic password, so a
     * refusal takes as long and looks the same. Its name and its provider's are empty. Loaded with
     * the secrets; otherwise it passes nobody either. */
    struct source decoy;
    struct client *clients;
    size_t client_count;
};

enum settings_part {
    PART_WEBHOOK, /* sources with secrets, ingest_dsn */
    PART_STATUS,  /* status_dsn, source names */
    PART_CHECK,   /* everything, for `waybill check` */
    PART_VERIFY,  /* sources with secrets, no dsn: `waybill verify` */
    PART_ADMIN,   /* source names, providers and tracking_url: no secret, no dsn */
};

/* The file the environment names ($WAYBILL_CONFIG), else /etc/waybill/waybill.conf. */
const char *settings_path(void);
/*
 * Reads and checks PATH for PART: the whole file whatever the part, but only a part with secrets
 * opens their files. On failure NULL and ERR_CONFIG with file:line: source NAME: option: reason,
 * never the value of a secret (ERR_MEMORY without memory, ERR_SYSTEM without randomness). Freed
 * with settings_free(), which wipes the secrets. One thread loads at a time.
 */
MUST_CHECK struct settings *settings_load(const char *path, enum settings_part part,
                                          struct err *err);
/* The same, but *SETTINGS is NULL, and that is no failure, where there is no file. */
MUST_CHECK bool settings_load_found(const char *path, enum settings_part part,
                                    struct settings **settings, struct err *err);
void settings_free(const struct settings *settings); /* NULL is allowed */
/* One more holder of SETTINGS, who calls settings_free() too. */
const struct settings *settings_hold(const struct settings *settings);
/*
 * Some options count at the start only (sizes of queues, connections, the spool). Where those of
 * FRESH, which nobody else has yet, are not those of RUNNING, they are set to these, so that FRESH
 * says what is, and their names are added to NAMES: "webhook.connections webhook.spool". False
 * without memory.
 */
MUST_CHECK bool settings_keep_fixed(struct settings *fresh, const struct settings *running,
                                    enum settings_part part, struct strbuf *names);

/* [a-z][a-z0-9-]{0,31}, and none of the words that are pages of waybill's own. */
bool source_name_is_valid(struct slice name);
/* Whether the source's mode lets a webhook that says this write. */
bool source_allows(const struct source *source, const struct changes *changes);
/* NULL when there is none: then the decoy is asked. */
const struct source *settings_source(const struct settings *settings, struct slice name);
/* How the documents of the source NAME are read; where it is not configured any more, or SETTINGS
 * is NULL, as those of a source without such options. */
const struct reading_context *settings_reading(const struct settings *settings, struct slice name);
/* The client that owns TOKEN (compared by SHA-256 in constant time, all of them always); *CLIENT is
 * NULL when none does. False when that cannot be told, without memory. */
MUST_CHECK bool settings_client(const struct settings *settings, struct slice token,
                                const struct client **client);
/* The client that USER, who has logged in at the web server, counts as: the one of that name, else
 * one that may see everything. NULL where logins count for nothing, and without a user. */
const struct client *settings_login(const struct settings *settings, struct slice user);
bool client_may_see(const struct client *client, struct slice source);

#endif

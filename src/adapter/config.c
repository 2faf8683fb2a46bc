#include "adapter/config.h"

#include "adapter/config_text.h"
#include "base/arena.h"
#include "base/limits.h"
#include "base/strbuf.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All that one configuration can take: a file of nothing but empty sections needs thirty times its
 * length. */
#define ARENA_MAX (64u << 20)

/* ---- the options ---- */

enum kind {
    KIND_TEXT,   /* const char *; NULL where it is not given and has no default */
    KIND_LIST,   /* struct config_list */
    KIND_SIZE,   /* size_t, "1MiB" */
    KIND_COUNT,  /* size_t, "2" */
    KIND_SWITCH, /* bool, yes or no */
};

/* One option: its default and bounds as an operator would write them. */
struct option {
    const char *name;
    enum kind kind;
    size_t at; /* in the struct of its section */
    const char *initial, *least, *most;
    const char *help;
};

#define OF_CONFIG(field) offsetof(struct config, field)
#define OF_SOURCE(field) offsetof(struct config_source, field)
#define OF_CLIENT(field) offsetof(struct config_client, field)
#define MOST_IN_FLIGHT "65536"
#define MOST_CONNECTIONS "64"
#define MOST_BYTES "1048576GiB"

static const struct option database_options[] = {
    {"ingest_dsn", KIND_TEXT, OF_CONFIG(ingest_dsn), .help = "libpq string of webhook.fcgi"},
    {"status_dsn", KIND_TEXT, OF_CONFIG(status_dsn), .help = "libpq string of status.fcgi"},
};

static const struct option webhook_options[] = {
    {"max_body", KIND_SIZE, OF_CONFIG(webhook.max_body), "1MiB", "1KiB", "64MiB",
     "longest body; beyond: 413"},
    {"max_in_flight", KIND_COUNT, OF_CONFIG(webhook.max_in_flight), "1024", "1", MOST_IN_FLIGHT,
     "requests in hand; beyond: 503"},
    {"max_buffered", KIND_SIZE, OF_CONFIG(webhook.max_buffered), "64MiB", "1KiB", MOST_BYTES,
     "bytes of bodies in hand; beyond: 503"},
    {"connections", KIND_COUNT, OF_CONFIG(webhook.connections), "2", "1", MOST_CONNECTIONS,
     "database connections that commit batches"},
    {"spool", KIND_TEXT, OF_CONFIG(webhook.spool),
     .help = "folder that keeps events while the database is away; left out: none"},
    {"spool_max", KIND_SIZE, OF_CONFIG(webhook.spool_max), "1GiB", "4KiB", MOST_BYTES,
     "bytes in the spool; beyond: 503"},
    {"quarantine_max", KIND_SIZE, OF_CONFIG(webhook.quarantine_max), "256MiB", "0", MOST_BYTES,
     "bytes in quarantine for each source; beyond: 503 for what would be quarantined"},
    {"trusted_proxies", KIND_LIST, OF_CONFIG(webhook.trusted_proxies),
     .help = "addresses that may speak of others in X-Forwarded-For and -Proto"},
    {"metrics_allow", KIND_LIST, OF_CONFIG(webhook.metrics_allow),
     .help = "addresses that may read /metrics without a token"},
    {"plain_http", KIND_SWITCH, OF_CONFIG(webhook.plain_http), "no",
     .help = "accept bare credentials without HTTPS"},
};

static const struct option status_options[] = {
    {"max_in_flight", KIND_COUNT, OF_CONFIG(status.max_in_flight), "1024", "1", MOST_IN_FLIGHT,
     "requests in hand; beyond: 503"},
    {"connections", KIND_COUNT, OF_CONFIG(status.connections), "2", "1", MOST_CONNECTIONS,
     "database connections that read"},
    {"metrics_allow", KIND_LIST, OF_CONFIG(status.metrics_allow),
     .help = "addresses that may read /metrics without a token"},
    {"plain_http", KIND_SWITCH, OF_CONFIG(status.plain_http), "no",
     .help = "accept tokens without HTTPS"},
    {"remote_user", KIND_SWITCH, OF_CONFIG(status.remote_user), "no",
     .help = "a login of the web server (REMOTE_USER) counts as a client"},
};

static const struct option source_options[] = {
    {"provider", KIND_TEXT, OF_SOURCE(provider), .help = "who sends: a provider's name"},
    {"secret", KIND_LIST, OF_SOURCE(secret), .help = "key of the signature"},
    {"secret_file", KIND_LIST, OF_SOURCE(secret_file), .help = "file with one"},
    {"basic", KIND_LIST, OF_SOURCE(basic), .help = "user:password of Basic authentication"},
    {"basic_file", KIND_LIST, OF_SOURCE(basic_file), .help = "file with one"},
    {"bearer", KIND_LIST, OF_SOURCE(bearer), .help = "token of Bearer authentication"},
    {"bearer_file", KIND_LIST, OF_SOURCE(bearer_file), .help = "file with one"},
    {"header", KIND_LIST, OF_SOURCE(header), .help = "\"Name: value\" of a request header"},
    {"header_file", KIND_LIST, OF_SOURCE(header_file), .help = "file with one"},
    {"url_token", KIND_LIST, OF_SOURCE(url_token), .help = "last segment of the URL"},
    {"url_token_file", KIND_LIST, OF_SOURCE(url_token_file), .help = "file with one"},
    {"allow_from", KIND_LIST, OF_SOURCE(allow_from), .help = "addresses or CIDR ranges"},
    {"mode", KIND_TEXT, OF_SOURCE(mode), "any", .help = "any, live or sandbox"},
    {"signature", KIND_TEXT, OF_SOURCE(signature),
     .help = "hmac-sha256, standard-webhooks or none; left out: the provider's"},
    {"signature_header", KIND_TEXT, OF_SOURCE(signature_header), .help = "the header it is in"},
    {"signature_prefix", KIND_TEXT, OF_SOURCE(signature_prefix), .help = "what precedes it"},
    {"signature_encoding", KIND_TEXT, OF_SOURCE(signature_encoding), .help = "hex or base64"},
    {"timezone", KIND_TEXT, OF_SOURCE(timezone),
     .help = "IANA name of the zone of times that carry none; left out: UTC"},
    {"carrier", KIND_TEXT, OF_SOURCE(carrier),
     .help = "code of the carrier, used where the sender names none"},
    {"tracking_url", KIND_TEXT, OF_SOURCE(tracking_url),
     .help = "link with {tracking_number}, used where the sender gives none"},
    {"writes_to", KIND_LIST, OF_SOURCE(writes_to),
     .help = "other sources whose orders its events may speak of"},
};

static const struct option client_options[] = {
    {"token_sha256", KIND_LIST, OF_CLIENT(token_sha256), .help = "SHA-256 of the token, in hex"},
    {"scope", KIND_TEXT, OF_CLIENT(scope), "tracking", .help = "full or tracking"},
    {"sources", KIND_LIST, OF_CLIENT(sources), .help = "sources it may see; \"*\": all"},
};

struct section {
    const char *name;
    bool titled; /* any number of them, each with a name of its own */
    const struct option *options;
    size_t count;
};

#define SECTION(name, titled)                                                                      \
    { #name, titled, name##_options, ARRAY_LEN(name##_options) }

enum { DATABASE, WEBHOOK, STATUS, SOURCE, CLIENT, SECTIONS };

static const struct section sections[SECTIONS] = {
    [DATABASE] = SECTION(database, false), [WEBHOOK] = SECTION(webhook, false),
    [STATUS] = SECTION(status, false),     [SOURCE] = SECTION(source, true),
    [CLIENT] = SECTION(client, true),
};

static const struct option *find_option(const char *section, const char *name) {
    for (size_t i = 0; i < SECTIONS; i++)
        for (size_t j = 0; strcmp(sections[i].name, section) == 0 && j < sections[i].count; j++)
            if (strcmp(sections[i].options[j].name, name) == 0)
                return &sections[i].options[j];
    return NULL;
}

/* ---- values ---- */

bool config_parse_size(const char *text, size_t *bytes) {
    static const struct {
        struct slice name;
        unsigned shift;
    } units[] = {{SLICE("KiB"), 10}, {SLICE("MiB"), 20}, {SLICE("GiB"), 30}};
    struct slice s = slice_from_cstr(text);
    unsigned shift = 0;
    int64_t number;

    for (size_t i = 0; i < ARRAY_LEN(units) && shift == 0; i++) {
        if (s.len > 3 && slice_eq(slice_from(s, s.len - 3), units[i].name)) {
            shift = units[i].shift;
            s.len -= 3;
        }
    }
    if (s.len == 0 || s.data[0] == '-' || !slice_to_int64(s, &number) ||
        number > (INT64_MAX >> shift))
        return false;
    *bytes = (size_t)number << shift;
    return true;
}

static bool parse_number(const struct option *option, const char *text, size_t *number) {
    size_t len = strlen(text);

    if (option->kind == KIND_COUNT && len && (text[len - 1] < '0' || text[len - 1] > '9'))
        return false;
    return config_parse_size(text, number);
}

static bool is_within(const struct option *option, const char *text) {
    size_t number, least, most;

    return parse_number(option, text, &number) && parse_number(option, option->least, &least) &&
           parse_number(option, option->most, &most) && number >= least && number <= most;
}

/* ---- reading ---- */

/* Where an option stands. */
struct note {
    struct note *next;
    const struct option *option;
    const char *title; /* of its section; empty without one */
    int line;
};

/* What config_read() returns the first member of. */
struct loaded {
    struct config config;
    struct arena *arena;
    struct note *notes;
};

/* libConfuse hands no pointer of ours to its callbacks, and is not safe in threads anyhow. */
static struct {
    struct loaded *loaded;
    struct config_text text;
    size_t sections; /* closed so far */
    struct err *err;
} reading;

static struct loaded *loaded_of(const struct config *config) {
    return (struct loaded *)(uintptr_t)config;
}

/* file:line: section title: reason */
static void complain(const cfg_t *cfg, const char *reason) {
    bool in_section = strcmp(cfg->name, "root") != 0;

    (void)err_set(reading.err, ERR_CONFIG, "%s:%d: %s%s%s%s%s", reading.loaded->config.path,
                  cfg->line, in_section ? cfg->name : "", cfg->title ? " " : "",
                  cfg->title ? cfg->title : "", in_section ? ": " : "", reason);
}

/* True for what somebody can have meant as an option's name; anything else could be a piece of a
 * secret. */
static bool is_name(const char *text) {
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");

    return len > 0 && len <= 32 && text[len] == '\0';
}

/* Takes the place of libConfuse's own report on stderr. Its words for common mistakes are ours. */
static void on_error(cfg_t *cfg, const char *format, va_list args) {
    char reason[256];

    if (strcmp(format, "unexpected token '%s'") == 0) {
        complain(cfg, "unexpected word or sign; is a comma, a quote or a brace missing?");
    } else if (strcmp(format, "no such option '%s'") == 0) {
        const char *name = va_arg(args, const char *);

        (void)snprintf(reason, sizeof(reason), "%s: there is no such option or section", name);
        complain(cfg, is_name(name) ? reason : "unexpected word; are quotes missing?");
    } else if (strcmp(format, "found duplicate title '%s'") == 0) {
        (void)snprintf(reason, sizeof(reason), "%s: this name is given twice",
                       va_arg(args, const char *));
        complain(cfg, reason);
    } else {
        (void)vsnprintf(reason, sizeof(reason), format, args);
        complain(cfg, reason);
    }
}

/* Set on an option or section that has been read; libConfuse keeps unknown flags. */
#define FLAG_SEEN (1 << 24)

static bool note_line(const cfg_t *cfg, const struct option *option) {
    struct arena *arena = reading.loaded->arena;
    struct note *note = arena_alloc(arena, sizeof(*note));
    struct slice title;

    if (!note || !arena_dup(arena, slice_from_cstr(cfg->title), &title))
        return err_set(reading.err, ERR_MEMORY, "the configuration is too large");
    *note = (struct note){reading.loaded->notes, option, title.data, cfg->line};
    reading.loaded->notes = note;
    return true;
}

/* Called by libConfuse for each value, of a list for each item. Never for a default, because it is
 * told none. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result) {
    const struct option *option = find_option(cfg->name, opt->name);
    bool is_number = option && (option->kind == KIND_SIZE || option->kind == KIND_COUNT);

    if (!option) { /* a quoted "section|option" outside of its section */
        cfg_error(cfg, "an option stands in its section only");
        return -1;
    }
    if (cfg_opt_size(opt) == 1 && (opt->flags & FLAG_SEEN)) {
        cfg_error(cfg, "%s: is given twice", option->name);
        return -1;
    }
    if (is_number && !is_within(option, value)) {
        cfg_error(cfg, "%s: must be a %s from %s to %s", option->name,
                  option->kind == KIND_SIZE ? "size (\"64KiB\", \"1MiB\", \"2GiB\")" : "number",
                  option->least, option->most);
        return -1;
    }
    if (option->kind == KIND_SWITCH && cfg_parse_boolean(value) < 0) {
        cfg_error(cfg, "%s: must be yes or no", option->name);
        return -1;
    }
    if (!(opt->flags & FLAG_SEEN) && !note_line(cfg, option))
        return -1;
    opt->flags |= FLAG_SEEN;
    *(const char **)result = value;
    return 0;
}

/* Called by libConfuse when a section is closed, in the order of the file. */
static int on_section(cfg_t *cfg, cfg_opt_t *opt) {
    cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);

    if (reading.sections < reading.text.section_count)
        section->line = reading.text.section_lines[reading.sections++];
    if ((opt->flags & FLAG_SEEN) && !(opt->flags & CFGF_MULTI)) {
        cfg->line = section->line;
        cfg_error(cfg, "%s: is given twice", opt->name);
        return -1;
    }
    opt->flags |= FLAG_SEEN;
    return 0;
}

/* The rows of SECTION as libConfuse wants them, without defaults; OPTS has room for them and an
 * end. */
static void describe_options(const struct section *section, cfg_opt_t *opts) {
    for (size_t i = 0; i < section->count; i++) {
        const char *name = section->options[i].name;
        cfg_opt_t text = CFG_STR_CB(name, NULL, CFGF_NONE, on_value);
        cfg_opt_t list = CFG_STR_LIST_CB(name, NULL, CFGF_NONE, on_value);

        opts[i] = section->options[i].kind == KIND_LIST ? list : text;
    }
    opts[section->count] = (cfg_opt_t)CFG_END();
}

/* A parser for our sections; NULL without memory. It copies what it is given. */
static cfg_t *new_parser(void) {
    cfg_opt_t opts[SECTIONS][ARRAY_LEN(source_options) + 1], root[SECTIONS + 1];
    cfg_t *cfg;

    for (size_t i = 0; i < SECTIONS; i++) {
        cfg_flag_t flags =
            sections[i].titled ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_NONE;

        describe_options(&sections[i], opts[i]);
        root[i] = (cfg_opt_t)CFG_SEC(sections[i].name, opts[i], flags);
        root[i].validcb = on_section;
    }
    root[SECTIONS] = (cfg_opt_t)CFG_END();
    cfg = cfg_init(root, CFGF_NONE);
    if (cfg)
        (void)cfg_set_error_function(cfg, on_error);
    return cfg;
}

/* ---- from libConfuse's tree to ours ---- */

static bool keep_text(struct arena *arena, const char *text, const char **out) {
    struct slice copy;

    if (!arena_dup(arena, slice_from_cstr(text), &copy))
        return false;
    *out = copy.data;
    return true;
}

static bool keep_list(struct arena *arena, cfg_opt_t *opt, struct config_list *out) {
    size_t count = cfg_opt_size(opt);
    const char **items = arena_array(arena, count, sizeof(*items));

    if (!items)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!keep_text(arena, cfg_opt_getnstr(opt, (unsigned)i), &items[i]))
            return false;
    *out = (struct config_list){items, count};
    return true;
}

static bool keep_value(struct arena *arena, const struct option *option, cfg_opt_t *opt, void *at) {
    const char *text = option->kind == KIND_LIST ? NULL : cfg_opt_getnstr(opt, 0);

    if (!text)
        text = option->initial;
    switch (option->kind) {
    case KIND_TEXT:
        return !text || keep_text(arena, text, at);
    case KIND_LIST:
        return keep_list(arena, opt, at);
    case KIND_SIZE:
    case KIND_COUNT:
        return parse_number(option, text, at);
    case KIND_SWITCH:
        *(bool *)at = cfg_parse_boolean(text) == 1;
        return true;
    }
    return false;
}

/* Fills the struct at BASE from one section. */
static bool keep_section(struct arena *arena, const struct section *section, cfg_t *from,
                         void *base) {
    for (size_t i = 0; i < section->count; i++) {
        const struct option *option = &section->options[i];

        if (!keep_value(arena, option, cfg_getopt(from, option->name), (char *)base + option->at))
            return false;
    }
    return true;
}

static bool keep_sources(struct loaded *l, cfg_t *cfg) {
    size_t count = cfg_size(cfg, sections[SOURCE].name);
    struct config_source *sources = arena_array(l->arena, count, sizeof(*sources));

    for (size_t i = 0; sources && i < count; i++) {
        cfg_t *from = cfg_getnsec(cfg, sections[SOURCE].name, (unsigned)i);

        sources[i].line = from->line;
        if (!keep_text(l->arena, cfg_title(from), &sources[i].name) ||
            !keep_section(l->arena, &sections[SOURCE], from, &sources[i]))
            return false;
    }
    l->config.sources = sources;
    l->config.source_count = count;
    return sources != NULL;
}

static bool keep_clients(struct loaded *l, cfg_t *cfg) {
    size_t count = cfg_size(cfg, sections[CLIENT].name);
    struct config_client *clients = arena_array(l->arena, count, sizeof(*clients));

    for (size_t i = 0; clients && i < count; i++) {
        cfg_t *from = cfg_getnsec(cfg, sections[CLIENT].name, (unsigned)i);

        clients[i].line = from->line;
        if (!keep_text(l->arena, cfg_title(from), &clients[i].name) ||
            !keep_section(l->arena, &sections[CLIENT], from, &clients[i]))
            return false;
    }
    l->config.clients = clients;
    l->config.client_count = count;
    return clients != NULL;
}

static bool keep_all(struct loaded *l, cfg_t *cfg) {
    for (size_t i = 0; i < SECTIONS; i++)
        if (!sections[i].titled &&
            !keep_section(l->arena, &sections[i], cfg_getsec(cfg, sections[i].name), &l->config))
            return false;
    return keep_sources(l, cfg) && keep_clients(l, cfg);
}

/* ---- secrets ---- */

/* libpq's keyword=value strings and URIs: a keyword that ends in "password", or user:password@ in
 * front of the hosts. */
static bool dsn_has_password(const char *dsn) {
    const char *at, *authority, *end;

    for (const char *p = dsn; p && (p = strstr(p, "password")); p++)
        if (p[8 + strspn(p + 8, " \t\n\r\f\v")] == '=')
            return true;
    authority = dsn ? strstr(dsn, "://") : NULL;
    if (!authority)
        return false;
    authority += 3;
    end = authority + strcspn(authority, "/?#");
    at = memchr(authority, '@', (size_t)(end - authority));
    return at && memchr(authority, ':', (size_t)(at - authority));
}

static bool has_secrets(const struct config *config) {
    if (dsn_has_password(config->ingest_dsn) || dsn_has_password(config->status_dsn))
        return true;
    for (size_t i = 0; i < config->source_count; i++) {
        const struct config_source *s = &config->sources[i];

        if (s->secret.count || s->basic.count || s->bearer.count || s->header.count ||
            s->url_token.count)
            return true;
    }
    return false;
}

/* Root's group is the usual way to let a service read what it must not write. */
static bool is_private(const struct stat *status) {
    return !(status->st_mode & S_IROTH) && (!(status->st_mode & S_IRGRP) || status->st_uid == 0);
}

/* ---- the file ---- */

/* The whole of an open file, with one look at its status: what is checked is what is read. */
static bool read_open_file(int fd, struct strbuf *text, struct stat *status, struct err *err,
                           const char *path) {
    ssize_t got = 1;

    if (fstat(fd, status) != 0)
        return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status->st_mode))
        return err_set(err, ERR_CONFIG, "%s: is no regular file", path);
    while (got > 0) {
        char *at = strbuf_reserve(text, 4096);

        if (at == NULL && text->len + 4096 <= text->max) {
            return err_set(err, ERR_MEMORY, "%s: no memory for the configuration", path);
        }
        if (at == NULL) {
            return err_set(err, ERR_CONFIG, "%s: is longer than %u bytes", path, LIMIT_CONFIG_FILE);
        }
        got = read(fd, at, 4096);
        if (got < 0 && errno != EINTR)
            return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
        if (got < 0)
            got = 1;
        else
            strbuf_commit(text, (size_t)got);
    }
    return true;
}

static bool read_file(const char *path, struct strbuf *text, struct stat *status, struct err *err) {
    /* Not blocking: opening a FIFO would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool ok;

    if (fd < 0)
        return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
    ok = read_open_file(fd, text, status, err, path);
    close(fd);
    return ok;
}

/* Through libConfuse; the text is the one that has been made fit for it. */
static bool parse(struct loaded *l, struct err *err) {
    struct slice text = reading.text.text;
    FILE *file = fmemopen((void *)(uintptr_t)text.data, text.len, "r");
    cfg_t *cfg = new_parser();
    bool ok = file && cfg;

    if (ok && cfg_parse_fp(cfg, file) != CFG_SUCCESS) {
        /* What libConfuse refuses without a word is a name "". */
        if (!err_is_set(err))
            complain(cfg, "a name is empty, in this line or the section that begins here");
        ok = false;
    }
    ok = ok && keep_all(l, cfg);
    if (!ok)
        (void)err_set(err, ERR_MEMORY, "%s: no memory for the configuration", l->config.path);
    if (cfg)
        cfg_free(cfg);
    if (file)
        (void)fclose(file);
    return ok;
}

static bool load(struct loaded *l, struct slice text, const struct stat *status, struct err *err) {
    struct config_flaw flaw;
    bool ok;

    reading.loaded = l;
    reading.err = err;
    reading.sections = 0;
    if (!config_text_prepare(text, l->arena, &reading.text, &flaw)) {
        if (!flaw.reason)
            return err_set(err, ERR_MEMORY, "%s: no memory for the configuration", l->config.path);
        return err_set(err, ERR_CONFIG, "%s:%d: %s", l->config.path, flaw.line, flaw.reason);
    }
    ok = parse(l, err);
    if (!ok)
        return false;
    l->config.has_secrets = has_secrets(&l->config);
    if (l->config.has_secrets && !is_private(status))
        return err_set(err, ERR_CONFIG, "%s: holds secrets and others can read it: chmod 600 %s",
                       l->config.path, l->config.path);
    return true;
}

struct config *config_read(const char *path, struct err *err) {
    struct strbuf text = STRBUF_INIT(LIMIT_CONFIG_FILE + 4096);
    struct loaded *l = calloc(1, sizeof(*l));
    struct stat status;
    bool ok;

    if (l)
        l->arena = arena_new(ARENA_MAX);
    if (!l || !l->arena || !keep_text(l->arena, path, &l->config.path)) {
        (void)err_set(err, ERR_MEMORY, "no memory for the configuration");
        config_free(l ? &l->config : NULL);
        return NULL;
    }
    ok = read_file(path, &text, &status, err) && load(l, strbuf_slice(&text), &status, err);
    if (text.data)
        explicit_bzero(text.data, text.capacity);
    strbuf_free(&text);
    if (ok)
        return &l->config;
    config_free(&l->config);
    return NULL;
}

void config_free(struct config *config) {
    struct loaded *l = loaded_of(config);

    if (!l)
        return;
    if (l->arena)
        arena_wipe(l->arena); /* it may hold secrets */
    arena_free(l->arena);
    free(l);
}

int config_option_line(const struct config *config, const char *section, const char *title,
                       const char *name) {
    const struct option *option = find_option(section, name);

    for (const struct note *n = loaded_of(config)->notes; option && n; n = n->next)
        if (n->option == option && strcmp(n->title, title ? title : "") == 0)
            return n->line;
    return 0;
}

void config_reference(struct strbuf *out) {
    static const char *const kinds[] = {
        [KIND_TEXT] = "text",    [KIND_LIST] = "list",        [KIND_SIZE] = "size",
        [KIND_COUNT] = "number", [KIND_SWITCH] = "yes or no",
    };

    for (size_t i = 0; i < SECTIONS; i++) {
        for (size_t j = 0; j < sections[i].count; j++) {
            const struct option *o = &sections[i].options[j];

            strbuf_addf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", sections[i].name, o->name,
                        kinds[o->kind], o->initial ? o->initial : "-", o->least ? o->least : "-",
                        o->most ? o->most : "-", o->help);
        }
    }
}

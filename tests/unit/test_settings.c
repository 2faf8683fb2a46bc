/* The configuration: what is accepted, what it becomes, and what every flaw says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/settings.h"
#include "base/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Part of every secret in this file: no error may show it. */
#define MARK "hunter2"
#define URL_TOKEN "0123456789abcdef-hunter2_~.ABCDEF"
/* SHA-256 of "hunter2-token" and of "other-token". */
#define TOKEN_HASH "f9d9f399d40c3f76914bb6d4b5d614f54cca87d3d5df005ff8ef820fd81584b8"
#define OTHER_HASH "6c67163bbed989f232b31acc4f04df54b31285bfc01bd022c735b71e041a4754"

static char folder[64];
static char config_path[128];

static void write_file(const char *name, const char *text, size_t len, mode_t mode) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void write_text(const char *name, const char *text, mode_t mode) {
    write_file(name, text, strlen(text), mode);
}

static struct settings *load(const char *text, enum settings_part part, struct err *err) {
    write_text("waybill.conf", text, 0600);
    *err = (struct err)ERR_INIT;
    return settings_load(config_path, part, err);
}

static struct settings *load_good(const char *text, enum settings_part part) {
    struct err err;
    struct settings *settings = load(text, part, &err);
    if (settings == NULL) {
        fail_msg("%s", err.message);
    }
    return settings;
}

static int setup(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/waybill-settings-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(config_path, sizeof config_path, "%s/waybill.conf", folder);
    return 0;
}

static int teardown(void **state) {
    DIR *dir = opendir(folder);
    (void)state;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
        (void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return rmdir(folder);
}

/* ---- flaws ---- */

#define SHIPUP "provider = shipup basic = \"user:" MARK "\" "
#define CROSS "provider = crossborderly secret = \"" MARK "\" "
#define WAYBILL "provider = waybill secret = \"" MARK "\" "
#define CROWD "provider = crowdsender "
#define CLIENT "token_sha256 = \"" TOKEN_HASH "\" sources = {\"*\"} "

struct flaw {
    const char *config, *message; /* message NULL: none */
};

static bool is_as_expected(const struct flaw *row, const struct settings *settings,
                           const struct err *err) {
    if (row->message == NULL) {
        return settings != NULL && !err_is_set(err);
    }
    return settings == NULL && err->kind == ERR_CONFIG &&
           strncmp(err->message, config_path, strlen(config_path)) == 0 &&
           strstr(err->message, row->message) != NULL && strstr(err->message, MARK) == NULL;
}

static void check_flaws(const struct flaw *rows, size_t count, enum settings_part part) {
    for (size_t i = 0; i < count; i++) {
        struct err err;
        struct settings *settings = load(rows[i].config, part, &err);
        if (!is_as_expected(&rows[i], settings, &err)) {
            fail_msg("%s\n  says: %s\n  not: %s", rows[i].config, err.message,
                     rows[i].message ? rows[i].message : "nothing");
        }
        settings_free(settings);
    }
}

static const struct flaw file_flaws[] = {
    {"", NULL},
    /* Names. */
    {"source a { " SHIPUP "}", NULL},
    {"source a-1 { " SHIPUP "}", NULL},
    {"source abcdefghijklmnopqrstuvwxyz012345 { " SHIPUP "}", NULL},
    {"source abcdefghijklmnopqrstuvwxyz0123456 { " SHIPUP "}", ": the name must be"},
    {"source Shop { " SHIPUP "}", "source Shop: the name must be"},
    {"source 1shop { " SHIPUP "}", "source 1shop: the name must be"},
    {"source my_shop { " SHIPUP "}", "source my_shop: the name must be"},
    {"source \"\" { " SHIPUP "}", "the name must be"},
    {"source livez { " SHIPUP "}", ":1: source livez: the name must be a small letter"},
    {"\n\nsource readyz {\n " SHIPUP "\n}",
     ".conf:3: source readyz: the name must be a small letter"},
    {"source metrics { " SHIPUP "}", "source metrics: the name must be a small letter"},
    {"source console { " SHIPUP "}", "source console: the name must be a small letter"},
    {"source \"openapi.json\" { " SHIPUP "}",
     "source openapi.json: the name must be a small letter"},
    /* Providers. */
    {"source a { basic = \"u:p\" }", "source a: provider: is missing; there are: "},
    {"source a { provider = dhl basic = \"u:p\" }",
     "source a: provider: \"dhl\" is unknown; there are: "},
    {"source a { provider = dhl }", "crossborderly"},
    {"source a { provider = dhl }", "swiftpod"},
    /* Words. */
    {"source a { " SHIPUP "mode = any }", NULL},
    {"source a { " SHIPUP "mode = live }", NULL},
    {"source a { " SHIPUP "mode = sandbox }", NULL},
    {"source a { " SHIPUP "mode = test }",
     "source a: mode: \"test\" is unknown; there are: any, live, sandbox"},
    {"source a { " CROSS "signature = md5 }",
     "source a: signature: \"md5\" is unknown; there are: hmac-sha256, standard-webhooks, none"},
    {"source a { " CROSS "signature_encoding = rot13 }",
     "source a: signature_encoding: \"rot13\" is unknown; there are: hex, base64"},
    /* Signatures. */
    {"source a { " CROSS "}", NULL},
    {"source a { " CROSS "signature = standard-webhooks }", NULL},
    {"source a { " CROSS "signature_header = X-Sig signature_prefix = \"\" }", NULL},
    {"source a { provider = crossborderly }",
     "source a: secret: is missing: signature is hmac-sha256"},
    {"source a { provider = crossborderly basic = \"u:p\" }", "source a: secret: is missing"},
    {"source a { provider = crossborderly signature = none basic = \"u:p\" }", NULL},
    {"source a { provider = crossborderly signature = none }", "source a: no credential"},
    {"source a { " CROSS "signature = none }",
     "source a: secret: nothing uses it: signature is none"},
    {"source a { " SHIPUP "secret = \"" MARK "\" }",
     "source a: secret: nothing uses it: signature is none, which is this provider's default"},
    {"source a { " SHIPUP "secret_file = \"nowhere\" }", "source a: secret_file: nothing uses it"},
    {"source a { " SHIPUP "signature = hmac-sha256 secret = \"" MARK "\" }",
     "source a: signature_header: is missing"},
    {"source a { " CROWD "signature = hmac-sha256 signature_header = X-Sig secret = \"" MARK "\" }",
     NULL},
    {"source a { " CROWD "signature = standard-webhooks secret = \"" MARK "\" }", NULL},
    {"source a { " CROWD "signature = standard-webhooks }",
     "source a: secret: is missing: signature is standard-webhooks"},
    {"source a { " CROWD "signature = standard-webhooks secret = \"whsec_" MARK "@\" }",
     "source a: secret: is not base64 after whsec_"},
    {"source a { " CROWD "signature = standard-webhooks secret = \"whsec_\" }",
     "source a: secret: is not base64 after whsec_"},
    {"source a { provider = crossborderly secret = {\"whsec_@\"} }", NULL},
    {"source a { " CROSS "signature_header = \"X Sig\" }",
     "source a: signature_header: is no header name"},
    {"source a { " CROSS "signature_header = \"\" }", "source a: signature_header: is "},
    {"source a { " CROSS "signature_header = authorization }",
     "source a: signature_header: cannot be Authorization"},
    {"source a { " SHIPUP "signature_header = X-Sig }",
     "source a: signature_header: nothing uses it: signature is none"},
    {"source a { " CROSS "signature = standard-webhooks signature_prefix = \"v1=\" }",
     "source a: signature_prefix: nothing uses it: signature is standard-webhooks"},
    {"source a { " SHIPUP "signature_encoding = hex }",
     "source a: signature_encoding: nothing uses it"},
    /* Credentials. */
    {"source a { " CROWD "}", "source a: no credential: it needs"},
    {"source a { " CROWD "allow_from = {\"10.0.0.0/8\"} }", "(allow_from alone is none)"},
    {"source a { " CROWD "basic = \"\" }", "source a: basic: is empty"},
    {"source a { provider = crossborderly secret = \"\" }", "source a: secret: is empty"},
    {"source a { provider = crossborderly secret = {\"" MARK "\", \"\"} }",
     "source a: secret: is empty"},
    {"source a { " CROWD "bearer = \"\" }", "source a: bearer: is empty"},
    {"source a { " CROWD "header = \"\" }", "source a: header: is empty"},
    {"source a { " CROWD "url_token = \"\" }", "source a: url_token: is empty"},
    {"source a { " CROWD "basic = \"" MARK "\" }", "source a: basic: must be user:password"},
    {"source a { " CROWD "basic = \":\" }", "source a: basic: must be user:password"},
    {"source a { " CROWD "basic = \"user:" MARK "\\n\" }", "source a: basic: must be one line"},
    {"source a { " CROWD "basic = {\"user:" MARK "\", \"old:" MARK ":x\"} }", NULL},
    {"source a { " CROWD "bearer = \"" MARK "\" }", NULL},
    {"source a { " CROWD "bearer = \"" MARK " x\" }",
     "source a: bearer: must be ASCII without spaces"},
    {"source a { " CROWD "basic = \"u:p\" bearer = \"" MARK "\" }",
     "source a: bearer: cannot go with basic"},
    {"source a { " CROWD "basic = \"u:p\" bearer_file = \"nowhere\" }",
     "source a: bearer_file: cannot go with basic"},
    {"source a { " CROWD "header = \"X-Key: " MARK "\" }", NULL},
    {"source a { " CROWD "header = \"X-Key:" MARK "\" basic = \"u:p\" }", NULL},
    {"source a { " CROWD "header = \"Authorization: " MARK "\" }", NULL},
    {"source a { " CROWD "header = \"Authorization: " MARK "\" basic = \"u:p\" }",
     "source a: header: cannot be Authorization"},
    {"source a { " CROSS "header = \"x-crossborderly-signature: " MARK "\" }",
     "source a: header: cannot be the header that carries the signature"},
    {"source a { " CROSS
     "signature = standard-webhooks header = \"X-CrossBorderly-Signature: x\" }",
     NULL},
    {"source a { " CROWD "header = \"" MARK "\" }", "source a: header: must be \"Name: value\""},
    {"source a { " CROWD "header = \"X-Key:  \" }", "source a: header: must be \"Name: value\""},
    {"source a { " CROWD "header = \"X Key: " MARK "\" }",
     "source a: header: must be \"Name: value\""},
    {"source a { " CROWD "header = \": " MARK "\" }", "source a: header: must be \"Name: value\""},
    {"source a { " CROWD "header = \"X-Key: a\\n" MARK "\" }",
     "source a: header: must be one line"},
    {"source a { " CROWD "url_token = \"" URL_TOKEN "\" }", NULL},
    {"source a { " CROWD "url_token = \"" MARK "\" }",
     "source a: url_token: must have at least 32 characters"},
    {"source a { " CROWD "url_token = \"" MARK "/bcdefghijklmnopqrstuvwxyz\" }",
     "source a: url_token: may only have"},
    /* Ranges. */
    {"source a { " SHIPUP "allow_from = {\"34.198.12.45\", \"2001:db8::/32\"} }", NULL},
    {"source a { " SHIPUP "allow_from = {\"10.0.0.0/8\", \"10.0.0.1/8\"} }",
     "source a: allow_from: \"10.0.0.1/8\" is no address"},
    {"source a { " SHIPUP "allow_from = {\"example.org\"} }",
     "source a: allow_from: \"example.org\" is no address"},
    {"source a { " SHIPUP "allow_from = {\"\"} }", "source a: allow_from: \"\" is no address"},
    {"webhook { trusted_proxies = {\"127.0.0.1\", \"::1\"} }", NULL},
    {"webhook { trusted_proxies = {\"127.0.0.1/99\"} }",
     "webhook: trusted_proxies: \"127.0.0.1/99\" is no address"},
    /* How documents are read. */
    {"source a { " SHIPUP "timezone = \"Europe/Madrid\" carrier = \"SEUR\" }", NULL},
    {"source a { " SHIPUP "timezone = \"America/Argentina/Buenos_Aires\" }", NULL},
    {"source a { " SHIPUP "timezone = \"Etc/GMT+3\" }", NULL},
    {"source a { " SHIPUP "timezone = \"Europe/Atlantis\" }",
     "source a: timezone: there is no time zone \"Europe/Atlantis\""},
    {"source a { " SHIPUP "timezone = \"Europe\" }",
     "source a: timezone: there is no time zone \"Europe\""},
    {"source a { " SHIPUP "timezone = \"\" }", "source a: timezone: \"\" is no name"},
    {"source a { " SHIPUP "timezone = \"../../../etc/passwd\" }",
     "source a: timezone: \"../../../etc/passwd\" is no name"},
    {"source a { " SHIPUP "timezone = \"/etc/passwd\" }", "source a: timezone: \"/etc/passwd\" is"},
    {"source a { " SHIPUP "timezone = \"tzdata.zi\" }",
     "source a: timezone: \"tzdata.zi\" is no name"},
    {"source a { " SHIPUP "timezone = \"CEST-2\" }", "source a: timezone: there is no time zone"},
    {"source a { " SHIPUP "carrier = \"\" }", "source a: carrier: must be at most 255"},
    {"source a { " SHIPUP "carrier = \"two words\" }", "source a: carrier: must be at most 255"},
    /* Links. */
    {"source a { " SHIPUP "tracking_url = \"https://shop.example/{tracking_number}\" }", NULL},
    {"source a { " SHIPUP "tracking_url = \"HTTP://shop.example/{tracking_number}\" }", NULL},
    {"source a { " SHIPUP "tracking_url = \"ftp://shop.example/{tracking_number}\" }",
     "source a: tracking_url: must begin with http"},
    {"source a { " SHIPUP "tracking_url = \"javascript:{tracking_number}\" }",
     "source a: tracking_url: must begin with http"},
    {"source a { " SHIPUP "tracking_url = \"\" }", "source a: tracking_url: must begin with http"},
    {"source a { " SHIPUP "tracking_url = \"https://shop.example/\" }",
     "source a: tracking_url: must contain {tracking_number}"},
    {"source a { " SHIPUP "tracking_url = \"https://shop.example/a b{tracking_number}\" }",
     "source a: tracking_url: must be at most"},
    /* Orders of other sources. */
    {"source a { " WAYBILL "writes_to = {\"b\"} }\nsource b { " SHIPUP "}", NULL},
    {"source b { " SHIPUP "}\nsource a { " WAYBILL "writes_to = \"b\" }", NULL},
    {"source a { " WAYBILL "writes_to = {\"a\"} }", NULL},
    {"source a { " WAYBILL "writes_to = {} }", NULL},
    {"source a { " WAYBILL "writes_to = {\"b\", \"c\"} }\nsource b { " SHIPUP "}",
     "source a: writes_to: there is no source \"c\""},
    {"source a { " SHIPUP "writes_to = {\"a\"} }",
     "source a: writes_to: nothing uses it: no event of shipup names a source"},
    /* Sizes. */
    {"webhook { max_body = \"1MiB\" max_buffered = \"1MiB\" }", NULL},
    {"webhook { max_body = \"2MiB\" max_buffered = \"1MiB\" }",
     "webhook: max_buffered: is less than max_body"},
    /* Lines: of the option, else of its section. */
    {"webhook {\n max_body = \"2MiB\"\n max_buffered = \"1MiB\"\n}",
     ".conf:3: webhook: max_buffered: is less"},
    {"webhook {\n trusted_proxies = {\"x\"}\n}", ".conf:2: webhook: trusted_proxies: "},
    {"source b { " SHIPUP "}\nsource a {\n provider = shipup\n\n bearer = \"" MARK " x\" }",
     ".conf:5: source a: bearer: "},
    {"source b { " SHIPUP "}\nsource a {\n provider = swiftpod\n\n}",
     ".conf:2: source a: secret: is missing"},
    {"client c { " CLIENT
     "}\nclient d {\n sources = {\"*\"}\n scope = all\n token_sha256 = \"" OTHER_HASH "\" }",
     ".conf:4: client d: scope: "},
    {"webhook { spool = \"\" }", "spool: is empty"},
    /* Clients. */
    {"client c { " CLIENT "}", NULL},
    {"client c { " CLIENT "scope = tracking }", NULL},
    {"client c { " CLIENT "scope = full }", NULL},
    {"client c { " CLIENT "scope = all }",
     "client c: scope: \"all\" is unknown; there are: tracking, full"},
    {"client c { sources = {\"*\"} }", "client c: token_sha256: is missing"},
    {"client c { sources = {\"*\"} token_sha256 = \"" MARK "\" }",
     "client c: token_sha256: must be 64 hexadecimal digits"},
    {"client c { sources = {\"*\"} token_sha256 = \"" TOKEN_HASH "0\" }",
     "client c: token_sha256: must be 64 hexadecimal digits"},
    {"client c { sources = {\"*\"} token_sha256 = {\"" TOKEN_HASH "\", \"\"} }",
     "client c: token_sha256: must be 64 hexadecimal digits"},
    {"client c { " CLIENT "} client d { " CLIENT "}",
     "client d: token_sha256: client c has the same token"},
    {"client c { token_sha256 = \"" TOKEN_HASH "\" }", "client c: sources: is missing"},
    {"client c { token_sha256 = \"" TOKEN_HASH "\" sources = {\"b\"} } source a { " SHIPUP "}",
     "client c: sources: there is no source \"b\""},
    {"client c { token_sha256 = \"" TOKEN_HASH "\" sources = {\"a\"} } source a { " SHIPUP "}",
     NULL},
};

static void test_flaws(void **state) {
    static const enum settings_part parts[] = {PART_WEBHOOK, PART_STATUS, PART_CHECK, PART_ADMIN};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        check_flaws(file_flaws, ARRAY_LEN(file_flaws), parts[i]);
    }
}

/* ---- secret files ---- */

#define WITH_FILE "source a { provider = crossborderly secret_file = \"s\" }"

static void check_file(enum settings_part part, const char *message) {
    const struct flaw row = {WITH_FILE, message};
    check_flaws(&row, 1, part);
}

static void test_file_content(void **state) {
    static char longest[LIMIT_SECRET_FILE + 1];
    static const char binary[] = {'a', '\0', '\n', '\xff'};
    memset(longest, 'x', sizeof longest);
    const struct {
        const char *text;
        size_t len, kept; /* kept 0: refused */
        const char *message;
    } rows[] = {
        {MARK, 7, 7, NULL},
        {MARK "\n", 8, 7, NULL},
        {MARK "\r\n", 9, 7, NULL},
        {MARK "\n\n", 9, 8, NULL},
        {MARK "\r", 8, 8, NULL},
        {" " MARK " ", 9, 9, NULL},
        {binary, sizeof binary, sizeof binary, NULL},
        {longest, LIMIT_SECRET_FILE, LIMIT_SECRET_FILE, NULL},
        {longest, LIMIT_SECRET_FILE + 1, 0, "/s is longer than 4096 bytes"},
        {"", 0, 0, "source a: secret_file: is empty"},
        {"\n", 1, 0, "source a: secret_file: is empty"},
        {"\r\n", 2, 0, "source a: secret_file: is empty"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_file("s", rows[i].text, rows[i].len, 0600);
        check_file(PART_WEBHOOK, rows[i].message);
        check_file(PART_CHECK, rows[i].message);
        check_file(PART_STATUS, NULL);
        if (rows[i].kept > 0) {
            struct settings *settings = load_good(WITH_FILE, PART_WEBHOOK);
            const struct auth_values *secrets = &settings->sources[0].policy.secrets;
            assert_int_equal(secrets->count, 1);
            assert_int_equal(secrets->items[0].len, rows[i].kept);
            assert_memory_equal(secrets->items[0].data, rows[i].text, rows[i].kept);
            settings_free(settings);
        }
    }
}

static void test_file_shape(void **state) {
    static const struct {
        const char *option, *text, *message;
    } rows[] = {
        {"basic_file", "user:" MARK "\n", NULL},
        {"basic_file", MARK "\n", "source a: basic_file: must be user:password"},
        {"basic_file", "a:" MARK "\nb:" MARK "\n", "source a: basic_file: must be one line"},
        {"bearer_file", MARK "\n", NULL},
        {"bearer_file", MARK " x\n", "source a: bearer_file: must be ASCII"},
        {"header_file", "X-Key: " MARK "\n", NULL},
        {"header_file", MARK "\n", "source a: header_file: must be \"Name: value\""},
        {"url_token_file", URL_TOKEN "\n", NULL},
        {"url_token_file", MARK "\n", "source a: url_token_file: must have at least 32"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char config[256];
        const struct flaw row = {config, rows[i].message};
        (void)snprintf(config, sizeof config, "source a { provider = shipup %s = \"%s/s\" }",
                       rows[i].option, folder);
        write_text("s", rows[i].text, 0400);
        check_flaws(&row, 1, PART_WEBHOOK);
    }
}

static void test_file_permissions(void **state) {
    char path[128];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/s", folder);
    (void)unlink(path);
    check_file(PART_WEBHOOK, "source a: secret_file: ");
    check_file(PART_WEBHOOK, "/s: No such file or directory");
    check_file(PART_ADMIN, NULL);

    assert_int_equal(mkdir(path, 0700), 0);
    check_file(PART_CHECK, "/s is no regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    check_file(PART_CHECK, "/s is no regular file");

    write_text("s", MARK, 0604);
    check_file(PART_WEBHOOK, "/s can be read by everybody");
    check_file(PART_STATUS, NULL);
    write_text("s", MARK, 0640);
    if (geteuid() == 0) {
        check_file(PART_WEBHOOK, NULL);
        assert_int_equal(chown(path, 65534, 0), 0);
    }
    check_file(PART_WEBHOOK, "/s can be read by its group and does not belong to root");
    check_flaws(&(struct flaw){"source a { provider = shipup basic_file = \"\" }",
                               "source a: basic_file: is empty"},
                1, PART_STATUS);
}

/* ---- what becomes of it ---- */

static const char full_config[] =
    "database { ingest_dsn = \"service=in\" status_dsn = \"service=out\" }\n"
    "webhook { max_body = \"2MiB\" max_in_flight = 7 max_buffered = \"8MiB\" connections = 3\n"
    "  spool = \"spool\" spool_max = \"3GiB\" quarantine_max = \"5MiB\"\n"
    "  trusted_proxies = {\"127.0.0.1\", \"10.0.0.0/8\"} plain_http = yes }\n"
    "status { max_in_flight = 9 connections = 4 plain_http = no }\n"
    "source cross { provider = crossborderly secret = {\"" MARK "\", \"old\"}\n"
    "  secret_file = \"s\" allow_from = {\"34.198.12.45\"} mode = live }\n"
    "source shop { provider = shipup basic = \"user:" MARK "\" mode = sandbox\n"
    "  tracking_url = \"https://shop.example/{tracking_number}\"\n"
    "  timezone = \"Europe/Madrid\" carrier = \"SEUR\" }\n"
    "source custom { provider = swiftpod secret = \"" MARK "\" signature = hmac-sha256\n"
    "  signature_header = \"X-Own\" signature_prefix = \"v=\" signature_encoding = base64 }\n"
    "source own { provider = waybill secret = \"" MARK "\" writes_to = {\"custom\", \"shop\"} }\n"
    "client all { token_sha256 = \"" TOKEN_HASH "\" scope = full sources = {\"*\"} }\n"
    "client some { token_sha256 = {\"" OTHER_HASH "\"} sources = {\"shop\", \"custom\"} }\n";

static void assert_slice(struct slice actual, const char *expected) {
    assert_int_equal(actual.len, strlen(expected));
    if (actual.len > 0) {
        assert_memory_equal(actual.data, expected, actual.len);
    }
}

static void assert_cstr(struct slice actual, const char *expected) {
    assert_slice(actual, expected);
    if (actual.data != NULL) {
        assert_int_equal(actual.data[actual.len], '\0');
    }
}

static struct settings *load_full(enum settings_part part) {
    write_text("s", "from-file\n", 0600);
    return load_good(full_config, part);
}

static void test_webhook_part(void **state) {
    char spool[128];
    struct settings *settings = load_full(PART_WEBHOOK);
    (void)state;
    (void)snprintf(spool, sizeof spool, "%s/spool", folder);
    assert_cstr(settings->ingest_dsn, "service=in");
    assert_int_equal(settings->status_dsn.len, 0);
    assert_int_equal(settings->max_body, 2 << 20);
    assert_int_equal(settings->max_buffered, 8 << 20);
    assert_int_equal(settings->quarantine_max, 5 << 20);
    assert_true(settings->spool_max == (size_t)3 << 30);
    assert_cstr(settings->spool, spool);
    assert_int_equal(settings->max_in_flight, 7);
    assert_int_equal(settings->connections, 3);
    assert_true(settings->plain_http);
    assert_int_equal(settings->trusted_proxy_count, 2);
    assert_int_equal(settings->trusted_proxies[1].prefix_bits, 104);
    assert_int_equal(settings->source_count, 4);
    assert_int_equal(settings->client_count, 2);
    settings_free(settings);
}

static void test_sources(void **state) {
    struct settings *settings = load_full(PART_WEBHOOK);
    const struct source *cross = settings_source(settings, SLICE_OF("cross"));
    const struct source *shop = settings_source(settings, SLICE_OF("shop"));
    const struct source *custom = settings_source(settings, SLICE_OF("custom"));
    (void)state;
    assert_null(settings_source(settings, SLICE_OF("cros")));
    assert_null(settings_source(settings, SLICE_OF("Cross")));
    assert_null(settings_source(settings, SLICE_EMPTY));
    assert_non_null(cross);
    assert_non_null(shop);
    assert_non_null(custom);

    assert_slice(cross->name, "cross");
    assert_slice(cross->provider->name, "crossborderly");
    assert_int_equal(cross->mode, MODE_LIVE);
    assert_int_equal(cross->policy.secrets.count, 3);
    assert_slice(cross->policy.secrets.items[0], MARK);
    assert_slice(cross->policy.secrets.items[1], "old");
    assert_slice(cross->policy.secrets.items[2], "from-file");
    assert_int_equal(cross->policy.allow_from_count, 1);
    assert_int_equal(cross->policy.signature.kind, SIGNATURE_HMAC_SHA256);
    assert_slice(cross->policy.signature.header, "X-CrossBorderly-Signature");
    assert_slice(cross->policy.signature.prefix, "sha256=");
    assert_int_equal(cross->policy.signature.encoding, ENCODING_HEX);
    assert_int_equal(cross->tracking_url.len, 0);

    assert_int_equal(shop->mode, MODE_SANDBOX);
    assert_int_equal(shop->policy.signature.kind, SIGNATURE_NONE);
    assert_int_equal(shop->policy.secrets.count, 0);
    assert_slice(shop->policy.basic.items[0], "user:" MARK);
    assert_slice(shop->tracking_url, "https://shop.example/{tracking_number}");
    assert_slice(shop->reading.zone->name, "Europe/Madrid");
    assert_int_equal(zone_offset_at(shop->reading.zone, 1782000000), 7200);
    assert_slice(shop->reading.carrier, "seur");
    assert_ptr_equal(settings_reading(settings, SLICE_OF("shop")), &shop->reading);
    assert_null(settings_reading(settings, SLICE_OF("cross"))->zone);
    assert_null(settings_reading(settings, SLICE_OF("nobody"))->zone);
    assert_null(settings_reading(NULL, SLICE_OF("shop"))->zone);

    assert_int_equal(custom->mode, MODE_ANY);
    assert_slice(custom->policy.signature.header, "X-Own");
    assert_slice(custom->policy.signature.prefix, "v=");
    assert_int_equal(custom->policy.signature.encoding, ENCODING_BASE64);

    const struct source *own = settings_source(settings, SLICE_OF("own"));
    assert_non_null(own);
    assert_int_equal(own->policy.signature.kind, SIGNATURE_STANDARD_WEBHOOKS);
    assert_int_equal(own->writes_to_count, 2);
    assert_slice(own->writes_to[0].source, "custom");
    assert_slice(own->writes_to[0].provider, "swiftpod");
    assert_int_equal(own->writes_to[0].tracking_url_template.len, 0);
    assert_true(own->writes_to[0].takes_live && own->writes_to[0].takes_sandbox);
    assert_slice(own->writes_to[1].source, "shop");
    assert_slice(own->writes_to[1].tracking_url_template, "https://shop.example/{tracking_number}");
    assert_true(!own->writes_to[1].takes_live && own->writes_to[1].takes_sandbox);
    settings_free(settings);
}

/* What only counts at the start is kept and named; what the program does not use is not named. */
static void test_fixed_options(void **state) {
    static const struct {
        enum settings_part part;
        const char *config, *names;
    } rows[] = {
        {PART_WEBHOOK, full_config, ""},
        {PART_STATUS, full_config, ""},
        {PART_WEBHOOK, "webhook { quarantine_max = 1 max_body = 1024 plain_http = no }",
         "webhook.max_in_flight webhook.connections webhook.max_buffered webhook.spool "
         "webhook.spool_max"},
        {PART_STATUS, "status { plain_http = yes }",
         "status.max_in_flight status.connections webhook.spool"},
        {PART_STATUS,
         "webhook { spool = \"spool\" spool_max = 4096 max_buffered = \"9MiB\" connections = 1 } "
         "status { max_in_flight = 9 connections = 5 }",
         "status.connections"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct settings *running = load_full(rows[i].part);
        struct settings *fresh = load_good(rows[i].config, rows[i].part);
        struct strbuf names = STRBUF_INIT(256);
        size_t max_body = fresh->max_body;
        assert_true(settings_keep_fixed(fresh, running, rows[i].part, &names));
        assert_slice(strbuf_slice(&names), rows[i].names);
        assert_int_equal(fresh->connections, running->connections);
        assert_int_equal(fresh->max_in_flight, running->max_in_flight);
        assert_cstr(fresh->spool, running->spool.data);
        assert_int_equal(fresh->max_body, max_body);
        strbuf_free(&names);
        settings_free(running);
        settings_free(fresh);
    }
}

/* Each program knows what it needs and no more; the secret file need not even be there. */
static void test_parts(void **state) {
    static const struct {
        enum settings_part part;
        bool secrets, ingest, status, of_status;
    } rows[] = {
        {PART_WEBHOOK, true, true, false, false},
        {PART_STATUS, false, false, true, true},
        {PART_CHECK, true, true, true, false},
        {PART_ADMIN, false, false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct settings *settings = load_full(rows[i].part);
        assert_cstr(settings->ingest_dsn, rows[i].ingest ? "service=in" : "");
        assert_cstr(settings->status_dsn, rows[i].status ? "service=out" : "");
        assert_int_equal(settings->max_in_flight, rows[i].of_status ? 9 : 7);
        assert_int_equal(settings->connections, rows[i].of_status ? 4 : 3);
        assert_int_equal(settings->plain_http, !rows[i].of_status);
        assert_int_equal(settings->sources[0].policy.secrets.count, rows[i].secrets ? 3 : 0);
        assert_int_equal(settings->sources[1].policy.basic.count, rows[i].secrets ? 1 : 0);
        assert_int_equal(settings->decoy.policy.secrets.count, rows[i].secrets ? 1 : 0);
        assert_slice(settings->sources[1].tracking_url, "https://shop.example/{tracking_number}");
        assert_int_equal(settings->client_count, 2);
        settings_free(settings);
    }
}

static void test_dsn_is_optional(void **state) {
    struct settings *settings = load_good("", PART_CHECK);
    (void)state;
    assert_cstr(settings->ingest_dsn, "");
    assert_cstr(settings->status_dsn, "");
    assert_non_null(settings->ingest_dsn.data);
    assert_int_equal(settings->source_count, 0);
    assert_int_equal(settings->client_count, 0);
    assert_int_equal(settings->spool.len, 0);
    settings_free(settings);
}

static struct slice no_header(const void *context, struct slice name) {
    (void)context;
    (void)name;
    return SLICE_EMPTY;
}

static void test_decoy(void **state) {
    struct settings *one = load_full(PART_WEBHOOK);
    struct settings *two = load_full(PART_WEBHOOK);
    struct settings *bare = load_full(PART_STATUS);
    const struct auth_request request = {.header = no_header, .body = SLICE("{}"), .https = true};
    (void)state;
    assert_int_equal(one->decoy.name.len, 0);
    assert_non_null(one->decoy.provider);
    assert_int_equal(one->decoy.provider->name.len, 0);
    assert_int_equal(one->decoy.policy.signature.kind, SIGNATURE_HMAC_SHA256);
    assert_int_equal(one->decoy.policy.secrets.items[0].len, 64);
    assert_int_equal(one->decoy.policy.basic.items[0].len, strlen("nobody:") + 64);
    assert_false(slice_eq(one->decoy.policy.secrets.items[0], two->decoy.policy.secrets.items[0]));
    assert_false(slice_eq(one->decoy.policy.basic.items[0], two->decoy.policy.basic.items[0]));
    assert_int_not_equal(auth_check(&one->decoy.policy, &request), AUTH_OK);
    assert_int_not_equal(auth_check(&bare->decoy.policy, &request), AUTH_OK);
    /* Without its secrets a source is closed, not open. */
    for (size_t i = 0; i < bare->source_count; i++) {
        assert_int_not_equal(auth_check(&bare->sources[i].policy, &request), AUTH_OK);
    }
    settings_free(one);
    settings_free(two);
    settings_free(bare);
}

static void test_clients(void **state) {
    struct settings *settings = load_full(PART_STATUS);
    const struct client *all, *some, *none;
    assert_true(settings_client(settings, SLICE_OF("hunter2-token"), &all));
    assert_true(settings_client(settings, SLICE_OF("other-token"), &some));
    (void)state;
    assert_non_null(all);
    assert_non_null(some);
    assert_slice(all->name, "all");
    assert_slice(some->name, "some");
    assert_true(all->full);
    assert_false(some->full);
    assert_true(client_may_see(all, SLICE_OF("cross")));
    assert_true(client_may_see(all, SLICE_OF("no longer configured")));
    assert_true(client_may_see(some, SLICE_OF("shop")));
    assert_true(client_may_see(some, SLICE_OF("custom")));
    assert_false(client_may_see(some, SLICE_OF("cross")));
    assert_false(client_may_see(some, SLICE_EMPTY));
    assert_true(settings_client(settings, SLICE_EMPTY, &none) && none == NULL);
    assert_true(settings_client(settings, SLICE_OF("hunter2-toke"), &none) && none == NULL);
    assert_true(settings_client(settings, SLICE_OF(TOKEN_HASH), &none) && none == NULL);
    settings_free(settings);
}

static void test_path(void **state) {
    (void)state;
    assert_int_equal(unsetenv("WAYBILL_CONFIG"), 0);
    assert_string_equal(settings_path(), "/etc/waybill/waybill.conf");
    assert_int_equal(setenv("WAYBILL_CONFIG", "", 1), 0);
    assert_string_equal(settings_path(), "/etc/waybill/waybill.conf");
    assert_int_equal(setenv("WAYBILL_CONFIG", config_path, 1), 0);
    assert_string_equal(settings_path(), config_path);
}

/* A relative secret file is found beside the configuration, from wherever the program was started.
 */
static void test_relative_paths(void **state) {
    char back[4096];
    struct settings *settings;
    struct err err = ERR_INIT;
    (void)state;
    assert_non_null(getcwd(back, sizeof back));
    settings = load_full(PART_WEBHOOK);
    settings_free(settings);
    assert_int_equal(chdir(folder), 0);
    settings = settings_load("waybill.conf", PART_WEBHOOK, &err);
    assert_int_equal(chdir(back), 0);
    assert_non_null(settings);
    assert_slice(settings->sources[0].policy.secrets.items[2], "from-file");
    assert_slice(settings->spool, "spool");
    settings_free(settings);
}

static void test_no_file(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    assert_null(settings_load("/nonexistent/waybill.conf", PART_CHECK, &err));
    assert_true(err_is_set(&err));
    settings_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flaws),        cmocka_unit_test(test_file_content),
        cmocka_unit_test(test_file_shape),   cmocka_unit_test(test_file_permissions),
        cmocka_unit_test(test_webhook_part), cmocka_unit_test(test_sources),
        cmocka_unit_test(test_parts),        cmocka_unit_test(test_dsn_is_optional),
        cmocka_unit_test(test_decoy),        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_path),         cmocka_unit_test(test_relative_paths),
        cmocka_unit_test(test_no_file),      cmocka_unit_test(test_fixed_options),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* The configuration file: what is read, what every flaw says, and who may read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/config.h"

#include "base/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/waybill-config-XXXXXX";
static char path[64];

static int setup(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/w.conf", folder);
    /* What a "${HOME}" would become. */
    return setenv("HOME", "mangled", 1);
}

static int teardown(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void write_bytes(const char *text, size_t len, mode_t mode) {
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static struct config *read_text(const char *text, struct err *err) {
    write_bytes(text, strlen(text), 0600);
    *err = (struct err)ERR_INIT;
    return config_read(path, err);
}

static struct config *read_good(const char *text) {
    struct err err;
    struct config *config = read_text(text, &err);

    if (!config)
        fail_msg("%s\n%s", text, err.message);
    return config;
}

/* The message behind "file:" in full. */
static void test_flaws(void **state) {
    static const struct {
        const char *text, *message;
    } rows[] = {
        /* Names. */
        {"webhok { }", "1: webhok: there is no such option or section"},
        {"\n\nmax_body = 1", "3: max_body: there is no such option or section"},
        {"webhook {\n\n max_bodi = 1\n}",
         "3: webhook: max_bodi: there is no such option or section"},
        {"source a {\n# c\n/* d\n */ x = 1 }",
         "4: source a: x: there is no such option or section"},
        {"source a { source b { } }", "1: source a: source: there is no such option or section"},
        {"include(\"/etc/passwd\")", "1: include: there is no such option or section"},
        {"Webhook { }", "1: unexpected word; are quotes missing?"},
        {"\"\" = 1", "1: a name is empty, in this line or the section that begins here"},
        {"source { }", "1: missing title for section 'source'"},
        {"webhook x { }", "1: missing opening brace for section 'webhook'"},
        {"webhook = 1", "1: missing opening brace for section 'webhook'"},
        {"webhook { max_body 1 }", "1: webhook: missing equal sign after option 'max_body'"},
        {"\"source|secret\" = \"x\"", "1: no sub-section title/index for 'source'"},
        {"\"webhook|max_body\" = \"2MiB\"", "1: an option stands in its section only"},
        /* Twice. */
        {"webhook { }\n\nwebhook\n{ }", "4: webhook: is given twice"},
        {"source a { }\nclient a { }\nsource a { }", "3: a: this name is given twice"},
        {"webhook {\nspool = x\nspool = y }", "3: webhook: spool: is given twice"},
        {"source a {\nsecret = x\nsecret = {\"y\"} }", "3: source a: secret: is given twice"},
        /* Values. */
        {"webhook {\nmax_body = 1023 }",
         "2: webhook: max_body: must be a size (\"64KiB\", \"1MiB\", "
         "\"2GiB\") from 1KiB to 64MiB"},
        {"webhook { max_in_flight = 0 }",
         "1: webhook: max_in_flight: must be a number from 1 to 65536"},
        {"webhook { max_in_flight = 65537 }",
         "1: webhook: max_in_flight: must be a number from 1 to 65536"},
        {"webhook { max_in_flight = 1KiB }",
         "1: webhook: max_in_flight: must be a number from 1 to 65536"},
        {"webhook { max_in_flight = 0x10 }",
         "1: webhook: max_in_flight: must be a number from 1 to 65536"},
        {"webhook { max_in_flight = -1 }",
         "1: webhook: max_in_flight: must be a number from 1 to 65536"},
        {"webhook { max_in_flight = \"\" }",
         "1: webhook: max_in_flight: must be a number from 1 to 65536"},
        {"webhook { connections = 65 }", "1: webhook: connections: must be a number from 1 to 64"},
        {"status { connections = 0 }", "1: status: connections: must be a number from 1 to 64"},
        {"status { plain_http = maybe }", "1: status: plain_http: must be yes or no"},
        {"webhook { spool += x }", "1: webhook: attempt to append to non-list option 'spool'"},
        /* Signs. None of these may show what could be a piece of a secret. */
        {"webhook { max_body = {\"1MiB\"} }",
         "1: webhook: unexpected word or sign; is a comma, a quote or a brace missing?"},
        {"source a {\n secret = {\"x\" \"Hunter2\"} }",
         "2: source a: unexpected word or sign; is a comma, a quote or a brace missing?"},
        {"source a { secret = \"x\" Hunter2 }",
         "1: source a: unexpected word; are quotes missing?"},
        {"source a { secret = Hunter2+Hunter2 }", "1: a '+' or '*' stands in quotes only"},
        {"source a {\n secret = \"Hunter2\n}", "2: a quote is not closed"},
        {"source a {\n secret = \"Hunter2\"\n", "1: the section that begins here is not closed"},
        {"source a { secret = ${HOME} }",
         "1: \"${\" stands in quotes only; the environment is not read"},
        {"client a { sources = * }", "1: a '+' or '*' stands in quotes only"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err;
        struct config *config = read_text(rows[i].text, &err);
        size_t len = strlen(path);

        if (config || err.kind != ERR_CONFIG || strncmp(err.message, path, len) != 0 ||
            err.message[len] != ':' || strcmp(err.message + len + 1, rows[i].message) != 0)
            fail_msg("%s\n  says %s\n  not %s", rows[i].text, err.message, rows[i].message);
        assert_null(strstr(err.message, "Hunter2"));
        config_free(config);
        /* No flaw reaches into the next file. */
        config_free(read_good("webhook { spool = \"x\" }"));
    }
}

static void test_defaults(void **state) {
    static const char *const texts[] = {
        "", "\n", "# nothing", "webhook { } status { } database { }", "webhook{}//\n/**/status{}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct config *c = read_good(texts[i]);
        assert_string_equal(c->path, path);
        assert_null(c->ingest_dsn);
        assert_null(c->status_dsn);
        assert_int_equal(c->webhook.max_body, 1u << 20);
        assert_int_equal(c->webhook.max_buffered, 64u << 20);
        assert_int_equal(c->webhook.spool_max, 1u << 30);
        assert_int_equal(c->webhook.quarantine_max, 256u << 20);
        assert_int_equal(c->webhook.max_in_flight, 1024);
        assert_int_equal(c->webhook.connections, 2);
        assert_null(c->webhook.spool);
        assert_int_equal(c->webhook.trusted_proxies.count, 0);
        assert_false(c->webhook.plain_http);
        assert_int_equal(c->status.max_in_flight, 1024);
        assert_int_equal(c->status.connections, 2);
        assert_false(c->status.plain_http);
        assert_false(c->status.remote_user);
        assert_int_equal(c->source_count + c->client_count, 0);
        assert_false(c->has_secrets);
        config_free(c);
    }
}

static void assert_list(const struct config_list *list, const char *expected) {
    char seen[200] = "";

    for (size_t i = 0; i < list->count; i++) {
        (void)strncat(seen, list->items[i], sizeof(seen) - strlen(seen) - 2);
        (void)strcat(seen, ";");
    }
    assert_string_equal(seen, expected);
}

static void test_values(void **state) {
    struct config *c;

    (void)state;
    c = read_good("database { ingest_dsn = \"service=in\" status_dsn = 'host=a,b dbname=\"x\"' }\n"
                  "webhook {\n"
                  "  max_body = \"64MiB\"  max_in_flight = 65536 max_buffered = 2GiB\n"
                  "  connections = \"64\" spool = /var/spool spool_max = 4KiB quarantine_max = 0\n"
                  "  trusted_proxies = {\"127.0.0.1\", \"::1\"} plain_http = YES }\n"
                  "status { max_in_flight = 1 connections = 1 plain_http = on remote_user = yes }\n"
                  "source cross { # comment\n"
                  "  provider = crossborderly secret = \"one\"\n"
                  "  secret_file = {\"/a\", '/b'} allow_from = {} mode = live }\n"
                  "source \"two\" { signature = hmac-sha256 signature_header = X-Sig\n"
                  "  signature_prefix = \"\" signature_encoding = hex\n"
                  "  tracking_url = \"https://x/{tracking_number}\" header = \"A: b\"\n"
                  "  writes_to = {cross, \"three\"}\n"
                  "  basic = {\"u:1\"} basic += {\"u:2\", \"u:3\"} }\n"
                  "client shop {\n"
                  "  token_sha256 = {\"ab\", \"cd\"} scope = full sources = {\"*\"} }\n"
                  "client none { }");
    assert_string_equal(c->ingest_dsn, "service=in");
    assert_string_equal(c->status_dsn, "host=a,b dbname=\"x\"");
    assert_int_equal(c->webhook.max_body, LIMIT_BODY);
    assert_int_equal(c->webhook.max_in_flight, 65536);
    assert_int_equal(c->webhook.max_buffered, 2ul << 30);
    assert_int_equal(c->webhook.connections, 64);
    assert_string_equal(c->webhook.spool, "/var/spool");
    assert_int_equal(c->webhook.spool_max, 4096);
    assert_int_equal(c->webhook.quarantine_max, 0);
    assert_list(&c->webhook.trusted_proxies, "127.0.0.1;::1;");
    assert_true(c->webhook.plain_http && c->status.plain_http && c->status.remote_user);
    assert_int_equal(c->status.max_in_flight, 1);

    assert_int_equal(c->source_count, 2);
    assert_string_equal(c->sources[0].name, "cross");
    assert_string_equal(c->sources[0].provider, "crossborderly");
    assert_string_equal(c->sources[0].mode, "live");
    assert_list(&c->sources[0].secret, "one;");
    assert_list(&c->sources[0].secret_file, "/a;/b;");
    assert_list(&c->sources[0].allow_from, "");
    assert_null(c->sources[0].signature);
    assert_string_equal(c->sources[1].name, "two");
    assert_null(c->sources[1].provider);
    assert_string_equal(c->sources[1].mode, "any");
    assert_string_equal(c->sources[1].signature, "hmac-sha256");
    assert_string_equal(c->sources[1].signature_header, "X-Sig");
    assert_string_equal(c->sources[1].signature_prefix, "");
    assert_string_equal(c->sources[1].signature_encoding, "hex");
    assert_string_equal(c->sources[1].tracking_url, "https://x/{tracking_number}");
    assert_list(&c->sources[1].header, "A: b;");
    assert_list(&c->sources[1].writes_to, "cross;three;");
    assert_list(&c->sources[0].writes_to, "");
    assert_list(&c->sources[1].basic, "u:1;u:2;u:3;");
    assert_int_equal(c->client_count, 2);
    assert_string_equal(c->clients[0].name, "shop");
    assert_string_equal(c->clients[0].scope, "full");
    assert_list(&c->clients[0].token_sha256, "ab;cd;");
    assert_list(&c->clients[0].sources, "*;");
    assert_string_equal(c->clients[1].scope, "tracking");
    config_free(c);
}

static void test_lines(void **state) {
    static const char text[] = "# one\n"
                               "/* two\n"
                               "   three */ database { }\n"
                               "source a\n"
                               "{ # five\n"
                               "  secret = {\"x\",\n"
                               "            \"y\"}\n"
                               "  mode = any // eight\n"
                               "}\n"
                               "source b { } client a { scope\n"
                               " =\n"
                               " full }\n"
                               "webhook { spool = x }";
    static const struct {
        const char *section, *title, *option;
        int line;
    } rows[] = {
        {"source", "a", "secret", 6},     {"source", "a", "mode", 8},
        {"source", "b", "mode", 0},       {"client", "a", "scope", 12},
        {"client", "b", "scope", 0},      {"webhook", NULL, "spool", 13},
        {"webhook", NULL, "max_body", 0}, {"database", NULL, "spool", 0},
        {"nowhere", NULL, "spool", 0},
    };
    struct config *c = read_good(text);
    (void)state;
    assert_int_equal(c->sources[0].line, 5);
    assert_int_equal(c->sources[1].line, 10);
    assert_int_equal(c->clients[0].line, 10);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (config_option_line(c, rows[i].section, rows[i].title, rows[i].option) != rows[i].line)
            fail_msg("row %zu", i);
    config_free(c);
}

/* A secret comes out as it was written. */
static void test_literal(void **state) {
    static const struct {
        const char *written, *value;
    } rows[] = {
        {"\"${HOME}\"", "${HOME}"},
        {"\"a${HOME}${x:-y}$\"", "a${HOME}${x:-y}$"},
        {"'${HOME}\\n'", "${HOME}\\n"},
        {"\"a\\\\b\\\"c\\x41\\101\\n\"", "a\\b\"cAA\n"},
        {"\"\\${HOME}\"", "${HOME}"},
        {"\"\\\\${HOME}\"", "\\${HOME}"},
        {"\"# // /* */ {}=,+*|\"", "# // /* */ {}=,+*|"},
        {"\"M\xc3\xbcnchen\xff\"", "M\xc3\xbcnchen\xff"},
        {"a$b:c@d;e~", "a$b:c@d;e~"},
        {"\"a\\\nb\"", "ab"},
        {"' x '", " x "},
        {"\"\"", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[200];
        struct config *c;
        (void)snprintf(text, sizeof(text), "source a { secret = %s }", rows[i].written);
        c = read_good(text);
        assert_int_equal(c->sources[0].secret.count, 1);
        assert_string_equal(c->sources[0].secret.items[0], rows[i].value);
        config_free(c);
    }
}

static void test_secrets(void **state) {
    static const struct {
        const char *text;
        bool secret;
    } rows[] = {
        {"source a { secret = x }", true},
        {"source a { basic = \"u:p\" }", true},
        {"source a { bearer = {\"x\"} }", true},
        {"source a { header = \"A: b\" }", true},
        {"source b { } source a { url_token = x }", true},
        {"source a { secret_file = x basic_file = x bearer_file = x header_file = x "
         "url_token_file = x }",
         false},
        {"source a { secret = {} allow_from = \"::1\" tracking_url = \"https://u:p@x/\" }", false},
        {"client a { token_sha256 = \"ab\" }", false},
        {"database { ingest_dsn = \"service=x\" }", false},
        {"database { ingest_dsn = \"host=x password=y\" }", true},
        {"database { status_dsn = \"host=x password = y\" }", true},
        {"database { status_dsn = \"sslpassword=y\" }", true},
        {"database { ingest_dsn = \"passfile=/x user=password\" }", false},
        {"database { ingest_dsn = \"postgresql://u:p@h/d\" }", true},
        {"database { ingest_dsn = \"postgresql://u@h:5432/d\" }", false},
        {"database { ingest_dsn = \"postgresql://h:5432/d?x=a@b\" }", false},
        {"database { ingest_dsn = \"postgres://u@h/d?password=x\" }", true},
        {"database { ingest_dsn = \"postgresql:///d?host=/run:x@y\" }", false},
    };
    static const struct {
        mode_t mode;
        bool private_file, private_of_root;
    } modes[] = {
        {0600, true, true},   {0400, true, true},   {0640, false, true}, {0440, false, true},
        {0644, false, false}, {0604, false, false}, {0660, false, true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config *c = read_good(rows[i].text);
        if (c->has_secrets != rows[i].secret)
            fail_msg("%s", rows[i].text);
        config_free(c);
        for (size_t j = 0; j < ARRAY_LEN(modes); j++) {
            struct err err = ERR_INIT;
            bool allowed = !rows[i].secret ||
                           (geteuid() == 0 ? modes[j].private_of_root : modes[j].private_file);
            write_bytes(rows[i].text, strlen(rows[i].text), modes[j].mode);
            c = config_read(path, &err);
            if ((c != NULL) != allowed)
                fail_msg("%s, %o: %s", rows[i].text, (unsigned)modes[j].mode, err.message);
            if (!c)
                assert_non_null(strstr(err.message, "chmod 600"));
            config_free(c);
        }
        if (geteuid() == 0 && rows[i].secret) {
            struct err err = ERR_INIT;
            write_bytes(rows[i].text, strlen(rows[i].text), 0640);
            assert_int_equal(chown(path, 65534, 0), 0);
            assert_null(config_read(path, &err));
        }
    }
}

static void assert_refused(const char *file, const char *message) {
    struct err err = ERR_INIT;

    assert_null(config_read(file, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    if (!strstr(err.message, message))
        fail_msg("%s", err.message);
}

static void test_files(void **state) {
    static char large[LIMIT_CONFIG_FILE + 1];
    struct err err = ERR_INIT;
    struct config *config;

    (void)state;
    (void)unlink(path);
    assert_refused(path, "No such file or directory");
    assert_refused(folder, "is no regular file");
    assert_refused("/dev/null", "is no regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(path, "is no regular file");
    memset(large, ' ', sizeof(large));
    write_bytes(large, LIMIT_CONFIG_FILE + 1, 0600);
    assert_refused(path, "is longer than 1048576 bytes");
    memcpy(large + LIMIT_CONFIG_FILE - 10, "webhook{ }", 10);
    write_bytes(large, LIMIT_CONFIG_FILE, 0600);
    config = config_read(path, &err);
    assert_non_null(config);
    config_free(config);
    write_bytes("webhook { }\0", 12, 0600);
    assert_refused(path, ":1: a NUL byte");
}

static void test_many_sources(void **state) {
    struct strbuf text = STRBUF_INIT(LIMIT_CONFIG_FILE);
    struct config *c;

    (void)state;
    for (int i = 0; i < 2000; i++)
        strbuf_addf(&text, "source s%d {\n secret = {\"%d\", x} }\n", i, i);
    strbuf_add_char(&text, '\0');
    assert_false(strbuf_failed(&text));
    c = read_good(text.data);
    assert_int_equal(c->source_count, 2000);
    assert_string_equal(c->sources[1999].name, "s1999");
    assert_string_equal(c->sources[1999].secret.items[0], "1999");
    assert_int_equal(c->sources[1999].line, 3999);
    assert_int_equal(config_option_line(c, "source", "s1999", "secret"), 4000);
    config_free(c);
    config_free(NULL);
    strbuf_free(&text);
}

static void test_parse_size(void **state) {
    static const struct {
        const char *text;
        bool valid;
        size_t bytes;
    } rows[] = {
        {"0", true, 0},
        {"4096", true, 4096},
        {"64KiB", true, 65536},
        {"1MiB", true, 1u << 20},
        {"3GiB", true, 3ul << 30},
        {"0GiB", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"8589934591GiB", true, 8589934591ul << 30},
        {"8589934592GiB", false, 0},
        {"9223372036854775808", false, 0},
        {"", false, 0},
        {"KiB", false, 0},
        {"-1", false, 0},
        {"-1KiB", false, 0},
        {"+1", false, 0},
        {"1 KiB", false, 0},
        {"1kib", false, 0},
        {"1KB", false, 0},
        {"1K", false, 0},
        {"1MiBMiB", false, 0},
        {"1.5GiB", false, 0},
        {"0x10", false, 0},
        {"1TiB", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t bytes = 42;
        if (config_parse_size(rows[i].text, &bytes) != rows[i].valid ||
            bytes != (rows[i].valid ? rows[i].bytes : 42))
            fail_msg("%s", rows[i].text);
    }
}

/* The rows are usable: seven columns, defaults within their own bounds (they are read above). */
static void test_reference(void **state) {
    struct strbuf out = STRBUF_INIT(100000);
    struct slice rest, line;
    size_t lines = 0;

    (void)state;
    config_reference(&out);
    assert_false(strbuf_failed(&out));
    rest = strbuf_slice(&out);
    while (slice_split(rest, '\n', &line, &rest)) {
        size_t tabs = 0;
        for (size_t i = 0; i < line.len; i++)
            tabs += line.data[i] == '\t';
        assert_int_equal(tabs, 6);
        assert_true(line.data[line.len - 1] != '\t');
        lines++;
    }
    assert_int_equal(rest.len, 0);
    assert_int_equal(lines, 2 + 10 + 5 + 21 + 3);
    strbuf_add_char(&out, '\0');
    assert_non_null(strstr(out.data, "webhook\tmax_body\tsize\t1MiB\t1KiB\t64MiB\t"));
    strbuf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flaws),      cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),     cmocka_unit_test(test_lines),
        cmocka_unit_test(test_literal),    cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_files),      cmocka_unit_test(test_many_sources),
        cmocka_unit_test(test_parse_size), cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

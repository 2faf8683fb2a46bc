/* waybill init: database, roles, schema and a commented configuration. What is there stays. */
#include "cli/action.h"

#include "adapter/crypto.h"
#include "adapter/pg.h"
#include "app/program.h"
#include "app/settings.h"
#include "base/embedded.h"
#include "base/hex.h"
#include "engine/store.h"
#include "engine/store_init.h"
#include "engine/store_migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* apache-conf/waybill.conf.sample */
extern const struct embedded_file sample_table[];

#define DSN_MAX 8192
#define CONFIG_MAX ((size_t)256 * 1024)
#define PASSWORD_BYTES 24

/* A role of the responders. */
struct login {
    const char *role, *option;
    bool exists; /* it can log in already: its password stays */
    char password[2 * PASSWORD_BYTES + 1];
};

struct setup {
    const struct invocation *invocation;
    const char *database, *config;
    bool dry, has_config;
    struct strbuf server_dsn, database_dsn, host;
    struct store_site site;
    struct login logins[2];
    int64_t roles; /* that got a password */
};

static void put(const char *text) {
    fputs(text, stdout);
}

static void report(const char *text) {
    printf("%s\n", text);
}

/* ---- the configuration ---- */

static void add_dsn_line(struct strbuf *out, const struct setup *setup, const struct login *login) {
    strbuf_addf(out, "    %s = \"host=%.*s port=%lld dbname=%s user=%s", login->option,
                SLICE_ARGS(strbuf_slice(&setup->host)), (long long)setup->site.port,
                setup->database, login->role);
    if (login->exists) {
        strbuf_addf(out, "\"   # add password=…: the role had one already\n");
    } else {
        strbuf_addf(out, " password=%s\"\n", login->password);
    }
}

/* The sample, with these connection strings, and with its sources and clients as comments: their
 * secrets do not exist yet. */
static void add_config(struct strbuf *out, const struct setup *setup) {
    struct slice rest = {sample_table[0].text, sample_table[0].len}, line;
    bool in_example = false;
    while (rest.len > 0) {
        (void)slice_split(rest, '\n', &line, &rest);
        const struct login *login = NULL;
        for (size_t i = 0; i < ARRAY_LEN(setup->logins); i++) {
            if (slice_starts_with(slice_trim(line), slice_from_cstr(setup->logins[i].option))) {
                login = &setup->logins[i];
            }
        }
        bool begins = slice_starts_with(line, SLICE_OF("source ")) ||
                      slice_starts_with(line, SLICE_OF("client "));
        in_example = in_example || begins;
        if (login != NULL) {
            add_dsn_line(out, setup, login);
        } else {
            strbuf_addf(out, "%s%.*s\n", in_example ? "#" : "", SLICE_ARGS(line));
        }
        if (in_example &&
            (slice_eq(line, SLICE_OF("}")) || (begins && line.data[line.len - 1] == '}'))) {
            in_example = false;
        }
    }
}

/* Nobody but root and the responders' group may read it. */
static bool give_away(int fd) {
    const struct group *group = geteuid() == 0 ? getgrnam("waybill") : NULL;
    return group == NULL || (fchown(fd, 0, group->gr_gid) == 0 && fchmod(fd, 0640) == 0);
}

static bool make_folder(const char *path, struct err *err) {
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) : 0;
    if (len == 0 || len >= sizeof(folder)) {
        return true;
    }
    memcpy(folder, path, len);
    folder[len] = '\0';
    if (mkdir(folder, 0750) != 0) {
        return errno == EEXIST || err_set_errno(err, "%s (another place: --config)", folder);
    }
    const struct group *group = geteuid() == 0 ? getgrnam("waybill") : NULL;
    return group == NULL || chown(folder, 0, group->gr_gid) == 0 ||
           err_set_errno(err, "%s (another place: --config)", folder);
}

/* Before the passwords are set, so that none is set that stands nowhere. */
static bool write_config(const struct setup *setup, struct err *err) {
    struct strbuf text = STRBUF_INIT(CONFIG_MAX);
    add_config(&text, setup);
    if (strbuf_failed(&text)) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    int fd = make_folder(setup->config, err)
                 ? open(setup->config, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                 : -1;
    bool ok = fd >= 0 && write(fd, text.data, text.len) == (ssize_t)text.len && fsync(fd) == 0 &&
              give_away(fd);
    if (!ok) {
        err_set_errno(err, "%s (another place: --config)", setup->config);
    }
    if (fd >= 0) {
        ok = close(fd) == 0 && ok;
        if (!ok) {
            (void)unlink(setup->config);
        }
    }
    crypto_wipe(text.data, text.len);
    strbuf_free(&text);
    return ok;
}

/* ---- the database ---- */

static bool draw_password(struct login *login, struct err *err) {
    uint8_t bytes[PASSWORD_BYTES];
    if (!crypto_random(bytes, sizeof(bytes))) {
        return err_set(err, ERR_SYSTEM, "the kernel gives no randomness");
    }
    hex_encode(bytes, sizeof(bytes), login->password);
    crypto_wipe(bytes, sizeof(bytes));
    return true;
}

static bool look(struct setup *setup, struct err *err) {
    if (!store_site_look(setup->server_dsn.data, setup->database, &setup->site, err)) {
        return false;
    }
    if (!setup->site.superuser) {
        return err_set(err, ERR_DATABASE,
                       "needs a superuser of PostgreSQL: run it as root or postgres, "
                       "or name one with --dsn");
    }
    setup->logins[0] =
        (struct login){"waybill_ingest", "ingest_dsn", setup->site.ingest_logs_in, ""};
    setup->logins[1] =
        (struct login){"waybill_status", "status_dsn", setup->site.status_logs_in, ""};
    return draw_password(&setup->logins[0], err) && draw_password(&setup->logins[1], err);
}

static bool show_sql(const struct setup *setup, struct err *err) {
    if (!setup->site.has_database) {
        printf(STORE_CREATE_DATABASE ";\n", setup->database);
    }
    printf("\\connect %s\n", setup->database);
    if (!store_migrate_script(setup->site.has_database ? setup->database_dsn.data : NULL, put,
                              err)) {
        return false;
    }
    for (size_t i = 0; !setup->has_config && i < ARRAY_LEN(setup->logins); i++) {
        if (!setup->logins[i].exists) {
            printf("ALTER ROLE %s LOGIN PASSWORD '…';\n", setup->logins[i].role);
        }
    }
    printf("-- %s: %s\n", setup->config,
           setup->has_config ? "is there and stays as it is" : "would be written");
    return true;
}

static bool set_passwords(struct setup *setup, struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(setup->logins); i++) {
        const struct login *login = &setup->logins[i];
        if (login->exists) {
            printf("role %s: could log in before, its password stays\n", login->role);
        } else if (!store_let_in(setup->server_dsn.data, login->role, login->password, err)) {
            return false;
        } else {
            printf("role %s: may log in, with a new password\n", login->role);
            setup->roles++;
        }
    }
    return true;
}

static bool set_up_database(struct setup *setup, struct err *err) {
    struct store_migrated ran;
    if (!setup->site.has_database &&
        !store_create_database(setup->server_dsn.data, setup->database, err)) {
        return false;
    }
    printf("database %s: %s\n", setup->database, setup->site.has_database ? "is there" : "created");
    if (!store_migrate(setup->database_dsn.data, report, &ran, err)) {
        return false;
    }
    printf("schema: %s\n", ran.anything ? "brought up to date" : "is current");
    if (!setup->has_config && !set_passwords(setup, err)) {
        return false;
    }
    const struct action_count counts[] = {{"databases", !setup->site.has_database},
                                          {"migrations", (int64_t)ran.migrations},
                                          {"roles", setup->roles}};
    struct action action;
    return (!ran.anything && setup->roles == 0) ||
           (action_begin(&action, setup->invocation, setup->database_dsn.data, err) &&
            action_end(&action, true, counts, ARRAY_LEN(counts), err));
}

static bool look_or_show(struct setup *setup, struct err *err) {
    return look(setup, err) && (!setup->dry || show_sql(setup, err));
}

static bool init(struct setup *setup, struct err *err) {
    if (!look_or_show(setup, err) || setup->dry) {
        return !err_is_set(err);
    }
    if (!setup->has_config && !write_config(setup, err)) {
        return false;
    }
    if (!set_up_database(setup, err)) {
        if (!setup->has_config && setup->roles == 0) {
            (void)unlink(setup->config); /* its passwords are set nowhere */
        }
        return false;
    }
    printf("configuration %s: %s\n", setup->config,
           setup->has_config ? "is there and stays as it is" : "written");
    printf("\nNext: a source for each sender and a client (waybill token) in %s,\n"
           "then waybill check, and start the services; waybill sources says what to enter at the "
           "senders.\n",
           setup->config);
    return true;
}

static bool is_plain_name(const char *name) {
    size_t len = strlen(name);
    return len > 0 && len < 64 && (name[0] < '0' || name[0] > '9') &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool prepare(struct setup *setup, struct err *err) {
    const char *dsn = setup->invocation->dsn;
    if (!pg_dsn_with_database(dsn, "postgres", &setup->server_dsn) ||
        !pg_dsn_with_database(dsn, setup->database, &setup->database_dsn) ||
        !pg_dsn_host(dsn, &setup->host)) {
        return err_set(err, ERR_CONFIG, "--dsn is no connection string that libpq can read");
    }
    if (setup->host.len == 0) {
        strbuf_add_cstr(&setup->host, "127.0.0.1");
    }
    setup->has_config = access(setup->config, F_OK) == 0;
    return true;
}

static int run_init(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    const char *database = option_value(invocation, "database");
    const char *config = option_value(invocation, "config");
    struct setup setup = {
        .invocation = invocation,
        .database = database != NULL ? database : "waybill",
        .config = config != NULL ? config : settings_path(),
        .dry = option_given(invocation, "dry-run"),
        .server_dsn = STRBUF_INIT(DSN_MAX),
        .database_dsn = STRBUF_INIT(DSN_MAX),
        .host = STRBUF_INIT(DSN_MAX),
    };
    if (!is_plain_name(setup.database)) {
        return command_misused(invocation, "--database is made of a-z, 0-9 and _");
    }
    bool ok = prepare(&setup, &err) && init(&setup, &err);
    crypto_wipe(setup.logins, sizeof(setup.logins));
    strbuf_free(&setup.server_dsn);
    strbuf_free(&setup.database_dsn);
    strbuf_free(&setup.host);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command init_command = {
    .name = "init",
    .summary = "make the database, the roles, the schema and a commented configuration",
    .details =
        "What is there already stays as it is: a second call does nothing, a configuration is never "
        "overwritten. The roles of the responders get random passwords, which stand in the "
        "configuration alone.\n"
        "Needs a superuser of PostgreSQL. As root and without --dsn it acts as the user postgres; the "
        "configuration then belongs to root and is readable for the group waybill.",
    .takes_dsn = true,
    .options = {{"database", "NAME", "waybill unless given"},
                {"config", "FILE", "$WAYBILL_CONFIG, else /etc/waybill/waybill.conf, unless given"},
                {"dry-run", NULL, "change nothing; print the SQL, as psql reads it"}},
    .examples = {"sudo waybill init --dry-run | less", "sudo waybill init",
                 "waybill init --dsn 'host=db.example user=postgres' --config ./waybill.conf"},
    .run = run_init,
};

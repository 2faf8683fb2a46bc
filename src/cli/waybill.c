/* waybill: the administration command. One row of the table a command. */
#include "adapter/process.h"
#include "app/program.h"
#include "app/replay.h"
#include "cli/spool.h"
#include "engine/store.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The files of schema/, made part of the program by the build; ends with a row without a name. */
extern const struct store_migration migration_table[];

struct command {
    const char *name;
    const char *summary;
    int (*run)(const char *dsn);
};

static int fail(const struct err *err) {
    return program_failed("waybill", err);
}

/* ---- migrate ---- */

static void tell(const char *text) {
    printf("%s\n", text);
}

static int run_migrate(const char *dsn) {
    struct err err = ERR_INIT;
    size_t ran = 0;
    if (!store_migrate(dsn, migration_table, tell, &ran, &err)) {
        return fail(&err);
    }
    printf(ran == 0 ? "nothing to do: the schema is current\n" : "the schema is current\n");
    return EXIT_DONE;
}

/* ---- check ---- */

static int run_check(const char *dsn) {
    struct err err = ERR_INIT;
    (void)dsn;
    struct settings *settings = settings_load(settings_path(), PART_CHECK, &err);
    if (settings == NULL) {
        return fail(&err);
    }
    printf("%s: ok, %zu sources, %zu clients\n", settings_path(), settings->source_count,
           settings->client_count);
    settings_free(settings);
    return EXIT_DONE;
}

/* ---- rebuild ---- */

#define BAR_WIDTH 40

static void show_bar(const struct replay_counts *counts) {
    int64_t total = counts->total > counts->done ? counts->total : counts->done;
    int filled = total > 0 ? (int)(counts->done * BAR_WIDTH / total) : BAR_WIDTH;
    printf("\r[%.*s%*s] %lld/%lld", filled, "########################################",
           BAR_WIDTH - filled, "", (long long)counts->done, (long long)total);
    fflush(stdout);
}

/* A bar where somebody looks, a line now and then where a file or a pipe does. */
static void show_progress(const struct replay_counts *counts) {
    if (isatty(STDOUT_FILENO)) {
        if (counts->done % 50 == 0 || counts->done == counts->total) {
            show_bar(counts);
        }
    } else if (counts->done % 10000 == 0) {
        printf("%lld of %lld orders\n", (long long)counts->done, (long long)counts->total);
    }
}

static int run_rebuild(const char *dsn) {
    struct err err = ERR_INIT;
    struct replay_counts counts;
    bool ok = replay_rebuild(dsn, show_progress, &counts, &err);
    if (isatty(STDOUT_FILENO)) {
        printf("\n");
    }
    if (!ok) {
        return fail(&err);
    }
    printf(
        "rebuilt %lld orders: %lld changed, %lld unchanged; left as they are: %lld with a purged delivery, %lld "
        "unreadable\n",
        (long long)(counts.changed + counts.unchanged), (long long)counts.changed,
        (long long)counts.unchanged, (long long)counts.purged, (long long)counts.unreadable);
    return EXIT_DONE;
}

/* ---- spool ---- */

static bool want_drain, want_json;

static int run_spool(const char *dsn) {
    return spool_command(dsn, want_drain, want_json);
}

/* ---- the command line ---- */

static const struct command commands[] = {
    {"migrate", "bring the schema up to date: run the migrations that are missing, each once",
     run_migrate},
    {"check", "read the configuration and say what is wrong with it", run_check},
    {"rebuild",
     "derive all orders again from the stored webhooks, while webhooks and readers go on",
     run_rebuild},
    {"spool", "show how many webhooks wait for the database, since when, and their bytes",
     run_spool},
};

static void print_help(FILE *out) {
    fprintf(out, "Usage: waybill COMMAND [--dsn CONNECTION]\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    }
    fprintf(
        out,
        "\n"
        "  --dsn CONNECTION  libpq connection string or URI of the schema's owner; otherwise\n"
        "                    $WAYBILL_DSN, otherwise libpq's own environment (PGHOST, …)\n"
        "  --drain           spool: move them into the database first; needs the responder's user\n"
        "                    (or root), for the files are its own\n"
        "  --json            spool: as JSON\n"
        "  --help            this text\n"
        "  --version         the release\n"
        "\n"
        "Examples:\n"
        "  waybill check\n"
        "  waybill migrate --dsn 'host=/var/run/postgresql dbname=waybill user=postgres'\n"
        "  waybill rebuild\n"
        "  waybill spool --drain\n"
        "\n"
        "Exit codes: 0 done, 1 failed, 2 usage or configuration.\n");
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int usage(const char *why, const char *what) {
    fprintf(stderr, "waybill: %s%s; see waybill --help\n", why, what);
    return EXIT_USAGE;
}

/* The connection string of --dsn. It may hold a password, so it is taken out of the list of
 * processes. */
static char *given_dsn;

static bool take_dsn(char *argument) {
    free(given_dsn);
    given_dsn = strdup(argument);
    process_hide_argument(argument);
    return given_dsn != NULL;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"dsn", required_argument, NULL, 'd'}, {"drain", no_argument, NULL, 'D'},
        {"json", no_argument, NULL, 'j'},      {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},   {0}};
    const char *dsn = getenv("WAYBILL_DSN");
    int option;
    process_keep_to_itself();
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            if (!take_dsn(optarg)) {
                fprintf(stderr, "waybill: out of memory\n");
                return EXIT_FAILED;
            }
            dsn = given_dsn;
            break;
        case 'D':
            want_drain = true;
            break;
        case 'j':
            want_json = true;
            break;
        case 'h':
            print_help(stdout);
            return EXIT_DONE;
        case 'v':
            printf("waybill %s\n", WAYBILL_VERSION);
            return EXIT_DONE;
        default:
            return usage("unknown option", "");
        }
    }
    if (optind + 1 != argc) {
        return usage(optind == argc ? "a command is missing" : "more than one command", "");
    }
    const struct command *command = find_command(argv[optind]);
    if (command == NULL) {
        return usage("unknown command ", argv[optind]);
    }
    if ((want_drain || want_json) && command->run != run_spool) {
        return usage("--drain and --json are for the command spool", "");
    }
    return command->run(dsn != NULL ? dsn : "");
}

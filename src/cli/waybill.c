/* waybill: the administration command. Reads the command line and runs the row that it names. */
#include "adapter/pg.h"
#include "adapter/process.h"
#include "app/program.h"
#include "cli/help.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What getopt_long() gives for the options that are not the command's own; those are numbered from
 * 0. */
enum { OPTION_DSN = 1000, OPTION_JSON, OPTION_HELP, OPTION_VERSION };

static int usage(const char *why, const char *what) {
    fprintf(stderr, "waybill: %s%s; see waybill help\n", why, what);
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

/* The first argument that is no option; NULL when there is none. --dsn is the one option that may
 * stand before it with a value. */
static const char *command_name(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dsn") == 0) {
            i++;
        } else if (argv[i][0] != '-') {
            return argv[i];
        }
    }
    return NULL;
}

/* What may be said: the shared options, and those of COMMAND (NULL: none is named). */
static void make_options(const struct command *command,
                         struct option options[COMMAND_OPTIONS + 5]) {
    static const struct option shared[] = {
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"dsn", required_argument, NULL, OPTION_DSN},
        {"json", no_argument, NULL, OPTION_JSON},
    };
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
        if ((shared[i].val != OPTION_DSN || command == NULL || command->takes_dsn) &&
            (shared[i].val != OPTION_JSON || (command != NULL && command->takes_json))) {
            options[count++] = shared[i];
        }
    }
    for (size_t i = 0; command != NULL && i < COMMAND_OPTIONS && command->options[i].name != NULL;
         i++) {
        int argument = command->options[i].argument != NULL ? required_argument : no_argument;
        options[count++] = (struct option){command->options[i].name, argument, NULL, (int)i};
    }
    options[count] = (struct option){.name = NULL};
}

/* -1: go on; otherwise the exit code. */
static int take_option(struct invocation *invocation, int option) {
    switch (option) {
    case OPTION_DSN:
        if (!take_dsn(optarg)) {
            fprintf(stderr, "waybill: out of memory\n");
            return EXIT_FAILED;
        }
        invocation->dsn = given_dsn;
        return -1;
    case OPTION_JSON:
        invocation->json = true;
        return -1;
    case OPTION_HELP:
        if (invocation->command == NULL) {
            help_overview(stdout);
        } else {
            help_command_page(stdout, invocation->command);
        }
        return EXIT_DONE;
    case OPTION_VERSION:
        printf("waybill %s\n", WAYBILL_VERSION);
        return EXIT_DONE;
    default:
        break;
    }
    if (option < 0 || option >= COMMAND_OPTIONS) {
        fprintf(stderr, "See waybill help%s%s\n", invocation->command ? " " : "",
                invocation->command ? invocation->command->name : "");
        return EXIT_USAGE;
    }
    invocation->values[option] = optarg != NULL ? optarg : "";
    return -1;
}

/* Root who does not say how to connect gets in as whoever owns PostgreSQL here: nothing has to be
 * set up for it, and no password to be kept. */
static void choose_connection(struct invocation *invocation) {
    static const char *const said[] = {"PGHOST", "PGHOSTADDR", "PGUSER", "PGSERVICE"};
    bool is_said = invocation->dsn[0] != '\0';
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        is_said = is_said || getenv(said[i]) != NULL;
    }
    if (!is_said && geteuid() == 0 && invocation->command->takes_dsn) {
        pg_connect_as("postgres");
        invocation->dsn = getenv("PGDATABASE") != NULL ? "" : "dbname=waybill";
    }
}

static int run(struct invocation *invocation, int argc, char **argv) {
    const struct command *command = invocation->command;
    if (command == NULL) {
        return usage("a command is missing", "");
    }
    /* The first is the command's own name. */
    invocation->operands = argv + optind + 1;
    invocation->operand_count = (size_t)(argc - optind - 1);
    if (invocation->operand_count < command->least_operands) {
        return command_misused(invocation, "an argument is missing");
    }
    if (invocation->operand_count > command->most_operands) {
        return command_misused(invocation, "too many arguments");
    }
    choose_connection(invocation);
    int code = command->run(invocation);
    /* What was not written was not said. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "waybill: cannot write to standard output\n");
        return EXIT_FAILED;
    }
    return code;
}

int main(int argc, char **argv) {
    struct option options[COMMAND_OPTIONS + 5];
    const char *environment_dsn = getenv("WAYBILL_DSN");
    struct invocation invocation = {.dsn = environment_dsn != NULL ? environment_dsn : ""};
    process_keep_to_itself();
    const char *name = command_name(argc, argv);
    invocation.command = name != NULL ? command_find(name) : NULL;
    if (name != NULL && invocation.command == NULL) {
        return usage("unknown command ", name);
    }
    make_options(invocation.command, options);
    int option, code = -1;
    while (code < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        code = take_option(&invocation, option);
    }
    code = code >= 0 ? code : run(&invocation, argc, argv);
    free(given_dsn);
    return code;
}

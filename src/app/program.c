#include "app/program.h"

#include "adapter/cgi.h"
#include "adapter/crypto.h"
#include "adapter/fcgi.h"
#include "adapter/listener.h"
#include "adapter/process.h"
#include "app/responder.h"
#include "base/hex.h"
#include "base/log.h"
#include "engine/metrics.h"

#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Arenas of the allocator: one for each thread would keep memory that the others could use. */
#define MALLOC_ARENAS 2

static void print_help(const struct program *program) {
    printf(
        "Usage: %s [--listen unix:/path | --listen address:port]\n"
        "\n"
        "%s\n"
        "\n"
        "  --listen WHERE  make the listening socket; without it, the one of systemd (LISTEN_FDS),\n"
        "                  or descriptor 0 where that listens, or else one plain CGI request\n"
        "  --help          this text\n"
        "  --version       the release\n"
        "\n"
        "The configuration is $WAYBILL_CONFIG, else /etc/waybill/waybill.conf.\n"
        "SIGHUP reads it again; a bad one is reported and the old one stays.\n"
        "SIGTERM and SIGUSR1 finish the requests in hand and end the program.\n",
        program->name, program->summary);
}

int program_failed(const char *name, const struct err *err) {
    fprintf(stderr, "%s: %s\n", name, err->message);
    return err->kind == ERR_USAGE || err->kind == ERR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
}

static int usage(const struct program *program) {
    fprintf(stderr, "Usage: %s [--listen unix:/path | --listen address:port]; see %s --help\n",
            program->name, program->name);
    return EXIT_USAGE;
}

/* -1: go on with WHERE; otherwise the exit code. */
static int read_options(const struct program *program, int argc, char **argv, struct slice *where) {
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'l':
            *where = slice_from_cstr(optarg);
            break;
        case 'h':
            print_help(program);
            return EXIT_DONE;
        case 'v':
            printf("%s %s\n", program->name, WAYBILL_VERSION);
            return EXIT_DONE;
        default:
            return usage(program);
        }
    }
    return optind < argc ? usage(program) : -1;
}

/* A program that runs. */
struct run {
    const struct program *program;
    struct current *current;
    void *use_case;
    size_t max_in_flight;
};

/* Puts FRESH, which it takes, in force. */
static bool put_in_force(const struct run *run, struct settings *fresh, struct err *err) {
    const struct settings *running = current_take(run->current);
    struct strbuf fixed = STRBUF_INIT(1024);
    bool ok = settings_keep_fixed(fresh, running, run->program->part, &fixed);
    settings_free(running);
    if (ok) {
        current_replace(run->current, fresh);
        run->program->renew(run->use_case);
    } else {
        settings_free(fresh);
        err_set(err, ERR_MEMORY, "out of memory");
    }
    if (ok && fixed.len > 0) {
        log_text(LOG_WARN, "changed options that count from the next start on",
                 strbuf_slice(&fixed));
    }
    strbuf_free(&fixed);
    return ok;
}

static void read_again(void *upkeep) {
    const struct run *run = upkeep;
    struct err err = ERR_INIT;
    struct settings *fresh = settings_load(settings_path(), run->program->part, &err);
    if (fresh != NULL && put_in_force(run, fresh, &err)) {
        metrics_count(METRIC_CONFIGURATION_READS, SLICE_OF("ok"), SLICE_EMPTY, SLICE_EMPTY);
        log_text(LOG_INFO, "the configuration was read again", slice_from_cstr(settings_path()));
    } else {
        metrics_count(METRIC_CONFIGURATION_READS, SLICE_OF("failed"), SLICE_EMPTY, SLICE_EMPTY);
        log_text(LOG_ERROR, "the configuration cannot be used, the old one stays",
                 slice_from_cstr(err.message));
    }
}

static void look_after(void *upkeep, size_t in_flight) {
    const struct run *run = upkeep;
    metrics_in_hand(in_flight, run->max_in_flight);
    request_log_tick();
}

void program_metrics_name(const char *name, char out[PROGRAM_METRICS_NAME]) {
    uint8_t digest[SHA256_LEN];
    char path[PATH_MAX], hex[17] = "";
    const char *config = realpath(settings_path(), path) != NULL ? path : settings_path();
    if (crypto_sha256(slice_from_cstr(config), digest)) {
        hex_encode(digest, 8, hex);
    }
    (void)snprintf(out, PROGRAM_METRICS_NAME, "%s-%s", name, hex);
}

static void open_metrics(const struct program *program) {
    struct err err = ERR_INIT;
    char name[PROGRAM_METRICS_NAME];
    program_metrics_name(program->name, name);
    if (!metrics_open(name, &err)) {
        log_text(LOG_WARN, "the metrics are this process's alone", slice_from_cstr(err.message));
    }
}

static bool serve(struct run *run, int listen_fd, struct err *err) {
    const struct program *program = run->program;
    if (listen_fd < 0) {
        return cgi_serve(program->handle, program->late, run->use_case, ANSWER_DEADLINE_MS, err);
    }
    const struct settings *settings = current_take(run->current);
    run->max_in_flight = settings->max_in_flight;
    struct fcgi_options options = {
        .listen_fd = listen_fd,
        .max_in_flight = settings->max_in_flight,
        .max_buffered = settings->max_buffered,
        .deadline_ms = ANSWER_DEADLINE_MS,
        .handle = program->handle,
        .late = program->late,
        .context = run->use_case,
        .hang_up = read_again,
        .tick = look_after,
        .upkeep = run,
    };
    settings_free(settings);
    log_text(LOG_INFO, "serving", slice_from_cstr(program->name));
    return fcgi_serve(&options, err);
}

static int run_with(const struct program *program, int listen_fd) {
    struct err err = ERR_INIT;
    if (!crypto_start()) {
        err_set(&err, ERR_MEMORY, "OpenSSL cannot be used");
        return program_failed(program->name, &err);
    }
    struct settings *settings = settings_load(settings_path(), program->part, &err);
    if (settings == NULL) {
        return program_failed(program->name, &err);
    }
    struct run run = {.program = program, .current = current_new(settings)};
    if (run.current == NULL) {
        settings_free(settings);
        err_set(&err, ERR_MEMORY, "out of memory");
        return program_failed(program->name, &err);
    }
    if (listen_fd >= 0) {
        open_metrics(program);
    }
    run.use_case = program->start(run.current, &err);
    bool ok = run.use_case != NULL && serve(&run, listen_fd, &err);
    program->stop(run.use_case);
    metrics_close();
    current_free(run.current);
    return ok ? EXIT_DONE : program_failed(program->name, &err);
}

int program_run(const struct program *program, int argc, char **argv) {
    struct slice where = SLICE_EMPTY;
    struct err err = ERR_INIT;
    process_keep_to_itself();
    int code = read_options(program, argc, argv, &where);
    if (code >= 0) {
        return code;
    }
    mallopt(M_ARENA_MAX, MALLOC_ARENAS);
    fcgi_block_signals();
    int listen_fd = where.len > 0 ? listener_open(where, &err) : listener_inherited();
    if (where.len > 0 && listen_fd < 0) {
        return program_failed(program->name, &err);
    }
    if (listen_fd < 0 && !cgi_is_request()) {
        return usage(program);
    }
    code = run_with(program, listen_fd);
    listener_remove(where);
    return code;
}

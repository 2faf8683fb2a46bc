/*
 * How the two responders start and end alike: command line, listening socket, plain CGI, the
 * configuration at the start and after SIGHUP, exit code (contract sections 1 and 9).
 */
#ifndef APP_PROGRAM_H
#define APP_PROGRAM_H

#include "adapter/exchange.h"
#include "app/current.h"

/* Exit codes of all programs. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What makes one responder differ from the other. */
struct program {
    const char *name;    /* "webhook.fcgi" */
    const char *summary; /* one line for --help */
    enum settings_part part;
    /* The use case over the configuration in force; NULL with ERR. */
    void *(*start)(struct current *current, struct err *err);
    void (*stop)(void *use_case);
    /* Another configuration is in force. */
    void (*renew)(void *use_case);
    void (*handle)(void *use_case, struct exchange *exchange);
    void (*late)(void *use_case, struct exchange *exchange, struct http_answer *answer);
};

/* Runs PROGRAM to its end and returns its exit code. */
int program_run(const struct program *program, int argc, char **argv);
/* What the counters of the program called NAME are called (engine/metrics.h): those that have one
 * configuration count together. */
#define PROGRAM_METRICS_NAME 96
void program_metrics_name(const char *name, char out[PROGRAM_METRICS_NAME]);
/* Tells ERR on stderr and returns the exit code that its kind has. */
int program_failed(const char *name, const struct err *err);

#endif

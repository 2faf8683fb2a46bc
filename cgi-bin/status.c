/* status.fcgi: serves the latest state as JSON. Wiring only; the use case is app/query.h. */
#include "app/program.h"
#include "app/query.h"

static void *start(struct current *current, struct err *err) {
    return query_new(current, err);
}

static void stop(void *use_case) {
    query_free(use_case);
}

static void renew(void *use_case) {
    query_renew(use_case);
}

int main(int argc, char **argv) {
    static const struct program program = {
        .name = "status.fcgi",
        .summary = "FastCGI responder that serves the latest order and tracking state as JSON.",
        .part = PART_STATUS,
        .start = start,
        .stop = stop,
        .renew = renew,
        .handle = query_handle,
        .late = query_late,
    };
    return program_run(&program, argc, argv);
}

/* webhook.fcgi: takes webhook POSTs. Wiring only; the use case is app/ingest.h. */
#include "app/ingest.h"
#include "app/program.h"

static void *start(struct current *current, struct err *err) {
    return ingest_new(current, err);
}

static void stop(void *use_case) {
    ingest_free(use_case);
}

static void renew(void *use_case) {
    ingest_renew(use_case);
}

int main(int argc, char **argv) {
    static const struct program program = {
        .name = "webhook.fcgi",
        .summary = "FastCGI responder that takes shipment webhooks and writes them to PostgreSQL.",
        .part = PART_WEBHOOK,
        .start = start,
        .stop = stop,
        .renew = renew,
        .handle = ingest_handle,
        .late = ingest_late,
    };
    return program_run(&program, argc, argv);
}

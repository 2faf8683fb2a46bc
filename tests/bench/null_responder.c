/*
 * The FastCGI responder that does nothing: it reads the body and answers. What the web server, the
 * load generator and the transport can do at most.
 *
 * POST is answered as webhook.fcgi answers an event, GET with the bytes of the file that is its
 * argument: an order document. The listening socket is inherited (LISTEN_FDS or descriptor 0).
 */
#include "adapter/fcgi.h"
#include "adapter/listener.h"
#include "base/limits.h"

#include <stdio.h>

#define MAX_IN_FLIGHT 4096
#define DEADLINE_MS 4000

static const struct slice received =
    SLICE("{\"received\":true,\"outcome\":\"applied\",\"delivery\":"
          "\"00000000-0000-8000-8000-000000000000\"}");

static void handle(void *context, struct exchange *exchange) {
    const struct slice *document = context;
    struct strbuf body = STRBUF_INIT(LIMIT_BODY);
    struct http_answer answer;
    http_answer_init(&answer);
    bool is_get = slice_eq(http_param(&exchange->params, "REQUEST_METHOD"), SLICE_OF("GET"));
    answer.status = exchange_read_body(exchange, LIMIT_BODY, &body) == BODY_COMPLETE ? 200 : 400;
    answer.content_type = "application/json";
    strbuf_add_slice(&answer.body, is_get ? *document : received);
    strbuf_free(&body);
    (void)exchange_answer(exchange, &answer);
}

/* Nothing is parked, so nothing is late. */
static void late(void *context, struct exchange *exchange, struct http_answer *answer) {
    (void)context;
    (void)exchange;
    answer->status = 503;
}

int main(int argc, char **argv) {
    static char bytes[1 << 20];
    struct slice document = {.data = bytes};
    struct err err = ERR_INIT;
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (file == NULL) {
        fputs("Usage: null_responder ORDER_DOCUMENT\n", stderr);
        return 2;
    }
    document.len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    fcgi_block_signals();
    struct fcgi_options options = {
        .listen_fd = listener_inherited(),
        .max_in_flight = MAX_IN_FLIGHT,
        .max_buffered = LIMIT_BODY,
        .deadline_ms = DEADLINE_MS,
        .handle = handle,
        .late = late,
        .context = &document,
    };
    if (options.listen_fd < 0 || !fcgi_serve(&options, &err)) {
        fprintf(stderr, "null_responder: %s\n",
                err_is_set(&err) ? err.message : "no listening socket");
        return 1;
    }
    return 0;
}

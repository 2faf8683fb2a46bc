#include "adapter/cgi.h"

#include "base/condition.h"
#include "base/limits.h"
#include "base/timestamp.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define READ_TIMEOUT_MS 10000

struct cgi_request {
    struct exchange exchange; /* first */
    int64_t left; /* bytes of the body that Content-Length still announces; -1: read to the end */
    bool broken;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool answered, late;
};

bool cgi_is_request(void) {
    return getenv("GATEWAY_INTERFACE") != NULL;
}

/* Never beyond Content-Length: a CGI server need not end the stream. 0 at the end, -1 when it
 * breaks off. */
static ssize_t read_some(struct cgi_request *request, char *bytes, size_t len) {
    if (request->left == 0) {
        return 0;
    }
    if (request->left > 0 && (uint64_t)request->left < len) {
        len = (size_t)request->left;
    }
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&fd, 1, READ_TIMEOUT_MS) <= 0) {
        return -1;
    }
    ssize_t n = read(STDIN_FILENO, bytes, len);
    if (n > 0 && request->left > 0) {
        request->left -= n;
    }
    return n == 0 && request->left > 0 ? -1 : n;
}

static void discard(struct exchange *exchange) {
    char bytes[8192];
    size_t total = 0;
    ssize_t n = 1;
    while (n > 0 && total < LIMIT_BODY) {
        n = read_some((struct cgi_request *)exchange, bytes, sizeof(bytes));
        total += (size_t)(n > 0 ? n : 0);
    }
}

static enum body_status read_body(struct exchange *exchange, size_t max, struct strbuf *body) {
    struct cgi_request *request = (struct cgi_request *)exchange;
    if (request->broken) {
        return BODY_CUT_SHORT;
    }
    if (request->left > (int64_t)max) {
        discard(exchange);
        return BODY_TOO_LONG;
    }
    for (;;) {
        char *room = strbuf_reserve(body, 65536);
        if (room == NULL) {
            return BODY_NO_ROOM;
        }
        ssize_t n = read_some(request, room, 65536);
        if (n <= 0) {
            return n == 0 ? BODY_COMPLETE : BODY_CUT_SHORT;
        }
        strbuf_commit(body, (size_t)n);
        if (body->len > max) {
            discard(exchange);
            return BODY_TOO_LONG;
        }
    }
}

static bool write_all(struct slice bytes) {
    while (bytes.len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        bytes = slice_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return true;
}

static void write_answer(struct http_answer *answer) {
    struct strbuf head;
    strbuf_init(&head, 64u << 10);
    http_answer_head(answer, &head);
    bool ok = !strbuf_failed(&head) && write_all(strbuf_slice(&head));
    /* A failure means that the server is gone: there is nobody to tell. */
    ok = ok && write_all(http_answer_body(answer));
    (void)ok;
    strbuf_free(&head);
    http_answer_free(answer);
}

static bool answer_exchange(struct exchange *exchange, struct http_answer *answer) {
    struct cgi_request *request = (struct cgi_request *)exchange;
    pthread_mutex_lock(&request->lock);
    bool late = request->late;
    if (!late) {
        write_answer(answer);
    } else {
        http_answer_free(answer);
    }
    request->answered = true;
    pthread_cond_signal(&request->changed);
    pthread_mutex_unlock(&request->lock);
    return !late;
}

/* Waits for the answer, and at the deadline has LATE make one: under the lock, since whoever works
 * on the request must pass it to answer, and lives until then. */
static void wait_for_answer(struct cgi_request *request, int64_t deadline_ms,
                            void (*late)(void *context, struct exchange *exchange,
                                         struct http_answer *answer),
                            void *context) {
    int64_t until = monotonic_ms() + deadline_ms;
    pthread_mutex_lock(&request->lock);
    while (!request->answered && condition_wait_until(&request->changed, &request->lock, until)) {
    }
    request->late = !request->answered;
    if (request->late) {
        struct http_answer answer;
        http_answer_init(&answer);
        late(context, &request->exchange, &answer);
        write_answer(&answer);
    }
    pthread_mutex_unlock(&request->lock);
}

bool cgi_serve(void (*handle)(void *context, struct exchange *exchange),
               void (*late)(void *context, struct exchange *exchange, struct http_answer *answer),
               void *context, int64_t deadline_ms, struct err *err) {
    /* Lives on: a late job still holds it when the process ends. */
    static struct cgi_request request;
    request = (struct cgi_request){
        .exchange = {.params.pairs = environ,
                     .read_body = read_body,
                     .discard_body = discard,
                     .answer = answer_exchange},
        .left = -1,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    condition_init(&request.changed);
    struct slice method = http_param(&request.exchange.params, "REQUEST_METHOD");
    if (slice_eq(method, SLICE_OF("GET")) || slice_eq(method, SLICE_OF("HEAD"))) {
        request.left = 0; /* standard input may be anything, and never end */
    } else {
        request.broken = !exchange_announced_length(&request.exchange.params, &request.left);
    }
    handle(context, &request.exchange);
    wait_for_answer(&request, deadline_ms, late, context);
    return !request.late || err_set(err, ERR_TIMEOUT, "the request was not answered in time");
}

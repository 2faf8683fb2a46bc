/*
 * FastCGI from the wire: adapter/fcgi.c serves over a real socket in threads of its own, and the
 * input says what a web server sends on one connection.
 *
 * The first byte is what the handler does; then come operations (see do_operation()), each a byte
 * of kind, fragmentation and padding with its operands. Records are built here and not taken from
 * the input as they are, for two things in libfcgi 2.4.2 would end the process (docs/fastcgi.md):
 * it allocates whatever length a parameter announces, and a FCGI_GET_VALUES that names values it
 * knows more than three times overruns its stack.
 *
 * Of a connection in good order everything is known before: which parameters arrive, which body,
 * with what status, and that one answer comes. Of any other: the server goes on, no connection
 * hangs, and a body that was cut off is never complete.
 */
#include "fuzz.h"

#include "adapter/fcgi.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BEGIN = 1, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, GET_VALUES = 9 };

#define BEGIN_LEN 8
#define PAIRS_MAX 64
#define REQUESTS_MAX 3
#define WIRE_MAX (1u << 20)
#define MAX_BODY (1u << 20)
#define SMALL_BODY 16
#define PATIENCE_MS 60000
#define LARGE_ANSWER 20000

enum handling { READ, READ_SMALL, DISCARD, LEAVE };

/* ---- the server, and what its handler saw ---- */

static struct {
    pthread_t thread;
    struct sockaddr_un address;
    socklen_t address_len;
    int parked_fd; /* eventfd: a request waits for its answer */
} server;

static struct {
    pthread_mutex_t lock;
    enum handling handling;
    bool park, large;
    size_t handled;
    bool overloaded;
    char *pairs[PAIRS_MAX + 2];
    size_t pair_count;
    enum body_status status;
    struct strbuf body;
    struct exchange *parked;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void forget_request(void) {
    for (size_t i = 0; i < seen.pair_count; i++)
        free(seen.pairs[i]);
    seen.pair_count = 0;
    seen.overloaded = false;
    strbuf_free(&seen.body);
    strbuf_init(&seen.body, MAX_BODY + 2 * 65536);
}

static void answer(struct exchange *exchange) {
    struct http_answer reply;
    http_answer_init(&reply);
    reply.content_type = "text/plain";
    strbuf_add_cstr(&reply.body, "answered");
    for (size_t i = 0; seen.large && i < LARGE_ANSWER; i++)
        strbuf_add_char(&reply.body, '.');
    REQUIRE(exchange_answer(exchange, &reply));
}

static void look_at_params(const struct http_params *params) {
    int64_t length;
    bool raw;
    for (char *const *pair = params->pairs; *pair; pair++) {
        if (seen.pair_count < ARRAY_LEN(seen.pairs)) {
            seen.pairs[seen.pair_count] = strdup(*pair);
            REQUIRE(seen.pairs[seen.pair_count++]);
        }
    }
    (void)!exchange_announced_length(params, &length);
    (void)http_path_below_mount(params, &raw);
    (void)http_header(params, SLICE_OF("Authorization"));
}

static void handle(void *context, struct exchange *exchange) {
    uint64_t one = 1;
    (void)context;
    pthread_mutex_lock(&seen.lock);
    forget_request();
    seen.handled++;
    seen.overloaded = exchange->overloaded;
    look_at_params(&exchange->params);
    if (seen.handling == READ || seen.handling == READ_SMALL)
        seen.status =
            exchange_read_body(exchange, seen.handling == READ ? MAX_BODY : SMALL_BODY, &seen.body);
    else if (seen.handling == DISCARD)
        exchange_discard_body(exchange);
    bool park = seen.park;
    if (park)
        seen.parked = exchange;
    pthread_mutex_unlock(&seen.lock);
    if (park)
        REQUIRE(write(server.parked_fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
    else
        answer(exchange);
}

static void late(void *context, struct exchange *exchange, struct http_answer *reply) {
    (void)context;
    (void)exchange;
    (void)reply;
    fuzz_fail(__FILE__, __LINE__, "every request is answered in time");
}

static void *serve(void *listener) {
    struct err err = ERR_INIT;
    const struct fcgi_options options = {.listen_fd = *(int *)listener,
                                         .max_in_flight = 8,
                                         .max_buffered = 4u << 20,
                                         .deadline_ms = 2 * PATIENCE_MS,
                                         .handle = handle,
                                         .late = late};
    fcgi_block_signals();
    REQUIRE(fcgi_serve(&options, &err));
    return NULL;
}

static void stop(void) {
    /* NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread,cert-pos44-c): there is a handler. */
    (void)pthread_kill(server.thread, SIGTERM);
    (void)pthread_join(server.thread, NULL);
    forget_request();
}

static void start(void) {
    static int listener;
    sigset_t all, before;
    server.address.sun_family = AF_UNIX;
    server.address_len = sizeof(server.address);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    server.parked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    REQUIRE(listener >= 0 && server.parked_fd >= 0);
    /* A name that the kernel chooses. */
    REQUIRE(bind(listener, (struct sockaddr *)&server.address, sizeof(sa_family_t)) == 0);
    REQUIRE(listen(listener, 64) == 0);
    REQUIRE(getsockname(listener, (struct sockaddr *)&server.address, &server.address_len) == 0);
    /* The server's threads take no signal of the process but what is sent to them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    REQUIRE(pthread_create(&server.thread, NULL, serve, &listener) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)atexit(stop);
}

/* ---- one request on its way ---- */

struct request {
    struct strbuf wire, body;
    char *pairs[PAIRS_MAX + 2];
    size_t pair_count;
    bool keep;
    bool odd;          /* something a web server does not send: nothing is expected */
    bool lied;         /* a length was wrong: what followed would be read as lengths */
    bool params_ended; /* what was sent so far, when not odd */
    bool ended;
    bool cut; /* the connection ends here */
};

static void add_record(struct request *r, int type, int id, struct slice content, size_t padding) {
    static const char zeros[8];
    bool in_place = id != 1 || type == (r->params_ended ? STDIN : PARAMS);
    if (type == BEGIN ? content.len != BEGIN_LEN : !in_place) {
        /* libfcgi gives up, but goes on to read the content as headers. */
        content = SLICE_EMPTY;
        padding = 0;
        r->odd = r->cut = true;
    }
    const uint8_t header[8] = {1,
                               (uint8_t)type,
                               (uint8_t)(id >> 8),
                               (uint8_t)id,
                               (uint8_t)(content.len >> 8),
                               (uint8_t)content.len,
                               (uint8_t)padding,
                               0};
    strbuf_add(&r->wire, header, sizeof(header));
    strbuf_add_slice(&r->wire, content);
    strbuf_add(&r->wire, zeros, padding);
}

/* CONTENT in records of at most LIMIT bytes; none when it is empty. */
static void add_stream(struct request *r, int type, struct slice content, size_t limit,
                       size_t padding) {
    while (content.len && !r->cut) {
        add_record(r, type, 1, slice_first(content, limit), padding);
        content = slice_from(content, limit);
    }
}

static void begin_request(struct request *r, bool keep) {
    const uint8_t content[BEGIN_LEN] = {0, 1, keep ? 1 : 0};
    *r = (struct request){.wire = STRBUF_INIT(WIRE_MAX), .body = STRBUF_INIT(WIRE_MAX)};
    r->keep = keep;
    add_record(r, BEGIN, 1, (struct slice){(const char *)content, sizeof(content)}, 0);
    r->pairs[r->pair_count++] = fuzz_pair("FCGI_ROLE", SLICE_OF("RESPONDER"));
}

static void free_request(struct request *r) {
    strbuf_free(&r->wire);
    strbuf_free(&r->body);
    for (size_t i = 0; i < r->pair_count; i++)
        free(r->pairs[i]);
}

/* ---- the operations ---- */

/* A length and that many bytes of what is left. */
static struct slice take_bytes(struct slice *rest) {
    size_t len = fuzz_byte(rest);
    struct slice bytes = slice_first(*rest, len < 0x80 ? len : (len & 0x7f) * 64);
    *rest = slice_from(*rest, bytes.len);
    return bytes;
}

static struct slice take_name(struct slice *rest) {
    static const struct slice names[] = {
        SLICE("CONTENT_LENGTH"), SLICE("REQUEST_METHOD"), SLICE("REQUEST_URI"),
        SLICE("SCRIPT_NAME"),    SLICE("PATH_INFO"),      SLICE("QUERY_STRING"),
        SLICE("REMOTE_ADDR"),    SLICE("HTTPS"),          SLICE("HTTP_AUTHORIZATION"),
        SLICE("CONTENT_TYPE"),
    };
    if (rest->len && (uint8_t)rest->data[0] >= 0xf0)
        return names[(fuzz_byte(rest) & 0xf) % ARRAY_LEN(names)];
    return take_bytes(rest);
}

static void add_length(struct strbuf *out, size_t len, bool wide) {
    if (wide || len > 127)
        strbuf_add_be32(out, (uint32_t)len | UINT32_C(1) << 31);
    else
        strbuf_add_char(out, (char)len);
}

struct manner {
    size_t fragment, padding;
    bool wide;
};

/* LIE is added to the length of the value. */
static void add_pair(struct request *r, struct slice name, struct slice value, size_t lie,
                     struct manner manner) {
    struct strbuf pair = STRBUF_INIT(WIRE_MAX), text = STRBUF_INIT(WIRE_MAX);
    if (r->lied)
        return;
    add_length(&pair, name.len, manner.wide);
    add_length(&pair, value.len + lie, manner.wide);
    strbuf_add_slice(&pair, name);
    strbuf_add_slice(&pair, value);
    add_stream(r, PARAMS, strbuf_slice(&pair), manner.fragment, manner.padding);
    strbuf_add_slice(&text, name);
    strbuf_add_char(&text, '=');
    strbuf_add_slice(&text, value);
    strbuf_add_char(&text, '\0');
    r->odd = r->odd || r->params_ended || lie > 0;
    r->lied = lie > 0;
    if (r->pair_count < PAIRS_MAX) {
        /* Beyond its first NUL a parameter does not reach us, be it in the name. */
        char *kept = strdup(text.data);
        REQUIRE(kept);
        r->pairs[r->pair_count++] = kept;
    } else {
        r->odd = true;
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the pairs are freed with their request. */
    strbuf_free(&pair);
    strbuf_free(&text);
}

static void add_get_values(struct request *r, uint8_t which, struct manner manner) {
    static const struct slice names[] = {SLICE("FCGI_MAX_CONNS"), SLICE("FCGI_MAX_REQS"),
                                         SLICE("FCGI_MPXS_CONNS"), SLICE("FCGI_OTHER")};
    struct strbuf content = STRBUF_INIT(4096);
    for (size_t i = 0; i < 3; i++) {
        struct slice name = names[which >> 2 * i & 3];
        add_length(&content, name.len, manner.wide);
        add_length(&content, 0, false);
        strbuf_add_slice(&content, name);
    }
    add_record(r, GET_VALUES, 0, strbuf_slice(&content), manner.padding);
    r->odd = true;
    strbuf_free(&content);
}

/* Any other record; parameters, whose lengths libfcgi believes, only as one pair with a lie. */
static void add_odd_record(struct request *r, struct slice *rest, struct manner manner) {
    uint8_t type = fuzz_byte(rest), id = fuzz_byte(rest);
    struct slice content = take_bytes(rest);
    r->odd = true;
    if (id == 0)
        id = 2;
    if (type == PARAMS && id == 1) {
        add_pair(r, SLICE_OF("LIE"), content, manner.wide ? 1 : 4000, manner);
        return;
    }
    /* After an empty record of another request libfcgi skips the next one too. */
    r->lied = r->lied || content.len == 0;
    add_record(r, type == GET_VALUES ? GET_VALUES + 1 : type, id, content, manner.padding);
}

static void do_operation(struct request *r, struct slice *rest) {
    static const size_t fragments[] = {65535, 1, 7, 1000};
    uint8_t operation = fuzz_byte(rest);
    const struct manner manner = {.fragment = fragments[operation >> 3 & 3],
                                  .padding = operation >> 5,
                                  .wide = operation >> 5 & 1};
    struct slice name, content;
    switch (operation & 7) {
    case 0: /* a parameter: name, value */
        name = take_name(rest);
        add_pair(r, name, take_bytes(rest), 0, manner);
        break;
    case 1: /* the end of the parameters */
        r->odd = r->odd || r->params_ended;
        /* Padding here would be taken for the next header (docs/fastcgi.md). */
        add_record(r, PARAMS, 1, SLICE_EMPTY, 0);
        r->params_ended = true;
        break;
    case 2: /* a piece of the body */
        content = take_bytes(rest);
        r->odd = r->odd || !r->params_ended;
        strbuf_add_slice(&r->body, content);
        add_stream(r, STDIN, content, manner.fragment, manner.padding);
        break;
    case 3: /* the end of the body, and of the request */
        r->odd = r->odd || !r->params_ended;
        r->ended = true;
        add_record(r, STDIN, 1, SLICE_EMPTY, manner.padding);
        break;
    case 4:
        r->odd = true;
        add_record(r, BEGIN, manner.wide ? 1 : 2, SLICE_OF("\0\1\1\0\0\0\0\0"), manner.padding);
        break;
    case 5:
        add_odd_record(r, rest, manner);
        break;
    case 6:
        add_get_values(r, fuzz_byte(rest), manner);
        break;
    default:
        r->cut = true;
    }
}

/* ---- the connection ---- */

struct replies {
    struct strbuf bytes, output;
    size_t ends;
    bool closed;
};

/* The records that came so far: output and ends of the request. */
static void count_replies(struct replies *replies) {
    struct slice rest = strbuf_slice(&replies->bytes);
    strbuf_clear(&replies->output);
    replies->ends = 0;
    while (rest.len >= 8) {
        const uint8_t *header = (const uint8_t *)rest.data;
        size_t len = (size_t)header[4] << 8 | header[5], padding = header[6];
        if (rest.len < 8 + len + padding)
            return;
        REQUIRE(header[0] == 1);
        if (header[1] == STDOUT)
            strbuf_add_slice(&replies->output, slice_first(slice_from(rest, 8), len));
        replies->ends += header[1] == END && header[3] == 1;
        rest = slice_from(rest, 8 + len + padding);
    }
}

static void answer_parked(void) {
    uint64_t count;
    if (read(server.parked_fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
        return;
    pthread_mutex_lock(&seen.lock);
    struct exchange *parked = seen.parked;
    seen.parked = NULL;
    pthread_mutex_unlock(&seen.lock);
    if (parked)
        answer(parked);
}

/* Reads until the request has its end, or, with TO_CLOSE, until the server closes. */
static void read_replies(int fd, bool to_close, struct replies *replies) {
    while (!replies->closed && (to_close || replies->ends == 0)) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                               {.fd = server.parked_fd, .events = POLLIN}};
        int ready = poll(fds, 2, PATIENCE_MS);
        if (ready < 0 && errno == EINTR)
            continue; /* libFuzzer's clock */
        /* Anything longer is a connection that hangs. */
        REQUIRE(ready > 0);
        if (fds[1].revents)
            answer_parked();
        if (fds[0].revents) {
            char bytes[16384];
            ssize_t n = read(fd, bytes, sizeof(bytes));
            replies->closed = n == 0 || (n < 0 && errno != EINTR);
            if (n > 0)
                strbuf_add(&replies->bytes, bytes, (size_t)n);
            count_replies(replies);
        }
    }
}

static bool send_all(int fd, struct slice bytes) {
    while (bytes.len) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n <= 0 && errno != EINTR)
            return false;
        bytes = slice_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return true;
}

static int connect_to_server(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0);
    REQUIRE(connect(fd, (struct sockaddr *)&server.address, server.address_len) == 0);
    return fd;
}

/* ---- what must hold ---- */

static enum body_status expected_status(const struct request *r, size_t max) {
    const struct http_params params = {r->pairs};
    int64_t length;
    if (!exchange_announced_length(&params, &length))
        return BODY_CUT_SHORT;
    if (length > (int64_t)max || r->body.len > max)
        return BODY_TOO_LONG;
    return length >= 0 && (int64_t)r->body.len != length ? BODY_CUT_SHORT : BODY_COMPLETE;
}

static void check_body(const struct request *r) {
    if (seen.handling != READ && seen.handling != READ_SMALL)
        return;
    REQUIRE(seen.status == expected_status(r, seen.handling == READ ? MAX_BODY : SMALL_BODY));
    if (seen.status == BODY_COMPLETE)
        REQUIRE(slice_eq(strbuf_slice(&seen.body), strbuf_slice(&r->body)));
}

static void check_answer(const struct replies *replies) {
    static const struct slice head = SLICE("Status: 200 OK\r\n"), body = SLICE("\r\n\r\nanswered");
    struct slice output = strbuf_slice(&replies->output);
    const char *at = memmem(output.data, output.len, body.data, body.len);
    REQUIRE(replies->ends == 1 && slice_starts_with(output, head) && at);
    REQUIRE(output.len - (size_t)(at - output.data) == body.len + (seen.large ? LARGE_ANSWER : 0));
}

/* After a request in good order. */
static void check_request(const struct request *r, const struct replies *replies, size_t before) {
    pthread_mutex_lock(&seen.lock);
    REQUIRE(seen.handled == before + 1 && !seen.overloaded);
    REQUIRE(seen.pair_count == r->pair_count);
    for (size_t i = 0; i < r->pair_count; i++)
        REQUIRE(strcmp(seen.pairs[i], r->pairs[i]) == 0);
    check_body(r);
    pthread_mutex_unlock(&seen.lock);
    check_answer(replies);
}

/* After a request that was cut off: in its parameters it is none, in its body that is not complete.
 */
static void check_cut(const struct request *r, size_t before) {
    pthread_mutex_lock(&seen.lock);
    REQUIRE(r->params_ended ? seen.handled <= before + 1 : seen.handled == before);
    REQUIRE(seen.handled == before || seen.status != BODY_COMPLETE ||
            (seen.handling != READ && seen.handling != READ_SMALL));
    pthread_mutex_unlock(&seen.lock);
}

static size_t handled_so_far(void) {
    pthread_mutex_lock(&seen.lock);
    size_t handled = seen.handled;
    pthread_mutex_unlock(&seen.lock);
    return handled;
}

/* One request; whether another may follow on the connection. */
static bool run_request(int fd, struct slice *rest, bool keep, bool last) {
    struct request r;
    struct replies replies = {.bytes = STRBUF_INIT(WIRE_MAX), .output = STRBUF_INIT(WIRE_MAX)};
    size_t before = handled_so_far();
    begin_request(&r, keep);
    while (rest->len && !r.ended && !r.cut)
        do_operation(&r, rest);
    REQUIRE(!strbuf_failed(&r.wire));
    r.pairs[r.pair_count] = NULL;
    bool good = r.ended && !r.odd;
    bool more = good && keep && !last && seen.handling != LEAVE && rest->len > 0;
    (void)send_all(fd, strbuf_slice(&r.wire));
    if (!more)
        (void)shutdown(fd, SHUT_WR);
    read_replies(fd, !more, &replies);
    if (good)
        check_request(&r, &replies, before);
    else if (!r.ended && !r.odd)
        check_cut(&r, before);
    more = more && !replies.closed;
    free_request(&r);
    strbuf_free(&replies.bytes);
    strbuf_free(&replies.output);
    return more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct slice rest = fuzz_input(data, size);
    uint8_t choice = fuzz_byte(&rest);
    (void)pthread_once(&once, start);
    pthread_mutex_lock(&seen.lock);
    seen.handling = choice & 3;
    seen.park = choice >> 2 & 1;
    seen.large = choice >> 3 & 1;
    pthread_mutex_unlock(&seen.lock);
    int fd = connect_to_server();
    size_t count = 1;
    while (run_request(fd, &rest, choice >> 4 & 1, count == REQUESTS_MAX))
        count++;
    (void)close(fd);
    return 0;
}

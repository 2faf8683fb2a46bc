#include "adapter/fcgi.h"

#include "base/limits.h"
#include "base/timestamp.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Threads at the start; more only while all of them wait for slow peers. */
#define WORKERS_AT_START 4
#define WORKER_STACK                                                                               \
    (8u << 20)              /* deep JSON is parsed recursively; untouched pages cost nothing       \
                             */
#define TICK_MS 100         /* how often deadlines and stuck workers are looked at */
#define READ_TIMEOUT_S 10   /* of one read of a request */
#define STOP_GRACE_MS 1000  /* at the end, for connections that have not said anything yet */
#define STOP_LIMIT_MS 15000 /* at the end, for everything */
#define DISCARD_LIMIT (64u << 20)
/* An answer of this size fits what a socket has room for when it can be written to. */
#define PROMPT_ANSWER 16384

/* Where there is no memory for the head of an answer. What was done stays done: the sender sends it
 * again. */
#define NO_MEMORY_HEAD                                                                             \
    "Status: 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n"

/* One connection of the web server, and the request on it. Two hold it: the worker that serves it
 * and whoever has to answer; the last one recycles it. */
struct connection {
    struct exchange exchange; /* first: the use case sees only this */
    FCGX_Request request;
    struct server *server;
    struct connection *next, *previous; /* in the list of parked requests */
    struct connection *next_done;       /* in the queue of answers to write */
    struct http_answer answer;
    int64_t deadline_ms;
    size_t buffered; /* bytes counted against max_buffered */
    int holders;
    bool answered; /* an answer is on its way or was written */
    bool parked;
    bool late;          /* answered at its deadline */
    bool keep;          /* the web server will send another request on it */
    bool served_before; /* a kept connection between requests */
    bool watched;       /* in the epoll set */
};

struct server {
    struct fcgi_options options;
    int epoll_fd;
    int done_fd; /* eventfd, readable while answers wait */
    int wake_fd; /* eventfd, readable once the workers shall end */
    atomic_size_t in_flight;
    atomic_size_t buffered;
    atomic_size_t waiting;     /* workers that wait for a peer: to send, or to take, bytes */
    atomic_size_t connections; /* open, of which */
    atomic_size_t idle;        /* kept between requests */
    atomic_bool accept_again;  /* accept() failed, and more may wait in the queue */
    atomic_bool stopping;      /* no connection is kept any more */
    atomic_bool closed;        /* no request is begun any more */

    pthread_mutex_t lock; /* the two lists and every connection's holders, answered, parked */
    struct connection *parked_first, *parked_last;
    struct connection *done_first, *done_last;
    size_t workers;
    pthread_t *threads; /* of the workers; the main thread's */
};

/* Set in worker threads: they may wait for a peer. */
static _Thread_local bool is_worker;

/* ---- connections ---- */

static void close_connection(struct connection *connection) {
    struct server *server = connection->server;
    atomic_fetch_sub(&server->connections, 1);
    if (connection->request.ipcFd >= 0) {
        close(connection->request.ipcFd);
        connection->request.ipcFd = -1;
    }
    FCGX_Free(&connection->request, 0);
    free(connection);
}

/* Waits for the next bytes in the epoll set; one worker gets the event. */
static bool watch(struct connection *connection) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                                .data.ptr = connection};
    int operation = connection->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    connection->watched = true;
    return epoll_ctl(connection->server->epoll_fd, operation, connection->request.ipcFd, &event) ==
           0;
}

/* Ends the request as FastCGI sees it; the web server has its answer then. */
static void end_request(struct connection *connection) {
    FCGX_Request *request = &connection->request;
    connection->keep = request->keepConnection != 0 && !connection->late &&
                       !atomic_load(&connection->server->stopping);
    /* libfcgi shall leave the descriptor to us: its way of closing waits up to two seconds for the
     * peer. */
    request->keepConnection = 1;
    FCGX_Finish_r(request);
    /* A failed write made it close the descriptor all the same. */
    connection->keep = connection->keep && request->ipcFd >= 0;
    if (!connection->keep && request->ipcFd >= 0) {
        close(request->ipcFd);
        request->ipcFd = -1;
    }
}

static void write_answer(struct connection *connection) {
    struct http_answer *answer = &connection->answer;
    struct strbuf head;
    atomic_fetch_add(&connection->server->waiting, is_worker);
    strbuf_init(&head, 64u << 10);
    http_answer_head(answer, &head);
    /* A failing write means that the web server is gone: there is nobody to tell. */
    if (strbuf_failed(&head)) {
        FCGX_PutS(NO_MEMORY_HEAD, connection->request.out);
    } else {
        FCGX_PutStr(head.data, (int)head.len, connection->request.out);
        struct slice body = http_answer_body(answer);
        if (body.len > 0) {
            FCGX_PutStr(body.data, (int)body.len, connection->request.out);
        }
    }
    strbuf_free(&head);
    http_answer_free(answer);
    end_request(connection);
    atomic_fetch_sub(&connection->server->waiting, is_worker);
}

/* The answer is written and nobody holds the connection any more: wait for its next request, or
 * free it. */
static void recycle(struct connection *connection) {
    struct server *server = connection->server;
    atomic_fetch_sub(&server->buffered, connection->buffered);
    connection->buffered = 0;
    atomic_fetch_sub(&server->in_flight, 1);
    if (!connection->keep) {
        close_connection(connection);
        return;
    }
    connection->served_before = true;
    atomic_fetch_add(&server->idle, 1);
    if (!watch(connection)) {
        atomic_fetch_sub(&server->idle, 1);
        close_connection(connection);
    }
}

/* Gives up one hold; the last one recycles. Call without the lock. */
static void release(struct connection *connection) {
    pthread_mutex_lock(&connection->server->lock);
    bool last = --connection->holders == 0;
    pthread_mutex_unlock(&connection->server->lock);
    if (last) {
        recycle(connection);
    }
}

/* ---- parked requests and their answers ---- */

static void unpark(struct connection *connection) {
    struct server *server = connection->server;
    if (!connection->parked) {
        return;
    }
    *(connection->previous != NULL ? &connection->previous->next : &server->parked_first) =
        connection->next;
    *(connection->next != NULL ? &connection->next->previous : &server->parked_last) =
        connection->previous;
    connection->next = connection->previous = NULL;
    connection->parked = false;
}

/* Deadlines are all equally far away, so the list is in their order. */
static void park(struct connection *connection) {
    struct server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    if (!connection->answered) {
        connection->deadline_ms = monotonic_ms() + server->options.deadline_ms;
        connection->previous = server->parked_last;
        *(server->parked_last != NULL ? &server->parked_last->next : &server->parked_first) =
            connection;
        server->parked_last = connection;
        connection->parked = true;
    }
    pthread_mutex_unlock(&server->lock);
}

static void ring(int event_fd) {
    uint64_t one = 1;
    /* It can only fail when the counter is full, and then it is readable anyway. */
    ssize_t n = write(event_fd, &one, sizeof(one));
    (void)n;
}

static void queue_done(struct connection *connection) {
    struct server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    bool first = server->done_first == NULL;
    connection->next_done = NULL;
    *(server->done_last != NULL ? &server->done_last->next_done : &server->done_first) = connection;
    server->done_last = connection;
    pthread_mutex_unlock(&server->lock);
    if (first) {
        ring(server->done_fd);
    }
}

/* Writes the answers that other threads left. */
static void write_done(struct server *server) {
    uint64_t count;
    ssize_t n = read(server->done_fd, &count, sizeof(count));
    (void)n;
    for (;;) {
        pthread_mutex_lock(&server->lock);
        struct connection *connection = server->done_first;
        if (connection != NULL) {
            server->done_first = connection->next_done;
            if (server->done_first == NULL) {
                server->done_last = NULL;
            }
        }
        bool more = server->done_first != NULL;
        pthread_mutex_unlock(&server->lock);
        if (connection == NULL) {
            return;
        }
        if (more) {
            ring(server->done_fd); /* another worker may help */
        }
        write_answer(connection);
        release(connection);
    }
}

/* Whether the answer can be written without waiting for the peer. */
static bool is_prompt(const struct connection *connection) {
    struct pollfd fd = {.fd = connection->request.ipcFd, .events = POLLOUT};
    return connection->answer.fields.len + connection->answer.body.len <= PROMPT_ANSWER &&
           poll(&fd, 1, 0) == 1;
}

static bool answer_exchange(struct exchange *exchange, struct http_answer *answer) {
    struct connection *connection = (struct connection *)exchange;
    struct server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    bool late = connection->answered;
    connection->answered = true;
    unpark(connection);
    pthread_mutex_unlock(&server->lock);

    if (late) {
        http_answer_free(answer);
        release(connection);
        return false;
    }
    connection->answer = *answer;
    http_answer_init(answer);
    if (is_worker || is_prompt(connection)) {
        write_answer(connection);
        release(connection);
    } else {
        queue_done(connection);
    }
    return true;
}

/* Answers parked requests whose deadline has come. Their users still hold them and answer into the
 * void later. */
static void answer_late(struct server *server) {
    int64_t now = monotonic_ms();
    for (;;) {
        pthread_mutex_lock(&server->lock);
        struct connection *connection = server->parked_first;
        if (connection == NULL || connection->deadline_ms > now) {
            pthread_mutex_unlock(&server->lock);
            return;
        }
        connection->answered = connection->late = true;
        connection->holders++;
        unpark(connection);
        /* Under the lock: who works on the request must pass it to answer, and lives until then. */
        http_answer_init(&connection->answer);
        server->options.late(server->options.context, &connection->exchange, &connection->answer);
        pthread_mutex_unlock(&server->lock);
        queue_done(connection);
    }
}

/* ---- reading ---- */

static int read_some(struct connection *connection, char *bytes, size_t len) {
    struct server *server = connection->server;
    atomic_fetch_add(&server->waiting, 1);
    int n = FCGX_GetStr(bytes, (int)len, connection->request.in);
    atomic_fetch_sub(&server->waiting, 1);
    return n;
}

static void discard(struct exchange *exchange) {
    struct connection *connection = (struct connection *)exchange;
    char bytes[8192];
    size_t total = 0;
    int64_t deadline = monotonic_ms() + connection->server->options.deadline_ms;
    while (total < DISCARD_LIMIT && monotonic_ms() < deadline) {
        int n = read_some(connection, bytes, sizeof(bytes));
        total += (size_t)(n > 0 ? n : 0);
        if (n < (int)sizeof(bytes)) {
            return;
        }
    }
    /* Not read to its end: the next request on this connection could not be told from the rest of
     * this one. */
    connection->request.keepConnection = 0;
}

/* Counts LEN more bytes of bodies in hand; false beyond the maximum. */
static bool count_buffered(struct connection *connection, size_t len) {
    struct server *server = connection->server;
    size_t before = atomic_fetch_add(&server->buffered, len);
    if (before + len > server->options.max_buffered) {
        atomic_fetch_sub(&server->buffered, len);
        return false;
    }
    connection->buffered += len;
    return true;
}

static enum body_status read_to_end(struct connection *connection, size_t max,
                                    struct strbuf *body) {
    for (;;) {
        size_t want = body->len < 16384 ? 4096 : 65536;
        char *room = strbuf_reserve(body, want);
        if (room == NULL) {
            return BODY_NO_ROOM;
        }
        int n = read_some(connection, room, want);
        if (n > 0) {
            if (!count_buffered(connection, (size_t)n)) {
                return BODY_NO_ROOM;
            }
            strbuf_commit(body, (size_t)n);
            if (body->len > max) {
                return BODY_TOO_LONG;
            }
        }
        if (n < (int)want) {
            return FCGX_GetError(connection->request.in) == 0 ? BODY_COMPLETE : BODY_CUT_SHORT;
        }
    }
}

static enum body_status read_body(struct exchange *exchange, size_t max, struct strbuf *body) {
    struct connection *connection = (struct connection *)exchange;
    int64_t length;
    if (!exchange_announced_length(&exchange->params, &length)) {
        discard(exchange);
        return BODY_CUT_SHORT;
    }
    if (length > (int64_t)max) {
        discard(exchange);
        return BODY_TOO_LONG;
    }
    enum body_status status = read_to_end(connection, max, body);
    if (status != BODY_COMPLETE) {
        discard(exchange);
        return status;
    }
    return length >= 0 && (int64_t)body->len != length ? BODY_CUT_SHORT : BODY_COMPLETE;
}

/* ---- accepting ---- */

/* A connection on FD, which it takes; NULL without memory. */
static struct connection *connection_new(struct server *server, int fd) {
    struct timeval timeout = {.tv_sec = READ_TIMEOUT_S};
    struct connection *connection = calloc(1, sizeof(*connection));
    /* A kept connection must stay quiet for longer than a read may take: the timeout counts only
     * inside a request. */
    if (connection == NULL ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0) {
        free(connection);
        close(fd);
        return NULL;
    }
    connection->server = server;
    FCGX_InitRequest(&connection->request, -1, 0);
    connection->request.ipcFd = fd;
    atomic_fetch_add(&server->connections, 1);
    return connection;
}

/* Whether a read would not wait: there are bytes, or the peer has gone. */
static bool is_readable(const struct connection *connection) {
    char byte;
    return recv(connection->request.ipcFd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* The next connection in the queue, or NULL. */
static struct connection *accept_one(struct server *server) {
    for (;;) {
        int fd = accept4(server->options.listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            struct connection *connection = connection_new(server, fd);
            if (connection != NULL) {
                return connection;
            }
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return NULL;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            /* Descriptors or memory are short, or the network's fault: the queue may hold more, and
             * no edge tells of those. */
            atomic_store(&server->accept_again, true);
            return NULL;
        }
    }
}

/* Empties the queue. The first connection on which a request has come is returned; the others wait
 * in the epoll set for a worker. */
static struct connection *accept_all(struct server *server) {
    struct connection *first = NULL, *connection;
    /* Counted while it looks: at the end nobody may think that all are served. */
    atomic_fetch_add(&server->connections, 1);
    while ((connection = accept_one(server)) != NULL) {
        if (first == NULL && is_readable(connection)) {
            first = connection;
        } else if (!watch(connection)) {
            close_connection(connection);
        }
    }
    atomic_fetch_sub(&server->connections, 1);
    return first;
}

/* Each new connection wakes one worker: the event is triggered by the edge. */
static bool watch_listener(struct server *server, int operation) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = server};
    return epoll_ctl(server->epoll_fd, operation, server->options.listen_fd, &event) == 0;
}

/* ---- workers ---- */

static void serve_request(struct connection *connection) {
    struct server *server = connection->server;
    if (connection->served_before) {
        atomic_fetch_sub(&server->idle, 1);
        connection->served_before = false;
    }
    size_t in_hand = atomic_fetch_add(&server->in_flight, 1) + 1;
    if (atomic_load(&server->closed)) {
        /* Counted first, looked after: whoever closes either sees this request or stops it here. */
        close_connection(connection);
        atomic_fetch_sub(&server->in_flight, 1);
        return;
    }

    /* FCGX_Accept_r() first finishes a request that is still open: with keepConnection it leaves
     * the descriptor alone. */
    connection->request.keepConnection = 1;
    /* Should libfcgi close it after all, then without waiting for the peer. */
    FCGX_Detach(&connection->request);
    atomic_fetch_add(&server->waiting, 1);
    int rc = FCGX_Accept_r(&connection->request);
    atomic_fetch_sub(&server->waiting, 1);
    /* libfcgi takes parameters that were cut off between two of them for all there are. */
    bool whole = rc == 0 && FCGX_GetError(connection->request.in) == 0;
    if (!whole || connection->request.ipcFd < 0) {
        /* The peer closed, or what it sent is no request. */
        atomic_fetch_sub(&server->in_flight, 1);
        close_connection(connection);
        return;
    }
    connection->exchange = (struct exchange){
        .params.pairs = connection->request.envp,
        .overloaded = in_hand > server->options.max_in_flight,
        .read_body = read_body,
        .discard_body = discard,
        .answer = answer_exchange,
    };
    connection->holders = 2;
    connection->answered = connection->parked = connection->late = connection->keep = false;
    server->options.handle(server->options.context, &connection->exchange);
    park(connection);
    release(connection);
}

static void *work(void *argument) {
    struct server *server = argument;
    is_worker = true;
    for (;;) {
        struct epoll_event event;
        int n = epoll_wait(server->epoll_fd, &event, 1, -1);
        if (n <= 0) {
            continue;
        }
        if (event.data.ptr == &server->wake_fd) {
            return NULL;
        }
        struct connection *connection = event.data.ptr;
        if (event.data.ptr == &server->done_fd) {
            write_done(server);
            continue;
        }
        if (event.data.ptr == server) {
            connection = accept_all(server);
        }
        if (connection != NULL) {
            serve_request(connection);
        }
    }
}

static bool start_thread(void *(*run)(void *), void *argument, pthread_t *thread) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    bool ok = pthread_attr_setstacksize(&attributes, WORKER_STACK) == 0 &&
              pthread_create(thread, &attributes, run, argument) == 0;
    pthread_attr_destroy(&attributes);
    return ok;
}

/* Starts up to COUNT more workers; how many it became. */
static size_t add_workers(struct server *server, size_t count) {
    size_t started = 0;
    pthread_t *threads =
        realloc(server->threads, (server->workers + count) * sizeof(*server->threads));
    if (threads == NULL) {
        return 0;
    }
    server->threads = threads;
    while (started < count &&
           start_thread(work, server, &server->threads[server->workers + started])) {
        started++;
    }
    server->workers += started;
    return started;
}

/* Joined, not left behind: libraries free what they keep for a thread when it ends. */
static void end_workers(struct server *server) {
    for (size_t i = 0; i < server->workers; i++) {
        pthread_join(server->threads[i], NULL);
    }
    free(server->threads);
}

/* ---- the main thread ---- */

static const int stop_signals[] = {SIGTERM, SIGUSR1, SIGINT};

static sigset_t signal_set(void) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(stop_signals); i++) {
        sigaddset(&set, stop_signals[i]);
    }
    sigaddset(&set, SIGHUP);
    return set;
}

void fcgi_block_signals(void) {
    sigset_t set = signal_set();
    sigaddset(&set, SIGPIPE);
    /* Where files may not grow (RLIMIT_FSIZE), a write fails as on a full disk. */
    sigaddset(&set, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void accept_queue(struct server *server) {
    struct connection *connection = accept_all(server);
    if (connection != NULL && !watch(connection)) {
        close_connection(connection);
    }
}

/* Once a tick: deadlines, and more workers while all of them wait for slow peers. */
static void tick(struct server *server) {
    answer_late(server);
    if (server->options.tick != NULL) {
        server->options.tick(server->options.upkeep, atomic_load(&server->in_flight));
    }
    if (atomic_exchange(&server->accept_again, false) && !watch_listener(server, EPOLL_CTL_MOD)) {
        /* The event does not come again: at the end the listener is not in the set any more. */
        accept_queue(server);
    }
    size_t limit = server->options.max_in_flight + WORKERS_AT_START;
    if (atomic_load(&server->waiting) >= server->workers && server->workers < limit) {
        size_t more =
            server->workers < limit - server->workers ? server->workers : limit - server->workers;
        add_workers(server, more);
    }
}

static void run_until_signal(struct server *server, int signal_fd) {
    for (;;) {
        struct pollfd fd = {.fd = signal_fd, .events = POLLIN};
        int n = poll(&fd, 1, TICK_MS);
        if (n > 0) {
            struct signalfd_siginfo info;
            bool came = read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info);
            if (came && info.ssi_signo != SIGHUP) {
                return;
            }
            if (came && server->options.hang_up != NULL) {
                server->options.hang_up(server->options.upkeep);
            }
        }
        tick(server);
    }
}

/* Who stood in the queue when the end came is still served. */
static void stop_accepting(struct server *server) {
    epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, server->options.listen_fd, NULL);
    accept_queue(server);
}

/* Waits until no request is in hand; connections that never said anything get a little time to do
 * so. False when requests are left. */
static bool run_to_end(struct server *server) {
    int64_t begin = monotonic_ms();
    for (;;) {
        int64_t waited = monotonic_ms() - begin;
        size_t silent = atomic_load(&server->connections) - atomic_load(&server->idle);
        bool all_seen = silent == 0 && !atomic_load(&server->accept_again);
        if (all_seen || waited > STOP_GRACE_MS) {
            atomic_store(&server->closed, true);
        }
        if (atomic_load(&server->closed) && atomic_load(&server->in_flight) == 0) {
            return true;
        }
        if (waited > STOP_LIMIT_MS) {
            return false;
        }
        poll(NULL, 0, 5);
        tick(server);
    }
}

static bool add_event(struct server *server, int fd, void *tag) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
    return fd >= 0 && epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool prepare(struct server *server, int *signal_fd) {
    sigset_t set = signal_set();
    int flags = fcntl(server->options.listen_fd, F_GETFL);
    /* Another process may share the listener: a connection that it took must not leave us waiting
     * in accept(). */
    if (flags < 0 || fcntl(server->options.listen_fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        FCGX_Init() != 0) {
        return false;
    }
    *signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *signal_fd >= 0 && server->wake_fd >= 0 && watch_listener(server, EPOLL_CTL_ADD) &&
           add_event(server, server->done_fd, &server->done_fd);
}

bool fcgi_serve(const struct fcgi_options *options, struct err *err) {
    /* Outlives a start that fails half way, with workers running. */
    static struct server server;
    server = (struct server){.options = *options, .lock = PTHREAD_MUTEX_INITIALIZER};
    int signal_fd = -1;
    if (!prepare(&server, &signal_fd) || add_workers(&server, WORKERS_AT_START) == 0) {
        return err_set_errno(err, "cannot start serving");
    }
    run_until_signal(&server, signal_fd);
    stop_accepting(&server);
    atomic_store(&server.stopping, true);
    if (!run_to_end(&server)) {
        /* A worker may still use what the caller would free. */
        _exit(EXIT_SUCCESS);
    }
    if (!add_event(&server, server.wake_fd, &server.wake_fd)) {
        _exit(EXIT_SUCCESS); /* the workers could not be told */
    }
    ring(server.wake_fd);
    end_workers(&server);
    close(signal_fd);
    return true;
}

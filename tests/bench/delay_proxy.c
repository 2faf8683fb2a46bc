/*
 * A network that takes its time: accepts on 127.0.0.1, connects each client to a unix socket, and
 * hands every byte on a stated time after it came, in both directions. However much is on its way,
 * nothing waits for anything else: the delay costs time, not throughput. When one side ends, both
 * do.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_PAIRS 16
#define CHUNK_BYTES 65536
/* On its way in one direction; beyond, the sender waits. */
#define MAX_BYTES (64u << 20)
#define NS_PER_S INT64_C(1000000000)

struct chunk {
    struct chunk *next;
    int64_t due; /* on the monotonic clock, in nanoseconds */
    size_t len, sent;
    char data[];
};

/* One direction: bytes from one descriptor, in order, on their way to another. */
struct way {
    int from, to;
    struct chunk *first, **last;
    size_t bytes;
    bool ended; /* nothing more comes */
};

struct pair {
    bool open;
    struct way ways[2];
};

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int listen_on(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, MAX_PAIRS) != 0) {
        return -1;
    }
    return fd;
}

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void way_init(struct way *way, int from, int to) {
    *way = (struct way){.from = from, .to = to};
    way->last = &way->first;
}

static void way_free(struct way *way) {
    while (way->first != NULL) {
        struct chunk *next = way->first->next;
        free(way->first);
        way->first = next;
    }
}

static void pair_close(struct pair *pair) {
    close(pair->ways[0].from);
    close(pair->ways[0].to);
    way_free(&pair->ways[0]);
    way_free(&pair->ways[1]);
    pair->open = false;
}

static void accept_pair(int listener, const char *path, struct pair *pairs) {
    int one = 1, client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct pair *pair = pairs;
    while (pair < pairs + MAX_PAIRS && pair->open) {
        pair++;
    }
    int server = client >= 0 && pair < pairs + MAX_PAIRS ? connect_to(path) : -1;
    if (server < 0) {
        if (client >= 0) {
            close(client);
        }
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    pair->open = true;
    way_init(&pair->ways[0], client, server);
    way_init(&pair->ways[1], server, client);
}

/* False when the connection is broken. */
static bool read_chunk(struct way *way, int64_t delay) {
    struct chunk *chunk = malloc(sizeof(*chunk) + CHUNK_BYTES);
    ssize_t len = chunk != NULL ? recv(way->from, chunk->data, CHUNK_BYTES, MSG_DONTWAIT) : -1;
    if (len <= 0) {
        free(chunk);
        way->ended = len == 0;
        return len == 0 || errno == EAGAIN || errno == EINTR;
    }
    chunk->next = NULL;
    chunk->due = now_ns() + delay;
    chunk->len = (size_t)len;
    chunk->sent = 0;
    *way->last = chunk;
    way->last = &chunk->next;
    way->bytes += chunk->len;
    return true;
}

/* Sends what is due. False when the connection is broken, or when all has been sent and no more
 * comes. */
static bool send_due(struct way *way) {
    int64_t now = now_ns();
    while (way->first != NULL && way->first->due <= now) {
        struct chunk *chunk = way->first;
        ssize_t len = send(way->to, chunk->data + chunk->sent, chunk->len - chunk->sent,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
        if (len < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        chunk->sent += (size_t)len;
        way->bytes -= (size_t)len;
        if (chunk->sent == chunk->len) {
            way->first = chunk->next;
            way->last = way->first == NULL ? &way->first : way->last;
            free(chunk);
        }
    }
    return way->first != NULL || !way->ended;
}

/* What to wait for on the way's two descriptors, and until when at most. */
static void want(const struct way *way, struct pollfd *from, struct pollfd *to, int64_t *until) {
    if (!way->ended && way->bytes < MAX_BYTES) {
        from->events |= POLLIN;
    }
    if (way->first != NULL && way->first->due <= now_ns()) {
        to->events |= POLLOUT;
    } else if (way->first != NULL && way->first->due < *until) {
        *until = way->first->due;
    }
}

static void serve(int listener, const char *path, int64_t delay) {
    static struct pair pairs[MAX_PAIRS];
    for (;;) {
        struct pollfd fds[1 + 2 * MAX_PAIRS];
        int64_t until = now_ns() + NS_PER_S;
        fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (size_t i = 0; i < MAX_PAIRS; i++) {
            struct pollfd *a = &fds[1 + 2 * i], *b = a + 1;
            *a = (struct pollfd){.fd = pairs[i].open ? pairs[i].ways[0].from : -1};
            *b = (struct pollfd){.fd = pairs[i].open ? pairs[i].ways[0].to : -1};
            if (pairs[i].open) {
                want(&pairs[i].ways[0], a, b, &until);
                want(&pairs[i].ways[1], b, a, &until);
            }
        }
        int64_t wait = until - now_ns();
        struct timespec timeout = {.tv_sec = wait > 0 ? wait / NS_PER_S : 0,
                                   .tv_nsec = wait > 0 ? wait % NS_PER_S : 0};
        if (ppoll(fds, 1 + 2 * MAX_PAIRS, &timeout, NULL) < 0 && errno != EINTR) {
            return;
        }
        for (size_t i = 0; i < MAX_PAIRS; i++) {
            struct pair *pair = &pairs[i];
            const short some = POLLIN | POLLHUP | POLLERR;
            if (pair->open &&
                (((fds[1 + 2 * i].revents & some) != 0 && !read_chunk(&pair->ways[0], delay)) ||
                 ((fds[2 + 2 * i].revents & some) != 0 && !read_chunk(&pair->ways[1], delay)) ||
                 !send_due(&pair->ways[0]) || !send_due(&pair->ways[1]))) {
                pair_close(pair);
            }
        }
        if ((fds[0].revents & POLLIN) != 0) {
            accept_pair(listener, path, pairs);
        }
    }
}

int main(int argc, char **argv) {
    long port = argc == 4 ? strtol(argv[1], NULL, 10) : 0;
    long delay_us = argc == 4 ? strtol(argv[3], NULL, 10) : -1;
    if (port < 1 || port > UINT16_MAX || delay_us < 0) {
        fputs("Usage: delay_proxy PORT SOCKET MICROSECONDS\n", stderr);
        return 2;
    }
    int listener = listen_on((uint16_t)port);
    if (listener < 0) {
        perror("delay_proxy: listen");
        return 1;
    }
    serve(listener, argv[2], delay_us * 1000);
    perror("delay_proxy: poll");
    return 1;
}

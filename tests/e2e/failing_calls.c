/*
 * Preloaded into a program: chosen calls fail, with a chosen error, a chosen number of times.
 *
 * FAILING_CALLS is a file that is mapped, one struct wish for each row of enum call; the test
 * writes it while the program runs (failing_calls.py). libfiu cannot stand in: it has no accept4(),
 * setsockopt(), epoll_wait() and epoll_ctl(), and its read() and write() are those of every
 * descriptor.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the order of failing_calls.py. READ and WRITE: of sockets; LOG: writes to descriptor 2. */
enum call {
    ACCEPT4,
    SETSOCKOPT,
    EPOLL_CTL,
    EPOLL_WAIT,
    READ,
    WRITE,
    LOG,
    SOCKET,
    CONNECT,
    POLL,
    SEND,
    RECV,
    CALLS
};

struct wish {
    _Atomic int error; /* 0 where it means the end of the stream */
    _Atomic int left;  /* how often more it fails */
    _Atomic int failed;
    _Atomic int calls; /* all */
};

static struct wish *wishes;

__attribute__((constructor)) static void prepare(void) {
    const char *path = getenv("FAILING_CALLS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped =
        fd >= 0 ? mmap(NULL, CALLS * sizeof(*wishes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                : MAP_FAILED;
    wishes = mapped != MAP_FAILED ? mapped : NULL;
    if (fd >= 0) {
        close(fd);
    }
}

/* Whether this one fails: with errno, or, for an error of 0, at the end of the stream. */
static int fails(enum call call) {
    struct wish *wish = wishes != NULL ? &wishes[call] : NULL;
    if (wish == NULL) {
        return 0;
    }
    atomic_fetch_add(&wish->calls, 1);
    int left = atomic_load(&wish->left);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&wish->left, &left, left - 1)) {
            atomic_fetch_add(&wish->failed, 1);
            errno = atomic_load(&wish->error);
            return 1;
        }
    }
    return 0;
}

static ssize_t failure(void) {
    return errno == 0 ? 0 : -1;
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

static int is_socket(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
    return fails(ACCEPT4) ? -1 : REAL(accept4)(fd, address, len, flags);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
    return fails(SETSOCKOPT) ? -1 : REAL(setsockopt)(fd, level, name, value, len);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    return fails(EPOLL_CTL) ? -1 : REAL(epoll_ctl)(epoll, operation, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout) {
    return fails(EPOLL_WAIT) ? -1 : REAL(epoll_wait)(epoll, events, count, timeout);
}

ssize_t read(int fd, void *bytes, size_t len) {
    return is_socket(fd) && fails(READ) ? failure() : REAL(read)(fd, bytes, len);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    int failing = fd == STDERR_FILENO ? fails(LOG) : is_socket(fd) && fails(WRITE);
    return failing ? -1 : REAL(write)(fd, bytes, len);
}

int socket(int domain, int type, int protocol) {
    return fails(SOCKET) ? -1 : REAL(socket)(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t len) {
    return fails(CONNECT) ? -1 : REAL(connect)(fd, address, len);
}

/* glibc declares the descriptors as written only, by which gcc takes them for uninitialised. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
int poll(struct pollfd *fds, nfds_t count, int timeout) {
    /* The main thread's, which only waits for a signal, is no step of a request. */
    return count == 1 && is_socket(fds[0].fd) && fails(POLL) ? -1 : REAL(poll)(fds, count, timeout);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags) {
    return fails(SEND) ? -1 : REAL(send)(fd, bytes, len, flags);
}

ssize_t recv(int fd, void *bytes, size_t len, int flags) {
    return (flags & MSG_PEEK) == 0 && fails(RECV) ? failure() : REAL(recv)(fd, bytes, len, flags);
}

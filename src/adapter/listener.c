#include "adapter/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096
#define SYSTEMD_FIRST_FD 3

/* Whether somebody answers at ADDRESS: then its file is not ours to replace. */
static bool is_alive(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool alive = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                             errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    return alive;
}

static bool bind_unix(int fd, const struct sockaddr_un *address, struct err *err) {
    if (is_alive(address)) {
        return err_set(err, ERR_SYSTEM, "%s: another process listens there", address->sun_path);
    }
    struct stat info;
    if (stat(address->sun_path, &info) == 0 && S_ISSOCK(info.st_mode)) {
        unlink(address->sun_path);
    }
    /* The mode from birth: chmod() afterwards would leave a moment in which others could connect.
     */
    mode_t before = umask(0117);
    int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    int saved = errno;
    umask(before);
    errno = saved;
    if (rc != 0) {
        return err_set_errno(err, "%s", address->sun_path);
    }
    return true;
}

static int open_unix(struct slice path, struct err *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path.len == 0 || path.len >= sizeof(address.sun_path)) {
        err_set(err, ERR_USAGE, "a socket path is 1 to %zu bytes long",
                sizeof(address.sun_path) - 1);
        return -1;
    }
    memcpy(address.sun_path, path.data, path.len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        err_set_errno(err, "socket");
        return -1;
    }
    if (!bind_unix(fd, &address, err)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_tcp(struct slice where, struct err *err) {
    struct slice host, port;
    char host_text[256], port_text[8];
    slice_split_last(where, ':', &host, &port);
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
        host = slice_first(slice_from(host, 1), host.len - 2);
    }
    if (host.len == 0 || host.len >= sizeof(host_text) || port.len == 0 ||
        port.len >= sizeof(port_text)) {
        err_set(err, ERR_USAGE, "--listen wants unix:/path or address:port");
        return -1;
    }
    memcpy(host_text, host.data, host.len);
    host_text[host.len] = '\0';
    memcpy(port_text, port.data, port.len);
    port_text[port.len] = '\0';

    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host_text, port_text, &hints, &found) != 0) {
        err_set(err, ERR_USAGE, "--listen: %s:%s is no address and port", host_text, port_text);
        return -1;
    }
    int on = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0;
    if (!ok) {
        err_set_errno(err, "%s:%s", host_text, port_text);
        if (fd >= 0) {
            close(fd);
        }
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

int listener_open(struct slice where, struct err *err) {
    bool is_unix = slice_starts_with(where, SLICE_OF("unix:"));
    int fd = is_unix ? open_unix(slice_from(where, 5), err) : open_tcp(where, err);
    if (fd >= 0 && listen(fd, BACKLOG) != 0) {
        err_set_errno(err, "listen");
        close(fd);
        return -1;
    }
    return fd;
}

void listener_remove(struct slice where) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct slice path = slice_from(where, 5);
    if (slice_starts_with(where, SLICE_OF("unix:")) && path.len < sizeof(address.sun_path)) {
        memcpy(address.sun_path, path.data, path.len);
        unlink(address.sun_path);
    }
}

static bool is_listening(int fd) {
    int listening = 0;
    socklen_t len = sizeof(listening);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

/* sd_listen_fds(3), without its library: the two variables are all there is to it. */
static bool activated_by_systemd(void) {
    int64_t pid = 0, count = 0;
    struct slice pid_text = slice_from_cstr(getenv("LISTEN_PID"));
    struct slice count_text = slice_from_cstr(getenv("LISTEN_FDS"));
    return slice_to_int64(pid_text, &pid) && pid == getpid() &&
           slice_to_int64(count_text, &count) && count >= 1;
}

int listener_inherited(void) {
    if (activated_by_systemd() && is_listening(SYSTEMD_FIRST_FD)) {
        return SYSTEMD_FIRST_FD;
    }
    return is_listening(STDIN_FILENO) ? STDIN_FILENO : -1;
}

/*
 * Preloaded into a webhook.fcgi: writes down, in the order in which they happen, the writes and
 * syncs of the spool's -wal and the answers, and makes the disk fail on demand.
 *
 *   FAULTS_LOG   file to which each line is appended: "write", "sync" (done) or "answer"
 *   FAULTS_WISH  file that says what fails: "full" (no room for any write to the spool), "sync"
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The real one, called NAME. */
#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

static void note(const char *line) {
    const char *path = getenv("FAULTS_LOG");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        ssize_t n = REAL(write)(fd, line, strlen(line));
        (void)n;
        close(fd);
    }
}

static int wished(const char *what) {
    char text[16] = "";
    const char *path = getenv("FAULTS_WISH");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof(text) - 1);
        (void)n;
        close(fd);
    }
    return strcmp(text, what) == 0;
}

/* Does the path of FD end with END? */
static int is_file(int fd, const char *end) {
    char name[64], path[4096];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(name, path, sizeof(path));
    size_t want = strlen(end);
    return len >= (ssize_t)want && memcmp(path + len - want, end, want) == 0;
}

static int is_spool(int fd) {
    return is_file(fd, "events.sqlite3") || is_file(fd, "events.sqlite3-wal");
}

static int sync_file(int fd, int (*real)(int)) {
    int wal = is_file(fd, "events.sqlite3-wal");
    if (wal && wished("sync")) {
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    if (wal && result == 0) {
        note("sync\n");
    }
    return result;
}

int fsync(int fd) {
    return sync_file(fd, REAL(fsync));
}

int fdatasync(int fd) {
    return sync_file(fd, REAL(fdatasync));
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    if (is_spool(fd)) {
        if (wished("full")) {
            errno = ENOSPC;
            return -1;
        }
        note("write\n");
    }
    return REAL(pwrite64)(fd, bytes, len, at);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    if (memmem(bytes, len, "\"spooled\"", 9) != NULL) {
        note("answer\n");
    }
    return REAL(write)(fd, bytes, len);
}

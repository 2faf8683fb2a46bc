/*
 * Preloaded into PostgreSQL: a disk beside the disk that holds only what was synced, as a power
 * loss would leave it. Each fsync() and fdatasync() of a file below UNSYNCED_DATA first copies its
 * content to the same place below UNSYNCED_DISK, under a lock that whoever looks at that disk takes
 * too. Names are taken as durable at once (rename, link, unlink); PostgreSQL syncs their folders.
 *
 * The files UNSYNCED_DISK.sync and UNSYNCED_DISK.write make the next sync of, or write to, the WAL
 * fail (EIO, ENOSPC); they vanish by that.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

static const char *data, *disk;

__attribute__((constructor)) static void prepare(void) {
    /* Copies: PostgreSQL writes its title over the environment. */
    data = strdup(getenv("UNSYNCED_DATA"));
    disk = strdup(getenv("UNSYNCED_DISK"));
}

/* Where PATH is on the other disk; relative ones are PostgreSQL's, which works in its data
 * directory. */
static int place_of(const char *path, char place[PATH_MAX]) {
    size_t len = strlen(data);
    if (path[0] == '/') {
        if (strncmp(path, data, len) != 0 || path[len] != '/') {
            return 0;
        }
        path += len + 1;
    }
    return snprintf(place, PATH_MAX, "%s/%s", disk, path) < PATH_MAX;
}

static int is_wal(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = '\0';
    return strstr(path, "/pg_wal/0") != NULL;
}

/* Whether a file beside the disk with the name END wishes so. */
static int wished(const char *end) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s.%s", disk, end);
    return REAL(unlink)(path) == 0;
}

static int lock(void) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s.lock", disk);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        abort();
    }
    return fd;
}

static void make_parents(char *path) {
    for (char *slash = strchr(path + strlen(disk) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

/* What FD holds now goes to PLACE, as a whole. */
static void copy(int fd, char *place) {
    char source[64], temporary[PATH_MAX + 8];
    struct stat status;
    snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
    snprintf(temporary, sizeof(temporary), "%s.new", place);
    make_parents(place);
    int from = open(source, O_RDONLY | O_CLOEXEC);
    int to = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (from < 0 || to < 0 || fstat(from, &status) != 0) {
        abort();
    }
    for (off_t left = status.st_size; left > 0;) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)left, 0);
        if (n <= 0) {
            abort();
        }
        left -= n;
    }
    close(from);
    close(to);
    if (REAL(rename)(temporary, place) != 0) {
        abort();
    }
}

static void sync_copy(int fd) {
    char link[64], path[PATH_MAX], place[PATH_MAX];
    struct stat status;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = '\0';
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink > 0 &&
        place_of(path, place)) {
        int held = lock();
        copy(fd, place);
        close(held);
    }
}

int fsync(int fd) {
    sync_copy(fd);
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    if (is_wal(fd) && wished("sync")) {
        errno = EIO;
        return -1;
    }
    sync_copy(fd);
    return REAL(fdatasync)(fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
    if (is_wal(fd) && wished("write")) {
        errno = ENOSPC;
        return -1;
    }
    return REAL(pwrite)(fd, bytes, len, at);
}

static void name_too(const char *old, const char *new, int (*change)(const char *, const char *)) {
    char from[PATH_MAX], to[PATH_MAX];
    if (place_of(old, from) && place_of(new, to)) {
        int held = lock();
        make_parents(to);
        /* What was never synced is not there. */
        if (change(from, to) != 0 && errno != ENOENT && errno != EEXIST) {
            abort();
        }
        close(held);
    }
}

int rename(const char *old, const char *new) {
    int result = REAL(rename)(old, new);
    int error = errno;
    if (result == 0) {
        name_too(old, new, REAL(rename));
    }
    errno = error;
    return result;
}

int link(const char *old, const char *new) {
    int result = REAL(link)(old, new);
    int error = errno;
    if (result == 0) {
        name_too(old, new, REAL(link));
    }
    errno = error;
    return result;
}

int unlink(const char *path) {
    char place[PATH_MAX];
    int result = REAL(unlink)(path);
    int error = errno;
    if (result == 0 && place_of(path, place)) {
        int held = lock();
        REAL(unlink)(place);
        close(held);
    }
    errno = error;
    return result;
}

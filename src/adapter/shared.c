#include "adapter/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/dev/shm"
/* Another process may remove the file between our look at it and our lock. */
#define ATTEMPTS 100

struct shared {
    char path[256];
    int fd; /* -1: the memory is this process's alone */
    size_t size, lot;
    void *bytes;
};

/* Byte LOT of the file, for as long as it is open; LEN 0: all of it. Errno in any case. */
static bool lock(int fd, size_t lot, off_t len) {
    struct flock range = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)lot, .l_len = len};
    return fcntl(fd, F_OFD_SETLK, &range) == 0;
}

static bool take_lot(struct shared *shared) {
    for (shared->lot = 0; shared->lot < SHARED_LOTS; shared->lot++) {
        if (lock(shared->fd, shared->lot, 1)) {
            return true;
        }
    }
    return false;
}

/* The file is still the one that has the name: it was not removed before it was locked. */
static bool is_named(const struct shared *shared) {
    struct stat own, named;
    return fstat(shared->fd, &own) == 0 && lstat(shared->path, &named) == 0 &&
           own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

static bool fail(const struct shared *shared, const char *why, struct err *err) {
    return err_set(err, ERR_SYSTEM, "%s: %s", shared->path, why);
}

/* A name in a folder for everybody can be taken by anybody. */
static bool is_ours(const struct shared *shared, struct err *err) {
    struct stat status;
    if (fstat(shared->fd, &status) != 0) {
        return fail(shared, strerror(errno), err);
    }
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 0077) != 0) {
        return fail(shared, "is no private file of this user", err);
    }
    if (status.st_size != 0 && status.st_size != (off_t)shared->size) {
        return fail(shared, "has another size", err);
    }
    /* All of it now: a page that the file system has no room for later ends the process. */
    int error = posix_fallocate(shared->fd, 0, (off_t)shared->size);
    return error == 0 || fail(shared, strerror(error), err);
}

static bool open_file(struct shared *shared, struct err *err) {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        shared->fd = open(shared->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (shared->fd < 0) {
            return fail(shared, strerror(errno), err);
        }
        if (!is_ours(shared, err)) {
            return false;
        }
        bool taken = take_lot(shared);
        if (taken && is_named(shared)) {
            return true;
        }
        close(shared->fd);
        shared->fd = -1;
    }
    return fail(shared, "all lots are taken", err);
}

static bool map_file(struct shared *shared, struct err *err) {
    void *bytes = mmap(NULL, shared->size, PROT_READ | PROT_WRITE, MAP_SHARED, shared->fd, 0);
    if (bytes == MAP_FAILED) {
        return fail(shared, strerror(errno), err);
    }
    shared->bytes = bytes;
    return true;
}

struct shared *shared_open(const char *name, size_t size, struct err *err) {
    struct shared *shared = calloc(1, sizeof(*shared));
    if (shared == NULL) {
        return NULL;
    }
    *shared = (struct shared){.fd = -1, .size = size};
    (void)snprintf(shared->path, sizeof(shared->path), FOLDER "/%s", name);
    if (open_file(shared, err) && map_file(shared, err)) {
        return shared;
    }
    if (shared->fd >= 0) {
        close(shared->fd);
        shared->fd = -1;
    }
    shared->lot = 0;
    shared->bytes = calloc(1, size);
    if (shared->bytes == NULL) {
        free(shared);
        return NULL;
    }
    return shared;
}

void shared_close(struct shared *shared) {
    if (shared == NULL) {
        return;
    }
    if (shared->fd < 0) {
        free(shared->bytes);
    } else {
        munmap(shared->bytes, shared->size);
        /* Nobody else has it locked: whoever opens it now sees that it has lost its name. */
        if (lock(shared->fd, 0, SHARED_LOTS) && is_named(shared)) {
            (void)unlink(shared->path);
        }
        close(shared->fd);
    }
    free(shared);
}

void *shared_bytes(const struct shared *shared) {
    return shared->bytes;
}

size_t shared_lot(const struct shared *shared) {
    return shared->lot;
}

bool shared_is_held(const struct shared *shared, size_t lot) {
    struct flock range = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)lot, .l_len = 1};
    if (lot == shared->lot) {
        return true;
    }
    return shared->fd >= 0 && fcntl(shared->fd, F_OFD_GETLK, &range) == 0 &&
           range.l_type != F_UNLCK;
}

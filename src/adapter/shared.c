#include "adapter/shared.h"

#include "base/slice.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
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
    int fd; /* -1: the memory is this process's alone, or is only looked at */
    bool only_looks;
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

static void choose_path(struct shared *shared, const char *name, uid_t user) {
    (void)snprintf(shared->path, sizeof(shared->path), FOLDER "/%s-%u", name, (unsigned)user);
}

static bool fail(const struct shared *shared, const char *why, struct err *err) {
    return err_set(err, ERR_SYSTEM, "%s: %s", shared->path, why);
}

/* A name in a folder for everybody can be taken by anybody. */
static bool is_private(const struct shared *shared, int fd, uid_t user, off_t *size,
                       struct err *err) {
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return fail(shared, strerror(errno), err);
    }
    if (!S_ISREG(status.st_mode) || status.st_uid != user || (status.st_mode & 0077) != 0) {
        return fail(shared, "is no private file of its user", err);
    }
    *size = status.st_size;
    return *size == 0 || *size == (off_t)shared->size || fail(shared, "has another size", err);
}

static bool is_ours(const struct shared *shared, struct err *err) {
    off_t size = 0;
    if (!is_private(shared, shared->fd, geteuid(), &size, err)) {
        return false;
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

static bool map_file(struct shared *shared, int fd, int protection, struct err *err) {
    void *bytes = mmap(NULL, shared->size, protection, MAP_SHARED, fd, 0);
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
    choose_path(shared, name, geteuid());
    if (open_file(shared, err) && map_file(shared, shared->fd, PROT_READ | PROT_WRITE, err)) {
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

/* ---- looking ---- */

/* The user whose file called NAME the entry is; false when it is none. */
static bool is_entry(const char *entry, const char *name, uid_t *user) {
    size_t len = strlen(name);
    int64_t number;
    if (strncmp(entry, name, len) != 0 || entry[len] != '-' ||
        !slice_to_int64(slice_from_cstr(entry + len + 1), &number) || number < 0 ||
        number >= UINT32_MAX) {
        return false;
    }
    *user = (uid_t)number;
    return true;
}

/* Users who have bytes called NAME: one of them, and how many there are; this one counts alone. */
static size_t find_users(DIR *folder, const char *name, uid_t *user) {
    const struct dirent *entry;
    size_t found = 0;
    while ((entry = readdir(folder)) != NULL) {
        uid_t one;
        if (is_entry(entry->d_name, name, &one)) {
            *user = one;
            found++;
            if (one == geteuid()) {
                return 1;
            }
        }
    }
    return found;
}

static bool fail_denied(const struct shared *shared, uid_t user, struct err *err) {
    struct passwd entry, *found = NULL;
    char text[1024];
    if (getpwuid_r(user, &entry, text, sizeof(text), &found) == 0 && found != NULL) {
        return err_set(err, ERR_SYSTEM, "only user %s may read %s", found->pw_name, shared->path);
    }
    return err_set(err, ERR_SYSTEM, "only user %u may read %s", (unsigned)user, shared->path);
}

static bool look_at_file(struct shared *shared, uid_t user, struct err *err) {
    off_t size = 0;
    int fd = open(shared->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno == EACCES ? fail_denied(shared, user, err)
                               : fail(shared, strerror(errno), err);
    }
    bool ok = is_private(shared, fd, user, &size, err) &&
              (size > 0 || fail(shared, "is empty", err)) && map_file(shared, fd, PROT_READ, err);
    close(fd);
    return ok;
}

struct shared *shared_look(const char *name, size_t size, struct err *err) {
    struct shared *shared = calloc(1, sizeof(*shared));
    DIR *folder = opendir(FOLDER);
    uid_t user = 0;
    size_t found = 0;
    if (folder != NULL) {
        found = find_users(folder, name, &user);
        closedir(folder);
    }
    if (shared == NULL) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    *shared = (struct shared){.fd = -1, .size = size, .only_looks = true};
    choose_path(shared, name, user);
    if (found > 1) {
        err_set(err, ERR_SYSTEM, "several users have a " FOLDER "/%s-…", name);
    }
    if (found != 1 || !look_at_file(shared, user, err)) {
        free(shared);
        return NULL;
    }
    return shared;
}

void shared_close(struct shared *shared) {
    if (shared == NULL) {
        return;
    }
    if (shared->only_looks) {
        munmap(shared->bytes, shared->size);
    } else if (shared->fd < 0) {
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

#include "engine/spool.h"

#include "adapter/sqlite.h"
#include "base/limits.h"
#include "base/timestamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "events.sqlite3"
/* For others to let go of the file. */
#define BUSY_MS 800
#define PAGE_BYTES 4096
/* Of a file of so many SQLite says that it is empty, and deletes its -wal. */
#define EMPTY_BYTES 1
/* What is moved aside has this name until all that can be read of it was copied. */
#define SALVAGE "salvage-"
#define SALVAGE_NAME_MAX 64
#define SALVAGE_AGAIN_MS 10000
/* Events that move from a damaged file in one transaction. */
#define SALVAGED_AT_ONCE 256

/* The layout of the table below; a file of another one is left alone. */
#define LAYOUT 1

struct spool {
    char *folder;
    size_t max_bytes;
    void (*told)(const char *text);
    pthread_mutex_t lock; /* one thread at a time uses the file */
    struct sqlite *db;    /* NULL: not open */
    struct stat opened;   /* which file that is */
    int room_fd, drain_fd;
    int64_t salvage_at_ms; /* when to look for what another process has not salvaged to its end */
};

struct spool *spool_new(const char *folder, size_t max_bytes, void (*told)(const char *text)) {
    struct spool *spool = calloc(1, sizeof(*spool));
    char *copy = strdup(folder);
    if (spool == NULL || copy == NULL) {
        free(spool);
        free(copy);
        return NULL;
    }
    *spool = (struct spool){
        .folder = copy, .max_bytes = max_bytes, .told = told, .room_fd = -1, .drain_fd = -1};
    pthread_mutex_init(&spool->lock, NULL);
    return spool;
}

static void close_file(struct spool *spool) {
    sqlite_close(spool->db);
    spool->db = NULL;
}

void spool_free(struct spool *spool) {
    if (spool != NULL) {
        close_file(spool);
        spool_drain_end(spool);
        pthread_mutex_destroy(&spool->lock);
        free(spool->folder);
        free(spool);
    }
}

/* ---- files ---- */

struct path {
    char text[PATH_MAX];
};

/* NAME in the folder; a path that is too long is cut, and then no such file is found. */
static struct path path_of(const struct spool *spool, const char *name) {
    struct path path;
    (void)snprintf(path.text, sizeof(path.text), "%s/%s", spool->folder, name);
    return path;
}

static bool fail_at(const struct spool *spool, const char *what, struct err *err) {
    return err_set_errno(err, "spool %s: %s", spool->folder, what);
}

/* What root makes here (waybill spool) must not lock the folder's owner out. */
static bool give_to_owner(const struct spool *spool, int fd) {
    struct stat folder;
    return geteuid() != 0 ||
           (stat(spool->folder, &folder) == 0 && fchown(fd, folder.st_uid, folder.st_gid) == 0);
}

/* The lock file NAME, open; -1 with errno. */
static int open_lock(const struct spool *spool, const char *name) {
    struct path path = path_of(spool, name);
    int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && !give_to_owner(spool, fd)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void sync_folder(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        /* SQLite syncs the folder itself when it makes its -wal; this one is to be sure. */
        (void)fsync(fd);
        close(fd);
    }
}

static bool make_folder(const struct spool *spool, struct err *err) {
    if (mkdir(spool->folder, 0700) == 0) {
        struct path parent = path_of(spool, "..");
        sync_folder(parent.text);
        return true;
    }
    return errno == EEXIST || fail_at(spool, "cannot make the folder", err);
}

/* Takes the room's lock, LOCK_SH or LOCK_EX; waits no longer than for SQLite. */
static bool enter(struct spool *spool, int operation, struct err *err) {
    int64_t deadline = monotonic_ms() + BUSY_MS;
    spool->room_fd = open_lock(spool, "room.lock");
    if (spool->room_fd < 0) {
        return fail_at(spool, "cannot open room.lock", err);
    }
    while (flock(spool->room_fd, operation | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return fail_at(spool, "cannot lock room.lock", err);
        }
        if (monotonic_ms() >= deadline) {
            return err_set(err, ERR_TIMEOUT, "spool %s: another process replaces the file",
                           spool->folder);
        }
        poll(NULL, 0, 5);
    }
    return true;
}

static void leave(struct spool *spool) {
    if (spool->room_fd >= 0) {
        close(spool->room_fd);
        spool->room_fd = -1;
    }
}

static bool find_file(const struct spool *spool, struct stat *found) {
    struct path file = path_of(spool, FILE_NAME);
    return stat(file.text, found) == 0;
}

static bool is_opened(const struct spool *spool, const struct stat *found) {
    return found->st_ino == spool->opened.st_ino && found->st_dev == spool->opened.st_dev;
}

/* An empty file, for nobody else to read. It is new, so closing it here frees no lock that SQLite
 * holds on it. */
static bool make_file(const struct spool *spool, struct err *err) {
    struct path file = path_of(spool, FILE_NAME);
    int fd = open(file.text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno == EEXIST || fail_at(spool, "cannot make " FILE_NAME, err);
    }
    bool ok = give_to_owner(spool, fd);
    close(fd);
    return ok || fail_at(spool, "cannot give " FILE_NAME " to the folder's owner", err);
}

static bool ask_integer(struct sqlite *db, const char *sql, int64_t *value, struct err *err) {
    struct sqlite_statement *statement = sqlite_prepare(db, sql, err);
    if (statement == NULL) {
        return false;
    }
    enum sqlite_result result = sqlite_step(statement, err);
    *value = result == SQLITE_A_ROW ? sqlite_integer(statement, 0) : 0;
    sqlite_finalize(statement);
    return result != SQLITE_FAILED;
}

/* What a connection is told each time. */
static bool configure(const struct spool *spool, struct sqlite *db, struct err *err) {
    char limit[64];
    (void)snprintf(limit, sizeof(limit), "PRAGMA max_page_count = %zu",
                   spool->max_bytes / PAGE_BYTES > 0 ? spool->max_bytes / PAGE_BYTES : 1);
    return sqlite_run(
               db,
               "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
               "PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;"
               "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;"
               "PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 4194304",
               err) &&
           sqlite_run(db, limit, err);
}

/* Column by column what struct spool_event holds. The index is small: it counts the events, and
 * knows the oldest. */
static bool lay_out(struct sqlite *db, struct err *err) {
    return sqlite_run(db,
                      "BEGIN IMMEDIATE;"
                      "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY,"
                      " received_at INTEGER NOT NULL, source BLOB NOT NULL, provider BLOB NOT NULL,"
                      " tracking_url BLOB NOT NULL, headers BLOB NOT NULL, body BLOB NOT NULL,"
                      " digest BLOB NOT NULL);"
                      "CREATE INDEX IF NOT EXISTS event_received ON event (received_at);"
                      "PRAGMA user_version = 1; COMMIT",
                      err);
}

static bool has_layout(struct sqlite *db, struct err *err) {
    int64_t layout = 0;
    /* 0: whoever made the file did not get so far. */
    if (!ask_integer(db, "PRAGMA user_version", &layout, err) ||
        (layout == 0 && !lay_out(db, err))) {
        return false;
    }
    return layout == 0 || layout == LAYOUT ||
           err_set(err, ERR_SYSTEM, "the spool's file is of another release");
}

/* SQLite takes a -wal that does not begin as one for none at all, without a word. */
static bool wal_begins_well(const struct spool *spool) {
    struct path path = path_of(spool, FILE_NAME "-wal");
    uint8_t header[32];
    int fd = open(path.text, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? pread(fd, header, sizeof(header), 0) : 0;
    if (fd >= 0) {
        close(fd);
    }
    /* Shorter: nothing was committed in it. Its last bit is the byte order of its checksums. */
    static const uint8_t magic[] = {0x37, 0x7f, 0x06};
    return len < (ssize_t)sizeof(header) ||
           (memcmp(header, magic, sizeof(magic)) == 0 && (header[3] & 0xfe) == 0x82);
}

static bool open_at_place(struct spool *spool, struct err *err) {
    struct path file = path_of(spool, FILE_NAME);
    if (stat(file.text, &spool->opened) != 0) {
        return fail_at(spool, "cannot find " FILE_NAME, err);
    }
    if (!wal_begins_well(spool)) {
        return err_set(err, ERR_INPUT, "the -wal is none");
    }
    spool->db = sqlite_open(file.text, BUSY_MS, err);
    if (spool->db == NULL || !configure(spool, spool->db, err) || !has_layout(spool->db, err)) {
        close_file(spool);
        return false;
    }
    sync_folder(spool->folder);
    return true;
}

/* Makes the file and opens it, alone in the room. Where that fails half way, for want of room say,
 * nothing stays: an empty file would look damaged. */
static bool begin_file(struct spool *spool, struct err *err) {
    if (!make_file(spool, err)) {
        return false;
    }
    if (!open_at_place(spool, err)) {
        struct path file = path_of(spool, FILE_NAME), wal = path_of(spool, FILE_NAME "-wal");
        (void)unlink(file.text);
        (void)unlink(wal.text);
        return false;
    }
    return true;
}

/* With the room's lock: the file at its place is open, or, unless CREATE, there is none. */
static bool open_file(struct spool *spool, bool create, bool alone, struct err *err) {
    struct stat found;
    bool present = find_file(spool, &found);
    if (spool->db != NULL && (!present || !is_opened(spool, &found))) {
        close_file(spool); /* another process has moved it aside */
    }
    if (present && found.st_size <= EMPTY_BYTES) {
        spool->opened = found;
        return err_set(err, ERR_INPUT, "the file is empty");
    }
    if (spool->db != NULL || (!present && !create)) {
        return true;
    }
    if (!present && !alone) {
        return err_set(err, ERR_TIMEOUT, "spool %s: the file went away", spool->folder);
    }
    return present ? open_at_place(spool, err) : begin_file(spool, err);
}

/* ---- rows ---- */

#define COLUMNS "id, received_at, source, provider, tracking_url, headers, body, digest"

static bool digest_of(const struct spool_event *event, uint8_t digest[SHA256_LEN]) {
    char time[8];
    for (size_t i = 0; i < sizeof(time); i++) {
        time[i] = (char)((uint64_t)event->received_at >> (56 - 8 * i));
    }
    const struct slice fields[] = {{time, sizeof(time)}, event->source,  event->provider,
                                   event->tracking_url,  event->headers, event->body};
    return crypto_sha256_fields(fields, ARRAY_LEN(fields), digest);
}

static struct slice digest_slice(const uint8_t digest[SHA256_LEN]) {
    return (struct slice){(const char *)digest, SHA256_LEN};
}

enum row { ROW_WHOLE, ROW_DAMAGED, ROW_UNKNOWN };

/* The row at hand, in SQLite's memory. Damaged when it is not what was written; unknown, with
 * ERR_MEMORY, when there is no memory to tell. */
static enum row take_row(const struct sqlite_statement *row, struct spool_event *event,
                         struct err *err) {
    *event = (struct spool_event){
        .id = sqlite_integer(row, 0),
        .received_at = sqlite_integer(row, 1),
        .source = sqlite_bytes(row, 2),
        .provider = sqlite_bytes(row, 3),
        .tracking_url = sqlite_bytes(row, 4),
        .headers = sqlite_bytes(row, 5),
        .body = sqlite_bytes(row, 6),
    };
    struct slice digest = sqlite_bytes(row, 7);
    if (sqlite_lacked_memory(row) || !digest_of(event, event->digest)) {
        err_set(err, ERR_MEMORY, "no memory to read an event");
        return ROW_UNKNOWN;
    }
    return slice_eq(digest, digest_slice(event->digest)) ? ROW_WHOLE : ROW_DAMAGED;
}

static bool insert(struct sqlite *db, const struct spool_event *events, size_t count,
                   struct err *err) {
    struct sqlite_statement *statement = sqlite_prepare(
        db,
        "INSERT INTO event (received_at, source, provider, tracking_url, headers, body, digest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        err);
    bool ok = statement != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        uint8_t digest[SHA256_LEN];
        if (!digest_of(&events[i], digest)) {
            ok = err_set(err, ERR_MEMORY, "cannot hash an event");
            break;
        }
        sqlite_bind_integer(statement, 1, events[i].received_at);
        sqlite_bind_bytes(statement, 2, events[i].source);
        sqlite_bind_bytes(statement, 3, events[i].provider);
        sqlite_bind_bytes(statement, 4, events[i].tracking_url);
        sqlite_bind_bytes(statement, 5, events[i].headers);
        sqlite_bind_bytes(statement, 6, events[i].body);
        sqlite_bind_bytes(statement, 7, digest_slice(digest));
        ok = sqlite_step(statement, err) == SQLITE_NO_MORE;
        sqlite_reset(statement);
    }
    sqlite_finalize(statement);
    return ok;
}

/* Ends the transaction that was begun; OK: what was done in it so far. */
static bool end_transaction(struct sqlite *db, bool ok, struct err *err) {
    struct err ignored = ERR_INIT;
    if (ok && sqlite_run(db, "COMMIT", err)) {
        return true;
    }
    /* After most failures SQLite has rolled back already. */
    bool rolled_back = sqlite_run(db, "ROLLBACK", &ignored);
    (void)rolled_back;
    return false;
}

static bool store(struct sqlite *db, const struct spool_event *events, size_t count,
                  struct err *err) {
    return sqlite_run(db, "BEGIN IMMEDIATE", err) &&
           end_transaction(db, insert(db, events, count, err), err);
}

/* ---- a damaged file ---- */

/* The events of one walk over a damaged file, on their way into the new one. */
struct salvage {
    struct sqlite *from, *to;
    struct arena *arena;
    struct spool_event events[SALVAGED_AT_ONCE];
    size_t count, bytes;
    int64_t kept, unreadable, last; /* last: greatest id of the way up */
};

static bool copy_event(struct spool_event *event, struct arena *arena) {
    return arena_dup(arena, event->source, &event->source) &&
           arena_dup(arena, event->provider, &event->provider) &&
           arena_dup(arena, event->tracking_url, &event->tracking_url) &&
           arena_dup(arena, event->headers, &event->headers) &&
           arena_dup(arena, event->body, &event->body);
}

static bool flush(struct salvage *salvage, struct err *err) {
    if (salvage->count > 0 && !store(salvage->to, salvage->events, salvage->count, err)) {
        return false;
    }
    salvage->kept += (int64_t)salvage->count;
    salvage->count = salvage->bytes = 0;
    arena_free(salvage->arena);
    salvage->arena = NULL;
    return true;
}

static bool keep(struct salvage *salvage, struct spool_event *event, struct err *err) {
    if (salvage->arena == NULL) {
        salvage->arena = arena_new(LIMIT_BATCH_BYTES + 2 * LIMIT_BODY);
    }
    if (salvage->arena == NULL || !copy_event(event, salvage->arena)) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    salvage->bytes += event->body.len;
    salvage->events[salvage->count++] = *event;
    return (salvage->count < SALVAGED_AT_ONCE && salvage->bytes < LIMIT_BATCH_BYTES) ||
           flush(salvage, err);
}

/* Takes what SQL finds until the damage. False when the new file does not take more. */
static bool walk(struct salvage *salvage, const char *sql, struct err *err) {
    struct err damage = ERR_INIT;
    struct spool_event event;
    struct sqlite_statement *row = sqlite_prepare(salvage->from, sql, &damage);
    bool ok = true;
    if (row == NULL) {
        return true;
    }
    sqlite_bind_integer(row, 1, salvage->last);
    while (ok && sqlite_step(row, &damage) == SQLITE_A_ROW) {
        enum row found = take_row(row, &event, err);
        salvage->last = event.id > salvage->last ? event.id : salvage->last;
        salvage->unreadable += found == ROW_DAMAGED;
        ok = found == ROW_DAMAGED || (found == ROW_WHOLE && keep(salvage, &event, err));
    }
    sqlite_finalize(row);
    return ok && flush(salvage, err);
}

/* From both ends: what is damaged is most often one place. */
static bool salvage_all(struct salvage *salvage, struct err *err) {
    struct err ignored = ERR_INIT;
    /* Reads a file too that is shorter than its header says. */
    return !sqlite_run(salvage->from, "PRAGMA writable_schema = ON", &ignored) ||
           (walk(salvage, "SELECT " COLUMNS " FROM event WHERE id > ? ORDER BY id", err) &&
            walk(salvage, "SELECT " COLUMNS " FROM event WHERE id > ? ORDER BY id DESC", err));
}

/* Before it begins: it may take long, or end with the process. */
static void tell_of_salvage(const struct spool *spool, const char *name) {
    char text[PATH_MAX + 128];
    (void)snprintf(text, sizeof(text),
                   "the spool's file is damaged: what can be read of %s/%s is copied",
                   spool->folder, name);
    spool->told(text);
}

/* SALVAGE NULL: there is no new file. */
static void tell_of_damage(const struct spool *spool, const char *aside,
                           const struct salvage *salvage, const struct err *err) {
    char text[PATH_MAX + 1024];
    int64_t kept = salvage != NULL ? salvage->kept : 0;
    int64_t unreadable = salvage != NULL ? salvage->unreadable : 0;
    (void)snprintf(text, sizeof(text),
                   "the spool's file was damaged: moved aside to %s/%s, %s; %lld events were read "
                   "from it and kept, %lld were not whole%s%s",
                   spool->folder, aside,
                   salvage != NULL ? "a new one is begun" : "but no new one can be begun",
                   (long long)kept, (long long)unreadable,
                   err_is_set(err) ? "; the others stay there: " : "", err->message);
    spool->told(text);
}

/* Renames a file, its -wal first: a crash in between leaves an older state of the file, never a
 * -wal that a new file would take for its own. */
static bool rename_file(const struct spool *spool, const char *name, const char *new_name,
                        struct err *err) {
    struct path from = path_of(spool, name), to = path_of(spool, new_name), side, to_side;
    if ((size_t)snprintf(side.text, sizeof(side.text), "%s-wal", from.text) >= sizeof(side.text) ||
        (size_t)snprintf(to_side.text, sizeof(to_side.text), "%s-wal", to.text) >=
            sizeof(to_side.text)) {
        return err_set(err, ERR_SYSTEM, "spool %s: the path is too long", spool->folder);
    }
    if ((rename(side.text, to_side.text) != 0 && errno != ENOENT) ||
        rename(from.text, to.text) != 0) {
        return fail_at(spool, "cannot move a damaged file aside", err);
    }
    (void)snprintf(side.text, sizeof(side.text), "%.*s-shm", (int)sizeof(side.text) - 8, from.text);
    (void)unlink(side.text);
    sync_folder(spool->folder);
    return true;
}

/* Is there something for SQLite to read in the file at PATH? One that is empty beside its -wal,
 * which may be whole and hold every event, is given a page of zeros. */
static bool has_a_page(const struct path *path) {
    struct path wal;
    struct stat found, found_wal;
    (void)snprintf(wal.text, sizeof(wal.text), "%.*s-wal", (int)sizeof(wal.text) - 8, path->text);
    return stat(path->text, &found) == 0 &&
           (found.st_size > EMPTY_BYTES ||
            (stat(wal.text, &found_wal) == 0 && found_wal.st_size > 0 &&
             truncate(path->text, PAGE_BYTES) == 0));
}

/* Copies what can be read of the file salvage-… into the open one, and names it damaged-… then. A
 * process that is killed meanwhile leaves the name to the next one, which begins anew: what was
 * copied twice is a duplicate in the database. */
static bool salvage_from(struct spool *spool, const char *name, struct err *err) {
    char aside[SALVAGE_NAME_MAX];
    struct err why = ERR_INIT;
    struct path path = path_of(spool, name);
    bool try = has_a_page(&path);
    struct salvage *salvage = calloc(1, sizeof(*salvage));
    if (salvage == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    (void)snprintf(aside, sizeof(aside), "damaged-%s", name + strlen(SALVAGE));
    salvage->to = spool->db;
    salvage->last = INT64_MIN;
    salvage->from = try ? sqlite_open(path.text, BUSY_MS, &why) : NULL;
    if (salvage->from != NULL) {
        bool all = salvage_all(salvage, &why);
        (void)all; /* WHY says it */
    }
    sqlite_close(salvage->from);
    bool ok = rename_file(spool, name, aside, err);
    tell_of_damage(spool, ok ? aside : name, salvage, &why);
    arena_free(salvage->arena);
    free(salvage);
    return ok;
}

/* A name that nobody has: the time, and a number where that is not enough. */
static bool name_aside(const struct spool *spool, char *name, size_t room, struct err *err) {
    char time[TIMESTAMP_TEXT];
    struct stat found;
    timestamp_format(timestamp_now(), time);
    for (int number = 0; number < 1000; number++) {
        (void)snprintf(name, room, "damaged-%.19sZ-%d.sqlite3", time, number);
        struct path done = path_of(spool, name);
        (void)snprintf(name, room, SALVAGE "%.19sZ-%d.sqlite3", time, number);
        struct path path = path_of(spool, name);
        if (stat(done.text, &found) != 0 && errno == ENOENT && stat(path.text, &found) != 0 &&
            errno == ENOENT) {
            return true;
        }
    }
    return err_set(err, ERR_SYSTEM, "spool %s: too many damaged files", spool->folder);
}

/* Alone in the room. Somebody else may have been quicker: then there is nothing to do. */
static bool replace_file(struct spool *spool, struct err *err) {
    char name[SALVAGE_NAME_MAX];
    struct stat found;
    if (!find_file(spool, &found) || !is_opened(spool, &found)) {
        return true;
    }
    if (!name_aside(spool, name, sizeof(name), err) || !rename_file(spool, FILE_NAME, name, err)) {
        return false;
    }
    spool->salvage_at_ms = monotonic_ms() + SALVAGE_AGAIN_MS;
    if (!begin_file(spool, err)) {
        tell_of_damage(spool, name, NULL, err);
        return false;
    }
    tell_of_salvage(spool, name);
    return salvage_from(spool, name, err);
}

/* A file that was not salvaged to its end. */
static bool find_salvage(const struct spool *spool, char name[SALVAGE_NAME_MAX]) {
    static const char end[] = ".sqlite3";
    DIR *folder = opendir(spool->folder);
    bool found = false;
    const struct dirent *entry = folder != NULL ? readdir(folder) : NULL;
    for (; entry != NULL && !found; entry = readdir(folder)) {
        size_t len = strlen(entry->d_name);
        found = len < SALVAGE_NAME_MAX && len > strlen(SALVAGE) + strlen(end) &&
                memcmp(entry->d_name, SALVAGE, strlen(SALVAGE)) == 0 &&
                strcmp(entry->d_name + len - strlen(end), end) == 0;
        if (found) {
            memcpy(name, entry->d_name, len + 1);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return found;
}

/* Goes on where another process was killed while it salvaged, or could not begin a new file. What
 * cannot be done now is tried again later, and is in nobody's way. */
static void finish_salvage(struct spool *spool) {
    char name[SALVAGE_NAME_MAX];
    struct err err = ERR_INIT;
    bool ok = true;
    if (monotonic_ms() < spool->salvage_at_ms) {
        return;
    }
    while (ok && find_salvage(spool, name)) {
        /* Alone: so nobody salvages it now. */
        ok = enter(spool, LOCK_EX, &err) && open_file(spool, true, true, &err);
        if (ok && find_salvage(spool, name)) {
            tell_of_salvage(spool, name);
            ok = salvage_from(spool, name, &err);
        }
        leave(spool);
    }
    spool->salvage_at_ms = monotonic_ms() + SALVAGE_AGAIN_MS;
}

static bool set_aside(struct spool *spool, struct err *err) {
    close_file(spool);
    bool ok = enter(spool, LOCK_EX, err) && replace_file(spool, err);
    leave(spool);
    return ok;
}

/* ---- using it ---- */

typedef bool work_fn(struct spool *spool, void *context, struct err *err);

static bool use_once(struct spool *spool, bool create, work_fn *work, void *context,
                     struct err *err) {
    struct stat found;
    if (create && !make_folder(spool, err)) {
        return false;
    }
    bool present = find_file(spool, &found);
    if (!present && !create) {
        close_file(spool);
        return true;
    }
    /* A file is made and laid out by one alone. */
    bool ok = enter(spool, present ? LOCK_SH : LOCK_EX, err) &&
              open_file(spool, create, !present, err) &&
              (spool->db == NULL || work(spool, context, err));
    leave(spool);
    return ok;
}

/* Runs WORK over the open file; without CREATE, not at all where there is none. A damaged file is
 * replaced and WORK runs once more. */
static bool use(struct spool *spool, bool create, work_fn *work, void *context, struct err *err) {
    pthread_mutex_lock(&spool->lock);
    finish_salvage(spool);
    bool ok = use_once(spool, create, work, context, err);
    if (!ok && err->kind == ERR_INPUT) {
        err_clear(err);
        ok = set_aside(spool, err) && use_once(spool, create, work, context, err);
    }
    if (!ok && err->kind == ERR_SYSTEM) {
        close_file(
            spool); /* what a failed write or fsync has left is for the next opening to see */
    }
    pthread_mutex_unlock(&spool->lock);
    return ok;
}

static bool nothing(struct spool *spool, void *context, struct err *err) {
    (void)spool;
    (void)context;
    (void)err;
    return true;
}

bool spool_make(struct spool *spool, struct err *err) {
    return use(spool, true, nothing, NULL, err);
}

struct events {
    const struct spool_event *events;
    size_t count;
};

static bool append(struct spool *spool, void *context, struct err *err) {
    const struct events *new = context;
    return store(spool->db, new->events, new->count, err);
}

bool spool_append(struct spool *spool, const struct spool_event *events, size_t count,
                  struct err *err) {
    struct events new = {events, count};
    return use(spool, true, append, &new, err);
}

struct reading {
    int64_t after;
    size_t max_count, max_bytes;
    struct arena *arena;
    struct spool_event *events;
    size_t count;
};

static bool read_rows(struct sqlite_statement *row, struct reading *reading, struct err *err) {
    size_t bytes = 0;
    while (reading->count < reading->max_count) {
        struct spool_event *event = &reading->events[reading->count];
        enum sqlite_result result = sqlite_step(row, err);
        if (result != SQLITE_A_ROW) {
            return result == SQLITE_NO_MORE;
        }
        enum row found = take_row(row, event, err);
        if (found != ROW_WHOLE) {
            /* What memory lacked for is not damaged: the error is set. */
            return found == ROW_DAMAGED &&
                   err_set(err, ERR_INPUT, "an event is not what was written");
        }
        bytes += event->body.len;
        if (reading->count > 0 && bytes > reading->max_bytes) {
            return true;
        }
        if (!copy_event(event, reading->arena)) {
            return err_set(err, ERR_MEMORY, "out of memory");
        }
        reading->count++;
    }
    return true;
}

static bool read_events(struct spool *spool, void *context, struct err *err) {
    struct reading *reading = context;
    reading->count = 0;
    struct sqlite_statement *row =
        sqlite_prepare(spool->db, "SELECT " COLUMNS " FROM event WHERE id > ? ORDER BY id", err);
    if (row == NULL) {
        return false;
    }
    sqlite_bind_integer(row, 1, reading->after);
    bool ok = read_rows(row, reading, err);
    sqlite_finalize(row);
    return ok;
}

bool spool_read(struct spool *spool, int64_t after, size_t max_count, size_t max_bytes,
                struct arena *arena, struct spool_event *events, size_t *count, struct err *err) {
    struct reading reading = {after, max_count, max_bytes, arena, events, 0};
    bool ok = use(spool, false, read_events, &reading, err);
    *count = ok ? reading.count : 0;
    return ok;
}

static bool delete_rows(struct sqlite *db, const struct events *old, struct err *err) {
    /* The digest too: in a file that replaced a damaged one, an id is another event's. */
    struct sqlite_statement *statement =
        sqlite_prepare(db, "DELETE FROM event WHERE id = ? AND digest = ?", err);
    bool ok = statement != NULL;
    for (size_t i = 0; ok && i < old->count; i++) {
        sqlite_bind_integer(statement, 1, old->events[i].id);
        sqlite_bind_bytes(statement, 2, digest_slice(old->events[i].digest));
        ok = sqlite_step(statement, err) == SQLITE_NO_MORE;
        sqlite_reset(statement);
    }
    sqlite_finalize(statement);
    return ok;
}

static bool remove_events(struct spool *spool, void *context, struct err *err) {
    return sqlite_run(spool->db, "BEGIN IMMEDIATE", err) &&
           end_transaction(spool->db, delete_rows(spool->db, context, err), err);
}

bool spool_remove(struct spool *spool, const struct spool_event *events, size_t count,
                  struct err *err) {
    struct events old = {events, count};
    return use(spool, false, remove_events, &old, err);
}

static bool look(struct spool *spool, void *context, struct err *err) {
    struct spool_state *state = context;
    int64_t free_pages = 0, pages = 0;
    if (!ask_integer(spool->db, "SELECT count(*) FROM event", &state->events, err) ||
        !ask_integer(spool->db, "SELECT min(received_at) FROM event", &state->oldest, err) ||
        !ask_integer(spool->db, "PRAGMA page_count", &pages, err) ||
        !ask_integer(spool->db, "PRAGMA freelist_count", &free_pages, err)) {
        return false;
    }
    if (state->events == 0) {
        state->oldest = TIMESTAMP_NONE;
    }
    state->bytes = (pages - free_pages) * PAGE_BYTES;
    return true;
}

bool spool_look(struct spool *spool, struct spool_state *state, struct err *err) {
    *state = (struct spool_state){.oldest = TIMESTAMP_NONE};
    return use(spool, false, look, state, err);
}

static bool tidy(struct spool *spool, void *context, struct err *err) {
    struct spool_state state;
    (void)context;
    return look(spool, &state, err) &&
           (state.events > 0 ||
            sqlite_run(spool->db, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)", err));
}

bool spool_tidy(struct spool *spool, struct err *err) {
    return use(spool, false, tidy, NULL, err);
}

static bool check(struct spool *spool, void *context, struct err *err) {
    (void)context;
    return sqlite_run(spool->db, "BEGIN IMMEDIATE", err) &&
           end_transaction(
               spool->db,
               sqlite_run(spool->db,
                          "INSERT INTO event (received_at, source, provider, tracking_url, headers,"
                          " body, digest) VALUES (0, x'', x'', x'', x'', zeroblob(4096), x'');"
                          "DELETE FROM event WHERE id = last_insert_rowid()",
                          err),
               err);
}

bool spool_check(struct spool *spool, struct err *err) {
    return use(spool, true, check, NULL, err);
}

/* ---- draining ---- */

enum spool_drain spool_drain_begin(struct spool *spool, struct err *err) {
    int fd = open_lock(spool, "drain.lock");
    if (fd < 0) {
        fail_at(spool, "cannot open drain.lock", err);
        return SPOOL_DRAIN_FAILED;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        spool->drain_fd = fd;
        return SPOOL_DRAIN_TAKEN;
    }
    bool held = errno == EWOULDBLOCK;
    if (!held) {
        fail_at(spool, "cannot lock drain.lock", err);
    }
    close(fd);
    return held ? SPOOL_DRAIN_HELD : SPOOL_DRAIN_FAILED;
}

void spool_drain_end(struct spool *spool) {
    if (spool->drain_fd >= 0) {
        close(spool->drain_fd);
        spool->drain_fd = -1;
    }
}

#include "engine/spool.h"

#include "base/limits.h"
#include "base/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM ((size_t)64 << 20)
#define MANY 200

/* One test's folder, which is not there yet, and what was told. */
struct world {
    char base[64], folder[80];
};

static char told[4096];

static void tell(const char *text) {
    (void)snprintf(told, sizeof(told), "%s", text);
}

static int set_up(void **state) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    (void)snprintf(world->base, sizeof(world->base), "/tmp/waybill-unit-spool-XXXXXX");
    assert_non_null(mkdtemp(world->base));
    (void)snprintf(world->folder, sizeof(world->folder), "%s/spool", world->base);
    told[0] = '\0';
    *state = world;
    return 0;
}

/* Each file of the folder whose name begins with PREFIX is handed to DO. */
static size_t for_files(const struct world *world, const char *prefix,
                        void (*do_it)(const char *path)) {
    DIR *dir = opendir(world->folder);
    size_t count = 0;
    for (const struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            char path[512];
            (void)snprintf(path, sizeof(path), "%s/%s", world->folder, entry->d_name);
            do_it(path);
            count++;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static void remove_file(const char *path) {
    assert_int_equal(unlink(path), 0);
}

/* To count them. */
static void nothing(const char *path) {
    (void)path;
}

static int tear_down(void **state) {
    struct world *world = *state;
    for_files(world, "", remove_file);
    (void)rmdir(world->folder);
    assert_int_equal(rmdir(world->base), 0);
    free(world);
    return 0;
}

static struct spool *open_spool(const struct world *world, size_t max) {
    struct spool *spool = spool_new(world->folder, max, tell);
    assert_non_null(spool);
    return spool;
}

/* Event NUMBER, with a body of LEN bytes of its own. */
static struct spool_event event_of(int number, size_t len, char *body) {
    memset(body, 'a' + number % 26, len);
    (void)snprintf(body, len, "{\"number\":%d", number);
    return (struct spool_event){.received_at = TIMESTAMP_MIN + number,
                                .source = SLICE("shop"),
                                .provider = SLICE("crowdsender"),
                                .headers = SLICE("{}"),
                                .body = {body, len}};
}

static bool append(struct spool *spool, int number, size_t len, struct err *err) {
    char *body = malloc(len);
    assert_non_null(body);
    struct spool_event event = event_of(number, len, body);
    bool ok = spool_append(spool, &event, 1, err);
    free(body);
    return ok;
}

static void must_append(struct spool *spool, int first, int count, size_t len) {
    struct err err = ERR_INIT;
    for (int i = first; i < first + count; i++) {
        if (!append(spool, i, len, &err)) {
            fail_msg("%s", err.message);
        }
    }
}

/* How many events wait; each is checked against what was written. */
static size_t must_read(struct spool *spool, size_t len, int *numbers) {
    static struct spool_event events[LIMIT_BATCH_JOBS];
    struct err err = ERR_INIT;
    struct arena *arena = arena_new(ROOM);
    char *body = malloc(len);
    size_t count = 0;
    if (!spool_read(spool, INT64_MIN, LIMIT_BATCH_JOBS, ROOM, arena, events, &count, &err)) {
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < count; i++) {
        int number = (int)(events[i].received_at - TIMESTAMP_MIN);
        struct spool_event expected = event_of(number, len, body);
        assert_true(slice_eq(events[i].body, expected.body));
        assert_true(slice_eq(events[i].source, expected.source));
        assert_true(slice_eq(events[i].provider, expected.provider));
        assert_true(slice_eq(events[i].headers, expected.headers));
        assert_int_equal(events[i].tracking_url.len, 0);
        assert_true(i == 0 || events[i - 1].id < events[i].id);
        if (numbers != NULL) {
            numbers[i] = number;
        }
    }
    free(body);
    arena_free(arena);
    return count;
}

static struct spool_state must_look(struct spool *spool) {
    struct spool_state state;
    struct err err = ERR_INIT;
    if (!spool_look(spool, &state, &err)) {
        fail_msg("%s", err.message);
    }
    return state;
}

/* Removes the COUNT oldest. */
static void must_remove(struct spool *spool, size_t count) {
    static struct spool_event events[LIMIT_BATCH_JOBS];
    struct err err = ERR_INIT;
    struct arena *arena = arena_new(ROOM);
    size_t got = 0;
    assert_true(spool_read(spool, INT64_MIN, count, ROOM, arena, events, &got, &err));
    assert_int_equal(got, count);
    assert_true(spool_remove(spool, events, count, &err));
    arena_free(arena);
}

static void test_nothing_is_there(void **state) {
    struct world *world = *state;
    struct spool *spool = open_spool(world, ROOM);
    struct stat found;
    assert_int_equal(must_look(spool).events, 0);
    assert_int_equal(must_read(spool, 10, NULL), 0);
    assert_int_not_equal(stat(world->folder, &found), 0); /* looking makes nothing */
    struct err err = ERR_INIT;
    assert_true(spool_make(spool, &err));
    assert_int_equal(stat(world->folder, &found), 0);
    assert_int_equal(for_files(world, "events.sqlite3", nothing), 3); /* -wal, -shm */
    assert_int_equal(must_look(spool).events, 0);
    spool_free(spool);
}

static void test_in_and_out(void **state) {
    struct world *world = *state;
    struct spool *spool = open_spool(world, ROOM);
    int numbers[LIMIT_BATCH_JOBS];
    must_append(spool, 0, 5, 300);
    struct spool_state seen = must_look(spool);
    assert_int_equal(seen.events, 5);
    assert_int_equal(seen.oldest, TIMESTAMP_MIN);
    assert_true(seen.bytes > 0 && seen.bytes % 4096 == 0);
    assert_int_equal(must_read(spool, 300, numbers), 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(numbers[i], i);
    }
    must_remove(spool, 2);
    spool_free(spool);

    spool = open_spool(world, ROOM);
    assert_int_equal(must_read(spool, 300, numbers), 3);
    assert_int_equal(numbers[0], 2);
    assert_int_equal(must_look(spool).oldest, TIMESTAMP_MIN + 2);
    must_remove(spool, 3);
    assert_int_equal(must_look(spool).oldest, TIMESTAMP_NONE);
    spool_free(spool);
}

static void test_a_batch_is_bounded(void **state) {
    struct spool *spool = open_spool(*state, ROOM);
    struct spool_event events[8];
    struct arena *arena = arena_new(ROOM);
    struct err err = ERR_INIT;
    size_t count = 0;
    must_append(spool, 0, 6, 1000);
    assert_true(spool_read(spool, INT64_MIN, 4, ROOM, arena, events, &count, &err));
    assert_int_equal(count, 4);
    int64_t after = events[3].id;
    assert_true(spool_read(spool, after, 8, ROOM, arena, events, &count, &err));
    assert_int_equal(count, 2);
    assert_true(spool_read(spool, INT64_MIN, 8, 2500, arena, events, &count, &err));
    assert_int_equal(count, 2);
    assert_true(spool_read(spool, INT64_MIN, 8, 10, arena, events, &count, &err));
    assert_int_equal(count, 1); /* at least one */
    arena_free(arena);
    arena = arena_new(100);
    assert_false(spool_read(spool, INT64_MIN, 8, ROOM, arena, events, &count, &err));
    assert_int_equal(err.kind, ERR_MEMORY);
    assert_int_equal(count, 0);
    arena_free(arena);
    spool_free(spool);
}

static enum spool_drain begin_drain(struct spool *spool) {
    struct err err = ERR_INIT;
    enum spool_drain result = spool_drain_begin(spool, &err);
    assert_int_equal(err_is_set(&err), result == SPOOL_DRAIN_FAILED);
    return result;
}

static mode_t modes;

static void add_mode(const char *path) {
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    modes |= found.st_mode & 0777;
}

static void test_for_nobody_else(void **state) {
    struct world *world = *state;
    struct spool *spool = open_spool(world, ROOM);
    struct stat found;
    mode_t before = umask(0);
    must_append(spool, 0, 1, 100);
    assert_int_equal(begin_drain(spool), SPOOL_DRAIN_TAKEN);
    umask(before);
    assert_int_equal(stat(world->folder, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    modes = 0;
    assert_true(for_files(world, "", add_mode) >= 4); /* -wal, -shm and two locks too */
    assert_int_equal(modes, 0600);
    spool_free(spool);
}

/* Full, it says so, keeps what it has, and takes as much again once it is emptied. */
static void test_full(void **state) {
    struct spool *spool = open_spool(*state, 64 << 10);
    struct err err = ERR_INIT;
    int fits[2];
    for (int round = 0; round < 2; round++) {
        int count = 0;
        err_clear(&err);
        while (append(spool, count, 900, &err)) {
            count++;
        }
        assert_int_equal(err.kind, ERR_MEMORY);
        assert_in_range(count, 20, 70);
        fits[round] = count;
        assert_int_equal(must_read(spool, 900, NULL), (size_t)count);
        assert_true(must_look(spool).bytes <= 64 << 10);
        err_clear(&err);
        assert_false(spool_check(spool, &err));
        assert_int_equal(err.kind, ERR_MEMORY);
        must_remove(spool, (size_t)count);
        err_clear(&err);
        assert_true(spool_check(spool, &err));
    }
    assert_int_equal(fits[0], fits[1]);
    spool_free(spool);
}

static void test_too_small_for_anything(void **state) {
    struct spool *spool = open_spool(*state, 4096);
    struct err err = ERR_INIT;
    assert_false(append(spool, 0, 10, &err));
    assert_int_equal(err.kind, ERR_MEMORY);
    err_clear(&err);
    assert_false(append(spool, 0, 10, &err));
    assert_int_equal(err.kind, ERR_MEMORY);
    spool_free(spool);
    /* What could not be begun is not taken for damaged. */
    assert_int_equal(for_files(*state, "damaged-", nothing), 0);
    spool = open_spool(*state, ROOM);
    must_append(spool, 0, 1, 10);
    spool_free(spool);
}

static void test_a_check_leaves_nothing(void **state) {
    struct spool *spool = open_spool(*state, ROOM);
    struct err err = ERR_INIT;
    assert_true(spool_check(spool, &err));
    assert_int_equal(must_look(spool).events, 0);
    must_append(spool, 0, 1, 100);
    assert_true(spool_check(spool, &err));
    assert_int_equal(must_read(spool, 100, NULL), 1);
    spool_free(spool);
}

static void test_several_use_it(void **state) {
    struct spool *one = open_spool(*state, ROOM), *other = open_spool(*state, ROOM);
    must_append(one, 0, 1, 100);
    must_append(other, 1, 1, 100);
    must_append(one, 2, 1, 100);
    assert_int_equal(must_read(one, 100, NULL), 3);
    must_remove(other, 2);
    assert_int_equal(must_read(one, 100, NULL), 1);
    assert_int_equal(begin_drain(one), SPOOL_DRAIN_TAKEN);
    assert_int_equal(begin_drain(other), SPOOL_DRAIN_HELD);
    spool_drain_end(one);
    assert_int_equal(begin_drain(other), SPOOL_DRAIN_TAKEN);
    assert_int_equal(begin_drain(one), SPOOL_DRAIN_HELD);
    spool_free(other); /* as when a process ends */
    assert_int_equal(begin_drain(one), SPOOL_DRAIN_TAKEN);
    spool_free(one);
}

/* A lock that cannot be opened is nobody else's. */
static void test_a_drain_that_cannot_begin(void **state) {
    struct world *world = *state;
    struct spool *spool = open_spool(world, ROOM);
    char path[128];
    assert_int_equal(begin_drain(spool), SPOOL_DRAIN_FAILED); /* no folder */
    must_append(spool, 0, 1, 100);
    (void)snprintf(path, sizeof(path), "%s/drain.lock", world->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(begin_drain(spool), SPOOL_DRAIN_FAILED);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(begin_drain(spool), SPOOL_DRAIN_TAKEN);
    spool_free(spool);
}

/* What was personal is not in the files any more. */
static char *haystack;

static void look_for(const char *path) {
    static char bytes[1 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, bytes, sizeof(bytes));
    assert_true(len >= 0);
    close(fd);
    if (memmem(bytes, (size_t)len, "number", 6) != NULL) {
        haystack = "found";
    }
}

static void test_emptied_it_forgets(void **state) {
    struct world *world = *state;
    struct spool *spool = open_spool(world, ROOM);
    struct err err = ERR_INIT;
    must_append(spool, 0, 50, 5000);
    haystack = NULL;
    for_files(world, "", look_for);
    assert_non_null(haystack);
    must_remove(spool, 50);
    assert_true(spool_tidy(spool, &err));
    haystack = NULL;
    for_files(world, "", look_for);
    assert_null(haystack);
    assert_true(must_look(spool).bytes <= 4 * 4096);
    must_append(spool, 0, 1, 100);
    assert_true(spool_tidy(spool, &err)); /* not empty: nothing happens */
    assert_int_equal(must_read(spool, 100, NULL), 1);
    spool_free(spool);
}

/* ---- damage ---- */

static void write_at(const char *path, off_t at, const char *bytes, size_t len) {
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

static void garble(const char *path) {
    char garbage[8192];
    memset(garbage, 'x', sizeof(garbage));
    write_at(path, 0, garbage, sizeof(garbage));
}

static void garble_middle(const char *path) {
    char garbage[4096];
    struct stat found;
    memset(garbage, 'x', sizeof(garbage));
    assert_int_equal(stat(path, &found), 0);
    write_at(path, found.st_size / 2 / 4096 * 4096, garbage, sizeof(garbage));
}

/* One letter of one body: SQLite does not notice. */
static void change_letter(const char *path) {
    static char bytes[1 << 21];
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, bytes, sizeof(bytes));
    assert_true(len > 0);
    close(fd);
    const char *found = memmem(bytes, (size_t)len, "\"number\":77", 11);
    assert_non_null(found);
    write_at(path, found - bytes + 9, "8", 1);
}

static void cut_half(const char *path) {
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(truncate(path, found.st_size / 2 + 100), 0);
}

static void cut_all(const char *path) {
    assert_int_equal(truncate(path, 0), 0);
}

struct damage {
    const char *name;
    void (*do_it)(const char *path);
    size_t least, most; /* events that are kept, of MANY */
};

static const struct damage damages[] = {
    {"garbage", garble, 0, 0},
    {"garbage in the middle", garble_middle, MANY / 2, MANY - 1},
    {"one letter", change_letter, MANY - 1, MANY - 1},
    {"half of it", cut_half, MANY / 4, MANY - 1},
    {"empty", cut_all, 0, 0},
};

static void damage_it(struct world *world, const struct damage *damage) {
    struct spool *spool = open_spool(world, ROOM);
    struct err err = ERR_INIT;
    must_append(spool, 0, MANY, 900);
    spool_free(spool); /* all of it is in the one file now */
    told[0] = '\0';
    assert_int_equal(for_files(world, "events.sqlite3", damage->do_it), 1);

    spool = open_spool(world, ROOM);
    if (!append(spool, MANY, 900, &err)) {
        fail_msg("%s: %s", damage->name, err.message);
    }
    size_t count = must_read(spool, 900, NULL);
    if (count < damage->least + 1 || count > damage->most + 1) {
        fail_msg("%s: %zu events: %s", damage->name, count, told);
    }
    assert_non_null(strstr(told, "damaged-"));
    assert_true(for_files(world, "damaged-", nothing) >= 1);
    must_remove(spool, count);
    assert_int_equal(must_look(spool).events, 0);
    spool_free(spool);
    for_files(world, "", remove_file);
}

static void test_damage(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        damage_it(*state, &damages[i]);
    }
}

/* What a killed process leaves is there; where its -wal is garbage, that is told. */
static void test_a_killed_process(void **state) {
    struct world *world = *state;
    for (int garbled = 0; garbled < 2; garbled++) {
        struct spool *spool = open_spool(world, ROOM);
        must_append(spool, 0, 1, 900);
        spool_free(spool);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            must_append(open_spool(world, ROOM), 1, 5, 900);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        if (garbled) {
            assert_int_equal(for_files(world, "events.sqlite3-wal", garble), 1);
        }
        told[0] = '\0';
        spool = open_spool(world, ROOM);
        assert_int_equal(must_read(spool, 900, NULL), garbled ? 1 : 6);
        assert_int_equal(strstr(told, "damaged-") != NULL, garbled);
        assert_int_equal(for_files(world, "damaged-", nothing) > 0, garbled);
        must_remove(spool, garbled ? 1 : 6);
        spool_free(spool);
    }
}

static void die(const char *text) {
    (void)text;
    _exit(0);
}

/* Whoever is killed while it copies the events of a damaged file leaves them to the next one. */
static void test_killed_while_salvaging(void **state) {
    struct world *world = *state;
    struct spool *spool = open_spool(world, ROOM);
    must_append(spool, 0, MANY, 900);
    spool_free(spool);
    assert_int_equal(for_files(world, "events.sqlite3", change_letter), 1);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* It is told before the first event is copied. */
        (void)must_read(spool_new(world->folder, ROOM, die), 900, NULL);
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(for_files(world, "damaged-", nothing), 0);
    spool = open_spool(world, ROOM);
    assert_int_equal(must_look(spool).events, MANY - 1);
    assert_int_equal(must_read(spool, 900, NULL), MANY - 1);
    assert_non_null(strstr(told, "damaged-"));
    assert_int_equal(for_files(world, "damaged-", nothing), 1);
    assert_int_equal(for_files(world, "salvage-", nothing), 0);
    spool_free(spool);
}

/* ---- memory ---- */

static bool no_memory; /* for OpenSSL */

static void *crypto_malloc(size_t len, const char *file, int line) {
    (void)file;
    (void)line;
    return no_memory ? NULL : malloc(len);
}

static void *crypto_realloc(void *old, size_t len, const char *file, int line) {
    (void)file;
    (void)line;
    return no_memory ? NULL : realloc(old, len);
}

static void crypto_free(void *old, const char *file, int line) {
    (void)file;
    (void)line;
    free(old);
}

/* In a thread of its own: it needs memory to hash. */
static void *read_without_memory(void *argument) {
    struct spool_event event;
    struct arena *arena = arena_new(ROOM);
    struct err err = ERR_INIT;
    size_t count = 0;
    no_memory = true;
    bool ok = spool_read(argument, INT64_MIN, 1, ROOM, arena, &event, &count, &err);
    no_memory = false;
    arena_free(arena);
    static enum err_kind kind;
    kind = err.kind;
    return ok ? NULL : &kind;
}

/* An event for which memory lacks is not damaged. */
static void test_no_memory_is_no_damage(void **state) {
    struct spool *spool = open_spool(*state, ROOM);
    pthread_t thread;
    void *kind = NULL;
    must_append(spool, 0, 3, 900);
    assert_int_equal(pthread_create(&thread, NULL, read_without_memory, spool), 0);
    assert_int_equal(pthread_join(thread, &kind), 0);
    assert_non_null(kind);
    assert_int_equal(*(enum err_kind *)kind, ERR_MEMORY);
    assert_int_equal(for_files(*state, "damaged-", nothing), 0);
    assert_int_equal(must_read(spool, 900, NULL), 3);
    spool_free(spool);
}

/* Whoever has the damaged file open goes on in the new one. */
static void test_damage_is_seen_by_all(void **state) {
    struct world *world = *state;
    struct spool *one = open_spool(world, ROOM), *other = open_spool(world, ROOM);
    must_append(one, 0, 3, 900);
    spool_free(one);
    for_files(world, "events.sqlite3", garble);
    one = open_spool(world, ROOM);
    must_append(other, 10, 1, 900);
    must_append(one, 11, 1, 900);
    assert_int_equal(for_files(world, "damaged-", nothing), 1);
    /* Now with both open. */
    struct err err = ERR_INIT;
    assert_int_equal(must_read(one, 900, NULL), 2);
    spool_free(other);
    other = open_spool(world, ROOM);
    assert_int_equal(must_read(other, 900, NULL), 2);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/events.sqlite3", world->folder);
    char aside[160];
    (void)snprintf(aside, sizeof(aside), "%s/damaged-by-hand", world->folder);
    assert_int_equal(rename(path, aside), 0);
    assert_true(append(one, 12, 900, &err));
    assert_int_equal(must_read(other, 900, NULL), 1);
    must_append(other, 13, 1, 900);
    assert_int_equal(must_read(one, 900, NULL), 2);
    spool_free(one);
    spool_free(other);
}

/* An id of the old file is another event's in the new one. */
static void test_removing_is_by_content(void **state) {
    struct world *world = *state;
    struct spool *spool = open_spool(world, ROOM);
    struct spool_event event;
    struct arena *arena = arena_new(ROOM);
    struct err err = ERR_INIT;
    size_t count = 0;
    must_append(spool, 1, 1, 900);
    assert_true(spool_read(spool, INT64_MIN, 1, ROOM, arena, &event, &count, &err));
    spool_free(spool);
    for_files(world, "events.sqlite3", garble);
    spool = open_spool(world, ROOM);
    must_append(spool, 2, 1, 900);
    assert_true(spool_remove(spool, &event, 1, &err));
    assert_int_equal(must_read(spool, 900, NULL), 1);
    arena_free(arena);
    spool_free(spool);
}

static void test_another_release(void **state) {
    struct world *world = *state;
    struct spool *spool = open_spool(world, ROOM);
    struct err err = ERR_INIT;
    char path[128];
    must_append(spool, 0, 1, 100);
    spool_free(spool);
    (void)snprintf(path, sizeof(path), "%s/events.sqlite3", world->folder);
    write_at(path, 60, "\0\0\0\7", 4); /* user_version in the header */
    spool = open_spool(world, ROOM);
    assert_false(append(spool, 1, 100, &err));
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_int_equal(for_files(world, "damaged-", nothing), 0);
    spool_free(spool);
}

static void test_no_folder_can_be_made(void **state) {
    struct spool *spool = spool_new("/proc/waybill-spool", ROOM, tell);
    struct err err = ERR_INIT;
    (void)state;
    assert_false(append(spool, 0, 100, &err));
    assert_int_equal(err.kind, ERR_SYSTEM);
    err_clear(&err);
    assert_false(spool_check(spool, &err));
    assert_int_equal(must_look(spool).events, 0);
    spool_free(spool);
}

int main(void) {
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_and_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_batch_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_for_nobody_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_small_for_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_check_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_several_use_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_drain_that_cannot_begin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_emptied_it_forgets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_while_salvaging, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory_is_no_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_killed_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_is_seen_by_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removing_is_by_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_release, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_folder_can_be_made, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What processes count together: here two handles on one name, as two processes have. */
#include "adapter/shared.h"
#include "base/timestamp.h"
#include "engine/metrics.h"

#include <setjmp.h> /* cmocka wants these before itself */
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char name[64], shared_name[64], path[128];

/* A name of this run's own. */
static int choose_name(void **state) {
    (void)state;
    (void)snprintf(name, sizeof(name), "test-%ld", (long)getpid());
    (void)snprintf(shared_name, sizeof(shared_name), "waybill-test-%ld", (long)getpid());
    (void)snprintf(path, sizeof(path), "/dev/shm/%s-%u", shared_name, (unsigned)geteuid());
    return 0;
}

static struct shared *must_open(size_t size) {
    struct err err = ERR_INIT;
    struct shared *shared = shared_open(shared_name, size, &err);
    assert_non_null(shared);
    assert_false(err_is_set(&err));
    return shared;
}

static bool exists(void) {
    struct stat status;
    return lstat(path, &status) == 0;
}

static void two_share_and_the_last_removes(void **state) {
    (void)state;
    struct shared *one = must_open(4096), *other = must_open(4096);
    char *bytes = shared_bytes(one);
    assert_int_equal(bytes[100], 0);
    bytes[100] = 7;
    assert_int_equal(((char *)shared_bytes(other))[100], 7);
    assert_int_not_equal(shared_lot(one), shared_lot(other));
    assert_true(shared_is_held(one, shared_lot(one)));
    assert_true(shared_is_held(one, shared_lot(other)));
    assert_false(shared_is_held(one, 2));
    size_t lot = shared_lot(other);
    shared_close(other);
    assert_false(shared_is_held(one, lot));
    assert_true(exists());
    shared_close(one);
    assert_false(exists());
}

/* The kernel takes a killed process's lot back; what it wrote stays. */
static void a_killed_process_leaves_its_counts(void **state) {
    (void)state;
    struct shared *own = must_open(4096);
    pid_t child = fork();
    if (child == 0) {
        struct err err = ERR_INIT;
        struct shared *other = shared_open(shared_name, 4096, &err);
        if (other != NULL && !shared_is_held(own, shared_lot(other) + 1)) {
            ((char *)shared_bytes(other))[5] = (char)shared_lot(other);
        }
        _exit(0); /* nothing is given back in order */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(((char *)shared_bytes(own))[5], 1);
    assert_false(shared_is_held(own, 1));
    shared_close(own);
    assert_false(exists());
}

static void what_cannot_be_shared_is_private(void **state) {
    static const mode_t modes[] = {0600, 0644};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        FILE *file = fopen(path, "w");
        struct err err = ERR_INIT;
        assert_non_null(file);
        fputs("of another size", file);
        fclose(file);
        assert_int_equal(chmod(path, modes[i]), 0);
        struct shared *shared = shared_open(shared_name, 4096, &err);
        assert_non_null(shared);
        assert_true(err_is_set(&err));
        ((char *)shared_bytes(shared))[4095] = 1;
        assert_true(shared_is_held(shared, shared_lot(shared)));
        assert_false(shared_is_held(shared, 9));
        shared_close(shared);
        assert_true(exists());
        unlink(path);
    }
    assert_int_equal(symlink("/etc/passwd", path), 0);
    struct err err = ERR_INIT;
    struct shared *shared = shared_open(shared_name, 4096, &err);
    assert_true(err_is_set(&err));
    shared_close(shared);
    unlink(path);
}

static void there_are_lots_for_so_many(void **state) {
    struct shared *all[SHARED_LOTS];
    struct err err = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < SHARED_LOTS; i++) {
        all[i] = must_open(4096);
        assert_int_equal(shared_lot(all[i]), i);
    }
    struct shared *beyond = shared_open(shared_name, 4096, &err);
    assert_true(err_is_set(&err));
    shared_close(beyond);
    for (size_t i = 0; i < SHARED_LOTS; i++) {
        shared_close(all[i]);
    }
    assert_false(exists());
}

/* Reads what is there, holds no lot, and neither keeps nor removes anything. */
static void one_who_looks_leaves_no_trace(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    assert_null(shared_look(shared_name, 4096, &err));
    assert_false(err_is_set(&err));
    struct shared *one = must_open(4096);
    struct shared *look = shared_look(shared_name, 4096, &err);
    assert_non_null(look);
    ((char *)shared_bytes(one))[7] = 9;
    assert_int_equal(((const char *)shared_bytes(look))[7], 9);
    assert_false(shared_is_held(one, 1));
    shared_close(look);
    assert_true(exists());
    look = shared_look(shared_name, 4096, &err);
    shared_close(one);
    assert_false(exists());
    assert_int_equal(((const char *)shared_bytes(look))[7], 9);
    shared_close(look);
}

static void what_is_not_of_its_user_is_not_looked_at(void **state) {
    static const struct {
        const char *content;
        mode_t mode;
    } rows[] = {{"", 0600}, {"of another size", 0600}, {"for everybody", 0644}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = ERR_INIT;
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(rows[i].content, file);
        fclose(file);
        assert_int_equal(chmod(path, rows[i].mode), 0);
        assert_null(shared_look(shared_name, 4096, &err));
        assert_non_null(strstr(err.message, path));
        unlink(path);
    }
    assert_int_equal(symlink("/etc/passwd", path), 0);
    struct err err = ERR_INIT;
    assert_null(shared_look(shared_name, 4096, &err));
    assert_true(err_is_set(&err));
    unlink(path);
}

/* Names of other users, which only root could give away; here none of them belongs to its user. */
static void those_of_one_other_user_are_meant(void **state) {
    char others[2][128];
    struct err one = ERR_INIT, two = ERR_INIT, own = ERR_INIT;
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(others[i], sizeof(others[i]), "/dev/shm/%s-%u", shared_name,
                       (unsigned)geteuid() + 1 + i);
        FILE *file = fopen(others[i], "w");
        assert_non_null(file);
        fclose(file);
        struct err *err = i == 0 ? &one : &two;
        assert_null(shared_look(shared_name, 4096, err));
    }
    assert_non_null(strstr(one.message, others[0]));
    assert_non_null(strstr(two.message, "several users"));
    struct shared *shared = must_open(4096);
    struct shared *look = shared_look(shared_name, 4096, &own);
    assert_non_null(look);
    shared_close(look);
    shared_close(shared);
    unlink(others[0]);
    unlink(others[1]);
}

/* ---- counters ---- */

static int open_counters(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    return metrics_open(name, &err) ? 0 : -1;
}

static int close_counters(void **state) {
    (void)state;
    metrics_close();
    return 0;
}

struct found {
    const char *labels[METRIC_LABELS];
    size_t matches, series;
    uint64_t count, total;
};

static void look(void *context, const struct metric_series *series) {
    struct found *found = context;
    bool same = true;
    for (size_t i = 0; i < METRIC_LABELS; i++) {
        same = same && strcmp(series->labels[i], found->labels[i]) == 0;
    }
    found->series++;
    found->total += series->count;
    if (same) {
        found->matches++;
        found->count += series->count;
    }
}

static uint64_t count_of(const char *first, const char *second, const char *third) {
    struct found found = {.labels = {first, second, third}};
    metrics_each(METRIC_DELIVERIES, look, &found);
    assert_true(found.matches <= 1);
    return found.count;
}

#define DELIVERED(source, type, outcome)                                                           \
    metrics_count(METRIC_DELIVERIES, slice_from_cstr(source), slice_from_cstr(type),               \
                  slice_from_cstr(outcome))

static void series_are_told_apart(void **state) {
    (void)state;
    DELIVERED("a", "b", "c");
    DELIVERED("a", "b", "c");
    DELIVERED("ab", "", "c");
    DELIVERED("a", "bc", "");
    metrics_count(METRIC_REFUSALS, SLICE_OF("a"), SLICE_OF("b"), SLICE_OF("c"));
    assert_int_equal(count_of("a", "b", "c"), 2);
    assert_int_equal(count_of("ab", "", "c"), 1);
    assert_int_equal(count_of("a", "bc", ""), 1);
    assert_int_equal(count_of("a", "b", ""), 0);
}

static void a_long_label_is_cut(void **state) {
    char label[200];
    (void)state;
    memset(label, 'x', sizeof(label));
    metrics_count(METRIC_DELIVERIES, (struct slice){label, 100}, SLICE_EMPTY, SLICE_EMPTY);
    metrics_count(METRIC_DELIVERIES, (struct slice){label, 200}, SLICE_EMPTY, SLICE_EMPTY);
    label[METRIC_LABEL_MAX] = '\0';
    assert_int_equal(count_of(label, "", ""), 2);
}

/* Nothing is lost, whatever there is too much of. */
static void too_many_series_are_counted_together(void **state) {
    struct found found = {.labels = {"other", "other", "other"}};
    (void)state;
    for (int i = 0; i < 3000; i++) {
        char label[16];
        (void)snprintf(label, sizeof(label), "%d", i);
        DELIVERED(label, "b", "c");
    }
    metrics_each(METRIC_DELIVERIES, look, &found);
    assert_int_equal(found.total, 3000);
    assert_int_equal(found.matches, 1);
    assert_true(found.count > 900);
    assert_int_equal(count_of("5", "b", "c"), 1);
}

static void *count_on(void *argument) {
    static const char *const labels[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    (void)argument;
    for (int i = 0; i < 8000; i++) {
        DELIVERED(labels[i % 8], labels[i / 8 % 8], "x");
        metrics_observe(METRIC_BATCH_EVENTS, i % 300);
    }
    return NULL;
}

static void threads_count_together(void **state) {
    pthread_t threads[4];
    struct found found = {.labels = {"a", "a", "x"}};
    struct metric_distribution batches;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_on, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    metrics_each(METRIC_DELIVERIES, look, &found);
    assert_int_equal(found.series, 64);
    assert_int_equal(found.count, 500);
    assert_int_equal(found.total, 32000);
    metrics_distribution(METRIC_BATCH_EVENTS, &batches);
    uint64_t count = 0;
    for (size_t i = 0; i < batches.bucket_count; i++) {
        count += batches.buckets[i];
    }
    assert_int_equal(count, 32000);
}

static void values_find_their_buckets(void **state) {
    static const struct {
        int64_t value;
        size_t bucket;
    } rows[] = {{0, 0}, {1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {256, 8}, {257, 9}};
    uint64_t sum = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct metric_distribution before, after;
        metrics_distribution(METRIC_BATCH_EVENTS, &before);
        metrics_observe(METRIC_BATCH_EVENTS, rows[i].value);
        metrics_distribution(METRIC_BATCH_EVENTS, &after);
        sum += (uint64_t)rows[i].value;
        assert_int_equal(after.bucket_count, 10);
        assert_int_equal(after.buckets[rows[i].bucket], before.buckets[rows[i].bucket] + 1);
        assert_int_equal(after.sum, sum);
    }
    metrics_observe(METRIC_BATCH_EVENTS, -1); /* no such time: nothing */
}

static void without_a_start_nothing_happens(void **state) {
    struct metric_processes processes;
    struct found found = {.labels = {"", "", ""}};
    (void)state;
    DELIVERED("a", "b", "c");
    metrics_observe(METRIC_REQUEST_SECONDS, 1);
    metrics_in_hand(1, 2);
    metrics_each(METRIC_DELIVERIES, look, &found);
    assert_int_equal(found.series, 0);
    assert_false(metrics_processes(&processes));
}

static void refusals_are_told_latest_first(void **state) {
    static const struct {
        const char *source, *reason;
        int64_t at;
    } rows[] = {{"a", "x", 50}, {"a", "x", 40}, {"a", "y", 60}, {"b", "x", 55}, {"", "z", 70}};
    static const struct {
        const char *source, *reason;
        uint64_t count;
        int64_t at;
    } expected[] = {{"", "z", 1, 70}, {"a", "y", 1, 60}, {"b", "x", 1, 55}, {"a", "x", 2, 50}};
    struct metric_refusals refusals;
    struct err err = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        metrics_count_refusal(slice_from_cstr(rows[i].source), slice_from_cstr(rows[i].reason),
                              rows[i].at);
    }
    DELIVERED("a", "b", "c");
    assert_true(metrics_refusals(name, &refusals, &err));
    assert_int_equal(refusals.count, sizeof(expected) / sizeof(expected[0]));
    assert_true(refusals.since > TIMESTAMP_MIN);
    for (size_t i = 0; i < refusals.count; i++) {
        assert_string_equal(refusals.rows[i].source, expected[i].source);
        assert_string_equal(refusals.rows[i].reason, expected[i].reason);
        assert_int_equal(refusals.rows[i].count, expected[i].count);
        assert_int_equal(refusals.rows[i].last_at, expected[i].at);
    }
    metrics_refusals_free(&refusals);
    assert_false(metrics_refusals("nobody", &refusals, &err));
    assert_false(err_is_set(&err));
    assert_null(refusals.rows);
}

static void what_is_in_hand(void **state) {
    struct metric_processes processes;
    (void)state;
    metrics_in_hand(3, 10);
    assert_true(metrics_processes(&processes));
    assert_int_equal(processes.count, 1);
    assert_int_equal(processes.in_hand, 3);
    assert_int_equal(processes.most, 10);
}

#define WITH_COUNTERS(test) cmocka_unit_test_setup_teardown(test, open_counters, close_counters)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_share_and_the_last_removes),
        cmocka_unit_test(a_killed_process_leaves_its_counts),
        cmocka_unit_test(what_cannot_be_shared_is_private),
        cmocka_unit_test(there_are_lots_for_so_many),
        cmocka_unit_test(one_who_looks_leaves_no_trace),
        cmocka_unit_test(what_is_not_of_its_user_is_not_looked_at),
        cmocka_unit_test(those_of_one_other_user_are_meant),
        WITH_COUNTERS(series_are_told_apart),
        WITH_COUNTERS(a_long_label_is_cut),
        WITH_COUNTERS(too_many_series_are_counted_together),
        WITH_COUNTERS(threads_count_together),
        WITH_COUNTERS(values_find_their_buckets),
        WITH_COUNTERS(what_is_in_hand),
        WITH_COUNTERS(refusals_are_told_latest_first),
        cmocka_unit_test(without_a_start_nothing_happens),
    };
    return cmocka_run_group_tests(tests, choose_name, NULL);
}

#include "engine/watch.h"

#include "base/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdatomic.h>

#define LIMIT_MS 500
#define PATIENCE_MS 10000

struct thing {
    struct watched watched; /* first */
    atomic_int reports;
    int64_t reported_ms;
};

static atomic_int reports;

static void overdue(void *context, struct watched *watched) {
    struct thing *thing = (struct thing *)watched;
    assert_ptr_equal(context, &reports);
    thing->reported_ms = monotonic_ms();
    atomic_fetch_add(&thing->reports, 1);
    atomic_fetch_add(&reports, 1);
}

static struct watch *must_start(int64_t limit_ms) {
    struct err err = ERR_INIT;
    atomic_store(&reports, 0);
    struct watch *watch = watch_new(limit_ms, overdue, &reports, &err);
    assert_non_null(watch);
    return watch;
}

static void wait_for_reports(int count) {
    int64_t deadline = monotonic_ms() + PATIENCE_MS;
    while (atomic_load(&reports) < count) {
        assert_true(monotonic_ms() < deadline);
        poll(NULL, 0, 5);
    }
}

static void test_what_is_slow_is_reported_once(void **state) {
    struct watch *watch = must_start(LIMIT_MS);
    struct thing slow[3] = {0}, quick[3] = {0};
    int64_t began = monotonic_ms();
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        watch_add(watch, &slow[i].watched);
        watch_add(watch, &quick[i].watched);
    }
    /* The middle, the end, the beginning of the list. */
    assert_true(watch_remove(watch, &quick[1].watched));
    assert_true(watch_remove(watch, &quick[2].watched));
    assert_true(watch_remove(watch, &quick[0].watched));
    wait_for_reports(3);
    for (size_t i = 0; i < 3; i++) {
        assert_false(watch_remove(watch, &slow[i].watched));
        assert_int_equal(atomic_load(&slow[i].reports), 1);
        assert_true(slow[i].reported_ms - began >= LIMIT_MS);
        assert_int_equal(atomic_load(&quick[i].reports), 0);
    }
    /* The same thing again. */
    watch_add(watch, &slow[0].watched);
    wait_for_reports(4);
    assert_int_equal(atomic_load(&slow[0].reports), 2);
    watch_free(watch);
}

static void test_the_end_reports_nothing(void **state) {
    struct watch *watch = must_start(PATIENCE_MS);
    struct thing thing = {0};
    int64_t began = monotonic_ms();
    (void)state;
    watch_add(watch, &thing.watched);
    watch_free(watch);
    watch_free(NULL);
    assert_int_equal(atomic_load(&reports), 0);
    assert_true(monotonic_ms() - began < PATIENCE_MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_slow_is_reported_once),
        cmocka_unit_test(test_the_end_reports_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The configuration in force: who took it keeps it, however often it is replaced meanwhile. */
#include "app/current.h"

#include <setjmp.h> /* cmocka wants these before itself */
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[96];

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/waybill-current-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    (void)remove(path);
    return rmdir(folder);
}

/* A configuration with so many connections. */
static struct settings *load(const char *connections) {
    struct err err = ERR_INIT;
    (void)snprintf(path, sizeof(path), "%s/waybill.conf", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "webhook { connections = %s }\n", connections);
    assert_int_equal(fclose(file), 0);
    struct settings *settings = settings_load(path, PART_WEBHOOK, &err);
    assert_non_null(settings);
    return settings;
}

static void what_was_taken_stays(void **state) {
    (void)state;
    struct current *current = current_new(load("3"));
    const struct settings *old = current_take(current), *twice = current_take(current);
    assert_ptr_equal(old, twice);
    settings_free(twice);
    current_replace(current, load("4"));
    const struct settings *fresh = current_take(current);
    assert_int_equal(old->connections, 3);
    assert_int_equal(fresh->connections, 4);
    settings_free(old);
    current_free(current);
    assert_int_equal(fresh->connections, 4); /* it outlives even that */
    settings_free(fresh);
}

struct readers {
    struct current *current;
    atomic_bool stopping;
};

static void *read_on(void *argument) {
    struct readers *readers = argument;
    bool only_those = true;
    while (!atomic_load(&readers->stopping)) {
        const struct settings *settings = current_take(readers->current);
        only_those = only_those && (settings->connections == 3 || settings->connections == 4);
        settings_free(settings);
    }
    return only_those ? argument : NULL;
}

static void it_is_replaced_under_readers(void **state) {
    struct readers readers = {.current = current_new(load("3"))};
    pthread_t threads[3];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers), 0);
    }
    for (size_t i = 0; i < 200; i++) {
        current_replace(readers.current, load(i % 2 ? "3" : "4"));
    }
    atomic_store(&readers.stopping, true);
    for (size_t i = 0; i < 3; i++) {
        void *right = NULL;
        pthread_join(threads[i], &right);
        assert_non_null(right);
    }
    current_free(readers.current);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_taken_stays),
        cmocka_unit_test(it_is_replaced_under_readers),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

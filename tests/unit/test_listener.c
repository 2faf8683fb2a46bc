#include "adapter/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];
static char where[128]; /* unix:<folder>/socket */
static const char *path;

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/waybill-listener-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(where, sizeof(where), "unix:%s/socket", folder);
    path = where + 5;
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void a_unix_socket_is_for_owner_and_group(void **state) {
    struct err err = ERR_INIT;
    struct stat info;
    (void)state;
    int fd = listener_open(slice_from_cstr(where), &err);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
    close(fd);
    listener_remove(slice_from_cstr(where));
    assert_int_equal(stat(path, &info), -1);
}

static void a_stale_file_is_replaced_a_live_one_is_not(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    int dead = listener_open(slice_from_cstr(where), &err);
    assert_true(dead >= 0);
    close(dead); /* the file stays */
    int live = listener_open(slice_from_cstr(where), &err);
    assert_true(live >= 0);
    assert_int_equal(listener_open(slice_from_cstr(where), &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    close(live);
    listener_remove(slice_from_cstr(where));
}

static void a_file_that_is_no_socket_is_left_alone(void **state) {
    struct err err = ERR_INIT;
    struct stat info;
    (void)state;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(listener_open(slice_from_cstr(where), &err), -1);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    unlink(path);
}

static void tcp_on_loopback(void **state) {
    static const char *const rows[] = {"127.0.0.1:0", "[::1]:0"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        int fd = listener_open(slice_from_cstr(rows[i]), &err);
        if (fd < 0 && i == 1) {
            /* A machine without IPv6 says so and nothing else. */
            assert_int_equal(err.kind, ERR_SYSTEM);
            continue;
        }
        assert_true(fd >= 0);
        int listening = 0;
        socklen_t len = sizeof(listening);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len), 0);
        assert_true(listening);
        close(fd);
    }
}

static void nonsense_is_a_usage_error(void **state) {
    static const char *const rows[] = {
        "",
        "unix:",
        "localhost:80",
        "127.0.0.1",
        "127.0.0.1:",
        ":80",
        "127.0.0.1:no",
        "/run/socket",
        "127.0.0.1:99999999",
        ("unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaa")};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(listener_open(slice_from_cstr(rows[i]), &err), -1);
        assert_int_equal(err.kind, ERR_USAGE);
    }
}

static void only_a_listening_descriptor_is_inherited(void **state) {
    struct err err = ERR_INIT;
    int saved = dup(STDIN_FILENO);
    (void)state;
    unsetenv("LISTEN_PID");
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    dup2(pair[0], STDIN_FILENO);
    assert_int_equal(listener_inherited(), -1);
    int fd = listener_open(slice_from_cstr(where), &err);
    assert_true(fd >= 0);
    dup2(fd, STDIN_FILENO);
    assert_int_equal(listener_inherited(), STDIN_FILENO);
    /* Variables meant for another process say nothing to this one. */
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "1", 1);
    assert_int_equal(listener_inherited(), STDIN_FILENO);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    close(fd);
    close(pair[0]);
    close(pair[1]);
    dup2(saved, STDIN_FILENO);
    close(saved);
    listener_remove(slice_from_cstr(where));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unix_socket_is_for_owner_and_group),
        cmocka_unit_test(a_stale_file_is_replaced_a_live_one_is_not),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(tcp_on_loopback),
        cmocka_unit_test(nonsense_is_a_usage_error),
        cmocka_unit_test(only_a_listening_descriptor_is_inherited),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

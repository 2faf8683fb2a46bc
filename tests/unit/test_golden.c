/*
 * tests/golden/<provider>/<case>/body.json, read by the provider, gives expected.json beside it.
 *
 * A case is a folder, not code. GOLDEN_UPDATE=1 writes what is read now: then read every line of
 * the difference before you keep it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "changes_dump.h"
#include "domain/provider.h"

/* Of a source without timezone and carrier. */
static const struct reading_context NO_OPTIONS = {.zone = NULL};

#define ROOT "tests/golden"

struct golden_case {
    char provider[64];
    char folder[512];
};

static void path_in(const struct golden_case *c, const char *file, char path[600]) {
    snprintf(path, 600, "%s/%s", c->folder, file);
}

/* The content of PATH, appended to OUT; false when it cannot be opened. */
static bool slurp(const char *path, struct strbuf *out) {
    char chunk[4096];
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
        strbuf_add(out, chunk, n);
    fclose(file);
    return true;
}

static void spew(const char *path, struct slice text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
    assert_int_equal(fclose(file), 0);
}

static void read_case(const struct golden_case *c, struct strbuf *actual) {
    char path[600];
    struct strbuf body = STRBUF_INIT(LIMIT_BODY);
    const struct provider *provider = provider_find(slice_from_cstr(c->provider));
    assert_non_null(provider);
    path_in(c, "body.json", path);
    assert_true(slurp(path, &body));
    struct json_doc *doc;
    struct json_position where;
    assert_int_equal(json_parse(strbuf_slice(&body), &doc, &where), JSON_OK);
    struct arena *arena = arena_new(LIMIT_REQUEST_ARENA);
    struct changes changes;
    enum reading reading;
    changes_init(&changes);
    assert_true(provider->read(json_root(doc), &NO_OPTIONS, arena, &changes, &reading));
    dump_changes(&changes, reading, actual);
    assert_false(strbuf_failed(actual));
    arena_free(arena);
    json_doc_free(doc);
    strbuf_free(&body);
}

/* The lines that differ first, and where. */
static void show_difference(const char *path, struct slice expected, struct slice actual) {
    struct slice want, have;
    size_t line = 0;
    do {
        line++;
        slice_split(expected, '\n', &want, &expected);
        slice_split(actual, '\n', &have, &actual);
    } while (slice_eq(want, have) && (expected.len || actual.len));
    print_error("%s:%zu\n  expected: %.*s\n  read:     %.*s\n", path, line, SLICE_ARGS(want),
                SLICE_ARGS(have));
}

static void test_case(void **state) {
    const struct golden_case *c = *state;
    char path[600];
    struct strbuf expected = STRBUF_INIT(LIMIT_BODY), actual = STRBUF_INIT(LIMIT_BODY);
    read_case(c, &actual);
    path_in(c, "expected.json", path);
    if (getenv("GOLDEN_UPDATE"))
        spew(path, strbuf_slice(&actual));
    bool found = slurp(path, &expected);
    bool same = found && slice_eq(strbuf_slice(&expected), strbuf_slice(&actual));
    if (!found)
        print_error("%s: not there; GOLDEN_UPDATE=1 writes it\n", path);
    else if (!same)
        show_difference(path, strbuf_slice(&expected), strbuf_slice(&actual));
    strbuf_free(&expected);
    strbuf_free(&actual);
    assert_true(same);
}

/* ---- finding the cases ---- */

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

#define CASES_MAX 512

static size_t add_cases(const char *provider, struct golden_case *cases, size_t count) {
    char folder[300];
    struct dirent **entries;
    snprintf(folder, sizeof folder, ROOT "/%.200s", provider);
    int n = scandir(folder, &entries, is_visible, alphasort);
    if (n <= 0) {
        fprintf(stderr, "%s: no case of this provider (run from the top of the checkout)\n",
                folder);
        exit(1);
    }
    for (int i = 0; i < n; i++) {
        if (count < CASES_MAX) {
            struct golden_case *c = &cases[count++];
            snprintf(c->provider, sizeof c->provider, "%s", provider);
            snprintf(c->folder, sizeof c->folder, "%s/%.200s", folder, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}

int main(void) {
    static struct golden_case cases[CASES_MAX];
    static struct CMUnitTest tests[CASES_MAX];
    size_t providers, count = 0;
    const struct provider *table = provider_table(&providers);
    for (size_t i = 0; i < providers; i++)
        count = add_cases(table[i].name.data, cases, count);
    for (size_t i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){
            .name = cases[i].folder, .test_func = test_case, .initial_state = &cases[i]};
    return _cmocka_run_group_tests("golden", tests, count, NULL, NULL);
}

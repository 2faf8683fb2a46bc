/* HTTP: meta-variables, the path below the mount, escapes, the query, and answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/http.h"

#include "base/limits.h"

#include <string.h>

#define CHECK(row, condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("row %zu: %s", row, #condition);                                              \
    } while (0)

static bool is(struct slice s, const char *expected) {
    return slice_eq(s, slice_from_cstr(expected));
}

/* ---- requests ---- */

static void test_params(void **state) {
    static char *const pairs[] = {"A=1",
                                  "AB=2",
                                  "EMPTY=",
                                  "NOVALUE",
                                  "EQ=a=b",
                                  "A=3",
                                  "SAME=1",
                                  "SAME=1",
                                  "HTTP_X_SIG=s",
                                  "HTTP_X_MANY=1",
                                  "HTTP_X_MANY=",
                                  "HTTP_X_MANY=2, 3",
                                  "CONTENT_TYPE=t",
                                  "HTTP_CONTENT_TYPE=no",
                                  "CONTENT_LENGTH=5",
                                  NULL};
    static const struct http_params params = {pairs};
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"A", ""},     {"AB", "2"},   {"B", ""}, {"EMPTY", ""}, {"NOVALUE", ""},
        {"SAME", "1"}, {"EQ", "a=b"}, {"a", ""}, {"A=", ""},    {"EQ=a", "b"},
    };
    static const struct {
        struct slice name;
        const char *value;
    } headers[] = {
        {SLICE("X-Sig"), "s"},        {SLICE("x-sIG"), "s"},          {SLICE("X-Si"), ""},
        {SLICE("X-Many"), ""},        {SLICE("X-Sig-"), ""},          {SLICE("Sig"), ""},
        {SLICE("Content-Type"), "t"}, {SLICE("CONTENT-LENGTH"), "5"}, {SLICE(""), ""},
        {SLICE("X-Sig=s"), ""},       {SLICE("X-Sig\0"), ""},
    };
    static const struct http_params none = {NULL};
    char long_name[300];
    (void)state;
    for (size_t i = 0; i + 1 < ARRAY_LEN(rows); i++)
        CHECK(i, is(http_param(&params, rows[i].name), rows[i].value));
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        CHECK(i, is(http_header(&params, headers[i].name), headers[i].value));
    for (size_t len = 100; len < sizeof(long_name); len++) {
        memset(long_name, 'x', sizeof(long_name));
        assert_int_equal(http_header(&params, (struct slice){long_name, len}).len, 0);
    }
    assert_int_equal(http_param(&none, "A").len, 0);
}

static void test_all_values_of_a_header(void **state) {
    static char *const pairs[] = {"HTTP_X_SIG=a", "HTTP_X=no",      "HTTP_X_SIG=b, c",
                                  "HTTP_X_SIG=a", "HTTP_X_SIGN=no", NULL};
    static const struct http_params params = {pairs};
    struct strbuf out = STRBUF_INIT(100);
    (void)state;
    http_header_all(&params, SLICE_OF("X-Sig"), &out);
    assert_true(is(strbuf_slice(&out), "a, b, c, a"));
    strbuf_clear(&out);
    http_header_all(&params, SLICE_OF("X-Other"), &out);
    http_header_all(&params, SLICE_EMPTY, &out);
    assert_int_equal(out.len, 0);
    strbuf_free(&out);
}

static void test_path(void **state) {
    static const struct {
        char *uri, *script, *info; /* NULL: not there */
        const char *path;
        bool raw;
    } rows[] = {
        /* lighttpd, Apache's ScriptAlias and nginx with fastcgi_split_path_info. */
        {"/webhooks/shop", "/webhooks", "/shop", "/shop", true},
        {"/webhooks/shop?a=/b", "/webhooks", "/shop", "/shop", true},
        {"/webhooks/shop/t%2Fx", "/webhooks", "/shop/t/x", "/shop/t%2Fx", true},
        {"/webhooks/", "/webhooks", "/", "/", true},
        {"/webhooks//shop", "/webhooks", "/shop", "//shop", true},
        {"/a/b/webhooks/shop", "/a/b/webhooks", "/shop", "/shop", true},
        {"/webhooks/shop", "/webhooks/", "/shop", "/shop", true},
        {"/webhooks/shop", "/webhooks/", NULL, "/shop", true},
        {"/webhooks/shop", "/webhooks", NULL, "/shop", true},
        {"/webhooks/shop", "/webhooks", "", "/shop", true},
        /* At the root of the server. */
        {"/shop", "", "/shop", "/shop", true},
        {"/shop", "/", NULL, "/shop", true},
        {"/shop", NULL, NULL, "/shop", true},
        {"/shop", NULL, "/shop", "/shop", true},
        /* Apache's plain ProxyPass, nginx without a split: nobody knows the mount. */
        {"/webhooks/shop", "/webhooks/shop", NULL, "/webhooks/shop", true},
        {"/webhooks/shop?x", "/webhooks/shop", "", "/webhooks/shop", true},
        {"/web%68ooks/shop", "/webhooks/shop", NULL, "/web%68ooks/shop", true},
        {"/webhooks", "/webhooks", NULL, "/webhooks", true},
        {"/webhooks/", "/webhooks/", NULL, "/", true},
        /* Rewritten, or escaped in the mount: only PATH_INFO is left. */
        {"/hooks/shop", "/webhooks", "/shop", "/shop", false},
        {"/web%68ooks/shop", "/webhooks", "/shop", "/shop", false},
        {"/webhooks2/shop", "/webhooks", "/shop", "/shop", false},
        {"/webhooks", "/webhooks", "/shop", "/shop", false},
        {NULL, "/webhooks", "/sh op", "/sh op", false},
        {NULL, NULL, "/shop", "/shop", false},
        {"", "/webhooks", "/shop", "/shop", false},
        {NULL, NULL, "shop", "", false},
        /* The absolute form. */
        {"http://host/webhooks/shop?a", "/webhooks", "/shop", "/shop", true},
        {"HTTPS://host:443/webhooks/shop", "/webhooks", NULL, "/shop", true},
        {"http://host", "", NULL, "/", true},
        {"http://host?/x", "", NULL, "/", true},
        {"http://", "", NULL, "/", true},
        {"httpx://host/shop", "", NULL, "", true},
        /* What is no path. */
        {"*", "/webhooks", NULL, "", true},
        {"?x=/shop", "", NULL, "", true},
        {NULL, "/webhooks", NULL, "", true},
        {NULL, NULL, NULL, "", true},
        {"/shop#frag", "", NULL, "/shop", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        static const char *const names[] = {"REQUEST_URI=", "SCRIPT_NAME=", "PATH_INFO="};
        char *const values[] = {rows[i].uri, rows[i].script, rows[i].info};
        char text[3][100], *pairs[4] = {NULL};
        const struct http_params params = {pairs};
        size_t count = 0;
        struct slice path;
        bool raw = !rows[i].raw;

        for (size_t j = 0; j < 3; j++) {
            if (!values[j])
                continue;
            strcat(strcpy(text[count], names[j]), values[j]);
            pairs[count] = text[count];
            count++;
        }
        path = http_path_below_mount(&params, &raw);
        if (!is(path, rows[i].path))
            fail_msg("row %zu: %.*s", i, SLICE_ARGS(path));
        CHECK(i, raw == rows[i].raw);
    }
}

static void test_decode(void **state) {
    static const struct {
        struct slice text;
        bool plus, valid;
        struct slice out;
    } rows[] = {
        {SLICE(""), false, true, SLICE("")},
        {SLICE("abc"), false, true, SLICE("abc")},
        {SLICE("a%2fb%2F"), false, true, SLICE("a/b/")},
        {SLICE("a+b"), false, true, SLICE("a+b")},
        {SLICE("a+b%2B"), true, true, SLICE("a b+")},
        {SLICE("%00"), false, true, SLICE("\0")},
        {SLICE("%ff%C3%A4"), false, true, SLICE("\xff\xc3\xa4")},
        {SLICE("%2541"), false, true, SLICE("%41")},
        {SLICE("%"), false, false, SLICE("")},
        {SLICE("a%4"), false, false, SLICE("")},
        {SLICE("%4g"), false, false, SLICE("")},
        {SLICE("%g4"), false, false, SLICE("")},
        {SLICE("%%41"), false, false, SLICE("")},
        {SLICE("% 1"), false, false, SLICE("")},
        {SLICE("%+1"), true, false, SLICE("")},
        {SLICE("%4\0"), false, false, SLICE("")},
    };
    struct arena *arena = arena_new(10000), *none = arena_new(2);
    struct slice out;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK(i, http_percent_decode(rows[i].text, rows[i].plus, arena, &out) == rows[i].valid);
        CHECK(i, slice_eq(out, rows[i].out));
    }
    assert_false(http_percent_decode(SLICE_OF("abc"), false, none, &out));
    arena_free(arena);
    arena_free(none);
}

static void test_query(void **state) {
    static const struct {
        const char *query;
        bool valid;
        const char *pairs; /* name:value;… */
    } rows[] = {
        {"", true, ""},
        {"a=1", true, "a:1;"},
        {"a=1&b=2&a=3", true, "a:1;b:2;a:3;"},
        {"a", true, "a:;"},
        {"a=", true, "a:;"},
        {"=1", true, ":1;"},
        {"a=b=c", true, "a:b=c;"},
        {"&&a=1&&", true, "a:1;"},
        {"a%3D=%26+x", true, "a=:& x;"},
        {"a;b=1", true, "a;b:1;"},
        {"a=1&b=2&c=3&d=4", true, "a:1;b:2;c:3;d:4;"},
        {"a=1&b=2&c=3&d=4&e=5", false, ""},
        {"a=1&b=2&c=3&d=4&&", true, "a:1;b:2;c:3;d:4;"},
        {"a=%", false, ""},
        {"a=1&%zz=1", false, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *arena = arena_new(10000), *small = arena_new(8);
        struct strbuf seen = STRBUF_INIT(1000);
        struct http_query_pair *pairs;
        size_t count;

        CHECK(i, http_parse_query(slice_from_cstr(rows[i].query), 4, arena, &pairs, &count) ==
                     rows[i].valid);
        for (size_t j = 0; j < count; j++) {
            strbuf_add_slice(&seen, pairs[j].name);
            strbuf_add_char(&seen, ':');
            strbuf_add_slice(&seen, pairs[j].value);
            strbuf_add_char(&seen, ';');
        }
        if (!is(strbuf_slice(&seen), rows[i].pairs))
            fail_msg("row %zu: %.*s", i, SLICE_ARGS(strbuf_slice(&seen)));
        CHECK(i, !http_parse_query(slice_from_cstr(rows[i].query), 4, small, &pairs, &count));
        strbuf_free(&seen);
        arena_free(arena);
        arena_free(small);
    }
}

/* A query of nothing but separators costs no more than the pairs allowed. */
static void test_query_is_bounded(void **state) {
    static char query[1u << 20];
    struct arena *arena = arena_new(4096);
    struct http_query_pair *pairs;
    size_t count;

    (void)state;
    memset(query, '&', sizeof(query));
    assert_true(http_parse_query((struct slice){query, sizeof(query)}, 10, arena, &pairs, &count));
    assert_int_equal(count, 0);
    arena_free(arena);
}

/* ---- answers ---- */

static void assert_sent(const struct http_answer *answer, const char *head, const char *body) {
    struct strbuf out = STRBUF_INIT(100000);

    http_answer_head(answer, &out);
    strbuf_add_char(&out, '\0');
    assert_false(strbuf_failed(&out));
    assert_string_equal(out.data, head);
    assert_true(is(http_answer_body(answer), body));
    strbuf_free(&out);
}

static void test_answer(void **state) {
    struct http_answer answer;

    (void)state;
    http_answer_init(&answer);
    assert_sent(&answer, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n", "");
    answer.status = 304;
    http_answer_field(&answer, "ETag", SLICE_OF("W/\"1\""));
    assert_sent(&answer, "Status: 304 Not Modified\r\nETag: W/\"1\"\r\n\r\n", "");
    answer.status = 200;
    answer.content_type = "application/json";
    strbuf_add_cstr(&answer.body, "{}");
    http_answer_field(&answer, "X-Empty", SLICE_EMPTY);
    assert_sent(&answer,
                "Status: 200 OK\r\nETag: W/\"1\"\r\nX-Empty: \r\nContent-Type: "
                "application/json\r\nContent-Length: 2\r\n\r\n",
                "{}");
    answer.head = true;
    assert_sent(&answer,
                "Status: 200 OK\r\nETag: W/\"1\"\r\nX-Empty: \r\nContent-Type: "
                "application/json\r\nContent-Length: 2\r\n\r\n",
                "");
    http_answer_free(&answer);
}

static void test_problem(void **state) {
    static const struct {
        int status;
        struct slice detail;
        const char *body;
    } rows[] = {
        {400, SLICE("line 1\n\"x\""),
         "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
         "\"detail\":\"line 1\\n\\\"x\\\"\"}"},
        {401, SLICE(""), "{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401}"},
        {503, SLICE(""),
         "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_answer answer;
        http_answer_init(&answer);
        http_answer_field(&answer, "X-Request-Id", SLICE_OF("r"));
        strbuf_add_cstr(&answer.body, "half an answer");
        answer.body.failed = true;
        http_answer_problem(&answer, rows[i].status, rows[i].detail);
        assert_int_equal(answer.status, rows[i].status);
        assert_string_equal(answer.content_type, "application/problem+json");
        CHECK(i, is(http_answer_body(&answer), rows[i].body));
        CHECK(i, is(strbuf_slice(&answer.fields), "X-Request-Id: r\r\n"));
        http_answer_free(&answer);
    }
}

static const char broken[] = "Status: 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";

static void test_broken_answers(void **state) {
    static const struct slice values[] = {SLICE("a\r\nSet-Cookie: x"), SLICE("a\n"), SLICE("\r"),
                                          SLICE("a\0b")};
    static char long_value[20000];
    struct http_answer answer;
    (void)state;
    for (size_t i = 0; i <= ARRAY_LEN(values); i++) {
        memset(long_value, 'x', sizeof(long_value));
        http_answer_init(&answer);
        answer.content_type = "text/plain";
        strbuf_add_cstr(&answer.body, "x");
        http_answer_field(&answer, "X-Field",
                          i < ARRAY_LEN(values) ? values[i]
                                                : (struct slice){long_value, sizeof(long_value)});
        assert_sent(&answer, broken, "");
        http_answer_free(&answer);
    }
    http_answer_init(&answer);
    answer.content_type = "text/plain";
    answer.status = 304;
    answer.body.max = 10;
    strbuf_add_cstr(&answer.body, "half of it");
    strbuf_add_cstr(&answer.body, " is missing");
    assert_sent(&answer, broken, "");
    http_answer_free(&answer);
}

static void test_phrases(void **state) {
    static const int sent[] = {200, 304, 400, 401, 404, 405, 410, 413, 415, 500, 503};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sent); i++)
        CHECK(i, strcmp(http_phrase(sent[i]), "Unknown") != 0);
    assert_string_equal(http_phrase(413), "Content Too Large");
    assert_string_equal(http_phrase(299), "Unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params),         cmocka_unit_test(test_all_values_of_a_header),
        cmocka_unit_test(test_path),           cmocka_unit_test(test_decode),
        cmocka_unit_test(test_query),          cmocka_unit_test(test_query_is_bounded),
        cmocka_unit_test(test_answer),         cmocka_unit_test(test_problem),
        cmocka_unit_test(test_broken_answers), cmocka_unit_test(test_phrases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

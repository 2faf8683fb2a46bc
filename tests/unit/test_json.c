/* JSON: what is read, what is refused and where, the canonical form, and writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(row, condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("row %zu: %s", row, #condition);                                              \
    } while (0)

/* ---- parsing ---- */

static void test_status(void **state) {
    static const struct {
        struct slice text;
        enum json_status status;
    } rows[] = {
        {SLICE("{}"), JSON_OK},
        {SLICE("[]"), JSON_OK},
        {SLICE("null"), JSON_OK},
        {SLICE("\"x\""), JSON_OK},
        {SLICE(" \t\r\n1 \n"), JSON_OK},
        {SLICE("-0"), JSON_OK},
        {SLICE("9223372036854775807"), JSON_OK},
        {SLICE("-9223372036854775808"), JSON_OK},
        {SLICE("1.7976931348623157e308"), JSON_OK},
        {SLICE("1e-999"), JSON_OK},
        {SLICE("\"\\u0000\""), JSON_OK},
        {SLICE("\"\\ud83d\\ude00\""), JSON_OK},
        {SLICE("{\"a\":1,\"a\":2}"), JSON_OK},
        {SLICE("{\"\":1}"), JSON_OK},
        {SLICE("\"\x7f\""), JSON_OK},
        /* U+0000 in a key. */
        {SLICE("{\"\\u0000\":1}"), JSON_UNREPRESENTABLE},
        {SLICE("{\"a\":[{\"x\\u0000y\":\"\\u0000\"}],\"\\\\\\u0000\":2}"), JSON_UNREPRESENTABLE},
        {SLICE("{\"\\u0000\":1"), JSON_INVALID},
        {SLICE("{\"\\u0000\":1}x"), JSON_INVALID},
        {SLICE("{\"\\u0000\":\\u0000}"), JSON_INVALID},
        {SLICE("{\"\\u0000\":99999999999999999999}"), JSON_UNREPRESENTABLE},
        {SLICE("{\"\\u0000\":1e999}"), JSON_INVALID},
        /* An even number of backslashes: no escape. */
        {SLICE("{\"\\\\u0000\":1}"), JSON_OK},
        {SLICE("{\"\\\\\\\\u0000\":1}"), JSON_OK},
        {SLICE("{\"\\\\u0000\":1,\"\\u0000\":\"\\\\u0000\"}"), JSON_UNREPRESENTABLE},
        /* Not JSON. */
        {SLICE(""), JSON_INVALID},
        {{NULL, 0}, JSON_INVALID},
        {SLICE(" "), JSON_INVALID},
        {SLICE("{"), JSON_INVALID},
        {SLICE("[1,]"), JSON_INVALID},
        {SLICE("{\"a\":1,}"), JSON_INVALID},
        {SLICE("{a:1}"), JSON_INVALID},
        {SLICE("'a'"), JSON_INVALID},
        {SLICE("nul"), JSON_INVALID},
        {SLICE("True"), JSON_INVALID},
        {SLICE("NaN"), JSON_INVALID},
        {SLICE("01"), JSON_INVALID},
        {SLICE("+1"), JSON_INVALID},
        {SLICE("1."), JSON_INVALID},
        {SLICE(".5"), JSON_INVALID},
        {SLICE("1 2"), JSON_INVALID},
        {SLICE("{}{}"), JSON_INVALID},
        {SLICE("\"a\nb\""), JSON_INVALID},
        {SLICE("\"\\x\""), JSON_INVALID},
        {SLICE("\"\\u12\""), JSON_INVALID},
        {SLICE("\"\\ud83d\""), JSON_INVALID},
        {SLICE("\"\\ude00\""), JSON_INVALID},
        {SLICE("// x\n1"), JSON_INVALID},
        {SLICE("\xef\xbb\xbf{}"), JSON_INVALID},
        /* Integers beyond int64 are strings of their digits, numbers beyond double are nothing. */
        {SLICE("9223372036854775808"), JSON_OK},
        {SLICE("-9223372036854775809"), JSON_OK},
        {SLICE("[9223372036854775808,1e309]"), JSON_INVALID},
        {SLICE("09223372036854775808"), JSON_INVALID},
        {SLICE("9223372036854775808x"), JSON_INVALID},
        {SLICE("+9223372036854775808"), JSON_INVALID},
        {SLICE("{9223372036854775808:1}"), JSON_INVALID},
        {SLICE("1e309"), JSON_INVALID},
        {SLICE("[-1e999]"), JSON_INVALID},
        /* Not UTF-8. */
        {SLICE("\"\xff\""), JSON_INVALID},
        {SLICE("\"\xc3\""), JSON_INVALID},
        {SLICE("\"\xed\xa0\x80\""), JSON_INVALID},
        {SLICE("\"\xc0\x80\""), JSON_INVALID},
        {SLICE("{\"\xff\":1}"), JSON_INVALID},
        {SLICE("{}\xff"), JSON_INVALID},
        /* A raw NUL, wherever it is; Jansson alone would accept the second. */
        {SLICE("\0"), JSON_INVALID},
        {SLICE("1\0"), JSON_INVALID},
        {SLICE("{}\0"), JSON_INVALID},
        {SLICE("\0{}"), JSON_INVALID},
        {SLICE("\"a\0b\""), JSON_INVALID},
        {SLICE("[1\0,2]"), JSON_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc *doc = (struct json_doc *)&doc;
        struct json_position where;
        CHECK(i, json_parse(rows[i].text, &doc, &where) == rows[i].status);
        CHECK(i, (doc != NULL) == (rows[i].status == JSON_OK));
        CHECK(i, (where.message[0] != '\0') == (rows[i].status == JSON_INVALID));
        CHECK(i, rows[i].status != JSON_INVALID || where.line >= 1);
        json_doc_free(doc);
    }
}

static void test_position(void **state) {
    static const struct {
        struct slice text;
        int line, column;
        const char *message;
    } rows[] = {
        {SLICE(""), 1, 0, "the text is empty"},
        {SLICE("\n\n {\"a\":tru}"), 3, 9, "not JSON"},
        {SLICE("{\"a\":1,\n\"b\":1e999}"), 2, 9, "a number is too large"},
        /* Where it stands in the sender's text, not in the one with quotes. */
        {SLICE("[9223372036854775808,\n9223372036854775808, 1e999]"), 2, 26,
         "a number is too large"},
        {SLICE("[9223372036854775808,\"\xc3\xa4\", tru]"), 1, 29, "not JSON"},
        {SLICE("{\"\\u0000\":9223372036854775808,\n 1 2}"), 2, 2, "not JSON"},
        {SLICE("{\"a\":"), 1, 5, "the text ends too early"},
        {SLICE("{} x"), 1, 4, "something follows the value"},
        {SLICE("[\n\"\xc3\xa4\xff\"]"), 2, 2, "not UTF-8"},
        {SLICE("\0"), 1, 1, "a NUL byte"},
        {SLICE("[\n\"\xc3\xa4\xe2\x82\xac\0\"]"), 2, 4, "a NUL byte"},
        {SLICE("{\"\\u0000\":\n 1 2}"), 2, 4, "not JSON"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc *doc;
        struct json_position where;
        CHECK(i, json_parse(rows[i].text, &doc, &where) == JSON_INVALID);
        if (where.line != rows[i].line || where.column != rows[i].column ||
            strcmp(where.message, rows[i].message) != 0)
            fail_msg("row %zu: %d:%d %s", i, where.line, where.column, where.message);
    }
}

/* No message quotes what was sent. */
static void test_message_is_ours(void **state) {
    static const char *const rows[] = {
        "hunter2",       "{\"a\":hunter2}", "{hunter2",         "[1 \"hunter2\"]",     "\"hunter2",
        "{\"hunter2\"}", "{} \"hunter2\"",  "\"\\u00hunter2\"", "{\"a\" \"hunter2\"}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc *doc;
        struct json_position where;
        CHECK(i, json_parse(slice_from_cstr(rows[i]), &doc, &where) == JSON_INVALID);
        CHECK(i, strstr(where.message, "hunter2") == NULL && strchr(where.message, '\'') == NULL);
    }
}

static enum json_status parse_nested(const char *unit, const char *middle, size_t depth) {
    struct strbuf text = STRBUF_INIT(8u << 20);
    struct json_position where;
    struct json_doc *doc;
    enum json_status status;

    for (size_t i = 0; i < depth; i++)
        strbuf_add_cstr(&text, unit);
    strbuf_add_cstr(&text, middle);
    for (size_t i = 0; *middle && i < depth; i++)
        strbuf_add_char(&text, unit[0] == '[' ? ']' : '}');
    status = json_parse(strbuf_slice(&text), &doc, &where);
    json_doc_free(doc);
    strbuf_free(&text);
    return status;
}

static void test_nesting(void **state) {
    static const struct {
        const char *unit, *middle;
        size_t depth;
        enum json_status status;
    } rows[] = {
        {"[", "1", 2047, JSON_OK},
        {"[", "1", 2048, JSON_INVALID},
        {"{\"a\":", "1", 2047, JSON_OK},
        {"{\"a\":", "1", 2048, JSON_INVALID},
        {"[", "", 1u << 20, JSON_INVALID},
        {"[", "1", 1u << 20, JSON_INVALID},
        {"{\"a\":", "", 200000, JSON_INVALID},
        {"{\"\\u0000\":", "1", 2047, JSON_UNREPRESENTABLE},
        {"{\"\\u0000\":", "1", 100000, JSON_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK(i, parse_nested(rows[i].unit, rows[i].middle, rows[i].depth) == rows[i].status);
}

/* ---- the Nth allocation fails ---- */

/* Jansson's own; its header stays with json.c. */
void json_set_alloc_funcs(void *(*malloc_fn)(size_t), void (*free_fn)(void *));
void json_get_alloc_funcs(void *(**malloc_fn)(size_t), void (**free_fn)(void *));

static void *(*allocate)(size_t);
static size_t allocations, failing;

static void *failing_allocate(size_t size) {
    return allocate(++allocations == failing ? SIZE_MAX : size);
}

/* TEXT must fail for lack of memory as long as an allocation fails, and come to STATUS then. */
static void check_memory(struct slice text, enum json_status expected, size_t least) {
    enum json_status status = JSON_NO_MEMORY;

    for (failing = 1; status == JSON_NO_MEMORY; failing++) {
        struct json_doc *doc;
        struct json_position where;
        allocations = 0;
        status = json_parse(text, &doc, &where);
        if ((doc != NULL) != (status == JSON_OK))
            fail_msg("allocation %zu", failing);
        json_doc_free(doc);
    }
    if (status != expected || failing <= least || allocations + 2 != failing)
        fail_msg("%d after %zu of %zu", (int)status, failing, allocations);
}

static void test_no_memory(void **state) {
    struct strbuf text = STRBUF_INIT(10000);
    void (*release)(void *);
    struct json_doc *doc;
    struct json_position where;

    (void)state;
    assert_int_equal(json_parse(SLICE_OF("1"), &doc, &where), JSON_OK);
    json_doc_free(doc);
    json_get_alloc_funcs(&allocate, &release);
    json_set_alloc_funcs(failing_allocate, release);
    check_memory(SLICE_OF("{\"a\":[1,2.5,\"x\",{\"b\":null}],\"c\":\"\\u00e4\"}"), JSON_OK, 15);
    check_memory(SLICE_OF("{\"a\":{\"x\\u0000\":1},\"b\":[true]}"), JSON_UNREPRESENTABLE, 10);
    check_memory(SLICE_OF("{\"a\":[1,\"b\",nul]}"), JSON_INVALID, 5);
    /* Long tokens and many members, so that buffers and tables grow. */
    strbuf_add_char(&text, '{');
    for (int i = 0; i < 50; i++)
        strbuf_addf(&text, "\"k%d\":[%d,\"%0*d\"],", i, i, 4 * i + 1, i);
    strbuf_add_cstr(&text, "\"z\":1}");
    check_memory(strbuf_slice(&text), JSON_OK, 200);
    json_set_alloc_funcs(allocate, release);
    strbuf_free(&text);
}

/* ---- reading ---- */

static const struct json *parse(const char *text, struct json_doc **doc) {
    struct json_position where;

    if (json_parse(slice_from_cstr(text), doc, &where) != JSON_OK)
        fail_msg("%s: %s", text, where.message);
    return json_root(*doc);
}

static void test_types(void **state) {
    static const char *const keys[] = {"o", "a", "s", "i", "r", "t", "f", "n", "missing"};
    struct json_doc *doc;
    const struct json *root = parse(
        "{\"o\":{},\"a\":[1],\"s\":\"x\",\"i\":-3,\"r\":1.0,\"t\":true,\"f\":false,\"n\":null}",
        &doc);

    (void)state;
    for (size_t i = 0; i <= ARRAY_LEN(keys); i++) {
        const char *key = i < ARRAY_LEN(keys) ? keys[i] : "";
        const struct json *value = json_get(root, key);
        int64_t integer = 42;
        bool boolean = false;

        CHECK(i, json_is_object(value) == (*key == 'o'));
        CHECK(i, json_is_array(value) == (*key == 'a'));
        CHECK(i, json_is_string(value) == (*key == 's'));
        CHECK(i, json_is_integer(value) == (*key == 'i'));
        CHECK(i, json_is_null(value) == (*key == 'n' || value == NULL));
        CHECK(i, json_to_integer(value, &integer) == (*key == 'i'));
        CHECK(i, integer == (*key == 'i' ? -3 : 42));
        CHECK(i, json_to_boolean(value, &boolean) == (*key == 't' || *key == 'f'));
        CHECK(i, boolean == (*key == 't'));
        CHECK(i, json_array_len(value) == (*key == 'a'));
        CHECK(i, (json_array_at(value, 0) != NULL) == (*key == 'a'));
        CHECK(i, json_array_at(value, 1) == NULL);
        CHECK(i, json_get(value, "x") == NULL);
    }
    assert_null(json_get(NULL, "x"));
    json_doc_free(doc);
    json_doc_free(NULL);
    assert_null(json_root(NULL));
}

static void test_path(void **state) {
    static const struct {
        const char *path;
        bool found;
    } rows[] = {
        {"a.b.c", true},  {"a.b", true},    {"a", true},       {"a.b.c.d", false}, {"x", false},
        {"a.x.c", false}, {"a.l.c", false}, {"", false},       {".", false},       {"a.", false},
        {".a", false},    {"a..b", false},  {"a.b.c.", false}, {"A", false},
    };
    struct json_doc *doc;
    const struct json *root = parse("{\"a\":{\"b\":{\"c\":7},\"l\":[{\"c\":1}]}}", &doc);
    int64_t value;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK(i, (json_path(root, rows[i].path) != NULL) == rows[i].found);
    assert_true(json_to_integer(json_path(root, "a.b.c"), &value) && value == 7);
    assert_null(json_path(NULL, "a"));
    json_doc_free(doc);
}

static void test_text(void **state) {
    static const struct {
        const char *json;
        struct slice text, or_integer;
    } rows[] = {
        {"\"abc\"", SLICE("abc"), SLICE("abc")},
        {"\"\"", SLICE(""), SLICE("")},
        {"\"\\u0000\"", SLICE("\xef\xbf\xbd"), SLICE("\xef\xbf\xbd")},
        {"\"a\\u0000b\\u0000\"",
         SLICE("a\xef\xbf\xbd"
               "b\xef\xbf\xbd"),
         SLICE("a\xef\xbf\xbd"
               "b\xef\xbf\xbd")},
        {"\"\\ud83d\\ude00\"", SLICE("\xf0\x9f\x98\x80"), SLICE("\xf0\x9f\x98\x80")},
        {"12", SLICE(""), SLICE("12")},
        {"-9223372036854775808", SLICE(""), SLICE("-9223372036854775808")},
        {"1.5", SLICE(""), SLICE("")},
        {"true", SLICE(""), SLICE("")},
        {"null", SLICE(""), SLICE("")},
        {"[\"a\"]", SLICE(""), SLICE("")},
    };
    struct arena *arena = arena_new(1u << 20), *tiny = arena_new(2);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc *doc;
        const struct json *root = parse(rows[i].json, &doc);
        bool failed = false, tiny_failed = false, failed_before = true;
        struct slice text = json_text(root, arena, &failed);
        struct slice or_integer = json_text_or_integer(root, arena, &failed);

        CHECK(i, json_text_or_integer(root, tiny, &tiny_failed).len == 0);
        CHECK(i, tiny_failed == (rows[i].or_integer.len > 0));
        (void)json_text(root, arena, &failed_before);
        CHECK(i, failed_before);
        json_doc_free(doc); /* the texts outlive it */
        CHECK(i,
              !failed && slice_eq(text, rows[i].text) && slice_eq(or_integer, rows[i].or_integer));
    }
    assert_int_equal(json_text(NULL, arena, &(bool){false}).len, 0);
    arena_free(arena);
    arena_free(tiny);
}

static void test_last_key_stands(void **state) {
    struct json_doc *doc;
    int64_t value = 0;

    (void)state;
    assert_true(json_to_integer(json_get(parse("{\"a\":1,\"a\":2}", &doc), "a"), &value));
    assert_int_equal(value, 2);
    json_doc_free(doc);
}

/* ---- the canonical form ---- */

static void test_canonical(void **state) {
    static const struct {
        const char *text, *omit, *canonical;
    } rows[] = {
        {"{ \"b\" : 1,\n\"a\" : [ 1 , {\"d\":2,\"c\":null} ] }", NULL,
         "{\"a\":[1,{\"c\":null,\"d\":2}],\"b\":1}"},
        {"{\"a\":1,\"retry_count\":3}", "retry_count", "{\"a\":1}"},
        {"{\"retry_count\":{\"x\":[]},\"a\":{\"retry_count\":4}}", "retry_count",
         "{\"a\":{\"retry_count\":4}}"},
        {"{\"a\":1}", "retry_count", "{\"a\":1}"},
        {"{\"a\":null}", "a", "{}"},
        {"[{\"a\":1}]", "a", "[{\"a\":1}]"},
        {"\"a\"", "a", "\"a\""},
        {"null", NULL, "null"},
        {" 12 ", "a", "12"},
        {"\"\\u00e4\\/\\u0041\"", NULL, "\"\xc3\xa4/A\""},
        {"\"\\u0000\"", NULL, "\"\\u0000\""},
        {"{\"a\":1,\"a\":2}", NULL, "{\"a\":2}"},
        {"[1.50,1e2,-0.0]", NULL, "[1.5,100.0,-0.0]"},
        /* By bytes, not by the alphabet of a locale. */
        {"{\"b\":1,\"B\":2,\"\xc3\xa4\":3,\"a\":4,\"ab\":5,\"\":6}", NULL,
         "{\"\":6,\"B\":2,\"a\":4,\"ab\":5,\"b\":1,\"\xc3\xa4\":3}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct strbuf out = STRBUF_INIT(1000), again = STRBUF_INIT(1000);
        struct json_doc *doc;
        const struct json *root = parse(rows[i].text, &doc);

        strbuf_add_cstr(&out, "x");
        assert_true(json_canonical(root, rows[i].omit, &out));
        if (!slice_eq(slice_from(strbuf_slice(&out), 1), slice_from_cstr(rows[i].canonical)))
            fail_msg("row %zu: %.*s", i, SLICE_ARGS(strbuf_slice(&out)));
        /* The tree is as it was. */
        if (rows[i].omit && json_is_object(root)) {
            assert_true(json_canonical(root, NULL, &again));
            CHECK(i, (json_get(root, rows[i].omit) != NULL) ==
                         (strstr(rows[i].text, rows[i].omit) != NULL));
        }
        strbuf_free(&out);
        strbuf_free(&again);
        json_doc_free(doc);
    }
}

static void test_canonical_fails(void **state) {
    struct strbuf out = STRBUF_INIT(5);
    struct json_doc *doc;

    (void)state;
    assert_false(json_canonical(parse("{\"a\":12}", &doc), NULL, &out));
    strbuf_clear(&out);
    assert_true(json_canonical(json_get(json_root(doc), "a"), NULL, &out));
    strbuf_free(&out);
    json_doc_free(doc);
}

/* ---- writing ---- */

static void test_writer(void **state) {
    static const char expected[] =
        "{\"a\":\"x\",\"b\":null,\"c\":[1,\"y\",{},[],{\"d\":true}],\"e\":-9223372036854775808,"
        "\"f\":null,\"g\":[{\"raw\":1},2],\"q\\\"\":false}";
    struct strbuf out = STRBUF_INIT(1000);
    struct json_writer w;

    (void)state;
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_text(&w, "a", SLICE_OF("x"));
    json_put_text(&w, "b", SLICE_EMPTY);
    json_begin_array(&w, "c");
    json_put_integer(&w, NULL, 1);
    json_put_text(&w, NULL, SLICE_OF("y"));
    json_begin_object(&w, NULL);
    json_end_object(&w);
    json_begin_array(&w, NULL);
    json_end_array(&w);
    json_begin_object(&w, NULL);
    json_put_boolean(&w, "d", true);
    json_end_object(&w);
    json_end_array(&w);
    json_put_integer(&w, "e", INT64_MIN);
    json_put_null(&w, "f");
    json_begin_array(&w, "g");
    json_put_raw(&w, NULL, SLICE_OF("{\"raw\":1}"));
    json_put_raw(&w, NULL, SLICE_OF("2"));
    json_end_array(&w);
    json_put_boolean(&w, "q\"", false);
    json_end_object(&w);
    assert_int_equal(out.len, sizeof(expected) - 1);
    assert_memory_equal(out.data, expected, out.len);
    strbuf_free(&out);
}

static void test_escapes(void **state) {
    static const struct {
        struct slice text;
        const char *json;
    } rows[] = {
        {SLICE("plain /"), "\"plain /\""},
        {SLICE("\"\\"), "\"\\\"\\\\\""},
        {SLICE("\n\r\t\b\f"), "\"\\n\\r\\t\\b\\f\""},
        {SLICE("\x01\x1f\x7f"), "\"\\u0001\\u001f\x7f\""},
        {SLICE("a\0b"), "\"a\xef\xbf\xbd"
                        "b\""},
        {SLICE("M\xc3\xbcnchen"), "\"M\xc3\xbcnchen\""},
        {SLICE("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\""},
        {SLICE("\xff"), "\"\xef\xbf\xbd\""},
        {SLICE("x\xc3"), "\"x\xef\xbf\xbd\""},
        {SLICE("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {SLICE("\xe2\x82z"), "\"\xef\xbf\xbd\xef\xbf\xbdz\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct strbuf out = STRBUF_INIT(1000);
        struct json_writer w;
        json_writer_init(&w, &out);
        json_put_text(&w, NULL, rows[i].text);
        if (!slice_eq(strbuf_slice(&out), slice_from_cstr(rows[i].json)))
            fail_msg("row %zu: %.*s", i, SLICE_ARGS(strbuf_slice(&out)));
        strbuf_free(&out);
    }
}

/* Any bytes give valid JSON, and well-formed text comes back as it was. */
static void test_round_trip(void **state) {
    struct arena *arena = arena_new(64u << 20);

    (void)state;
    for (unsigned seed = 0; seed < 2000; seed++) {
        struct strbuf out = STRBUF_INIT(1000);
        struct json_position where;
        struct json_writer w;
        struct json_doc *doc;
        bool failed = false;
        char text[16];
        unsigned random = seed * 2654435761u + 1;

        for (size_t i = 0; i < sizeof(text); i++) {
            random = random * 1664525u + 1013904223u;
            text[i] = (char)(random >> 24);
        }
        json_writer_init(&w, &out);
        json_put_text(&w, NULL, (struct slice){text, sizeof(text)});
        assert_int_equal(json_parse(strbuf_slice(&out), &doc, &where), JSON_OK);
        if (slice_is_utf8((struct slice){text, 4}) && !memchr(text, '\0', 4))
            assert_memory_equal(json_text(json_root(doc), arena, &failed).data, text, 4);
        assert_false(failed);
        json_doc_free(doc);
        strbuf_free(&out);
    }
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_message_is_ours),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_last_key_stands),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_canonical_fails),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

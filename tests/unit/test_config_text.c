/* The text that libConfuse gets to see: what is kept, blanked out, made literal and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/config_text.h"

#include <string.h>

static void test_prepare(void **state) {
    static const struct {
        struct slice text, out; /* OUT without the newline at its end */
        int line;               /* of the flaw */
        const char *reason;     /* its beginning */
    } rows[] = {
        {SLICE(""), SLICE(""), 0, NULL},
        {SLICE("a { b = c }"), SLICE("a { b = c }"), 0, NULL},
        {SLICE("a{b={\"c\",'d'} e+=f}"), SLICE("a{b={\"c\",'d'} e+=f}"), 0, NULL},
        {SLICE("\xc3\xa4 https://x/y a//b"), SLICE("\xc3\xa4 https://x/y a//b"), 0, NULL},
        {SLICE("\r\n\t"), SLICE(" \n "), 0, NULL},
        /* Comments. */
        {SLICE("# x\ny"), SLICE("   \ny"), 0, NULL},
        {SLICE("a#x"), SLICE("a  "), 0, NULL},
        {SLICE("// \"x\ny // z"), SLICE("     \ny     "), 0, NULL},
        {SLICE("/* \"{\n'*/x /**/"), SLICE("     \n   x     "), 0, NULL},
        {SLICE("x/**/"), SLICE(""), 1, "a '+' or '*'"}, /* for libConfuse, x/ is a word */
        {SLICE("/*/ */x"), SLICE("      x"), 0, NULL},
        {SLICE("a \"#//*\" '/*#'"), SLICE("a \"#//*\" '/*#'"), 0, NULL},
        {SLICE("\n/* x"), SLICE(""), 2, "a comment is not closed"},
        {SLICE("/*/"), SLICE(""), 1, "a comment is not closed"},
        /* The environment. */
        {SLICE("\"${A}\""), SLICE("\"\\${A}\""), 0, NULL},
        {SLICE("\"$${\""), SLICE("\"$\\${\""), 0, NULL},
        {SLICE("\"\\${A}\""), SLICE("\"\\${A}\""), 0, NULL},
        {SLICE("\"\\\\${A}\""), SLICE("\"\\\\\\${A}\""), 0, NULL},
        {SLICE("\"$A $\""), SLICE("\"$A $\""), 0, NULL},
        {SLICE("'${A}'"), SLICE("'${A}'"), 0, NULL},
        {SLICE("$A"), SLICE("$A"), 0, NULL},
        {SLICE("a\n${A}"), SLICE(""), 2, "\"${\" stands in quotes only"},
        {SLICE("a${A}"), SLICE(""), 1, "\"${\" stands in quotes only"},
        /* Quotes. */
        {SLICE("\"a'b\" 'a\"b'"), SLICE("\"a'b\" 'a\"b'"), 0, NULL},
        {SLICE("\"a\\\"b\" 'a\\'b'"), SLICE("\"a\\\"b\" 'a\\'b'"), 0, NULL},
        {SLICE("'a\\nb\\\\'"), SLICE("'a\\nb\\\\'"), 0, NULL},
        {SLICE("\"a\\\nb\" 'c\\\nd' x|"), SLICE(""), 3, "a '|'"},
        {SLICE("\n\"a"), SLICE(""), 2, "a quote is not closed"},
        {SLICE("\n\"a\nb\""), SLICE(""), 2, "a quote is not closed"},
        {SLICE("'a\nb'"), SLICE(""), 1, "a quote is not closed"},
        {SLICE("'a"), SLICE(""), 1, "a quote is not closed"},
        {SLICE("'a\\"), SLICE(""), 1, "a quote is not closed"},
        {SLICE("\"a\\"), SLICE(""), 1, "a quote is not closed"},
        {SLICE("\"a\\\""), SLICE(""), 1, "a quote is not closed"},
        /* Escapes. */
        {SLICE("\"\\a\\b\\e\\f\\n\\r\\t\\v\\\\\\'\\/\""),
         SLICE("\"\\a\\b\\e\\f\\n\\r\\t\\v\\\\\\'\\/\""), 0, NULL},
        {SLICE("\"\\1\\12\\377\\x1\\xfF0\""), SLICE("\"\\1\\12\\377\\x1\\xfF0\""), 0, NULL},
        {SLICE("\"DOMAIN\\user\""), SLICE(""), 1, "unknown escape"},
        {SLICE("\"\\N\""), SLICE(""), 1, "unknown escape"},
        {SLICE("\"\\0\""), SLICE(""), 1, "bad escape"},
        {SLICE("\"\\000\""), SLICE(""), 1, "bad escape"},
        {SLICE("\"\\400\""), SLICE(""), 1, "bad escape"},
        {SLICE("\"\\1234\""), SLICE(""), 1, "bad escape"},
        {SLICE("\"\\18\""), SLICE(""), 1, "bad escape"},
        {SLICE("\"\\9\""), SLICE(""), 1, "bad escape"},
        {SLICE("\"\\x\""), SLICE(""), 1, "bad escape"},
        {SLICE("\"\\xg\""), SLICE(""), 1, "bad escape"},
        {SLICE("\"\\x0\""), SLICE(""), 1, "bad escape"},
        {SLICE("\"\\x00\""), SLICE(""), 1, "bad escape"},
        /* What libConfuse would leave out or take for something else. */
        {SLICE("a = *"), SLICE(""), 1, "a '+' or '*'"},
        {SLICE("a = b*"), SLICE(""), 1, "a '+' or '*'"},
        {SLICE("a + b"), SLICE(""), 1, "a '+' or '*'"},
        {SLICE("a|b = c"), SLICE(""), 1, "a '|'"},
        {SLICE("\"a|*+\""), SLICE("\"a|*+\""), 0, NULL},
        {SLICE("\n\0"), SLICE(""), 2, "a NUL byte"},
        {SLICE("\"\0\""), SLICE(""), 1, "a control character"},
        {SLICE("'\x01'"), SLICE(""), 1, "a control character"},
        {SLICE("\x7f"), SLICE(""), 1, "a control character"},
        {SLICE("a\x01"), SLICE(""), 1, "a control character"},
        /* Braces. */
        {SLICE("a {\n}\n}"), SLICE(""), 3, "a closing brace too many"},
        {SLICE("a { }\nb {\n c = { }\n"), SLICE(""), 2, "the section that begins here"},
        {SLICE("a { b = {\"}\"} } # }"), SLICE("a { b = {\"}\"} }    "), 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *arena = arena_new(10000);
        struct config_text out;
        struct config_flaw flaw;
        bool ok = config_text_prepare(rows[i].text, arena, &out, &flaw);

        if (ok != (rows[i].reason == NULL))
            fail_msg("row %zu: %s", i, flaw.reason ? flaw.reason : "accepted");
        if (ok && (out.text.len != rows[i].out.len + 1 || out.text.data[out.text.len - 1] != '\n' ||
                   !slice_eq(slice_first(out.text, out.text.len - 1), rows[i].out)))
            fail_msg("row %zu: %.*s", i, SLICE_ARGS(out.text));
        if (!ok && rows[i].reason &&
            (flaw.line != rows[i].line || !flaw.reason ||
             strncmp(flaw.reason, rows[i].reason, strlen(rows[i].reason)) != 0))
            fail_msg("row %zu: %d: %s", i, flaw.line, flaw.reason);
        arena_free(arena);
    }
}

static void test_section_lines(void **state) {
    static const struct slice text = SLICE("a { x = { } y = \"{\" }\n"
                                           "# b {\n"
                                           "c { } d\n"
                                           "/* e { */ {\n"
                                           "}\n"
                                           "f { }");
    static const int lines[] = {1, 3, 4, 6};
    struct arena *arena = arena_new(10000);
    struct config_text out;
    struct config_flaw flaw;

    (void)state;
    assert_true(config_text_prepare(text, arena, &out, &flaw));
    assert_int_equal(out.section_count, ARRAY_LEN(lines));
    assert_memory_equal(out.section_lines, lines, sizeof(lines));
    arena_free(arena);
}

static void test_no_memory(void **state) {
    struct config_text out;
    struct config_flaw flaw;
    size_t max = 0;
    bool ok = false;

    (void)state;
    for (; !ok; max++) {
        struct arena *arena = arena_new(max);
        ok = config_text_prepare(SLICE_OF("a { b = \"${c}\" }"), arena, &out, &flaw);
        assert_null(flaw.reason);
        arena_free(arena);
    }
    assert_true(max > 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_section_lines),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

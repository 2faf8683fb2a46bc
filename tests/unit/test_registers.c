/* The keys of a row as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "choices.h"
#include "domain/registers.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX ((size_t)1 << 16)

static struct slice encode(const struct registers *registers, struct strbuf *out) {
    registers_encode(registers, out);
    assert_false(strbuf_failed(out));
    return strbuf_slice(out);
}

static bool are_same(const struct registers *a, const struct registers *b) {
    for (size_t i = 0; i < REGISTERS_MAX; i++) {
        if ((a->keys[i].data == NULL) != (b->keys[i].data == NULL) ||
            !slice_eq(a->keys[i], b->keys[i])) {
            return false;
        }
    }
    return true;
}

/* "0=a 5=b 31=a" */
static struct registers registers_of(const char *text) {
    struct registers registers = {.keys = {SLICE_EMPTY}};
    struct slice rest = slice_from_cstr(text), word, number;
    while (rest.len > 0) {
        int64_t n;
        struct slice key;
        (void)slice_split(rest, ' ', &word, &rest);
        (void)slice_split(word, '=', &number, &key);
        assert_true(slice_to_int64(number, &n));
        registers.keys[n] = key;
    }
    return registers;
}

static const struct {
    const char *registers;
    const char *bytes;
    size_t len;
} ENCODINGS[] = {
    {"", "", 0},
    {"0=k", "\x01\x01k", 3},
    {"6=abc",
     "\x40\x03"
     "abc",
     5},
    {"7=k", "\x80\x01\x01k", 4},
    {"31=k", "\x80\x80\x80\x80\x08\x01k", 7},
    /* The same key stands there once. */
    {"0=k 1=k 3=k", "\x0b\x01k", 3},
    /* Entries are in the order of their lowest number. */
    {"1=b 2=a 3=b",
     "\x0a\x01"
     "b\x04\x01"
     "a",
     6},
    {"0=z 31=a",
     "\x01\x01z\x80\x80\x80\x80\x08\x01"
     "a",
     10},
};

static void a_set_of_keys_has_its_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ENCODINGS); i++) {
        struct registers registers = registers_of(ENCODINGS[i].registers), decoded;
        struct strbuf out = STRBUF_INIT(BYTES_MAX);
        struct slice bytes = encode(&registers, &out);
        if (!slice_eq(bytes, (struct slice){ENCODINGS[i].bytes, ENCODINGS[i].len})) {
            fail_msg("'%s' has other bytes", ENCODINGS[i].registers);
        }
        if (!registers_decode(bytes, &decoded) || !are_same(&registers, &decoded)) {
            fail_msg("'%s' is read as another set", ENCODINGS[i].registers);
        }
        strbuf_free(&out);
    }
}

/* Also with lengths beyond one byte of LEB128. */
static void what_is_written_is_read_again(void **state) {
    static char keys[4][400];
    struct choices choices = choices_of_seed(1);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        memset(keys[i], (int)('a' + i), sizeof(keys[i]));
    }
    for (size_t round = 0; round < 20000; round++) {
        struct registers registers = {.keys = {SLICE_EMPTY}}, decoded;
        struct strbuf out = STRBUF_INIT(BYTES_MAX), again = STRBUF_INIT(BYTES_MAX);
        for (size_t i = 0; i < REGISTERS_MAX; i++) {
            if (choose_whether(&choices, 40)) {
                registers.keys[i] = (struct slice){keys[choose(&choices, ARRAY_LEN(keys))],
                                                   1 + choose(&choices, 400)};
            }
        }
        struct slice bytes = encode(&registers, &out);
        assert_true(registers_decode(bytes, &decoded));
        assert_true(are_same(&registers, &decoded));
        assert_true(slice_eq(encode(&decoded, &again), bytes));
        strbuf_free(&out);
        strbuf_free(&again);
    }
}

/* However the keys came together, also when one stands in two places of memory. */
static void one_set_has_one_encoding(void **state) {
    const char one[] = "key", two[] = "key";
    struct registers a = {.keys = {[2] = SLICE("key"), [9] = SLICE("other")}};
    struct registers b = a;
    struct strbuf out_a = STRBUF_INIT(BYTES_MAX), out_b = STRBUF_INIT(BYTES_MAX);
    (void)state;
    a.keys[4] = a.keys[2];
    b.keys[2] = slice_from_cstr(one);
    b.keys[4] = slice_from_cstr(two);
    assert_true(slice_eq(encode(&a, &out_a), encode(&b, &out_b)));
    strbuf_free(&out_a);
    strbuf_free(&out_b);
}

/* A later release may have written them. */
static void numbers_without_a_fact_are_kept(void **state) {
    static const char bytes[] = "\x01\x01k\x80\x80\x80\x80\x04\x02uv\x80\x80\x80\x80\x08\x01w";
    const struct slice known = {bytes, sizeof(bytes) - 1};
    struct registers registers;
    struct strbuf out = STRBUF_INIT(BYTES_MAX);
    (void)state;
    assert_true(registers_decode(known, &registers));
    assert_true(slice_eq(registers.keys[30], SLICE_OF("uv")));
    assert_true(slice_eq(registers.keys[31], SLICE_OF("w")));
    assert_true(slice_eq(encode(&registers, &out), known));
    registers.keys[0] = SLICE_OF("n");
    strbuf_clear(&out);
    assert_true(registers_decode(encode(&registers, &out), &registers));
    assert_true(slice_eq(registers.keys[30], SLICE_OF("uv")));
    strbuf_free(&out);
}

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
} MALFORMED[] = {
    {"a mask alone", "\x01", 1},
    {"a key of no length", "\x01\x00", 2},
    {"a key of no register", "\x00\x01k", 3},
    {"a mask that does not end", "\x80", 1},
    {"a key that is cut off", "\x01\x02k", 3},
    {"a length that does not end", "\x01\x80", 2},
    {"a register beyond the last", "\x80\x80\x80\x80\x10\x01k", 7},
    {"a mask of too many bytes", "\x80\x80\x80\x80\x80\x01\x01k", 8},
    {"a length of too many bytes", "\x01\x80\x80\x80\x80\x80\x00k", 8},
    {"the longest length", "\x01\xff\xff\xff\xff\x7fk", 7},
    {"a second entry that is cut off", "\x01\x01k\x02", 4},
};

static void what_is_no_encoding_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(MALFORMED); i++) {
        /* Its memory ends where it ends. */
        char *exact = malloc(MALFORMED[i].len);
        struct registers registers;
        assert_non_null(exact);
        memcpy(exact, MALFORMED[i].bytes, MALFORMED[i].len);
        if (registers_decode((struct slice){exact, MALFORMED[i].len}, &registers)) {
            fail_msg("not refused: %s", MALFORMED[i].name);
        }
        free(exact);
    }
}

static void too_little_space_is_a_failure(void **state) {
    const struct registers registers = {.keys = {[0] = SLICE("key")}};
    struct strbuf out = STRBUF_INIT(4);
    (void)state;
    registers_encode(&registers, &out);
    assert_true(strbuf_failed(&out));
    strbuf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_of_keys_has_its_bytes),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(one_set_has_one_encoding),
        cmocka_unit_test(numbers_without_a_fact_are_kept),
        cmocka_unit_test(what_is_no_encoding_is_refused),
        cmocka_unit_test(too_little_space_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

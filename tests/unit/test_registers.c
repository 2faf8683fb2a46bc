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

/* A key as domain/change.h makes it: of a fact, or of a status with this word. */
struct key_spec {
    int64_t version_at, number;
    uint8_t delivery;
    uint32_t change;
    enum status status; /* STATUS_COUNT: a fact */
    const char *word;
};

static struct slice key_of(const struct key_spec *spec, struct arena *arena) {
    const struct uuid delivery = {{spec->delivery}};
    const struct key_base base = {spec->version_at, spec->number, &delivery};
    struct strbuf out = STRBUF_INIT(BYTES_MAX);
    struct slice key;
    if (spec->status == STATUS_COUNT) {
        fact_key(&out, &base, spec->change);
    } else {
        struct status_report report;
        status_report_init(&report);
        report.status = spec->status;
        report.provider_status = slice_from_cstr(spec->word);
        status_key(&out, &report, false, &base, spec->change);
    }
    assert_false(strbuf_failed(&out));
    assert_true(arena_dup(arena, strbuf_slice(&out), &key));
    strbuf_free(&out);
    return key;
}

#define DELIVERY_1 "\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define FACT(at, number, change)                                                                   \
    { at, number, 1, change, STATUS_COUNT, NULL }

/* Which registers have which key, and the bytes of that. */
static const struct {
    const char *name;
    struct {
        size_t number; /* of the register */
        struct key_spec key;
    } keys[4];
    size_t count;
    const char *bytes;
    size_t len;
} ENCODINGS[] = {
    {"nothing is said", {{0}}, 0, "", 0},
    {"one fact", {{1, FACT(0, 0, 0)}}, 1, "\x02\x00\x00\x00" DELIVERY_1 "\x00", 21},
    {"numbers of several bytes",
     {{31, FACT(-65, 64, 300)}},
     1,
     "\x80\x80\x80\x80\x08\x00\x81\x01\x80\x01" DELIVERY_1 "\xac\x02",
     28},
    {"a key of two facts stands there once",
     {{3, FACT(1, 0, 0)}, {5, FACT(1, 0, 0)}},
     2,
     "\x28\x00\x02\x00" DELIVERY_1 "\x00",
     21},
    {"a status has the key of a fact in it",
     {{0, {1, 0, 1, 0, STATUS_IN_TRANSIT, "w"}}, {3, FACT(1, 0, 0)}},
     2,
     "\x08\x01\x01\x02\x1e\x01w\x02\x00" DELIVERY_1 "\x00",
     26},
    {"two registers of one status",
     {{0, {1, 0, 1, 0, STATUS_DELIVERED, ""}}, {1, {1, 0, 1, 0, STATUS_DELIVERED, ""}}},
     2,
     "\x00\x01\x03\x03\x5a\x00\x02\x00" DELIVERY_1 "\x00",
     25},
    {"entries are in the order of their lowest register",
     {{2, FACT(9, 0, 0)}, {1, FACT(8, 0, 0)}, {4, FACT(8, 0, 0)}},
     3,
     "\x12\x00\x10\x00" DELIVERY_1 "\x00\x04\x00\x12\x00" DELIVERY_1 "\x00",
     42},
};

static void a_set_of_keys_has_its_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ENCODINGS); i++) {
        struct arena *arena = arena_new(BYTES_MAX);
        struct registers registers = {.keys = {SLICE_EMPTY}}, decoded;
        struct strbuf out = STRBUF_INIT(BYTES_MAX);
        for (size_t k = 0; k < ENCODINGS[i].count; k++) {
            registers.keys[ENCODINGS[i].keys[k].number] = key_of(&ENCODINGS[i].keys[k].key, arena);
        }
        struct slice bytes = encode(&registers, &out);
        if (!slice_eq(bytes, (struct slice){ENCODINGS[i].bytes, ENCODINGS[i].len})) {
            fail_msg("other bytes: %s", ENCODINGS[i].name);
        }
        if (!registers_decode(bytes, arena, &decoded) || !are_same(&registers, &decoded)) {
            fail_msg("read as another set: %s", ENCODINGS[i].name);
        }
        strbuf_free(&out);
        arena_free(arena);
    }
}

static struct key_spec choose_key(struct choices *choices) {
    static const char *const words[] = {"", "a", "DELIVERED", "a word\x7f of some length"};
    static const int64_t numbers[] = {0, 1, -1, 12345, INT64_MAX, INT64_MIN};
    return (struct key_spec){
        .version_at = numbers[choose(choices, ARRAY_LEN(numbers))],
        .number = numbers[choose(choices, ARRAY_LEN(numbers))],
        .delivery = (uint8_t)choose(choices, 3),
        .change = (uint32_t)choose(choices, 3) * 9999,
        .status =
            choose_whether(choices, 50) ? STATUS_COUNT : (enum status)choose(choices, STATUS_COUNT),
        .word = words[choose(choices, ARRAY_LEN(words))],
    };
}

/* Registers that this release does not know among them. */
static void what_is_written_is_read_again(void **state) {
    struct choices choices = choices_of_seed(1);
    (void)state;
    for (size_t round = 0; round < 20000; round++) {
        struct arena *arena = arena_new((size_t)1 << 20);
        struct registers registers = {.keys = {SLICE_EMPTY}}, decoded;
        struct strbuf out = STRBUF_INIT(BYTES_MAX), again = STRBUF_INIT(BYTES_MAX);
        const struct key_spec few[] = {choose_key(&choices), choose_key(&choices),
                                       choose_key(&choices)};
        for (size_t i = 0; i < REGISTERS_MAX; i++) {
            if (choose_whether(&choices, 40)) {
                registers.keys[i] = key_of(&few[choose(&choices, ARRAY_LEN(few))], arena);
            }
        }
        struct slice bytes = encode(&registers, &out);
        assert_true(registers_decode(bytes, arena, &decoded));
        assert_true(are_same(&registers, &decoded));
        assert_true(slice_eq(encode(&decoded, &again), bytes));
        strbuf_free(&out);
        strbuf_free(&again);
        arena_free(arena);
    }
}

static void a_row_of_one_register_leaves_its_delivery_out(void **state) {
    const struct key_spec spec = FACT(1, 7, 2);
    const struct uuid delivery = {{1}};
    struct arena *arena = arena_new(BYTES_MAX);
    struct strbuf out = STRBUF_INIT(BYTES_MAX);
    struct slice key = key_of(&spec, arena), read;
    (void)state;
    register_encode(key, &out);
    assert_true(slice_eq(strbuf_slice(&out), SLICE_OF("\x02\x0e\x02")));
    assert_true(register_decode(strbuf_slice(&out), &delivery, arena, &read));
    assert_true(slice_eq(key, read));
    assert_false(register_decode(SLICE_OF("\x02\x0e"), &delivery, arena, &read));
    assert_false(register_decode(SLICE_OF("\x02\x0e\x02\x00"), &delivery, arena, &read));
    strbuf_free(&out);
    arena_free(arena);
}

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
} MALFORMED[] = {
    {"a mask alone", "\x01", 1},
    {"an entry of no register", "\x00\x00\x00\x00" DELIVERY_1 "\x00", 21},
    {"a status of no register", "\x00\x01\x00\x02\x1e\x00\x00\x00" DELIVERY_1 "\x00", 25},
    {"a mask that does not end", "\x80", 1},
    {"a mask of too many bits", "\x80\x80\x80\x80\x10\x00\x00\x00" DELIVERY_1 "\x00", 25},
    {"a delivery that is cut off", "\x01\x00\x00\x00\x01\x02", 6},
    {"no change", "\x01\x00\x00\x00" DELIVERY_1, 20},
    {"a change of three bytes", "\x01\x00\x00\x00" DELIVERY_1 "\x80\x80\x04", 23},
    {"too many statuses", "\x00\x21", 2},
    {"a word that is cut off", "\x00\x01\x01\x02\x1e\x05w", 7},
    {"the longest word", "\x00\x01\x01\x02\x1e\xff\xff\xff\xff\x7fw", 11},
    {"a second entry that is cut off", "\x01\x00\x00\x00" DELIVERY_1 "\x00\x02", 22},
};

static void what_is_not_an_encoding_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(MALFORMED); i++) {
        struct arena *arena = arena_new(BYTES_MAX);
        /* Its memory ends where it ends. */
        char *exact = malloc(MALFORMED[i].len);
        struct registers registers;
        assert_non_null(exact);
        memcpy(exact, MALFORMED[i].bytes, MALFORMED[i].len);
        if (registers_decode((struct slice){exact, MALFORMED[i].len}, arena, &registers)) {
            fail_msg("not refused: %s", MALFORMED[i].name);
        }
        free(exact);
        arena_free(arena);
    }
}

static void what_cannot_be_written_is_a_failure(void **state) {
    const struct registers strange = {.keys = {[0] = SLICE("not a key")}};
    const struct key_spec spec = FACT(1, 0, 0);
    struct arena *arena = arena_new(BYTES_MAX);
    const struct registers known = {.keys = {[0] = key_of(&spec, arena)}};
    struct strbuf out = STRBUF_INIT(BYTES_MAX), small = STRBUF_INIT(4);
    (void)state;
    registers_encode(&strange, &out);
    assert_true(strbuf_failed(&out));
    registers_encode(&known, &small);
    assert_true(strbuf_failed(&small));
    strbuf_free(&out);
    strbuf_free(&small);
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_of_keys_has_its_bytes),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_row_of_one_register_leaves_its_delivery_out),
        cmocka_unit_test(what_is_not_an_encoding_is_refused),
        cmocka_unit_test(what_cannot_be_written_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

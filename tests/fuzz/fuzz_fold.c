/*
 * The fold: bytes decide what a few webhooks say, in which order they arrive, which come again and
 * where the batches end. All arrivals end in the same rows, which are those that the definition
 * gives. The first byte may instead have the rest read as the registers of a row.
 *
 * Run from the top of the checkout: the tables are those of the migrations.
 */
#include "fuzz.h"

#include "../unit/fold_oracle_shown.h"
#include "../unit/fold_synthetic.h"

#define WEBHOOKS_MAX 12
#define ARRIVALS 3

/* What is read is written and read again the same; what is not an encoding is refused. */
static void check_registers(struct slice bytes) {
    struct arena *arena = fuzz_arena();
    struct registers registers, again;
    struct strbuf first = STRBUF_INIT(REGISTERS_MAX * (bytes.len + 64)), second = first;
    if (registers_decode(bytes, arena, &registers)) {
        registers_encode(&registers, &first);
        REQUIRE(!strbuf_failed(&first));
        REQUIRE(registers_decode(strbuf_slice(&first), arena, &again));
        for (size_t i = 0; i < REGISTERS_MAX; i++) {
            REQUIRE((registers.keys[i].data == NULL) == (again.keys[i].data == NULL));
            REQUIRE(slice_eq(registers.keys[i], again.keys[i]));
        }
        registers_encode(&again, &second);
        REQUIRE(slice_eq(strbuf_slice(&first), strbuf_slice(&second)));
    }
    strbuf_free(&first);
    strbuf_free(&second);
    arena_free(arena);
}

/* The same of a row that has one. */
static void check_register(struct slice bytes) {
    const struct uuid delivery = {{1}};
    struct arena *arena = fuzz_arena();
    struct slice key, again;
    struct strbuf out = STRBUF_INIT(LIMIT_REGISTER_KEY);
    if (register_decode(bytes, &delivery, arena, &key)) {
        struct uuid found;
        int64_t at;
        REQUIRE(key_origin(key, &found, &at));
        REQUIRE(uuid_eq(&found, &delivery));
        register_encode(key, &out);
        REQUIRE(!strbuf_failed(&out));
        REQUIRE(register_decode(strbuf_slice(&out), &delivery, arena, &again));
        REQUIRE(slice_eq(key, again));
    }
    strbuf_free(&out);
    arena_free(arena);
}

static void check_arrivals(struct choices *choices) {
    const struct fold_style *style = &FOLD_STYLES[choose(choices, ARRAY_LEN(FOLD_STYLES))];
    struct fold_world world = fold_world_new(style->name, 0);
    add_synthetic(&world, choices, style, 2 + choose(choices, WEBHOOKS_MAX - 1));
    struct fold_database end = fold_end_of(&world);
    check_end(&world, &end);
    for (size_t i = 0; i < ARRIVALS; i++) {
        struct fold_arrival arrival = choose_arrival(&world, choices);
        check_arrival(&world, &end, &arrival);
    }
    fold_database_free(&end);
    fold_world_free(&world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice rest = fuzz_input(data, size);
    uint8_t kind = fuzz_byte(&rest);
    if (kind % 2 == 1) {
        struct choices choices = choices_of_bytes(rest);
        check_arrivals(&choices);
    } else if (kind & 2) {
        check_register(rest);
    } else {
        check_registers(rest);
    }
    return 0;
}

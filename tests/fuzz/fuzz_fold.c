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

/* What is read is written and read again the same; what is no encoding is refused. */
static void check_registers(struct slice bytes) {
    struct registers registers, again;
    struct arena *arena = fuzz_arena();
    struct strbuf first = STRBUF_INIT(REGISTERS_MAX * (bytes.len + 64)), second = first;
    if (!registers_decode(bytes, arena, &registers)) {
        arena_free(arena);
        return;
    }
    registers_encode(&registers, &first);
    REQUIRE(!strbuf_failed(&first));
    REQUIRE(registers_decode(strbuf_slice(&first), arena, &again));
    for (size_t i = 0; i < REGISTERS_MAX; i++) {
        REQUIRE(slice_eq(registers.keys[i], again.keys[i]));
    }
    registers_encode(&again, &second);
    REQUIRE(slice_eq(strbuf_slice(&first), strbuf_slice(&second)));
    strbuf_free(&first);
    strbuf_free(&second);
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
    if (fuzz_byte(&rest) % 2 == 0) {
        check_registers(rest);
    } else {
        struct choices choices = choices_of_bytes(rest);
        check_arrivals(&choices);
    }
    return 0;
}

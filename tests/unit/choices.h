/*
 * Where generated tests take their decisions from: a generator with a seed, or bytes that a fuzzer
 * made. Bytes that have run out decide for the first of everything.
 */
#ifndef TESTS_CHOICES_H
#define TESTS_CHOICES_H

#include "base/slice.h"

struct choices {
    uint64_t state;
    struct slice bytes;
    bool from_bytes;
};

static inline struct choices choices_of_seed(uint64_t seed) {
    return (struct choices){.state = seed};
}

static inline struct choices choices_of_bytes(struct slice bytes) {
    return (struct choices){.bytes = bytes, .from_bytes = true};
}

/* splitmix64: every seed is as good as another. */
static inline uint64_t choose_bits(struct choices *choices) {
    if (choices->from_bytes) {
        uint64_t byte = choices->bytes.len > 0 ? (uint8_t)choices->bytes.data[0] : 0;
        choices->bytes = slice_from(choices->bytes, 1);
        return byte;
    }
    choices->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = choices->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 to COUNT - 1. */
static inline size_t choose(struct choices *choices, size_t count) {
    return count > 1 ? (size_t)(choose_bits(choices) % count) : 0;
}

/* True PERCENT times in a hundred. */
static inline bool choose_whether(struct choices *choices, unsigned percent) {
    return percent > 0 && choose(choices, 100) >= 100 - percent;
}

#endif

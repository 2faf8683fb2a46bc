#include "domain/registers.h"

static void add_number(struct strbuf *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        strbuf_add_char(out, (char)(value | 0x80));
    }
    strbuf_add_char(out, (char)value);
}

static bool read_number(struct slice *bytes, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 35 && bytes->len > 0; shift += 7) {
        uint8_t byte = (uint8_t)bytes->data[0];
        *bytes = slice_from(*bytes, 1);
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

bool registers_decode(struct slice bytes, struct registers *registers) {
    *registers = (struct registers){.keys = {SLICE_EMPTY}};
    while (bytes.len > 0) {
        uint64_t mask, len;
        if (!read_number(&bytes, &mask) || !read_number(&bytes, &len) || len == 0 ||
            len > bytes.len || mask == 0 || mask >> REGISTERS_MAX != 0) {
            return false;
        }
        for (size_t i = 0; i < REGISTERS_MAX; i++) {
            if (mask >> i & 1) {
                registers->keys[i] = slice_first(bytes, (size_t)len);
            }
        }
        bytes = slice_from(bytes, (size_t)len);
    }
    return true;
}

void registers_encode(const struct registers *registers, struct strbuf *out) {
    uint64_t done = 0;
    for (size_t i = 0; i < REGISTERS_MAX; i++) {
        struct slice key = registers->keys[i];
        uint64_t mask = 0;
        if (key.data == NULL || done >> i & 1) {
            continue;
        }
        for (size_t j = i; j < REGISTERS_MAX; j++) {
            struct slice other = registers->keys[j];
            if (other.data != NULL && slice_eq(other, key)) {
                mask |= UINT64_C(1) << j;
            }
        }
        done |= mask;
        add_number(out, mask);
        add_number(out, key.len);
        strbuf_add_slice(out, key);
    }
}

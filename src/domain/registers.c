#include "domain/registers.h"

#include <string.h>

static bool have_one_base(const struct key_parts *a, const struct key_parts *b) {
    return a->version_at == b->version_at && a->number == b->number && a->change == b->change &&
           uuid_eq(&a->delivery, &b->delivery);
}

static bool are_one_status(const struct key_parts *a, const struct key_parts *b) {
    return a->phase == b->phase && a->rank == b->rank && slice_eq(a->word, b->word);
}

/* ---- integers ---- */

static void add_unsigned(struct strbuf *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        strbuf_add_char(out, (char)(value | 0x80));
    }
    strbuf_add_char(out, (char)value);
}

static void add_signed(struct strbuf *out, int64_t value) {
    add_unsigned(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static bool read_byte(struct slice *bytes, uint8_t *byte) {
    if (bytes->len == 0) {
        return false;
    }
    *byte = (uint8_t)bytes->data[0];
    *bytes = slice_from(*bytes, 1);
    return true;
}

static bool read_unsigned(struct slice *bytes, uint64_t max, uint64_t *value) {
    uint8_t byte;
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!read_byte(bytes, &byte)) {
            return false;
        }
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return *value <= max;
        }
    }
    return false;
}

static bool read_signed(struct slice *bytes, int64_t *value) {
    uint64_t folded;
    bool ok = read_unsigned(bytes, UINT64_MAX, &folded);
    *value = (int64_t)(folded >> 1 ^ (folded & 1 ? UINT64_MAX : 0));
    return ok;
}

/* ---- a row of several registers ---- */

#define MASK_MAX UINT32_MAX

static bool decode_statuses(struct slice *bytes, struct key_parts *statuses, uint64_t *masks,
                            uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t len;
        if (!read_unsigned(bytes, MASK_MAX, &masks[i]) || masks[i] == 0 ||
            !read_byte(bytes, &statuses[i].phase) || !read_byte(bytes, &statuses[i].rank) ||
            !read_unsigned(bytes, bytes->len, &len) || len > bytes->len) {
            return false;
        }
        statuses[i].is_status = true;
        statuses[i].word = slice_first(*bytes, (size_t)len);
        *bytes = slice_from(*bytes, (size_t)len);
    }
    return true;
}

static bool decode_base(struct slice *bytes, struct key_parts *base) {
    uint64_t change;
    *base = (struct key_parts){.is_status = false};
    if (!read_signed(bytes, &base->version_at) || !read_signed(bytes, &base->number) ||
        bytes->len < sizeof(base->delivery.bytes)) {
        return false;
    }
    memcpy(base->delivery.bytes, bytes->data, sizeof(base->delivery.bytes));
    *bytes = slice_from(*bytes, sizeof(base->delivery.bytes));
    if (!read_unsigned(bytes, UINT16_MAX, &change)) {
        return false;
    }
    base->change = (uint16_t)change;
    return true;
}

static bool set_keys(struct registers *registers, uint64_t mask, const struct key_parts *parts,
                     struct arena *arena) {
    struct slice key;
    if (mask == 0) {
        return true;
    }
    if (!key_join(parts, arena, &key)) {
        return false;
    }
    for (size_t i = 0; i < REGISTERS_MAX; i++) {
        if (mask >> i & 1) {
            registers->keys[i] = key;
        }
    }
    return true;
}

static bool decode_entry(struct slice *bytes, struct arena *arena, struct registers *registers) {
    struct key_parts base, statuses[REGISTERS_MAX];
    uint64_t mask, count, masks[REGISTERS_MAX];
    if (!read_unsigned(bytes, MASK_MAX, &mask) || !read_unsigned(bytes, REGISTERS_MAX, &count) ||
        (mask == 0 && count == 0) || !decode_statuses(bytes, statuses, masks, count) ||
        !decode_base(bytes, &base) || !set_keys(registers, mask, &base, arena)) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct key_parts status = base;
        status.is_status = true;
        status.phase = statuses[i].phase;
        status.rank = statuses[i].rank;
        status.word = statuses[i].word;
        if (!set_keys(registers, masks[i], &status, arena)) {
            return false;
        }
    }
    return true;
}

bool registers_decode(struct slice bytes, struct arena *arena, struct registers *registers) {
    *registers = (struct registers){.keys = {SLICE_EMPTY}};
    while (bytes.len > 0) {
        if (!decode_entry(&bytes, arena, registers)) {
            return false;
        }
    }
    return true;
}

/* The registers from FIRST on that are not DONE and have FIRST's base. */
struct entry {
    uint64_t mask;
    size_t status_count;
    uint64_t masks[REGISTERS_MAX];
    const struct key_parts *statuses[REGISTERS_MAX];
};

static void add_to_entry(struct entry *entry, const struct key_parts *parts, size_t number) {
    size_t i = 0;
    if (!parts->is_status) {
        entry->mask |= UINT64_C(1) << number;
        return;
    }
    while (i < entry->status_count && !are_one_status(entry->statuses[i], parts)) {
        i++;
    }
    if (i == entry->status_count) {
        entry->statuses[entry->status_count++] = parts;
        entry->masks[i] = 0;
    }
    entry->masks[i] |= UINT64_C(1) << number;
}

static void encode_entry(const struct entry *entry, const struct key_parts *base,
                         struct strbuf *out) {
    add_unsigned(out, entry->mask);
    add_unsigned(out, entry->status_count);
    for (size_t i = 0; i < entry->status_count; i++) {
        const struct key_parts *status = entry->statuses[i];
        add_unsigned(out, entry->masks[i]);
        strbuf_add_char(out, (char)status->phase);
        strbuf_add_char(out, (char)status->rank);
        add_unsigned(out, status->word.len);
        strbuf_add_slice(out, status->word);
    }
    add_signed(out, base->version_at);
    add_signed(out, base->number);
    strbuf_add(out, base->delivery.bytes, sizeof(base->delivery.bytes));
    add_unsigned(out, base->change);
}

void registers_encode(const struct registers *registers, struct strbuf *out) {
    struct key_parts parts[REGISTERS_MAX];
    uint64_t left = 0;
    for (size_t i = 0; i < REGISTERS_MAX; i++) {
        if (registers->keys[i].data == NULL) {
            continue;
        }
        if (!key_split(registers->keys[i], &parts[i])) {
            strbuf_fail(out);
            return;
        }
        left |= UINT64_C(1) << i;
    }
    for (size_t i = 0; i < REGISTERS_MAX; i++) {
        struct entry entry = {.mask = 0};
        if (!(left >> i & 1)) {
            continue;
        }
        for (size_t j = i; j < REGISTERS_MAX; j++) {
            if (left >> j & 1 && have_one_base(&parts[i], &parts[j])) {
                add_to_entry(&entry, &parts[j], j);
                left &= ~(UINT64_C(1) << j);
            }
        }
        encode_entry(&entry, &parts[i], out);
    }
}

/* ---- a row of one register ---- */

bool register_decode(struct slice bytes, const struct uuid *delivery, struct arena *arena,
                     struct slice *key) {
    struct key_parts parts = {.delivery = *delivery};
    uint64_t change;
    if (!read_signed(&bytes, &parts.version_at) || !read_signed(&bytes, &parts.number) ||
        !read_unsigned(&bytes, UINT16_MAX, &change) || bytes.len > 0) {
        return false;
    }
    parts.change = (uint16_t)change;
    return key_join(&parts, arena, key);
}

void register_encode(struct slice key, struct strbuf *out) {
    struct key_parts parts;
    if (!key_split(key, &parts) || parts.is_status) {
        strbuf_fail(out);
        return;
    }
    add_signed(out, parts.version_at);
    add_signed(out, parts.number);
    add_unsigned(out, parts.change);
}

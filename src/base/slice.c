#include "base/slice.h"

#include "base/ascii.h"

#include <string.h>

struct slice slice_from_cstr(const char *s) {
    return s ? (struct slice){s, strlen(s)} : SLICE_EMPTY;
}

bool slice_eq(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool slice_eq_nocase(struct slice a, struct slice b) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_to_lower(a.data[i]) != ascii_to_lower(b.data[i]))
            return false;
    return true;
}

int slice_cmp(struct slice a, struct slice b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool slice_starts_with(struct slice s, struct slice prefix) {
    return s.len >= prefix.len && slice_eq(slice_first(s, prefix.len), prefix);
}

bool slice_starts_with_nocase(struct slice s, struct slice prefix) {
    return s.len >= prefix.len && slice_eq_nocase(slice_first(s, prefix.len), prefix);
}

struct slice slice_from(struct slice s, size_t offset) {
    return offset < s.len ? (struct slice){s.data + offset, s.len - offset} : SLICE_EMPTY;
}

struct slice slice_first(struct slice s, size_t len) {
    return (struct slice){s.data, len < s.len ? len : s.len};
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s) {
    while (s.len && is_blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool slice_split(struct slice s, char separator, struct slice *head, struct slice *rest) {
    const char *at = s.len ? memchr(s.data, separator, s.len) : NULL;

    if (!at) {
        *head = s;
        *rest = SLICE_EMPTY;
        return false;
    }
    *head = slice_first(s, (size_t)(at - s.data));
    *rest = slice_from(s, head->len + 1);
    return true;
}

bool slice_split_last(struct slice s, char separator, struct slice *head, struct slice *tail) {
    const char *at = s.len ? memrchr(s.data, separator, s.len) : NULL;

    if (!at) {
        *head = SLICE_EMPTY;
        *tail = s;
        return false;
    }
    *head = slice_first(s, (size_t)(at - s.data));
    *tail = slice_from(s, head->len + 1);
    return true;
}

bool slice_to_int64(struct slice s, int64_t *value) {
    bool negative = s.len && s.data[0] == '-';
    int64_t result = 0;
    size_t i = negative ? 1 : 0;

    if (i == s.len)
        return false;
    /* Counts downwards: the least number has no positive twin. */
    for (; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(result, 10, &result) ||
            __builtin_sub_overflow(result, s.data[i] - '0', &result))
            return false;
    }
    if (!negative && result == INT64_MIN)
        return false;
    *value = negative ? result : -result;
    return true;
}

/* The table of RFC 3629, section 4. */
size_t slice_utf8_character(struct slice s) {
    const unsigned char *p = (const unsigned char *)s.data;
    unsigned char low = 0x80, high = 0xbf; /* of the second byte */
    size_t len;

    if (s.len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        if (p[0] == 0xe0)
            low = 0xa0;
        else if (p[0] == 0xed)
            high = 0x9f;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        if (p[0] == 0xf0)
            low = 0x90;
        else if (p[0] == 0xf4)
            high = 0x8f;
    } else {
        return 0;
    }
    if (s.len < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return len;
}

bool slice_is_utf8(struct slice s) {
    uint64_t eight;

    while (s.len) {
        size_t len;

        /* Most text is ASCII: eight bytes at a time. */
        while (s.len >= sizeof(eight)) {
            memcpy(&eight, s.data, sizeof(eight));
            if (eight & UINT64_C(0x8080808080808080))
                break;
            s.data += sizeof(eight);
            s.len -= sizeof(eight);
        }
        if (s.len == 0)
            break;
        len = slice_utf8_character(s);
        if (len == 0)
            return false;
        s = slice_from(s, len);
    }
    return true;
}

struct slice slice_cut_utf8(struct slice s, size_t len) {
    if (len >= s.len)
        return s;
    while (len && ((unsigned char)s.data[len] & 0xc0) == 0x80)
        len--;
    return slice_first(s, len);
}

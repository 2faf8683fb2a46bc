#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void strbuf_init(struct strbuf *buf, size_t max) {
    *buf = (struct strbuf){.max = max};
}

void strbuf_free(struct strbuf *buf) {
    free(buf->data);
    strbuf_init(buf, buf->max);
}

void strbuf_clear(struct strbuf *buf) {
    buf->len = 0;
    buf->failed = false;
}

bool strbuf_failed(const struct strbuf *buf) {
    return buf->failed;
}

char *strbuf_reserve(struct strbuf *buf, size_t len) {
    size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    char *data;

    if (buf->failed || len > buf->max - buf->len) {
        buf->failed = true;
        return NULL;
    }
    if (buf->data && len <= buf->capacity - buf->len)
        return buf->data + buf->len;
    while (capacity < buf->len + len)
        capacity = capacity > buf->max / 2 ? buf->max : capacity * 2;
    if (capacity > buf->max)
        capacity = buf->max;
    data = realloc(buf->data, capacity ? capacity : 1);
    if (!data) {
        buf->failed = true;
        return NULL;
    }
    buf->data = data;
    buf->capacity = capacity;
    return data + buf->len;
}

void strbuf_fail(struct strbuf *buf) {
    buf->failed = true;
}

void strbuf_commit(struct strbuf *buf, size_t len) {
    if (!buf->failed)
        buf->len += len;
}

void strbuf_add(struct strbuf *buf, const void *data, size_t len) {
    char *at = strbuf_reserve(buf, len);

    if (!at || len == 0)
        return;
    memcpy(at, data, len);
    buf->len += len;
}

void strbuf_add_slice(struct strbuf *buf, struct slice s) {
    strbuf_add(buf, s.data, s.len);
}

void strbuf_add_cstr(struct strbuf *buf, const char *s) {
    strbuf_add(buf, s, strlen(s));
}

void strbuf_add_char(struct strbuf *buf, char c) {
    strbuf_add(buf, &c, 1);
}

void strbuf_addf(struct strbuf *buf, const char *format, ...) {
    char small[256];
    va_list args;
    int len;
    char *text;

    va_start(args, format);
    len = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (len < 0) {
        buf->failed = true;
        return;
    }
    if ((size_t)len < sizeof(small)) {
        strbuf_add(buf, small, (size_t)len);
        return;
    }
    /* Too long for the small room. By way of a text of its own, because vsnprintf() writes a NUL
     * for which the maximum may leave no room. */
    if (buf->failed || (size_t)len > buf->max - buf->len || !(text = malloc((size_t)len + 1))) {
        buf->failed = true;
        return;
    }
    va_start(args, format);
    if (vsnprintf(text, (size_t)len + 1, format, args) == len)
        strbuf_add(buf, text, (size_t)len);
    else
        buf->failed = true;
    va_end(args);
    free(text);
}

void strbuf_add_be16(struct strbuf *buf, uint16_t value) {
    const uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};

    strbuf_add(buf, bytes, sizeof(bytes));
}

static void be32(uint32_t value, uint8_t bytes[4]) {
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

void strbuf_add_be32(struct strbuf *buf, uint32_t value) {
    uint8_t bytes[4];

    be32(value, bytes);
    strbuf_add(buf, bytes, sizeof(bytes));
}

void strbuf_add_be64(struct strbuf *buf, uint64_t value) {
    strbuf_add_be32(buf, (uint32_t)(value >> 32));
    strbuf_add_be32(buf, (uint32_t)value);
}

void strbuf_set_be32(struct strbuf *buf, size_t offset, uint32_t value) {
    uint8_t bytes[4];

    if (buf->failed)
        return;
    if (offset > buf->len || buf->len - offset < sizeof(bytes)) {
        buf->failed = true;
        return;
    }
    be32(value, bytes);
    memcpy(buf->data + offset, bytes, sizeof(bytes));
}

struct slice strbuf_slice(const struct strbuf *buf) {
    return (struct slice){buf->data, buf->len};
}

/*
 * A growing byte buffer with a maximum from birth.
 *
 * It remembers its first failure (maximum reached, no memory): add as often as needed, test
 * strbuf_failed() once at the end. After a failure every call does nothing.
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include "base/slice.h"

struct strbuf {
    char *data;
    size_t len;
    size_t capacity;
    size_t max;
    bool failed;
};

/* An empty buffer of at most MAX bytes; allocates nothing yet. */
#define STRBUF_INIT(maximum)                                                                       \
    { .max = (maximum) }
void strbuf_init(struct strbuf *buf, size_t max);
void strbuf_free(struct strbuf *buf);
/* Empties the buffer, keeps its memory, forgets a failure. */
void strbuf_clear(struct strbuf *buf);
MUST_CHECK bool strbuf_failed(const struct strbuf *buf);
/* What was to be added cannot be made: a failure like any other. */
void strbuf_fail(struct strbuf *buf);

void strbuf_add(struct strbuf *buf, const void *data, size_t len);
void strbuf_add_slice(struct strbuf *buf, struct slice s);
void strbuf_add_cstr(struct strbuf *buf, const char *s);
void strbuf_add_char(struct strbuf *buf, char c);
void strbuf_addf(struct strbuf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Big-endian integers, for binary wire formats and ordered keys. */
void strbuf_add_be16(struct strbuf *buf, uint16_t value);
void strbuf_add_be32(struct strbuf *buf, uint32_t value);
void strbuf_add_be64(struct strbuf *buf, uint64_t value);
/* Overwrites four bytes at OFFSET (written before) with VALUE, big-endian. */
void strbuf_set_be32(struct strbuf *buf, size_t offset, uint32_t value);
/* Room for LEN more bytes without growing: where to write them, NULL on failure; strbuf_commit()
 * then counts them. */
MUST_CHECK char *strbuf_reserve(struct strbuf *buf, size_t len);
void strbuf_commit(struct strbuf *buf, size_t len);

/* The content; valid until the buffer changes. */
struct slice strbuf_slice(const struct strbuf *buf);

#endif

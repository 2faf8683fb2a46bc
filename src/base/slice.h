/*
 * A slice: bytes that somebody else owns, with their length.
 *
 * Whatever comes from outside (params, bodies, configuration values) travels as a slice;
 * NUL-terminated strings exist only at the edge of libraries that want them. A slice never owns and
 * is never freed. The empty slice stands for "absent" wherever a field is optional: senders' empty
 * strings are null.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *data; /* may be NULL when len is 0 */
    size_t len;
};

/* A slice of a string literal, also in constant initialisers. */
#define SLICE(literal)                                                                             \
    { .data = (literal), .len = sizeof(literal) - 1 }
#define SLICE_OF(literal) ((struct slice)SLICE(literal))
#define SLICE_EMPTY ((struct slice){NULL, 0})
/* For printf: "%.*s". */
#define SLICE_ARGS(s) (int)(s).len, (s).len ? (s).data : ""

/* The bytes of a NUL-terminated string, without the NUL; NULL gives the empty slice. */
struct slice slice_from_cstr(const char *s);

bool slice_eq(struct slice a, struct slice b);
/* ASCII letters compare without case; for HTTP field names and senders' words. */
bool slice_eq_nocase(struct slice a, struct slice b);
/* memcmp order, the shorter first on a common prefix: the order of COLLATE "C". */
int slice_cmp(struct slice a, struct slice b);
bool slice_starts_with(struct slice s, struct slice prefix);
bool slice_starts_with_nocase(struct slice s, struct slice prefix);
/* From OFFSET to the end; empty when OFFSET is beyond it. */
struct slice slice_from(struct slice s, size_t offset);
/* The first LEN bytes, or all of them. */
struct slice slice_first(struct slice s, size_t len);
/* Without spaces, tabs, CR and LF at both ends. */
struct slice slice_trim(struct slice s);
/* Splits at the first SEPARATOR: *head before it, *rest after it. False, with *head the whole and
 * *rest empty, where there is none. */
bool slice_split(struct slice s, char separator, struct slice *head, struct slice *rest);
/* The same at the last SEPARATOR; without one, *head is empty and *tail the whole. */
bool slice_split_last(struct slice s, char separator, struct slice *head, struct slice *tail);
/* Decimal digits only, with an optional leading '-'; false on anything else and on overflow. */
MUST_CHECK bool slice_to_int64(struct slice s, int64_t *value);
/* True when all is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool slice_is_utf8(struct slice s);
/* The bytes of the first character of S; 0 when S does not begin with well-formed UTF-8. */
size_t slice_utf8_character(struct slice s);
/* At most LEN bytes of S, cut before a character that would not fit whole; S is UTF-8. */
struct slice slice_cut_utf8(struct slice s, size_t len);

#endif

/*
 * JSON texts (RFC 8259) as trees, over Jansson. Nobody else includes <jansson.h>.
 *
 * A tree is read with accessors that never fail: what is absent or of another type is the empty
 * slice, null or false, as the contract says of optional fields. Text that comes out of a tree has
 * U+FFFD where the sender wrote U+0000: PostgreSQL's text and jsonb refuse that character, the raw
 * bytes keep it.
 */
#ifndef ADAPTER_JSON_H
#define ADAPTER_JSON_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"

/* A value somewhere in a tree; borrowed, lives as long as the document. */
struct json;
/* An owned tree. */
struct json_doc;

enum json_status {
    JSON_OK,
    /* Valid JSON that no tree can hold: U+0000 in a key. */
    JSON_UNREPRESENTABLE,
    /* Not JSON, not UTF-8, a raw NUL byte, nested deeper than 2048, a number beyond
       double. */
    JSON_INVALID,
    JSON_NO_MEMORY,
};

struct json_position {
    int line;          /* from 1 */
    int column;        /* from 1; 0 at the very beginning */
    char message[160]; /* never a piece of the text */
};

/*
 * Parses the whole of TEXT. On JSON_OK *doc is the caller's to free; otherwise it is NULL and
 * *where (for JSON_INVALID) says why and where. Of a repeated key the last one stands. An integer
 * beyond int64 is read as the string of its digits: senders write numbers of parcels so.
 */
MUST_CHECK enum json_status json_parse(struct slice text, struct json_doc **doc,
                                       struct json_position *where);
void json_doc_free(struct json_doc *doc);
const struct json *json_root(const struct json_doc *doc);

bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_string(const struct json *value);
bool json_is_integer(const struct json *value);
/* Absent (NULL) or null. */
bool json_is_null(const struct json *value);
/* The same, or a text of blanks alone, or an array or object without members. */
bool json_is_empty(const struct json *value);

/* The member KEY of an object; NULL when absent or when VALUE is no object. */
const struct json *json_get(const struct json *value, const char *key);
/* Follows "a.b.c" through objects. */
const struct json *json_path(const struct json *value, const char *path);
size_t json_array_len(const struct json *value);
const struct json *json_array_at(const struct json *value, size_t index);

/* A string's text, copied to ARENA with U+0000 replaced only where that is needed; empty for any
 * other type. A failing arena gives empty and sets *failed (never cleared). */
struct slice json_text(const struct json *value, struct arena *arena, bool *failed);
/* The same, and an integer as its decimal digits: for ids that come as either. */
struct slice json_text_or_integer(const struct json *value, struct arena *arena, bool *failed);
/* Not named json_integer(): Jansson exports one, which ours would replace inside Jansson too. */
bool json_to_integer(const struct json *value, int64_t *out); /* false unless an integer */
bool json_to_boolean(const struct json *value, bool *out);    /* false unless true or false */

/*
 * The value of the document with sorted keys and no white space, without the top-level member OMIT
 * (NULL: nothing is left out): two texts of one value give the same bytes. Appended to OUT.
 */
MUST_CHECK bool json_canonical(const struct json *value, const char *omit, struct strbuf *out);

/* ---- building, for answers and for the jsonb columns ---- */

/* A JSON text in the making: commas, quotes and escapes are its business. Failures are remembered
 * by OUT. */
struct json_writer {
    struct strbuf *out;
    bool need_comma;
};
void json_writer_init(struct json_writer *w, struct strbuf *out);
void json_begin_object(struct json_writer *w,
                       const char *key); /* KEY NULL: in an array or at the top */
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w, const char *key);
void json_end_array(struct json_writer *w);
/* TEXT must be UTF-8 (malformed bytes and U+0000 become U+FFFD); the empty slice is written as
 * null. */
void json_put_text(struct json_writer *w, const char *key, struct slice text);
void json_put_integer(struct json_writer *w, const char *key, int64_t value);
void json_put_boolean(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);
/* The key alone: what is written next, with KEY NULL, is its value. */
void json_put_key(struct json_writer *w, const char *key);
/* RAW is a JSON text already, written as it is. */
void json_put_raw(struct json_writer *w, const char *key, struct slice raw);

#endif

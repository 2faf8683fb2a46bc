#include "adapter/json.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Jansson's macros of these names give way to our functions. */
#undef json_is_object
#undef json_is_array
#undef json_is_string
#undef json_is_integer
#undef json_is_null

static const struct slice REPLACEMENT = SLICE("\xef\xbf\xbd"); /* U+FFFD */

/* A struct json is a json_t and a struct json_doc its root: two names that keep Jansson's out of
 * the header. */
static const json_t *tree(const struct json *value) {
    return (const json_t *)value;
}

static const struct json *wrap(const json_t *value) {
    return (const struct json *)value;
}

/* ---- memory ---- */

/*
 * Jansson 2.14 does not survive a failing malloc() while it parses: a piece of the token it scans
 * is lost, so that it reads another value or writes past its buffer, or calls the text invalid. So
 * an allocation that fails here leaves the parser altogether, and all that this parse has allocated
 * is freed.
 */
struct chunk {
    alignas(max_align_t) struct chunk *next;
    struct chunk *previous;
};

/* The parse of this thread. */
struct parsing {
    bool active;
    struct chunk *chunks;
    jmp_buf no_memory;
};
static _Thread_local struct parsing parsing;

static void *allocate(size_t size) {
    struct chunk *chunk = size <= SIZE_MAX - sizeof(*chunk) ? malloc(sizeof(*chunk) + size) : NULL;

    if (!parsing.active)
        return chunk ? chunk + 1 : NULL;
    if (!chunk)
        longjmp(parsing.no_memory, 1);
    *chunk = (struct chunk){.next = parsing.chunks};
    if (chunk->next)
        chunk->next->previous = chunk;
    parsing.chunks = chunk;
    return chunk + 1;
}

/* While a parse is on, only what belongs to it is freed; later its chunks are no list any more. */
static void release(void *memory) {
    struct chunk *chunk = memory;

    if (!chunk)
        return;
    chunk--;
    if (parsing.active) {
        if (chunk->next)
            chunk->next->previous = chunk->previous;
        if (chunk->previous)
            chunk->previous->next = chunk->next;
        else
            parsing.chunks = chunk->next;
    }
    free(chunk);
}

static void use_our_memory(void) {
    json_set_alloc_funcs(allocate, release);
}

static json_t *load(struct slice text, json_error_t *error, bool *no_memory) {
    json_t *root;

    parsing.active = true;
    parsing.chunks = NULL;
    if (setjmp(parsing.no_memory) == 0) {
        root = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
        *no_memory = false;
    } else {
        for (struct chunk *chunk = parsing.chunks, *next; chunk; chunk = next) {
            next = chunk->next;
            free(chunk);
        }
        root = NULL;
        *no_memory = true;
    }
    parsing.active = false;
    return root;
}

/* ---- parsing ---- */

static void set_position(struct json_position *where, int line, int column, const char *message) {
    where->line = line;
    where->column = column;
    (void)snprintf(where->message, sizeof(where->message), "%s", message);
}

/* The place of the byte at OFFSET; columns count characters. */
static void locate(struct slice text, size_t offset, const char *message,
                   struct json_position *where) {
    int line = 1, column = 1;

    for (size_t i = 0; i < offset; i++) {
        if (text.data[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text.data[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    set_position(where, line, column, message);
}

/* Jansson's own messages quote the text, and ours go to the sender and into the log. */
static const char *phrase(enum json_error_code code) {
    switch (code) {
    case json_error_premature_end_of_input:
        return "the text ends too early";
    case json_error_end_of_input_expected:
        return "something follows the value";
    case json_error_invalid_utf8:
        return "not UTF-8";
    case json_error_numeric_overflow:
        return "a number is too large";
    case json_error_stack_overflow:
        return "nested too deeply";
    default:
        return "not JSON";
    }
}

/*
 * A copy of TEXT with U+FFFD escaped in place of U+0000. Where the backslash is itself escaped,
 * other text changes: that makes no difference to whether it is JSON, nor to where it is not.
 */
static char *without_nul_escapes(struct slice text) {
    static const struct slice nul = SLICE("\\u0000"), other = SLICE("\\ufffd");
    char *copy = malloc(text.len ? text.len : 1), *at = copy;

    if (!copy)
        return NULL;
    memcpy(copy, text.data, text.len);
    while ((at = memmem(at, text.len - (size_t)(at - copy), nul.data, nul.len)) != NULL)
        memcpy(at, other.data, other.len);
    return copy;
}

/* ---- integers beyond int64 ---- */

/* A text, and what Jansson reads instead of it. */
struct loadable {
    struct slice body;
    struct strbuf quoted; /* empty: the body itself */
};

static struct loadable loadable_of(struct slice body) {
    struct loadable from = {.body = body};
    strbuf_init(&from.quoted, 2 * body.len + 16);
    return from;
}

static bool is_number_char(char c) {
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static size_t string_len(struct slice text) {
    size_t len = 1;
    while (len < text.len && text.data[len] != '"') {
        len += text.data[len] == '\\' ? 2 : 1;
    }
    return len < text.len ? len + 1 : text.len;
}

static size_t number_len(struct slice text) {
    size_t len = 0;
    while (len < text.len && is_number_char(text.data[len])) {
        len++;
    }
    return len;
}

/* A number in the place of a key stays what it is: no parser takes that, and the body is refused.
 */
static bool is_key(struct slice behind) {
    size_t at = 0;
    while (at < behind.len && strchr(" \t\r\n", behind.data[at]) != NULL) {
        at++;
    }
    return at < behind.len && behind.data[at] == ':';
}

/* Is TOKEN an integer, as JSON writes them, that int64 does not hold? */
static bool is_long_integer(struct slice token) {
    struct slice digits = slice_from(token, slice_starts_with(token, SLICE_OF("-")) ? 1 : 0);
    int64_t number;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return false;
        }
    }
    return digits.len > 0 && digits.data[0] != '0' && !slice_to_int64(token, &number);
}

/*
 * Walks over TEXT and adds it to OUT (NULL: only walks) with each long integer in quotes, until
 * STOP bytes would be there. Returns how many bytes of TEXT these come from.
 */
static size_t quote_long_integers(struct slice text, size_t stop, struct strbuf *out) {
    size_t read = 0, written = 0;
    while (read < text.len && written < stop) {
        struct slice rest = slice_from(text, read);
        bool is_number = is_number_char(rest.data[0]);
        size_t len = rest.data[0] == '"' ? string_len(rest) : is_number ? number_len(rest) : 1;
        bool quote =
            is_number && is_long_integer(slice_first(rest, len)) && !is_key(slice_from(rest, len));
        if (written + len + 2 * quote > stop) {
            return read + (stop - written) - (quote ? 1 : 0);
        }
        if (out != NULL) {
            strbuf_add_cstr(out, quote ? "\"" : "");
            strbuf_add(out, rest.data, len);
            strbuf_add_cstr(out, quote ? "\"" : "");
        }
        read += len;
        written += len + 2 * quote;
    }
    return read;
}

/* ---- what is wrong ---- */

/* Puts in words what is wrong with a text that Jansson refused with ERROR. Jansson counts in the
 * text that it read. */
static enum json_status refusal(const struct loadable *from, const json_error_t *error,
                                struct json_position *where) {
    if (from->quoted.len > 0 && error->position > 0) {
        size_t offset = quote_long_integers(from->body, (size_t)error->position, NULL);
        locate(from->body, offset, phrase(json_error_code(error)), where);
        where->column -= where->column > 0;
        return JSON_INVALID;
    }
    set_position(where, error->line > 0 ? error->line : 1, error->column > 0 ? error->column : 0,
                 phrase(json_error_code(error)));
    return JSON_INVALID;
}

/* Loads BODY; *error is as load() leaves it. */
static json_t *load_quoted(struct loadable *from, json_error_t *error, bool *no_memory) {
    json_t *root = load(from->body, error, no_memory);

    if (root != NULL || *no_memory || json_error_code(error) != json_error_numeric_overflow) {
        return root;
    }
    quote_long_integers(from->body, SIZE_MAX, &from->quoted);
    if (strbuf_failed(&from->quoted)) {
        *no_memory = true;
        return NULL;
    }
    return load(strbuf_slice(&from->quoted), error, no_memory);
}

/* The text has U+0000 in a key, which Jansson cannot hold. Is it JSON apart from that? */
static enum json_status judge_nul_key(struct slice text, struct json_position *where) {
    json_error_t error = {.line = 0};
    enum json_status status = JSON_UNREPRESENTABLE;
    char *copy = without_nul_escapes(text);
    struct loadable from = loadable_of((struct slice){copy, text.len});
    bool no_memory = true;
    json_t *root = copy ? load_quoted(&from, &error, &no_memory) : NULL;

    if (no_memory)
        status = JSON_NO_MEMORY;
    else if (!root)
        status = refusal(&from, &error, where);
    json_decref(root);
    strbuf_free(&from.quoted);
    free(copy);
    return status;
}

static enum json_status load_text(struct loadable *from, struct json_doc **doc,
                                  struct json_position *where) {
    json_error_t error = {.line = 0};
    bool no_memory;
    json_t *root = load_quoted(from, &error, &no_memory);

    if (no_memory) {
        return JSON_NO_MEMORY;
    }
    if (root != NULL) {
        *doc = (struct json_doc *)root;
        return JSON_OK;
    }
    return json_error_code(&error) == json_error_null_byte_in_key ? judge_nul_key(from->body, where)
                                                                  : refusal(from, &error, where);
}

enum json_status json_parse(struct slice text, struct json_doc **doc, struct json_position *where) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *nul = text.len ? memchr(text.data, '\0', text.len) : NULL;

    *doc = NULL;
    set_position(where, 0, 0, "");
    if (text.len == 0) {
        set_position(where, 1, 0, "the text is empty");
        return JSON_INVALID;
    }
    /* Jansson swallows a NUL that follows a number. */
    if (nul) {
        locate(text, (size_t)(nul - text.data), "a NUL byte", where);
        return JSON_INVALID;
    }
    if (pthread_once(&once, use_our_memory) != 0)
        return JSON_NO_MEMORY;
    struct loadable from = loadable_of(text);
    enum json_status status = load_text(&from, doc, where);
    strbuf_free(&from.quoted);
    return status;
}

void json_doc_free(struct json_doc *doc) {
    json_decref((json_t *)doc);
}

const struct json *json_root(const struct json_doc *doc) {
    return (const struct json *)doc;
}

/* ---- reading ---- */

static bool has_type(const struct json *value, json_type type) {
    return value && json_typeof(tree(value)) == type;
}

bool json_is_object(const struct json *value) {
    return has_type(value, JSON_OBJECT);
}

bool json_is_array(const struct json *value) {
    return has_type(value, JSON_ARRAY);
}

bool json_is_string(const struct json *value) {
    return has_type(value, JSON_STRING);
}

bool json_is_integer(const struct json *value) {
    return has_type(value, JSON_INTEGER);
}

bool json_is_null(const struct json *value) {
    return !value || has_type(value, JSON_NULL);
}

bool json_is_empty(const struct json *value) {
    if (json_is_string(value)) {
        struct slice text = {json_string_value(tree(value)), json_string_length(tree(value))};
        return slice_trim(text).len == 0;
    }
    return json_is_null(value) || (json_is_array(value) && json_array_len(value) == 0) ||
           (json_is_object(value) && json_object_size(tree(value)) == 0);
}

/* json_object_get() answers NULL for what is no object, and for NULL. */
const struct json *json_get(const struct json *value, const char *key) {
    return wrap(json_object_get(tree(value), key));
}

const struct json *json_path(const struct json *value, const char *path) {
    struct slice rest = slice_from_cstr(path), key;
    bool more = true;

    while (value && more) {
        more = slice_split(rest, '.', &key, &rest);
        value = wrap(json_object_getn(tree(value), key.data, key.len));
    }
    return value;
}

size_t json_array_len(const struct json *value) {
    return json_array_size(tree(value));
}

const struct json *json_array_at(const struct json *value, size_t index) {
    return wrap(json_array_get(tree(value), index));
}

/* S with U+FFFD for each of its COUNT bytes NUL. */
static bool dup_without_nul(struct arena *arena, struct slice s, size_t count, struct slice *out) {
    size_t len = s.len + count * (REPLACEMENT.len - 1);
    char *copy = arena_alloc(arena, len + 1), *to = copy;

    *out = SLICE_EMPTY;
    if (!copy)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i]) {
            *to++ = s.data[i];
        } else {
            memcpy(to, REPLACEMENT.data, REPLACEMENT.len);
            to += REPLACEMENT.len;
        }
    }
    *out = (struct slice){copy, len};
    return true;
}

struct slice json_text(const struct json *value, struct arena *arena, bool *failed) {
    struct slice text, out;
    size_t nuls = 0;

    if (!json_is_string(value))
        return SLICE_EMPTY;
    text = (struct slice){json_string_value(tree(value)), json_string_length(tree(value))};
    if (text.len == 0)
        return SLICE_EMPTY;
    for (const char *p = memchr(text.data, '\0', text.len); p;
         p = memchr(p + 1, '\0', text.len - (size_t)(p + 1 - text.data)))
        nuls++;
    if (!(nuls ? dup_without_nul(arena, text, nuls, &out) : arena_dup(arena, text, &out)))
        *failed = true;
    return out;
}

struct slice json_text_or_integer(const struct json *value, struct arena *arena, bool *failed) {
    char digits[24];
    struct slice out;
    int len;

    if (!json_is_integer(value))
        return json_text(value, arena, failed);
    len =
        snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(tree(value)));
    if (!arena_dup(arena, (struct slice){digits, (size_t)len}, &out))
        *failed = true;
    return out;
}

bool json_to_integer(const struct json *value, int64_t *out) {
    if (!json_is_integer(value))
        return false;
    *out = json_integer_value(tree(value));
    return true;
}

bool json_to_boolean(const struct json *value, bool *out) {
    if (!json_is_boolean(tree(value)))
        return false;
    *out = json_is_true(tree(value));
    return true;
}

/* ---- the canonical form ---- */

static int append(const char *data, size_t len, void *out) {
    strbuf_add(out, data, len);
    return strbuf_failed(out) ? -1 : 0;
}

bool json_canonical(const struct json *value, const char *omit, struct strbuf *out) {
    const json_t *root = tree(value);
    json_t *copy = NULL;
    bool ok;

    if (omit && json_object_get(root, omit)) {
        /* Shallow: the members themselves are shared, and only counted once more. */
        copy = json_object();
        if (!copy || json_object_update(copy, (json_t *)value) || json_object_del(copy, omit)) {
            json_decref(copy);
            return false;
        }
        root = copy;
    }
    ok =
        json_dump_callback(root, append, out, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY) == 0;
    json_decref(copy);
    return ok && !strbuf_failed(out);
}

/* ---- building ---- */

void json_writer_init(struct json_writer *w, struct strbuf *out) {
    *w = (struct json_writer){.out = out};
}

/* Bytes that stand for themselves in a JSON string. */
static bool is_verbatim(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Writes what stands for the character at the front of S, and returns its length in S. */
static size_t put_special(struct strbuf *out, struct slice s) {
    static const char names[][2] = {{'"', '"'},  {'\\', '\\'}, {'\n', 'n'}, {'\r', 'r'},
                                    {'\t', 't'}, {'\b', 'b'},  {'\f', 'f'}};
    size_t len = slice_utf8_character(s);

    if (len == 0 || s.data[0] == '\0') {
        strbuf_add_slice(out, REPLACEMENT);
        return 1;
    }
    if (len > 1) {
        strbuf_add(out, s.data, len);
        return len;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (s.data[0] == names[i][0]) {
            strbuf_add(out, (const char[]){'\\', names[i][1]}, 2);
            return 1;
        }
    }
    strbuf_addf(out, "\\u%04x", (unsigned)(unsigned char)s.data[0]);
    return 1;
}

static void put_string(struct strbuf *out, struct slice s) {
    strbuf_add_char(out, '"');
    while (s.len) {
        size_t run = 0;

        while (run < s.len && is_verbatim((unsigned char)s.data[run]))
            run++;
        if (run)
            strbuf_add(out, s.data, run);
        s = slice_from(s, run);
        if (s.len)
            s = slice_from(s, put_special(out, s));
    }
    strbuf_add_char(out, '"');
}

/* The comma and the key in front of a value. */
static void lead_in(struct json_writer *w, const char *key) {
    if (w->need_comma)
        strbuf_add_char(w->out, ',');
    if (key) {
        put_string(w->out, slice_from_cstr(key));
        strbuf_add_char(w->out, ':');
    }
    w->need_comma = true;
}

static void begin(struct json_writer *w, const char *key, char bracket) {
    lead_in(w, key);
    strbuf_add_char(w->out, bracket);
    w->need_comma = false;
}

static void end(struct json_writer *w, char bracket) {
    strbuf_add_char(w->out, bracket);
    w->need_comma = true;
}

void json_begin_object(struct json_writer *w, const char *key) {
    begin(w, key, '{');
}

void json_end_object(struct json_writer *w) {
    end(w, '}');
}

void json_begin_array(struct json_writer *w, const char *key) {
    begin(w, key, '[');
}

void json_end_array(struct json_writer *w) {
    end(w, ']');
}

void json_put_text(struct json_writer *w, const char *key, struct slice text) {
    if (text.len == 0) {
        json_put_null(w, key);
        return;
    }
    lead_in(w, key);
    put_string(w->out, text);
}

void json_put_integer(struct json_writer *w, const char *key, int64_t value) {
    lead_in(w, key);
    strbuf_addf(w->out, "%" JSON_INTEGER_FORMAT, (json_int_t)value);
}

void json_put_boolean(struct json_writer *w, const char *key, bool value) {
    json_put_raw(w, key, value ? SLICE_OF("true") : SLICE_OF("false"));
}

void json_put_null(struct json_writer *w, const char *key) {
    json_put_raw(w, key, SLICE_OF("null"));
}

void json_put_key(struct json_writer *w, const char *key) {
    lead_in(w, key);
    w->need_comma = false;
}

void json_put_raw(struct json_writer *w, const char *key, struct slice raw) {
    lead_in(w, key);
    strbuf_add_slice(w->out, raw);
}

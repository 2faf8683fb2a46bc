#include "base/log.h"

#include "base/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

/* Adds all of TEXT or nothing, so no character and no escape is cut in the middle. One byte stays
 * free for the newline. */
static bool add(struct log_line *line, const char *text, size_t len) {
    if (len > sizeof(line->text) - 1 - line->len)
        return false;
    if (len)
        memcpy(line->text + line->len, text, len);
    line->len += len;
    return true;
}

static bool add_key(struct log_line *line, const char *key) {
    size_t before = line->len;

    if (add(line, " ", 1) && add(line, key, strlen(key)) && add(line, "=", 1))
        return true;
    line->len = before;
    return false;
}

/* The bytes of the character at the front of S when it can stand as it is: printable, well-formed,
 * without a meaning of its own in a quoted value; else 0. */
static size_t plain_character(struct slice s) {
    size_t len = slice_utf8_character(s);
    unsigned char c = (unsigned char)s.data[0];

    if (c < ' ' || c == 0x7f || c == '"' || c == '\\')
        return 0;
    /* U+0080 to U+009F control terminals too. */
    if (c == 0xc2 && len == 2 && (unsigned char)s.data[1] < 0xa0)
        return 0;
    return len;
}

static bool is_bare(struct slice value) {
    while (value.len) {
        size_t len = plain_character(value);

        if (len == 0 || value.data[0] == ' ' || value.data[0] == '=')
            return false;
        value = slice_from(value, len);
    }
    return true;
}

static bool add_escaped(struct log_line *line, char c) {
    static const char names[][2] = {
        {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}, {'"', '"'}, {'\\', '\\'}};
    char hex[8];

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (c == names[i][0])
            return add(line, (const char[]){'\\', names[i][1]}, 2);
    (void)snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)c);
    return add(line, hex, 4);
}

static void add_quoted(struct log_line *line, struct slice value) {
    bool fits = add(line, "\"", 1);

    while (fits && value.len) {
        size_t len = plain_character(value);

        fits = len ? add(line, value.data, len) : add_escaped(line, value.data[0]);
        value = slice_from(value, len ? len : 1);
    }
    if (!add(line, "\"", 1) && line->len > 0)
        line->text[line->len - 1] = '"';
}

void log_begin(struct log_line *line, enum log_level level) {
    char now[TIMESTAMP_TEXT];

    timestamp_format(timestamp_now(), now);
    line->len = (size_t)snprintf(line->text, sizeof(line->text), "time=%s level=%s", now,
                                 level_names[level]);
}

void log_str(struct log_line *line, const char *key, struct slice value) {
    if (!add_key(line, key))
        return;
    if (value.len == 0)
        value = SLICE_OF("-");
    if (!is_bare(value) || !add(line, value.data, value.len))
        add_quoted(line, value);
}

void log_int(struct log_line *line, const char *key, int64_t value) {
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRId64, value);
    size_t before = line->len;

    if (add_key(line, key) && !add(line, text, (size_t)len))
        line->len = before; /* half a number would be another number */
}

void log_end(struct log_line *line) {
    line->text[line->len++] = '\n';
    /* A pipe takes up to PIPE_BUF bytes whole, so lines of several threads do not mix. */
    if (write(STDERR_FILENO, line->text, line->len) < 0)
        return;
}

void log_text(enum log_level level, const char *message, struct slice detail) {
    struct log_line line;

    log_begin(&line, level);
    log_str(&line, "message", slice_from_cstr(message));
    if (detail.len)
        log_str(&line, "detail", detail);
    log_end(&line);
}

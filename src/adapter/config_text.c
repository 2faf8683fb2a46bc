#include "adapter/config_text.h"

#include <string.h>

struct scanner {
    struct slice in;
    size_t at; /* in IN */
    int line;
    char *out; /* roomy enough: see config_text_prepare() */
    size_t out_len;
    int depth; /* of braces */
    int *section_lines;
    size_t section_count;
    struct config_flaw *flaw;
};

static bool refuse(struct scanner *s, const char *reason) {
    *s->flaw = (struct config_flaw){s->line, reason};
    return false;
}

/* The byte that is OFFSET further on, -1 behind the end. */
static int peek(const struct scanner *s, size_t offset) {
    return offset < s->in.len - s->at ? (unsigned char)s->in.data[s->at + offset] : -1;
}

static void emit(struct scanner *s, char c) {
    s->out[s->out_len++] = c;
}

static void copy(struct scanner *s, size_t count) {
    for (; count; count--) {
        char c = s->in.data[s->at++];

        emit(s, c);
        s->line += c == '\n';
    }
}

/* Passes over COUNT bytes and keeps nothing but the ends of lines. */
static void blank(struct scanner *s, size_t count) {
    for (; count; count--) {
        char c = s->in.data[s->at++];

        emit(s, c == '\n' ? '\n' : ' ');
        s->line += c == '\n';
    }
}

static bool is_control(int c) {
    return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f;
}

static bool is_octal(int c) {
    return c >= '0' && c <= '7';
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(int c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_letter(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* \1 to \377. */
static bool octal_escape(struct scanner *s) {
    size_t digits = 0;
    int value = 0;

    for (; is_digit(peek(s, 1 + digits)); digits++) {
        if (digits == 3 || !is_octal(peek(s, 1 + digits)))
            return refuse(s, "bad escape: \\ and digits is a byte in octal");
        value = value * 8 + peek(s, 1 + digits) - '0';
    }
    if (value == 0 || value > 255)
        return refuse(s, "bad escape: no byte from \\1 to \\377");
    copy(s, 1 + digits);
    return true;
}

/* \x1 to \xff. */
static bool hex_escape(struct scanner *s) {
    size_t digits = 0;
    bool zero = true;

    for (; digits < 2 && is_hex(peek(s, 2 + digits)); digits++)
        zero = zero && peek(s, 2 + digits) == '0';
    if (zero)
        return refuse(s, "bad escape: no byte from \\x1 to \\xff");
    copy(s, 2 + digits);
    return true;
}

/* A backslash in double quotes. */
static bool escape(struct scanner *s) {
    int c = peek(s, 1);

    if (is_digit(c))
        return octal_escape(s);
    if (c == 'x')
        return hex_escape(s);
    /* libConfuse would drop the backslash, and with it a part of a password. */
    if (is_letter(c) && !strchr("abefnrtv", c))
        return refuse(s, "unknown escape: a backslash itself is written \\\\");
    if (c < 0 || (is_control(c) && c != '\n'))
        return refuse(s, "a quote is not closed");
    copy(s, 2);
    return true;
}

static bool double_quoted(struct scanner *s) {
    copy(s, 1);
    for (int c = peek(s, 0); c != '"'; c = peek(s, 0)) {
        if (c < 0 || c == '\n')
            return refuse(s, "a quote is not closed");
        if (is_control(c))
            return refuse(s, "a control character");
        if (c == '\\') {
            if (!escape(s))
                return false;
            continue;
        }
        if (c == '$' && peek(s, 1) == '{')
            emit(s, '\\'); /* else the environment would be put in */
        copy(s, 1);
    }
    copy(s, 1);
    return true;
}

static bool single_quoted(struct scanner *s) {
    copy(s, 1);
    for (int c = peek(s, 0); c != '\''; c = peek(s, 0)) {
        if (c == '\\' && (peek(s, 1) == '\\' || peek(s, 1) == '\'' || peek(s, 1) == '\n')) {
            copy(s, 2);
            continue;
        }
        if (c < 0 || c == '\n')
            return refuse(s, "a quote is not closed");
        if (is_control(c))
            return refuse(s, "a control character");
        copy(s, 1);
    }
    copy(s, 1);
    return true;
}

static void line_comment(struct scanner *s) {
    size_t len = 0;

    while (peek(s, len) >= 0 && peek(s, len) != '\n')
        len++;
    blank(s, len);
}

static bool block_comment(struct scanner *s) {
    size_t len = 2;

    while (peek(s, len) != '*' || peek(s, len + 1) != '/') {
        if (peek(s, len) < 0)
            return refuse(s, "a comment is not closed");
        len++;
    }
    blank(s, len + 2);
    return true;
}

/* Bytes that end a word without quotes. */
static bool ends_word(int c) {
    return c < 0 || is_control(c) || strchr(" \t#\"'={}()+,*", c);
}

static bool word(struct scanner *s) {
    while (!ends_word(peek(s, 0))) {
        /* libConfuse takes a|b for option b of section a. */
        if (peek(s, 0) == '|')
            return refuse(s, "a '|' stands in quotes only");
        if (peek(s, 0) == '$' && peek(s, 1) == '{')
            return refuse(s, "\"${\" stands in quotes only; the environment is not read");
        copy(s, 1);
    }
    return true;
}

static bool brace(struct scanner *s, int c) {
    if (c == '{') {
        if (s->depth++ == 0)
            s->section_lines[s->section_count++] = s->line;
    } else if (s->depth-- == 0) {
        return refuse(s, "a closing brace too many");
    }
    copy(s, 1);
    return true;
}

static bool token(struct scanner *s) {
    int c = peek(s, 0), next = peek(s, 1);

    if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
        blank(s, 1);
    else if (c == '#' || (c == '/' && next == '/'))
        line_comment(s);
    else if (c == '/' && next == '*')
        return block_comment(s);
    else if (c == '"')
        return double_quoted(s);
    else if (c == '\'')
        return single_quoted(s);
    else if (c == '{' || c == '}')
        return brace(s, c);
    else if (c == '=' || c == ',' || c == '(' || c == ')')
        copy(s, 1);
    else if (c == '+' && next == '=')
        copy(s, 2);
    else if (c == '+' || c == '*')
        return refuse(s, "a '+' or '*' stands in quotes only");
    else if (is_control(c))
        return refuse(s, c ? "a control character" : "a NUL byte");
    else
        return word(s);
    return true;
}

static bool scan(struct scanner *s) {
    while (s->at < s->in.len)
        if (!token(s))
            return false;
    if (s->depth > 0) {
        s->line = s->section_lines[s->section_count - 1];
        return refuse(s, "the section that begins here is not closed");
    }
    return true;
}

bool config_text_prepare(struct slice text, struct arena *arena, struct config_text *out,
                         struct config_flaw *flaw) {
    struct scanner s = {.in = text, .line = 1, .flaw = flaw};
    size_t dollars = 0, braces = 0;

    *flaw = (struct config_flaw){.reason = NULL};
    for (size_t i = 0; i < text.len; i++) {
        dollars += text.data[i] == '$';
        braces += text.data[i] == '{';
    }
    /* One backslash more for each "${" at most, and the last newline and a NUL. */
    s.out = arena_alloc(arena, text.len + dollars + 2);
    s.section_lines = arena_array(arena, braces + 1, sizeof(*s.section_lines));
    if (!s.out || !s.section_lines || !scan(&s))
        return false;
    emit(&s, '\n');
    *out = (struct config_text){{s.out, s.out_len}, s.section_lines, s.section_count};
    return true;
}

#include "cli/lives.h"

#include "base/timestamp.h"

#include <string.h>

/* All files, one after the other; NUL-terminated. */
extern const char lives_text[];

#define LIVES_MAX 16
#define STEPS_MAX 64
#define MINUTE (60 * TIMESTAMP_SECOND)

/* ---- reading ---- */

struct life_reader {
    struct arena *arena;
    struct lives *lives;
    struct life_step *steps; /* of the life at hand */
};

static bool begin_life(struct life_reader *reader, struct slice name) {
    struct lives *lives = reader->lives;
    reader->steps = arena_array(reader->arena, STEPS_MAX, sizeof(*reader->steps));
    if (reader->steps == NULL || lives->count == LIVES_MAX) {
        return false;
    }
    lives->items[lives->count++] = (struct life){
        .name = name, .steps = reader->steps, .single = slice_eq(name, SLICE_OF("single"))};
    return true;
}

static bool add_step(struct life_reader *reader, struct slice line) {
    struct lives *lives = reader->lives;
    struct slice minutes, rest;
    struct life_step step;
    if (lives->count == 0 || lives->items[lives->count - 1].count == STEPS_MAX ||
        !slice_split(line, ' ', &minutes, &rest) || !slice_to_int64(minutes, &step.minutes) ||
        !slice_split(rest, ' ', &step.event, &step.body)) {
        return false;
    }
    reader->steps[lives->items[lives->count - 1].count++] = step;
    return true;
}

static bool take_line(struct life_reader *reader, struct slice line) {
    struct slice word, name;
    if (slice_split(line, ' ', &word, &name) && slice_eq(word, SLICE_OF("life"))) {
        return begin_life(reader, name);
    }
    return add_step(reader, line);
}

bool lives_of(struct slice provider, struct arena *arena, struct lives *lives, struct err *err) {
    struct slice rest = slice_from_cstr(lives_text), line, word, name;
    struct life_reader reader = {.arena = arena, .lives = lives};
    bool wanted = false;
    *lives = (struct lives){.items = arena_array(arena, LIVES_MAX, sizeof(*lives->items))};
    if (lives->items == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    while (rest.len > 0) {
        (void)slice_split(rest, '\n', &line, &rest);
        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        if (slice_split(line, ' ', &word, &name) && slice_eq(word, SLICE_OF("provider"))) {
            wanted = slice_eq(name, provider);
        } else if (wanted && !take_line(&reader, line)) {
            return err_set(err, ERR_INPUT, "no line of a life: %.60s", line.data);
        }
    }
    return true;
}

/* ---- filling ---- */

/* 14 digits, the first of which is none that an integer leaves out. */
static void add_digits(uint64_t random, struct strbuf *out) {
    strbuf_addf(out, "%llu",
                (unsigned long long)(UINT64_C(10000000000000) + random % UINT64_C(90000000000000)));
}

/* Version 4 (RFC 9562). */
static void add_uuid(uint64_t random, struct strbuf *out) {
    uint64_t other = random * UINT64_C(0x9e3779b97f4a7c15);
    strbuf_addf(out, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(random >> 32),
                (unsigned)(random >> 16 & 0xffff), (unsigned)(random & 0xfff),
                (unsigned)(0x8000 | (other >> 48 & 0x3fff)),
                (unsigned long long)(other & UINT64_C(0xffffffffffff)));
}

static void add_time(int64_t at, struct strbuf *out) {
    char text[TIMESTAMP_TEXT];
    timestamp_format(at, text);
    strbuf_add_cstr(out, text);
}

static void add_date(int64_t at, struct strbuf *out) {
    char text[TIMESTAMP_TEXT];
    timestamp_format(at, text);
    strbuf_add(out, text, strlen("YYYY-MM-DD"));
}

static void add_unix(int64_t at, struct strbuf *out) {
    strbuf_addf(out, "%lld", (long long)(at / TIMESTAMP_SECOND));
}

static bool add_moment(struct slice name, int64_t at, struct strbuf *out) {
    static const struct {
        struct slice name;
        void (*add)(int64_t at, struct strbuf *out);
    } moments[] = {{SLICE("time"), add_time}, {SLICE("unix"), add_unix}, {SLICE("date"), add_date}};
    for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
        if (slice_eq(name, moments[i].name)) {
            moments[i].add(at, out);
            return true;
        }
    }
    return false;
}

static bool add_flag(struct slice name, bool live, struct strbuf *out) {
    static const struct {
        struct slice name;
        const char *live, *sandbox;
    } flags[] = {{SLICE("live"), "true", "false"},
                 {SLICE("test"), "false", "true"},
                 {SLICE("environment"), "production", "sandbox"}};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (slice_eq(name, flags[i].name)) {
            strbuf_add_cstr(out, live ? flags[i].live : flags[i].sandbox);
            return true;
        }
    }
    return false;
}

static bool add_value(struct slice name, const struct life_facts *facts, struct strbuf *out) {
    struct slice word, minutes;
    int64_t after = 0;
    if (slice_eq(name, SLICE_OF("life"))) {
        add_digits(facts->life, out);
    } else if (slice_eq(name, SLICE_OF("event"))) {
        add_digits(facts->event, out);
    } else if (slice_eq(name, SLICE_OF("uuid"))) {
        add_uuid(facts->event, out);
    } else if (slice_split(name, ':', &word, &minutes)) {
        return slice_to_int64(minutes, &after) &&
               add_moment(word, facts->begin + after * MINUTE, out);
    } else {
        return add_moment(name, facts->at, out) || add_flag(name, facts->live, out);
    }
    return true;
}

/* Splits TEXT at the next ${NAME}; false, with *before the whole, when there is none. */
static bool next_name(struct slice text, struct slice *before, struct slice *name,
                      struct slice *after) {
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.data[i] == '$' && text.data[i + 1] == '{' &&
            slice_split(slice_from(text, i + 2), '}', name, after)) {
            *before = slice_first(text, i);
            return true;
        }
    }
    *before = text;
    return false;
}

bool life_fill(struct slice body, const struct life_facts *facts, struct strbuf *out) {
    struct slice before, name;
    while (next_name(body, &before, &name, &body)) {
        strbuf_add_slice(out, before);
        if (!add_value(name, facts, out)) {
            return false;
        }
    }
    strbuf_add_slice(out, before);
    return !strbuf_failed(out);
}

bool life_has_flag(struct slice body) {
    struct slice before, name;
    struct strbuf ignored = STRBUF_INIT(64);
    bool found = false;
    while (!found && next_name(body, &before, &name, &body)) {
        found = add_flag(name, true, &ignored);
    }
    strbuf_free(&ignored);
    return found;
}

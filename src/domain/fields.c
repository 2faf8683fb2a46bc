#include "domain/fields.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

static const char MISSING[] = "missing";
static const char NOT_A_STRING[] = "not a string";
static const char NOT_A_STRING_OR_INTEGER[] = "neither a string nor an integer";
static const char NOT_AN_INTEGER[] = "not an integer";
static const char NOT_A_TIME[] = "not a time from 2000 to 2100";
static const char NOT_A_DATE[] = "not a date from 2000 to 2100";

#define STRINGIFY(x) #x
#define DIGITS(x) STRINGIFY(x)

/* ---- the reader ---- */

bool reader_begin(struct reader *r, const struct json *doc, struct arena *arena,
                  struct changes *changes) {
    *r = (struct reader){.arena = arena,
                         .changes = changes,
                         .doc = {.index = PLACE_WHOLE, .value = doc},
                         .reading = READING_APPLIED};
    if (json_is_object(doc))
        return true;
    reader_fail(r, &r->doc, NULL, "not an object");
    return false;
}

bool reader_end(const struct reader *r, enum reading *reading) {
    *reading = r->reading;
    return !r->no_memory;
}

static void add_step(struct strbuf *out, const char *path) {
    if (path) {
        strbuf_add_cstr(out, out->len ? "." : "");
        strbuf_add_cstr(out, path);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a provider's own code goes into a document. */
static void add_place(struct strbuf *out, const struct place *at) {
    if (at->parent)
        add_place(out, at->parent);
    add_step(out, at->path);
    if (at->index != PLACE_WHOLE)
        strbuf_addf(out, "[%zu]", at->index);
}

void reader_fail(struct reader *r, const struct place *at, const char *path, const char *why) {
    if (r->reading == READING_QUARANTINED)
        return;
    r->reading = READING_QUARANTINED;
    struct strbuf detail = STRBUF_INIT(LIMIT_TEXT);
    add_place(&detail, at);
    add_step(&detail, path);
    if (!detail.len)
        strbuf_add_char(&detail, '$');
    strbuf_addf(&detail, ": %s", why);
    if (strbuf_failed(&detail) || !arena_dup(r->arena, strbuf_slice(&detail), &r->changes->detail))
        r->no_memory = true;
    strbuf_free(&detail);
}

void *reader_array(struct reader *r, size_t count, size_t size) {
    void *array = arena_array(r->arena, count, size);
    if (!array)
        r->no_memory = true;
    return array;
}

struct slice reader_take_text(struct reader *r, struct strbuf *buf) {
    struct slice text = SLICE_EMPTY;
    if (strbuf_failed(buf) || !arena_dup(r->arena, strbuf_slice(buf), &text))
        r->no_memory = true;
    strbuf_free(buf);
    return text;
}

struct place place_at(const struct place *parent, const char *path) {
    return (struct place){.parent = parent,
                          .path = path,
                          .index = PLACE_WHOLE,
                          .value = json_path(parent->value, path)};
}

struct place place_element(const struct place *array, size_t index) {
    return (struct place){
        .parent = array, .index = index, .value = json_array_at(array->value, index)};
}

size_t place_count(struct reader *r, const struct place *array) {
    size_t count = json_array_len(array->value);
    if (count <= LIMIT_CHANGES)
        return count;
    reader_fail(r, array, NULL, "more than " DIGITS(LIMIT_CHANGES) " elements");
    return 0;
}

/* ---- ids, numbers and words ---- */

struct id_rule {
    bool required, or_integer;
};

static struct slice read_id(struct reader *r, const struct place *at, const char *path,
                            struct id_rule rule) {
    const struct json *value = json_path(at->value, path);
    struct slice id = rule.or_integer ? json_text_or_integer(value, r->arena, &r->no_memory)
                                      : json_text(value, r->arena, &r->no_memory);
    if (id.len > LIMIT_ID) {
        reader_fail(r, at, path, "longer than " DIGITS(LIMIT_ID) " bytes");
        return SLICE_EMPTY;
    }
    if (id.len || !rule.required)
        return id;
    if (json_is_null(value) || json_is_string(value))
        reader_fail(r, at, path, MISSING);
    else
        reader_fail(r, at, path, rule.or_integer ? NOT_A_STRING_OR_INTEGER : NOT_A_STRING);
    return id;
}

struct slice id_required(struct reader *r, const struct place *at, const char *path) {
    return read_id(r, at, path, (struct id_rule){.required = true});
}

struct slice id_optional(struct reader *r, const struct place *at, const char *path) {
    return read_id(r, at, path, (struct id_rule){0});
}

struct slice id_or_integer_required(struct reader *r, const struct place *at, const char *path) {
    return read_id(r, at, path, (struct id_rule){.required = true, .or_integer = true});
}

struct slice id_or_integer_optional(struct reader *r, const struct place *at, const char *path) {
    return read_id(r, at, path, (struct id_rule){.or_integer = true});
}

int64_t integer_required(struct reader *r, const struct place *at, const char *path) {
    const struct json *value = json_path(at->value, path);
    int64_t number = 0;
    if (json_to_integer(value, &number))
        return number;
    struct slice digits = json_text(value, r->arena, &r->no_memory);
    if (slice_to_int64(digits, &number))
        return number;
    bool missing = json_is_null(value) || (json_is_string(value) && !digits.len);
    reader_fail(r, at, path, missing ? MISSING : NOT_AN_INTEGER);
    return 0;
}

void object_required(struct reader *r, const struct place *at, const char *path) {
    const struct json *value = json_path(at->value, path);
    if (!json_is_object(value))
        reader_fail(r, at, path, json_is_null(value) ? MISSING : "not an object");
}

const struct event_kind *event_required(struct reader *r, const char *path,
                                        const struct event_kind *events, size_t count) {
    struct slice name = id_required(r, &r->doc, path);
    r->changes->event_type = name;
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(events[i].name, name)) {
            r->changes->event_known = true;
            return &events[i];
        }
    }
    reader_fail(r, &r->doc, path, "unknown event");
    return NULL;
}

void event_read(struct reader *r, const struct event_kind *event) {
    if (!event)
        return;
    if (event->read)
        event->read(r);
    else if (r->reading == READING_APPLIED)
        r->reading = READING_IGNORED;
}

/* ---- texts for people ---- */

struct slice text_optional(struct reader *r, const struct place *at, const char *path) {
    return slice_cut_utf8(json_text(json_path(at->value, path), r->arena, &r->no_memory),
                          LIMIT_TEXT);
}

static bool is_control(char c) {
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* A copy of TEXT to be changed in place; NULL, and *copy empty, for an empty one or without memory.
 */
static char *copy_of(struct reader *r, struct slice text, struct slice *copy) {
    char *data = text.len ? reader_array(r, text.len, 1) : NULL;
    if (!data) {
        *copy = SLICE_EMPTY;
        return NULL;
    }
    memcpy(data, text.data, text.len);
    *copy = (struct slice){data, text.len};
    return data;
}

struct slice line_optional(struct reader *r, const struct place *at, const char *path) {
    struct slice line;
    char *data = copy_of(r, text_optional(r, at, path), &line);
    size_t len = 0;
    for (size_t i = 0; i < line.len; i++) {
        if (!is_control(data[i]))
            data[len++] = data[i];
        else if (len && data[len - 1] != ' ')
            data[len++] = ' ';
    }
    return slice_trim(slice_first(line, len));
}

struct slice url_optional(struct reader *r, const struct place *at, const char *path) {
    struct slice url = json_text(json_path(at->value, path), r->arena, &r->no_memory);
    return url.len <= LIMIT_URL ? url : SLICE_EMPTY;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

struct slice country_optional(struct reader *r, const struct place *at, const char *path) {
    struct slice country = text_optional(r, at, path);
    if (country.len != 2 || !is_letter(country.data[0]) || !is_letter(country.data[1]))
        return country;
    struct slice code;
    char *data = copy_of(r, country, &code);
    for (size_t i = 0; i < code.len; i++)
        data[i] = (char)(data[i] & ~0x20);
    return code;
}

struct slice text_join(struct reader *r, struct slice a, const char *separator, struct slice b) {
    if (!a.len || !b.len)
        return a.len ? a : b;
    size_t gap = strlen(separator);
    char *data = reader_array(r, a.len + gap + b.len, 1);
    if (!data)
        return SLICE_EMPTY;
    memcpy(data, a.data, a.len);
    memcpy(data + a.len, separator, gap);
    memcpy(data + a.len + gap, b.data, b.len);
    return slice_cut_utf8((struct slice){data, a.len + gap + b.len}, LIMIT_TEXT);
}

struct slice text_lower(struct reader *r, struct slice text) {
    struct slice lower;
    char *data = copy_of(r, slice_trim(text), &lower);
    for (size_t i = 0; i < lower.len; i++) {
        if (data[i] >= 'A' && data[i] <= 'Z')
            data[i] = (char)(data[i] | 0x20);
    }
    return lower;
}

struct slice text_object(struct reader *r, const struct text_member *members, size_t count) {
    struct strbuf text = STRBUF_INIT(LIMIT_REQUEST_ARENA);
    struct json_writer w;
    bool known = false;
    json_writer_init(&w, &text);
    json_begin_object(&w, NULL);
    for (size_t i = 0; i < count; i++) {
        json_put_text(&w, members[i].key, members[i].value);
        known = known || members[i].value.len;
    }
    json_end_object(&w);
    struct slice json = reader_take_text(r, &text);
    return known ? json : SLICE_EMPTY;
}

/* ---- times ---- */

enum time_found { TIME_MISSING, TIME_WRONG_TYPE, TIME_BAD, TIME_GOOD };

/* Unix seconds, as a number or as digits. */
static enum time_found from_unix(int64_t seconds, int64_t *time) {
    return timestamp_from_unix(seconds, time) ? TIME_GOOD : TIME_BAD;
}

static enum time_found read_time(struct reader *r, const struct place *at, const char *path,
                                 int64_t *time) {
    const struct json *value = json_path(at->value, path);
    int64_t seconds;
    if (json_is_null(value))
        return TIME_MISSING;
    if (json_to_integer(value, &seconds))
        return from_unix(seconds, time);
    if (!json_is_string(value))
        return TIME_WRONG_TYPE;
    struct slice text = json_text(value, r->arena, &r->no_memory);
    if (!text.len)
        return TIME_MISSING;
    if (slice_to_int64(text, &seconds))
        return from_unix(seconds, time);
    return timestamp_parse(text, time) ? TIME_GOOD : TIME_BAD;
}

int64_t time_optional(struct reader *r, const struct place *at, const char *path) {
    int64_t time;
    return read_time(r, at, path, &time) == TIME_GOOD ? time : TIMESTAMP_NONE;
}

int64_t time_required(struct reader *r, const struct place *at, const char *path,
                      const char *otherwise) {
    int64_t time;
    enum time_found found = read_time(r, at, path, &time);
    if ((found == TIME_MISSING || found == TIME_WRONG_TYPE) && otherwise) {
        enum time_found second = read_time(r, at, otherwise, &time);
        if (second == TIME_GOOD)
            return time;
        if (second != TIME_MISSING) {
            path = otherwise;
            found = second;
        }
    }
    if (found == TIME_GOOD)
        return time;
    reader_fail(r, at, path, found == TIME_MISSING ? MISSING : NOT_A_TIME);
    return TIMESTAMP_NONE;
}

static enum time_found read_day(struct reader *r, const struct place *at, const char *path,
                                int64_t *time) {
    enum time_found found = read_time(r, at, path, time);
    if (found != TIME_BAD)
        return found;
    int32_t days = date_optional(r, at, path);
    struct slice text = text_optional(r, at, path);
    if (days == DATE_NONE || text.len != strlen("YYYY-MM-DD"))
        return TIME_BAD;
    *time = (int64_t)days * 86400 * TIMESTAMP_SECOND;
    return TIME_GOOD;
}

int64_t day_optional(struct reader *r, const struct place *at, const char *path) {
    int64_t time;
    return read_day(r, at, path, &time) == TIME_GOOD ? time : TIMESTAMP_NONE;
}

int64_t day_required(struct reader *r, const struct place *at, const char *path) {
    int64_t time;
    enum time_found found = read_day(r, at, path, &time);
    if (found == TIME_GOOD)
        return time;
    reader_fail(r, at, path, found == TIME_MISSING ? MISSING : NOT_A_DATE);
    return TIMESTAMP_NONE;
}

int32_t date_optional(struct reader *r, const struct place *at, const char *path) {
    const int64_t day = 86400 * TIMESTAMP_SECOND;
    struct slice text = json_text(json_path(at->value, path), r->arena, &r->no_memory);
    int32_t days;
    if (!date_parse(text, &days) || days < TIMESTAMP_MIN / day || days >= TIMESTAMP_MAX / day)
        return DATE_NONE;
    return days;
}

struct slice time_text(struct reader *r, int64_t at) {
    if (at == TIMESTAMP_NONE)
        return SLICE_EMPTY;
    char text[TIMESTAMP_TEXT];
    struct slice copy;
    timestamp_format(at, text);
    copy_of(r, slice_from_cstr(text), &copy);
    return copy;
}

/* ---- items ---- */

struct item {
    struct slice id;
    bool has_quantity;
    int64_t quantity;
};

static int compare_items(const void *left, const void *right) {
    const struct item *a = left, *b = right;
    int order = slice_cmp(a->id, b->id);
    if (order)
        return order;
    return (a->quantity > b->quantity) - (a->quantity < b->quantity);
}

static struct slice items_json(struct reader *r, const struct item *items, size_t count) {
    struct strbuf text = STRBUF_INIT(LIMIT_REQUEST_ARENA);
    struct json_writer w;
    json_writer_init(&w, &text);
    json_begin_array(&w, NULL);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(&w, NULL);
        json_put_text(&w, "id", items[i].id);
        if (items[i].has_quantity)
            json_put_integer(&w, "quantity", items[i].quantity);
        else
            json_put_null(&w, "quantity");
        json_end_object(&w);
    }
    json_end_array(&w);
    return reader_take_text(r, &text);
}

struct slice items_optional(struct reader *r, const struct place *at, const char *path,
                            const char *id_path) {
    const struct place list = place_at(at, path);
    size_t count = place_count(r, &list), known = 0;
    struct item *items = count ? reader_array(r, count, sizeof *items) : NULL;
    if (!items)
        return SLICE_EMPTY;
    for (size_t i = 0; i < count; i++) {
        const struct place element = place_element(&list, i);
        struct item item = {.id = id_or_integer_optional(r, &element, id_path)};
        item.has_quantity = json_to_integer(json_get(element.value, "quantity"), &item.quantity);
        if (item.id.len)
            items[known++] = item;
    }
    if (known == 0)
        return SLICE_EMPTY;
    qsort(items, known, sizeof *items, compare_items);
    return items_json(r, items, known);
}

/* ---- pieces of changes ---- */

struct slice recipient_json(struct reader *r, const struct recipient *recipient) {
    const struct text_member members[] = {
        {"name", recipient->name},         {"company", recipient->company},
        {"phone", recipient->phone},       {"email", recipient->email},
        {"street", recipient->street},     {"details", recipient->details},
        {"city", recipient->city},         {"zip", recipient->zip},
        {"province", recipient->province}, {"country", recipient->country},
    };
    return text_object(r, members, ARRAY_LEN(members));
}

struct slice recipient_summary(struct reader *r, const struct recipient *recipient) {
    return text_join(r, text_join(r, recipient->country, " ", recipient->zip), " ",
                     recipient->city);
}

bool reserve_boxes(struct reader *r, size_t count) {
    r->changes->boxes = reader_array(r, count, sizeof *r->changes->boxes);
    return r->changes->boxes;
}

bool reserve_events(struct reader *r, size_t count) {
    r->changes->events = reader_array(r, count, sizeof *r->changes->events);
    return r->changes->events;
}

struct box_change *next_box(struct reader *r, struct slice box_id) {
    struct box_change *box = &r->changes->boxes[r->changes->box_count++];
    box_change_init(box);
    box->box_id = box_id;
    return box;
}

struct tracking_event *next_event(struct reader *r, struct slice box_id, int64_t occurred_at) {
    struct tracking_event *event = &r->changes->events[r->changes->event_count++];
    tracking_event_init(event);
    event->box_id = box_id;
    event->occurred_at = occurred_at;
    return event;
}

void add_order_change(struct reader *r, enum order_field field, struct slice previous_value,
                      struct slice new_value) {
    struct changes *c = r->changes;
    /* At most one of each field. */
    if (!c->order_changes)
        c->order_changes = reader_array(r, ORDER_FIELDS, sizeof *c->order_changes);
    if (!c->order_changes)
        return;
    c->order_changes[c->order_change_count++] =
        (struct order_field_change){.field = field,
                                    .previous_value = previous_value,
                                    .new_value = new_value,
                                    .occurred_at = c->version_at};
}

struct status_report status_report_of(const struct status_word *row, struct slice word,
                                      int64_t at) {
    struct status_report report;
    status_report_init(&report);
    report.provider_status = word;
    report.at = at;
    if (row) {
        report.status = row->status;
        report.detail = row->detail;
        report.weak = row->weak;
    }
    return report;
}

void box_report(struct box_change *box, const struct status_word *row, struct slice word,
                int64_t at) {
    box->has_status = true;
    box->status = status_report_of(row, word, at);
    box->was_delayed = row && row->delayed;
    box->had_failed_attempt = box->status.status == STATUS_ATTEMPT_FAILED;
}

void event_report(struct tracking_event *event, const struct box_change *box) {
    event->status = box->status.status;
    event->detail = box->status.detail;
    event->provider_status = box->status.provider_status;
    event->location = box->status.location;
}

#include "domain/fields.h"

#include "base/ascii.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

static const char MISSING[] = "missing";
static const char NOT_A_TEXT[] = "neither a string nor an integer";
static const char NOT_A_FLAG[] = "neither true nor false";
static const char NOT_AN_INTEGER[] = "not an integer";
static const char NOT_A_TIME[] = "not a time from 2000 to 2100";

#define STRINGIFY(x) #x
#define DIGITS(x) STRINGIFY(x)

/* ---- the reader ---- */

/* So many ignored fields a detail names. */
#define IGNORED_MAX 10

bool reader_begin(struct reader *r, const struct json *doc, const struct reading_context *context,
                  struct arena *arena, struct changes *changes) {
    *r = (struct reader){.arena = arena,
                         .context = context,
                         .changes = changes,
                         .doc = {.index = PLACE_WHOLE, .value = doc},
                         .reading = READING_APPLIED,
                         .ignored = STRBUF_INIT(LIMIT_TEXT)};
    if (json_is_object(doc)) {
        return true;
    }
    reader_fail(r, &r->doc, NULL, "not an object");
    return false;
}

static void name_ignored(struct reader *r) {
    if (r->ignored_count > IGNORED_MAX) {
        strbuf_addf(&r->ignored, " and %zu more", r->ignored_count - IGNORED_MAX);
    }
    if (strbuf_failed(&r->ignored) ||
        !arena_dup(r->arena, strbuf_slice(&r->ignored), &r->changes->detail)) {
        r->no_memory = true;
    }
}

static void fill_carriers(struct reader *r) {
    struct changes *c = r->changes;
    for (size_t i = 0; i < c->box_count; i++) {
        if (c->boxes[i].carrier.len == 0) {
            c->boxes[i].carrier = r->context->carrier;
            c->boxes[i].carrier_is_default = true;
        }
    }
}

bool reader_end(struct reader *r, enum reading *reading) {
    if (r->reading == READING_APPLIED && r->traffic == TRAFFIC_UNDECIDED) {
        reader_fail(r, &r->doc, NULL, "neither live nor sandbox");
    }
    r->changes->live_known = r->traffic != TRAFFIC_UNDECIDED;
    r->changes->live = r->traffic == TRAFFIC_LIVE;
    if (r->reading != READING_QUARANTINED && r->ignored_count > 0) {
        name_ignored(r);
    }
    if (r->reading == READING_APPLIED) {
        fill_carriers(r);
    }
    strbuf_free(&r->ignored);
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

static void add_path(struct strbuf *out, const struct place *at, const char *path) {
    add_place(out, at);
    add_step(out, path);
    if (out->len == 0) {
        strbuf_add_char(out, '$');
    }
}

void reader_fail(struct reader *r, const struct place *at, const char *path, const char *why) {
    if (r->reading == READING_QUARANTINED) {
        return;
    }
    r->reading = READING_QUARANTINED;
    struct strbuf detail = STRBUF_INIT(LIMIT_TEXT);
    add_path(&detail, at, path);
    strbuf_addf(&detail, ": %s", why);
    if (strbuf_failed(&detail) ||
        !arena_dup(r->arena, strbuf_slice(&detail), &r->changes->detail)) {
        r->no_memory = true;
    }
    strbuf_free(&detail);
}

/* Is PATH one of LIST, which ", " separates? */
static bool is_listed(struct slice list, struct slice path) {
    struct slice item;
    (void)slice_split(list, ' ', &item, &list); /* "ignored:" */
    while (list.len > 0) {
        (void)slice_split(list, ',', &item, &list);
        if (slice_eq(slice_trim(item), path)) {
            return true;
        }
    }
    return false;
}

/* Notes the field at PATH, which counts as missing; each once. */
static void ignore_field(struct reader *r, const struct place *at, const char *path) {
    struct strbuf text = STRBUF_INIT(LIMIT_TEXT);
    add_path(&text, at, path);
    struct slice name = strbuf_slice(&text);
    if (strbuf_failed(&text)) {
        r->no_memory = true;
    } else if (!is_listed(strbuf_slice(&r->ignored), name) && r->ignored_count++ < IGNORED_MAX) {
        strbuf_add_cstr(&r->ignored, r->ignored_count > 1 ? ", " : "ignored: ");
        strbuf_add_slice(&r->ignored, name);
    }
    strbuf_free(&text);
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

/* Null, or an empty text, which counts as null. */
static bool is_missing(const struct json *value) {
    return json_is_null(value) || (json_is_string(value) && json_is_empty(value));
}

/* The value at PATH below AT. Notes what stands in the way: a text has no members. */
static const struct json *value_at(struct reader *r, const struct place *at, const char *path) {
    const struct json *value = json_path(at->value, path);
    char before[128];
    const char *dot = value == NULL ? strchr(path, '.') : NULL;
    for (; dot != NULL; dot = strchr(dot + 1, '.')) {
        size_t len = (size_t)(dot - path);
        if (len >= sizeof(before)) {
            break;
        }
        memcpy(before, path, len);
        before[len] = '\0';
        const struct json *parent = json_path(at->value, before);
        if (!json_is_object(parent)) {
            if (!is_missing(parent)) {
                ignore_field(r, at, before);
            }
            break;
        }
    }
    return value;
}

struct place object_at(struct reader *r, const struct place *parent, const char *path) {
    struct place place = {.parent = parent, .path = path, .index = PLACE_WHOLE};
    const struct json *value = value_at(r, parent, path);
    if (json_is_object(value)) {
        place.value = value;
    } else if (!is_missing(value)) {
        ignore_field(r, parent, path);
    }
    return place;
}

struct place place_element(const struct place *array, size_t index) {
    return (struct place){
        .parent = array, .index = index, .value = json_array_at(array->value, index)};
}

struct place object_element(struct reader *r, const struct place *array, size_t index) {
    struct place place = place_element(array, index);
    if (!json_is_object(place.value)) {
        if (!is_missing(place.value)) {
            ignore_field(r, &place, NULL);
        }
        place.value = NULL;
    }
    return place;
}

size_t place_count(struct reader *r, const struct place *array) {
    if (!json_is_array(array->value)) {
        if (!is_missing(array->value)) {
            ignore_field(r, array, NULL);
        } else if (array->parent != NULL && array->path != NULL) {
            (void)value_at(r, array->parent, array->path);
        }
        return 0;
    }
    size_t count = json_array_len(array->value);
    if (count <= LIMIT_CHANGES) {
        return count;
    }
    reader_fail(r, array, NULL, "more than " DIGITS(LIMIT_CHANGES) " elements");
    return 0;
}

bool is_present(const struct place *at, const char *path) {
    return !json_is_empty(json_path(at->value, path));
}

/* ---- live or sandbox ---- */

/* True where the sandbox or not is said; FLAG is then what. */
static bool read_flag(struct reader *r, const struct json *value, bool *flag) {
    int64_t number;
    if (json_to_boolean(value, flag)) {
        return true;
    }
    if (json_to_integer(value, &number)) {
        *flag = number == 1;
        return number == 0 || number == 1;
    }
    struct slice text = slice_trim(json_text(value, r->arena, &r->no_memory));
    *flag = slice_eq(text, SLICE_OF("1")) || slice_eq_nocase(text, SLICE_OF("true"));
    return *flag || slice_eq(text, SLICE_OF("0")) || slice_eq_nocase(text, SLICE_OF("false"));
}

static void decide(struct reader *r, bool live) {
    r->traffic = live ? TRAFFIC_LIVE : TRAFFIC_SANDBOX;
}

static void decide_by_flag(struct reader *r, const struct place *at, const char *path,
                           bool live_when) {
    const struct json *value = json_path(at->value, path);
    bool flag = false;
    if (json_is_null(value)) {
        decide(r, true);
    } else if (read_flag(r, value, &flag)) {
        decide(r, flag == live_when);
    } else {
        reader_fail(r, at, path, NOT_A_FLAG);
    }
}

void live_flag(struct reader *r, const struct place *at, const char *path) {
    decide_by_flag(r, at, path, true);
}

void sandbox_flag(struct reader *r, const struct place *at, const char *path) {
    decide_by_flag(r, at, path, false);
}

void environment_word(struct reader *r, const struct place *at, const char *path) {
    static const struct {
        struct slice word;
        bool live;
    } words[] = {{SLICE("production"), true},
                 {SLICE("live"), true},
                 {SLICE("sandbox"), false},
                 {SLICE("test"), false}};
    const struct json *value = json_path(at->value, path);
    struct slice text = slice_trim(json_text(value, r->arena, &r->no_memory));
    if (json_is_null(value)) {
        decide(r, true);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_eq_nocase(text, words[i].word)) {
            decide(r, words[i].live);
            return;
        }
    }
    reader_fail(r, at, path, "neither production nor sandbox");
}

/* ---- ids, numbers and words ---- */

/* The text of VALUE; one that has none is ignored. */
static struct slice text_of(struct reader *r, const struct json *value, const struct place *at,
                            const char *path) {
    if (!is_missing(value) && !json_is_string(value) && !json_is_integer(value)) {
        ignore_field(r, at, path);
        return SLICE_EMPTY;
    }
    return json_text_or_integer(value, r->arena, &r->no_memory);
}

static struct slice checked_id(struct reader *r, struct slice id, const struct place *at,
                               const char *path) {
    if (id.len <= LIMIT_ID) {
        return id;
    }
    reader_fail(r, at, path, "longer than " DIGITS(LIMIT_ID) " bytes");
    return SLICE_EMPTY;
}

struct slice id_required(struct reader *r, const struct place *at, const char *path) {
    const struct json *value = json_path(at->value, path);
    struct slice id = json_text_or_integer(value, r->arena, &r->no_memory);
    if (id.len == 0) {
        reader_fail(r, at, path, is_missing(value) ? MISSING : NOT_A_TEXT);
    }
    return checked_id(r, id, at, path);
}

struct slice id_optional(struct reader *r, const struct place *at, const char *path) {
    return checked_id(r, text_of(r, value_at(r, at, path), at, path), at, path);
}

static bool read_integer(struct reader *r, const struct json *value, int64_t *number) {
    return json_to_integer(value, number) ||
           slice_to_int64(json_text(value, r->arena, &r->no_memory), number);
}

int64_t integer_required(struct reader *r, const struct place *at, const char *path) {
    const struct json *value = json_path(at->value, path);
    int64_t number = 0;
    if (read_integer(r, value, &number)) {
        return number;
    }
    reader_fail(r, at, path, is_missing(value) ? MISSING : NOT_AN_INTEGER);
    return 0;
}

bool integer_optional(struct reader *r, const struct place *at, const char *path, int64_t *number) {
    const struct json *value = value_at(r, at, path);
    if (is_missing(value)) {
        return false;
    }
    if (read_integer(r, value, number)) {
        return true;
    }
    ignore_field(r, at, path);
    return false;
}

bool flag_optional(struct reader *r, const struct place *at, const char *path) {
    const struct json *value = value_at(r, at, path);
    bool flag = false;
    if (!is_missing(value) && !json_to_boolean(value, &flag)) {
        ignore_field(r, at, path);
    }
    return flag;
}

void object_required(struct reader *r, const struct place *at, const char *path) {
    const struct json *value = json_path(at->value, path);
    if (!json_is_object(value)) {
        reader_fail(r, at, path, json_is_null(value) ? MISSING : "not an object");
    }
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
    return slice_cut_utf8(text_of(r, value_at(r, at, path), at, path), LIMIT_TEXT);
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
    const struct json *value = value_at(r, at, path);
    struct slice url = json_text(value, r->arena, &r->no_memory);
    if (url.len > LIMIT_URL || (url.len == 0 && !is_missing(value))) {
        ignore_field(r, at, path);
        return SLICE_EMPTY;
    }
    return url;
}

struct slice country_optional(struct reader *r, const struct place *at, const char *path) {
    struct slice country = text_optional(r, at, path);
    if (country.len != 2 || !ascii_is_letter(country.data[0]) ||
        !ascii_is_letter(country.data[1])) {
        return country;
    }
    struct slice code;
    char *data = copy_of(r, country, &code);
    for (size_t i = 0; i < code.len; i++) {
        data[i] = ascii_to_upper(data[i]);
    }
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
        data[i] = ascii_to_lower(data[i]);
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

static enum time_found read_time(struct reader *r, const struct json *value, int64_t *time) {
    int64_t number;
    if (is_missing(value)) {
        return TIME_MISSING;
    }
    if (json_to_integer(value, &number)) {
        return timestamp_from_number(number, time) ? TIME_GOOD : TIME_BAD;
    }
    if (!json_is_string(value)) {
        return TIME_WRONG_TYPE;
    }
    struct slice text = slice_trim(json_text(value, r->arena, &r->no_memory));
    return timestamp_parse_in(text, r->context->zone, time) ? TIME_GOOD : TIME_BAD;
}

int64_t time_optional(struct reader *r, const struct place *at, const char *path) {
    int64_t time;
    enum time_found found = read_time(r, value_at(r, at, path), &time);
    if (found == TIME_GOOD) {
        return time;
    }
    if (found != TIME_MISSING) {
        ignore_field(r, at, path);
    }
    return TIMESTAMP_NONE;
}

int64_t time_required(struct reader *r, const struct place *at, const char *path,
                      const char *otherwise) {
    int64_t time;
    enum time_found found = read_time(r, json_path(at->value, path), &time);
    if ((found == TIME_MISSING || found == TIME_WRONG_TYPE) && otherwise != NULL) {
        enum time_found second = read_time(r, json_path(at->value, otherwise), &time);
        if (second == TIME_GOOD) {
            if (found == TIME_WRONG_TYPE) {
                ignore_field(r, at, path);
            }
            return time;
        }
        if (second != TIME_MISSING) {
            path = otherwise;
            found = second;
        }
    }
    if (found == TIME_GOOD) {
        return time;
    }
    reader_fail(r, at, path, found == TIME_MISSING ? MISSING : NOT_A_TIME);
    return TIMESTAMP_NONE;
}

static bool is_in_range(int32_t days) {
    const int64_t day = 86400 * TIMESTAMP_SECOND;
    return days >= TIMESTAMP_MIN / day && days < TIMESTAMP_MAX / day;
}

int32_t date_optional(struct reader *r, const struct place *at, const char *path) {
    const struct json *value = value_at(r, at, path);
    struct slice text = slice_trim(json_text(value, r->arena, &r->no_memory));
    int32_t days;
    int64_t number, time;
    if (date_parse(text, &days) && is_in_range(days)) {
        return days;
    }
    if (read_integer(r, value, &number) && timestamp_from_number(number, &time)) {
        return date_of(time, r->context->zone);
    }
    if (!is_missing(value)) {
        ignore_field(r, at, path);
    }
    return DATE_NONE;
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
        const struct place element = object_element(r, &list, i);
        struct item item = {.id = id_optional(r, &element, id_path)};
        item.has_quantity = integer_optional(r, &element, "quantity", &item.quantity);
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

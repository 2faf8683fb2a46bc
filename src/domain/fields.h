/*
 * Reading one document field by field, so that a provider's file is a list of what it reads.
 *
 * A reader remembers its first failure, a field that quarantines the delivery or memory that ran
 * out, and goes on: after it every call still gives a harmless value, and the end is tested once.
 * The failure's detail names the way to the field and what is wrong, never a value of the sender's.
 *
 * A field that is absent, null or an empty string is missing. Where text is expected, an integer is
 * its digits; where an integer is expected, a string of digits is the integer. An optional field of
 * any other type, or one that is no time or link where one is expected, is missing too, and the
 * detail names it as ignored; a required one quarantines.
 */
#ifndef DOMAIN_FIELDS_H
#define DOMAIN_FIELDS_H

#include "adapter/json.h"
#include "domain/change.h"

/* A value of the document and the way to it. Lives as long as its parent. */
struct place {
    const struct place *parent; /* NULL: the document */
    const char *path;           /* dotted, below the parent; NULL: the parent itself */
    size_t index;               /* of an element of the array at PATH; PLACE_WHOLE: all of it */
    const struct json *value;   /* NULL: absent */
};
#define PLACE_WHOLE SIZE_MAX

/* Which of the two worlds an event belongs to. */
enum traffic { TRAFFIC_UNDECIDED, TRAFFIC_LIVE, TRAFFIC_SANDBOX };

struct reader {
    struct arena *arena;
    const struct reading_context *context;
    struct changes *changes;
    struct place doc;
    enum reading reading; /* READING_APPLIED until something else is known */
    enum traffic traffic; /* nothing is applied without one */
    bool no_memory;
    struct strbuf ignored; /* the paths of fields that were of no use */
    size_t ignored_count;
};

/* One event of a sender and the function that reads it; NULL: understood, nothing for the rows. */
struct event_kind {
    struct slice name;
    void (*read)(struct reader *r);
};

/* False, and the document quarantined, when it is no object. reader_end() follows in any case. */
MUST_CHECK bool reader_begin(struct reader *r, const struct json *doc,
                             const struct reading_context *context, struct arena *arena,
                             struct changes *changes);
/* What a provider's read function returns: false only without memory. Says in the changes what was
 * ignored and whether they are live; of a box whose sender names no carrier it sets that of the
 * context. */
MUST_CHECK bool reader_end(struct reader *r, enum reading *reading);
/* Quarantines with the detail "path: why". The first failure stands. */
void reader_fail(struct reader *r, const struct place *at, const char *path, const char *why);
/* COUNT (at least 1) zeroed elements; NULL without memory, which is remembered. */
MUST_CHECK void *reader_array(struct reader *r, size_t count, size_t size);
/* The content of BUF, moved to the arena; frees BUF. */
struct slice reader_take_text(struct reader *r, struct strbuf *buf);

/* The value at PATH, whatever it is. */
struct place place_at(const struct place *parent, const char *path);
/* The object at PATH; anything else is missing. */
struct place object_at(struct reader *r, const struct place *parent, const char *path);
/* Element INDEX of the array ARRAY, which came from place_at(). */
struct place place_element(const struct place *array, size_t index);
/* The same where the elements are objects. */
struct place object_element(struct reader *r, const struct place *array, size_t index);
/* The elements of the array ARRAY; 0 when it is none; more than LIMIT_CHANGES quarantine. */
size_t place_count(struct reader *r, const struct place *array);
/* Neither absent nor null nor empty (a blank text, an array or an object without members): for a
 * field whose mere presence says something. */
bool is_present(const struct place *at, const char *path);

/*
 * ---- live or sandbox ----
 * Each decides traffic, once in a document. Absent and null are live; anything but a flag (true,
 * false, 1, 0, or one of them as text in any case) or a name of an environment quarantines.
 */
/* True is live. */
void live_flag(struct reader *r, const struct place *at, const char *path);
/* True is sandbox. */
void sandbox_flag(struct reader *r, const struct place *at, const char *path);
/* production or live, sandbox or test. */
void environment_word(struct reader *r, const struct place *at, const char *path);

/*
 * ---- ids, numbers and words ----
 * Kept verbatim, 1 to LIMIT_ID bytes; a longer one quarantines, required or not.
 */
struct slice id_required(struct reader *r, const struct place *at, const char *path);
struct slice id_optional(struct reader *r, const struct place *at, const char *path);
int64_t integer_required(struct reader *r, const struct place *at, const char *path);
/* False when missing. */
bool integer_optional(struct reader *r, const struct place *at, const char *path, int64_t *number);
/* False when missing. */
bool flag_optional(struct reader *r, const struct place *at, const char *path);
/* Quarantines unless there is an object. */
void object_required(struct reader *r, const struct place *at, const char *path);

/* The row of the event's name at PATH, which becomes changes->event_type; an unknown one
 * quarantines and gives NULL. */
const struct event_kind *event_required(struct reader *r, const char *path,
                                        const struct event_kind *events, size_t count);
/* Has EVENT read the document, or ignores it; does nothing for NULL. */
void event_read(struct reader *r, const struct event_kind *event);

/* ---- texts for people ---- */

/* Cut at LIMIT_TEXT. */
struct slice text_optional(struct reader *r, const struct place *at, const char *path);
/* The same on one line: control characters become a space. */
struct slice line_optional(struct reader *r, const struct place *at, const char *path);
/* A string; one that is longer than LIMIT_URL counts as missing, since half a link is of no use. */
struct slice url_optional(struct reader *r, const struct place *at, const char *path);
/* A country: a code of two letters in upper case, anything else as sent. */
struct slice country_optional(struct reader *r, const struct place *at, const char *path);

/* A SEPARATOR B, or the one that is not empty. */
struct slice text_join(struct reader *r, struct slice a, const char *separator, struct slice b);
/* ASCII letters in lower case, trimmed. */
struct slice text_lower(struct reader *r, struct slice text);
/* One text member of an object in the making. */
struct text_member {
    const char *key;
    struct slice value;
};
/* The JSON object of all MEMBERS, null where nothing is known; empty when nothing is known at all.
 */
struct slice text_object(struct reader *r, const struct text_member *members, size_t count);

/*
 * ---- times ----
 * As timestamp_parse_in() reads them, without a zone in that of the context.
 */
/* TIMESTAMP_NONE when missing. */
int64_t time_optional(struct reader *r, const struct place *at, const char *path);
/*
 * The time that orders the event: at PATH, or at the path OTHERWISE (NULL: nowhere else) when that
 * one is missing. Missing in both, or no time where it is looked for, quarantines: falling back
 * from a broken time would order the event by something the sender did not mean.
 */
int64_t time_required(struct reader *r, const struct place *at, const char *path,
                      const char *otherwise);
/* "YYYY-MM-DD", alone or in front of a time, or the date of unix seconds or milliseconds in the
 * zone of the context; DATE_NONE when missing. */
int32_t date_optional(struct reader *r, const struct place *at, const char *path);
/* RFC 3339 with milliseconds; empty for TIMESTAMP_NONE. */
struct slice time_text(struct reader *r, int64_t at);

/* [{"id","quantity"}] of the array at PATH, in the order of the ids, which stand at ID_PATH; items
 * without an id name nothing. Empty when there is none. */
struct slice items_optional(struct reader *r, const struct place *at, const char *path,
                            const char *id_path);

/* ---- pieces of changes ---- */

/* Who gets the order, in the keys of the answers. */
struct recipient {
    struct slice name, company, phone, email, street, details, city, zip, province, country;
};
/* As a text_object(). */
struct slice recipient_json(struct reader *r, const struct recipient *recipient);
/* What the history shows of it: country, zip and city. */
struct slice recipient_summary(struct reader *r, const struct recipient *recipient);

/* Room for COUNT boxes or history rows; false without memory. */
MUST_CHECK bool reserve_boxes(struct reader *r, size_t count);
MUST_CHECK bool reserve_events(struct reader *r, size_t count);
/* The next of the reserved ones, which says nothing yet. */
struct box_change *next_box(struct reader *r, struct slice box_id);
struct tracking_event *next_event(struct reader *r, struct slice box_id, int64_t occurred_at);
/* One change of the order itself, dated version_at; of each field at most one. */
void add_order_change(struct reader *r, enum order_field field, struct slice previous_value,
                      struct slice new_value);

/* What ROW (NULL: a word that the vocabulary does not know) says under the sender's word WORD. */
struct status_report status_report_of(const struct status_word *row, struct slice word, int64_t at);
/* The box's status, with the flags that come with it. */
void box_report(struct box_change *box, const struct status_word *row, struct slice word,
                int64_t at);
/* A history row of what BOX reports. */
void event_report(struct tracking_event *event, const struct box_change *box);

#endif

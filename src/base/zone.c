#include "base/zone.h"

#include "base/ascii.h"
#include "base/civil.h"

#include <string.h>

#define HOUR 3600
#define DAY 86400
/* Beyond all zones there are: 15 to 16 hours, on both sides. */
#define OFFSET_MAX (26 * HOUR)
/* The table ends with this year: nothing that happens later is read. */
#define LAST_YEAR 2100
#define FIRST_RULE_YEAR 1970
/* Of a table in a file; the longest there are have some 250. */
#define CHANGES_MAX 4096

/* ---- bytes ---- */

struct cursor {
    struct slice rest;
    bool failed;
};

static struct slice take(struct cursor *cursor, size_t len) {
    if (cursor->failed || cursor->rest.len < len) {
        cursor->failed = true;
        return SLICE_EMPTY;
    }
    struct slice taken = slice_first(cursor->rest, len);
    cursor->rest = slice_from(cursor->rest, len);
    return taken;
}

static uint64_t big_endian(struct slice bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        value = value << 8 | (uint8_t)bytes.data[i];
    }
    return value;
}

static int64_t as_signed32(struct slice bytes) {
    return (int32_t)(uint32_t)big_endian(bytes);
}

/* ---- the rule behind the table: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

enum date_kind { DATE_WEEKDAY, DATE_JULIAN, DATE_ZERO_BASED };

struct rule_date {
    enum date_kind kind;
    int month, week, day;
    int64_t time; /* seconds after midnight, of local time */
};

struct rule {
    int64_t standard, summer;
    bool has_summer;
    struct rule_date start, end;
};

static char peek(const struct cursor *cursor) {
    return cursor->rest.len > 0 && !cursor->failed ? cursor->rest.data[0] : '\0';
}

static bool take_char(struct cursor *cursor, char c) {
    if (peek(cursor) != c || cursor->failed) {
        return false;
    }
    (void)take(cursor, 1);
    return true;
}

static int take_number(struct cursor *cursor, int max) {
    int number = 0;
    cursor->failed = cursor->failed || !ascii_is_digit(peek(cursor));
    while (!cursor->failed && ascii_is_digit(peek(cursor))) {
        number = number * 10 + (peek(cursor) - '0');
        cursor->failed = number > max;
        (void)take(cursor, 1);
    }
    return cursor->failed ? 0 : number;
}

/* "CEST" or "<+03>" */
static void take_name(struct cursor *cursor) {
    bool quoted = take_char(cursor, '<');
    while (peek(cursor) != '\0' && (quoted ? peek(cursor) != '>' : ascii_is_letter(peek(cursor)))) {
        (void)take(cursor, 1);
    }
    cursor->failed = cursor->failed || (quoted && !take_char(cursor, '>'));
}

/* "[+-]h[h][:mm[:ss]]" in seconds. */
static int64_t take_clock(struct cursor *cursor, int max_hours) {
    int64_t sign = take_char(cursor, '-') ? -1 : 1;
    if (sign > 0) {
        (void)take_char(cursor, '+');
    }
    int64_t seconds = (int64_t)take_number(cursor, max_hours) * HOUR;
    if (take_char(cursor, ':')) {
        seconds += (int64_t)take_number(cursor, 59) * 60;
        if (take_char(cursor, ':')) {
            seconds += take_number(cursor, 59);
        }
    }
    return sign * seconds;
}

static struct rule_date take_rule_date(struct cursor *cursor) {
    struct rule_date date = {.kind = DATE_ZERO_BASED, .time = 2 * HOUR};
    if (take_char(cursor, 'M')) {
        date.kind = DATE_WEEKDAY;
        date.month = take_number(cursor, 12);
        cursor->failed = cursor->failed || date.month < 1 || !take_char(cursor, '.');
        date.week = take_number(cursor, 5);
        cursor->failed = cursor->failed || date.week < 1 || !take_char(cursor, '.');
        date.day = take_number(cursor, 6);
    } else {
        date.kind = take_char(cursor, 'J') ? DATE_JULIAN : DATE_ZERO_BASED;
        date.day = take_number(cursor, 365);
    }
    if (take_char(cursor, '/')) {
        date.time = take_clock(cursor, 167);
    }
    return date;
}

/* Offsets in it are what is added to local time. */
static bool rule_parse(struct slice text, struct rule *rule) {
    struct cursor cursor = {.rest = text};
    *rule = (struct rule){.has_summer = false};
    take_name(&cursor);
    rule->standard = -take_clock(&cursor, 25);
    if (cursor.rest.len > 0) {
        rule->has_summer = true;
        take_name(&cursor);
        bool given = peek(&cursor) != ',';
        rule->summer = given ? -take_clock(&cursor, 25) : rule->standard + HOUR;
        cursor.failed = cursor.failed || !take_char(&cursor, ',');
        rule->start = take_rule_date(&cursor);
        cursor.failed = cursor.failed || !take_char(&cursor, ',');
        rule->end = take_rule_date(&cursor);
    }
    return !cursor.failed && cursor.rest.len == 0;
}

/* Days since 1970 of DATE in YEAR. */
static int64_t day_of(const struct rule_date *date, int year) {
    int64_t new_year = civil_to_days((struct civil){year, 1, 1});
    if (date->kind == DATE_ZERO_BASED) {
        return new_year + date->day;
    }
    if (date->kind == DATE_JULIAN) { /* the leap day is not counted */
        return new_year + date->day - 1 + (civil_is_leap(year) && date->day >= 60);
    }
    int64_t first = civil_to_days((struct civil){year, date->month, 1});
    int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday; Sunday is 0 */
    int64_t day = first + (date->day - weekday + 7) % 7 + (int64_t)(date->week - 1) * 7;
    int64_t last = first + civil_days_in_month(year, date->month) - 1;
    return day > last ? day - 7 : day;
}

/* ---- the table ---- */

static void add_change(struct zone *zone, int64_t at, int64_t offset) {
    if (zone->count == 0 || zone->changes[zone->count - 1].at < at) {
        zone->changes[zone->count++] = (struct zone_change){at, offset};
    }
}

#define RULE_CHANGES (2 * (LAST_YEAR - FIRST_RULE_YEAR + 1))

static void add_rule(struct zone *zone, const struct rule *rule) {
    for (int year = FIRST_RULE_YEAR; rule->has_summer && year <= LAST_YEAR; year++) {
        int64_t start = day_of(&rule->start, year) * DAY + rule->start.time - rule->standard;
        int64_t end = day_of(&rule->end, year) * DAY + rule->end.time - rule->summer;
        bool north = start < end;
        add_change(zone, north ? start : end, north ? rule->summer : rule->standard);
        add_change(zone, north ? end : start, north ? rule->standard : rule->summer);
    }
}

/* What the header of a block counts, in its order. */
enum { UTC_MARKS, STANDARD_MARKS, LEAPS, CHANGES, TYPES, NAME_BYTES, COUNTS };

struct block {
    size_t counts[COUNTS];
};

static struct block take_header(struct cursor *cursor, char *version) {
    struct block block;
    struct slice magic = take(cursor, 4), kind = take(cursor, 16);
    cursor->failed = cursor->failed || !slice_eq(magic, SLICE_OF("TZif"));
    *version = cursor->failed ? '\0' : kind.data[0];
    for (size_t i = 0; i < COUNTS; i++) {
        block.counts[i] = (size_t)big_endian(take(cursor, 4));
        cursor->failed = cursor->failed || block.counts[i] > CHANGES_MAX;
    }
    return block;
}

static void skip_block(struct cursor *cursor, const struct block *block, size_t time_bytes) {
    const size_t *counts = block->counts;
    (void)take(cursor, cursor->failed ? 0
                                      : counts[CHANGES] * (time_bytes + 1) + counts[TYPES] * 6 +
                                            counts[NAME_BYTES] + counts[LEAPS] * (time_bytes + 4) +
                                            counts[STANDARD_MARKS] + counts[UTC_MARKS]);
}

/* The offset of the type INDEX; false when there is no such type. */
static bool type_offset(struct slice types, size_t index, int64_t *offset) {
    struct slice type = slice_first(slice_from(types, 6 * index), 6);
    if (type.len < 6) {
        return false;
    }
    *offset = as_signed32(slice_first(type, 4));
    return *offset > -OFFSET_MAX && *offset < OFFSET_MAX;
}

static bool read_table(struct cursor *cursor, const struct block *block, struct zone *zone) {
    const size_t count = block->counts[CHANGES];
    struct slice times = take(cursor, count * 8), indexes = take(cursor, count);
    struct slice types = take(cursor, block->counts[TYPES] * 6);
    if (cursor->failed || !type_offset(types, 0, &zone->first_offset)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t at = (int64_t)big_endian(slice_first(slice_from(times, 8 * i), 8)), offset;
        if (!type_offset(types, (uint8_t)indexes.data[i], &offset)) {
            return false;
        }
        add_change(zone, at, offset);
    }
    (void)take(cursor, block->counts[NAME_BYTES] + block->counts[LEAPS] * 12 +
                           block->counts[STANDARD_MARKS] + block->counts[UTC_MARKS]);
    return !cursor->failed;
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n" */
static bool read_footer(struct slice rest, struct zone *zone) {
    struct slice text;
    struct rule rule;
    if (rest.len == 0 || rest.data[0] != '\n' ||
        !slice_split(slice_from(rest, 1), '\n', &text, &rest)) {
        return false;
    }
    if (text.len == 0) {
        return true; /* nothing is known of the time behind the table */
    }
    if (!rule_parse(text, &rule)) {
        return false;
    }
    add_rule(zone, &rule);
    return true;
}

bool zone_parse(struct slice name, struct slice file, struct arena *arena, struct zone *zone,
                const char **flaw) {
    struct cursor cursor = {.rest = file};
    char version;
    *flaw = "is not a zone file (RFC 8536)";
    *zone = (struct zone){.name = name};
    struct block block = take_header(&cursor, &version);
    if (cursor.failed) {
        return false;
    }
    if (version < '2') {
        *flaw = "is a zone file of version 1, which ends with the year 2037";
        return false;
    }
    skip_block(&cursor, &block, 4);
    block = take_header(&cursor, &version);
    if (cursor.failed) {
        return false;
    }
    zone->changes =
        arena_array(arena, block.counts[CHANGES] + RULE_CHANGES, sizeof(*zone->changes));
    if (zone->changes == NULL) {
        *flaw = NULL;
        return false;
    }
    return read_table(&cursor, &block, zone) && read_footer(cursor.rest, zone);
}

/* ---- questions ---- */

int64_t zone_offset_at(const struct zone *zone, int64_t utc) {
    if (zone == NULL) {
        return 0;
    }
    size_t low = 0, high = zone->count; /* the changes before LOW are at UTC or earlier */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at <= utc) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? zone->changes[low - 1].offset : zone->first_offset;
}

int64_t zone_to_utc(const struct zone *zone, int64_t local) {
    int64_t before = zone_offset_at(zone, local - DAY), after = zone_offset_at(zone, local + DAY);
    if (zone_offset_at(zone, local - before) != before &&
        zone_offset_at(zone, local - after) == after) {
        return local - after;
    }
    return local - before;
}

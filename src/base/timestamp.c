#include "base/timestamp.h"

#include "base/civil.h"

#include <time.h>

#define DAY (86400 * TIMESTAMP_SECOND)
/* The years that four digits can write. */
#define YEAR_0 (-62167219200 * TIMESTAMP_SECOND)
#define YEAR_10000 (253402300800 * TIMESTAMP_SECOND)

/* Takes exactly COUNT digits from the front of *S. */
static bool take_digits(struct slice *s, size_t count, int *value) {
    int result = 0;

    if (s->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (s->data[i] < '0' || s->data[i] > '9')
            return false;
        result = result * 10 + (s->data[i] - '0');
    }
    *value = result;
    *s = slice_from(*s, count);
    return true;
}

static bool take_char(struct slice *s, char c) {
    if (s->len == 0 || s->data[0] != c)
        return false;
    *s = slice_from(*s, 1);
    return true;
}

static bool take_date(struct slice *s, int32_t *days) {
    struct civil date;

    if (!take_digits(s, 4, &date.year) || !take_char(s, '-') || !take_digits(s, 2, &date.month) ||
        !take_char(s, '-') || !take_digits(s, 2, &date.day))
        return false;
    if (date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > civil_days_in_month(date.year, date.month))
        return false;
    *days = civil_to_days(date);
    return true;
}

/* Digits after the point, of any number but none, as microseconds. */
static bool take_fraction(struct slice *s, int64_t *micros) {
    int64_t unit = TIMESTAMP_SECOND / 10;
    int digit;

    *micros = 0;
    if (!take_char(s, '.'))
        return true;
    if (!take_digits(s, 1, &digit))
        return false;
    do {
        *micros += digit * unit;
        unit /= 10;
    } while (take_digits(s, 1, &digit));
    return true;
}

/* Microseconds since midnight: "hh:mm", with ":ss" and a fraction or without. */
static bool take_time(struct slice *s, int64_t *micros) {
    int hour, minute, second = 0;
    int64_t fraction = 0;

    if (!take_digits(s, 2, &hour) || !take_char(s, ':') || !take_digits(s, 2, &minute)) {
        return false;
    }
    if (take_char(s, ':') && (!take_digits(s, 2, &second) || !take_fraction(s, &fraction))) {
        return false;
    }
    if (hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    if (second == 60) {
        second = 59;
        fraction = 999999;
    }
    *micros = (hour * 3600 + minute * 60 + second) * TIMESTAMP_SECOND + fraction;
    return true;
}

/* Where a time lies: seconds that it is ahead of UTC, or not said. */
struct offset {
    bool is_said;
    int64_t seconds;
};

/* "Z", "+hh:mm", "+hhmm" or "+hh", with a blank before it or without; or nothing. */
static bool take_offset(struct slice *s, struct offset *offset) {
    int hour, minute = 0;
    int64_t sign;

    *offset = (struct offset){.is_said = s->len > 0};
    if (s->len == 0) {
        return true;
    }
    (void)take_char(s, ' ');
    if (take_char(s, 'Z') || take_char(s, 'z')) {
        return true;
    }
    if (take_char(s, '+')) {
        sign = 1;
    } else if (take_char(s, '-')) {
        sign = -1;
    } else {
        return false;
    }
    if (!take_digits(s, 2, &hour)) {
        return false;
    }
    if (s->len > 0) {
        (void)take_char(s, ':');
        if (!take_digits(s, 2, &minute)) {
            return false;
        }
    }
    offset->seconds = sign * (hour * 3600 + minute * 60);
    return hour <= 23 && minute <= 59;
}

static bool in_range(int64_t at) {
    return at >= TIMESTAMP_MIN && at < TIMESTAMP_MAX;
}

/* LOCAL, microseconds on a clock of ZONE, which may be NULL. */
static int64_t from_local(int64_t local, const struct zone *zone) {
    int64_t rest = local % TIMESTAMP_SECOND;
    if (rest < 0) {
        rest += TIMESTAMP_SECOND;
    }
    return zone_to_utc(zone, (local - rest) / TIMESTAMP_SECOND) * TIMESTAMP_SECOND + rest;
}

static bool take_separator(struct slice *s) {
    return take_char(s, 'T') || take_char(s, 't') || take_char(s, ' ');
}

/* DATE_ALONE: a date without a time of day is midnight. */
static bool parse_in(struct slice text, const struct zone *zone, bool date_alone, int64_t *at) {
    int32_t days;
    int64_t micros = 0;
    struct offset offset = {.is_said = false};

    if (!take_date(&text, &days)) {
        return false;
    }
    if (text.len > 0 || !date_alone) {
        if (!take_separator(&text) || !take_time(&text, &micros) || !take_offset(&text, &offset) ||
            text.len > 0) {
            return false;
        }
    }
    int64_t local = days * DAY + micros;
    int64_t result =
        offset.is_said ? local - offset.seconds * TIMESTAMP_SECOND : from_local(local, zone);
    if (!in_range(result)) {
        return false;
    }
    *at = result;
    return true;
}

bool timestamp_parse(struct slice text, int64_t *at) {
    return parse_in(text, NULL, false, at);
}

bool timestamp_parse_in(struct slice text, const struct zone *zone, int64_t *at) {
    int64_t number;
    return slice_to_int64(text, &number) ? timestamp_from_number(number, at)
                                         : parse_in(text, zone, true, at);
}

bool timestamp_from_number(int64_t number, int64_t *at) {
    if (timestamp_from_unix(number, at)) {
        return true;
    }
    if (number < TIMESTAMP_MIN / 1000 || number >= TIMESTAMP_MAX / 1000) {
        return false;
    }
    *at = number * 1000;
    return true;
}

bool timestamp_from_unix(int64_t seconds, int64_t *at) {
    if (seconds < TIMESTAMP_MIN / TIMESTAMP_SECOND || seconds >= TIMESTAMP_MAX / TIMESTAMP_SECOND)
        return false;
    *at = seconds * TIMESTAMP_SECOND;
    return true;
}

bool date_parse(struct slice text, int32_t *days) {
    int32_t result;

    if (!take_date(&text, &result))
        return false;
    if (text.len && text.data[0] != 'T' && text.data[0] != 't' && text.data[0] != ' ')
        return false;
    *days = result;
    return true;
}

int32_t date_of(int64_t at, const struct zone *zone) {
    int64_t utc = at / TIMESTAMP_SECOND; /* not before 1970 */
    return (int32_t)((utc + zone_offset_at(zone, utc)) * TIMESTAMP_SECOND / DAY);
}

/* Writes COUNT digits of VALUE and then AFTER; returns where to go on. By hand: a page of orders
 * has thousands of times. */
static char *put_digits(char *text, int count, int value, char after) {
    for (int i = count - 1; i >= 0; i--) {
        text[i] = (char)('0' + value % 10);
        value /= 10;
    }
    text[count] = after;
    return text + count + 1;
}

void timestamp_format(int64_t at, char text[TIMESTAMP_TEXT]) {
    int64_t days, in_day;
    struct civil date;
    int second;

    if (at < YEAR_0)
        at = YEAR_0;
    if (at >= YEAR_10000)
        at = YEAR_10000 - 1;
    days = (at - YEAR_0) / DAY;
    in_day = (at - YEAR_0) % DAY;
    date = civil_from_days(days + YEAR_0 / DAY);
    second = (int)(in_day / TIMESTAMP_SECOND);
    text = put_digits(text, 4, date.year, '-');
    text = put_digits(text, 2, date.month, '-');
    text = put_digits(text, 2, date.day, 'T');
    text = put_digits(text, 2, second / 3600, ':');
    text = put_digits(text, 2, second / 60 % 60, ':');
    text = put_digits(text, 2, second % 60, '.');
    text = put_digits(text, 3, (int)(in_day % TIMESTAMP_SECOND / 1000), 'Z');
    *text = '\0';
}

int64_t timestamp_now(void) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * TIMESTAMP_SECOND + now.tv_nsec / 1000;
}

int64_t monotonic_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t monotonic_ms(void) {
    return monotonic_us() / 1000;
}

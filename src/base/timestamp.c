#include "base/timestamp.h"

#include <time.h>

#define DAY (86400 * TIMESTAMP_SECOND)
/* The years that four digits can write. */
#define YEAR_0 (-62167219200 * TIMESTAMP_SECOND)
#define YEAR_10000 (253402300800 * TIMESTAMP_SECOND)

struct civil {
    int year, month, day;
};

static bool is_leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that the
 * leap day is their last. */
static int32_t days_from_civil(struct civil date) {
    int year = date.month <= 2 ? date.year - 1 : date.year;
    int era = (year >= 0 ? year : year - 399) / 400;
    int year_of_era = year - era * 400;
    int day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static struct civil civil_from_days(int64_t days) {
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int doe = (int)(z - era * 146097);
    int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int mp = (5 * doy + 2) / 153;
    int month = mp < 10 ? mp + 3 : mp - 9;

    return (struct civil){(int)(yoe + era * 400) + (month <= 2), month,
                          doy - (153 * mp + 2) / 5 + 1};
}

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
        date.day > days_in_month(date.year, date.month))
        return false;
    *days = days_from_civil(date);
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

/* Microseconds since midnight. */
static bool take_time(struct slice *s, int64_t *micros) {
    int hour, minute, second;
    int64_t fraction;

    if (!take_digits(s, 2, &hour) || !take_char(s, ':') || !take_digits(s, 2, &minute) ||
        !take_char(s, ':') || !take_digits(s, 2, &second) || !take_fraction(s, &fraction))
        return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    if (second == 60) {
        second = 59;
        fraction = 999999;
    }
    *micros = (hour * 3600 + minute * 60 + second) * TIMESTAMP_SECOND + fraction;
    return true;
}

/* Microseconds that the local time is ahead of UTC; nothing stands for UTC. */
static bool take_zone(struct slice *s, int64_t *offset) {
    int hour, minute;
    int64_t sign;

    *offset = 0;
    if (s->len == 0 || take_char(s, 'Z') || take_char(s, 'z'))
        return true;
    if (take_char(s, '+'))
        sign = 1;
    else if (take_char(s, '-'))
        sign = -1;
    else
        return false;
    if (!take_digits(s, 2, &hour) || !take_char(s, ':') || !take_digits(s, 2, &minute) ||
        hour > 23 || minute > 59)
        return false;
    *offset = sign * (hour * 3600 + minute * 60) * TIMESTAMP_SECOND;
    return true;
}

static bool in_range(int64_t at) {
    return at >= TIMESTAMP_MIN && at < TIMESTAMP_MAX;
}

bool timestamp_parse(struct slice text, int64_t *at) {
    int32_t days;
    int64_t micros, offset, result;

    if (!take_date(&text, &days))
        return false;
    if (!take_char(&text, 'T') && !take_char(&text, 't') && !take_char(&text, ' '))
        return false;
    if (!take_time(&text, &micros) || !take_zone(&text, &offset) || text.len)
        return false;
    result = days * DAY + micros - offset;
    if (!in_range(result))
        return false;
    *at = result;
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

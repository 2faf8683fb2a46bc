/* Times and dates as the senders write them: what is read comes back when it is printed. */
#include "fuzz.h"

#include "base/timestamp.h"

#include <errno.h>
#include <time.h>

#define DAY (86400 * TIMESTAMP_SECOND)

static bool in_range(int64_t at) {
    return at >= TIMESTAMP_MIN && at < TIMESTAMP_MAX;
}

/* Of COUNT digits at FROM. */
static int number(struct slice text, size_t from, size_t count) {
    int value = 0;
    for (size_t i = from; i < from + count; i++)
        value = value * 10 + (text.data[i] - '0');
    return value;
}

static void check_format(int64_t at) {
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    char text[TIMESTAMP_TEXT];
    int64_t parsed = 0;
    timestamp_format(at, text);
    REQUIRE(strlen(text) == strlen(shape));
    for (size_t i = 0; shape[i]; i++)
        REQUIRE(shape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i]);
    REQUIRE(timestamp_parse(slice_from_cstr(text), &parsed) == in_range(at));
    if (in_range(at)) {
        char again[TIMESTAMP_TEXT];
        REQUIRE(parsed == at - at % 1000);
        timestamp_format(parsed, again);
        REQUIRE(strcmp(text, again) == 0);
    }
}

/* Seconds that the time is ahead of UTC, as it says: "+02:00", "+0200" or "+02" at its end. */
static int64_t offset_of(struct slice text) {
    for (size_t at = 16; at < text.len; at++) {
        if (text.data[at] == '+' || text.data[at] == '-') {
            size_t minutes = at + 3 + (at + 3 < text.len && text.data[at + 3] == ':');
            int64_t seconds = number(text, at + 1, 2) * 3600 +
                              (minutes < text.len ? number(text, minutes, 2) * 60 : 0);
            return text.data[at] == '+' ? seconds : -seconds;
        }
    }
    return 0;
}

/* The C library's calendar says the same. */
static void check_calendar(struct slice text, int64_t at) {
    struct tm tm = {.tm_year = number(text, 0, 4) - 1900,
                    .tm_mon = number(text, 5, 2) - 1,
                    .tm_mday = number(text, 8, 2),
                    .tm_hour = number(text, 11, 2),
                    .tm_min = number(text, 14, 2),
                    .tm_sec = text.len > 16 && text.data[16] == ':' ? number(text, 17, 2) : 0};
    int64_t offset = offset_of(text);
    if (tm.tm_sec == 60)
        tm.tm_sec = 59;
    REQUIRE(at / TIMESTAMP_SECOND == (int64_t)timegm(&tm) - offset);
}

static bool is_date_shaped(struct slice text) {
    static const char shape[] = "dddd-dd-dd";
    for (size_t i = 0; shape[i]; i++) {
        char c = i < text.len ? text.data[i] : '\0';
        if (shape[i] == 'd' ? c < '0' || c > '9' : c != shape[i])
            return false;
    }
    return text.len == 10 || memchr("Tt ", text.data[10], 3);
}

/* A day is one of the calendar when the C library leaves it as it is. */
static bool is_date(struct slice text) {
    struct tm tm = {0}, said;
    if (!is_date_shaped(text))
        return false;
    tm.tm_year = number(text, 0, 4) - 1900;
    tm.tm_mon = number(text, 5, 2) - 1;
    tm.tm_mday = number(text, 8, 2);
    said = tm;
    (void)timegm(&tm);
    return tm.tm_year == said.tm_year && tm.tm_mon == said.tm_mon && tm.tm_mday == said.tm_mday;
}

static void check_date(struct slice text) {
    char printed[TIMESTAMP_TEXT];
    int32_t days = DATE_NONE;
    REQUIRE(date_parse(text, &days) == is_date(text));
    if (days == DATE_NONE)
        return;
    timestamp_format(days * DAY, printed);
    REQUIRE(memcmp(printed, text.data, 10) == 0);
}

/* Against strtoll(), which knows more forms of a number. */
static void check_integer(struct slice text) {
    int64_t value = 0;
    char *copy = fuzz_memory(text.len + 1), *end;
    bool plain = text.len > 0 && (text.data[0] != '-' || text.len > 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = copy[i] = text.data[i];
        plain = plain && ((c >= '0' && c <= '9') || (c == '-' && i == 0));
    }
    errno = 0;
    long long theirs = strtoll(copy, &end, 10);
    bool good = plain && errno == 0;
    REQUIRE(slice_to_int64(text, &value) == good);
    REQUIRE(!good || value == theirs);
    free(copy);
}

static void check_seconds(int64_t seconds) {
    int64_t at = 0;
    bool good = timestamp_from_unix(seconds, &at);
    REQUIRE(good == (seconds >= TIMESTAMP_MIN / TIMESTAMP_SECOND &&
                     seconds < TIMESTAMP_MAX / TIMESTAMP_SECOND));
    REQUIRE(!good || (in_range(at) && at / TIMESTAMP_SECOND == seconds));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice text = fuzz_input(data, size);
    int64_t at = TIMESTAMP_NONE, any;
    if (timestamp_parse(text, &at)) {
        REQUIRE(in_range(at));
        check_format(at);
        check_calendar(text, at);
    } else {
        REQUIRE(at == TIMESTAMP_NONE);
    }
    if (timestamp_parse_in(text, NULL, &any)) {
        REQUIRE(in_range(any));
    }
    check_date(text);
    check_integer(text);
    if (size >= sizeof(any)) {
        memcpy(&any, data, sizeof(any));
        check_format(any);
        check_seconds(any);
        check_seconds(any >> 29);
        check_format(TIMESTAMP_MIN + (int64_t)((uint64_t)any % (TIMESTAMP_MAX - TIMESTAMP_MIN)));
    }
    return 0;
}

#include "cli/arguments.h"

#define DAY (86400 * TIMESTAMP_SECOND)
#define SPAN_MAX (36525 * DAY)

bool argument_span(const char *text, int64_t *span) {
    static const struct {
        struct slice name;
        int64_t microseconds;
    } units[] = {
        {SLICE("s"), TIMESTAMP_SECOND},
        {SLICE("min"), 60 * TIMESTAMP_SECOND},
        {SLICE("h"), 3600 * TIMESTAMP_SECOND},
        {SLICE("d"), DAY},
        {SLICE("w"), 7 * DAY},
        {{NULL, 0}, DAY},
    };
    struct slice all = slice_from_cstr(text);
    size_t digits = 0;
    int64_t number;
    while (digits < all.len && all.data[digits] >= '0' && all.data[digits] <= '9') {
        digits++;
    }
    if (!slice_to_int64(slice_first(all, digits), &number)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (slice_eq(slice_from(all, digits), units[i].name) &&
            number <= SPAN_MAX / units[i].microseconds) {
            *span = number * units[i].microseconds;
            return true;
        }
    }
    return false;
}

bool argument_time(const char *text, int64_t now, int64_t *at) {
    struct slice all = slice_from_cstr(text);
    int64_t span;
    int32_t days;
    if (timestamp_parse(all, at)) {
        return true;
    }
    if (all.len == sizeof("YYYY-MM-DD") - 1 && date_parse(all, &days)) {
        *at = days * DAY;
        return true;
    }
    if (argument_span(text, &span)) {
        *at = now - span;
        return true;
    }
    return false;
}

bool argument_count(const char *text, int64_t most, int64_t *count) {
    return slice_to_int64(slice_from_cstr(text), count) && *count >= 1 && *count <= most;
}

#include "app/query_parameters.h"

#include "adapter/http.h"
#include "domain/status_word.h"

#include <string.h>

/* One parameter: its name, for what it is allowed, and what takes a value of it. */
struct row {
    struct slice name;
    int kinds;
    bool (*take)(struct query_parameters *parameters, struct slice value);
};

static bool add(struct query_values *values, struct slice value) {
    if (values->count == ARRAY_LEN(values->items)) {
        return false;
    }
    values->items[values->count++] = value;
    return true;
}

static bool take_order_number(struct query_parameters *parameters, struct slice value) {
    return add(&parameters->order_numbers, value);
}

static bool take_external_reference(struct query_parameters *parameters, struct slice value) {
    return add(&parameters->external_references, value);
}

static bool take_tracking_number(struct query_parameters *parameters, struct slice value) {
    return add(&parameters->tracking_numbers, value);
}

/* A second value of a parameter that takes one is refused. */
static bool set(struct slice *text, struct slice value) {
    bool first = text->len == 0;
    *text = value;
    return first;
}

static bool take_source(struct query_parameters *parameters, struct slice value) {
    return set(&parameters->source, value);
}

static bool take_id(struct query_parameters *parameters, struct slice value) {
    return set(&parameters->id, value);
}

static bool take_words(struct query_parameters *parameters, struct slice value) {
    return value.len <= LIMIT_ID && slice_trim(value).len > 0 && set(&parameters->words, value);
}

static bool take_status(struct query_parameters *parameters, struct slice value) {
    enum status status;
    return status_from_name(value, &status) && set(&parameters->status, value);
}

static bool take_after(struct query_parameters *parameters, struct slice value) {
    return set(&parameters->after, value);
}

static bool set_flag(bool *flag, struct slice value) {
    *flag = slice_eq(value, SLICE_OF("true"));
    return *flag || slice_eq(value, SLICE_OF("false"));
}

static bool take_live(struct query_parameters *parameters, struct slice value) {
    return set_flag(&parameters->live, value);
}

static bool take_events(struct query_parameters *parameters, struct slice value) {
    return set_flag(&parameters->events, value);
}

static bool take_explain(struct query_parameters *parameters, struct slice value) {
    bool first = !parameters->explain;
    parameters->explain = slice_eq(value, SLICE_OF("1"));
    return first && parameters->explain;
}

static bool set_number(int32_t *number, struct slice value, int64_t most) {
    int64_t given;
    if (!slice_to_int64(value, &given) || given < 1 || given > most) {
        return false;
    }
    *number = (int32_t)given;
    return true;
}

static bool take_limit(struct query_parameters *parameters, struct slice value) {
    return set_number(&parameters->limit, value, LIMIT_PAGE_ORDERS);
}

static bool take_days(struct query_parameters *parameters, struct slice value) {
    return set_number(&parameters->days, value, LIMIT_SILENT_DAYS);
}

static const struct row rows[] = {
    {SLICE("order_number"), QUERY_ORDERS, take_order_number},
    {SLICE("external_reference"), QUERY_ORDERS, take_external_reference},
    {SLICE("tracking_number"), QUERY_ORDERS, take_tracking_number},
    {SLICE("source"), QUERY_ORDERS, take_source},
    {SLICE("id"), QUERY_ORDERS, take_id},
    {SLICE("status"), QUERY_ORDERS, take_status},
    {SLICE("q"), QUERY_ORDERS, take_words},
    {SLICE("live"), QUERY_DOCUMENT | QUERY_ORDERS | QUERY_CHANGES | QUERY_PANEL, take_live},
    {SLICE("events"), QUERY_DOCUMENT | QUERY_ORDERS | QUERY_CHANGES, take_events},
    {SLICE("explain"), QUERY_DOCUMENT, take_explain},
    {SLICE("limit"), QUERY_ORDERS | QUERY_CHANGES, take_limit},
    {SLICE("after"), QUERY_ORDERS | QUERY_CHANGES, take_after},
    {SLICE("days"), QUERY_PANEL, take_days},
};

static const struct row *find_row(struct slice name) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (slice_eq(rows[i].name, name)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* What PostgreSQL takes as text, and not nothing. */
static bool is_text(struct slice s) {
    return s.len > 0 && memchr(s.data, '\0', s.len) == NULL && slice_is_utf8(s);
}

bool query_parameters_read(struct slice query, enum query_kind kind, struct arena *arena,
                           struct query_parameters *parameters, struct slice *wrong) {
    struct http_query_pair *pairs = NULL;
    size_t count = 0;
    *parameters = (struct query_parameters){.live = true, .events = true, .limit = 100, .days = 5};
    *wrong = SLICE_OF("the query");
    if (!http_parse_query(query, ARRAY_LEN(rows) * LIMIT_QUERY_VALUES, arena, &pairs, &count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct row *row = find_row(pairs[i].name);
        *wrong = row != NULL ? row->name : SLICE_OF("an unknown parameter");
        if (row == NULL || (row->kinds & (int)kind) == 0 || !is_text(pairs[i].value) ||
            !row->take(parameters, pairs[i].value)) {
            return false;
        }
    }
    *wrong = SLICE_OF("q (beside another number)");
    if (parameters->words.len > 0 &&
        (parameters->id.len > 0 || parameters->order_numbers.count > 0 ||
         parameters->external_references.count > 0 || parameters->tracking_numbers.count > 0)) {
        return false;
    }
    *wrong = SLICE_OF("id (it needs source)");
    return parameters->id.len == 0 || parameters->source.len > 0;
}

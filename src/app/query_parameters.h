/*
 * The parameters of a status request (contract section 6), from the query of its URL. Pure.
 */
#ifndef APP_QUERY_PARAMETERS_H
#define APP_QUERY_PARAMETERS_H

#include "base/arena.h"
#include "base/limits.h"

/* The values of a parameter that may be repeated. */
struct query_values {
    struct slice items[LIMIT_QUERY_VALUES];
    size_t count;
};

/* What is asked for: decides which parameters are allowed. */
enum query_kind { QUERY_DOCUMENT = 1, QUERY_ORDERS = 2, QUERY_CHANGES = 4, QUERY_PANEL = 8 };

struct query_parameters {
    struct query_values order_numbers, external_references, tracking_numbers;
    struct slice source, id, status, after, words; /* empty: not given; WORDS is q */
    bool live, events;                             /* true unless given */
    bool explain;                                  /* false unless given */
    int32_t limit;                                 /* 100 unless given */
    int32_t days;                                  /* 5 unless given */
};

/*
 * Reads QUERY; texts live in ARENA. False on
 * an unknown parameter, one too often, an empty or bad value, an id without a source, q beside
 * another number; *wrong then says which, without a value of the client's.
 */
MUST_CHECK bool query_parameters_read(struct slice query, enum query_kind kind, struct arena *arena,
                                      struct query_parameters *parameters, struct slice *wrong);

#endif

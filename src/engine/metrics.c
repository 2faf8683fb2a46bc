#include "engine/metrics.h"

#include "adapter/shared.h"
#include "base/slice.h"
#include "base/timestamp.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enough for some dozens of sources with all that can befall them. */
#define SERIES 2048

enum { SERIES_FREE, SERIES_CLAIMED, SERIES_READY };

/* All zeros at first. What the memory holds is named by LAYOUT below: change one, change both. */
struct series {
    _Atomic uint32_t state; /* whoever is killed between CLAIMED and READY costs one place */
    uint32_t family;
    char labels[METRIC_LABELS][METRIC_LABEL_MAX + 1]; /* not written any more once READY */
    _Atomic uint64_t count;
    _Atomic int64_t last_at; /* of a refusal */
};

struct histogram {
    _Atomic uint64_t buckets[METRIC_BUCKETS];
    _Atomic uint64_t sum;
};

struct process {
    _Atomic uint64_t in_hand, most;
};

struct counters {
    _Atomic int64_t since;
    struct process processes[SHARED_LOTS];
    struct histogram histograms[METRIC_HISTOGRAMS];
    struct series series[SERIES];
    _Atomic uint64_t beyond[METRIC_FAMILIES]; /* no place was left */
};
#define LAYOUT "3"

#define SECOND 1000000
static const int64_t second_bounds[] = {
    1000,   2500,   5000,       10000,          25000,      50000,       100000,
    250000, 500000, 1 * SECOND, 5 * SECOND / 2, 5 * SECOND, 10 * SECOND,
};
static const int64_t event_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};

static const struct bounds {
    const int64_t *bounds;
    size_t count;
} bounds_of[METRIC_HISTOGRAMS] = {
    [METRIC_REQUEST_SECONDS] = {second_bounds, ARRAY_LEN(second_bounds)},
    [METRIC_COMMIT_SECONDS] = {second_bounds, ARRAY_LEN(second_bounds)},
    [METRIC_BATCH_EVENTS] = {event_bounds, ARRAY_LEN(event_bounds)},
};

#define NAME_MAX_LEN 128

static struct shared *shared;
static struct counters *counters; /* NULL: not open */

static void whole_name(char whole[NAME_MAX_LEN], const char *name) {
    (void)snprintf(whole, NAME_MAX_LEN, "waybill-metrics-" LAYOUT "-%s", name);
}

bool metrics_open(const char *name, struct err *err) {
    char whole[NAME_MAX_LEN];
    int64_t none = 0;
    whole_name(whole, name);
    shared = shared_open(whole, sizeof(struct counters), err);
    if (shared == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    counters = shared_bytes(shared);
    (void)atomic_compare_exchange_strong(&counters->since, &none, timestamp_now());
    metrics_in_hand(0, 0); /* of the process that had the lot before */
    return !err_is_set(err);
}

void metrics_close(void) {
    if (counters != NULL) {
        metrics_in_hand(0, 0);
    }
    counters = NULL;
    shared_close(shared);
    shared = NULL;
}

/* ---- counting ---- */

static void add(_Atomic uint64_t *counter, uint64_t amount) {
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static uint64_t value_of(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* FNV-1a. */
static uint32_t hash_of(enum metric_family family, const struct slice *labels) {
    uint32_t hash = 2166136261u ^ (uint32_t)family;
    for (size_t i = 0; i < METRIC_LABELS; i++) {
        for (size_t k = 0; k < labels[i].len; k++) {
            hash = (hash ^ (uint8_t)labels[i].data[k]) * 16777619u;
        }
        hash = (hash ^ 0xff) * 16777619u;
    }
    return hash;
}

static bool is_named(const struct series *series, enum metric_family family,
                     const struct slice *labels) {
    for (size_t i = 0; i < METRIC_LABELS; i++) {
        const char *label = series->labels[i];
        if (strncmp(label, labels[i].len > 0 ? labels[i].data : "", labels[i].len) != 0 ||
            label[labels[i].len] != '\0') {
            return false;
        }
    }
    return series->family == (uint32_t)family;
}

static bool claim(struct series *series, enum metric_family family, const struct slice *labels) {
    uint32_t free = SERIES_FREE;
    if (!atomic_compare_exchange_strong(&series->state, &free, SERIES_CLAIMED)) {
        return false;
    }
    series->family = (uint32_t)family;
    for (size_t i = 0; i < METRIC_LABELS; i++) {
        if (labels[i].len > 0) {
            memcpy(series->labels[i], labels[i].data, labels[i].len);
        }
    }
    atomic_store_explicit(&series->state, SERIES_READY, memory_order_release);
    return true;
}

/* The series; two threads that begin one at the same time may make two, which are added up when
 * they are read. NULL: there is no place for it. */
static struct series *series_of(enum metric_family family, const struct slice *labels) {
    uint32_t at = hash_of(family, labels);
    for (size_t i = 0; i < SERIES; i++) {
        struct series *series = &counters->series[(at + i) % SERIES];
        uint32_t state = atomic_load_explicit(&series->state, memory_order_acquire);
        if ((state == SERIES_READY && is_named(series, family, labels)) ||
            (state == SERIES_FREE && claim(series, family, labels))) {
            return series;
        }
    }
    return NULL;
}

/* One more of the series, which is returned, if there is one. */
static struct series *count(enum metric_family family, struct slice first, struct slice second,
                            struct slice third) {
    struct slice labels[METRIC_LABELS] = {slice_first(first, METRIC_LABEL_MAX),
                                          slice_first(second, METRIC_LABEL_MAX),
                                          slice_first(third, METRIC_LABEL_MAX)};
    struct series *series = NULL;
    if (counters != NULL) {
        series = series_of(family, labels);
        add(series != NULL ? &series->count : &counters->beyond[family], 1);
    }
    return series;
}

void metrics_count(enum metric_family family, struct slice first, struct slice second,
                   struct slice third) {
    (void)count(family, first, second, third);
}

void metrics_count_refusal(struct slice source, struct slice reason, int64_t received_at) {
    struct series *series = count(METRIC_REFUSALS, source, reason, SLICE_EMPTY);
    if (series != NULL) {
        int64_t last = atomic_load_explicit(&series->last_at, memory_order_relaxed);
        while (received_at > last &&
               !atomic_compare_exchange_weak_explicit(&series->last_at, &last, received_at,
                                                      memory_order_relaxed, memory_order_relaxed)) {
        }
    }
}

void metrics_observe(enum metric_histogram histogram, int64_t value) {
    const struct bounds *bounds = &bounds_of[histogram];
    size_t bucket = 0;
    if (counters != NULL && value >= 0) {
        while (bucket < bounds->count && value > bounds->bounds[bucket]) {
            bucket++;
        }
        add(&counters->histograms[histogram].buckets[bucket], 1);
        add(&counters->histograms[histogram].sum, (uint64_t)value);
    }
}

void metrics_in_hand(size_t in_hand, size_t most) {
    if (counters != NULL) {
        struct process *own = &counters->processes[shared_lot(shared)];
        atomic_store_explicit(&own->in_hand, in_hand, memory_order_relaxed);
        atomic_store_explicit(&own->most, most, memory_order_relaxed);
    }
}

/* ---- reading ---- */

static bool is_ready(const struct series *series, enum metric_family family) {
    return atomic_load_explicit(&series->state, memory_order_acquire) == SERIES_READY &&
           series->family == (uint32_t)family;
}

static bool same_labels(const struct series *a, const struct series *b) {
    return memcmp(a->labels, b->labels, sizeof(a->labels)) == 0;
}

/* False where an earlier one has the same labels, and counts this one too. */
static bool add_up(enum metric_family family, size_t index, uint64_t *count) {
    const struct series *series = counters->series;
    for (size_t i = 0; i < index; i++) {
        if (is_ready(&series[i], family) && same_labels(&series[i], &series[index])) {
            return false;
        }
    }
    *count = value_of(&series[index].count);
    for (size_t i = index + 1; i < SERIES; i++) {
        if (is_ready(&series[i], family) && same_labels(&series[i], &series[index])) {
            *count += value_of(&series[i].count);
        }
    }
    return true;
}

void metrics_each(enum metric_family family,
                  void (*take)(void *context, const struct metric_series *series), void *context) {
    for (size_t i = 0; counters != NULL && i < SERIES; i++) {
        struct metric_series out;
        if (is_ready(&counters->series[i], family) && add_up(family, i, &out.count)) {
            memcpy(out.labels, counters->series[i].labels, sizeof(out.labels));
            for (size_t k = 0; k < METRIC_LABELS; k++) {
                out.labels[k][METRIC_LABEL_MAX] = '\0'; /* others can write there */
            }
            take(context, &out);
        }
    }
    if (counters != NULL && value_of(&counters->beyond[family]) > 0) {
        struct metric_series out = {.labels = {"other", "other", "other"},
                                    .count = value_of(&counters->beyond[family])};
        take(context, &out);
    }
}

void metrics_distribution(enum metric_histogram histogram, struct metric_distribution *out) {
    *out = (struct metric_distribution){.bounds = bounds_of[histogram].bounds,
                                        .bucket_count = bounds_of[histogram].count + 1};
    if (counters != NULL) {
        const struct histogram *from = &counters->histograms[histogram];
        for (size_t i = 0; i < out->bucket_count; i++) {
            out->buckets[i] = value_of(&from->buckets[i]);
        }
        out->sum = value_of(&from->sum);
    }
}

bool metrics_processes(struct metric_processes *out) {
    *out = (struct metric_processes){.count = 0};
    for (size_t i = 0; counters != NULL && i < SHARED_LOTS; i++) {
        if (shared_is_held(shared, i)) {
            out->count++;
            out->in_hand += value_of(&counters->processes[i].in_hand);
            out->most += value_of(&counters->processes[i].most);
        }
    }
    return counters != NULL;
}

/* ---- what others counted ---- */

/* The row of the series, at the end when there was none yet. */
static struct metric_refusal *row_of(struct metric_refusals *refusals,
                                     const struct series *series) {
    struct metric_refusal *last = &refusals->rows[refusals->count], *row = refusals->rows;
    /* Whose memory it is can write anything there. */
    (void)snprintf(last->source, sizeof(last->source), "%.*s", METRIC_LABEL_MAX, series->labels[0]);
    (void)snprintf(last->reason, sizeof(last->reason), "%.*s", METRIC_LABEL_MAX, series->labels[1]);
    while (row < last &&
           (strcmp(row->source, last->source) != 0 || strcmp(row->reason, last->reason) != 0)) {
        row++;
    }
    refusals->count += row == last ? 1 : 0;
    return row;
}

static int by_time(const void *a, const void *b) {
    const struct metric_refusal *left = a, *right = b;
    return (left->last_at < right->last_at) - (left->last_at > right->last_at);
}

static void collect(struct metric_refusals *out, const struct counters *from) {
    out->since = atomic_load_explicit(&from->since, memory_order_relaxed);
    for (size_t i = 0; i < SERIES; i++) {
        const struct series *series = &from->series[i];
        if (is_ready(series, METRIC_REFUSALS)) {
            struct metric_refusal *row = row_of(out, series);
            int64_t last = atomic_load_explicit(&series->last_at, memory_order_relaxed);
            row->count += value_of(&series->count);
            row->last_at = last > row->last_at ? last : row->last_at;
        }
    }
    qsort(out->rows, out->count, sizeof(*out->rows), by_time);
}

bool metrics_refusals(const char *name, struct metric_refusals *out, struct err *err) {
    char whole[NAME_MAX_LEN];
    *out = (struct metric_refusals){.rows = NULL};
    whole_name(whole, name);
    struct shared *others = shared_look(whole, sizeof(struct counters), err);
    if (others == NULL) {
        return false;
    }
    out->rows = calloc(SERIES, sizeof(*out->rows));
    if (out->rows != NULL) {
        collect(out, shared_bytes(others));
    } else {
        err_set(err, ERR_MEMORY, "out of memory");
    }
    shared_close(others);
    return out->rows != NULL;
}

void metrics_refusals_free(struct metric_refusals *refusals) {
    free(refusals->rows);
    *refusals = (struct metric_refusals){.rows = NULL};
}

/*
 * What the processes of one kind count together, for /metrics: a scrape reaches any one of them and
 * must see all. Counters live in memory that they share (adapter/shared.h) and are added to with
 * relaxed atomics, some ten nanoseconds each; a process that is killed loses nothing and leaves
 * nothing half done. They begin anew when the last process has ended.
 *
 * Of the process as a whole, as its log is. Before metrics_open() every call does nothing.
 */
#ifndef ENGINE_METRICS_H
#define ENGINE_METRICS_H

#include "base/err.h"
#include "base/slice.h"

/* Counters with labels. The labels' values are slices in the order given here. */
enum metric_family {
    METRIC_REQUESTS,            /* status */
    METRIC_REFUSALS,            /* source, reason: metrics_count_refusal() */
    METRIC_DELIVERIES,          /* source, event_type, outcome */
    METRIC_CONFIGURATION_READS, /* outcome */
    METRIC_IGNORED_FIELDS,      /* source, event_type, field */
    METRIC_FAMILIES
};
#define METRIC_LABELS 3
/* Longer values are cut. */
#define METRIC_LABEL_MAX 63

enum metric_histogram {
    METRIC_REQUEST_SECONDS, /* observed in microseconds */
    METRIC_COMMIT_SECONDS,  /* likewise */
    METRIC_BATCH_EVENTS,
    METRIC_HISTOGRAMS
};
#define METRIC_BUCKETS 16

/*
 * Opens the counters called NAME ("webhook", and what tells this installation from others). False
 * with ERR where they cannot be shared: then they are this process's alone. Opened before and
 * closed after all other threads.
 */
MUST_CHECK bool metrics_open(const char *name, struct err *err);
void metrics_close(void);

/* One more. Series are few by construction: sources of the configuration, event types and words of
 * the program. Should there be too many all the same, the rest is counted with labels "other". */
void metrics_count(enum metric_family family, struct slice first, struct slice second,
                   struct slice third);
/* One more of METRIC_REFUSALS, of a request received then: of each series the latest is kept. */
void metrics_count_refusal(struct slice source, struct slice reason, int64_t received_at);
void metrics_observe(enum metric_histogram histogram, int64_t value);
/* Requests that this process has in hand, and how many it takes. */
void metrics_in_hand(size_t in_hand, size_t most);

/* ---- reading ---- */

struct metric_series {
    char labels[METRIC_LABELS][METRIC_LABEL_MAX + 1];
    uint64_t count;
};
/* All series of FAMILY, each once, in no order. */
void metrics_each(enum metric_family family,
                  void (*take)(void *context, const struct metric_series *series), void *context);

struct metric_distribution {
    const int64_t *bounds; /* upper, of the buckets but the last, which has none */
    size_t bucket_count;   /* with that one; at most METRIC_BUCKETS */
    uint64_t buckets[METRIC_BUCKETS];
    uint64_t sum;
};
void metrics_distribution(enum metric_histogram histogram, struct metric_distribution *out);

struct metric_processes {
    uint64_t count, in_hand, most; /* of those that run now */
};
/* False before metrics_open(). */
MUST_CHECK bool metrics_processes(struct metric_processes *out);

/* ---- what others counted ---- */

struct metric_refusal {
    char source[METRIC_LABEL_MAX + 1]; /* empty: of none of the configuration */
    char reason[METRIC_LABEL_MAX + 1];
    uint64_t count;
    int64_t last_at; /* when the last was received */
};
struct metric_refusals {
    int64_t since; /* when the counting began */
    struct metric_refusal *rows;
    size_t count;
};
/*
 * The refusals that the counters called NAME hold, the latest first, whether this process has them
 * open or not; freed by metrics_refusals_free(). False, and OUT empty: without ERR where nobody has
 * counted under that name, with ERR where the counters may not be read.
 */
MUST_CHECK bool metrics_refusals(const char *name, struct metric_refusals *out, struct err *err);
void metrics_refusals_free(struct metric_refusals *refusals);

#endif

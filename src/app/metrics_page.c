#include "app/metrics_page.h"

#include "base/timestamp.h"
#include "engine/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct writer {
    struct strbuf *out;
    const struct metrics_page *page;
    const struct family *family; /* at hand */
};

/* A family of counters as the page shows it. */
struct family {
    const char *name, *help;
    const char *labels[METRIC_LABELS]; /* their names; NULL: no more */
    bool of_source;                    /* the first label is one, which a client may not see */
};

static const struct family families[METRIC_FAMILIES] = {
    [METRIC_REQUESTS] = {"waybill_requests_total",
                         "Requests answered, by HTTP status.",
                         {"status"},
                         false},
    [METRIC_REFUSALS] = {"waybill_refusals_total",
                         "Requests answered with a status of 400 or more, by reason.",
                         {"source", "reason"},
                         true},
    [METRIC_DELIVERIES] = {"waybill_deliveries_total",
                           "Webhooks answered 200, by what became of them.",
                           {"source", "event_type", "outcome"},
                           true},
    [METRIC_CONFIGURATION_READS] = {"waybill_configuration_reads_total",
                                    "Times that SIGHUP had the configuration read again.",
                                    {"outcome"},
                                    false},
    [METRIC_IGNORED_FIELDS] = {"waybill_ignored_fields_total",
                               "Optional fields of webhooks that were of a wrong type.",
                               {"source", "event_type", "field"},
                               true},
};

static const struct histogram_page {
    const char *name, *help;
    double unit; /* what is observed in one unit of the page */
    bool of_webhook;
} histograms[METRIC_HISTOGRAMS] = {
    [METRIC_REQUEST_SECONDS] = {"waybill_request_seconds",
                                "Time from a request's parameters to its answer.", 1e6, false},
    [METRIC_COMMIT_SECONDS] = {"waybill_commit_seconds",
                               "Time of a transaction that stored a batch of webhooks.", 1e6, true},
    [METRIC_BATCH_EVENTS] = {"waybill_batch_events", "Webhooks stored in one transaction.", 1,
                             true},
};

static void begin(struct writer *w, const char *name, const char *type, const char *help) {
    strbuf_addf(w->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_label(struct writer *w, const char *name, const char *value) {
    strbuf_addf(w->out, ",%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\') {
            strbuf_add_char(w->out, '\\');
        }
        strbuf_add_char(w->out, *value == '\n' ? ' ' : *value);
    }
    strbuf_add_char(w->out, '"');
}

/* name{endpoint="…", with more labels to follow. */
static void begin_sample(struct writer *w, const char *name) {
    strbuf_addf(w->out, "%s{endpoint=\"%s\"", name, w->page->endpoint);
}

static void put_count(struct writer *w, uint64_t count) {
    strbuf_addf(w->out, "} %" PRIu64 "\n", count);
}

static void put_gauge(struct writer *w, const char *name, const char *help, double value) {
    begin(w, name, "gauge", help);
    begin_sample(w, name);
    strbuf_addf(w->out, "} %.15g\n", value);
}

static bool is_visible(const struct writer *w, const char *source) {
    return w->page->client == NULL || *source == '\0' ||
           client_may_see(w->page->client, slice_from_cstr(source));
}

static void put_series(void *context, const struct metric_series *series) {
    struct writer *w = context;
    if (w->family->of_source && !is_visible(w, series->labels[0])) {
        return;
    }
    begin_sample(w, w->family->name);
    for (size_t i = 0; i < METRIC_LABELS && w->family->labels[i] != NULL; i++) {
        /* An empty label is the same as none. */
        if (series->labels[i][0] != '\0') {
            put_label(w, w->family->labels[i], series->labels[i]);
        }
    }
    put_count(w, series->count);
}

static void put_families(struct writer *w) {
    for (size_t i = 0; i < METRIC_FAMILIES; i++) {
        w->family = &families[i];
        begin(w, families[i].name, "counter", families[i].help);
        metrics_each((enum metric_family)i, put_series, w);
    }
}

static void put_histogram(struct writer *w, const struct histogram_page *shown,
                          const struct metric_distribution *from) {
    uint64_t count = 0;
    char bucket[64], sum[64], total[64];
    (void)snprintf(bucket, sizeof(bucket), "%s_bucket", shown->name);
    (void)snprintf(sum, sizeof(sum), "%s_sum", shown->name);
    (void)snprintf(total, sizeof(total), "%s_count", shown->name);
    begin(w, shown->name, "histogram", shown->help);
    for (size_t i = 0; i < from->bucket_count; i++) {
        count += from->buckets[i];
        begin_sample(w, bucket);
        if (i + 1 < from->bucket_count) {
            strbuf_addf(w->out, ",le=\"%g\"", (double)from->bounds[i] / shown->unit);
        } else {
            strbuf_add_cstr(w->out, ",le=\"+Inf\"");
        }
        put_count(w, count);
    }
    begin_sample(w, sum);
    strbuf_addf(w->out, "} %.15g\n", (double)from->sum / shown->unit);
    begin_sample(w, total);
    put_count(w, count);
}

static void put_histograms(struct writer *w) {
    bool webhook = strcmp(w->page->endpoint, "webhook") == 0;
    for (size_t i = 0; i < METRIC_HISTOGRAMS; i++) {
        struct metric_distribution from;
        if (!histograms[i].of_webhook || webhook) {
            metrics_distribution((enum metric_histogram)i, &from);
            put_histogram(w, &histograms[i], &from);
        }
    }
}

static void put_spool(struct writer *w) {
    const struct spool_state *spool = w->page->spool;
    int64_t now = timestamp_now();
    bool waits = spool->events > 0 && spool->oldest != TIMESTAMP_NONE && spool->oldest < now;
    put_gauge(w, "waybill_spool_events", "Webhooks that wait in the spool for the database.",
              (double)spool->events);
    put_gauge(w, "waybill_spool_bytes", "Bytes of the spool's file that are in use.",
              (double)spool->bytes);
    put_gauge(w, "waybill_spool_max_bytes", "Bytes beyond which the spool takes nothing.",
              (double)w->page->spool_max);
    put_gauge(w, "waybill_spool_age_seconds",
              "Time since the oldest webhook in the spool was received; 0: none waits.",
              waits ? (double)(now - spool->oldest) / 1e6 : 0);
}

static void put_newest(struct writer *w) {
    static const char name[] = "waybill_newest_event_age_seconds";
    begin(w, name, "gauge", "Time since the newest stored webhook of a source was received.");
    for (size_t i = 0; i < w->page->newest_count; i++) {
        const struct store_newest *newest = &w->page->newest[i];
        /* Names of sources end with a NUL, as all of the configuration. */
        if (is_visible(w, newest->source.data)) {
            begin_sample(w, name);
            put_label(w, "source", newest->source.data);
            strbuf_addf(w->out, "} %.15g\n", (double)newest->age_ms / 1000);
        }
    }
}

static void put_process(struct writer *w) {
    struct metric_processes processes;
    begin(w, "waybill_build_info", "gauge", "1, with the release as a label.");
    begin_sample(w, "waybill_build_info");
    put_label(w, "version", WAYBILL_VERSION);
    put_count(w, 1);
    if (metrics_processes(&processes)) {
        put_gauge(w, "waybill_processes", "Processes that count together here.",
                  (double)processes.count);
        put_gauge(w, "waybill_requests_in_hand", "Requests that all processes have in hand.",
                  (double)processes.in_hand);
        put_gauge(w, "waybill_requests_in_hand_max",
                  "Requests in hand beyond which new ones are refused, of all processes.",
                  (double)processes.most);
        put_families(w);
        put_histograms(w);
    }
}

void make_metrics(struct http_answer *answer, const struct metrics_page *page) {
    struct writer w = {.out = &answer->body, .page = page};
    answer->status = 200;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    http_answer_field(answer, "Cache-Control", SLICE_OF("no-store"));
    put_process(&w);
    if (page->database_asked) {
        put_gauge(&w, "waybill_database_up", "Whether the database answered this scrape.",
                  page->database_up ? 1 : 0);
    }
    if (page->spool != NULL) {
        put_spool(&w);
    }
    if (page->newest_count > 0) {
        put_newest(&w);
    }
}

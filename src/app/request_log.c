#include "app/request_log.h"

#include "base/sampler.h"
#include "base/timestamp.h"
#include "engine/metrics.h"

#include <stdio.h>
#include <string.h>

enum kind { ANSWERED, REFUSED, FAILED, KINDS };

/* Of the process, like the stream that the lines go to. */
static struct sampler samplers[KINDS] = {
    [ANSWERED] = SAMPLER_INIT(200, 100),
    [REFUSED] = SAMPLER_INIT(20, 100),
    [FAILED] = SAMPLER_INIT(20, 100),
};

static void tell_left_out(enum kind kind, uint64_t lines) {
    static const char *const names[KINDS] = {"answered", "refused", "failed"};
    struct log_line line;
    if (lines > 0) {
        log_begin(&line, kind == ANSWERED ? LOG_INFO : LOG_WARN);
        log_str(&line, "message", SLICE_OF("log lines left out"));
        log_str(&line, "kind", slice_from_cstr(names[kind]));
        log_int(&line, "lines", (int64_t)lines);
        log_end(&line);
    }
}

static bool admits(enum kind kind, uint64_t who) {
    uint64_t left_out;
    bool admitted = sampler_admits(&samplers[kind], who, monotonic_ms(), &left_out);
    tell_left_out(kind, left_out);
    return admitted;
}

/* FNV-1a. Of IPv6 the network alone: everybody has a whole one to himself. */
static uint64_t who_is(const struct address *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t len = memcmp(address->bytes, mapped, sizeof(mapped)) == 0 ? 16 : 8;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ address->bytes[i]) * 1099511628211u;
    }
    return hash ^ hash >> 32;
}

/* PATH without the numbers of elements, which are as many as there are lists: "data.boxes[].id". */
static struct slice without_indexes(struct slice path, char text[METRIC_LABEL_MAX + 1]) {
    size_t len = 0;
    bool in_index = false;
    for (size_t i = 0; i < path.len && len < METRIC_LABEL_MAX; i++) {
        in_index = in_index && path.data[i] != ']';
        if (!in_index) {
            text[len++] = path.data[i];
        }
        in_index = in_index || path.data[i] == '[';
    }
    return (struct slice){text, len};
}

/* What the detail of the answer names: "ignored: data.trackId, data.zip and 3 more". */
static void count_ignored(const struct request_record *record, struct slice event_type) {
    static const struct slice before = SLICE("ignored: ");
    char text[METRIC_LABEL_MAX + 1];
    if (!slice_starts_with(record->reason, before) ||
        slice_eq(record->outcome, SLICE_OF("duplicate"))) {
        return;
    }
    struct slice rest = slice_from(record->reason, before.len), path;
    while (rest.len > 0) {
        (void)slice_split(rest, ',', &path, &rest);
        (void)slice_split(slice_trim(path), ' ', &path, &(struct slice){NULL, 0});
        metrics_count(METRIC_IGNORED_FIELDS, record->source, event_type,
                      without_indexes(path, text));
    }
}

static void count(int status, int64_t took_us, const struct request_head *head,
                  const struct request_record *record) {
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", status);
    metrics_count(METRIC_REQUESTS, slice_from_cstr(text), SLICE_EMPTY, SLICE_EMPTY);
    metrics_observe(METRIC_REQUEST_SECONDS, took_us);
    if (status >= 400) {
        struct slice why = record->reason.len > 0    ? record->reason
                           : record->outcome.len > 0 ? record->outcome
                                                     : SLICE_OF("other");
        metrics_count_refusal(record->source, why, head->received_at);
    } else if (record->is_delivery) {
        struct slice event_type = record->event_known ? record->event_type : SLICE_OF("other");
        metrics_count(METRIC_DELIVERIES, record->source, event_type, record->outcome);
        count_ignored(record, event_type);
    }
}

void request_log(int status, const struct request_head *head, const struct request_record *record) {
    struct log_line line;
    int64_t took_us = monotonic_us() - head->began_us;
    count(status, took_us, head, record);
    if (!(status < 400 ? admits(ANSWERED, 0) : admits(REFUSED, who_is(&head->address)))) {
        return;
    }
    log_begin(&line, status >= 500 ? LOG_WARN : LOG_INFO);
    log_str(&line, "request_id", slice_from_cstr(head->id));
    log_str(&line, "client", slice_from_cstr(head->client));
    log_str(&line, "source", record->source);
    log_str(&line, "provider", record->provider);
    log_str(&line, "event_type", record->event_type);
    log_str(&line, "outcome", record->outcome);
    log_int(&line, "status", status);
    log_int(&line, "bytes", record->bytes);
    log_int(&line, "changes", record->changes);
    log_int(&line, "ms", took_us / 1000);
    log_str(&line, "reason", record->reason);
    log_str(&line, "client_name", record->client_name);
    log_end(&line);
}

void request_log_failure(const char *message, struct slice sqlstate, struct slice reason) {
    struct log_line line;
    if (admits(FAILED, 0)) {
        log_begin(&line, LOG_ERROR);
        log_str(&line, "message", slice_from_cstr(message));
        log_str(&line, "sqlstate", sqlstate);
        log_str(&line, "reason", reason);
        log_end(&line);
    }
}

void request_log_tick(void) {
    for (enum kind kind = ANSWERED; kind < KINDS; kind++) {
        tell_left_out(kind, sampler_left_out(&samplers[kind], monotonic_ms()));
    }
}

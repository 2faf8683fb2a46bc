/*
 * GET /metrics in Prometheus' text format 0.0.4: what the processes count together, and what the
 * database and the spool say at that moment. Every metric is explained in docs/monitoring.md.
 */
#ifndef APP_METRICS_PAGE_H
#define APP_METRICS_PAGE_H

#include "adapter/http.h"
#include "app/settings.h"
#include "engine/spool.h"
#include "engine/store.h"

struct metrics_page {
    const char *endpoint;        /* "webhook" or "status" */
    const struct client *client; /* sees its sources only; NULL: all */
    bool database_asked, database_up;
    const struct spool_state *spool; /* NULL: none, or it was not looked at */
    size_t spool_max;
    const struct store_newest *newest; /* of the sources that have any */
    size_t newest_count;
};

/* 200 with the page. */
void make_metrics(struct http_answer *answer, const struct metrics_page *page);

#endif

/*
 * Pages that are the same for everybody, need no token and travel inside the program: the files of
 * src/app/pages/, and docs/openapi.json.
 */
#ifndef APP_PAGE_H
#define APP_PAGE_H

#include "adapter/http.h"
#include "base/err.h"

/* All pages, made ready once. */
struct pages;

struct page {
    const char *content_type;
    struct strbuf body;
    char etag[36];        /* of the body, quoted */
    struct strbuf policy; /* Content-Security-Policy (W3C CSP 3); empty: none */
};

/* NULL with ERR_MEMORY or, where a file of the build is amiss, ERR_SYSTEM. */
MUST_CHECK struct pages *pages_new(struct err *err);
void pages_free(struct pages *pages);
/* The page that is at NAME below the mount ("console", "openapi.json"); NULL: none. */
const struct page *pages_find(const struct pages *pages, struct slice name);
/* Makes ANSWER the page, or a 304 where IF_NONE_MATCH names it. */
void page_answer(const struct page *page, struct slice if_none_match, struct http_answer *answer);

#endif

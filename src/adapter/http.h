/*
 * A plain HTTP request and answer as a web server hands them on: CGI meta-variables (RFC 3875) in, status, fields and body out.
 *
 * The transports (adapter/fcgi.h, adapter/cgi.h) make requests and send answers; use cases see only this.
 */
#ifndef ADAPTER_HTTP_H
#define ADAPTER_HTTP_H

#include "base/arena.h"
#include "base/strbuf.h"

/* The meta-variables of one request: "REQUEST_METHOD=POST", … in no order. */
struct http_params {
    char *const *pairs; /* NULL-terminated, each "NAME=value" */
};

/* The value of the meta-variable NAME; empty when absent. */
struct slice http_param(const struct http_params *params, const char *name);
/* The request header NAME ("X-CrossBorderly-Signature"), looked up as HTTP_X_CROSSBORDERLY_SIGNATURE; Content-Type and Content-Length as
 * CONTENT_TYPE and CONTENT_LENGTH. Empty when absent. */
struct slice http_header(const struct http_params *params, struct slice name);

/*
 * The path below the mount, undecoded where possible, without the query: from PATH_INFO where it is set and not empty; otherwise from REQUEST_URI after
 * SCRIPT_NAME when SCRIPT_NAME is a prefix of it that ends at a '/', otherwise its last segments as they are.
 * Begins with '/', or is empty. The slice points into the params or is made in ARENA.
 */
struct slice http_path_below_mount(const struct http_params *params, struct arena *arena);
/* Percent-decoding (RFC 3986), with '+' as space when PLUS; false on a broken escape or without memory. */
MUST_CHECK bool http_percent_decode(struct slice text, bool plus, struct arena *arena, struct slice *out);

/* One decoded name=value of the query, in the order of the query. */
struct http_query_pair {
    struct slice name, value;
};
/* All pairs of QUERY; at most MAX. False on a broken escape, too many pairs or no memory. */
MUST_CHECK bool http_parse_query(struct slice query, size_t max, struct arena *arena,
                                 struct http_query_pair **pairs, size_t *count);

/* One answer. Fields are written as given, so values must have no CR or LF. */
struct http_answer {
    int status;
    struct strbuf fields; /* "Name: value\r\n", without Content-Type, Content-Length and Status */
    const char *content_type; /* NULL: no body */
    struct strbuf body;
    bool head; /* the request was HEAD: Content-Length is that of the body, which is not sent */
};
void http_answer_init(struct http_answer *answer);
void http_answer_free(struct http_answer *answer);
void http_answer_field(struct http_answer *answer, const char *name, struct slice value);
/* Makes ANSWER an application/problem+json (RFC 9457) with status, title (the status's phrase) and, unless empty, detail. Keeps the fields. */
void http_answer_problem(struct http_answer *answer, int status, struct slice detail);
/* The head of a CGI answer ("Status: 200 OK\r\n…\r\n\r\n") as RFC 3875 wants it, appended to OUT. */
void http_answer_head(const struct http_answer *answer, struct strbuf *out);
/* The reason phrase of RFC 9110. */
const char *http_phrase(int status);

#endif

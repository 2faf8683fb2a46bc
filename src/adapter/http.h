/*
 * A plain HTTP request and answer as a web server hands them on: CGI meta-variables (RFC 3875) in,
 * status, fields and body out.
 *
 * The transports (adapter/fcgi.h, adapter/cgi.h) make requests and send answers; use cases see only
 * this.
 */
#ifndef ADAPTER_HTTP_H
#define ADAPTER_HTTP_H

#include "base/arena.h"
#include "base/strbuf.h"

/* The meta-variables of one request: "REQUEST_METHOD=POST", … in no order. */
struct http_params {
    char *const *pairs; /* NULL-terminated, each "NAME=value" */
};

/* The value of the meta-variable NAME; empty when absent. One that is there twice with different
 * values (a header with '-' and one with '_' in its name, a login from two places) counts as
 * absent: the server's value cannot be told from a client's. */
struct slice http_param(const struct http_params *params, const char *name);
/* The request header NAME ("X-CrossBorderly-Signature"), looked up as
 * HTTP_X_CROSSBORDERLY_SIGNATURE; Content-Type and Content-Length as CONTENT_TYPE and
 * CONTENT_LENGTH. Empty when absent, or there with different values. */
struct slice http_header(const struct http_params *params, struct slice name);
/* All values of the request header NAME, joined by ", ", appended to OUT: for headers of which any
 * value is enough. */
void http_header_all(const struct http_params *params, struct slice name, struct strbuf *out);

/*
 * The path below the mount, without the query; points into the params. Begins with '/', or is
 * empty. The first that fits:
 *
 * 1. The path of REQUEST_URI ("/path?query" or "http://host/path?query") behind SCRIPT_NAME, when
 *    SCRIPT_NAME (without slashes at its end) is a prefix of it and a '/' follows, so that
 *    something is left. An empty SCRIPT_NAME leaves the whole path.
 * 2. PATH_INFO, when it is not empty: there is no REQUEST_URI, or the URL was rewritten, or the
 *    mount is percent-encoded in it. Servers decode PATH_INFO.
 * 3. The whole path of REQUEST_URI: SCRIPT_NAME says nothing about the mount. Apache's plain
 *    ProxyPass and nginx without fastcgi_split_path_info make it the whole path. The caller
 *    routes on the last segments; whether these are the mount itself cannot be seen.
 *
 * *raw is true when the slice is as the client sent it, so that each segment is still to be
 * percent-decoded; false when the server did that (2).
 */
struct slice http_path_below_mount(const struct http_params *params, bool *raw);
/* Percent-decoding (RFC 3986), with '+' as space when PLUS, into ARENA; false on a broken escape or
 * without memory. The result can hold any byte, also NUL and no UTF-8. */
MUST_CHECK bool http_percent_decode(struct slice text, bool plus, struct arena *arena,
                                    struct slice *out);

/* One decoded name=value of the query, in the order of the query. */
struct http_query_pair {
    struct slice name, value;
};
/* All pairs of QUERY, at most MAX; empty ones ("a=1&&b=2") are skipped, a name without '=' has an
 * empty value. False on a broken escape, too many pairs or no memory. */
MUST_CHECK bool http_parse_query(struct slice query, size_t max, struct arena *arena,
                                 struct http_query_pair **pairs, size_t *count);

/*
 * One answer. Where its fields or its body failed (no memory, too long, a field's value with CR, LF
 * or NUL), a 500 without a body goes out instead.
 */
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
/* Makes ANSWER an application/problem+json (RFC 9457) with status, title (the status's phrase) and,
 * unless empty, detail. Keeps the fields. */
void http_answer_problem(struct http_answer *answer, int status, struct slice detail);
/* What is sent after the head: the body, or nothing for HEAD, without a content_type and for an
 * answer that failed. */
struct slice http_answer_body(const struct http_answer *answer);
/* The status that goes out. */
int http_answer_status(const struct http_answer *answer);
/* The head of a CGI answer ("Status: 200 OK\r\n…\r\n\r\n") as RFC 3875 wants it, appended to OUT.
 */
void http_answer_head(const struct http_answer *answer, struct strbuf *out);
/* The reason phrase of RFC 9110; "Unknown" for a status that waybill never sends. */
const char *http_phrase(int status);

#endif

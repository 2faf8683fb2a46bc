/*
 * POST-ing over HTTP, over libcurl. Nobody else includes <curl/curl.h>. For `waybill` alone: the
 * responders call nobody.
 *
 * One client is one thread's; its connection is kept open between requests. Redirects are not
 * followed. The environment's proxies ($https_proxy, $no_proxy) hold, but not for a loopback
 * address.
 */
#ifndef ADAPTER_HTTP_CLIENT_H
#define ADAPTER_HTTP_CLIENT_H

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

struct http_client;

/* For URL (kept, not copied), http:// or https://. NULL with ERR_MEMORY, or with ERR_USAGE for what
 * is no such URL. One thread makes the first one. */
MUST_CHECK struct http_client *http_client_new(const char *url, struct err *err);
void http_client_free(struct http_client *client); /* NULL is allowed */

struct http_reply {
    int status;
    struct strbuf body; /* at most 64 KiB, what is more is cut off; freed by the caller */
};
/*
 * Posts BODY with HEADERS, each "Name: value" and a NUL, one after the other. False with ERR_SYSTEM
 * or ERR_TIMEOUT (30 s) where no answer came, ERR_MEMORY without memory; then nothing is to be
 * freed.
 */
MUST_CHECK bool http_client_post(struct http_client *client, struct slice headers,
                                 struct slice body, struct http_reply *reply, struct err *err);

#endif

#include "adapter/http_client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX 65536
#define CONNECT_SECONDS 10L
#define ANSWER_SECONDS 30L

struct http_client {
    CURL *curl;
    char reason[CURL_ERROR_SIZE];
};

static bool begins_with(const char *text, const char *start) {
    return strncasecmp(text, start, strlen(start)) == 0;
}

static bool is_loopback(const char *url) {
    const char *host = strstr(url, "://");
    host = host != NULL ? host + 3 : url;
    return begins_with(host, "127.") || begins_with(host, "localhost") ||
           begins_with(host, "[::1]");
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *context) {
    struct strbuf *out = context;
    size_t room = ANSWER_MAX - out->len, len = size * count;
    strbuf_add(out, bytes, len < room ? len : room);
    return len;
}

/* What holds for every request. */
static bool configure(struct http_client *client, const char *url) {
    CURL *curl = client->curl;
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->reason) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT, ANSWER_SECONDS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "waybill/" WAYBILL_VERSION) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes) == CURLE_OK &&
           (!is_loopback(url) || curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") == CURLE_OK);
}

struct http_client *http_client_new(const char *url, struct err *err) {
    if (!begins_with(url, "http://") && !begins_with(url, "https://")) {
        err_set(err, ERR_USAGE, "the URL must begin with http:// or https://");
        return NULL;
    }
    struct http_client *client = calloc(1, sizeof(*client));
    if (client != NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        client->curl = curl_easy_init();
    }
    if (client == NULL || client->curl == NULL || !configure(client, url)) {
        http_client_free(client);
        err_set(err, ERR_MEMORY, "libcurl cannot be used");
        return NULL;
    }
    return client;
}

void http_client_free(struct http_client *client) {
    if (client != NULL) {
        curl_easy_cleanup(client->curl);
        curl_global_cleanup();
        free(client);
    }
}

/* As libcurl wants them; "Expect:" keeps it from asking before it sends a long body. */
static struct curl_slist *header_list(struct slice headers) {
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    while (list != NULL && headers.len > 0) {
        struct curl_slist *longer = curl_slist_append(list, headers.data);
        if (longer == NULL) {
            curl_slist_free_all(list);
        }
        list = longer;
        headers = slice_from(headers, strlen(headers.data) + 1);
    }
    return list;
}

/* They hold credentials. */
static void free_headers(struct curl_slist *list) {
    for (struct curl_slist *item = list; item != NULL; item = item->next) {
        explicit_bzero(item->data, strlen(item->data));
    }
    curl_slist_free_all(list);
}

static bool perform(struct http_client *client, struct slice body, struct curl_slist *headers,
                    struct http_reply *reply, struct err *err) {
    CURL *curl = client->curl;
    long status = 0;
    client->reason[0] = '\0';
    if (curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply->body) != CURLE_OK) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK || curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK) {
        const char *reason = client->reason[0] != '\0' ? client->reason : curl_easy_strerror(code);
        return err_set(err, code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_SYSTEM, "%s",
                       reason);
    }
    reply->status = (int)status;
    return true;
}

bool http_client_post(struct http_client *client, struct slice headers, struct slice body,
                      struct http_reply *reply, struct err *err) {
    struct curl_slist *list = header_list(headers);
    *reply = (struct http_reply){.status = 0};
    strbuf_init(&reply->body, ANSWER_MAX + 1);
    bool ok = list != NULL ? perform(client, body, list, reply, err)
                           : err_set(err, ERR_MEMORY, "out of memory");
    free_headers(list);
    if (!ok) {
        strbuf_free(&reply->body);
    }
    return ok;
}

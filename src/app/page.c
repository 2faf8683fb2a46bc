#include "app/page.h"

#include "adapter/crypto.h"
#include "app/validator.h"
#include "base/embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* src/app/pages/ and docs/openapi.json. */
extern const struct embedded_file page_table[];

struct pages {
    struct page console, openapi;
};

static struct slice file_named(struct slice name) {
    for (const struct embedded_file *file = page_table; file->name != NULL; file++) {
        if (slice_eq(slice_from_cstr(file->name), name)) {
            return (struct slice){file->text, file->len};
        }
    }
    return SLICE_EMPTY;
}

/* "'sha256-…'" of an inline style or script: the browser takes no other. */
static bool add_digest(struct strbuf *policy, const char *directive, struct slice text) {
    uint8_t digest[SHA256_LEN];
    char base64[CRYPTO_BASE64_LEN(SHA256_LEN) + 1];
    if (!crypto_sha256(text, digest)) {
        return false;
    }
    crypto_base64_encode((struct slice){(const char *)digest, sizeof(digest)}, base64);
    strbuf_addf(policy, "; %s 'sha256-%s'", directive, base64);
    return true;
}

/* TEXT with "{{NAME}}" replaced by that file. */
static bool add_filled(struct page *page, struct slice text) {
    while (text.len > 0) {
        const char *begin = memmem(text.data, text.len, "{{", 2);
        if (begin == NULL) {
            break;
        }
        struct slice rest = slice_from(text, (size_t)(begin - text.data) + 2);
        const char *end = memmem(rest.data, rest.len, "}}", 2);
        if (end == NULL) {
            return false;
        }
        struct slice name = slice_first(rest, (size_t)(end - rest.data));
        struct slice file = file_named(name);
        bool is_script = slice_eq(name, SLICE_OF("console.js"));
        if (file.len == 0 ||
            !add_digest(&page->policy, is_script ? "script-src" : "style-src", file)) {
            return false;
        }
        strbuf_add_slice(&page->body, slice_first(text, (size_t)(begin - text.data)));
        strbuf_add_slice(&page->body, file);
        text = slice_from(rest, name.len + 2);
    }
    strbuf_add_slice(&page->body, text);
    return !strbuf_failed(&page->body);
}

static bool seal(struct page *page) {
    char digest[ETAG_DIGEST_TEXT];
    struct slice body = strbuf_slice(&page->body);
    if (strbuf_failed(&page->body) || strbuf_failed(&page->policy) ||
        !etag_digest(&body, 1, digest)) {
        return false;
    }
    (void)snprintf(page->etag, sizeof(page->etag), "\"%s\"", digest);
    return true;
}

static bool make_console(struct page *page) {
    struct slice file = file_named(SLICE_OF("console.html"));
    page->content_type = "text/html; charset=utf-8";
    strbuf_init(&page->body, 1 << 20);
    strbuf_init(&page->policy, 1024);
    strbuf_add_cstr(&page->policy,
                    "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "
                    "form-action 'none'; frame-ancestors 'none'");
    return file.len > 0 && add_filled(page, file) && seal(page);
}

static bool make_openapi(struct page *page) {
    struct slice file = file_named(SLICE_OF("openapi.json"));
    page->content_type = "application/json";
    strbuf_init(&page->body, 1 << 20);
    strbuf_init(&page->policy, 1);
    strbuf_add_slice(&page->body, file);
    return file.len > 0 && seal(page);
}

struct pages *pages_new(struct err *err) {
    struct pages *pages = calloc(1, sizeof(*pages));
    if (pages == NULL || !make_console(&pages->console) || !make_openapi(&pages->openapi)) {
        pages_free(pages);
        err_set(err, ERR_MEMORY, "cannot make the pages ready");
        return NULL;
    }
    return pages;
}

void pages_free(struct pages *pages) {
    if (pages != NULL) {
        strbuf_free(&pages->console.body);
        strbuf_free(&pages->console.policy);
        strbuf_free(&pages->openapi.body);
        strbuf_free(&pages->openapi.policy);
        free(pages);
    }
}

const struct page *pages_find(const struct pages *pages, struct slice name) {
    if (slice_eq(name, SLICE_OF("console"))) {
        return &pages->console;
    }
    return slice_eq(name, SLICE_OF("openapi.json")) ? &pages->openapi : NULL;
}

void page_answer(const struct page *page, struct slice if_none_match, struct http_answer *answer) {
    struct slice etag = slice_from_cstr(page->etag);
    http_answer_field(answer, "ETag", etag);
    http_answer_field(answer, "Cache-Control", SLICE_OF("no-cache"));
    if (etag_matches(if_none_match, etag)) {
        answer->status = 304;
        return;
    }
    answer->status = 200;
    answer->content_type = page->content_type;
    http_answer_field(answer, "X-Content-Type-Options", SLICE_OF("nosniff"));
    if (page->policy.len > 0) {
        http_answer_field(answer, "Content-Security-Policy", strbuf_slice(&page->policy));
        http_answer_field(answer, "Referrer-Policy", SLICE_OF("no-referrer"));
    }
    strbuf_add_slice(&answer->body, strbuf_slice(&page->body));
}

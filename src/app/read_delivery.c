#include "app/read_delivery.h"

static bool position_text(const struct json_position *where, struct arena *arena,
                          struct slice *text) {
    struct strbuf out;
    strbuf_init(&out, 256);
    strbuf_addf(&out, "line %d column %d: %s", where->line, where->column, where->message);
    bool ok = !strbuf_failed(&out) && arena_dup(arena, strbuf_slice(&out), text);
    strbuf_free(&out);
    return ok;
}

/* The identities; the content is only there as long as they are derived. */
static bool identify(struct delivery *delivery, const struct json *root, const char *resend_counter,
                     struct arena *arena) {
    struct strbuf canonical;
    /* The canonical form can be longer than the body: 1e9 is written out. */
    strbuf_init(&canonical, 8 * delivery->body.len + 4096);
    bool ok = json_canonical(root, resend_counter, &canonical) && !strbuf_failed(&canonical);
    delivery->content = strbuf_slice(&canonical);
    ok = ok && delivery_identify(delivery, arena);
    delivery->content = SLICE_EMPTY;
    strbuf_free(&canonical);
    return ok;
}

/* What a JSON document says, and under which identities. */
static bool read_document(struct delivery *delivery, const struct provider *provider,
                          const struct reading_context *context, struct arena *arena,
                          const struct json *root) {
    return provider->read(root, context, arena, &delivery->changes, &delivery->reading) &&
           identify(delivery, root, provider->resend_counter, arena);
}

enum read_result read_delivery(struct delivery *delivery, const struct provider *provider,
                               const struct reading_context *context, struct arena *arena) {
    struct json_position where;
    struct json_doc *doc = NULL;
    bool ok = true;
    changes_init(&delivery->changes);
    delivery->reading = READING_QUARANTINED;
    enum json_status status = json_parse(delivery->body, &doc, &where);
    switch (status) {
    case JSON_NO_MEMORY:
        return READ_NO_MEMORY;
    case JSON_INVALID:
        ok = position_text(&where, arena, &delivery->changes.detail) &&
             delivery_identify(delivery, arena);
        break;
    case JSON_UNREPRESENTABLE:
        delivery->changes.detail = SLICE_OF("a key contains U+0000");
        ok = delivery_identify(delivery, arena);
        break;
    case JSON_OK:
        ok = read_document(delivery, provider, context, arena, json_root(doc));
        break;
    }
    /* A tree is many times as large as its text, and the delivery may have to wait. */
    json_doc_free(doc);
    if (!ok) {
        return READ_NO_MEMORY;
    }
    return status == JSON_INVALID ? READ_NOT_JSON : READ_DONE;
}

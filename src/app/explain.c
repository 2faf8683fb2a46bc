#include "app/explain.h"

#include "adapter/json.h"
#include "app/read_delivery.h"
#include "app/validator.h"
#include "base/hex.h"
#include "base/limits.h"
#include "domain/provider.h"
#include "domain/shown.h"
#include "engine/states.h"

#include <stdlib.h>
#include <string.h>

/* Claims of all webhooks of one order. */
#define CLAIMS_ARENA ((size_t)128 << 20)
/* One webhook, parsed. */
#define WEBHOOK_ARENA ((size_t)32 << 20)
/* More that lost against one fact are only counted. */
#define LOST_SHOWN 100

/* What one webhook says of one fact. */
struct told_claim {
    enum fact fact;
    struct slice box_id; /* empty: the order */
    /* Which row of the history (its key in hex), which paper (kind, space, link); else empty. */
    struct slice item;
    struct slice key;
    struct slice value; /* JSON */
    int64_t at;         /* RULE_EARLIEST: the time */
    bool derived;       /* RULE_EARLIEST: taken from a status */
    const struct store_told *told;
};

struct explainer {
    const struct store_explanation *explanation;
    const struct settings *settings;
    struct arena *arena;
    struct told_claim *claims; /* sorted: of one fact together, in the order of their standing */
    size_t count, capacity;
    const struct store_told *told; /* whose claims are collected at the moment */
    bool *unreadable;              /* of each delivery */
};

/* ---- values ---- */

static void put_time(struct json_writer *writer, const char *key, int64_t at) {
    char text[TIMESTAMP_TEXT];
    if (at == TIMESTAMP_NONE) {
        json_put_null(writer, key);
    } else {
        timestamp_format(at, text);
        json_put_text(writer, key, slice_from_cstr(text));
    }
}

/* As PostgreSQL writes it. */
static void put_date(struct json_writer *writer, int64_t days) {
    char text[TIMESTAMP_TEXT];
    timestamp_format(days * 86400 * TIMESTAMP_SECOND, text);
    json_put_text(writer, NULL, (struct slice){text, 10});
}

static void put_value(struct json_writer *writer, enum fact fact, const struct fact_value *value) {
    switch (fact_row(fact)->type) {
    case FACT_TYPE_JSON:
        json_put_raw(writer, NULL, value->text);
        break;
    case FACT_TYPE_TIME:
        put_time(writer, NULL, value->number);
        break;
    case FACT_TYPE_DATE:
        put_date(writer, value->number);
        break;
    case FACT_TYPE_FLAG:
        json_put_boolean(writer, NULL, true);
        break;
    case FACT_TYPE_TEXT:
    case FACT_TYPE_LIST:
    case FACT_TYPE_GROUP:
        json_put_text(writer, NULL, value->text);
        break;
    }
}

static void put_status(struct json_writer *writer, const struct status_report *report,
                       bool of_order) {
    json_begin_object(writer, NULL);
    json_put_text(writer, "status", status_name(report->status));
    json_put_text(writer, "status_detail", report->detail);
    json_put_text(writer, "provider_status", report->provider_status);
    put_time(writer, "status_at", report->at);
    if (!of_order) {
        json_put_text(writer, "location", report->location);
        put_time(writer, "next_attempt_at", report->next_attempt_at);
    }
    json_end_object(writer);
}

static void put_texts(struct json_writer *writer, const struct slice *texts, size_t count) {
    json_begin_array(writer, NULL);
    for (size_t i = 0; i < count; i++) {
        json_put_text(writer, NULL, texts[i]);
    }
    json_end_array(writer);
}

static void put_document(struct json_writer *writer, struct slice kind, struct slice url) {
    json_begin_object(writer, NULL);
    json_put_text(writer, "kind", kind);
    json_put_text(writer, "url", url);
    json_end_object(writer);
}

/* What users see of a row of the history. */
struct event_view {
    int64_t occurred_at;
    enum status status;
    struct slice detail, provider_status, location, message;
};

static void put_event(struct json_writer *writer, const struct event_view *event, bool full) {
    json_begin_object(writer, NULL);
    put_time(writer, "occurred_at", event->occurred_at);
    json_put_text(writer, "status", status_name(event->status));
    json_put_text(writer, "status_detail", event->detail);
    json_put_text(writer, "provider_status", event->provider_status);
    json_put_text(writer, "location", event->location);
    json_put_text(writer, "message", full ? event->message : SLICE_EMPTY);
    json_end_object(writer);
}

/* ---- what the webhooks said ---- */

static bool reserve_claim(struct explainer *explainer) {
    if (explainer->count < explainer->capacity) {
        return true;
    }
    size_t capacity = 2 * explainer->capacity + 64;
    struct told_claim *claims = realloc(explainer->claims, capacity * sizeof(*claims));
    if (claims == NULL) {
        return false;
    }
    explainer->claims = claims;
    explainer->capacity = capacity;
    return true;
}

static void put_claim(struct json_writer *writer, const struct fold_claim *claim, bool full) {
    switch (claim->fact) {
    case FACT_OWN_STATUS:
    case FACT_STATUS:
        put_status(writer, claim->report, claim->fact == FACT_OWN_STATUS);
        break;
    case FACT_BOX_LIST:
        put_texts(writer, claim->box_list->box_list, claim->box_list->box_list_count);
        break;
    case FACT_DELIVERED_AT:
    case FACT_SHIPPED_AT:
        put_time(writer, NULL, claim->at);
        break;
    case FACT_DOCUMENT:
        put_document(writer, claim->document->kind, claim->document->url);
        break;
    case FACT_EVENT:
        put_event(writer,
                  &(struct event_view){claim->event->occurred_at, claim->event->status,
                                       claim->event->detail, claim->event->provider_status,
                                       claim->event->location, claim->event->message},
                  full);
        break;
    default:
        put_value(writer, claim->fact, claim->value);
        break;
    }
}

static void add_document_item(struct strbuf *out, struct slice kind, struct slice url) {
    strbuf_add_slice(out, kind);
    strbuf_add_char(out, ' ');
    strbuf_add_slice(out, url);
}

/* The item of struct told_claim. */
static void add_item(struct strbuf *out, const struct fold_claim *claim) {
    char hex[2 * sizeof(claim->event_key->bytes) + 1];
    if (claim->fact == FACT_EVENT) {
        hex_encode(claim->event_key->bytes, sizeof(claim->event_key->bytes), hex);
        strbuf_add_cstr(out, hex);
    } else if (claim->fact == FACT_DOCUMENT) {
        add_document_item(out, claim->document->kind, claim->document->url);
    }
}

static bool keep_text(struct explainer *explainer, struct strbuf *text, struct slice *kept) {
    bool ok = !strbuf_failed(text) && arena_dup(explainer->arena, strbuf_slice(text), kept);
    strbuf_free(text);
    return ok;
}

/* For the fold: a claim of the webhook at hand. */
static bool collect_claim(void *context, const struct fold_claim *claim) {
    struct explainer *explainer = context;
    bool full = explainer->explanation->full;
    if (fact_row(claim->fact)->personal && !full) {
        return true;
    }
    if (!reserve_claim(explainer)) {
        return false;
    }
    struct strbuf value = STRBUF_INIT(LIMIT_ANSWER), item = STRBUF_INIT(LIMIT_ANSWER);
    struct json_writer writer;
    struct told_claim *kept = &explainer->claims[explainer->count++];
    *kept = (struct told_claim){
        .fact = claim->fact, .at = claim->at, .derived = claim->derived, .told = explainer->told};
    json_writer_init(&writer, &value);
    put_claim(&writer, claim, full);
    add_item(&item, claim);
    bool kept_both = keep_text(explainer, &value, &kept->value);
    kept_both = keep_text(explainer, &item, &kept->item) && kept_both;
    return kept_both && arena_dup(explainer->arena, claim->box_id, &kept->box_id) &&
           arena_dup(explainer->arena, claim->key, &kept->key);
}

static bool collect_claims(struct explainer *explainer, const struct store_told *told,
                           const struct delivery *delivery, struct arena *arena) {
    const struct fold_watch watch = {collect_claim, explainer};
    struct order_state nothing;
    order_state_init(&nothing);
    explainer->told = told;
    return fold_delivery(&nothing, delivery, &watch, arena);
}

/* False without memory; one that this release cannot read, or reads as of another order, is noted.
 */
static bool read_told(struct explainer *explainer, const struct store_told *told,
                      bool *unreadable) {
    const struct provider *provider = provider_find(told->provider);
    struct delivery delivery = {.source = told->source,
                                .provider = told->provider,
                                .order_provider = told->provider,
                                .body = told->body,
                                .received_at = told->received_at};
    *unreadable = provider == NULL;
    if (provider == NULL || told->purged || told->left_out) {
        return true;
    }
    struct arena *arena = arena_new(WEBHOOK_ARENA);
    if (arena == NULL) {
        return false;
    }
    enum read_result reading = read_delivery(
        &delivery, provider, settings_reading(explainer->settings, told->source), arena);
    bool ok = reading != READ_NO_MEMORY;
    *unreadable = reading != READ_DONE || delivery.reading != READING_APPLIED ||
                  !delivery.has_order || !uuid_eq(&delivery.order, &explainer->explanation->order);
    if (ok && !*unreadable) {
        ok = collect_claims(explainer, told, &delivery, arena);
    }
    arena_free(arena);
    return ok;
}

static int compare_facts(const struct told_claim *a, const struct told_claim *b) {
    if (a->fact != b->fact) {
        return a->fact < b->fact ? -1 : 1;
    }
    int by_box = slice_cmp(a->box_id, b->box_id);
    return by_box != 0 ? by_box : slice_cmp(a->item, b->item);
}

/* Of one fact: the one that stands first. */
static int compare_standing(const struct told_claim *a, const struct told_claim *b) {
    switch (fact_row(a->fact)->rule) {
    case RULE_EARLIEST:
        if (a->derived != b->derived) {
            return a->derived ? 1 : -1;
        }
        if (a->at != b->at) {
            return a->at < b->at ? -1 : 1;
        }
        return slice_cmp(a->key, b->key);
    case RULE_EVER:
        return slice_cmp(a->key, b->key);
    default:
        return slice_cmp(b->key, a->key);
    }
}

static int compare_claims(const void *left, const void *right) {
    const struct told_claim *a = left, *b = right;
    int by_fact = compare_facts(a, b);
    return by_fact != 0 ? by_fact : compare_standing(a, b);
}

static bool read_all(struct explainer *explainer) {
    const struct store_explanation *explanation = explainer->explanation;
    for (size_t i = 0; i < explanation->delivery_count; i++) {
        if (!read_told(explainer, &explanation->deliveries[i], &explainer->unreadable[i])) {
            return false;
        }
    }
    if (explainer->count > 0) {
        qsort(explainer->claims, explainer->count, sizeof(*explainer->claims), compare_claims);
    }
    return true;
}

/* The claims on the fact of WANTED: from *begin up to, not including, *end. */
static void find_claims(const struct explainer *explainer, const struct told_claim *wanted,
                        size_t *begin, size_t *end) {
    size_t low = 0, high = explainer->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_facts(&explainer->claims[middle], wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (*begin = *end = low; *end < explainer->count; (*end)++) {
        if (compare_facts(&explainer->claims[*end], wanted) != 0) {
            break;
        }
    }
}

static const struct store_told *find_told(const struct store_explanation *explanation,
                                          const struct uuid *id) {
    for (size_t low = 0, high = explanation->delivery_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(explanation->deliveries[middle].id.bytes, id->bytes, sizeof(id->bytes));
        if (order == 0) {
            return &explanation->deliveries[middle];
        }
        *(order < 0 ? &low : &high) = order < 0 ? middle + 1 : middle;
    }
    return NULL;
}

/* ---- writing ---- */

static void put_uuid(struct json_writer *writer, const char *key, const struct uuid *id) {
    char text[UUID_TEXT];
    uuid_format(id, text);
    json_put_text(writer, key, slice_from_cstr(text));
}

/* Who said it. TOLD NULL: a webhook of which no more is known. */
static void put_origin(struct json_writer *writer, const struct uuid *id, int64_t at,
                       const struct store_told *told) {
    put_time(writer, "at", at);
    put_uuid(writer, "delivery", id);
    json_put_text(writer, "event_id", told != NULL ? told->event_id : SLICE_EMPTY);
    json_put_text(writer, "event_type", told != NULL ? told->event_type : SLICE_EMPTY);
    if (told != NULL) {
        put_time(writer, "received_at", told->received_at);
    } else {
        json_put_null(writer, "received_at");
    }
}

/* The key's own time; a fact without a register has the key of any other fact. */
static void put_claim_origin(struct json_writer *writer, const struct told_claim *one) {
    struct uuid id = one->told->id;
    int64_t at = one->told->received_at;
    bool ours = key_origin(one->key, &id, &at);
    (void)ours; /* it was made here */
    put_origin(writer, &one->told->id, at, one->told);
}

/* A fact of the state: what an explanation shows a line of. */
struct stated {
    enum fact fact;
    struct slice box_id, item;
    struct slice key; /* empty: a fact without a register */
};

static void put_lost(struct json_writer *writer, const struct told_claim *one, struct slice winner,
                     const struct told_claim *winning) {
    enum fact_rule rule = fact_row(one->fact)->rule;
    struct slice why = key_loss(rule, winner, one->key);
    if (rule == RULE_EARLIEST && winning != NULL && winning->derived != one->derived) {
        why = SLICE_OF("taken_from_status");
    } else if (rule == RULE_EARLIEST && winning != NULL && winning->at == one->at) {
        why = SLICE_OF("repeated");
    }
    json_begin_object(writer, NULL);
    put_claim_origin(writer, one);
    json_put_raw(writer, "value", one->value);
    json_put_text(writer, "why", why);
    json_end_object(writer);
}

/* The claim that set the register: the one with its key, or of a fact without one the first. NULL:
 * its webhook cannot be read any more. */
static const struct told_claim *find_winner(const struct explainer *explainer,
                                            const struct stated *stated, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) {
        if (stated->key.len == 0 || slice_eq(explainer->claims[i].key, stated->key)) {
            return &explainer->claims[i];
        }
    }
    return NULL;
}

static void put_winner(struct json_writer *writer, const struct explainer *explainer,
                       const struct stated *stated, const struct told_claim *winner) {
    struct uuid id;
    int64_t at;
    if (winner != NULL) {
        json_begin_object(writer, "set_by");
        put_claim_origin(writer, winner);
        json_end_object(writer);
    } else if (stated->key.len > 0 && key_origin(stated->key, &id, &at)) {
        json_begin_object(writer, "set_by");
        put_origin(writer, &id, at, find_told(explainer->explanation, &id));
        json_end_object(writer);
    } else {
        json_put_null(writer, "set_by");
    }
}

/* The line of STATED up to its value, which the caller writes. */
static void begin_fact(struct json_writer *writer, const struct stated *stated) {
    json_begin_object(writer, NULL);
    json_put_text(writer, "box", stated->box_id);
    json_put_text(writer, "fact", fact_row(stated->fact)->name);
    json_put_key(writer, "value");
}

static void end_fact(struct json_writer *writer, const struct explainer *explainer,
                     const struct stated *stated) {
    const struct told_claim wanted = {
        .fact = stated->fact, .box_id = stated->box_id, .item = stated->item};
    size_t begin, end, shown = 0;
    find_claims(explainer, &wanted, &begin, &end);
    const struct told_claim *winner = find_winner(explainer, stated, begin, end);
    json_put_text(writer, "rule", fact_rule_name(fact_row(stated->fact)->rule));
    put_winner(writer, explainer, stated, winner);
    json_begin_array(writer, "lost");
    for (size_t i = begin; i < end && shown < LOST_SHOWN; i++) {
        if (&explainer->claims[i] != winner) {
            put_lost(writer, &explainer->claims[i], stated->key, winner);
            shown++;
        }
    }
    json_end_array(writer);
    json_put_integer(writer, "lost_total", (int64_t)(end - begin - (winner != NULL ? 1 : 0)));
    json_end_object(writer);
}

/* The facts with a row in the tables that have a value; personal ones for the scope full. */
static void put_values(struct json_writer *writer, const struct explainer *explainer,
                       enum fact fact, struct slice box_id, const struct fact_value *values,
                       const struct registers *registers) {
    const struct fact_row *row = fact_row(fact);
    struct stated stated = {.fact = fact, .box_id = box_id};
    if (row->rule == RULE_LATEST) {
        stated.key = registers->keys[row->number];
    }
    bool is_known =
        row->rule == RULE_LATEST ? stated.key.data != NULL : fact_is_said(row, &values[fact]);
    if (!is_known || (row->personal && !explainer->explanation->full)) {
        return;
    }
    begin_fact(writer, &stated);
    if (fact_is_said(row, &values[fact])) {
        put_value(writer, fact, &values[fact]);
    } else {
        json_put_null(writer, NULL); /* it was erased */
    }
    end_fact(writer, explainer, &stated);
}

static void put_order_facts(struct json_writer *writer, const struct explainer *explainer,
                            const struct order_state *order) {
    struct stated own = {.fact = FACT_OWN_STATUS,
                         .key = order->registers.keys[REGISTER_OWN_STATUS]};
    struct stated list = {.fact = FACT_BOX_LIST, .key = order->registers.keys[REGISTER_BOX_LIST]};
    if (own.key.data != NULL) {
        const struct status_report report = {.status = order->own_status,
                                             .detail = order->own_status_detail,
                                             .provider_status = order->own_provider_status,
                                             .at = order->own_status_at};
        begin_fact(writer, &own);
        put_status(writer, &report, true);
        end_fact(writer, explainer, &own);
    }
    for (enum fact fact = FACT_OWN_STATUS + 1; fact < FACT_BOX_LIST; fact++) {
        put_values(writer, explainer, fact, SLICE_EMPTY, order->values, &order->registers);
    }
    if (list.key.data != NULL) {
        begin_fact(writer, &list);
        put_texts(writer, order->box_list, order->box_list_count);
        end_fact(writer, explainer, &list);
    }
}

static void put_time_fact(struct json_writer *writer, const struct explainer *explainer,
                          const struct stated *stated, int64_t at) {
    begin_fact(writer, stated);
    put_time(writer, NULL, at);
    end_fact(writer, explainer, stated);
}

static void put_box_facts(struct json_writer *writer, const struct explainer *explainer,
                          const struct order_state *order, const struct box_state *box) {
    const struct slice *keys = box->registers.keys;
    if (keys[REGISTER_STATUS].data != NULL) {
        const struct stated status = {
            .fact = FACT_STATUS, .box_id = box->box_id, .key = keys[REGISTER_STATUS]};
        begin_fact(writer, &status);
        put_status(writer, &box->status, false);
        end_fact(writer, explainer, &status);
    }
    if (box->removed) {
        const struct stated removed = {.fact = FACT_REMOVED,
                                       .box_id = box->box_id,
                                       .key = order->registers.keys[REGISTER_BOX_LIST]};
        put_time_fact(writer, explainer, &removed, box_list_at(order));
    }
    if (keys[REGISTER_DELIVERED_AT].data != NULL) {
        const struct stated delivered = {
            .fact = FACT_DELIVERED_AT, .box_id = box->box_id, .key = keys[REGISTER_DELIVERED_AT]};
        put_time_fact(writer, explainer, &delivered, box->delivered_at);
    }
    if (box->shipped_at != TIMESTAMP_NONE) {
        /* Who said it first, or the earliest, is seen in what they said. */
        const struct stated shipped = {.fact = FACT_SHIPPED_AT, .box_id = box->box_id};
        put_time_fact(writer, explainer, &shipped, box->shipped_at);
    }
    for (enum fact fact = FACT_SHIPPED_AT + 1; fact < FACT_DOCUMENT; fact++) {
        bool hidden =
            fact == FACT_TRACKING_URL_TEMPLATE && box->values[FACT_TRACKING_URL].text.len > 0;
        if (!hidden) {
            put_values(writer, explainer, fact, box->box_id, box->values, &box->registers);
        }
    }
}

static int compare_documents(const void *left, const void *right) {
    const struct document_state *a = *(void *const *)left, *b = *(void *const *)right;
    int by_url = slice_cmp(a->url, b->url);
    return by_url != 0 ? by_url : slice_cmp(a->kind, b->kind);
}

static void put_documents(struct json_writer *writer, const struct explainer *explainer,
                          const struct order_state *order, const struct box_state *box) {
    for (size_t i = 0; i < order->documents.count; i++) {
        const struct document_state *document = order->documents.items[i];
        struct strbuf item = STRBUF_INIT(LIMIT_ANSWER);
        if (!uuid_eq(&document->box_key, &box->key)) {
            continue;
        }
        add_document_item(&item, document->kind, document->url);
        const struct stated stated = {
            .fact = FACT_DOCUMENT, .box_id = box->box_id, .item = strbuf_slice(&item)};
        begin_fact(writer, &stated);
        put_document(writer, document->kind, document->url);
        end_fact(writer, explainer, &stated);
        strbuf_free(&item);
    }
}

/* By time as it is shown, in milliseconds. */
static int compare_events(const void *left, const void *right) {
    const struct event_state *a = *(void *const *)left, *b = *(void *const *)right;
    int by_box = memcmp(&a->box_key, &b->box_key, sizeof(a->box_key));
    int64_t a_ms = a->occurred_at / 1000, b_ms = b->occurred_at / 1000;
    if (by_box != 0 || a_ms == b_ms) {
        return by_box != 0 ? by_box : memcmp(&a->key, &b->key, sizeof(a->key));
    }
    return a_ms < b_ms ? -1 : 1;
}

/* Where the rows of BOX begin among the sorted ones of ORDER. */
static size_t first_event(const struct order_state *order, const struct box_state *box) {
    size_t low = 0, high = order->events.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct event_state *event = order->events.items[middle];
        if (memcmp(&event->box_key, &box->key, sizeof(box->key)) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void put_events(struct json_writer *writer, const struct explainer *explainer,
                       const struct order_state *order, const struct box_state *box) {
    for (size_t i = first_event(order, box); i < order->events.count; i++) {
        const struct event_state *event = order->events.items[i];
        char item[2 * sizeof(event->key.bytes) + 1];
        if (!uuid_eq(&event->box_key, &box->key)) {
            break;
        }
        hex_encode(event->key.bytes, sizeof(event->key.bytes), item);
        const struct stated stated = {.fact = FACT_EVENT,
                                      .box_id = box->box_id,
                                      .item = slice_from_cstr(item),
                                      .key = event->registers.keys[REGISTER_EVENT]};
        begin_fact(writer, &stated);
        put_event(writer,
                  &(struct event_view){event->occurred_at, event->status, event->detail,
                                       event->provider_status, event->location, event->message},
                  explainer->explanation->full);
        end_fact(writer, explainer, &stated);
    }
}

static void put_facts(struct json_writer *writer, const struct explainer *explainer) {
    const struct order_state *order = explainer->explanation->state;
    if (order->documents.count > 0) {
        qsort(order->documents.items, order->documents.count, sizeof(void *), compare_documents);
    }
    if (order->events.count > 0) {
        qsort(order->events.items, order->events.count, sizeof(void *), compare_events);
    }
    json_begin_array(writer, "facts");
    put_order_facts(writer, explainer, order);
    for (size_t i = 0; i < order->boxes.count; i++) {
        const struct box_state *box = order->boxes.items[i];
        put_box_facts(writer, explainer, order, box);
        put_documents(writer, explainer, order, box);
        put_events(writer, explainer, order, box);
    }
    json_end_array(writer);
}

/* Webhooks whose part in this is not known. */
static void put_unread(struct json_writer *writer, const struct explainer *explainer) {
    const struct store_explanation *explanation = explainer->explanation;
    json_begin_array(writer, "unread");
    for (size_t i = 0; i < explanation->delivery_count; i++) {
        const struct store_told *told = &explanation->deliveries[i];
        struct slice why = told->purged               ? SLICE_OF("purged")
                           : told->left_out           ? SLICE_OF("too_many")
                           : explainer->unreadable[i] ? SLICE_OF("unreadable")
                                                      : SLICE_EMPTY;
        if (why.len > 0) {
            json_begin_object(writer, NULL);
            put_uuid(writer, "delivery", &told->id);
            json_put_text(writer, "event_id", told->event_id);
            json_put_text(writer, "event_type", told->event_type);
            put_time(writer, "received_at", told->received_at);
            json_put_text(writer, "why", why);
            json_end_object(writer);
        }
    }
    json_end_array(writer);
}

static void put_explanation(struct json_writer *writer, const struct explainer *explainer) {
    const struct store_explanation *explanation = explainer->explanation;
    json_begin_object(writer, "explanation");
    json_put_integer(writer, "status_rule", explanation->state->shown.rule);
    json_put_text(writer, "status_because", status_rule_text(explanation->state->shown.rule));
    json_put_integer(writer, "webhooks", (int64_t)explanation->delivery_count);
    put_unread(writer, explainer);
    put_facts(writer, explainer);
    json_end_object(writer);
}

static void write_all(const struct explainer *explainer, struct strbuf *out) {
    struct slice document = explainer->explanation->document;
    struct json_writer writer;
    /* The document is an object with members; one more goes in front of its brace. */
    strbuf_add(out, document.data, document.len - 1);
    strbuf_add_char(out, ',');
    json_writer_init(&writer, out);
    put_explanation(&writer, explainer);
    strbuf_add_char(out, '}');
}

bool explain_write(const struct store_explanation *explanation, const struct settings *settings,
                   struct strbuf *out) {
    struct explainer explainer = {.explanation = explanation, .settings = settings};
    explainer.arena = arena_new(CLAIMS_ARENA);
    explainer.unreadable = calloc(explanation->delivery_count + 1, sizeof(bool));
    bool ok = explainer.arena != NULL && explainer.unreadable != NULL && read_all(&explainer);
    if (ok) {
        write_all(&explainer, out);
        ok = !strbuf_failed(out);
    }
    free(explainer.unreadable);
    free(explainer.claims);
    arena_free(explainer.arena);
    return ok;
}

bool explain_etag(const struct store_explanation *explanation, const char *variant,
                  struct strbuf *out) {
    char digest[ETAG_DIGEST_TEXT];
    struct strbuf state;
    strbuf_init(&state, LIMIT_ANSWER);
    for (size_t i = 0; i < explanation->delivery_count; i++) {
        const struct store_told *told = &explanation->deliveries[i];
        strbuf_add(&state, told->id.bytes, sizeof(told->id.bytes));
        strbuf_add_char(&state, told->purged ? 'p' : told->left_out ? 'l' : 'r');
    }
    struct slice fields[] = {slice_from_cstr(variant), strbuf_slice(&state)};
    bool ok = !strbuf_failed(&state) && etag_digest(fields, ARRAY_LEN(fields), digest);
    strbuf_free(&state);
    if (ok) {
        strbuf_addf(out, "%s-%lld-%s", variant, (long long)explanation->version, digest);
    }
    return ok && !strbuf_failed(out);
}

#include "app/explain.h"

#include "adapter/json.h"
#include "app/ingest.h"
#include "app/validator.h"
#include "base/limits.h"
#include "domain/claim.h"
#include "domain/provider.h"

#include <stdlib.h>
#include <string.h>

/* Claims of all webhooks of one order. */
#define CLAIMS_ARENA ((size_t)128 << 20)
/* One webhook, parsed. */
#define WEBHOOK_ARENA ((size_t)32 << 20)
/* More that lost against one fact are only counted. */
#define LOST_SHOWN 100

/* A claim, and whose it is. */
struct told_claim {
    struct claim claim;
    const struct store_told *told;
};

struct explainer {
    const struct store_explanation *explanation;
    struct arena *arena;
    struct told_claim *claims; /* sorted: of one fact together, in the order of their standing */
    size_t count, room;
    bool *unreadable; /* of each delivery */
};

/* ---- what the webhooks said ---- */

static bool make_room(struct explainer *explainer, size_t more) {
    if (explainer->count + more <= explainer->room) {
        return true;
    }
    size_t room = 2 * (explainer->count + more);
    struct told_claim *claims = realloc(explainer->claims, room * sizeof(*claims));
    if (claims == NULL) {
        return false;
    }
    explainer->claims = claims;
    explainer->room = room;
    return true;
}

static bool take_claims(struct explainer *explainer, const struct store_told *told,
                        const struct delivery *delivery) {
    struct claim *claims = NULL;
    size_t count = 0;
    if (!claims_read(&delivery->changes, &delivery->id, delivery->event_keys,
                     explainer->explanation->full, explainer->arena, &claims, &count) ||
        !make_room(explainer, count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        explainer->claims[explainer->count++] = (struct told_claim){claims[i], told};
    }
    return true;
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
    enum ingest_reading reading = ingest_read(&delivery, provider, arena);
    bool ok = reading != INGEST_NO_MEMORY;
    *unreadable = reading != INGEST_READ || delivery.reading != READING_APPLIED ||
                  !delivery.has_order ||
                  memcmp(&delivery.order, &explainer->explanation->order, sizeof(struct uuid)) != 0;
    if (ok && !*unreadable) {
        ok = take_claims(explainer, told, &delivery);
    }
    arena_free(arena);
    return ok;
}

static int compare_facts(const struct claim *a, const struct claim *b) {
    if (a->fact != b->fact) {
        return a->fact < b->fact ? -1 : 1;
    }
    int by_box = slice_cmp(a->box_id, b->box_id);
    return by_box != 0 ? by_box : slice_cmp(a->item, b->item);
}

/* Of one fact: the one that stands first. */
static int compare_standing(const struct claim *a, const struct claim *b) {
    switch (fact_rule(a->fact)) {
    case RULE_EARLIEST:
        if (a->derived != b->derived) {
            return a->derived ? 1 : -1;
        }
        if (a->earliest != b->earliest) {
            return a->earliest < b->earliest ? -1 : 1;
        }
        return slice_cmp(a->key, b->key);
    case RULE_EVER:
        return slice_cmp(a->key, b->key);
    default:
        return slice_cmp(b->key, a->key);
    }
}

static int compare_claims(const void *left, const void *right) {
    const struct claim *a = &((const struct told_claim *)left)->claim;
    const struct claim *b = &((const struct told_claim *)right)->claim;
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
static void find_claims(const struct explainer *explainer, const struct claim *wanted,
                        size_t *begin, size_t *end) {
    size_t low = 0, high = explainer->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_facts(&explainer->claims[middle].claim, wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (*begin = *end = low; *end < explainer->count; (*end)++) {
        if (compare_facts(&explainer->claims[*end].claim, wanted) != 0) {
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

static void put_time(struct json_writer *writer, const char *key, int64_t at) {
    char text[TIMESTAMP_TEXT];
    timestamp_format(at, text);
    json_put_text(writer, key, slice_from_cstr(text));
}

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
    enum fact_rule rule = fact_rule(one->claim.fact);
    struct uuid id = one->told->id;
    int64_t at = one->told->received_at;
    bool ours = claim_key_origin(rule, one->claim.key, &id, &at);
    (void)ours; /* it was made here */
    put_origin(writer, &one->told->id, at, one->told);
}

static void put_lost(struct json_writer *writer, const struct told_claim *one, struct slice winner,
                     const struct claim *winning) {
    enum fact_rule rule = fact_rule(one->claim.fact);
    struct slice why = claim_loss(rule, winner, one->claim.key);
    if (rule == RULE_EARLIEST && winning != NULL && winning->derived != one->claim.derived) {
        why = SLICE_OF("taken_from_status");
    } else if (rule == RULE_EARLIEST && winning != NULL &&
               winning->earliest == one->claim.earliest) {
        why = SLICE_OF("repeated");
    }
    json_begin_object(writer, NULL);
    put_claim_origin(writer, one);
    json_put_raw(writer, "value", one->claim.value);
    json_put_text(writer, "why", why);
    json_end_object(writer);
}

/* The claim that set the register: the one with its key, or of a fact without one the first. NULL:
 * its webhook cannot be read any more. */
static const struct told_claim *find_winner(const struct explainer *explainer,
                                            const struct store_register *fact, size_t begin,
                                            size_t end) {
    for (size_t i = begin; i < end; i++) {
        if (fact->key.len == 0 || slice_eq(explainer->claims[i].claim.key, fact->key)) {
            return &explainer->claims[i];
        }
    }
    return NULL;
}

static void put_winner(struct json_writer *writer, const struct explainer *explainer,
                       const struct store_register *fact, enum fact_rule rule,
                       const struct told_claim *winner) {
    struct uuid id;
    int64_t at;
    if (winner != NULL) {
        json_begin_object(writer, "set_by");
        put_claim_origin(writer, winner);
        json_end_object(writer);
    } else if (fact->key.len > 0 && claim_key_origin(rule, fact->key, &id, &at)) {
        json_begin_object(writer, "set_by");
        put_origin(writer, &id, at, find_told(explainer->explanation, &id));
        json_end_object(writer);
    } else {
        json_put_null(writer, "set_by");
    }
}

static void put_fact(struct json_writer *writer, const struct explainer *explainer,
                     const struct store_register *fact, enum fact name) {
    struct claim wanted = {.fact = name, .box_id = fact->box_id, .item = fact->item};
    enum fact_rule rule = fact_rule(name);
    size_t begin, end, shown = 0;
    find_claims(explainer, &wanted, &begin, &end);
    const struct told_claim *winner = find_winner(explainer, fact, begin, end);
    json_begin_object(writer, NULL);
    json_put_text(writer, "box", fact->box_id);
    json_put_text(writer, "fact", fact->name);
    if (fact->value.len > 0) {
        json_put_raw(writer, "value", fact->value);
    } else {
        json_put_null(writer, "value");
    }
    json_put_text(writer, "rule", fact_rule_name(rule));
    put_winner(writer, explainer, fact, rule, winner);
    json_begin_array(writer, "lost");
    for (size_t i = begin; i < end && shown < LOST_SHOWN; i++) {
        if (&explainer->claims[i] != winner) {
            put_lost(writer, &explainer->claims[i], fact->key,
                     winner != NULL ? &winner->claim : NULL);
            shown++;
        }
    }
    json_end_array(writer);
    size_t lost = end - begin - (winner != NULL ? 1 : 0);
    json_put_integer(writer, "lost_total", (int64_t)lost);
    json_end_object(writer);
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

/* The seven rules of an order's status. */
static struct slice rule_text(int64_t rule) {
    static const struct slice texts[] = {
        SLICE("the sender has cancelled the order, and no box is on its way"),
        SLICE("no box, or none with a known status: the sender's status of the order"),
        SLICE("every box is cancelled or unknown"),
        SLICE("every box that counts is delivered"),
        SLICE("some boxes are delivered"),
        SLICE("every box that counts is returned"),
        SLICE("the box that is least far, or the sender's status of the order where that is "
              "further"),
    };
    return rule >= 1 && rule <= (int64_t)ARRAY_LEN(texts) ? texts[rule - 1] : SLICE_EMPTY;
}

static void put_explanation(struct json_writer *writer, const struct explainer *explainer) {
    const struct store_explanation *explanation = explainer->explanation;
    json_begin_object(writer, "explanation");
    json_put_integer(writer, "status_rule", explanation->rule);
    json_put_text(writer, "status_because", rule_text(explanation->rule));
    json_put_integer(writer, "webhooks", (int64_t)explanation->delivery_count);
    put_unread(writer, explainer);
    json_begin_array(writer, "facts");
    for (size_t i = 0; i < explanation->register_count; i++) {
        enum fact fact;
        if (fact_from_name(explanation->registers[i].name, &fact)) {
            put_fact(writer, explainer, &explanation->registers[i], fact);
        }
    }
    json_end_array(writer);
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

bool explain_write(const struct store_explanation *explanation, struct strbuf *out) {
    struct explainer explainer = {.explanation = explanation};
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

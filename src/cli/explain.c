/* waybill explain: why an order shows what it shows. */
#include "cli/order.h"
#include "cli/output.h"

#include "app/explain.h"
#include "app/program.h"
#include "app/settings.h"
#include "base/limits.h"
#include "cli/command.h"

#include <inttypes.h>

/* The reasons of domain/claim.h and app/explain.c, in words. */
static const struct {
    struct slice why, words;
} REASONS[] = {
    {SLICE("older"), SLICE("an earlier time")},
    {SLICE("unknown"), SLICE("unknown never replaces a known status")},
    {SLICE("weak"), SLICE("a word that only shows while nothing better is known")},
    {SLICE("not_final"), SLICE("does not undo delivered, returning, returned, failed, cancelled")},
    {SLICE("lower_rank"), SLICE("the same time, but a status less far on")},
    {SLICE("word"), SLICE("the same time and rank; the words compare as bytes")},
    {SLICE("older_snapshot"), SLICE("the same time, an earlier snapshot")},
    {SLICE("delivery_id"), SLICE("a tie; the ids of the webhooks compare as bytes")},
    {SLICE("same_webhook"), SLICE("another statement of the same webhook")},
    {SLICE("repeated"), SLICE("said before")},
    {SLICE("not_earliest"), SLICE("the earliest time stands")},
    {SLICE("taken_from_status"), SLICE("the sender has named the time itself")},
    {SLICE("unread"), SLICE("read otherwise by this release: waybill rebuild decides anew")},
    {SLICE("purged"), SLICE("its body was purged")},
    {SLICE("too_many"), SLICE("older than the newest 8 MiB of bodies")},
    {SLICE("unreadable"), SLICE("this release cannot read it")},
};

static struct slice in_words(struct slice why) {
    for (size_t i = 0; i < ARRAY_LEN(REASONS); i++) {
        if (slice_eq(REASONS[i].why, why)) {
            return REASONS[i].words;
        }
    }
    return why;
}

/* What the functions below read from; the arena remembers its own failures in FAILED. */
struct page {
    struct arena *arena;
    const struct json *document;
    bool failed;
};

static void print_member(struct page *page, const struct json *object, const char *path) {
    output_text(stdout, json_text(json_path(object, path), page->arena, &page->failed));
}

/* A text as it is; a status as its word and the sender's; anything else as JSON. */
static void print_value(struct page *page, const struct json *value) {
    struct strbuf text = STRBUF_INIT(LIMIT_ANSWER);
    if (json_is_string(value)) {
        output_text(stdout, json_text(value, page->arena, &page->failed));
    } else if (json_is_string(json_get(value, "status"))) {
        struct slice word =
            json_text(json_get(value, "provider_status"), page->arena, &page->failed);
        print_member(page, value, "status");
        if (word.len > 0) {
            printf(" (");
            output_text(stdout, word);
            printf(")");
        }
    } else if (json_is_null(value)) {
        printf("-");
    } else if (json_canonical(value, NULL, &text)) {
        output_text(stdout, strbuf_slice(&text));
    } else {
        page->failed = true;
    }
    strbuf_free(&text);
}

/* When, what, which event, which webhook. */
static void print_origin(struct page *page, const struct json *origin) {
    static const char *const members[] = {"at", "event_type", "event_id", "delivery"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        printf(i == 0 ? "" : "  ");
        print_member(page, origin, members[i]);
    }
}

static void print_lost(struct page *page, const struct json *fact) {
    const struct json *lost = json_get(fact, "lost");
    int64_t total = 0;
    for (size_t i = 0; i < json_array_len(lost); i++) {
        const struct json *one = json_array_at(lost, i);
        printf("      lost    ");
        print_origin(page, one);
        printf("\n              ");
        print_value(page, json_get(one, "value"));
        printf(": ");
        output_text(stdout, in_words(json_text(json_get(one, "why"), page->arena, &page->failed)));
        printf("\n");
    }
    if (json_to_integer(json_get(fact, "lost_total"), &total) &&
        total > (int64_t)json_array_len(lost)) {
        printf("      lost    %" PRId64 " more\n", total - (int64_t)json_array_len(lost));
    }
}

static void print_fact(struct page *page, const struct json *fact) {
    printf("  ");
    print_member(page, fact, "fact");
    printf("  ");
    print_value(page, json_get(fact, "value"));
    printf("\n      set by  ");
    if (json_is_null(json_get(fact, "set_by"))) {
        printf("a webhook that cannot be read any more");
    } else {
        print_origin(page, json_get(fact, "set_by"));
    }
    printf("\n");
    print_lost(page, fact);
}

/* The facts come sorted: the order's own, then box by box. */
static void print_facts(struct page *page, const struct json *facts) {
    struct slice box = SLICE_EMPTY;
    for (size_t i = 0; i < json_array_len(facts); i++) {
        const struct json *fact = json_array_at(facts, i);
        struct slice here = json_text(json_get(fact, "box"), page->arena, &page->failed);
        if (i == 0 || !slice_eq(here, box)) {
            printf("\n");
            printf(here.len == 0 ? "the order" : "box ");
            if (here.len > 0) {
                output_text(stdout, here);
            }
            printf("\n");
            box = here;
        }
        print_fact(page, fact);
    }
}

static void print_unread(struct page *page, const struct json *unread) {
    for (size_t i = 0; i < json_array_len(unread); i++) {
        const struct json *one = json_array_at(unread, i);
        printf(i == 0 ? "\nnot read\n  " : "  ");
        print_member(page, one, "received_at");
        printf("  ");
        print_member(page, one, "event_type");
        printf("  ");
        print_member(page, one, "event_id");
        printf("  ");
        print_member(page, one, "delivery");
        printf(": ");
        output_text(stdout, in_words(json_text(json_get(one, "why"), page->arena, &page->failed)));
        printf("\n");
    }
}

static bool print_page(struct slice text, struct err *err) {
    struct json_position where;
    struct json_doc *doc = NULL;
    struct page page = {.arena = arena_new(2 * LIMIT_ANSWER)};
    if (page.arena == NULL || json_parse(text, &doc, &where) != JSON_OK) {
        arena_free(page.arena);
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    page.document = json_root(doc);
    print_member(&page, page.document, "source");
    printf("/");
    print_member(&page, page.document, "id");
    printf(" is ");
    print_member(&page, page.document, "status");
    printf(": ");
    print_member(&page, page.document, "explanation.status_because");
    printf("\n");
    print_facts(&page, json_path(page.document, "explanation.facts"));
    print_unread(&page, json_path(page.document, "explanation.unread"));
    json_doc_free(doc);
    arena_free(page.arena);
    return !page.failed || err_set(err, ERR_MEMORY, "out of memory");
}

static bool show(const struct invocation *invocation, const struct store_explanation *explanation,
                 const struct settings *settings, struct err *err) {
    struct strbuf out = STRBUF_INIT(LIMIT_ANSWER);
    if (!explain_write(explanation, settings, &out)) {
        strbuf_free(&out);
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    if (invocation->json) {
        return output_json(&out) || err_set(err, ERR_MEMORY, "out of memory");
    }
    bool ok = print_page(strbuf_slice(&out), err);
    strbuf_free(&out);
    return ok;
}

static int run_explain(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    struct store_explanation explanation = {
        .full = true, .events = true, .max_bytes = EXPLAIN_BODY_BYTES};
    struct store *store = store_new(invocation->dsn, "waybill explain", STORE_PATIENT);
    struct settings *settings = NULL;
    bool ok = store != NULL || err_set(&err, ERR_MEMORY, "out of memory");
    ok = ok && settings_load_found(settings_path(), PART_ADMIN, &settings, &err);
    ok = ok && order_named(store, invocation->operands[0], &explanation.order, &err) &&
         store_explain(store, &explanation, &err) == STORE_OK;
    if (ok && explanation.version == 0) {
        ok = err_set(&err, ERR_INPUT, "there is no order %s", invocation->operands[0]);
    }
    ok = ok && show(invocation, &explanation, settings, &err);
    store_explanation_free(&explanation);
    settings_free(settings);
    store_free(store);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command explain_command = {
    .name = "explain",
    .operands = "ORDER",
    .least_operands = 1,
    .most_operands = 1,
    .summary = "show which webhook set each fact of an order, which lost against it, and why",
    .details =
        "ORDER is source/id, an order number, an external reference or a tracking number. Shows "
        "personal data.",
    .takes_dsn = true,
    .takes_json = true,
    .examples = {"waybill explain crossborderly/CBECUSD123456789",
                 "waybill explain ABCD123 --json"},
    .run = run_explain,
};

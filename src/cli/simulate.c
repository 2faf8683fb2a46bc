/* waybill simulate: genuine events, signed as their sender does, posted to a running webhook URL.
 */
#include "cli/command.h"

#include "adapter/crypto.h"
#include "adapter/http_client.h"
#include "adapter/json.h"
#include "app/program.h"
#include "app/settings.h"
#include "base/limits.h"
#include "base/timestamp.h"
#include "cli/arguments.h"
#include "cli/lives.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "domain/sign.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_LIVES 100000
#define MOST_COPIES 20
#define MOST_PER_SECOND 100000
#define MOST_EVENTS 20000000
#define MOST_KINDS 64
/* So many in a row without an answer: nobody is there. */
#define HOPELESS 5
#define MINUTE (60 * TIMESTAMP_SECOND)
#define DAY (24 * 60 * MINUTE)

/* What was wanted. */
struct wish {
    struct slice event; /* empty: whole lives */
    int64_t lives, copies, per_second;
    bool shuffle, live, seeded;
    uint64_t seed;
};

/* One sending: a step of a life. */
struct sending {
    uint32_t life;
    const struct life_step *step;
};

struct answer_count {
    char name[64];
    int64_t count;
};

struct simulation {
    struct wish wish;
    const struct source *source;
    struct lives lives;
    int64_t now;
    struct strbuf url;  /* with the token, NUL-terminated */
    struct slice shown; /* without it */
    struct sending *sendings;
    size_t count, sent;
    struct answer_count answers[MOST_KINDS];
    size_t answer_kinds;
    int64_t failed; /* not 2xx, or no answer */
    int64_t elapsed_ms;
};

/* ---- chance ---- */

/* SplitMix64: the N-th number of the sequence that SEED begins. */
static uint64_t chance(uint64_t seed, uint64_t n) {
    uint64_t z = seed + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t chance_of_life(const struct simulation *s, uint32_t life, uint64_t n) {
    return chance(chance(s->wish.seed, life), n);
}

static bool draw_seed(struct wish *wish) {
    uint32_t drawn; /* short enough to be typed again */
    if (!wish->seeded && !crypto_random((uint8_t *)&drawn, sizeof(drawn))) {
        return false;
    }
    wish->seed = wish->seeded ? wish->seed : (uint64_t)drawn + 1;
    return true;
}

/* ---- what is sent ---- */

static bool is_wanted(const struct simulation *s, const struct life *life,
                      const struct life_step *step) {
    return s->wish.event.len > 0 ? slice_eq(step->event, s->wish.event) : !life->single;
}

/* The N-th step of the wanted event; NULL when there are no more. */
static const struct life_step *wanted_step(const struct simulation *s, uint64_t n) {
    for (size_t i = 0; i < s->lives.count; i++) {
        const struct life *life = &s->lives.items[i];
        for (size_t k = 0; k < life->count; k++) {
            if (is_wanted(s, life, &life->steps[k]) && n-- == 0) {
                return &life->steps[k];
            }
        }
    }
    return NULL;
}

static uint64_t count_wanted(const struct simulation *s) {
    uint64_t count = 0;
    while (wanted_step(s, count) != NULL) {
        count++;
    }
    return count;
}

/* One of the whole lives. */
static const struct life *chosen_life(const struct simulation *s, uint32_t number) {
    uint64_t whole = 0;
    for (size_t i = 0; i < s->lives.count; i++) {
        whole += s->lives.items[i].single ? 0 : 1;
    }
    uint64_t n = whole > 0 ? chance_of_life(s, number, 0) % whole : 0;
    for (size_t i = 0; i < s->lives.count; i++) {
        if (!s->lives.items[i].single && n-- == 0) {
            return &s->lives.items[i];
        }
    }
    return NULL;
}

static bool add_sending(struct simulation *s, size_t *capacity, uint32_t life,
                        const struct life_step *step) {
    for (int64_t copy = 0; copy <= s->wish.copies; copy++) {
        if (s->count == *capacity) {
            size_t larger = *capacity > 0 ? 2 * *capacity : 256;
            struct sending *grown =
                larger <= MOST_EVENTS ? realloc(s->sendings, larger * sizeof(*grown)) : NULL;
            if (grown == NULL) {
                return false;
            }
            s->sendings = grown;
            *capacity = larger;
        }
        s->sendings[s->count++] = (struct sending){.life = life, .step = step};
    }
    return true;
}

static void shuffle(struct simulation *s) {
    for (size_t i = s->count; i > 1; i--) {
        size_t k = (size_t)(chance(~s->wish.seed, i) % i);
        struct sending held = s->sendings[i - 1];
        s->sendings[i - 1] = s->sendings[k];
        s->sendings[k] = held;
    }
}

static bool plan(struct simulation *s, struct err *err) {
    size_t capacity = 0;
    bool ok = true;
    uint64_t wanted = count_wanted(s);
    for (uint32_t number = 0; ok && number < s->wish.lives; number++) {
        const struct life *life = chosen_life(s, number);
        if (s->wish.event.len > 0) {
            /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): the event is one of a life's. */
            uint64_t step = chance_of_life(s, number, 0) % wanted;
            ok = add_sending(s, &capacity, number, wanted_step(s, step));
        }
        for (size_t i = 0; ok && s->wish.event.len == 0 && life != NULL && i < life->count; i++) {
            ok = add_sending(s, &capacity, number, &life->steps[i]);
        }
    }
    if (s->wish.shuffle) {
        shuffle(s);
    }
    return ok || err_set(err, ERR_MEMORY, "too many events for the memory");
}

/* The life ends within the last day; with a seed, before today's midnight, so that the same seed
 * gives the same bytes all day. */
static struct life_facts facts_of(const struct simulation *s, const struct sending *sending) {
    const struct life *life = s->wish.event.len > 0 ? NULL : chosen_life(s, sending->life);
    int64_t length =
        (life != NULL ? life->steps[life->count - 1].minutes : sending->step->minutes) * MINUTE;
    int64_t end = s->wish.seeded ? s->now - s->now % DAY : s->now;
    int64_t spread = (int64_t)(chance_of_life(s, sending->life, 1) % (uint64_t)DAY);
    int64_t begin = end - spread - length;
    uint64_t number = life != NULL ? (uint64_t)(sending->step - life->steps) : 0;
    return (struct life_facts){
        .life = chance_of_life(s, sending->life, 2),
        .event = chance_of_life(s, sending->life, 3 + number),
        .begin = begin,
        .at = begin + sending->step->minutes * MINUTE,
        .live = s->wish.live,
    };
}

/* ---- sending ---- */

static void count_answer(struct simulation *s, const char *name) {
    size_t i = 0;
    while (i < s->answer_kinds && strcmp(s->answers[i].name, name) != 0) {
        i++;
    }
    if (i == MOST_KINDS) {
        return;
    }
    if (i == s->answer_kinds) {
        (void)snprintf(s->answers[i].name, sizeof(s->answers[i].name), "%s", name);
        s->answer_kinds++;
    }
    s->answers[i].count++;
}

/* The outcome of a 2xx, else the status. */
static void count_reply(struct simulation *s, const struct http_reply *reply) {
    char name[64];
    struct json_doc *doc = NULL;
    struct json_position where;
    struct arena *arena = arena_new(2 * LIMIT_ID + 65536);
    bool good = reply->status >= 200 && reply->status < 300, failed = false;
    struct slice outcome = SLICE_EMPTY;
    if (good && arena != NULL && json_parse(strbuf_slice(&reply->body), &doc, &where) == JSON_OK) {
        outcome = json_text(json_get(json_root(doc), "outcome"), arena, &failed);
    }
    if (outcome.len > 0 && outcome.len < 32) {
        (void)snprintf(name, sizeof(name), "%.*s", SLICE_ARGS(outcome));
    } else {
        (void)snprintf(name, sizeof(name), "status %d", reply->status);
    }
    count_answer(s, name);
    s->failed += good ? 0 : 1;
    json_doc_free(doc);
    arena_free(arena);
}

/* Waits for the turn of the N-th. */
static void keep_rate(const struct simulation *s, int64_t begin_ms) {
    if (s->wish.per_second > 0) {
        int64_t due = begin_ms + (int64_t)s->sent * 1000 / s->wish.per_second;
        int64_t left = due - monotonic_ms();
        struct timespec pause = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        if (left > 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
}

/* False with ERR where nothing could be sent; no answer is counted, not an error. */
static bool post_one(struct simulation *s, struct http_client *client,
                     const struct sending *sending, int64_t *silent, struct err *err) {
    struct strbuf body, headers, id;
    struct err why = ERR_INIT;
    struct http_reply reply;
    const struct life_facts facts = facts_of(s, sending);
    strbuf_init(&body, LIMIT_BODY);
    strbuf_init(&headers, 65536);
    strbuf_init(&id, 64);
    strbuf_addf(&id, "msg_%016" PRIx64, facts.event);
    strbuf_add(&headers, "Content-Type: application/json",
               sizeof("Content-Type: application/json"));
    bool ok = life_fill(sending->step->body, &facts, &body);
    const struct sign_message message = {
        .body = strbuf_slice(&body), .id = strbuf_slice(&id), .sent_at = timestamp_now()};
    ok = ok && !strbuf_failed(&id) && sign_headers(&s->source->policy, &message, &headers);
    if (!ok) {
        err_set(err, ERR_MEMORY, "an event cannot be made");
    } else if (http_client_post(client, strbuf_slice(&headers), message.body, &reply, &why)) {
        *silent = 0;
        count_reply(s, &reply);
        strbuf_free(&reply.body);
    } else {
        if (*silent == 0) {
            progress_end();
            fprintf(stderr, "waybill: %s\n", why.message);
        }
        count_answer(s, "no answer");
        s->failed++;
        ++*silent;
    }
    if (headers.data != NULL) {
        crypto_wipe(headers.data, headers.capacity);
    }
    strbuf_free(&headers);
    strbuf_free(&body);
    strbuf_free(&id);
    return ok;
}

static bool post_all(struct simulation *s, struct http_client *client, struct err *err) {
    int64_t begin = monotonic_ms(), silent = 0;
    bool ok = true;
    while (ok && s->sent < s->count && silent < HOPELESS) {
        keep_rate(s, begin);
        ok = post_one(s, client, &s->sendings[s->sent], &silent, err);
        s->sent++;
        progress_show((int64_t)s->sent, (int64_t)s->count);
    }
    progress_end();
    s->elapsed_ms = monotonic_ms() - begin;
    return ok;
}

/* ---- the summary ---- */

static void show_text(const struct simulation *s) {
    printf("sent %zu of %zu %s events to %.*s in %" PRId64 ".%03" PRId64 " s; seed %" PRIu64 "\n",
           s->sent, s->count, s->wish.live ? "live" : "sandbox", SLICE_ARGS(s->shown),
           s->elapsed_ms / 1000, s->elapsed_ms % 1000, s->wish.seed);
    for (size_t i = 0; i < s->answer_kinds; i++) {
        printf("  %-12s %" PRId64 "\n", s->answers[i].name, s->answers[i].count);
    }
}

static bool show_json(const struct simulation *s) {
    struct strbuf out;
    struct json_writer w;
    strbuf_init(&out, 65536);
    json_writer_init(&w, &out);
    json_begin_object(&w, NULL);
    json_put_text(&w, "source", s->source->name);
    json_put_text(&w, "url", s->shown);
    json_put_boolean(&w, "live", s->wish.live);
    json_put_integer(&w, "seed", (int64_t)s->wish.seed);
    json_put_integer(&w, "events", (int64_t)s->count);
    json_put_integer(&w, "sent", (int64_t)s->sent);
    json_put_integer(&w, "failed", s->failed);
    json_put_integer(&w, "milliseconds", s->elapsed_ms);
    json_begin_object(&w, "answers");
    for (size_t i = 0; i < s->answer_kinds; i++) {
        json_put_integer(&w, s->answers[i].name, s->answers[i].count);
    }
    json_end_object(&w);
    json_end_object(&w);
    return output_json(&out);
}

/* ---- the command ---- */

/* URL/SOURCE[/TOKEN]; the source may stand there already. */
static bool make_url(struct simulation *s, const char *url, const char *below, struct err *err) {
    struct slice base = slice_from_cstr(url), before, last;
    const struct auth_values *tokens = &s->source->policy.url_tokens;
    while (base.len > 0 && base.data[base.len - 1] == '/') {
        base.len--;
    }
    strbuf_init(&s->url, 2 * LIMIT_URL + LIMIT_SECRET_FILE);
    strbuf_add_slice(&s->url, base);
    strbuf_add_cstr(&s->url, below);
    (void)slice_split_last(strbuf_slice(&s->url), '/', &before, &last);
    if (!slice_eq(last, s->source->name)) {
        strbuf_add_char(&s->url, '/');
        strbuf_add_slice(&s->url, s->source->name);
    }
    size_t shown = s->url.len;
    if (tokens->count > 0) {
        strbuf_add_char(&s->url, '/');
        strbuf_add_slice(&s->url, tokens->items[0]);
    }
    strbuf_add_char(&s->url, '\0');
    s->shown = slice_first(strbuf_slice(&s->url), shown);
    return !strbuf_failed(&s->url) || err_set(err, ERR_USAGE, "the URL is too long");
}

static bool find_url(struct simulation *s, const struct invocation *invocation, struct err *err) {
    const char *url = option_value(invocation, "url"), *stack = getenv("WAYBILL_URL");
    if (url != NULL) {
        return make_url(s, url, "", err);
    }
    if (stack != NULL && stack[0] != '\0') {
        return make_url(s, stack, "/webhooks", err);
    }
    return err_set(err, ERR_USAGE,
                   "no URL: --url https://…/webhooks, or $WAYBILL_URL, the web server's");
}

static bool no_such_event(const struct simulation *s, struct err *err) {
    char known[512] = "";
    struct slice before = SLICE_EMPTY;
    for (size_t i = 0; i < s->lives.count; i++) {
        for (size_t k = 0; k < s->lives.items[i].count; k++) {
            struct slice event = s->lives.items[i].steps[k].event;
            size_t used = strlen(known);
            char wanted[128];
            (void)snprintf(wanted, sizeof(wanted), "%.*s", SLICE_ARGS(event));
            if (!slice_eq(event, before) && strstr(known, wanted) == NULL) {
                (void)snprintf(known + used, sizeof(known) - used, "%s%s", used > 0 ? ", " : "",
                               wanted);
            }
            before = event;
        }
    }
    return err_set(err, ERR_USAGE, "%.*s has no such event; there are: %s",
                   SLICE_ARGS(s->source->provider->name), known);
}

/* Nothing becomes live traffic that was not asked to. */
static bool check_flags(const struct simulation *s, struct err *err) {
    const struct source *source = s->source;
    const struct life_step *step;
    if (source->mode == MODE_LIVE && !s->wish.live) {
        return err_set(err, ERR_USAGE, "source %.*s takes live traffic only: --live sends it",
                       SLICE_ARGS(source->name));
    }
    if (source->mode == MODE_SANDBOX && s->wish.live) {
        return err_set(err, ERR_USAGE, "source %.*s takes sandbox traffic only",
                       SLICE_ARGS(source->name));
    }
    for (uint64_t n = 0; (step = wanted_step(s, n)) != NULL; n++) {
        if (!s->wish.live && source->mode != MODE_SANDBOX && !life_has_flag(step->body)) {
            return err_set(err, ERR_USAGE,
                           "%.*s cannot say that it is sandbox traffic: --live sends it all the "
                           "same",
                           SLICE_ARGS(step->event));
        }
    }
    return true;
}

static bool read_wish(const struct invocation *invocation, struct wish *wish, struct err *err) {
    const char *lives = option_value(invocation, "lives");
    const char *copies = option_value(invocation, "duplicate");
    const char *rate = option_value(invocation, "rate"), *seed = option_value(invocation, "seed");
    int64_t number = 0;
    *wish = (struct wish){.event = slice_from_cstr(option_value(invocation, "event")),
                          .lives = 1,
                          .shuffle = option_given(invocation, "shuffle"),
                          .live = option_given(invocation, "live")};
    if (lives != NULL && !argument_count(lives, MOST_LIVES, &wish->lives)) {
        return err_set(err, ERR_USAGE, "--lives is a number from 1 to %d", MOST_LIVES);
    }
    if (copies != NULL && !argument_count(copies, MOST_COPIES, &wish->copies)) {
        return err_set(err, ERR_USAGE, "--duplicate is a number from 1 to %d", MOST_COPIES);
    }
    if (rate != NULL && !argument_count(rate, MOST_PER_SECOND, &wish->per_second)) {
        return err_set(err, ERR_USAGE, "--rate is a number from 1 to %d", MOST_PER_SECOND);
    }
    wish->seeded = seed != NULL;
    if (wish->seeded && !argument_count(seed, INT64_MAX, &number)) {
        return err_set(err, ERR_USAGE, "--seed is a number from 1");
    }
    wish->seed = (uint64_t)number;
    return true;
}

static bool find_source(struct simulation *s, const struct settings *settings, const char *name,
                        struct arena *arena, struct err *err) {
    s->source = settings_source(settings, slice_from_cstr(name));
    if (s->source == NULL) {
        return err_set(err, ERR_USAGE, "there is no source \"%.64s\" in %s", name, settings_path());
    }
    if (!lives_of(s->source->provider->name, arena, &s->lives, err)) {
        return false;
    }
    return count_wanted(s) > 0 || no_such_event(s, err);
}

static bool simulate(struct simulation *s, const struct invocation *invocation, struct err *err) {
    if (!draw_seed(&s->wish)) {
        return err_set(err, ERR_SYSTEM, "no random bytes");
    }
    s->now = timestamp_now();
    if (!find_url(s, invocation, err) || !check_flags(s, err) || !plan(s, err)) {
        return false;
    }
    struct http_client *client = http_client_new(s->url.data, err);
    bool ok = client != NULL && post_all(s, client, err);
    http_client_free(client);
    if (!ok) {
        return false;
    }
    if (invocation->json) {
        return show_json(s) || err_set(err, ERR_MEMORY, "out of memory");
    }
    show_text(s);
    return true;
}

static void simulation_free(struct simulation *s) {
    if (s->url.data != NULL) {
        crypto_wipe(s->url.data, s->url.capacity);
    }
    strbuf_free(&s->url);
    free(s->sendings);
}

static int run_simulate(const struct invocation *invocation) {
    static struct simulation s;
    struct err err = ERR_INIT;
    struct settings *settings = NULL;
    struct arena *arena = arena_new(1u << 20);
    bool ok = arena != NULL || err_set(&err, ERR_MEMORY, "out of memory");
    ok = ok && read_wish(invocation, &s.wish, &err);
    if (ok) {
        settings = settings_load(settings_path(), PART_VERIFY, &err);
        ok = settings != NULL && find_source(&s, settings, invocation->operands[0], arena, &err) &&
             simulate(&s, invocation, &err);
    }
    simulation_free(&s);
    settings_free(settings);
    arena_free(arena);
    if (!ok) {
        return command_failed(&err);
    }
    return s.failed == 0 ? EXIT_DONE : EXIT_FAILED;
}

const struct command simulate_command = {
    .name = "simulate",
    .operands = "SOURCE",
    .least_operands = 1,
    .most_operands = 1,
    .summary = "send a source genuine events, signed, over HTTP",
    .details =
        "One parcel's life in its order unless the options say otherwise, with ids and times of its "
        "own, signed with the secret that the configuration has for SOURCE. Sandbox traffic unless "
        "--live: the flag that the sender has for it is set, and the orders stand apart from live "
        "ones.\n"
        "The answers are counted by outcome; the exit code is 1 when one was not 2xx. The seed in "
        "the summary sends the same lives again, on the same day (UTC) byte for byte.",
    .takes_json = true,
    .options = {{"url", "URL",
                 "where webhooks go: https://shop.example/webhooks, with or without the source; "
                 "otherwise $WAYBILL_URL/webhooks"},
                {"event", "EVENT", "one event of that name instead of a life"},
                {"lives", "N", "so many lives, or events"},
                {"shuffle", NULL, "all events in random order"},
                {"duplicate", "N", "each event N times more, as it was"},
                {"rate", "N", "so many a second at most"},
                {"live", NULL, "live traffic"},
                {"seed", "N", "of ids, lives and order; otherwise random"}},
    .examples = {"sudo -u waybill waybill simulate crossborderly --url "
                 "https://shop.example/webhooks",
                 "waybill simulate shipup --event tracker.new",
                 "waybill simulate swiftpod --lives 100 --shuffle --duplicate 1 --rate 50",
                 "waybill simulate crowdsender --lives 3 --seed 7 --json"},
    .run = run_simulate,
};

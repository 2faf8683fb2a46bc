/* waybill spool: what waits for the database, and draining by hand. */
#include "cli/action.h"

#include "adapter/json.h"
#include "app/drain.h"
#include "app/program.h"
#include "app/settings.h"

#include <poll.h>
#include <stdio.h>

#define WAIT_MS 100
/* While another process holds the drain and nothing moves. */
#define PATIENCE_MS 15000

static void tell(const char *text) {
    fprintf(stderr, "waybill: %s\n", text);
}

static bool go_on(void *context, int64_t drained) {
    (void)context;
    (void)drained;
    return true;
}

/* Waits for the other process to finish, or to make room; false when it makes no progress. */
static bool wait_for_other(int64_t events, int64_t *before, int64_t *since, struct err *err) {
    if (events != *before) {
        *before = events;
        *since = monotonic_ms();
    }
    if (monotonic_ms() - *since > PATIENCE_MS) {
        return err_set(err, ERR_TIMEOUT, "another process drains the spool and makes no progress");
    }
    poll(NULL, 0, WAIT_MS);
    return true;
}

/* Until a look finds nothing: a pass can end above an event that came meanwhile, for in an emptied
 * file ids begin anew. */
static bool drain_all(struct spool *spool, struct store *store, const struct settings *settings,
                      int64_t *drained, struct err *err) {
    int64_t before = -1, since = monotonic_ms();
    struct spool_state state;
    struct drain drain = {
        .spool = spool, .store = store, .settings = settings, .go_on = go_on, .after = INT64_MIN};
    for (;;) {
        err_clear(err);
        if (!spool_look(spool, &state, err)) {
            return false;
        }
        if (state.events == 0) {
            return true;
        }
        enum drain_end end = drain_pass(&drain, err);
        *drained += drain.drained;
        if (end == DRAIN_BUSY && !wait_for_other(state.events, &before, &since, err)) {
            return false;
        }
        if (end != DRAIN_BUSY && end != DRAIN_EMPTY) {
            return err_set(err, ERR_DATABASE, "events stay in the spool");
        }
    }
}

static void show_text(const struct spool_state *state, int64_t max_bytes, int64_t drained,
                      bool drain) {
    if (drain) {
        printf("drained %lld\n", (long long)drained);
    }
    printf("events  %lld\n", (long long)state->events);
    if (state->oldest != TIMESTAMP_NONE) {
        char oldest[TIMESTAMP_TEXT];
        timestamp_format(state->oldest, oldest);
        printf("oldest  %s, %lld s ago\n", oldest,
               (long long)((timestamp_now() - state->oldest) / TIMESTAMP_SECOND));
    }
    printf("bytes   %lld of %lld\n", (long long)state->bytes, (long long)max_bytes);
}

static bool show_json(const struct spool_state *state, int64_t max_bytes, int64_t drained,
                      bool drain) {
    struct strbuf out;
    struct json_writer writer;
    strbuf_init(&out, 4096);
    json_writer_init(&writer, &out);
    json_begin_object(&writer, NULL);
    if (drain) {
        json_put_integer(&writer, "drained", drained);
    }
    json_put_integer(&writer, "events", state->events);
    if (state->oldest != TIMESTAMP_NONE) {
        char oldest[TIMESTAMP_TEXT];
        timestamp_format(state->oldest, oldest);
        json_put_text(&writer, "oldest", slice_from_cstr(oldest));
        /* It may have been received before the clock was set back. */
        int64_t age = timestamp_now() - state->oldest;
        json_put_integer(&writer, "age_seconds", age > 0 ? age / TIMESTAMP_SECOND : 0);
    } else {
        json_put_null(&writer, "oldest");
        json_put_null(&writer, "age_seconds");
    }
    json_put_integer(&writer, "bytes", state->bytes);
    json_put_integer(&writer, "max_bytes", max_bytes);
    json_end_object(&writer);
    bool ok = !strbuf_failed(&out);
    printf("%.*s\n", SLICE_ARGS(strbuf_slice(&out)));
    strbuf_free(&out);
    return ok;
}

/* Drains with a row of the audit. */
static bool drain_recorded(const struct invocation *invocation, const struct settings *settings,
                           struct spool *spool, int64_t *drained, struct err *err) {
    struct store *store = store_new(invocation->dsn, "waybill spool", STORE_PROMPT);
    struct action action;
    struct err ignored = ERR_INIT;
    if (store == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    bool begun = action_begin(&action, invocation, invocation->dsn, err);
    bool ok = begun && drain_all(spool, store, settings, drained, err);
    const struct action_count count = {"drained", *drained};
    if (begun && !action_end(&action, ok, &count, 1, ok ? err : &ignored)) {
        ok = false;
    }
    store_free(store);
    return ok;
}

static bool run(const struct invocation *invocation, const struct settings *settings,
                struct spool *spool, struct err *err) {
    struct spool_state state;
    int64_t drained = 0, max_bytes = (int64_t)settings->spool_max;
    struct err ignored = ERR_INIT;
    bool drain = option_given(invocation, "drain");
    bool ok = !drain || drain_recorded(invocation, settings, spool, &drained, err);
    if (!spool_look(spool, &state, ok ? err : &ignored)) {
        return false;
    }
    if (invocation->json) {
        return show_json(&state, max_bytes, drained, drain) && ok;
    }
    show_text(&state, max_bytes, drained, drain);
    return ok;
}

static bool run_with(const struct invocation *invocation, const struct settings *settings,
                     struct err *err) {
    if (settings->spool.len == 0) {
        return err_set(err, ERR_CONFIG, "%s: webhook: spool: is not set", settings_path());
    }
    struct spool *spool = spool_new(settings->spool.data, settings->spool_max, tell);
    bool ok = spool != NULL ? run(invocation, settings, spool, err)
                            : err_set(err, ERR_MEMORY, "out of memory");
    spool_free(spool);
    return ok;
}

static int run_spool(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    struct settings *settings = settings_load(settings_path(), PART_ADMIN, &err);
    bool ok = settings != NULL && run_with(invocation, settings, &err);
    settings_free(settings);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command spool_command = {
    .name = "spool",
    .summary = "show how many webhooks wait for the database, since when, and their bytes",
    .details =
        "Needs the responder's user (or root), for the files are its own. The responders drain "
        "the spool by themselves as soon as the database is back.",
    .takes_dsn = true,
    .takes_json = true,
    .options = {{"drain", NULL, "move them into the database first"}},
    .examples = {"sudo waybill spool", "sudo waybill spool --drain"},
    .run = run_spool,
};

#include "cli/spool.h"

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
static bool drain_all(struct spool *spool, struct store *store, int64_t *drained, struct err *err) {
    int64_t before = -1, since = monotonic_ms();
    struct spool_state state;
    struct drain drain = {.spool = spool, .store = store, .go_on = go_on, .after = INT64_MIN};
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
    char oldest[TIMESTAMP_TEXT] = "";
    strbuf_init(&out, 4096);
    json_writer_init(&writer, &out);
    json_begin_object(&writer, NULL);
    if (drain) {
        json_put_integer(&writer, "drained", drained);
    }
    json_put_integer(&writer, "events", state->events);
    if (state->oldest != TIMESTAMP_NONE) {
        timestamp_format(state->oldest, oldest);
        json_put_text(&writer, "oldest", slice_from_cstr(oldest));
        json_put_integer(&writer, "age_seconds",
                         (timestamp_now() - state->oldest) / TIMESTAMP_SECOND);
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

static bool run(const struct settings *settings, struct spool *spool, struct store *store,
                bool json, struct err *err) {
    struct spool_state state;
    int64_t drained = 0, max_bytes = (int64_t)settings->spool_max;
    struct err ignored = ERR_INIT;
    bool drain = store != NULL;
    bool ok = !drain || drain_all(spool, store, &drained, err);
    if (!spool_look(spool, &state, ok ? err : &ignored)) {
        return false;
    }
    if (json) {
        return show_json(&state, max_bytes, drained, drain) && ok;
    }
    show_text(&state, max_bytes, drained, drain);
    return ok;
}

static bool run_with(const struct settings *settings, const char *dsn, bool drain, bool json,
                     struct err *err) {
    if (settings->spool.len == 0) {
        return err_set(err, ERR_CONFIG, "%s: webhook: spool: is not set", settings_path());
    }
    struct spool *spool = spool_new(settings->spool.data, settings->spool_max, tell);
    struct store *store = drain ? store_new(dsn, "waybill spool", STORE_PROMPT) : NULL;
    bool ok = spool != NULL && (store != NULL || !drain)
                  ? run(settings, spool, store, json, err)
                  : err_set(err, ERR_MEMORY, "out of memory");
    store_free(store);
    spool_free(spool);
    return ok;
}

int spool_command(const char *dsn, bool drain, bool json) {
    struct err err = ERR_INIT;
    struct settings *settings = settings_load(settings_path(), PART_ADMIN, &err);
    bool ok = settings != NULL && run_with(settings, dsn, drain, json, &err);
    settings_free(settings);
    return ok ? EXIT_DONE : program_failed("waybill", &err);
}

/* waybill verify: are the stored bodies still what their senders signed? */
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"

#include "adapter/crypto.h"
#include "app/program.h"
#include "app/settings.h"
#include "engine/store_operator.h"

#include <stdio.h>
#include <string.h>

#define AT_ONCE 64
#define JSON_MAX ((size_t)256 << 20)
#define HEADER_NAME_MAX 255

/* What became of one body. Those from FIRST_FAILURE on are told one by one. */
enum verdict {
    VERIFIED,     /* the signature matches a configured secret */
    NOT_SIGNED,   /* its source signs nothing; the bytes are those that came */
    PURGED,       /* there are no bytes */
    NO_SOURCE,    /* its source is not configured; the bytes are those that came */
    NO_SIGNATURE, /* its source signs, and no signature was kept */
    MISMATCH,     /* no configured secret matches */
    DAMAGED,      /* the bytes are not those that came */
    VERDICTS
};
#define FIRST_FAILURE NO_SIGNATURE

static const char *const verdict_names[] = {
    [VERIFIED] = "verified",   [NOT_SIGNED] = "not_signed",     [PURGED] = "purged",
    [NO_SOURCE] = "no_source", [NO_SIGNATURE] = "no_signature", [MISMATCH] = "mismatch",
    [DAMAGED] = "damaged",
};

struct verification {
    const struct settings *settings;
    bool json;
    int64_t counts[VERDICTS];
    int64_t done, total;
    struct strbuf out;
    struct json_writer writer;
};

/* The kept headers, as a request's. */
struct kept {
    const struct json *headers;
    struct arena *arena;
    bool *failed; /* no memory for one of them */
};

static struct slice kept_header(const void *context, struct slice name) {
    const struct kept *kept = context;
    char key[HEADER_NAME_MAX + 1];
    if (name.len >= sizeof(key) || name.len == 0) {
        return SLICE_EMPTY;
    }
    memcpy(key, name.data, name.len);
    key[name.len] = '\0';
    return json_text(json_get(kept->headers, key), kept->arena, kept->failed);
}

/* False without memory, which is no verdict. */
static bool check_signature(const struct source *source, const struct store_stored *stored,
                            struct arena *arena, enum verdict *verdict) {
    struct json_doc *doc = NULL;
    struct json_position where;
    bool failed = false;
    enum json_status status = json_parse(stored->headers, &doc, &where);
    if (status != JSON_OK) {
        *verdict = NO_SIGNATURE;
        return status != JSON_NO_MEMORY;
    }
    const struct kept kept = {.headers = json_root(doc), .arena = arena, .failed = &failed};
    const struct auth_request request = {
        .header = kept_header,
        .context = &kept,
        .body = stored->body,
        .received_at = stored->received_at,
    };
    enum auth_result result = auth_check_signature(&source->policy, &request);
    json_doc_free(doc);
    *verdict = result == AUTH_OK                  ? VERIFIED
               : result == AUTH_SIGNATURE_MISSING ? NO_SIGNATURE
                                                  : MISMATCH;
    return !failed && result != AUTH_UNABLE;
}

static bool judge(const struct verification *all, const struct store_stored *stored,
                  enum verdict *verdict, struct err *err) {
    const struct source *source = settings_source(all->settings, stored->source);
    uint8_t digest[SHA256_LEN];
    if (stored->purged) {
        *verdict = PURGED;
        return true;
    }
    if (!crypto_sha256(stored->body, digest)) {
        return err_set(err, ERR_SYSTEM, "hashing failed");
    }
    if (!slice_eq((struct slice){(const char *)digest, SHA256_LEN}, stored->body_sha256)) {
        *verdict = DAMAGED;
    } else if (source == NULL) {
        *verdict = NO_SOURCE;
    } else if (source->policy.signature.kind == SIGNATURE_NONE) {
        *verdict = NOT_SIGNED;
    } else {
        struct arena *arena = arena_new((size_t)1 << 20);
        bool ok = arena != NULL && check_signature(source, stored, arena, verdict);
        arena_free(arena);
        return ok || err_set(err, ERR_MEMORY, "out of memory");
    }
    return true;
}

static void tell(struct verification *all, const struct store_stored *stored,
                 enum verdict verdict) {
    char id[UUID_TEXT], received[TIMESTAMP_TEXT];
    uuid_format(&stored->id, id);
    timestamp_format(stored->received_at, received);
    if (all->json) {
        json_begin_object(&all->writer, NULL);
        json_put_text(&all->writer, "delivery", slice_from_cstr(id));
        json_put_text(&all->writer, "source", stored->source);
        json_put_text(&all->writer, "received_at", slice_from_cstr(received));
        json_put_text(&all->writer, "result", slice_from_cstr(verdict_names[verdict]));
        json_end_object(&all->writer);
        return;
    }
    progress_end();
    printf("%s  %s  %.*s  %s\n", id, received, SLICE_ARGS(stored->source), verdict_names[verdict]);
}

static bool verify_batch(struct verification *all, const struct store_batch *batch,
                         struct err *err) {
    for (size_t i = 0; i < batch->count; i++) {
        enum verdict verdict = VERIFIED;
        if (!judge(all, &batch->rows[i], &verdict, err)) {
            return false;
        }
        all->counts[verdict]++;
        if (verdict >= FIRST_FAILURE) {
            tell(all, &batch->rows[i], verdict);
        }
        progress_show(++all->done, all->total);
    }
    return true;
}

static bool verify_all(struct verification *all, struct store *store,
                       const struct store_selection *selection, struct err *err) {
    struct uuid after;
    size_t count = AT_ONCE;
    bool ok = store_select_count(store, selection, &all->total, err) == STORE_OK;
    for (bool begun = false; ok && count == AT_ONCE; begun = true) {
        struct store_batch batch;
        if (store_select(store, selection, begun ? &after : NULL, AT_ONCE, &batch, err) !=
            STORE_OK) {
            return false;
        }
        count = batch.count;
        if (count > 0) {
            after = batch.rows[count - 1].id;
        }
        ok = verify_batch(all, &batch, err);
        store_batch_free(&batch);
    }
    progress_end();
    return ok;
}

static bool summarise(struct verification *all) {
    if (all->json) {
        json_end_array(&all->writer);
        json_put_integer(&all->writer, "checked", all->done);
        for (size_t i = 0; i < VERDICTS; i++) {
            json_put_integer(&all->writer, verdict_names[i], all->counts[i]);
        }
        json_end_object(&all->writer);
        return output_json(&all->out);
    }
    printf("checked %lld deliveries", (long long)all->done);
    for (size_t i = 0; i < VERDICTS; i++) {
        if (all->counts[i] > 0) {
            printf(", %lld %s", (long long)all->counts[i], verdict_names[i]);
        }
    }
    printf("\n");
    return true;
}

static bool verify_with(const struct invocation *invocation, const struct settings *settings,
                        const struct store_selection *selection, bool *good, struct err *err) {
    struct verification all = {.settings = settings, .json = invocation->json};
    struct store *store = store_new(invocation->dsn, "waybill verify", STORE_PATIENT);
    strbuf_init(&all.out, JSON_MAX);
    json_writer_init(&all.writer, &all.out);
    json_begin_object(&all.writer, NULL);
    json_begin_array(&all.writer, "failed");
    bool ok = store != NULL ? verify_all(&all, store, selection, err)
                            : err_set(err, ERR_MEMORY, "out of memory");
    if (ok && !summarise(&all)) {
        ok = err_set(err, ERR_MEMORY, "out of memory");
    }
    *good = all.counts[NO_SIGNATURE] + all.counts[MISMATCH] + all.counts[DAMAGED] == 0;
    strbuf_free(&all.out);
    store_free(store);
    return ok;
}

static int run_verify(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    struct store_selection selection = {
        .source = slice_from_cstr(option_value(invocation, "source")), .since = TIMESTAMP_NONE};
    const char *since = option_value(invocation, "since");
    bool good = false;
    if (since != NULL && !argument_time(since, timestamp_now(), &selection.since)) {
        return command_misused(invocation, "--since is a time, a date or a span like 2h or 7d");
    }
    struct settings *settings = settings_load(settings_path(), PART_VERIFY, &err);
    bool ok = settings != NULL && verify_with(invocation, settings, &selection, &good, &err);
    settings_free(settings);
    if (!ok) {
        return command_failed(&err);
    }
    return good ? EXIT_DONE : EXIT_FAILED;
}

const struct command verify_command = {
    .name = "verify",
    .summary = "authenticate the stored bodies again and report which no longer match",
    .details =
        "With the secrets of the configuration and the signature headers that were kept; the "
        "SHA-256 of every body is compared too. Of sources that sign nothing (Basic, bearer, "
        "header, url_token) that is all there is: such credentials are never stored. A body that was signed "
        "with a secret that is no longer configured is a mismatch. Exit code 1 when any does not "
        "match.",
    .takes_dsn = true,
    .takes_json = true,
    .options = {{"source", "NAME", "only of this source"},
                {"since", "WHEN",
                 "only received then or later: a time, a date, or a span like 7d"}},
    .examples = {"sudo waybill verify --since 7d", "waybill verify --source crossborderly --json"},
    .run = run_verify,
};

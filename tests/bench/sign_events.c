/*
 * Writes signed webhooks as CrossBorderly sends them, each a whole HTTP request, for replay.lua.
 *
 * Every event has an id of its own. A stated share of them is about a parcel that is known
 * already, the others about a parcel of their own. With the prefix S and without known ones the
 * parcels are those that are stored: CBS000000000 and so on. One file for each thread of the load
 * generator, so that no two read the same event. A record is the length of the request in six
 * digits, then the request.
 */
#include "adapter/crypto.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "base/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX 4096
#define FIRST_EVENT_AT INT64_C(1733011200000000) /* 2024-12-01 */

struct plan {
    struct slice secret;
    const char *out;    /* files OUT-0, OUT-1, … */
    const char *prefix; /* of ids and tracking numbers, so that files do not share any */
    int64_t parts, events;
    int64_t known_percent; /* of the events */
    int64_t stored; /* so many parcels from CBS000000000 on are stored: the known ones; 0: the known
                       ones are those that came earlier in the file */
};

/* One event, by its number. */
struct event {
    int64_t number;
    bool known;
    int64_t parcel; /* among the stored ones, or the number of the event that brought it up */
};

static const struct slice words[] = {
    SLICE("LABEL_GENERATED"),    SLICE("PICKED_UP"),        SLICE("IN_TRANSIT"),
    SLICE("CUSTOMS_PROCESSING"), SLICE("OUT_FOR_DELIVERY"), SLICE("DELIVERED"),
};
static const struct slice before_the_first = SLICE("ORDERED");

/* splitmix64: the same events in every run. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void add_tracking_number(struct strbuf *out, const struct plan *plan,
                                const struct event *event) {
    if (event->known && plan->stored > 0) {
        strbuf_addf(out, "CBS%09lld", (long long)event->parcel);
    } else {
        strbuf_addf(out, "CB%s%09lld", plan->prefix, (long long)event->parcel);
    }
}

static void write_body(struct strbuf *out, const struct plan *plan, const struct event *event,
                       uint64_t *random) {
    char at[TIMESTAMP_TEXT];
    size_t word = next_random(random) % ARRAY_LEN(words);
    timestamp_format(FIRST_EVENT_AT + event->number * TIMESTAMP_SECOND, at);
    strbuf_clear(out);
    strbuf_addf(out,
                "{\"id\":\"evt_%s%09lld\",\"event\":\"parcel.status_changed\",\"timestamp\":\"%s\","
                "\"environment\":\"production\",\"data\":{\"trackingNumber\":\"",
                plan->prefix, (long long)event->number, at);
    add_tracking_number(out, plan, event);
    strbuf_add_cstr(out, "\",\"previousStatus\":\"");
    strbuf_add_slice(out, word > 0 ? words[word - 1] : before_the_first);
    strbuf_add_cstr(out, "\",\"newStatus\":\"");
    strbuf_add_slice(out, words[word]);
    strbuf_addf(out, "\",\"timestamp\":\"%s\",\"location\":\"Guayaquil, EC\"}}", at);
}

static bool write_request(struct strbuf *out, struct slice secret, struct slice body) {
    uint8_t digest[SHA256_LEN];
    char signature[2 * SHA256_LEN + 1];
    if (!crypto_hmac_sha256(secret, &body, 1, digest)) {
        return false;
    }
    hex_encode(digest, sizeof(digest), signature);
    strbuf_clear(out);
    strbuf_addf(out,
                "POST /webhooks/crossborderly HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "User-Agent: CrossBorderly-Webhooks/1.0\r\nContent-Type: application/json\r\n"
                "X-CrossBorderly-Signature: sha256=%s\r\nContent-Length: %zu\r\n\r\n",
                signature, body.len);
    strbuf_add_slice(out, body);
    return !strbuf_failed(out);
}

/* Whether the event numbered NUMBER is one of the share about a known parcel. */
static bool is_about_known(const struct plan *plan, int64_t number) {
    return (number + 1) * plan->known_percent / 100 > number * plan->known_percent / 100;
}

/* The last part has what is left over. */
static int64_t events_of(const struct plan *plan, int64_t part) {
    int64_t count = plan->events / plan->parts;
    return part + 1 < plan->parts ? count : plan->events - part * count;
}

/* PARCELS remembers which parcel each event of this part is about. */
static bool write_part(const struct plan *plan, int64_t part, int64_t *parcels, FILE *file) {
    struct strbuf body = STRBUF_INIT(REQUEST_MAX), request = STRBUF_INIT(REQUEST_MAX);
    int64_t first = part * (plan->events / plan->parts), count = events_of(plan, part);
    uint64_t random = (uint64_t)part;
    bool ok = true;
    for (int64_t i = 0; ok && i < count; i++) {
        struct event event = {.number = first + i, .parcel = first + i};
        event.known = is_about_known(plan, i) && (plan->stored > 0 || i > 0);
        if (event.known && plan->stored > 0) {
            event.parcel = (int64_t)(next_random(&random) % (uint64_t)plan->stored);
        } else if (event.known) {
            event.parcel = parcels[next_random(&random) % (uint64_t)i];
        }
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): main() has looked. */
        parcels[i] = event.parcel;
        write_body(&body, plan, &event, &random);
        ok = !strbuf_failed(&body) && write_request(&request, plan->secret, strbuf_slice(&body)) &&
             fprintf(file, "%06zu", request.len) == 6 &&
             fwrite(request.data, 1, request.len, file) == request.len;
    }
    strbuf_free(&body);
    strbuf_free(&request);
    return ok;
}

static bool write_file(const struct plan *plan, int64_t part, int64_t *parcels, struct err *err) {
    char name[4096];
    int len = snprintf(name, sizeof(name), "%s-%lld", plan->out, (long long)part);
    FILE *file = len > 0 && (size_t)len < sizeof(name) ? fopen(name, "w") : NULL;
    if (file == NULL) {
        return err_set_errno(err, "%s", name);
    }
    bool ok = write_part(plan, part, parcels, file);
    ok = fclose(file) == 0 && ok;
    return ok || err_set(err, ERR_SYSTEM, "%s cannot be written", name);
}

static bool read_secret(const char *name, char secret[LIMIT_SECRET_FILE], struct slice *out) {
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        return false;
    }
    size_t len = fread(secret, 1, LIMIT_SECRET_FILE, file);
    fclose(file);
    *out = slice_trim((struct slice){secret, len});
    return out->len > 0;
}

static bool read_plan(char **argv, struct plan *plan) {
    plan->out = argv[2];
    plan->prefix = argv[3];
    return slice_to_int64(slice_from_cstr(argv[4]), &plan->parts) && plan->parts > 0 &&
           slice_to_int64(slice_from_cstr(argv[5]), &plan->events) && plan->events >= plan->parts &&
           plan->events < INT64_C(1000000000) &&
           slice_to_int64(slice_from_cstr(argv[6]), &plan->known_percent) &&
           plan->known_percent >= 0 && plan->known_percent <= 100 &&
           slice_to_int64(slice_from_cstr(argv[7]), &plan->stored) && plan->stored >= 0;
}

int main(int argc, char **argv) {
    static char secret[LIMIT_SECRET_FILE];
    struct plan plan = {0};
    struct err err = ERR_INIT;
    if (argc != 8 || !read_plan(argv, &plan)) {
        fputs("Usage: sign_events SECRET_FILE OUT PREFIX PARTS EVENTS KNOWN_PERCENT STORED\n",
              stderr);
        return 2;
    }
    if (!read_secret(argv[1], secret, &plan.secret)) {
        fprintf(stderr, "sign_events: no secret in %s\n", argv[1]);
        return 1;
    }
    int64_t *parcels = calloc((size_t)events_of(&plan, plan.parts - 1), sizeof(*parcels));
    bool ok = parcels != NULL || err_set(&err, ERR_MEMORY, "out of memory");
    for (int64_t part = 0; ok && part < plan.parts; part++) {
        ok = write_file(&plan, part, parcels, &err);
    }
    free(parcels);
    crypto_wipe(secret, sizeof(secret));
    if (!ok) {
        fprintf(stderr, "sign_events: %s\n", err.message);
    }
    return ok ? 0 : 1;
}

/*
 * The Nth allocation fails, for every N, once and from then on: over every golden case, from the
 * bytes to the answer and to the rows of the fold, and over the spool and the configuration. Each
 * time the result is the usual one or a refusal for lack of memory, and nothing in between; leaks
 * are AddressSanitizer's to find, where it is built in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/crypto.h"
#include "app/ingest.h"
#include "app/query.h"
#include "app/read_delivery.h"
#include "app/settings.h"
#include "base/hex.h"
#include "base/limits.h"
#include "changes_dump.h"
#include "engine/spool.h"
#include "engine/store_connection.h"
#include "failing_memory.h"
#include "fold_batch.h"

#define GOLDEN "tests/golden"
#define CASES_MAX 512
#define STORED_MAX 64
#define SECRET "a secret of this test"
#define BASIC "dGVzdDpwYXNzd29yZA==" /* test:password */
#define TOKEN "token of this test"

/* libConfuse frees what it never had when memory lacks within it: there, none does. */
static void *beyond_this(const char *name) {
    struct memory_of_thread before = memory_pause();
    void *function = dlsym(RTLD_NEXT, name);
    memory_resume(before);
    assert_non_null(function);
    return function;
}

void *cfg_init(void *options, unsigned flags);
void *cfg_init(void *options, unsigned flags) {
    void *(*real)(void *, unsigned);
    void *function = beyond_this("cfg_init");
    memcpy(&real, &function, sizeof(real));
    struct memory_of_thread before = memory_pause();
    void *config = real(options, flags);
    memory_resume(before);
    return config;
}

int cfg_parse_fp(void *config, FILE *file);
int cfg_parse_fp(void *config, FILE *file) {
    int (*real)(void *, FILE *);
    void *function = beyond_this("cfg_parse_fp");
    memcpy(&real, &function, sizeof(real));
    struct memory_of_thread before = memory_pause();
    int result = real(config, file);
    memory_resume(before);
    return result;
}

static const enum shortage shortages[] = {SHORT_ONCE, SHORT_FROM_THEN};

/* How often something was refused for lack of memory, over a whole test. */
static size_t refusals;

/* ---- the golden cases ---- */

struct golden_case {
    const struct provider *provider;
    char name[256];
    struct strbuf body;
};

static struct golden_case cases[CASES_MAX];
static size_t case_count;

static void slurp(const char *path, struct strbuf *out) {
    char chunk[4096];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
        strbuf_add(out, chunk, n);
    fclose(file);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void add_cases(const struct provider *provider) {
    char folder[128];
    struct dirent **entries;
    (void)snprintf(folder, sizeof folder, GOLDEN "/%.64s", provider->name.data);
    int n = scandir(folder, &entries, is_visible, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[512];
        assert_true(case_count < CASES_MAX);
        struct golden_case *c = &cases[case_count++];
        c->provider = provider;
        (void)snprintf(c->name, sizeof c->name, "%.64s/%.128s", provider->name.data,
                       entries[i]->d_name);
        (void)snprintf(path, sizeof path, GOLDEN "/%s/body.json", c->name);
        strbuf_init(&c->body, LIMIT_BODY);
        slurp(path, &c->body);
        free(entries[i]);
    }
    free(entries);
}

static int find_cases(void **state) {
    (void)state;
    /* As a program does. */
    assert_true(crypto_start());
    size_t count;
    const struct provider *table = provider_table(&count);
    for (size_t i = 0; i < count; i++)
        add_cases(&table[i]);
    return 0;
}

static int free_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < case_count; i++)
        strbuf_free(&cases[i].body);
    return 0;
}

static void check_refused(void) {
    /* Else the test proves nothing. */
    assert_true(refusals > 0);
    refusals = 0;
}

/* ---- from the bytes to the changes, and to the rows that are sent ---- */

static void add_hex(struct strbuf *out, const void *bytes, size_t len) {
    char *text = malloc(2 * len + 1);
    assert_non_null(text);
    hex_encode(bytes, len, text);
    strbuf_add_cstr(out, text);
    free(text);
    strbuf_add_char(out, '\n');
}

/* Of a source without timezone and carrier. */
static const struct reading_context NO_OPTIONS = {.zone = NULL};

static void dump_identities(const struct delivery *delivery, struct strbuf *out) {
    const struct changes *changes = &delivery->changes;
    add_hex(out, &delivery->id, sizeof(struct uuid));
    if (!delivery->has_order)
        return;
    add_hex(out, &delivery->order, sizeof(struct uuid));
    add_hex(out, delivery->box_keys, changes->box_count * sizeof(struct uuid));
    add_hex(out, delivery->document_box_keys, changes->document_count * sizeof(struct uuid));
    add_hex(out, delivery->event_keys, changes->event_count * sizeof(struct uuid));
}

/* The state of an order as the database returns it: the parts of its rows. */
struct stored_state {
    struct slice parts[STORED_MAX];
    size_t count;
};

/* Folds DELIVERY into STORED and makes the rows that are written; false when memory lacked. */
static bool fold_case(const struct delivery *delivery, const struct stored_state *stored,
                      struct arena *arena, struct pg_params *params) {
    static const int64_t positions[] = {1, 2};
    struct states states = {.shapes = fold_tables()->shapes, .arena = arena, .digests = true};
    struct err err = ERR_INIT;
    bool ok = true;
    for (size_t i = 0; ok && i < stored->count; i++) {
        ok = states_load(&states, stored->parts[i], &err);
    }
    ok = ok && states_fold(&states, delivery, &err) &&
         states_show(&states, positions, ARRAY_LEN(positions), TIMESTAMP_MIN, &err);
    if (!ok) {
        /* Said as it is, and never a reason to ask the database for its tables again. */
        assert_int_equal(err.kind, ERR_MEMORY);
        return false;
    }
    states_add_rows(&states, params);
    return !strbuf_failed(&params->data) && !params->overflow;
}

/* Reads C and makes the rows that it leads to; false when memory lacked. */
static bool read_case(const struct golden_case *c, const struct stored_state *stored,
                      struct arena *arena, struct delivery *delivery, struct pg_params *params) {
    *delivery = (struct delivery){.source = SLICE("source"),
                                  .provider = c->provider->name,
                                  .order_provider = c->provider->name,
                                  .headers = SLICE("{}"),
                                  .body = strbuf_slice(&c->body)};
    return read_delivery(delivery, c->provider, &NO_OPTIONS, arena) != READ_NO_MEMORY &&
           fold_case(delivery, stored, arena, params);
}

/* The same, and what came of it in words; FAILING 0: without a failure. */
static bool try_case(const struct golden_case *c, const struct stored_state *stored, size_t failing,
                     enum shortage shortage, struct strbuf *out, size_t *allocations) {
    struct delivery delivery;
    struct pg_params params;
    pg_params_init(&params, (size_t)64 << 20);
    memory_fails_at(failing, shortage);
    struct arena *arena = arena_new(LIMIT_REQUEST_ARENA + 2 * LIMIT_BODY);
    bool ok = arena != NULL && read_case(c, stored, arena, &delivery, &params);
    *allocations = memory_is_back();
    if (ok) {
        dump_changes(&delivery.changes, delivery.reading, out);
        dump_identities(&delivery, out);
        add_hex(out, params.data.data, params.data.len);
        assert_false(strbuf_failed(out));
    }
    pg_params_free(&params);
    arena_free(arena);
    return ok;
}

static void check_reading(const struct golden_case *c, const struct stored_state *stored,
                          struct slice expected, enum shortage shortage) {
    struct strbuf actual = STRBUF_INIT(LIMIT_BODY);
    /* Until none fails, since there are fewer. */
    size_t allocations = SIZE_MAX;
    for (size_t failing = 1; allocations >= failing - 1; failing++) {
        strbuf_clear(&actual);
        if (!try_case(c, stored, failing, shortage, &actual, &allocations)) {
            refusals++;
        } else if (!slice_eq(strbuf_slice(&actual), expected)) {
            fail_msg("%s, allocation %zu: half of it is read:\n%.*s", c->name, failing,
                     SLICE_ARGS(strbuf_slice(&actual)));
        }
    }
    strbuf_free(&actual);
}

static void check_case(const struct golden_case *c, const struct stored_state *stored) {
    struct strbuf expected = STRBUF_INIT(LIMIT_BODY);
    size_t allocations;
    /* The first time, the libraries set themselves up. */
    assert_true(try_case(c, stored, 0, SHORT_ONCE, &expected, &allocations));
    strbuf_clear(&expected);
    assert_true(try_case(c, stored, 0, SHORT_ONCE, &expected, &allocations));
    for (size_t i = 0; i < ARRAY_LEN(shortages); i++) {
        check_reading(c, stored, strbuf_slice(&expected), shortages[i]);
    }
    strbuf_free(&expected);
}

static void test_reading(void **state) {
    const struct stored_state nothing = {.count = 0};
    (void)state;
    for (size_t i = 0; i < case_count; i++) {
        check_case(&cases[i], &nothing);
    }
    check_refused();
}

/* What a webhook leads to where its order is stored, as it left it. */
static void test_folding_into_what_is_stored(void **state) {
    (void)state;
    for (size_t i = 0; i < case_count; i++) {
        const struct golden_case *c = &cases[i];
        struct arena *arena = arena_new(LIMIT_REQUEST_ARENA + 2 * LIMIT_BODY);
        struct fold_database db = fold_database_new();
        struct stored_state stored = {.count = 0};
        struct delivery delivery = {.source = SLICE("source"),
                                    .provider = c->provider->name,
                                    .order_provider = c->provider->name,
                                    .body = strbuf_slice(&c->body)};
        assert_non_null(arena);
        assert_int_not_equal(read_delivery(&delivery, c->provider, &NO_OPTIONS, arena),
                             READ_NO_MEMORY);
        if (delivery.reading == READING_APPLIED) {
            struct delivery *const batch[] = {&delivery};
            fold_commit(&db, batch, 1);
            stored.count = fold_database_parts(&db, true, arena, stored.parts, STORED_MAX);
            check_case(c, &stored);
        }
        fold_database_free(&db);
        arena_free(arena);
    }
    check_refused();
}

/* ---- from the request to the answer ---- */

/* A request and, when it comes, from whatever thread, its answer. */
struct call {
    struct exchange exchange; /* first */
    struct slice body;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool answered;
    int status; /* as it goes out */
    struct strbuf answer;
};

static enum body_status read_body(struct exchange *exchange, size_t max, struct strbuf *body) {
    const struct call *call = (struct call *)(void *)exchange;
    assert_true(call->body.len <= max);
    strbuf_add_slice(body, call->body);
    return strbuf_failed(body) ? BODY_NO_ROOM : BODY_COMPLETE;
}

static void discard_body(struct exchange *exchange) {
    (void)exchange;
}

static bool answer(struct exchange *exchange, struct http_answer *given) {
    struct call *call = (struct call *)(void *)exchange;
    size_t nth = memory.failing;
    memory.failing = 0; /* of the test's own doings */
    pthread_mutex_lock(&call->lock);
    assert_false(call->answered);
    call->answered = true;
    call->status = http_answer_status(given);
    strbuf_add_slice(&call->answer, http_answer_body(given));
    http_answer_free(given);
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->lock);
    memory.failing = nth;
    return true;
}

/* One request of the tests below. */
struct request {
    const char *name;
    void (*handle)(void *use_case, struct exchange *exchange);
    void *use_case;
    char *const *params;
    struct slice body;
};

/* Gives the status, and the body in OUT. */
static int make_call(const struct request *request, size_t failing, enum shortage shortage,
                     struct strbuf *out, size_t *allocations) {
    struct call call = {
        .exchange = {.params.pairs = request->params,
                     .read_body = read_body,
                     .discard_body = discard_body,
                     .answer = answer},
        .body = request->body,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
        .answer = STRBUF_INIT(LIMIT_ANSWER),
    };
    memory_fails_at(failing, shortage);
    request->handle(request->use_case, &call.exchange);
    *allocations = memory_is_back();
    pthread_mutex_lock(&call.lock);
    while (!call.answered)
        pthread_cond_wait(&call.changed, &call.lock);
    pthread_mutex_unlock(&call.lock);
    strbuf_clear(out);
    strbuf_add_slice(out, strbuf_slice(&call.answer));
    strbuf_free(&call.answer);
    return call.status;
}

static bool is_kept(struct slice body) {
    return memmem(body.data, body.len, "\"spooled\"", 9) != NULL;
}

/* The usual answer, whatever allocation fails, or 503; where there is no memory even for that, 500.
 * How many of the answers say that the event is kept. */
static int64_t check_request(const struct request *request, int *status) {
    struct strbuf expected = STRBUF_INIT(LIMIT_ANSWER), actual = STRBUF_INIT(LIMIT_ANSWER);
    size_t allocations;
    *status = make_call(request, 0, SHORT_ONCE, &expected, &allocations);
    int64_t kept = is_kept(strbuf_slice(&expected));
    for (size_t i = 0; i < ARRAY_LEN(shortages); i++) {
        allocations = SIZE_MAX;
        for (size_t failing = 1; allocations >= failing - 1; failing++) {
            int got = make_call(request, failing, shortages[i], &actual, &allocations);
            bool same = got == *status && slice_eq(strbuf_slice(&actual), strbuf_slice(&expected));
            kept += is_kept(strbuf_slice(&actual));
            if (!same && got != 503 && (got != 500 || shortages[i] == SHORT_ONCE))
                fail_msg("%s, allocation %zu: %d instead of %d: %.*s", request->name, failing, got,
                         *status, SLICE_ARGS(strbuf_slice(&actual)));
            refusals += !same;
        }
    }
    strbuf_free(&expected);
    strbuf_free(&actual);
    return kept;
}

/* A folder of the test's own, with a configuration. */
struct world {
    char folder[64], config[96], spool[96];
};

/* A source of the provider's name, which shows what make_params() and sign() make. */
static void write_source(FILE *file, const struct provider *provider) {
    fprintf(file,
            "source %.*s {\n  provider = %.*s\n  allow_from = {\"127.0.0.0/8\"}\n"
            "  tracking_url = \"https://t.example/{tracking_number}\"\n",
            SLICE_ARGS(provider->name), SLICE_ARGS(provider->name));
    if (provider->signature.kind == SIGNATURE_HMAC_SHA256)
        fprintf(file, "  secret = {\"other\", \"" SECRET "\"}\n  signature_encoding = hex\n");
    else
        fprintf(file, "  signature = none\n  basic = \"test:password\"\n");
    if (provider->names_sources)
        fprintf(file, "  writes_to = {\"crossborderly\"}\n");
    fprintf(file, "}\n");
}

static void write_config(struct world *world) {
    uint8_t digest[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    assert_true(crypto_sha256(SLICE_OF(TOKEN), digest));
    hex_encode(digest, sizeof digest, hex);
    int fd = open(world->config, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fprintf(file,
            "database { ingest_dsn = \"host=/nowhere\" status_dsn = \"host=/nowhere\" }\n"
            "webhook { plain_http = yes spool = \"%s\" }\n"
            "status { plain_http = yes }\n"
            "client shop { token_sha256 = \"%s\" scope = full sources = {\"*\"} }\n",
            world->spool, hex);
    size_t count;
    const struct provider *table = provider_table(&count);
    for (size_t i = 0; i < count; i++)
        write_source(file, &table[i]);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    (void)snprintf(world->folder, sizeof(world->folder), "/tmp/waybill-unit-memory-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->config, sizeof(world->config), "%s/waybill.conf", world->folder);
    (void)snprintf(world->spool, sizeof(world->spool), "%s/spool", world->folder);
    write_config(world);
    *state = world;
    return 0;
}

static void empty_folder(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
}

static int tear_down(void **state) {
    struct world *world = *state;
    empty_folder(world->spool);
    (void)rmdir(world->spool);
    empty_folder(world->folder);
    assert_int_equal(rmdir(world->folder), 0);
    free(world);
    return 0;
}

static struct current *must_load(const struct world *world, enum settings_part part) {
    struct err err = ERR_INIT;
    struct settings *settings = settings_load(world->config, part, &err);
    if (settings == NULL)
        fail_msg("%s", err.message);
    struct current *current = current_new(settings);
    assert_non_null(current);
    return current;
}

static void tell(const char *text) {
    fail_msg("%s", text);
}

static struct spool *must_open(const struct world *world) {
    struct spool *spool = spool_new(world->spool, (size_t)1 << 30, tell);
    assert_non_null(spool);
    return spool;
}

static struct spool_state must_look(struct spool *spool) {
    struct spool_state found;
    struct err err = ERR_INIT;
    assert_true(spool_look(spool, &found, &err));
    return found;
}

/* The meta-variables of a request that is signed like PROVIDER's. */
#define PARAMS 8
struct params {
    char text[PARAMS][256];
    char *pairs[PARAMS + 1];
};

static void make_params(struct params *params, const char *method, const char *path,
                        const char *query) {
    memset(params, 0, sizeof *params);
    (void)snprintf(params->text[0], 256, "REQUEST_METHOD=%s", method);
    (void)snprintf(params->text[1], 256, "PATH_INFO=%s", path);
    (void)snprintf(params->text[2], 256, "QUERY_STRING=%s", query);
    (void)snprintf(params->text[3], 256, "REMOTE_ADDR=127.0.0.1");
    (void)snprintf(params->text[4], 256, "CONTENT_TYPE=application/json");
    (void)snprintf(params->text[5], 256, "HTTP_AUTHORIZATION=Basic " BASIC);
    for (size_t i = 0; i < PARAMS; i++)
        params->pairs[i] = params->text[i][0] != '\0' ? params->text[i] : NULL;
}

/* HTTP_<the header of the signature>=<the signature>, in hex, where there is one. */
static void sign(struct params *params, const struct provider *provider, struct slice body) {
    uint8_t digest[SHA256_LEN];
    struct slice header = provider->signature.header;
    if (provider->signature.kind != SIGNATURE_HMAC_SHA256)
        return;
    char hex[2 * SHA256_LEN + 1];
    assert_true(crypto_hmac_sha256(SLICE_OF(SECRET), &body, 1, digest));
    hex_encode(digest, sizeof digest, hex);
    (void)snprintf(params->text[6], 256, "HTTP_%.*s=%.*s%s", SLICE_ARGS(header),
                   SLICE_ARGS(provider->signature.prefix), hex);
    params->pairs[6] = params->text[6];
    for (char *c = params->text[6]; *c != '='; c++)
        *c = (char)(*c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
}

static int64_t check_golden(struct ingest *ingest, const struct golden_case *c) {
    struct params params;
    char path[80];
    struct slice body = strbuf_slice(&c->body);
    int status;
    (void)snprintf(path, sizeof path, "/%s", c->provider->name.data);
    make_params(&params, "POST", path, "");
    sign(&params, c->provider, body);
    struct request request = {c->name, ingest_handle, ingest, params.pairs, body};
    int64_t kept = check_request(&request, &status);
    assert_int_equal(status, 200);
    return kept;
}

/* Whatever is told to be kept is, and nothing else. */
static void test_webhooks(void **state) {
    const struct world *world = *state;
    struct err err = ERR_INIT;
    struct current *current = must_load(world, PART_WEBHOOK);
    struct ingest *ingest = ingest_new(current, &err);
    assert_non_null(ingest);
    int64_t kept = 0;
    for (size_t i = 0; i < case_count; i++)
        kept += check_golden(ingest, &cases[i]);
    check_refused();
    ingest_free(ingest);
    current_free(current);
    struct spool *spool = must_open(world);
    assert_int_equal(must_look(spool).events, kept);
    assert_true(kept >= (int64_t)case_count - 10); /* URL checks need no keeping */
    spool_free(spool);
}

/* What is refused, or asked for, otherwise. */
struct other {
    const char *method, *path, *query, *body;
    bool token; /* else the password of a source */
    int status;
};

static void check_others(const struct other *others, size_t count,
                         void (*handle)(void *use_case, struct exchange *exchange),
                         void *use_case) {
    for (size_t i = 0; i < count; i++) {
        const struct other *other = &others[i];
        struct params params;
        int status;
        make_params(&params, other->method, other->path, other->query);
        if (other->token)
            (void)snprintf(params.text[5], 256, "HTTP_AUTHORIZATION=Bearer " TOKEN);
        struct request request = {other->path, handle, use_case, params.pairs,
                                  slice_from_cstr(other->body)};
        (void)check_request(&request, &status);
        assert_int_equal(status, other->status);
    }
    check_refused();
}

static void test_other_webhooks(void **state) {
    static const struct other others[] = {
        {"POST", "/crossborderly", "", "{}", false, 401}, /* not signed */
        {"POST", "/nobody", "", "{}", false, 401},
        {"POST", "/shipup", "", "{}", true, 401},
        {"POST", "/shipup", "", "{\"a\":", false, 400},
        {"POST", "/shipup", "", "", false, 400},
        {"POST", "/shipup", "", "{\"a\\u0000\":1}", false, 200},
        {"GET", "/shipup", "", "", false, 405},
        {"POST", "/Shipup", "", "", false, 404},
        {"GET", "/livez", "", "", false, 200},
        {"GET", "/readyz", "", "", true, 200},
    };
    struct err err = ERR_INIT;
    struct current *current = must_load(*state, PART_WEBHOOK);
    struct ingest *ingest = ingest_new(current, &err);
    assert_non_null(ingest);
    check_others(others, ARRAY_LEN(others), ingest_handle, ingest);
    ingest_free(ingest);
    current_free(current);
}

static void test_status_requests(void **state) {
    static const struct other others[] = {
        {"GET", "/orders", "", "", false, 401},
        {"GET", "/orders", "limit=x", "", true, 400},
        {"GET", "/orders/shipup/", "", "", true, 404},
        {"POST", "/orders", "", "", true, 405},
        {"GET", "/nothing", "", "", true, 404},
        {"GET", "/livez", "", "", true, 200},
        {"GET", "/orders", "limit=5&x=1", "", true, 400},
        {"GET", "/orders", "order_number=a%20b&order_number=c&source=shipup", "", true, 503},
        {"GET", "/orders", "source=shipup&id=%2f", "", true, 503},
        {"GET", "/orders", "after=1-x", "", true, 410},
        {"GET", "/orders/shipup/1", "", "", true, 503},
        {"GET", "/changes", "after=latest", "", true, 503},
    };
    struct err err = ERR_INIT;
    struct current *current = must_load(*state, PART_STATUS);
    struct query *query = query_new(current, &err);
    assert_non_null(query);
    check_others(others, ARRAY_LEN(others), query_handle, query);
    query_free(query);
    current_free(current);
}

/* ---- the start ---- */

/* As a program starts. */
static bool start_with(struct current *current, enum settings_part part, struct err *err) {
    bool ok = true;
    if (part == PART_WEBHOOK) {
        struct ingest *ingest = ingest_new(current, err);
        ok = ingest != NULL;
        ingest_free(ingest);
    }
    if (part == PART_STATUS) {
        struct query *query = query_new(current, err);
        ok = query != NULL;
        query_free(query);
    }
    return ok;
}

static bool start(const struct world *world, enum settings_part part, struct err *err) {
    struct settings *settings = settings_load(world->config, part, err);
    struct current *current = settings != NULL ? current_new(settings) : NULL;
    if (settings != NULL && current == NULL) {
        settings_free(settings);
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    bool ok = current != NULL && start_with(current, part, err);
    current_free(current);
    return ok;
}

/* libpq does not say whether it could not read a text or had no memory to read it, nor does the C
 * library of a thread that it does not start. */
static bool is_without_reason(const struct err *err) {
    static const char *const texts[] = {"is no connection string that libpq can read",
                                        "cannot start a"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (strstr(err->message, texts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_start(void **state) {
    static const enum settings_part parts[] = {PART_WEBHOOK, PART_STATUS, PART_CHECK};
    for (size_t i = 0; i < ARRAY_LEN(parts) * ARRAY_LEN(shortages); i++) {
        size_t allocations = SIZE_MAX;
        for (size_t failing = 1; allocations >= failing - 1; failing++) {
            struct err err = ERR_INIT;
            memory_fails_at(failing, shortages[i / ARRAY_LEN(parts)]);
            bool ok = start(*state, parts[i % ARRAY_LEN(parts)], &err);
            allocations = memory_is_back();
            assert_int_equal(ok, !err_is_set(&err));
            if (!ok && err.kind != ERR_MEMORY && !is_without_reason(&err)) {
                fail_msg("allocation %zu: %s", failing, err.message);
            }
            refusals += !ok;
        }
    }
    check_refused();
}

/* ---- the spool ---- */

static struct spool_event event_of(int64_t number) {
    return (struct spool_event){.received_at = number,
                                .source = SLICE("source"),
                                .provider = SLICE("shipup"),
                                .headers = SLICE("{}"),
                                .body = SLICE("{\"a\":1}")};
}

/* Each step of a spool's life. */
static bool fill(struct spool *spool, struct err *err) {
    struct spool_event events[] = {event_of(1), event_of(2), event_of(3)};
    return spool_append(spool, events, ARRAY_LEN(events), err);
}

static bool read_some(struct spool *spool, struct spool_event events[8], size_t *count,
                      struct err *err) {
    struct arena *arena = arena_new(1 << 20);
    bool ok = arena != NULL ? spool_read(spool, INT64_MIN, 8, 1 << 20, arena, events, count, err)
                            : err_set(err, ERR_MEMORY, "out of memory");
    /* Ids and digests are in the events themselves. */
    arena_free(arena);
    return ok;
}

static bool drain(struct spool *spool, struct err *err) {
    struct spool_event events[8];
    size_t count = 0;
    return read_some(spool, events, &count, err) && spool_remove(spool, events, count, err) &&
           spool_tidy(spool, err);
}

static bool check_room(struct spool *spool, struct err *err) {
    return spool_check(spool, err);
}

/* With BEFORE events there, STEP leaves AFTER of them, or, failing, what was there: all or nothing,
 * and never takes the file for damaged. */
static void check_step(const struct world *world, bool (*step)(struct spool *, struct err *),
                       int64_t before, int64_t after, enum shortage shortage) {
    size_t allocations = SIZE_MAX;
    for (size_t failing = 1; allocations >= failing - 1; failing++) {
        struct err err = ERR_INIT, ignored = ERR_INIT;
        struct spool *spool = must_open(world);
        while (must_look(spool).events < before)
            assert_true(fill(spool, &ignored));
        if (before == 0)
            assert_true(drain(spool, &ignored));
        spool_free(spool);
        memory_fails_at(failing, shortage);
        spool = spool_new(world->spool, (size_t)1 << 30, tell);
        bool ok = spool != NULL && step(spool, &err);
        allocations = memory_is_back();
        spool_free(spool);
        assert_true(ok || spool == NULL || err_is_set(&err));
        assert_true(ok || err.kind != ERR_INPUT);
        spool = must_open(world);
        int64_t events = must_look(spool).events;
        spool_free(spool);
        if (events != after && (ok || events != before))
            fail_msg("allocation %zu: %lld events instead of %lld: %s", failing, (long long)events,
                     (long long)after, err.message);
        refusals += !ok;
    }
}

static void test_spool(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(shortages); i++) {
        check_step(*state, fill, 0, 3, shortages[i]);
        check_step(*state, check_room, 3, 3, shortages[i]);
        check_step(*state, drain, 3, 0, shortages[i]);
    }
    check_refused();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_start, set_up, tear_down),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_folding_into_what_is_stored),
        cmocka_unit_test_setup_teardown(test_webhooks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_webhooks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_status_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_spool, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, find_cases, free_cases);
}

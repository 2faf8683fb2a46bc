/*
 * What a client writes into a URL and into the small headers that go with it. Lines: REQUEST_URI,
 * SCRIPT_NAME, PATH_INFO, query, cursor, If-None-Match, a header's name, Content-Length; the
 * texts that are no meta-variables may hold any byte but a line feed.
 */
#include "fuzz.h"

#include "adapter/exchange.h"
#include "app/query_parameters.h"
#include "app/responder.h"
#include "app/validator.h"
#include "base/hex.h"

static struct slice value_of(const char *pair) {
    return slice_from_cstr(strchr(pair, '=') + 1);
}

/* ---- paths ---- */

static void check_path(const struct http_params *params, const char *uri, const char *info) {
    bool raw = false;
    struct slice path = http_path_below_mount(params, &raw);
    struct request_path request = request_path_read(params);
    enum probe probe = probe_of(&request);
    REQUIRE(path.len == 0 || path.data[0] == '/');
    /* "http://host" has the path "/", which it does not contain. */
    if (path.len && !slice_eq(path, SLICE_OF("/")))
        REQUIRE(fuzz_within(path, value_of(raw ? uri : info)));
    REQUIRE(path.len == 0 || raw || slice_eq(path, value_of(info)));
    REQUIRE(!raw || !path.len || !memchr(path.data, '?', path.len));
    REQUIRE(request.text.len == 0 || request.text.data[0] == '/');
    REQUIRE(probe == PROBE_NONE || request.text.len >= strlen("/livez"));
}

/* ---- percent-decoding ---- */

static bool escapes_are_whole(struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '%' && (text.len - i < 3 || hex_value(text.data[i + 1]) < 0 ||
                                    hex_value(text.data[i + 2]) < 0))
            return false;
    }
    return true;
}

/* Every byte as an escape. */
static void add_escaped(struct strbuf *out, struct slice text) {
    for (size_t i = 0; i < text.len; i++)
        strbuf_addf(out, "%%%02X", (unsigned)(unsigned char)text.data[i]);
}

static void check_percent(struct slice text, bool plus, struct arena *arena) {
    struct slice decoded, again;
    struct strbuf escaped = STRBUF_INIT(3 * text.len + 1);
    bool ok = http_percent_decode(text, plus, arena, &decoded);
    REQUIRE(ok == escapes_are_whole(text));
    if (ok) {
        REQUIRE(decoded.len <= text.len);
        add_escaped(&escaped, decoded);
        REQUIRE(http_percent_decode(strbuf_slice(&escaped), plus, arena, &again));
        REQUIRE(slice_eq(decoded, again));
    }
    strbuf_free(&escaped);
}

/* ---- the query ---- */

static void check_pairs(struct slice query, size_t max, struct arena *arena) {
    struct http_query_pair *pairs = NULL, *again = NULL;
    size_t count = 0, count_again = 0;
    struct strbuf text = STRBUF_INIT(8 * query.len + 8);
    if (!http_parse_query(query, max, arena, &pairs, &count)) {
        REQUIRE(count == 0 && pairs == NULL);
        return;
    }
    REQUIRE(count <= max);
    for (size_t i = 0; i < count; i++) {
        add_escaped(&text, pairs[i].name);
        strbuf_add_char(&text, '=');
        add_escaped(&text, pairs[i].value);
        strbuf_add_cstr(&text, i % 2 ? "&&" : "&");
    }
    REQUIRE(!strbuf_failed(&text));
    REQUIRE(http_parse_query(strbuf_slice(&text), max, arena, &again, &count_again));
    REQUIRE(count_again == count);
    for (size_t i = 0; i < count; i++)
        REQUIRE(slice_eq(pairs[i].name, again[i].name) && slice_eq(pairs[i].value, again[i].value));
    strbuf_free(&text);
}

static void check_texts(const struct query_values *values) {
    REQUIRE(values->count <= LIMIT_QUERY_VALUES);
    for (size_t i = 0; i < values->count; i++)
        REQUIRE(values->items[i].len > 0 && fuzz_is_text(values->items[i]));
}

static void check_parameters(struct slice query, enum query_kind kind, struct arena *arena) {
    struct query_parameters *p = fuzz_memory(sizeof(*p));
    struct slice wrong = SLICE_EMPTY;
    enum status status;
    if (query_parameters_read(query, kind, arena, p, &wrong)) {
        size_t lists =
            p->order_numbers.count + p->external_references.count + p->tracking_numbers.count;
        check_texts(&p->order_numbers);
        check_texts(&p->external_references);
        check_texts(&p->tracking_numbers);
        REQUIRE(fuzz_is_text(p->source) && fuzz_is_text(p->id) && fuzz_is_text(p->after));
        REQUIRE(p->status.len == 0 || status_from_name(p->status, &status));
        REQUIRE(p->limit >= 1 && p->limit <= LIMIT_PAGE_ORDERS);
        REQUIRE(p->id.len == 0 || p->source.len > 0);
        REQUIRE(kind == QUERY_ORDERS || lists + p->source.len + p->id.len + p->status.len == 0);
        REQUIRE(kind != QUERY_DOCUMENT || p->after.len == 0);
    } else {
        /* Never a value of the client's. */
        REQUIRE(wrong.len > 0 && !fuzz_within(wrong, query));
    }
    free(p);
}

/* ---- small texts ---- */

static void check_cursor(struct slice text) {
    int64_t feed, position, feed_again, position_again;
    struct strbuf out = STRBUF_INIT(64);
    if (cursor_read(text, &feed, &position)) {
        REQUIRE(feed >= 0 && position >= 0);
        cursor_put(&out, feed, position);
        REQUIRE(!strbuf_failed(&out));
        REQUIRE(cursor_read(strbuf_slice(&out), &feed_again, &position_again));
        REQUIRE(feed == feed_again && position == position_again);
    }
    strbuf_free(&out);
}

/* Whatever stands in front of it, a tag in the list is found. */
static void check_etag(struct slice list) {
    const struct slice etag = SLICE("\"1-fe-7\"");
    struct strbuf out = STRBUF_INIT(list.len + 64);
    bool alone = etag_matches(list, etag);
    strbuf_add_slice(&out, list);
    strbuf_add_cstr(&out, " ,\tW/\"1-fe-7\" ");
    REQUIRE(etag_matches(strbuf_slice(&out), etag));
    REQUIRE(!alone || memmem(list.data, list.len, "1-fe-7", 6) || memchr(list.data, '*', list.len));
    strbuf_free(&out);
}

static void check_length(const struct http_params *params, struct slice text) {
    int64_t length = 0, value;
    bool good = exchange_announced_length(params, &length);
    REQUIRE(slice_eq(http_header(params, SLICE_OF("content-LENGTH")), text));
    REQUIRE(length >= -1);
    REQUIRE(!good || text.len || length == -1);
    if (good && text.len && slice_to_int64(text, &value))
        REQUIRE(value == length);
}

static void check_header(const struct http_params *params, struct slice name) {
    struct slice value = http_header(params, name);
    for (size_t i = 0; value.len && i < name.len; i++)
        REQUIRE(name.data[i] != '=' && name.data[i] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t maxima[] = {0, 1, 3, 1000};
    struct slice rest = fuzz_input(data, size), lines[8];
    struct arena *arena = fuzz_arena();
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        lines[i] = fuzz_exact(fuzz_line(&rest));
    char *pairs[] = {
        fuzz_pair("SCRIPT_NAME", lines[1]),        fuzz_pair("REQUEST_URI", lines[0]),
        fuzz_pair("PATH_INFO", lines[2]),          fuzz_pair("CONTENT_LENGTH", lines[7]),
        fuzz_pair("HTTP_IF_NONE_MATCH", lines[5]), NULL};
    const struct http_params params = {pairs};
    check_path(&params, pairs[1], pairs[2]);
    for (size_t i = 0; i < 4; i++)
        check_percent(lines[i], i % 2, arena);
    for (size_t i = 0; i < ARRAY_LEN(maxima); i++)
        check_pairs(lines[3], maxima[i], arena);
    check_parameters(lines[3], QUERY_DOCUMENT, arena);
    check_parameters(lines[3], QUERY_ORDERS, arena);
    check_parameters(lines[3], QUERY_CHANGES, arena);
    check_cursor(lines[4]);
    check_etag(lines[5]);
    check_header(&params, lines[6]);
    check_length(&params, value_of(pairs[3]));
    for (size_t i = 0; pairs[i]; i++)
        free(pairs[i]);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        fuzz_release(lines[i]);
    arena_free(arena);
    return 0;
}

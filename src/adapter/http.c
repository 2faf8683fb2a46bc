#include "adapter/http.h"

#include "adapter/json.h"
#include "base/ascii.h"
#include "base/hex.h"
#include "base/limits.h"

#include <string.h>

enum {
    FIELDS_MAX = 16 * 1024, /* all fields of an answer */
    NAME_MAX_LEN = 128,     /* a request header's name */
};

/* ---- the request ---- */

/* The value of PAIR when it is one of NAME. */
static bool is_of(const char *pair, struct slice name, struct slice *value) {
    if (strncmp(pair, name.data, name.len) != 0 || pair[name.len] != '=') {
        return false;
    }
    *value = slice_from_cstr(pair + name.len + 1);
    return true;
}

static struct slice param(const struct http_params *params, struct slice name) {
    struct slice first = SLICE_EMPTY, value;
    bool found = false;
    for (char *const *pair = params->pairs; pair && *pair; pair++) {
        if (!is_of(*pair, name, &value)) {
            continue;
        }
        if (found && !slice_eq(first, value)) {
            return SLICE_EMPTY;
        }
        first = value;
        found = true;
    }
    return first;
}

struct slice http_param(const struct http_params *params, const char *name) {
    return param(params, slice_from_cstr(name));
}

/* The meta-variable of the header NAME, in TEXT; empty when NAME cannot be a header's. */
static struct slice variable_of(struct slice name, char text[NAME_MAX_LEN + 6]) {
    static const struct slice prefix = SLICE("HTTP_");
    size_t len = prefix.len;

    if (slice_eq_nocase(name, SLICE_OF("Content-Type"))) {
        return SLICE_OF("CONTENT_TYPE");
    }
    if (slice_eq_nocase(name, SLICE_OF("Content-Length"))) {
        return SLICE_OF("CONTENT_LENGTH");
    }
    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        return SLICE_EMPTY;
    }
    memcpy(text, prefix.data, prefix.len);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        if (c == '=' || c == '\0') {
            return SLICE_EMPTY;
        }
        text[len++] = c == '-' ? '_' : ascii_to_upper(c);
    }
    return (struct slice){text, len};
}

struct slice http_header(const struct http_params *params, struct slice name) {
    char text[NAME_MAX_LEN + 6];
    struct slice variable = variable_of(name, text);
    return variable.len > 0 ? param(params, variable) : SLICE_EMPTY;
}

void http_header_all(const struct http_params *params, struct slice name, struct strbuf *out) {
    char text[NAME_MAX_LEN + 6];
    struct slice variable = variable_of(name, text), value;
    const char *separator = "";
    for (char *const *pair = params->pairs; variable.len > 0 && pair && *pair; pair++) {
        if (is_of(*pair, variable, &value)) {
            strbuf_add_cstr(out, separator);
            strbuf_add_slice(out, value);
            separator = ", ";
        }
    }
}

/* The path of REQUEST_URI, also of its absolute form; empty for "*" and the like. */
static struct slice uri_path(struct slice uri) {
    static const struct slice schemes[] = {SLICE("http://"), SLICE("https://")};

    slice_split(uri, '#', &uri, &(struct slice){NULL, 0});
    slice_split(uri, '?', &uri, &(struct slice){NULL, 0});
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        const char *slash;

        if (!slice_starts_with_nocase(uri, schemes[i]))
            continue;
        uri = slice_from(uri, schemes[i].len);
        slash = uri.len ? memchr(uri.data, '/', uri.len) : NULL;
        return slash ? slice_from(uri, (size_t)(slash - uri.data)) : SLICE_OF("/");
    }
    return uri.len && uri.data[0] == '/' ? uri : SLICE_EMPTY;
}

struct slice http_path_below_mount(const struct http_params *params, bool *raw) {
    struct slice path = uri_path(http_param(params, "REQUEST_URI"));
    struct slice script = http_param(params, "SCRIPT_NAME");
    struct slice info = http_param(params, "PATH_INFO");

    while (script.len && script.data[script.len - 1] == '/')
        script.len--;
    *raw = true;
    if (path.len > script.len && slice_starts_with(path, script) && path.data[script.len] == '/')
        return slice_from(path, script.len);
    if (info.len) {
        *raw = false;
        return info.data[0] == '/' ? info : SLICE_EMPTY;
    }
    return path;
}

bool http_percent_decode(struct slice text, bool plus, struct arena *arena, struct slice *out) {
    char *to;
    size_t len = 0;

    *out = SLICE_EMPTY;
    to = arena_alloc(arena, text.len + 1);
    if (!to)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        to[len++] = c;
    }
    *out = (struct slice){to, len};
    return true;
}

bool http_parse_query(struct slice query, size_t max, struct arena *arena,
                      struct http_query_pair **pairs, size_t *count) {
    size_t pieces = 1, used = 0;
    struct http_query_pair *list;
    bool more = true;

    for (size_t i = 0; i < query.len; i++)
        pieces += query.data[i] == '&';
    *pairs = NULL;
    *count = 0;
    list = arena_array(arena, pieces < max ? pieces : max, sizeof(*list));
    if (!list)
        return false;
    while (more) {
        struct slice piece, name, value;

        more = slice_split(query, '&', &piece, &query);
        if (piece.len == 0)
            continue;
        if (used == max)
            return false;
        slice_split(piece, '=', &name, &value);
        if (!http_percent_decode(name, true, arena, &list[used].name) ||
            !http_percent_decode(value, true, arena, &list[used].value))
            return false;
        used++;
    }
    *pairs = list;
    *count = used;
    return true;
}

/* ---- the answer ---- */

void http_answer_init(struct http_answer *answer) {
    *answer = (struct http_answer){
        .status = 200,
        .fields = STRBUF_INIT(FIELDS_MAX),
        .body = STRBUF_INIT(LIMIT_ANSWER),
    };
}

void http_answer_free(struct http_answer *answer) {
    strbuf_free(&answer->fields);
    strbuf_free(&answer->body);
}

void http_answer_field(struct http_answer *answer, const char *name, struct slice value) {
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] == '\r' || value.data[i] == '\n' || value.data[i] == '\0')
            answer->fields.failed = true; /* it would end the field and begin another */
    strbuf_add_cstr(&answer->fields, name);
    strbuf_add_cstr(&answer->fields, ": ");
    strbuf_add_slice(&answer->fields, value);
    strbuf_add_cstr(&answer->fields, "\r\n");
}

void http_answer_problem(struct http_answer *answer, int status, struct slice detail) {
    struct json_writer w;

    answer->status = status;
    answer->content_type = "application/problem+json";
    strbuf_clear(&answer->body);
    json_writer_init(&w, &answer->body);
    json_begin_object(&w, NULL);
    json_put_text(&w, "type", SLICE_OF("about:blank"));
    json_put_text(&w, "title", slice_from_cstr(http_phrase(status)));
    json_put_integer(&w, "status", status);
    if (detail.len)
        json_put_text(&w, "detail", detail);
    json_end_object(&w);
}

static bool is_broken(const struct http_answer *answer) {
    return strbuf_failed(&answer->fields) || strbuf_failed(&answer->body);
}

struct slice http_answer_body(const struct http_answer *answer) {
    if (answer->head || !answer->content_type || is_broken(answer))
        return SLICE_EMPTY;
    return strbuf_slice(&answer->body);
}

int http_answer_status(const struct http_answer *answer) {
    return is_broken(answer) ? 500 : answer->status;
}

void http_answer_head(const struct http_answer *answer, struct strbuf *out) {
    int status = http_answer_status(answer);
    bool has_body = answer->content_type && !is_broken(answer);

    strbuf_addf(out, "Status: %d %s\r\n", status, http_phrase(status));
    if (!is_broken(answer))
        strbuf_add_slice(out, strbuf_slice(&answer->fields));
    if (has_body)
        strbuf_addf(out, "Content-Type: %s\r\n", answer->content_type);
    /* In a 304 it would be the length of the body that a 200 has, a 204 has none (RFC 9110, 8.6).
     */
    if (has_body || (status != 204 && status != 304))
        strbuf_addf(out, "Content-Length: %zu\r\n", has_body ? answer->body.len : 0);
    strbuf_add_cstr(out, "\r\n");
}

const char *http_phrase(int status) {
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {410, "Gone"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < ARRAY_LEN(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Unknown";
}

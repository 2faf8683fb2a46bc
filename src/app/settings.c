#include "app/settings.h"

#include "adapter/config.h"
#include "adapter/crypto.h"
#include "adapter/pg.h"
#include "base/arena.h"
#include "base/ascii.h"
#include "base/hex.h"
#include "base/limits.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH "/etc/waybill/waybill.conf"
/* Everything made of a file is a small multiple of it. */
#define ARENA_MAX (16u * LIMIT_CONFIG_FILE)
#define SOURCE_NAME_MAX 32
#define URL_TOKEN_MIN 32

static const char too_long[] = "is longer than 4096 bytes";
static_assert(LIMIT_SECRET_FILE == 4096, "too_long says otherwise");

/* One value that must not outlive the settings; in a list, so that all of them are wiped. */
struct secret {
    struct secret *next;
    size_t len;
    char text[]; /* and a NUL */
};

/* What settings_load() really makes. */
struct loaded {
    struct settings settings; /* first: settings_free() casts back */
    atomic_size_t holders;
    struct arena *arena;
    struct secret *secrets;
};

struct loader {
    struct loaded *out;
    const struct config *config;
    bool with_secrets;
    struct err *err;
};

/* The section with a flaw; NAME NULL: it has none. LINE, where it opens, stands in for an option
 * that is not given; 0: not known. */
struct place {
    const char *section;
    const char *name;
    int line;
};

/* One source on its way from the file to the settings. */
struct source_loader {
    const struct loader *all;
    struct place at;
    const struct config_source *from;
    struct source *source;
};

static bool flaw_at(const struct loader *l, const struct place *at, const char *option,
                    const char *format, ...) PRINTF_LIKE(4, 5);
#define SOURCE_FLAW(s, option, ...) flaw_at((s)->all, &(s)->at, option, __VA_ARGS__)

static bool flaw_at(const struct loader *l, const struct place *at, const char *option,
                    const char *format, ...) {
    char reason[384], line[16] = "";
    int number = option ? config_option_line(l->config, at->section, at->name, option) : 0;
    va_list args;
    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() stands above. */
    (void)vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    if (number > 0 || at->line > 0) {
        (void)snprintf(line, sizeof line, "%d:", number > 0 ? number : at->line);
    }
    return err_set(l->err, ERR_CONFIG, "%s:%s %s%s%s: %s%s%s", l->config->path, line, at->section,
                   at->name ? " " : "", at->name ? at->name : "", option ? option : "",
                   option ? ": " : "", reason);
}

static bool no_memory(const struct loader *l) {
    return err_set(l->err, ERR_MEMORY, "no memory for the configuration");
}

/* ---- memory ---- */

static bool keep_text(const struct loader *l, const char *text, struct slice *out) {
    return arena_dup(l->out->arena, slice_from_cstr(text), out) || no_memory(l);
}

static void *keep_array(const struct loader *l, size_t count, size_t size) {
    void *array = arena_array(l->out->arena, count > 0 ? count : 1, size);
    if (array == NULL) {
        (void)no_memory(l);
    }
    return array;
}

static bool keep_secret(const struct loader *l, struct slice text, struct slice *out) {
    struct secret *secret = malloc(sizeof *secret + text.len + 1);
    if (secret == NULL) {
        return no_memory(l);
    }
    secret->next = l->out->secrets;
    secret->len = text.len;
    if (text.len > 0) {
        memcpy(secret->text, text.data, text.len);
    }
    secret->text[text.len] = '\0';
    l->out->secrets = secret;
    *out = (struct slice){.data = secret->text, .len = text.len};
    return true;
}

static void wipe_secrets(struct secret *secret) {
    while (secret != NULL) {
        struct secret *next = secret->next;
        crypto_wipe(secret->text, secret->len);
        free(secret);
        secret = next;
    }
}

/* PATH, seen from the folder of the configuration file. */
static bool keep_path(const struct loader *l, const char *path, struct slice *out) {
    const char *slash = strrchr(l->config->path, '/');
    if (path[0] == '/' || slash == NULL) {
        return keep_text(l, path, out);
    }
    size_t folder = (size_t)(slash - l->config->path) + 1;
    size_t len = strlen(path);
    char *whole = keep_array(l, folder + len + 1, 1);
    if (whole == NULL) {
        return false;
    }
    memcpy(whole, l->config->path, folder);
    memcpy(whole + folder, path, len);
    *out = (struct slice){.data = whole, .len = folder + len};
    return true;
}

/* ---- words ---- */

struct word {
    const char *text;
    int value;
};

static const struct word mode_words[] = {
    {"any", MODE_ANY}, {"live", MODE_LIVE}, {"sandbox", MODE_SANDBOX}};
static const struct word signature_words[] = {{"hmac-sha256", SIGNATURE_HMAC_SHA256},
                                              {"standard-webhooks", SIGNATURE_STANDARD_WEBHOOKS},
                                              {"none", SIGNATURE_NONE}};
static const struct word encoding_words[] = {{"hex", ENCODING_HEX}, {"base64", ENCODING_BASE64}};
static const struct word scope_words[] = {{"tracking", false}, {"full", true}};

/* The value of TEXT; the flaw names all words there are. */
static bool read_word(const struct loader *l, const struct place *at, const char *option,
                      const char *text, const struct word *words, size_t count, int *value) {
    char known[128] = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i].text, text) == 0) {
            *value = words[i].value;
            return true;
        }
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", words[i].text);
    }
    return flaw_at(l, at, option, "\"%.64s\" is unknown; there are: %s", text, known);
}

#define READ_WORD(l, at, option, text, words, value)                                               \
    read_word(l, at, option, text, words, ARRAY_LEN(words), value)

/* ---- shapes of values: NULL, or what is wrong with it ---- */

static bool all_of(struct slice text, bool (*fits)(unsigned char c)) {
    for (size_t i = 0; i < text.len; i++) {
        if (!fits((unsigned char)text.data[i])) {
            return false;
        }
    }
    return true;
}

static bool is_letter_or_digit(unsigned char c) {
    return ascii_is_letter((char)c) || ascii_is_digit((char)c);
}

static bool is_name_char(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* A token of RFC 9110: what a field name is made of. */
static bool is_token_char(unsigned char c) {
    return is_letter_or_digit(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_unreserved(unsigned char c) {
    return ascii_is_unreserved((char)c);
}

static bool is_no_control(unsigned char c) {
    return c >= ' ' && c != 0x7f;
}

static bool is_visible(unsigned char c) {
    return c > ' ' && c < 0x7f;
}

static bool is_field_name(struct slice text) {
    return text.len > 0 && all_of(text, is_token_char);
}

static bool is_authorization(struct slice name) {
    return slice_eq_nocase(name, SLICE_OF("Authorization"));
}

static bool is_given(const struct config_list *texts, const struct config_list *files) {
    return texts->count + files->count > 0;
}

static const char *secret_flaw(const struct source_loader *s, struct slice value) {
    uint8_t room[LIMIT_SECRET_FILE];
    size_t len = sizeof room;
    struct slice prefix = SLICE("whsec_");
    if (s->source->policy.signature.kind != SIGNATURE_STANDARD_WEBHOOKS ||
        !slice_starts_with(value, prefix)) {
        return NULL;
    }
    bool valid = crypto_base64_decode(slice_from(value, prefix.len), room, &len) && len > 0;
    crypto_wipe(room, sizeof room);
    return valid ? NULL : "is not base64 after whsec_";
}

static const char *basic_flaw(const struct source_loader *s, struct slice value) {
    struct slice user, password;
    (void)s;
    if (!slice_split(value, ':', &user, &password) || user.len + password.len == 0) {
        return "must be user:password";
    }
    return all_of(value, is_no_control) ? NULL : "must be one line without control characters";
}

static const char *bearer_flaw(const struct source_loader *s, struct slice value) {
    (void)s;
    return all_of(value, is_visible) ? NULL : "must be ASCII without spaces";
}

static const char *header_flaw(const struct source_loader *s, struct slice value) {
    struct slice name, text;
    if (!slice_split(value, ':', &name, &text) || !is_field_name(name) ||
        slice_trim(text).len == 0) {
        return "must be \"Name: value\"";
    }
    if (is_authorization(name) && (is_given(&s->from->basic, &s->from->basic_file) ||
                                   is_given(&s->from->bearer, &s->from->bearer_file))) {
        return "cannot be Authorization, which basic or bearer needs already";
    }
    if (slice_eq_nocase(name, s->source->policy.signature.header)) {
        return "cannot be the header that carries the signature";
    }
    return all_of(value, is_no_control) ? NULL : "must be one line without control characters";
}

static const char *url_token_flaw(const struct source_loader *s, struct slice value) {
    (void)s;
    if (value.len < URL_TOKEN_MIN) {
        return "must have at least 32 characters";
    }
    return all_of(value, is_unreserved) ? NULL
                                        : "may only have letters, digits, '-', '.', '_' and '~'";
}

/* ---- credentials ---- */

/* One kind of credential: where it stands in the file and in the policy. */
struct credential_kind {
    const char *option, *file_option;
    size_t inline_at, files_at; /* offsets of a struct config_list in struct config_source */
    size_t values_at;           /* offset of a struct auth_values in struct auth_policy */
    const char *(*flaw)(const struct source_loader *s, struct slice value);
};

#define CREDENTIAL_KIND(name, policy_field)                                                        \
    {                                                                                              \
        .option = #name, .file_option = #name "_file",                                             \
        .inline_at = offsetof(struct config_source, name),                                         \
        .files_at = offsetof(struct config_source, name##_file),                                   \
        .values_at = offsetof(struct auth_policy, policy_field), .flaw = name##_flaw,              \
    }

static const struct credential_kind credential_kinds[] = {
    CREDENTIAL_KIND(secret, secrets),       CREDENTIAL_KIND(basic, basic),
    CREDENTIAL_KIND(bearer, bearer),        CREDENTIAL_KIND(header, headers),
    CREDENTIAL_KIND(url_token, url_tokens),
};

static const struct config_list *list_at(const struct config_source *from, size_t offset) {
    return (const struct config_list *)(const void *)((const char *)from + offset);
}

static struct auth_values *values_at(struct auth_policy *policy, size_t offset) {
    return (struct auth_values *)(void *)((char *)policy + offset);
}

/* Everybody who can read the file knows the secret; root's group is the usual way to hand it to a
 * service. */
static const char *mode_flaw(const struct stat *status) {
    if (!S_ISREG(status->st_mode)) {
        return "is no regular file";
    }
    if (status->st_mode & S_IROTH) {
        return "can be read by everybody";
    }
    if ((status->st_mode & S_IRGRP) && status->st_uid != 0) {
        return "can be read by its group and does not belong to root";
    }
    return NULL;
}

/* All of FD, at most ROOM bytes; negative with errno on failure. */
static ssize_t read_whole(int fd, char *bytes, size_t room) {
    size_t len = 0;
    while (len < room) {
        ssize_t got = read(fd, bytes + len, room - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static struct slice without_newline(struct slice text) {
    if (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
        text.len -= text.len > 0 && text.data[text.len - 1] == '\r';
    }
    return text;
}

/* Reads PATH to BYTES; the one trailing newline that editors leave is no part of the secret. */
static bool read_secret_file(const struct source_loader *s, const char *option, const char *path,
                             char bytes[LIMIT_SECRET_FILE + 1], struct slice *text) {
    struct stat status;
    const char *flaw = NULL;
    ssize_t len = -1;
    /* Not blocking, or a FIFO would hold the program up for ever. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &status) == 0) {
        flaw = mode_flaw(&status);
        len = flaw ? 0 : read_whole(fd, bytes, LIMIT_SECRET_FILE + 1);
    }
    int error = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (len < 0) {
        return SOURCE_FLAW(s, option, "%s: %s", path, strerror(error));
    }
    if (flaw == NULL && len > LIMIT_SECRET_FILE) {
        flaw = too_long;
    }
    if (flaw != NULL) {
        return SOURCE_FLAW(s, option, "%s %s", path, flaw);
    }
    *text = without_newline((struct slice){.data = bytes, .len = (size_t)len});
    return true;
}

/* Checks one value and, where this program may know it, adds it to VALUES. */
static bool add_value(const struct source_loader *s, const struct credential_kind *kind,
                      const char *option, struct slice value, struct auth_values *values) {
    const char *flaw = kind->flaw(s, value);
    if (value.len == 0) {
        flaw = "is empty";
    } else if (value.len > LIMIT_SECRET_FILE) {
        flaw = too_long;
    }
    if (flaw != NULL) {
        return SOURCE_FLAW(s, option, "%s", flaw);
    }
    return !s->all->with_secrets || keep_secret(s->all, value, &values->items[values->count++]);
}

static bool add_file(const struct source_loader *s, const struct credential_kind *kind,
                     const char *path, struct auth_values *values) {
    char bytes[LIMIT_SECRET_FILE + 1];
    struct slice whole = SLICE_EMPTY;
    struct slice text = SLICE_EMPTY;
    if (path[0] == '\0') {
        return SOURCE_FLAW(s, kind->file_option, "is empty");
    }
    if (!s->all->with_secrets) {
        return true;
    }
    bool done = keep_path(s->all, path, &whole) &&
                read_secret_file(s, kind->file_option, whole.data, bytes, &text) &&
                add_value(s, kind, kind->file_option, text, values);
    crypto_wipe(bytes, sizeof bytes);
    return done;
}

static bool load_kind(const struct source_loader *s, const struct credential_kind *kind) {
    const struct config_list *texts = list_at(s->from, kind->inline_at);
    const struct config_list *files = list_at(s->from, kind->files_at);
    struct auth_values *values = values_at(&s->source->policy, kind->values_at);
    values->items = keep_array(s->all, texts->count + files->count, sizeof *values->items);
    bool done = values->items != NULL;
    for (size_t i = 0; done && i < texts->count; i++) {
        done = add_value(s, kind, kind->option, slice_from_cstr(texts->items[i]), values);
    }
    for (size_t i = 0; done && i < files->count; i++) {
        done = add_file(s, kind, files->items[i], values);
    }
    return done;
}

static bool load_credentials(const struct source_loader *s) {
    for (size_t i = 0; i < ARRAY_LEN(credential_kinds); i++) {
        if (!load_kind(s, &credential_kinds[i])) {
            return false;
        }
    }
    return true;
}

/* ---- lists of ranges ---- */

static bool load_ranges(const struct loader *l, const struct place *at, const char *option,
                        const struct config_list *from, struct address_range **ranges,
                        size_t *count) {
    *ranges = keep_array(l, from->count, sizeof **ranges);
    if (*ranges == NULL) {
        return false;
    }
    for (*count = 0; *count < from->count; ++*count) {
        const char *text = from->items[*count];
        if (!address_range_parse(slice_from_cstr(text), &(*ranges)[*count])) {
            return flaw_at(l, at, option,
                           "\"%.64s\" is no address and no CIDR range (bits beyond the prefix "
                           "must be zero)",
                           text);
        }
    }
    return true;
}

/* ---- sources ---- */

bool source_name_is_valid(struct slice name) {
    static const struct slice taken[] = {SLICE("livez"), SLICE("readyz"), SLICE("metrics"),
                                         SLICE("console"), SLICE("openapi.json")};
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        if (slice_eq(name, taken[i])) {
            return false;
        }
    }
    return name.len > 0 && name.len <= SOURCE_NAME_MAX && name.data[0] >= 'a' &&
           name.data[0] <= 'z' && all_of(name, is_name_char);
}

static bool load_name(const struct source_loader *s) {
    if (!source_name_is_valid(slice_from_cstr(s->from->name))) {
        return SOURCE_FLAW(s, NULL,
                           "the name must be a small letter and up to 31 small letters, digits "
                           "or '-', and not livez, readyz, metrics or console");
    }
    return keep_text(s->all, s->from->name, &s->source->name);
}

static bool load_provider(const struct source_loader *s) {
    char known[256] = "";
    size_t count;
    const char *name = s->from->provider;
    const struct provider *table = provider_table(&count);
    s->source->provider = name != NULL ? provider_find(slice_from_cstr(name)) : NULL;
    if (s->source->provider != NULL) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%.*s", i > 0 ? ", " : "",
                       SLICE_ARGS(table[i].name));
    }
    if (name == NULL) {
        return SOURCE_FLAW(s, "provider", "is missing; there are: %s", known);
    }
    return SOURCE_FLAW(s, "provider", "\"%.64s\" is unknown; there are: %s", name, known);
}

static bool load_mode(const struct source_loader *s) {
    int mode = MODE_ANY;
    bool done = s->from->mode == NULL ||
                READ_WORD(s->all, &s->at, "mode", s->from->mode, mode_words, &mode);
    s->source->mode = (enum source_mode)mode;
    return done;
}

static const char *signature_word(enum signature_kind kind) {
    for (size_t i = 0; i < ARRAY_LEN(signature_words); i++) {
        if (signature_words[i].value == (int)kind) {
            return signature_words[i].text;
        }
    }
    return "unknown";
}

/* signature_header, _prefix and _encoding, each over the provider's own. */
static bool load_hmac_details(const struct source_loader *s) {
    const struct config_source *from = s->from;
    struct auth_signature *signature = &s->source->policy.signature;
    int encoding = (int)signature->encoding;
    if ((from->signature_header &&
         !keep_text(s->all, from->signature_header, &signature->header)) ||
        (from->signature_prefix &&
         !keep_text(s->all, from->signature_prefix, &signature->prefix)) ||
        (from->signature_encoding &&
         !READ_WORD(s->all, &s->at, "signature_encoding", from->signature_encoding, encoding_words,
                    &encoding))) {
        return false;
    }
    signature->encoding = (enum signature_encoding)encoding;
    if (signature->header.len == 0) {
        return SOURCE_FLAW(s, "signature_header",
                           "is missing: the provider has no signature header of its own");
    }
    if (!is_field_name(signature->header)) {
        return SOURCE_FLAW(s, "signature_header", "is no header name");
    }
    /* Signature headers are stored with a delivery, this one never is. */
    if (is_authorization(signature->header)) {
        return SOURCE_FLAW(s, "signature_header", "cannot be Authorization, which is never stored");
    }
    return true;
}

static bool load_signature(const struct source_loader *s) {
    const struct config_source *from = s->from;
    struct auth_signature *signature = &s->source->policy.signature;
    *signature = s->source->provider->signature;
    int kind = (int)signature->kind;
    const char *detail = from->signature_header     ? "signature_header"
                         : from->signature_prefix   ? "signature_prefix"
                         : from->signature_encoding ? "signature_encoding"
                                                    : NULL;
    if (from->signature != NULL &&
        !READ_WORD(s->all, &s->at, "signature", from->signature, signature_words, &kind)) {
        return false;
    }
    signature->kind = (enum signature_kind)kind;
    if (signature->kind == SIGNATURE_HMAC_SHA256) {
        return load_hmac_details(s);
    }
    *signature = (struct auth_signature){.kind = signature->kind};
    return detail == NULL ||
           SOURCE_FLAW(s, detail, "nothing uses it: signature is %s, not hmac-sha256",
                       signature_word(signature->kind));
}

/* What is given must be what is used; judged from the file alone, so that a program which opens no
 * secrets sees it too. */
static bool check_credentials(const struct source_loader *s) {
    const struct config_source *from = s->from;
    enum signature_kind kind = s->source->policy.signature.kind;
    bool has_secret = is_given(&from->secret, &from->secret_file);
    bool has_basic = is_given(&from->basic, &from->basic_file);
    bool has_bearer = is_given(&from->bearer, &from->bearer_file);
    bool has_other = is_given(&from->header, &from->header_file) ||
                     is_given(&from->url_token, &from->url_token_file);
    if (kind == SIGNATURE_NONE && has_secret) {
        return SOURCE_FLAW(s, from->secret.count > 0 ? "secret" : "secret_file",
                           "nothing uses it: signature is none%s",
                           from->signature ? "" : ", which is this provider's default");
    }
    if (kind != SIGNATURE_NONE && !has_secret) {
        return SOURCE_FLAW(s, "secret", "is missing: signature is %s", signature_word(kind));
    }
    if (has_basic && has_bearer) {
        return SOURCE_FLAW(s, from->bearer.count > 0 ? "bearer" : "bearer_file",
                           "cannot go with basic: both need the one Authorization header");
    }
    if (!has_secret && !has_basic && !has_bearer && !has_other) {
        return SOURCE_FLAW(s, NULL,
                           "no credential: it needs secret, basic, bearer, header or url_token%s",
                           from->allow_from.count > 0 ? " (allow_from alone is none)" : "");
    }
    return true;
}

#define ZONE_FOLDER "/usr/share/zoneinfo/"
#define ZONE_NAME_MAX 64

/* "Europe/Madrid", "Etc/GMT+3": no name that leads out of the folder. */
static bool is_zone_name(struct slice name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool begins = i == 0 || name.data[i - 1] == '/';
        if (begins ? !is_letter_or_digit((unsigned char)c)
                   : !is_letter_or_digit((unsigned char)c) && strchr("+-_/", c) == NULL) {
            return false;
        }
    }
    return name.len > 0 && name.len <= ZONE_NAME_MAX && name.data[name.len - 1] != '/';
}

/* All of the file PATH, at most LIMIT_ZONE_FILE; false with errno. */
static bool read_zone_file(const char *path, char *bytes, struct slice *content) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t len = fd >= 0 ? read_whole(fd, bytes, LIMIT_ZONE_FILE) : -1;
    int error = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = error;
    *content = (struct slice){bytes, len > 0 ? (size_t)len : 0};
    return len >= 0;
}

static bool load_timezone(const struct source_loader *s) {
    const char *name = s->from->timezone, *flaw = NULL;
    char path[sizeof(ZONE_FOLDER) + ZONE_NAME_MAX], bytes[LIMIT_ZONE_FILE];
    struct slice kept, content;
    if (name == NULL) {
        return true;
    }
    if (!is_zone_name(slice_from_cstr(name))) {
        return SOURCE_FLAW(s, "timezone",
                           "\"%.64s\" is no name of a time zone, such as Europe/Madrid", name);
    }
    (void)snprintf(path, sizeof path, ZONE_FOLDER "%s", name);
    if (!read_zone_file(path, bytes, &content)) {
        return errno == ENOENT || errno == ENOTDIR || errno == EISDIR
                   ? SOURCE_FLAW(s, "timezone", "there is no time zone \"%.64s\" in " ZONE_FOLDER,
                                 name)
                   : SOURCE_FLAW(s, "timezone", "%s: %s", path, strerror(errno));
    }
    struct zone *zone = keep_array(s->all, 1, sizeof *zone);
    if (zone == NULL || !keep_text(s->all, name, &kept)) {
        return false;
    }
    if (!zone_parse(kept, content, s->all->out->arena, zone, &flaw)) {
        return flaw != NULL ? SOURCE_FLAW(s, "timezone", "%s %s", path, flaw) : no_memory(s->all);
    }
    s->source->reading.zone = zone;
    return true;
}

/* Codes of carriers are in lower case everywhere. */
static bool load_carrier(const struct source_loader *s) {
    const char *carrier = s->from->carrier;
    struct slice text = slice_from_cstr(carrier);
    if (carrier == NULL) {
        return true;
    }
    if (text.len == 0 || text.len > LIMIT_ID || !all_of(text, is_visible)) {
        return SOURCE_FLAW(s, "carrier", "must be at most 255 ASCII characters without spaces");
    }
    char *code = keep_array(s->all, text.len, 1);
    for (size_t i = 0; code != NULL && i < text.len; i++) {
        code[i] = ascii_to_lower(text.data[i]);
    }
    s->source->reading.carrier = (struct slice){code, code != NULL ? text.len : 0};
    return code != NULL;
}

static bool load_tracking_url(const struct source_loader *s) {
    const char *url = s->from->tracking_url;
    struct slice text = slice_from_cstr(url);
    const char *flaw = NULL;
    if (url == NULL) {
        return true;
    }
    if (!slice_starts_with_nocase(text, SLICE_OF("http://")) &&
        !slice_starts_with_nocase(text, SLICE_OF("https://"))) {
        flaw = "must begin with http:// or https://";
    } else if (strstr(url, "{tracking_number}") == NULL) {
        flaw = "must contain {tracking_number}";
    } else if (text.len > LIMIT_URL || !all_of(text, is_visible)) {
        flaw = "must be at most 2048 ASCII characters without spaces";
    }
    return flaw ? SOURCE_FLAW(s, "tracking_url", "%s", flaw)
                : keep_text(s->all, url, &s->source->tracking_url);
}

/* By the names alone: the sections may stand in any order. */
static bool load_writes_to(const struct loader *l, const struct config_source *from,
                           struct source *source) {
    const struct place at = {.section = "source", .name = from->name, .line = from->line};
    if (from->writes_to.count > 0 && !source->provider->names_sources) {
        return flaw_at(l, &at, "writes_to", "nothing uses it: no event of %.*s names a source",
                       SLICE_ARGS(source->provider->name));
    }
    source->writes_to = keep_array(l, from->writes_to.count, sizeof *source->writes_to);
    if (source->writes_to == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->writes_to.count; i++) {
        const char *name = from->writes_to.items[i];
        const struct source *owner = settings_source(&l->out->settings, slice_from_cstr(name));
        if (owner == NULL) {
            return flaw_at(l, &at, "writes_to", "there is no source \"%.64s\"", name);
        }
        source->writes_to[source->writes_to_count++] = (struct order_owner){
            .source = owner->name,
            .provider = owner->provider->name,
            .tracking_url_template = owner->tracking_url,
            .takes_live = owner->mode != MODE_SANDBOX,
            .takes_sandbox = owner->mode != MODE_LIVE,
        };
    }
    return true;
}

static bool load_source(const struct loader *l, const struct config_source *from,
                        struct source *source) {
    const struct source_loader s = {
        .all = l,
        .at = {.section = "source", .name = from->name, .line = from->line},
        .from = from,
        .source = source,
    };
    source->has_url_token = is_given(&from->url_token, &from->url_token_file);
    return load_name(&s) && load_provider(&s) && load_mode(&s) && load_signature(&s) &&
           check_credentials(&s) && load_credentials(&s) && load_timezone(&s) && load_carrier(&s) &&
           load_tracking_url(&s) &&
           load_ranges(l, &s.at, "allow_from", &from->allow_from, &source->policy.allow_from,
                       &source->policy.allow_from_count);
}

static bool load_sources(const struct loader *l) {
    struct settings *settings = &l->out->settings;
    settings->sources = keep_array(l, l->config->source_count, sizeof *settings->sources);
    if (settings->sources == NULL) {
        return false;
    }
    for (size_t i = 0; i < l->config->source_count; i++) {
        if (!load_source(l, &l->config->sources[i], &settings->sources[i])) {
            return false;
        }
        settings->source_count++;
    }
    for (size_t i = 0; i < settings->source_count; i++) {
        if (!load_writes_to(l, &l->config->sources[i], &settings->sources[i])) {
            return false;
        }
    }
    return true;
}

/* ---- the stand-in for unknown sources ---- */

static bool random_value(const struct loader *l, const char *before, struct auth_values *values) {
    uint8_t bytes[32];
    char text[16 + 2 * sizeof bytes + 1];
    size_t len = strlen(before);
    if (!crypto_random(bytes, sizeof bytes)) {
        return err_set(l->err, ERR_SYSTEM, "no random bytes");
    }
    memcpy(text, before, len);
    hex_encode(bytes, sizeof bytes, text + len);
    values->items = keep_array(l, 1, sizeof *values->items);
    bool done = values->items != NULL && keep_secret(l, slice_from_cstr(text), &values->items[0]);
    values->count = done;
    crypto_wipe(bytes, sizeof bytes);
    crypto_wipe(text, sizeof text);
    return done;
}

/* A signature, the only kind whose cost grows with the body, and Basic, so that no policy does work
 * that this one does not. */
static bool load_decoy(const struct loader *l) {
    static const struct provider nobody = {.resend_counter = NULL};
    struct source *decoy = &l->out->settings.decoy;
    decoy->provider = &nobody;
    decoy->policy.signature = (struct auth_signature){
        .kind = SIGNATURE_HMAC_SHA256,
        .header = SLICE("X-Signature"),
        .encoding = ENCODING_HEX,
    };
    return !l->with_secrets || (random_value(l, "", &decoy->policy.secrets) &&
                                random_value(l, "nobody:", &decoy->policy.basic));
}

/* Every refusal costs what the dearest costs. */
static void even_out_refusals(struct settings *settings) {
    size_t most = 1;
    for (size_t i = 0; i < settings->source_count; i++) {
        size_t count = settings->sources[i].policy.secrets.count;
        most = count > most ? count : most;
    }
    for (size_t i = 0; i < settings->source_count; i++) {
        settings->sources[i].policy.refusal_hmacs = most;
    }
    settings->decoy.policy.refusal_hmacs = most;
}

/* ---- clients ---- */

/* One hash in two sections would leave open which of them a token belongs to. */
static bool check_token_is_new(const struct loader *l, const struct place *at,
                               const struct client *client, size_t index) {
    const struct settings *settings = &l->out->settings;
    for (size_t i = 0; i < settings->client_count; i++) {
        const struct client *other = &settings->clients[i];
        for (size_t k = 0; k < other->token_count; k++) {
            if (memcmp(other->token_sha256[k], client->token_sha256[index], SHA256_LEN) == 0) {
                return flaw_at(l, at, "token_sha256", "client %.*s has the same token",
                               SLICE_ARGS(other->name));
            }
        }
    }
    return true;
}

static bool load_tokens(const struct loader *l, const struct place *at,
                        const struct config_list *from, struct client *client) {
    if (from->count == 0) {
        return flaw_at(l, at, "token_sha256", "is missing");
    }
    client->token_sha256 = keep_array(l, from->count, SHA256_LEN);
    if (client->token_sha256 == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->count; i++) {
        /* Somebody may have put the token itself here: its text is never shown. */
        if (!hex_decode(slice_from_cstr(from->items[i]), client->token_sha256[i], SHA256_LEN)) {
            return flaw_at(l, at, "token_sha256",
                           "must be 64 hexadecimal digits, the SHA-256 of the token");
        }
        if (!check_token_is_new(l, at, client, i)) {
            return false;
        }
        client->token_count++;
    }
    return true;
}

static bool load_visible_sources(const struct loader *l, const struct place *at,
                                 const struct config_list *from, struct client *client) {
    if (from->count == 0) {
        return flaw_at(l, at, "sources", "is missing: {\"*\"} or names of sources");
    }
    client->sources = keep_array(l, from->count, sizeof *client->sources);
    if (client->sources == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->count; i++) {
        const struct source *source;
        if (strcmp(from->items[i], "*") == 0) {
            client->all_sources = true;
            continue;
        }
        source = settings_source(&l->out->settings, slice_from_cstr(from->items[i]));
        if (source == NULL) {
            return flaw_at(l, at, "sources", "there is no source \"%.64s\"", from->items[i]);
        }
        client->sources[client->source_count++] = source->name;
    }
    return true;
}

static bool load_client(const struct loader *l, const struct config_client *from,
                        struct client *client) {
    const struct place at = {.section = "client", .name = from->name, .line = from->line};
    int full = false;
    bool done =
        keep_text(l, from->name, &client->name) &&
        load_tokens(l, &at, &from->token_sha256, client) &&
        (from->scope == NULL || READ_WORD(l, &at, "scope", from->scope, scope_words, &full)) &&
        load_visible_sources(l, &at, &from->sources, client);
    client->full = full;
    return done;
}

static bool load_clients(const struct loader *l) {
    struct settings *settings = &l->out->settings;
    settings->clients = keep_array(l, l->config->client_count, sizeof *settings->clients);
    if (settings->clients == NULL) {
        return false;
    }
    for (size_t i = 0; i < l->config->client_count; i++) {
        if (!load_client(l, &l->config->clients[i], &settings->clients[i])) {
            return false;
        }
        settings->client_count++;
    }
    return true;
}

/* ---- the rest ---- */

/* NULL where the option is not given: libpq's own environment decides then. */
static bool load_dsn(const struct loader *l, const char *option, const char *dsn,
                     struct slice *kept) {
    static const struct place at = {.section = "database"};
    if (dsn != NULL && !pg_dsn_is_valid(dsn)) {
        return flaw_at(l, &at, option, "is no connection string that libpq can read");
    }
    return keep_secret(l, slice_from_cstr(dsn), kept);
}

static bool load_dsns(const struct loader *l, enum settings_part part) {
    struct settings *settings = &l->out->settings;
    bool ingest = part == PART_WEBHOOK || part == PART_CHECK;
    bool status = part == PART_STATUS || part == PART_CHECK;
    return (!ingest || load_dsn(l, "ingest_dsn", l->config->ingest_dsn, &settings->ingest_dsn)) &&
           (!status || load_dsn(l, "status_dsn", l->config->status_dsn, &settings->status_dsn));
}

/* Both are checked, whatever the program; its own is kept. */
static bool load_metrics_allow(const struct loader *l, enum settings_part part) {
    static const struct place webhook = {.section = "webhook"}, status = {.section = "status"};
    struct settings *settings = &l->out->settings;
    struct address_range *ranges[2];
    size_t counts[2], own = part == PART_STATUS ? 1 : 0;
    if (!load_ranges(l, &webhook, "metrics_allow", &l->config->webhook.metrics_allow, &ranges[0],
                     &counts[0]) ||
        !load_ranges(l, &status, "metrics_allow", &l->config->status.metrics_allow, &ranges[1],
                     &counts[1])) {
        return false;
    }
    settings->metrics_allow = ranges[own];
    settings->metrics_allow_count = counts[own];
    return true;
}

static bool load_programs(const struct loader *l, enum settings_part part) {
    static const struct place at = {.section = "webhook"};
    struct settings *settings = &l->out->settings;
    const struct config *config = l->config;
    bool status = part == PART_STATUS;
    settings->max_body = config->webhook.max_body;
    settings->max_buffered = config->webhook.max_buffered;
    settings->quarantine_max = config->webhook.quarantine_max;
    settings->spool_max = config->webhook.spool_max;
    settings->max_in_flight = status ? config->status.max_in_flight : config->webhook.max_in_flight;
    settings->connections = status ? config->status.connections : config->webhook.connections;
    settings->plain_http = status ? config->status.plain_http : config->webhook.plain_http;
    settings->remote_user = config->status.remote_user;
    if (settings->max_buffered < settings->max_body) {
        return flaw_at(l, &at, "max_buffered",
                       "is less than max_body: the longest body would never fit");
    }
    if (config->webhook.spool != NULL && config->webhook.spool[0] == '\0') {
        return flaw_at(l, &at, "spool", "is empty");
    }
    return (config->webhook.spool == NULL ||
            keep_path(l, config->webhook.spool, &settings->spool)) &&
           load_ranges(l, &at, "trusted_proxies", &config->webhook.trusted_proxies,
                       &settings->trusted_proxies, &settings->trusted_proxy_count) &&
           load_metrics_allow(l, part);
}

const char *settings_path(void) {
    const char *path = getenv("WAYBILL_CONFIG");
    return path != NULL && path[0] != '\0' ? path : DEFAULT_PATH;
}

static bool load_all(struct loader *l, enum settings_part part) {
    l->out->arena = arena_new(ARENA_MAX);
    if (l->out->arena == NULL) {
        return no_memory(l);
    }
    bool done = load_programs(l, part) && load_dsns(l, part) && load_sources(l) && load_decoy(l) &&
                load_clients(l);
    even_out_refusals(&l->out->settings);
    return done;
}

struct settings *settings_load(const char *path, enum settings_part part, struct err *err) {
    struct config *config = config_read(path, err);
    if (config == NULL) {
        return NULL;
    }
    struct loader l = {
        .out = calloc(1, sizeof *l.out),
        .config = config,
        .with_secrets = part == PART_WEBHOOK || part == PART_CHECK || part == PART_VERIFY,
        .err = err,
    };
    if (l.out == NULL) {
        (void)no_memory(&l);
        config_free(config);
        return NULL;
    }
    l.out->holders = 1;
    if (!load_all(&l, part)) {
        settings_free(&l.out->settings);
        l.out = NULL;
    }
    config_free(config);
    return l.out != NULL ? &l.out->settings : NULL;
}

bool settings_load_found(const char *path, enum settings_part part, struct settings **settings,
                         struct err *err) {
    struct stat status;
    *settings = NULL;
    if (stat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return true;
    }
    *settings = settings_load(path, part, err);
    return *settings != NULL;
}

static struct loaded *loaded_of(const struct settings *settings) {
    return (struct loaded *)(uintptr_t)settings;
}

const struct settings *settings_hold(const struct settings *settings) {
    atomic_fetch_add(&loaded_of(settings)->holders, 1);
    return settings;
}

void settings_free(const struct settings *settings) {
    struct loaded *loaded = loaded_of(settings);
    if (loaded == NULL || atomic_fetch_sub(&loaded->holders, 1) > 1) {
        return;
    }
    wipe_secrets(loaded->secrets);
    arena_free(loaded->arena);
    free(loaded);
}

/* ---- what only a restart changes ---- */

static bool keep_number(size_t *fresh, size_t running, const char *section, const char *option,
                        struct strbuf *names) {
    if (*fresh != running) {
        *fresh = running;
        strbuf_addf(names, "%s%s.%s", names->len > 0 ? " " : "", section, option);
    }
    return !strbuf_failed(names);
}

static bool keep_spool(struct settings *fresh, const struct settings *running,
                       struct strbuf *names) {
    if (!slice_eq(fresh->spool, running->spool)) {
        strbuf_addf(names, "%swebhook.spool", names->len > 0 ? " " : "");
        return arena_dup(loaded_of(fresh)->arena, running->spool, &fresh->spool) &&
               !strbuf_failed(names);
    }
    return true;
}

bool settings_keep_fixed(struct settings *fresh, const struct settings *running,
                         enum settings_part part, struct strbuf *names) {
    bool status = part == PART_STATUS;
    const char *own = status ? "status" : "webhook";
    return keep_number(&fresh->max_in_flight, running->max_in_flight, own, "max_in_flight",
                       names) &&
           keep_number(&fresh->connections, running->connections, own, "connections", names) &&
           (status ||
            keep_number(&fresh->max_buffered, running->max_buffered, own, "max_buffered", names)) &&
           keep_spool(fresh, running, names) &&
           (status || keep_number(&fresh->spool_max, running->spool_max, own, "spool_max", names));
}

/* ---- questions ---- */

bool source_allows(const struct source *source, const struct changes *changes) {
    return source->mode == MODE_ANY || !changes->live_known ||
           changes->live == (source->mode == MODE_LIVE);
}

const struct source *settings_source(const struct settings *settings, struct slice name) {
    for (size_t i = 0; i < settings->source_count; i++) {
        if (slice_eq(settings->sources[i].name, name)) {
            return &settings->sources[i];
        }
    }
    return NULL;
}

const struct reading_context *settings_reading(const struct settings *settings, struct slice name) {
    static const struct reading_context plain = {.zone = NULL};
    const struct source *source = settings != NULL ? settings_source(settings, name) : NULL;
    return source != NULL ? &source->reading : &plain;
}

bool settings_client(const struct settings *settings, struct slice token,
                     const struct client **owner) {
    uint8_t digest[SHA256_LEN];
    *owner = NULL;
    if (token.len == 0) {
        return true;
    }
    if (!crypto_sha256(token, digest)) {
        return false;
    }
    struct slice shown = {.data = (const char *)digest, .len = SHA256_LEN};
    for (size_t i = 0; i < settings->client_count; i++) {
        const struct client *client = &settings->clients[i];
        for (size_t k = 0; k < client->token_count; k++) {
            struct slice known = {.data = (const char *)client->token_sha256[k], .len = SHA256_LEN};
            *owner = crypto_equal(shown, known) ? client : *owner;
        }
    }
    return true;
}

const struct client *settings_login(const struct settings *settings, struct slice user) {
    static const struct client anybody = {
        .name = SLICE("remote_user"), .full = true, .all_sources = true};
    if (!settings->remote_user || user.len == 0) {
        return NULL;
    }
    for (size_t i = 0; i < settings->client_count; i++) {
        if (slice_eq(settings->clients[i].name, user)) {
            return &settings->clients[i];
        }
    }
    return &anybody;
}

bool client_may_see(const struct client *client, struct slice source) {
    bool found = client->all_sources;
    for (size_t i = 0; i < client->source_count; i++) {
        found |= slice_eq(client->sources[i], source);
    }
    return found;
}

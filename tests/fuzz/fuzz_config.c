/* The configuration file: whatever stands in it is taken or refused with a line. */
#include "fuzz.h"

#include "adapter/config.h"
#include "adapter/config_text.h"
#include "app/settings.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t lines_of(struct slice text) {
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    return lines;
}

static void check_text(struct slice text) {
    struct arena *arena = arena_new(16u * LIMIT_CONFIG_FILE);
    struct config_text out = {.text = SLICE_EMPTY};
    struct config_flaw flaw = {.line = -1};
    int lines = (int)lines_of(text) + 1;
    REQUIRE(arena);
    if (config_text_prepare(text, arena, &out, &flaw)) {
        int made = (int)lines_of(out.text), previous = 1;
        REQUIRE(made == lines || made == lines - 1);
        REQUIRE(memmem(out.text.data, out.text.len, "\n", 1));
        for (size_t i = 0; i < out.section_count; i++) {
            REQUIRE(out.section_lines[i] >= previous && out.section_lines[i] <= lines);
            previous = out.section_lines[i];
        }
    } else {
        REQUIRE(flaw.reason && flaw.line >= 1 && flaw.line <= lines);
    }
    arena_free(arena);
}

static void check_size(struct slice text) {
    char *copy = fuzz_memory(text.len + 1);
    size_t bytes = 0;
    if (text.len)
        memcpy(copy, text.data, text.len);
    if (config_parse_size(copy, &bytes)) {
        /* Any number of zeros may lead. */
        size_t digits = strspn(copy, "0123456789"), unit = strlen(copy + digits);
        REQUIRE(digits > 0 && (unit == 0 || unit == strlen("KiB")));
    }
    free(copy);
}

static void check_error(const struct err *err, const char *path) {
    REQUIRE(err->kind == ERR_CONFIG);
    REQUIRE(slice_starts_with(slice_from_cstr(err->message), slice_from_cstr(path)));
    for (const char *c = err->message; *c; c++)
        REQUIRE((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void check_settings(const struct settings *settings) {
    REQUIRE(settings->max_body >= 1 && settings->max_body <= LIMIT_BODY);
    REQUIRE(settings->max_in_flight >= 1 && settings->connections >= 1);
    for (size_t i = 0; i < settings->source_count; i++) {
        const struct source *source = &settings->sources[i];
        REQUIRE(source_name_is_valid(source->name) && source->provider);
        REQUIRE(settings_source(settings, source->name) == source);
        REQUIRE(auth_policy_has_credential(&source->policy));
        for (size_t k = 0; k < source->policy.secrets.count; k++)
            REQUIRE(source->policy.secrets.items[k].len > 0);
        for (size_t k = 0; k < source->policy.url_tokens.count; k++)
            REQUIRE(source->policy.url_tokens.items[k].len >= 32);
    }
    const struct client *client;
    REQUIRE(settings_client(settings, SLICE_OF(""), &client) && client == NULL);
    REQUIRE(settings_client(settings, SLICE_OF("a token that nobody has"), &client));
    REQUIRE(client == NULL);
}

static bool load(const char *path, enum settings_part part, char message[512]) {
    struct err err = ERR_INIT;
    struct settings *settings = settings_load(path, part, &err);
    message[0] = '\0';
    if (settings && part == PART_CHECK)
        check_settings(settings);
    if (!settings) {
        check_error(&err, path);
        (void)snprintf(message, 512, "%s", err.message);
    }
    settings_free(settings);
    return settings != NULL;
}

static void check_file(const char *path) {
    static const enum settings_part parts[] = {PART_STATUS, PART_WEBHOOK, PART_ADMIN};
    char first[512], second[512];
    struct err err = ERR_INIT;
    struct config *config = config_read(path, &err);
    bool good = load(path, PART_CHECK, first);
    if (!config)
        check_error(&err, path);
    REQUIRE(config || !good);
    config_free(config);
    REQUIRE(load(path, PART_CHECK, second) == good && strcmp(first, second) == 0);
    for (size_t i = 0; good && i < ARRAY_LEN(parts); i++)
        REQUIRE(load(path, parts[i], first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice text = fuzz_input(data, size), first;
    char path[64];
    int fd = memfd_create("waybill.conf", MFD_CLOEXEC);
    first = text;
    check_text(text);
    check_size(fuzz_line(&first));
    REQUIRE(fd >= 0 && fchmod(fd, 0600) == 0);
    REQUIRE(write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    check_file(path);
    (void)close(fd);
    return 0;
}

#include "cli/action.h"

#include "adapter/json.h"
#include "engine/store_operator.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHO_MAX 512

/* The user of the operating system; behind sudo also the one who called it, as sudo says. */
static struct slice os_user(char text[WHO_MAX]) {
    const struct passwd *entry = getpwuid(getuid());
    const char *caller = getenv("SUDO_USER");
    bool sudo = caller != NULL && caller[0] != '\0';
    if (entry != NULL) {
        (void)snprintf(text, WHO_MAX, "%s%s%s%s", entry->pw_name, sudo ? " (sudo: " : "",
                       sudo ? caller : "", sudo ? ")" : "");
    } else {
        (void)snprintf(text, WHO_MAX, "uid %ld", (long)getuid());
    }
    return slice_cut_utf8(slice_from_cstr(text), WHO_MAX);
}

/* What was asked, without the connection string: options and operands as they were given. */
static void add_arguments(struct strbuf *out, const struct invocation *invocation) {
    const struct command_option *options = invocation->command->options;
    for (size_t i = 0; i < COMMAND_OPTIONS && options[i].name != NULL; i++) {
        const char *value = invocation->values[i];
        if (value != NULL) {
            strbuf_addf(out, "%s--%s%s%s", out->len > 0 ? " " : "", options[i].name,
                        value[0] != '\0' ? " " : "", value);
        }
    }
    for (size_t i = 0; i < invocation->operand_count; i++) {
        strbuf_addf(out, "%s%s", out->len > 0 ? " " : "", invocation->operands[i]);
    }
}

static bool begin(struct action *action, const struct invocation *invocation, struct err *err) {
    char user[WHO_MAX], host[WHO_MAX] = "";
    struct strbuf arguments = STRBUF_INIT(64 * 1024);
    (void)gethostname(host, sizeof(host) - 1);
    add_arguments(&arguments, invocation);
    struct store_action row = {
        .command = slice_from_cstr(invocation->command->name),
        .arguments = strbuf_slice(&arguments),
        .os_user = os_user(user),
        .host = slice_from_cstr(host),
    };
    bool ok = !strbuf_failed(&arguments)
                  ? store_action_begin(action->store, &row, &action->id, err) == STORE_OK
                  : err_set(err, ERR_MEMORY, "the arguments are too long");
    strbuf_free(&arguments);
    return ok;
}

bool action_begin(struct action *action, const struct invocation *invocation, const char *dsn,
                  struct err *err) {
    *action = (struct action){.store = store_new(dsn, "waybill", STORE_PATIENT)};
    if (action->store == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    if (begin(action, invocation, err)) {
        return true;
    }
    store_free(action->store);
    return false;
}

bool action_end(struct action *action, bool done, const struct action_count *counts, size_t count,
                struct err *err) {
    struct strbuf text = STRBUF_INIT(4096);
    struct json_writer writer;
    json_writer_init(&writer, &text);
    json_begin_object(&writer, NULL);
    for (size_t i = 0; i < count; i++) {
        json_put_integer(&writer, counts[i].name, counts[i].value);
    }
    json_end_object(&writer);
    bool ok = !strbuf_failed(&text) && store_action_end(action->store, action->id, done,
                                                        strbuf_slice(&text), err) == STORE_OK;
    strbuf_free(&text);
    store_free(action->store);
    return ok || err_set(err, ERR_MEMORY, "out of memory");
}

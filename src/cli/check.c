/* waybill check: is the configuration good? */
#include "cli/command.h"

#include "adapter/config.h"
#include "app/program.h"
#include "app/settings.h"

#include <stdio.h>

static int run_check(const struct invocation *invocation) {
    struct err err = ERR_INIT;
    if (option_given(invocation, "reference")) {
        struct strbuf text = STRBUF_INIT((size_t)1 << 20);
        config_reference(&text);
        printf("%.*s", SLICE_ARGS(strbuf_slice(&text)));
        strbuf_free(&text);
        return EXIT_DONE;
    }
    struct settings *settings = settings_load(settings_path(), PART_CHECK, &err);
    if (settings == NULL) {
        return command_failed(&err);
    }
    printf("%s: ok, %zu sources, %zu clients\n", settings_path(), settings->source_count,
           settings->client_count);
    settings_free(settings);
    return EXIT_DONE;
}

const struct command check_command = {
    .name = "check",
    .summary = "read the configuration with all its secrets and say what is wrong with it",
    .details =
        "The file is $WAYBILL_CONFIG, else /etc/waybill/waybill.conf. The first flaw is told "
        "with file, line and option, and never a value.",
    .options = {{"reference", NULL,
                 "list all options instead: section, name, type, default, least, most, meaning"}},
    .examples = {"sudo -u waybill waybill check", "WAYBILL_CONFIG=./new.conf waybill check"},
    .run = run_check,
};

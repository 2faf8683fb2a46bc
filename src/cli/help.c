/* waybill help: the table of commands as text, and as the part of the manual page that lists them.
 */
#include "cli/help.h"

#include "app/program.h"

#include <string.h>

#define TEXT_WIDTH 80
#define OPTION_WIDTH 26

/* The options that several commands have, in the words of one place. */
static const struct command_option dsn_option = {
    "dsn", "CONNECTION",
    "libpq connection string or URI of the schema's owner; otherwise $WAYBILL_DSN, otherwise "
    "libpq's own environment (PGHOST, …); root without any of them: database waybill, as the user "
    "postgres"};
static const struct command_option json_option = {"json", NULL, "as JSON"};
static const struct command_option help_option = {"help", NULL, "this text"};

void help_options(const struct command *command, struct command_option options[HELP_OPTIONS]) {
    size_t count = 0;
    for (size_t i = 0; i < COMMAND_OPTIONS && command->options[i].name != NULL; i++) {
        options[count++] = command->options[i];
    }
    if (command->takes_json) {
        options[count++] = json_option;
    }
    if (command->takes_dsn) {
        options[count++] = dsn_option;
    }
    options[count++] = help_option;
    options[count] = (struct command_option){.name = NULL};
}

/* ---- text ---- */

/* Letters, not bytes. */
static size_t width_of(const char *text, size_t len) {
    size_t width = 0;
    for (size_t i = 0; i < len; i++) {
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return width;
}

/* TEXT in lines that begin at column INDENT; the first begins where COLUMN says the cursor is. */
static void print_wrapped(FILE *out, const char *text, int indent, int column) {
    while (*text != '\0') {
        size_t len = strcspn(text, " \n");
        int width = (int)width_of(text, len);
        if (column > indent && column + 1 + width > TEXT_WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        } else if (column < indent) {
            fprintf(out, "%*s", indent - column, "");
            column = indent;
        }
        fprintf(out, "%.*s", (int)len, text);
        column += width;
        text += len;
        if (*text == '\n') {
            fprintf(out, "\n");
            column = 0;
        }
        text += *text != '\0';
    }
    fprintf(out, "\n");
}

static void print_option(FILE *out, const struct command_option *option) {
    int column = fprintf(out, "  --%s%s%s", option->name, option->argument ? " " : "",
                         option->argument ? option->argument : "");
    if (column >= OPTION_WIDTH) {
        fprintf(out, "\n");
        column = 0;
    }
    print_wrapped(out, option->summary, OPTION_WIDTH, column);
}

void help_overview(FILE *out) {
    fprintf(out, "Usage: waybill COMMAND [ARGUMENT…] [OPTION…]\n\n");
    for (size_t i = 0; i < command_count; i++) {
        int column = fprintf(out, "  %-10s ", command_table[i]->name);
        print_wrapped(out, command_table[i]->summary, 13, column);
    }
    fprintf(out, "\n");
    print_option(out, &dsn_option);
    print_option(
        out, &(struct command_option){"help", NULL, "this text; after a command, its own options"});
    print_option(out, &(struct command_option){"version", NULL, "the release"});
    fprintf(out, "\nExamples:\n"
                 "  waybill help rebuild\n"
                 "  waybill check\n"
                 "  waybill migrate --dsn 'host=/var/run/postgresql dbname=waybill user=postgres'\n"
                 "\nExit codes: 0 done, 1 failed, 2 usage or configuration.\n");
}

void help_command_page(FILE *out, const struct command *command) {
    struct command_option options[HELP_OPTIONS];
    fprintf(out, "Usage: waybill %s%s%s [OPTION…]\n\n", command->name, command->operands ? " " : "",
            command->operands ? command->operands : "");
    print_wrapped(out, command->summary, 0, 0);
    if (command->details != NULL) {
        fprintf(out, "\n");
        print_wrapped(out, command->details, 0, 0);
    }
    fprintf(out, "\n");
    help_options(command, options);
    for (const struct command_option *option = options; option->name != NULL; option++) {
        print_option(out, option);
    }
    fprintf(out, "\nExamples:\n");
    for (size_t i = 0; i < COMMAND_EXAMPLES && command->examples[i] != NULL; i++) {
        fprintf(out, "  %s\n", command->examples[i]);
    }
    fprintf(out, "\nExit codes: 0 done, 1 failed, 2 usage or configuration.\n");
}

/* ---- mdoc(7) ---- */

/* A line of text: a dot or quote at its beginning, and a backslash anywhere, mean something to
 * mdoc; sentences begin on lines of their own. */
static void print_mdoc_text(FILE *out, const char *text) {
    bool at_start = true;
    for (; *text != '\0'; text++) {
        if (at_start && (*text == '.' || *text == '\'')) {
            fputs("\\&", out);
        }
        at_start = false;
        if (*text == '\\') {
            fputs("\\e", out);
        } else if (*text == '-') {
            fputs("\\-", out);
        } else if (*text == '\n') {
            fputs("\n.Pp\n", out);
            at_start = true;
        } else if (*text == ' ' && strchr(".:", text[-1]) != NULL) {
            fputc('\n', out);
            at_start = true;
        } else {
            fputc(*text, out);
        }
    }
    fputc('\n', out);
}

static void print_mdoc_command(FILE *out, const struct command *command) {
    struct command_option options[HELP_OPTIONS];
    fprintf(out, ".Ss waybill %s%s%s\n", command->name, command->operands ? " " : "",
            command->operands ? command->operands : "");
    print_mdoc_text(out, command->summary);
    if (command->details != NULL) {
        fprintf(out, ".Pp\n");
        print_mdoc_text(out, command->details);
    }
    help_options(command, options);
    fprintf(out, ".Bl -tag -width Ds\n");
    for (const struct command_option *option = options; option->name != NULL; option++) {
        fprintf(out, ".It Fl -%s%s%s\n", option->name, option->argument ? " Ar " : "",
                option->argument ? option->argument : "");
        print_mdoc_text(out, option->summary);
    }
    fprintf(out, ".El\n.Bd -literal -offset indent\n");
    for (size_t i = 0; i < COMMAND_EXAMPLES && command->examples[i] != NULL; i++) {
        print_mdoc_text(out, command->examples[i]);
    }
    fprintf(out, ".Ed\n");
}

static int run_help(const struct invocation *invocation) {
    if (option_given(invocation, "mdoc")) {
        for (size_t i = 0; i < command_count; i++) {
            print_mdoc_command(stdout, command_table[i]);
        }
        return EXIT_DONE;
    }
    if (invocation->operand_count == 0) {
        help_overview(stdout);
        return EXIT_DONE;
    }
    const struct command *command = command_find(invocation->operands[0]);
    if (command == NULL) {
        return command_misused(invocation, "there is no such command");
    }
    help_command_page(stdout, command);
    return EXIT_DONE;
}

const struct command help_command = {
    .name = "help",
    .operands = "[COMMAND]",
    .most_operands = 1,
    .summary = "list the commands, or show one with its options and examples",
    .options = {{"mdoc", NULL, "all commands as a part of a manual page"}},
    .examples = {"waybill help", "waybill help replay"},
    .run = run_help,
};

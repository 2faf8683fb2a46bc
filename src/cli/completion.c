/* waybill completion: what a shell needs to complete command lines, made from the table. */
#include "cli/help.h"

#include "app/program.h"

#include <stdio.h>
#include <string.h>

static void put_command_names(void) {
    for (size_t i = 0; i < command_count; i++) {
        printf("%s%s", i > 0 ? " " : "", command_table[i]->name);
    }
}

/* The words that a value can be, with spaces between; nothing where it is no choice. */
static void put_choices(const char *value) {
    if (value != NULL && strcmp(value, "[COMMAND]") == 0) {
        put_command_names();
    } else if (value != NULL && strchr(value, '|') != NULL) {
        for (; *value != '\0'; value++) {
            if (strchr("[]", *value) == NULL) {
                putchar(*value == '|' ? ' ' : *value);
            }
        }
    }
}

/* ---- bash ---- */

static void put_bash_options(const struct command_option *options) {
    for (; options->name != NULL; options++) {
        printf("--%s%s", options->name, options[1].name != NULL ? " " : "");
    }
}

/* What may follow "command option", or "command ": choices, else the names of files. */
static void put_bash_values(const struct command *command, const struct command_option *options) {
    for (; options->name != NULL; options++) {
        if (options->argument != NULL) {
            printf("    '%s --%s') words='", command->name, options->name);
            put_choices(options->argument);
            printf("' ;;\n");
        }
    }
}

static void put_bash(void) {
    struct command_option options[HELP_OPTIONS];
    printf("# bash completion for waybill\n_waybill() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words=\n"
           "    case \"$command ${COMP_WORDS[COMP_CWORD-1]}\" in\n");
    for (size_t i = 0; i < command_count; i++) {
        help_options(command_table[i], options);
        put_bash_values(command_table[i], options);
    }
    printf("    *)\n        case $command in\n");
    for (size_t i = 0; i < command_count; i++) {
        help_options(command_table[i], options);
        printf("        %s) words='", command_table[i]->name);
        put_bash_options(options);
        printf(" ");
        put_choices(command_table[i]->operands);
        printf("' ;;\n");
    }
    printf("        esac ;;\n    esac\n    [ \"$COMP_CWORD\" -gt 1 ] || words='");
    put_command_names();
    printf(" --help --version'\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}\n"
           "complete -o default -F _waybill waybill\n");
}

/* ---- zsh ---- */

/* TEXT inside single quotes, with a backslash before each of SPECIAL. */
static void put_zsh_text(const char *text, const char *special) {
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            printf("'\\''");
        } else {
            printf("%s%c", strchr(special, *text) != NULL ? "\\" : "", *text);
        }
    }
}

/* ":what it is called:what it can be", as _arguments reads it. */
static void put_zsh_value(const char *value) {
    printf(":%.*s", (int)strcspn(value + (*value == '['), "]"), value + (*value == '['));
    if (strcmp(value, "FILE") == 0) {
        printf(":_files");
    } else if (strcmp(value, "[COMMAND]") == 0 || strchr(value, '|') != NULL) {
        printf(":(");
        put_choices(value);
        printf(")");
    } else {
        printf(": ");
    }
}

static void put_zsh_command(const struct command *command) {
    struct command_option options[HELP_OPTIONS];
    help_options(command, options);
    printf("    %s) _arguments", command->name);
    for (size_t i = 0; options[i].name != NULL; i++) {
        printf(" \\\n        '--%s%s[", options[i].name, options[i].argument != NULL ? "=" : "");
        put_zsh_text(options[i].summary, "[]:\\");
        printf("]");
        if (options[i].argument != NULL) {
            put_zsh_value(options[i].argument);
        }
        printf("'");
    }
    if (command->operands != NULL) {
        printf(" \\\n        '1%s", command->least_operands == 0 ? ":" : "");
        put_zsh_value(command->operands);
        printf("'");
    }
    printf(" ;;\n");
}

static void put_zsh(void) {
    printf("#compdef waybill\n# zsh completion for waybill\n_waybill() {\n"
           "    local -a commands=(\n");
    for (size_t i = 0; i < command_count; i++) {
        printf("        '%s:", command_table[i]->name);
        put_zsh_text(command_table[i]->summary, "\\");
        printf("'\n");
    }
    printf("    )\n    if (( CURRENT == 2 )); then\n"
           "        _describe -t commands 'command' commands\n"
           "        _describe -o options '(--help --version)'\n        return\n    fi\n"
           "    shift words\n    (( CURRENT-- ))\n    case $words[1] in\n");
    for (size_t i = 0; i < command_count; i++) {
        put_zsh_command(command_table[i]);
    }
    /* As a file in $fpath it is the function's body, else it is read like any script. */
    printf("    esac\n}\n"
           "if [[ $funcstack[1] == _waybill ]]; then\n    _waybill \"$@\"\nelse\n"
           "    compdef _waybill waybill\nfi\n");
}

static int run_completion(const struct invocation *invocation) {
    const char *shell = invocation->operand_count > 0 ? invocation->operands[0] : "bash";
    if (strcmp(shell, "bash") == 0) {
        put_bash();
    } else if (strcmp(shell, "zsh") == 0) {
        put_zsh();
    } else {
        return command_misused(invocation, "the shell is bash or zsh");
    }
    return EXIT_DONE;
}

const struct command completion_command = {
    .name = "completion",
    .operands = "[bash|zsh]",
    .most_operands = 1,
    .summary = "print the completion of command lines for bash, or for zsh",
    .details = "For bash unless given. make install brings both.",
    .examples = {"waybill completion > /etc/bash_completion.d/waybill",
                 "waybill completion zsh > /usr/local/share/zsh/site-functions/_waybill"},
    .run = run_completion,
};

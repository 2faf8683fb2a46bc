/* waybill completion: what a shell needs to complete command lines, made from the table. */
#include "cli/command.h"

#include "app/program.h"

#include <stdio.h>

static void put_words(const struct command *command) {
    for (size_t i = 0; i < COMMAND_OPTIONS && command->options[i].name != NULL; i++) {
        printf("--%s ", command->options[i].name);
    }
    printf("%s%s--help", command->takes_json ? "--json " : "", command->takes_dsn ? "--dsn " : "");
}

static int run_completion(const struct invocation *invocation) {
    (void)invocation;
    printf("# bash completion for waybill\n_waybill() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} words\n"
           "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < command_count; i++) {
        printf("    %s) words='", command_table[i]->name);
        put_words(command_table[i]);
        printf("' ;;\n");
    }
    printf("    *) words= ;;\n    esac\n"
           "    [ \"$COMP_CWORD\" -gt 1 ] || words='");
    for (size_t i = 0; i < command_count; i++) {
        printf("%s ", command_table[i]->name);
    }
    printf("--help --version'\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}\n"
           "complete -o default -F _waybill waybill\n");
    return EXIT_DONE;
}

const struct command completion_command = {
    .name = "completion",
    .summary = "print the completion of command lines for bash",
    .examples = {"waybill completion > /etc/bash_completion.d/waybill"},
    .run = run_completion,
};

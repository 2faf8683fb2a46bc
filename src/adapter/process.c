#include "adapter/process.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void process_keep_to_itself(void) {
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};

    /* The first is enough, and is lost should a set-user-id program be executed; the second is
     * inherited. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
}

void process_hide_argument(char *text) {
    explicit_bzero(text, strlen(text));
}

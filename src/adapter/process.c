#include "adapter/process.h"

#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

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

bool process_act_as(const char *user) {
    if (user == NULL) {
        return seteuid(getuid()) == 0 && setegid(getgid()) == 0;
    }
    const struct passwd *entry = getuid() == 0 ? getpwnam(user) : NULL;
    return entry != NULL && setegid(entry->pw_gid) == 0 && seteuid(entry->pw_uid) == 0;
}

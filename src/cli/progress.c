#include "cli/progress.h"

#include "base/timestamp.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH 40
#define INTERVAL_MS 100

static bool drawn;
static int64_t drawn_at_ms;

void progress_show(int64_t done, int64_t total) {
    int64_t now = monotonic_ms();
    if (!isatty(STDERR_FILENO) || (drawn && now - drawn_at_ms < INTERVAL_MS)) {
        return;
    }
    drawn = true;
    drawn_at_ms = now;
    if (total <= 0) {
        fprintf(stderr, "\r%lld", (long long)done);
    } else {
        int filled = done < total ? (int)(done * BAR_WIDTH / total) : BAR_WIDTH;
        fprintf(stderr, "\r[%.*s%*s] %lld/%lld", filled, "########################################",
                BAR_WIDTH - filled, "", (long long)done, (long long)total);
    }
    fflush(stderr);
}

void progress_end(void) {
    if (drawn) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
    drawn = false;
}

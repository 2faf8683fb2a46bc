/* A bar on stderr for work that takes its time, where stderr is a terminal; nothing elsewhere. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

/* DONE of TOTAL; a TOTAL that is not known is 0. Draws at most ten times a second. */
void progress_show(int64_t done, int64_t total);
/* Takes the bar away; also before anything else is written. */
void progress_end(void);

#endif

/*
 * Which log lines of one kind go out when there are very many: the first ones of each second, then
 * every so manieth. How many were left out can be told when the second is over.
 *
 * The first ones are counted by who is behind the lines, in a few lots, so that one who floods uses
 * up his lot's and hides nobody else's: 32 lots bound what all of them together can write. Pure but
 * for its lock: the time is an argument.
 */
#ifndef BASE_SAMPLER_H
#define BASE_SAMPLER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SAMPLER_LOTS 32

struct sampler {
    uint32_t first; /* of each second and lot go out, then one of EVERY */
    uint32_t every;
    pthread_mutex_t lock;
    int64_t second;
    uint32_t seen[SAMPLER_LOTS];
    uint64_t left_out; /* in that second */
};

#define SAMPLER_INIT(firsts, everieth)                                                             \
    { .first = (firsts), .every = (everieth), .lock = PTHREAD_MUTEX_INITIALIZER }

/* Whether a line goes out. WHO is a hash of who is behind it; NOW_MS a clock that goes forward.
 * *LEFT_OUT lines of a second that is over are to be told now; mostly 0. */
bool sampler_admits(struct sampler *sampler, uint64_t who, int64_t now_ms, uint64_t *left_out);
/* The same without a line: for a clock that ticks, so that the last second is told too. */
uint64_t sampler_left_out(struct sampler *sampler, int64_t now_ms);

#endif

#include "base/sampler.h"

#include <string.h>

/* Begins a new second where it has come; the lock is held. What the old one left out. */
static uint64_t turn(struct sampler *sampler, int64_t now_ms) {
    int64_t second = now_ms / 1000;
    uint64_t left_out = sampler->left_out;
    if (second == sampler->second) {
        return 0;
    }
    sampler->second = second;
    sampler->left_out = 0;
    memset(sampler->seen, 0, sizeof(sampler->seen));
    return left_out;
}

bool sampler_admits(struct sampler *sampler, uint64_t who, int64_t now_ms, uint64_t *left_out) {
    pthread_mutex_lock(&sampler->lock);
    *left_out = turn(sampler, now_ms);
    uint32_t seen = sampler->seen[who % SAMPLER_LOTS]++;
    bool admitted = seen < sampler->first || (seen - sampler->first) % sampler->every == 0;
    sampler->left_out += !admitted;
    pthread_mutex_unlock(&sampler->lock);
    return admitted;
}

uint64_t sampler_left_out(struct sampler *sampler, int64_t now_ms) {
    pthread_mutex_lock(&sampler->lock);
    uint64_t left_out = turn(sampler, now_ms);
    pthread_mutex_unlock(&sampler->lock);
    return left_out;
}

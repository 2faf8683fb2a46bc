/*
 * Condition variables that wait until a time of monotonic_ms(), so that nobody who sets the wall
 * clock makes a wait longer or shorter.
 */
#ifndef BASE_CONDITION_H
#define BASE_CONDITION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Destroyed by pthread_cond_destroy(). */
void condition_init(pthread_cond_t *condition);
/* pthread_cond_wait(), but no longer than until UNTIL_MS of monotonic_ms(); false at that time. */
bool condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ms);

#endif

#include "app/current.h"

#include <pthread.h>
#include <stdlib.h>

struct current {
    pthread_mutex_t lock; /* between the look at SETTINGS and one more holder of it */
    const struct settings *settings;
};

struct current *current_new(const struct settings *settings) {
    struct current *current = calloc(1, sizeof(*current));
    if (current != NULL) {
        pthread_mutex_init(&current->lock, NULL);
        current->settings = settings;
    }
    return current;
}

void current_free(struct current *current) {
    if (current != NULL) {
        settings_free(current->settings);
        pthread_mutex_destroy(&current->lock);
        free(current);
    }
}

const struct settings *current_take(struct current *current) {
    pthread_mutex_lock(&current->lock);
    const struct settings *settings = settings_hold(current->settings);
    pthread_mutex_unlock(&current->lock);
    return settings;
}

void current_replace(struct current *current, const struct settings *settings) {
    pthread_mutex_lock(&current->lock);
    const struct settings *old = current->settings;
    current->settings = settings;
    pthread_mutex_unlock(&current->lock);
    settings_free(old);
}

/*
 * What a sender shows: request headers that auth_check() passes, made from the policy of a source.
 *
 * Pure. Of several values of one kind the first is shown. What is made holds secrets: the
 * caller wipes it.
 */
#ifndef DOMAIN_SIGN_H
#define DOMAIN_SIGN_H

#include "base/strbuf.h"
#include "domain/auth.h"

struct sign_message {
    struct slice body;
    /* Of Standard Webhooks. */
    struct slice id;
    int64_t sent_at; /* microseconds */
};

/*
 * Appends the headers to OUT, each "Name: value" and a NUL. False when POLICY has no value for a
 * kind that it demands (its secrets are not loaded), without memory, or when hashing fails.
 */
MUST_CHECK bool sign_headers(const struct auth_policy *policy, const struct sign_message *message,
                             struct strbuf *out);

#endif

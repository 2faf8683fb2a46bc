/*
 * The senders. A provider is one file under domain/providers/ and one row of the table in
 * provider.c: its name, how it signs unless the configuration says otherwise, and one pure function
 * from a JSON document to a list of changes.
 *
 * Adding one touches nothing else but a golden folder (tests/golden/<name>/) and its docs.
 */
#ifndef DOMAIN_PROVIDER_H
#define DOMAIN_PROVIDER_H

#include "adapter/json.h"
#include "domain/auth.h"
#include "domain/change.h"

struct provider {
    struct slice name; /* in the configuration, the rows and the documents */
    /* How it signs by default; kind SIGNATURE_NONE where it presents a credential of the receiver's
     * choice. */
    struct auth_signature signature;
    /* Top-level member that counts resends and is not content; NULL: none. */
    const char *resend_counter;
    /* Request headers beside the signature's that are kept with a delivery; NULL-terminated, may be
     * NULL. */
    const char *const *kept_headers;
    /* It can speak of another source's order (changes.order_source), where the configuration lets
     * it. */
    bool names_sources;
    /* The events to subscribe to at the sender, as it spells them: those that lead to rows.
     * NULL-terminated, may be NULL. */
    const char *const *events;
    /*
     * Reads DOC into *changes (which the caller has prepared with changes_init()); all memory from
     * ARENA, nothing points into DOC. A pure function of DOC and CONTEXT. *reading says what became
     * of it; false only without memory.
     */
    MUST_CHECK bool (*read)(const struct json *doc, const struct reading_context *context,
                            struct arena *arena, struct changes *changes, enum reading *reading);
};

/* The row of NAME; NULL when there is none. */
const struct provider *provider_find(struct slice name);
/* All rows, for help texts and tests. */
const struct provider *provider_table(size_t *count);

#endif

/*
 * A webhook ready for the store: what it is, who sent it, what it says, under which identities.
 *
 * Made by a use case in the thread that parsed the webhook, so that hashing is not the committers'
 * work. All of it is borrowed from the request's arena.
 */
#ifndef ENGINE_DELIVERY_H
#define ENGINE_DELIVERY_H

#include "adapter/crypto.h"
#include "domain/change.h"

enum delivery_outcome {
    OUTCOME_APPLIED,
    OUTCOME_IGNORED,
    OUTCOME_QUARANTINED,
    OUTCOME_DUPLICATE,
    OUTCOME_REFUSED, /* the source's share for quarantined bodies is used up: not stored */
};

/* A source whose orders the deliveries of another one may speak of. */
struct order_owner {
    struct slice source, provider;
    struct slice tracking_url_template;
    bool takes_live, takes_sandbox;
};

struct delivery {
    /* Filled by the use case. */
    struct slice source, provider;
    /* Whose orders it may speak of beside those of its own source. */
    const struct order_owner *owners;
    size_t owner_count;
    /* The provider of the order it speaks of, where it was found before that it may; else empty,
     * and filled by delivery_identify(). */
    struct slice order_provider;
    struct slice content; /* canonical; empty: the body is recognised by its bytes */
    struct slice body;
    struct slice headers; /* JSON object of the kept request headers */
    struct slice tracking_url_template;
    int64_t received_at;
    enum reading reading;
    struct changes changes;
    size_t quarantine_max;

    /* Filled by delivery_identify(). */
    struct slice order_source; /* of the order it speaks of */
    struct uuid id;
    bool has_order;
    struct uuid order;
    struct uuid *box_keys;                          /* of changes.boxes */
    struct uuid *event_keys, *event_box_keys;       /* of changes.events */
    struct uuid *document_keys, *document_box_keys; /* of changes.documents */
    struct uuid manifest;
    uint8_t body_sha256[SHA256_LEN];

    /* Filled by the store. */
    enum delivery_outcome outcome;
};

/* Finds whose order it is, and derives all identities, with memory of ARENA. A delivery that speaks
 * of an order which it may not speak of becomes a quarantined one. False without memory or when
 * hashing fails. */
MUST_CHECK bool delivery_identify(struct delivery *delivery, struct arena *arena);
/* Turns a delivery whose changes the database refuses into a quarantined one with DETAIL; its
 * identity is then that of its bytes. False when hashing fails. */
MUST_CHECK bool delivery_quarantine(struct delivery *delivery, struct slice detail);
/* "applied", … as the contract spells it. */
struct slice delivery_outcome_name(enum delivery_outcome outcome);
/* The outcome of that name; false when there is none. */
MUST_CHECK bool delivery_outcome_find(struct slice name, enum delivery_outcome *outcome);

#endif

/*
 * What one webhook says, as claims: each on one register, with the key by which it stands against
 * the claims of other webhooks. For explaining a state, not for making it: schema/, function
 * waybill_data.apply, does that with the same keys. Pure.
 */
#ifndef DOMAIN_CLAIM_H
#define DOMAIN_CLAIM_H

#include "domain/change.h"

enum fact {
    FACT_OWN_STATUS, /* the order's */
    FACT_ORDER_NUMBER,
    FACT_EXTERNAL_REFERENCE,
    FACT_SEND_DATE,
    FACT_COURIER_ID,
    FACT_DESTINATION,
    FACT_BOX_LIST,
    FACT_STATUS, /* a box's, as all that follow */
    FACT_REMOVED,
    FACT_DELIVERED_AT,
    FACT_SHIPPED_AT,
    FACT_TRACKING_NUMBER,
    FACT_CARRIER,
    FACT_TRACKING_URL,
    FACT_TRACKING_URL_TEMPLATE,
    FACT_ESTIMATED_DELIVERY_DATE,
    FACT_ESTIMATED_DELIVERY_AT,
    FACT_PICKUP_POINT,
    FACT_ITEMS,
    FACT_WAS_DELAYED,
    FACT_HAD_FAILED_ATTEMPT,
    FACT_LABEL_URL,
    FACT_SIGNED_BY,
    FACT_PROOF_OF_DELIVERY,
    FACT_DOCUMENT,
    FACT_EVENT, /* a row of the history */
    FACT_COUNT
};

/* Which of several claims stands. */
enum fact_rule {
    RULE_LATEST,   /* the latest; null says nothing */
    RULE_STATUS,   /* the firmest phase, of these the latest */
    RULE_EARLIEST, /* the earliest time; the sender's own before one taken from a status */
    RULE_EVER,     /* once said it stays */
    RULE_SNAPSHOT, /* the latest version of one row of the history */
};

/* "order_number" as schema/ names the register; false when there is none such. */
bool fact_from_name(struct slice name, enum fact *fact);
struct slice fact_name(enum fact fact);
enum fact_rule fact_rule(enum fact fact);
/* "latest", … */
struct slice fact_rule_name(enum fact_rule rule);

struct claim {
    enum fact fact;
    struct slice box_id; /* empty: the order */
    /* Which row of the history (its key in hex), which paper (kind, space, link); else empty. */
    struct slice item;
    struct slice key;   /* the register's; of a fact without a register, a fact_key */
    struct slice value; /* JSON */
    int64_t earliest;   /* RULE_EARLIEST: the time */
    bool derived;       /* RULE_EARLIEST: taken from a status */
};

/*
 * The claims of CHANGES (READING_APPLIED, with an order), the webhook being DELIVERY and
 * EVENT_KEYS the identities of its history rows. FULL: with personal data, which is left out
 * otherwise. *claims is ARENA's. False without memory.
 */
MUST_CHECK bool claims_read(const struct changes *changes, const struct uuid *delivery,
                            const struct uuid *event_keys, bool full, struct arena *arena,
                            struct claim **claims, size_t *count);

/* Who set a register, read from its KEY; false when it is none of RULE. */
MUST_CHECK bool claim_key_origin(enum fact_rule rule, struct slice key, struct uuid *delivery,
                                 int64_t *version_at);

/* Why the claim with the key LOSER lost against WINNER: "older", "unknown", … (docs/polling.md);
 * "unread" when it should not have. */
struct slice claim_loss(enum fact_rule rule, struct slice winner, struct slice loser);

#endif

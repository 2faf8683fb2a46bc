/*
 * The keys of registers: of two claims on one fact the one with the greater key stands.
 *
 * Keys compare with memcmp: numbers are big-endian, signed ones with the sign bit flipped; the one
 * text in them (provider_status, which has no NUL) ends with a NUL, so that a word sorts before its
 * own continuations. A key holds, in this order, the phase (of a status only), version_at, the
 * sender's own number of the webhook, rank and word (of a status only), and last the delivery and
 * the number of the change in it. Keys are stored (domain/registers.h).
 *
 * Pure.
 */
#ifndef DOMAIN_REGISTER_KEY_H
#define DOMAIN_REGISTER_KEY_H

#include "base/attr.h"
#include "base/strbuf.h"
#include "domain/change.h"

/* What one delivery's keys have in common. */
struct key_base {
    int64_t version_at;
    int64_t number; /* the sender's own, which orders webhooks of one instant; 0: it has none */
    const struct uuid *delivery;
};

/* Appends the key of every fact but a status, and of a row of the history. CHANGE is the number
 * of the change in its delivery, at most LIMIT_CHANGES. */
void fact_key(struct strbuf *out, const struct key_base *base, uint32_t change);
/* Appends the key of a status. OF_ORDER: an order's own status has only the phases unknown and
 * open, so that the latest word stands. */
void status_key(struct strbuf *out, const struct status_report *report, bool of_order,
                const struct key_base *base, uint32_t change);

/* The parts of a key. */
struct key_parts {
    bool is_status;
    uint8_t phase, rank; /* of a status, as is the word */
    struct slice word;
    int64_t version_at, number;
    struct uuid delivery;
    uint16_t change;
};

/* The word lies in KEY. False when KEY does not have the form of a key. */
MUST_CHECK bool key_split(struct slice key, struct key_parts *parts);
/* The key of PARTS, in ARENA. False without memory alone. */
MUST_CHECK bool key_join(const struct key_parts *parts, struct arena *arena, struct slice *key);

/* Who set the register that has KEY; false when KEY does not have the form of a key. */
MUST_CHECK bool key_origin(struct slice key, struct uuid *delivery, int64_t *version_at);
/* Why the claim with the key LOSER lost against WINNER: "older", "unknown", … (docs/polling.md);
 * "unread" when it should not have. */
struct slice key_loss(enum fact_rule rule, struct slice winner, struct slice loser);

#endif

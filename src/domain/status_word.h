/*
 * The vocabulary: every status an order or a box can have, with its rank and its phase.
 *
 * Rank and phase are part of the key by which status reports are compared (domain/register_key.h),
 * so a change here changes which report wins: the numbers stand in schema/ too.
 */
#ifndef DOMAIN_STATUS_WORD_H
#define DOMAIN_STATUS_WORD_H

#include "base/slice.h"
#include "base/strbuf.h"

enum status {
    STATUS_UNKNOWN,
    STATUS_PENDING,
    STATUS_PRE_TRANSIT,
    STATUS_IN_TRANSIT,
    STATUS_OUT_FOR_DELIVERY,
    STATUS_ATTEMPT_FAILED,
    STATUS_AVAILABLE_FOR_PICKUP,
    STATUS_EXCEPTION,
    STATUS_RETURNING,
    STATUS_EXPIRED,
    STATUS_DELIVERED,
    STATUS_FAILED,
    STATUS_RETURNED,
    STATUS_CANCELLED,
    STATUS_PARTIALLY_DELIVERED, /* of an order only, always derived: no sender reports it */
};
#define STATUS_COUNT (STATUS_PARTIALLY_DELIVERED + 1)

/* How firmly a status stands against others of one box: the greater phase wins whatever the time.
 */
enum phase {
    PHASE_UNKNOWN = -1,
    PHASE_WEAK = 0,
    PHASE_OPEN = 1,
    PHASE_STICKY = 2,
};

/* The word that the answers and the views show: "in_transit". */
struct slice status_name(enum status status);
/* The status of a word; false when there is none such. */
bool status_from_name(struct slice name, enum status *status);
/* 0 for unknown to 96 for cancelled. */
int status_rank(enum status status);
/* Of a box's status that is not weak. */
enum phase status_phase(enum status status);

/* One word of a sender's vocabulary. A provider keeps a table of them. */
struct status_word {
    struct slice word; /* as the sender documents it */
    enum status status;
    struct slice detail; /* status_detail; empty: none */
    bool weak;           /* phase 0: shows only while nothing better is known */
    bool delayed;        /* sets was_delayed */
};

/*
 * Senders' words compare after trimming, without ASCII case, with blanks, '-' and '_' alike, and
 * with "canceled" and "cancelled" as one word.
 */
bool status_word_eq(struct slice a, struct slice b);
/* WORD as it is compared, appended to OUT: in the identity of a row of the history. Longer than
 * LIMIT_ID fails OUT. */
void status_word_fold(struct slice word, struct strbuf *out);
/* The status that a sender names in the vocabulary's own words; STATUS_UNKNOWN for another word,
 * and for partially_delivered, which no sender reports. */
enum status status_from_word(struct slice word);
/* The row of WORD; NULL when the table has none. */
const struct status_word *status_word_find(const struct status_word *words, size_t count,
                                           struct slice word);
/* The same for a table that is an array. */
#define STATUS_WORD_IN(table, word) status_word_find((table), ARRAY_LEN(table), (word))

#endif

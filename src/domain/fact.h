/*
 * The facts: what is known of an order and of a box, one row each. The rows drive folding
 * (domain/fold.h), storing (engine/state_rows.h), explaining (app/explain.h) and the documentation.
 * A new fact is one row here, one column of its name in schema/migrations/, and its line in a view.
 *
 * Pure data.
 */
#ifndef DOMAIN_FACT_H
#define DOMAIN_FACT_H

#include "base/slice.h"

/*
 * F(CONSTANT, name, TYPE, SCOPE, number, text): facts that every provider may report as a member of
 * its order_change or box_change and that the rule of their type merges. NAME is the member, the
 * column and the name in an explanation. NUMBER is stored: it says whose key a register is
 * (domain/registers.h), so it is never changed and never used again.
 */
#define ORDER_FACTS(F)                                                                             \
    F(ORDER_NUMBER, order_number, TEXT, PUBLIC, 1, "The number that the shop's customer knows.")   \
    F(EXTERNAL_REFERENCE, external_reference, TEXT, PUBLIC, 2, "The shop's own reference.")        \
    F(SEND_DATE, send_date, TIME, PUBLIC, 3, "When the order is to be sent.")                      \
    F(COURIER_ID, courier_id, TEXT, PUBLIC, 4, "The sender's id of the courier.")                  \
    F(DESTINATION, destination, JSON, PERSONAL, 5, "Name and address of the recipient.")

#define BOX_FACTS(F)                                                                               \
    F(TRACKING_NUMBER, tracking_number, TEXT, PUBLIC, 3, "The carrier's number.")                  \
    F(CARRIER, carrier, TEXT, PUBLIC, 4, "The carrier, as the sender names it.")                   \
    F(TRACKING_URL, tracking_url, TEXT, PUBLIC, 5, "The sender's link to the tracking page.")      \
    F(TRACKING_URL_TEMPLATE, tracking_url_template, TEXT, PUBLIC, 6,                               \
      "The source's template, which makes the link where the sender gives none.")                  \
    F(ESTIMATED_DELIVERY_DATE, estimated_delivery_date, DATE, PUBLIC, 7,                           \
      "The day on which delivery is expected.")                                                    \
    F(ESTIMATED_DELIVERY_AT, estimated_delivery_at, TIME, PUBLIC, 8,                               \
      "The time at which delivery is expected.")                                                   \
    F(PICKUP_POINT, pickup_point, JSON, PUBLIC, 9, "Where the box waits for its recipient.")       \
    F(ITEMS, items, JSON, PUBLIC, 10, "What is in the box.")                                       \
    F(WAS_DELAYED, was_delayed, FLAG, PUBLIC, 11, "The sender has reported a delay.")              \
    F(HAD_FAILED_ATTEMPT, had_failed_attempt, FLAG, PUBLIC, 12, "A delivery attempt has failed.")  \
    F(LABEL_URL, label_url, TEXT, PERSONAL, 13, "Link to the label.")                              \
    F(SIGNED_BY, signed_by, TEXT, PERSONAL, 14, "The name of the person who signed.")              \
    F(PROOF_OF_DELIVERY, proof_of_delivery, TEXT, PERSONAL, 15, "Link to the proof of delivery.")

#define FACT_CONSTANT(constant, name, type, scope, number, text) FACT_##constant,
/* In the order in which an explanation shows them. */
enum fact {
    FACT_OWN_STATUS, /* the order's */
    ORDER_FACTS(FACT_CONSTANT) FACT_BOX_LIST,
    FACT_STATUS, /* a box's, as all that follow */
    FACT_REMOVED,
    FACT_DELIVERED_AT,
    FACT_SHIPPED_AT,
    BOX_FACTS(FACT_CONSTANT) FACT_DOCUMENT,
    FACT_EVENT, /* a row of the history */
    FACT_COUNT
};
#undef FACT_CONSTANT

enum fact_type {
    FACT_TYPE_TEXT, /* struct slice; empty: not said */
    FACT_TYPE_JSON, /* struct slice of a JSON text; empty: not said */
    FACT_TYPE_TIME, /* int64_t; TIMESTAMP_NONE: not said */
    FACT_TYPE_DATE, /* int32_t; DATE_NONE: not said */
    FACT_TYPE_FLAG, /* bool; false: not said */
    FACT_TYPE_LIST, /* several texts */
    FACT_TYPE_GROUP /* several columns: a status, a paper, a row of the history */
};

/* The members that a struct of changes has for its facts. */
#define FACT_MEMBER(constant, name, type, scope, number, text) FACT_MEMBER_##type name;
#define FACT_MEMBER_TEXT struct slice
#define FACT_MEMBER_JSON struct slice
#define FACT_MEMBER_TIME int64_t
#define FACT_MEMBER_DATE int32_t
#define FACT_MEMBER_FLAG bool

/* Which of several claims stands. */
enum fact_rule {
    RULE_LATEST,   /* the greatest key; null says nothing */
    RULE_STATUS,   /* the same; the key begins with the phase, so the firmest stands */
    RULE_EARLIEST, /* the earliest time; the sender's own before one taken from a status */
    RULE_EVER,     /* once said it stays */
    RULE_SNAPSHOT, /* the greatest key among the versions of one row of the history */
};

enum fact_subject { SUBJECT_ORDER, SUBJECT_BOX };

struct fact_row {
    struct slice name; /* "order_number" */
    enum fact_subject subject;
    enum fact_type type;
    enum fact_rule rule;
    bool personal;     /* shown to the scope full alone, and erased by a purge */
    int number;        /* of its register; -1: it has no key */
    size_t offset;     /* of its member in order_change or box_change; FACT_NO_MEMBER: none */
    struct slice text; /* for the documentation */
};
#define FACT_NO_MEMBER ((size_t)-1)

/* The row of FACT. */
const struct fact_row *fact_row(enum fact fact);
/* "latest", … */
struct slice fact_rule_name(enum fact_rule rule);

#endif

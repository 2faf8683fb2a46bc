/*
 * The state of an order: what all webhooks folded so far say of it, and what is known of its rows
 * in the database. Changed by domain/fold.h alone; domain/shown.h derives what users see.
 *
 * Pure data. Everything lives in one arena or is borrowed from what it was read from.
 */
#ifndef DOMAIN_ORDER_STATE_H
#define DOMAIN_ORDER_STATE_H

#include "domain/change.h"
#include "domain/registers.h"

/* The value of a fact with a row in ORDER_FACTS or BOX_FACTS. */
struct fact_value {
    struct slice text; /* TEXT and JSON; empty: nothing is known */
    int64_t number;    /* TIME and DATE: VALUE_NONE: nothing is known; FLAG: 0 or 1 */
};
#define VALUE_NONE INT64_MIN

/* Where a row stands against the database. */
enum row_state {
    ROW_NEW,     /* it is not stored yet */
    ROW_STORED,  /* as it is stored */
    ROW_CHANGED, /* stored, and differs by now */
};
/* A row that is stored differs from now on. */
void mark_changed(enum row_state *row);

/* A status as users see it. */
struct shown_status {
    enum status status;
    struct slice detail;
    int64_t at;
};

struct box_state {
    struct uuid key; /* first: domain/uuid_map.h */
    struct uuid order_key;
    enum row_state row;
    struct slice box_id;
    struct status_report status; /* as the sender reports it */
    int64_t shipped_at;          /* the sender's own where its register has a key, else derived */
    int64_t delivered_at;
    int64_t last_open_at;  /* the latest time of an open status */
    int64_t last_moved_at; /* the same of one of rank in_transit or more */
    struct fact_value values[FACT_COUNT];
    struct registers registers;
    /* Bit of a fact: its text is the digest of what is stored (fact_digest()), since the reader may
     * not see the value. */
    uint32_t digests;
    /* Derived by shown_box(). */
    bool removed;
    struct shown_status shown;
    struct slice shown_url;
    /* While removed: what was reported, as the row keeps it beside what is shown. */
    struct shown_status reported;
};

/* A row of the history of a box. */
struct event_state {
    struct uuid key; /* first */
    struct uuid order_key, box_key, delivery;
    enum row_state row;
    int64_t occurred_at, stored_occurred_at;
    enum status status;
    struct slice detail, provider_status, location, message, previous_status, stands_for;
    bool message_is_digest; /* of what is stored */
    struct registers registers;
};
/* The registers of a row of the history: the status with detail and provider status, and what else
 * webhooks say of one happening. Of a row with the sender's own id the first is that of the whole
 * row. */
enum event_register {
    REGISTER_EVENT,
    REGISTER_EVENT_LOCATION,
    REGISTER_EVENT_MESSAGE,
    REGISTER_EVENT_PREVIOUS,
    REGISTER_EVENT_STANDS_FOR,
    EVENT_REGISTERS
};

struct document_state {
    struct uuid key; /* first */
    struct uuid order_key, box_key;
    enum row_state row;
    struct slice kind, url;
};

/* A row of the order's own history; one delivery says it once. */
struct order_change_state {
    struct uuid key; /* first: the delivery */
    struct uuid order_key;
    struct order_field_change change;
    struct slice field; /* "status", … */
    struct order_change_state *next;
};

struct manifest_state {
    struct uuid key; /* first */
    enum row_state row;
    struct slice source;
    bool live;
    struct manifest manifest;
    struct registers registers; /* REGISTER_MANIFEST alone */
};
#define REGISTER_MANIFEST 0

/* The boxes of one status, taken together. */
struct box_summary {
    int64_t count;
    int64_t status_at;     /* the latest */
    int64_t shipped_at;    /* the earliest */
    int64_t delivered_at;  /* the latest */
    int64_t last_moved_at; /* the latest time of an open status of rank in_transit or more */
    bool moved_after_delivered;
    bool moved_after_end; /* of a failed or cancelled box: later than its status_at */
};

/* What is derived of an order as a whole. */
struct shown_order {
    enum status status;
    int64_t status_at;
    unsigned attention; /* bits of domain/shown.h */
    int64_t boxes_total, boxes_delivered;
    int64_t shipped_at, delivered_at;
    int64_t first_event_at, last_event_at;
    int rule; /* 1 to 7: which one gave the status */
};

struct order_state {
    struct uuid key; /* first */
    enum row_state row;
    struct slice source, provider, order_id;
    bool live;
    int64_t version, updated_at;
    int64_t first_seen_at; /* when the first webhook of it was received */
    int64_t writes;
    enum status own_status; /* STATUS_COUNT: the sender reports none */
    struct slice own_provider_status, own_status_detail;
    int64_t own_status_at;
    struct fact_value values[FACT_COUNT];
    struct registers registers;
    uint32_t digests;
    struct slice *box_list; /* the sender's newest; its register says whether there is one */
    size_t box_list_count;
    struct uuid_map boxes, events, documents;
    struct order_change_state *order_changes; /* the new ones */
    /* The boxes that are stored and not in BOXES, by status. */
    struct box_summary others[STATUS_COUNT];
    /* The document differs from the stored one in a value that is not derived. */
    bool changed;
    /* As it is stored it has moved already, and has no rows. */
    bool has_no_rows;
    /* It is to be announced: VERSION is a new one. */
    bool is_in_feed;
    /* A stored row of the history moved that was the first or the last: the span of the others is
     * to be read again, into others_first and others_last. */
    bool span_is_lost;
    int64_t others_first, others_last;
    /* stored: as read from the database; shown: derived by shown_order(). */
    struct shown_order stored, shown;
};

/* Register numbers with code of their own: the order's, and a box's. */
#define REGISTER_OWN_STATUS 0
#define REGISTER_BOX_LIST 6
#define REGISTER_STATUS 0
#define REGISTER_DELIVERED_AT 1
#define REGISTER_SHIPPED_AT 2

/* Whether another order took the place of ORDER, which then keeps no boxes. */
bool has_moved(const struct order_state *order);

/* States that say nothing. */
void box_summaries_init(struct box_summary summaries[STATUS_COUNT]);
void order_state_init(struct order_state *order);
void box_state_init(struct box_state *box);
void event_state_init(struct event_state *event);

/* "status", …: FIELD as the rows name it. */
struct slice order_field_name(enum order_field field);

/* The member of CHANGE (an order_change or a box_change) for the fact of ROW. */
struct fact_value fact_said(const struct fact_row *row, const void *change);
/* Whether VALUE says anything. */
bool fact_is_said(const struct fact_row *row, const struct fact_value *value);

/* What may be read back of a personal text instead of the text: the hex of its SHA-256. False when
 * hashing fails or without memory. */
MUST_CHECK bool fact_digest(struct slice text, struct arena *arena, struct slice *digest);

#endif

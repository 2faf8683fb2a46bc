/*
 * What one webhook says, in the project's own terms: the normalised changes that every provider
 * produces and that the store writes.
 *
 * Pure data, owned by the request's arena. Slices are UTF-8 without U+0000; the empty slice,
 * TIMESTAMP_NONE, DATE_NONE and -1 for a count mean "says nothing about it", which never erases
 * what is known. domain/fold.h merges the facts of several webhooks (registers).
 */
#ifndef DOMAIN_CHANGE_H
#define DOMAIN_CHANGE_H

#include "base/arena.h"
#include "base/strbuf.h"
#include "base/timestamp.h"
#include "domain/fact.h"
#include "domain/status_word.h"
#include "domain/uuid_map.h"

/* As text in lower case with dashes, and back from either case. */
#define UUID_TEXT 37
void uuid_format(const struct uuid *uuid, char text[UUID_TEXT]);
MUST_CHECK bool uuid_parse(struct slice text, struct uuid *uuid);

/* One status as the sender reports it. */
struct status_report {
    enum status status;
    bool weak;
    struct slice provider_status; /* the sender's own word, verbatim; empty: none */
    struct slice detail;
    int64_t at; /* the time shown; TIMESTAMP_NONE: none */
    struct slice location;
    int64_t next_attempt_at;
};

/* What a webhook says of its order itself. */
struct order_change {
    bool has_status;
    struct status_report status;
    /* destination is a JSON object with all keys of the contract. */
    ORDER_FACTS(FACT_MEMBER)
    /* The complete list of the order's boxes at this time, where the sender gives one. */
    bool has_box_list;
    struct slice *box_list;
    size_t box_list_count;
};

/* What a webhook says of one box. */
struct box_change {
    struct slice box_id;
    bool has_status;
    struct status_report status;
    int64_t shipped_at; /* the sender's own; the earliest stands */
    /* pickup_point is a JSON object of the contract, items a JSON array of {"id","quantity"}; the
     * template of tracking_url is the configuration's. */
    BOX_FACTS(FACT_MEMBER)
    /* The carrier is the one that the configuration names for boxes whose sender names none: any
     * that a sender names stands before it. */
    bool carrier_is_default;
};

/* What the configuration says of how a source's documents are read. */
struct reading_context {
    const struct zone *zone; /* of times that carry none; NULL: UTC */
    struct slice carrier;    /* of boxes whose sender names none; empty: none */
};

/* One row of a box's history. */
struct tracking_event {
    struct slice box_id;
    /* The sender's identity of this row when several webhooks carry it again (Shipup's
     * events[].id): later ones correct it as a whole. Empty: webhooks that report the same provider
     * status of the box at the same instant share a row. */
    struct slice sender_event_id;
    int64_t occurred_at;
    enum status status;
    struct slice detail, provider_status, location, message;
    /* The status the sender says the box had before; empty: it does not say. */
    struct slice previous_status;
    /* Further words that this event counts as when gaps are looked for, separated by '|'
     * ("EXCEPTION|DELIVERY_FAILED"). */
    struct slice stands_for;
};

/* A link to a paper that belongs to a box. All stay: a union by (kind, url). */
struct document {
    struct slice box_id, kind, url;
};

enum order_field { FIELD_STATUS, FIELD_SEND_DATE, FIELD_COURIER, FIELD_DESTINATION };
#define ORDER_FIELDS (FIELD_DESTINATION + 1)

/*
 * A change of the order itself, for the history of the order. Values are the sender's words; of a
 * send date the time as RFC 3339 with milliseconds; of a destination only country, zip and city,
 * joined by a space.
 */
struct order_field_change {
    enum order_field field;
    struct slice previous_value, new_value;
    int64_t occurred_at;
};

struct manifest {
    struct slice shipment_id, awb_number, country;
    int64_t parcel_count; /* -1: not said */
    int64_t submitted_at;
};

/* What became of reading one document. */
enum reading {
    READING_APPLIED,     /* understood, changes below */
    READING_IGNORED,     /* understood and kept, nothing for the rows */
    READING_URL_CHECK,   /* the provider tests the URL: answered, not kept, of no mode */
    READING_QUARANTINED, /* unknown event, or a required field missing or of a wrong type: detail
                            says which */
};

struct changes {
    /* Filled as far as known, also when quarantined. */
    struct slice event_type;
    bool event_known;      /* the type is one that this release knows */
    struct slice event_id; /* empty: the sender gives none */
    /* Set by reader_end() (domain/fields.h) alone. Known of every READING_APPLIED. */
    bool live_known, live;
    /* For READING_QUARANTINED: the JSON path and what is wrong with it. Otherwise "ignored: " and
     * the paths of the optional fields that were of no use; empty when all were read. Never a
     * value of the sender's. */
    struct slice detail;

    /* For READING_APPLIED. */
    int64_t version_at; /* orders the facts of one order; a pure function of the body */
    int64_t number;     /* the sender's own number of the webhook (Shipup's id); 0: it has none */
    struct slice order_id; /* empty: a manifest, which belongs to no order */
    /* The id of the provisional order in whose place ORDER_ID stands, of the same source: parcels
     * that came before their order was named. Empty: it has none. */
    struct slice moved_from;
    /* The source whose order it is, and where the document names it; empty: the one that the
     * webhook came to. Whether that may be is the configuration's business. */
    struct slice order_source;
    const char *order_source_path;
    struct order_change order;
    struct box_change *boxes;
    size_t box_count;
    struct tracking_event *events;
    size_t event_count;
    struct document *documents;
    size_t document_count;
    struct order_field_change *order_changes;
    size_t order_change_count;
    bool has_manifest;
    struct manifest manifest;
};

/* Everything that says nothing: zero, and none for every time, date and count. */
void changes_init(struct changes *changes);
void status_report_init(struct status_report *report);
void box_change_init(struct box_change *box);
void tracking_event_init(struct tracking_event *event);

/*
 * ---- identities ----
 * UUIDv8 of a SHA-256 over length-prefixed fields, the first of which names the kind of identity.
 * LIVE is the field "true" or "false". They are stored: changing one makes every known row a
 * stranger. False only when hashing fails.
 */

MUST_CHECK bool order_key(struct slice source, bool live, struct slice order_id, struct uuid *key);
MUST_CHECK bool box_key(const struct uuid *order, struct slice box_id, struct uuid *key);
MUST_CHECK bool manifest_key(struct slice source, bool live, struct slice shipment_id,
                             struct uuid *key);
/*
 * The first eight bytes come from (source, live, event id), the last eight from the canonical
 * content: deliveries of one event id with other content stand next to each other in the primary
 * key, so that `conflict` is one index look-up. Without an event id the first eight come from the
 * content too, and two ids share them only when the content is the same.
 */
MUST_CHECK bool delivery_id(struct slice source, bool live, struct slice event_id,
                            struct slice content, struct uuid *id);
/* A delivery that could not be understood is recognised by its bytes. */
MUST_CHECK bool quarantined_delivery_id(struct slice source, struct slice body, struct uuid *id);
/* The row of a box's history that EVENT belongs to: by the sender's own id, else by the happening:
 * the instant and the provider status with its spelling folded, so that one happening is one row.
 */
MUST_CHECK bool event_row_key(const struct uuid *box, const struct tracking_event *event,
                              struct uuid *key);

/* A paper of a box. */
MUST_CHECK bool document_key(const struct uuid *box, struct slice kind, struct slice url,
                             struct uuid *key);

#endif

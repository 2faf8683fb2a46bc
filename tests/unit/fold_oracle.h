/*
 * What a set of webhooks must end in, by the definition: of all claims to a fact the greatest
 * stands, found by looking at every one of them, with keys as tuples and not as bytes. Nothing here
 * folds, so the order of arrival cannot matter; and nothing here comes from fold.c or shown.c.
 */
#ifndef TESTS_FOLD_ORACLE_H
#define TESTS_FOLD_ORACLE_H

#include "fold_world.h"

#define REQUIRE_EQUAL(what, subject, expected, found)                                              \
    do {                                                                                           \
        if ((long long)(expected) != (long long)(found)) {                                         \
            fold_fail("%s of '%.*s' is %lld instead of %lld", (what), SLICE_ARGS(subject),         \
                      (long long)(found), (long long)(expected));                                  \
        }                                                                                          \
    } while (0)

static inline void require_text(const char *what, struct slice subject, struct slice expected,
                                struct slice found) {
    if (!slice_eq(expected, found)) {
        fold_fail("%s of '%.*s' is '%.*s' instead of '%.*s'", what, SLICE_ARGS(subject),
                  SLICE_ARGS(found), SLICE_ARGS(expected));
    }
}

/* ---- claims ---- */

struct claim {
    const struct delivery *delivery; /* NULL: nothing was said */
    size_t change;
    const struct status_report *report; /* NULL: of another fact than a status */
    bool of_order;
};

static inline int compare_numbers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static inline int claim_phase(const struct claim *claim) {
    if (claim->of_order) {
        return claim->report->status == STATUS_UNKNOWN ? -1 : 1;
    }
    if (claim->report->weak) {
        return 0;
    }
    switch (claim->report->status) {
    case STATUS_UNKNOWN:
        return -1;
    case STATUS_DELIVERED:
    case STATUS_RETURNING:
    case STATUS_RETURNED:
    case STATUS_FAILED:
    case STATUS_CANCELLED:
        return 2;
    default:
        return 1;
    }
}

static inline int compare_claims(const struct claim *a, const struct claim *b) {
    int order = a->report != NULL ? compare_numbers(claim_phase(a), claim_phase(b)) : 0;
    if (order == 0) {
        order = compare_numbers(a->delivery->changes.version_at, b->delivery->changes.version_at);
    }
    if (order == 0) {
        order = compare_numbers(a->delivery->changes.number, b->delivery->changes.number);
    }
    if (order == 0 && a->report != NULL) {
        order = compare_numbers(status_rank(a->report->status), status_rank(b->report->status));
    }
    if (order == 0 && a->report != NULL) {
        order = slice_cmp(a->report->provider_status, b->report->provider_status);
    }
    if (order == 0) {
        order = memcmp(&a->delivery->id, &b->delivery->id, sizeof(struct uuid));
    }
    return order != 0 ? order : compare_numbers((int64_t)a->change, (int64_t)b->change);
}

static inline void keep_greatest(struct claim *kept, struct claim claim) {
    if (kept->delivery == NULL || compare_claims(&claim, kept) > 0) {
        *kept = claim;
    }
}

/* KEY is that of the claim that stands. */
static inline void require_origin(const char *what, struct slice subject, struct slice key,
                                  const struct claim *stands) {
    struct uuid delivery;
    int64_t at;
    if (stands->delivery == NULL) {
        REQUIRE_EQUAL(what, subject, 0, key.len);
    } else if (!key_origin(key, &delivery, &at) || !uuid_eq(&delivery, &stands->delivery->id) ||
               at != stands->delivery->changes.version_at) {
        fold_fail("%s of '%.*s' has the key of another webhook", what, SLICE_ARGS(subject));
    }
}

static inline void require_key(const struct fact_row *row, struct slice subject,
                               const struct registers *registers, const struct claim *stands) {
    require_origin(row->name.data, subject, registers->keys[row->number], stands);
}

/* ---- what webhooks say of one thing ---- */

/* Calls for each webhook of ORDER, or for each change of BOX. */
#define EACH_WEBHOOK(world, order_key_, delivery)                                                  \
    for (size_t i_ = 0; i_ < (world)->count; i_++)                                                 \
        for (const struct delivery *delivery = (world)->deliveries[i_];                            \
             delivery != NULL && delivery->has_order && uuid_eq(&delivery->order, (order_key_));   \
             delivery = NULL)
#define EACH_BOX_CHANGE(delivery, box_key_, change)                                                \
    for (size_t change = 0; change < (delivery)->changes.box_count; change++)                      \
        if (uuid_eq(&(delivery)->box_keys[change], (box_key_)))

/* Calls for each webhook that says that another order took the place of ORDER. */
#define EACH_MOVE(world, order_key_, delivery)                                                     \
    for (size_t i_ = 0; i_ < (world)->count; i_++)                                                 \
        for (const struct delivery *delivery = (world)->deliveries[i_];                            \
             delivery != NULL && delivery->changes.moved_from.len > 0 &&                           \
             uuid_eq(&delivery->moved_order, (order_key_));                                        \
             delivery = NULL)

/* What CHANGE has in the member of ROW; false when that says nothing. */
static inline bool said_of(const struct fact_row *row, const void *change,
                           struct fact_value *value) {
    const char *member = (const char *)change + row->offset;
    int32_t days;
    bool flag;
    *value = (struct fact_value){.number = VALUE_NONE};
    switch (row->type) {
    case FACT_TYPE_TIME:
        memcpy(&value->number, member, sizeof(value->number));
        return value->number != TIMESTAMP_NONE;
    case FACT_TYPE_DATE:
        memcpy(&days, member, sizeof(days));
        value->number = days;
        return days != DATE_NONE;
    case FACT_TYPE_FLAG:
        memcpy(&flag, member, sizeof(flag));
        value->number = flag;
        return flag;
    default:
        memcpy(&value->text, member, sizeof(value->text));
        return value->text.len > 0;
    }
}

static inline void require_value(const struct fact_row *row, struct slice subject,
                                 const struct fact_value *expected,
                                 const struct fact_value *found) {
    if (row->type == FACT_TYPE_TEXT || row->type == FACT_TYPE_JSON) {
        require_text(row->name.data, subject, expected->text, found->text);
    } else {
        REQUIRE_EQUAL(row->name.data, subject, expected->number, found->number);
    }
}

/* ---- the order itself ---- */

static inline void check_order_facts(const struct fold_world *world,
                                     const struct order_state *order) {
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        struct claim stands = {.delivery = NULL};
        struct fact_value value = {.number = VALUE_NONE};
        if (row->subject != SUBJECT_ORDER || row->offset == FACT_NO_MEMBER ||
            fact == FACT_MOVED_TO) {
            continue;
        }
        EACH_WEBHOOK(world, &order->key, delivery) {
            if (said_of(row, &delivery->changes.order, &value)) {
                keep_greatest(&stands, (struct claim){.delivery = delivery});
            }
        }
        value = (struct fact_value){.number = VALUE_NONE};
        if (stands.delivery != NULL) {
            (void)said_of(row, &stands.delivery->changes.order, &value);
        }
        require_value(row, order->order_id, &value, &order->values[fact]);
        require_key(row, order->order_id, &order->registers, &stands);
    }
}

/* The webhook that says last that another order took the place of ORDER. */
static inline struct claim move_of(const struct fold_world *world, const struct uuid *order) {
    struct claim stands = {.delivery = NULL};
    EACH_MOVE(world, order, delivery) {
        keep_greatest(&stands, (struct claim){.delivery = delivery});
    }
    return stands;
}

static inline void check_move(const struct fold_world *world, const struct order_state *order) {
    struct claim move = move_of(world, &order->key);
    int64_t first = INT64_MAX;
    EACH_WEBHOOK(world, &order->key, delivery) {
        first = delivery->received_at < first ? delivery->received_at : first;
    }
    EACH_MOVE(world, &order->key, delivery) {
        first = delivery->received_at < first ? delivery->received_at : first;
    }
    REQUIRE_EQUAL("first_seen_at", order->order_id, first, order->first_seen_at);
    require_text("moved_to", order->order_id,
                 move.delivery != NULL ? move.delivery->changes.order_id : SLICE_EMPTY,
                 order->values[FACT_MOVED_TO].text);
    require_key(fact_row(FACT_MOVED_TO), order->order_id, &order->registers, &move);
}

static inline struct claim own_status_of(const struct fold_world *world, const struct uuid *order) {
    struct claim stands = {.delivery = NULL};
    EACH_WEBHOOK(world, order, delivery) {
        if (delivery->changes.order.has_status) {
            keep_greatest(&stands, (struct claim){.delivery = delivery,
                                                  .report = &delivery->changes.order.status,
                                                  .of_order = true});
        }
    }
    return stands;
}

static inline struct claim box_list_of(const struct fold_world *world, const struct uuid *order) {
    struct claim stands = {.delivery = NULL};
    EACH_WEBHOOK(world, order, delivery) {
        if (delivery->changes.order.has_box_list) {
            keep_greatest(&stands, (struct claim){.delivery = delivery});
        }
    }
    return stands;
}

static inline void check_order_itself(const struct fold_world *world,
                                      const struct order_state *order) {
    struct claim own = own_status_of(world, &order->key);
    struct claim list = box_list_of(world, &order->key);
    check_order_facts(world, order);
    check_move(world, order);
    require_key(fact_row(FACT_OWN_STATUS), order->order_id, &order->registers, &own);
    require_key(fact_row(FACT_BOX_LIST), order->order_id, &order->registers, &list);
    if (own.delivery != NULL) {
        REQUIRE_EQUAL("own_status", order->order_id, own.report->status, order->own_status);
        REQUIRE_EQUAL("own_status_at", order->order_id, own.report->at, order->own_status_at);
        require_text("own_provider_status", order->order_id, own.report->provider_status,
                     order->own_provider_status);
        require_text("own_status_detail", order->order_id, own.report->detail,
                     order->own_status_detail);
    } else {
        REQUIRE_EQUAL("own_status", order->order_id, STATUS_COUNT, order->own_status);
    }
    size_t count = list.delivery != NULL ? list.delivery->changes.order.box_list_count : 0;
    REQUIRE_EQUAL("the length of box_list", order->order_id, count, order->box_list_count);
    for (size_t i = 0; i < count; i++) {
        require_text("box_list", order->order_id, list.delivery->changes.order.box_list[i],
                     order->box_list[i]);
    }
}

/* ---- history, papers, manifests ---- */

/* A happening with its spelling folded: blanks around it do not count, nor does case. */
static inline bool is_same_word(struct slice a, struct slice b) {
    static const struct slice blanks = SLICE(" \t\r\n");
    struct slice words[] = {a, b};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct slice *word = &words[i];
        while (word->len > 0 && memchr(blanks.data, word->data[0], blanks.len) != NULL) {
            *word = slice_from(*word, 1);
        }
        while (word->len > 0 && memchr(blanks.data, word->data[word->len - 1], blanks.len)) {
            word->len--;
        }
    }
    bool same = words[0].len == words[1].len;
    for (size_t i = 0; same && i < words[0].len; i++) {
        char letters[] = {words[0].data[i], words[1].data[i]};
        for (size_t j = 0; j < ARRAY_LEN(letters); j++) {
            bool is_capital = letters[j] >= 'A' && letters[j] <= 'Z';
            bool is_gap = letters[j] == ' ' || letters[j] == '-';
            letters[j] = is_capital ? (char)(letters[j] + 32) : is_gap ? '_' : letters[j];
        }
        same = letters[0] == letters[1];
    }
    return same;
}

/* Whether both are of one row of the history. */
static inline bool are_one_row(const struct tracking_event *a, const struct tracking_event *b) {
    bool same = slice_eq(a->box_id, b->box_id) && slice_eq(a->sender_event_id, b->sender_event_id);
    return same &&
           (a->sender_event_id.len > 0 || (a->occurred_at == b->occurred_at &&
                                           is_same_word(a->provider_status, b->provider_status)));
}

static inline struct slice event_member(const struct tracking_event *event,
                                        enum event_register member) {
    switch (member) {
    case REGISTER_EVENT_LOCATION:
        return event->location;
    case REGISTER_EVENT_MESSAGE:
        return event->message;
    case REGISTER_EVENT_PREVIOUS:
        return event->previous_status;
    case REGISTER_EVENT_STANDS_FOR:
        return event->stands_for;
    default:
        return SLICE_EMPTY;
    }
}

/* The claim to MEMBER of the row of the history that SAID is of; nothing said is no claim, but to
 * the row itself. All of one row have one key. */
static inline struct claim event_claim(const struct fold_world *world, const struct uuid *order,
                                       const struct tracking_event *said, const struct uuid *key,
                                       enum event_register member) {
    struct claim stands = {.delivery = NULL};
    EACH_WEBHOOK(world, order, delivery) {
        for (size_t i = 0; i < delivery->changes.event_count; i++) {
            const struct tracking_event *other = &delivery->changes.events[i];
            bool is_one = are_one_row(said, other);
            if (is_one != uuid_eq(&delivery->event_keys[i], key)) {
                fold_fail("rows of the history are identified by something else");
            }
            if (is_one && (member == REGISTER_EVENT || event_member(other, member).len > 0)) {
                keep_greatest(&stands, (struct claim){.delivery = delivery, .change = i});
            }
        }
    }
    return stands;
}

static inline void check_event_member(const struct fold_world *world,
                                      const struct order_state *order,
                                      const struct tracking_event *said,
                                      const struct event_state *event, enum event_register member) {
    static const char *const names[EVENT_REGISTERS] = {[REGISTER_EVENT_LOCATION] = "location",
                                                       [REGISTER_EVENT_MESSAGE] = "message",
                                                       [REGISTER_EVENT_PREVIOUS] =
                                                           "previous_status",
                                                       [REGISTER_EVENT_STANDS_FOR] = "stands_for"};
    const struct slice found[EVENT_REGISTERS] = {[REGISTER_EVENT_LOCATION] = event->location,
                                                 [REGISTER_EVENT_MESSAGE] = event->message,
                                                 [REGISTER_EVENT_PREVIOUS] = event->previous_status,
                                                 [REGISTER_EVENT_STANDS_FOR] = event->stands_for};
    bool is_numbered = said->sender_event_id.len > 0;
    struct claim stands =
        event_claim(world, &order->key, said, &event->key, is_numbered ? REGISTER_EVENT : member);
    struct slice subject = is_numbered ? said->sender_event_id : said->provider_status;
    struct slice expected = SLICE_EMPTY;
    if (stands.delivery != NULL) {
        expected = event_member(&stands.delivery->changes.events[stands.change], member);
    }
    require_text(names[member], subject, expected, found[member]);
    if (!is_numbered) {
        require_origin(names[member], subject, event->registers.keys[member], &stands);
    }
}

static inline void check_event(const struct fold_world *world, const struct order_state *order,
                               const struct tracking_event *said, const struct uuid *key) {
    const struct event_state *event = uuid_map_find(&order->events, key);
    struct claim stands = event_claim(world, &order->key, said, key, REGISTER_EVENT);
    const struct tracking_event *last = &stands.delivery->changes.events[stands.change];
    struct slice id = said->sender_event_id;
    if (event == NULL) {
        fold_fail("a row of the history is missing");
    }
    if (!uuid_eq(&event->delivery, &stands.delivery->id)) {
        fold_fail("event '%.*s' names another delivery", SLICE_ARGS(id));
    }
    if (!uuid_eq(&event->box_key, &stands.delivery->event_box_keys[stands.change])) {
        fold_fail("event '%.*s' belongs to another box", SLICE_ARGS(id));
    }
    require_origin("event", id, event->registers.keys[REGISTER_EVENT], &stands);
    REQUIRE_EQUAL("occurred_at", id, last->occurred_at, event->occurred_at);
    REQUIRE_EQUAL("status", id, last->status, event->status);
    require_text("detail", id, last->detail, event->detail);
    require_text("provider_status", id, last->provider_status, event->provider_status);
    for (enum event_register i = REGISTER_EVENT + 1; i < EVENT_REGISTERS; i++) {
        check_event_member(world, order, said, event, i);
    }
}

/* Whether an earlier change of the world is of the row that SAID is of, to ORDER. */
static inline bool is_told_before(const struct fold_world *world, const struct uuid *order,
                                  const struct tracking_event *said) {
    EACH_WEBHOOK(world, order, delivery) {
        for (size_t i = 0; i < delivery->changes.event_count; i++) {
            if (are_one_row(&delivery->changes.events[i], said)) {
                return said != &delivery->changes.events[i];
            }
        }
    }
    return false;
}

/* An order whose place another took keeps nothing of its boxes. */
static inline void check_nothing_left(const struct order_state *order) {
    REQUIRE_EQUAL("the boxes", order->order_id, 0, order->boxes.count);
    REQUIRE_EQUAL("the rows of the history", order->order_id, 0, order->events.count);
    REQUIRE_EQUAL("the papers", order->order_id, 0, order->documents.count);
    if (order->order_changes != NULL) {
        fold_fail("an order that moved keeps rows of order_changes");
    }
}

static inline void check_history(const struct fold_world *world, const struct order_state *order) {
    size_t changes = 0, rows = 0, events = 0;
    EACH_WEBHOOK(world, &order->key, delivery) {
        for (size_t i = 0; i < delivery->changes.event_count; i++) {
            const struct tracking_event *said = &delivery->changes.events[i];
            if (!is_told_before(world, &order->key, said)) {
                check_event(world, order, said, &delivery->event_keys[i]);
                events++;
            }
        }
        for (size_t i = 0; i < delivery->changes.document_count; i++) {
            const struct document *said = &delivery->changes.documents[i];
            const struct document_state *paper =
                uuid_map_find(&order->documents, &delivery->document_keys[i]);
            if (paper == NULL || !slice_eq(paper->kind, said->kind) ||
                !slice_eq(paper->url, said->url) ||
                !uuid_eq(&paper->box_key, &delivery->document_box_keys[i])) {
                fold_fail("the paper %.*s is missing", SLICE_ARGS(said->url));
            }
        }
        changes += delivery->changes.order_change_count;
    }
    for (const struct order_change_state *row = order->order_changes; row != NULL;
         row = row->next) {
        rows++;
    }
    REQUIRE_EQUAL("rows of order_changes", order->order_id, changes, rows);
    REQUIRE_EQUAL("rows of the history", order->order_id, events, order->events.count);
}

static inline void check_manifest(const struct fold_world *world,
                                  const struct manifest_state *manifest) {
    struct claim stands = {.delivery = NULL};
    for (size_t i = 0; i < world->count; i++) {
        const struct delivery *delivery = world->deliveries[i];
        if (delivery->changes.has_manifest && uuid_eq(&delivery->manifest, &manifest->key)) {
            keep_greatest(&stands, (struct claim){.delivery = delivery});
        }
    }
    if (stands.delivery == NULL) {
        fold_fail("a manifest that no webhook speaks of");
    }
    const struct manifest *said = &stands.delivery->changes.manifest, *row = &manifest->manifest;
    require_text("shipment_id", said->shipment_id, said->shipment_id, row->shipment_id);
    require_text("awb_number", said->shipment_id, said->awb_number, row->awb_number);
    require_text("country", said->shipment_id, said->country, row->country);
    REQUIRE_EQUAL("parcel_count", said->shipment_id, said->parcel_count, row->parcel_count);
    REQUIRE_EQUAL("submitted_at", said->shipment_id, said->submitted_at, row->submitted_at);
}

#endif

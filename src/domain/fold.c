#include "domain/fold.h"

#include "base/limits.h"

#include <string.h>

/* One delivery on its way into the state. */
struct fold {
    struct order_state *order;
    const struct changes *changes;
    struct key_base base;
    const struct fold_watch *watch;
    struct arena *arena;
    struct strbuf scratch;
    bool failed;
};

/* ---- keys ---- */

static struct slice keep_key(struct fold *fold) {
    struct slice key = SLICE_EMPTY;
    if (strbuf_failed(&fold->scratch) ||
        !arena_dup(fold->arena, strbuf_slice(&fold->scratch), &key)) {
        fold->failed = true;
    }
    return key;
}

static struct slice make_fact_key(struct fold *fold, size_t change) {
    strbuf_clear(&fold->scratch);
    fact_key(&fold->scratch, &fold->base, (uint32_t)change);
    return keep_key(fold);
}

static struct slice make_status_key(struct fold *fold, const struct status_report *report,
                                    bool of_order, size_t change) {
    strbuf_clear(&fold->scratch);
    status_key(&fold->scratch, report, of_order, &fold->base, (uint32_t)change);
    return keep_key(fold);
}

static bool wins(struct slice key, struct slice held) {
    return held.data == NULL || slice_cmp(key, held) > 0;
}

/* Whether KEY wins the register HELD of ROW; the register has it then. */
static bool takes(struct slice *held, struct slice key, enum row_state *row) {
    if (!wins(key, *held)) {
        return false;
    }
    *held = key;
    mark_changed(row);
    return true;
}

static void show_claim(struct fold *fold, const struct fold_claim *claim) {
    if (fold->watch != NULL && !fold->failed) {
        fold->failed = !fold->watch->claim(fold->watch->context, claim);
    }
}

/* ---- facts with a row in the table ---- */

/* The part of an order or a box that such a fact belongs to. */
struct holder {
    struct slice box_id; /* empty: the order */
    enum row_state *row;
    struct fact_value *values;
    struct registers *registers;
    uint32_t *digests;
};

/* The link that is shown is compared as a whole (domain/shown.h). */
static bool is_part_of_link(enum fact fact) {
    return fact == FACT_TRACKING_URL || fact == FACT_TRACKING_URL_TEMPLATE;
}

static bool is_same(struct fold *fold, const struct holder *holder, enum fact fact,
                    const struct fact_value *said) {
    const struct fact_value *held = &holder->values[fact];
    struct slice digest;
    if (!(*holder->digests >> fact & 1)) {
        /* Each type uses one of the two; the other is of no meaning. */
        return held->text.len + said->text.len > 0 ? slice_eq(held->text, said->text)
                                                   : held->number == said->number;
    }
    if (!fact_digest(said->text, fold->arena, &digest)) {
        fold->failed = true;
        return false;
    }
    return slice_eq(held->text, digest);
}

static void fold_value(struct fold *fold, const struct holder *holder, enum fact fact,
                       const void *change, struct slice key) {
    const struct fact_row *row = fact_row(fact);
    const struct fact_value said = fact_said(row, change);
    struct fact_value *held = &holder->values[fact];
    if (!fact_is_said(row, &said)) {
        return;
    }
    show_claim(fold, &(struct fold_claim){
                         .fact = fact, .box_id = holder->box_id, .key = key, .value = &said});
    if (row->rule == RULE_LATEST &&
        !takes(&holder->registers->keys[row->number], key, holder->row)) {
        return;
    }
    if (!is_same(fold, holder, fact, &said)) {
        mark_changed(holder->row);
        fold->order->changed = fold->order->changed || !is_part_of_link(fact);
    }
    *held = said;
    *holder->digests &= ~(UINT32_C(1) << fact);
}

/* All facts of SUBJECT that have a member in CHANGE. */
static void fold_values(struct fold *fold, const struct holder *holder, enum fact_subject subject,
                        const void *change, struct slice key) {
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        if (row->subject == subject && row->offset != FACT_NO_MEMBER) {
            fold_value(fold, holder, fact, change, key);
        }
    }
}

/* ---- the order itself ---- */

static void fold_own_status(struct fold *fold, const struct status_report *report) {
    struct order_state *order = fold->order;
    struct slice key = make_status_key(fold, report, true, 0);
    show_claim(fold, &(struct fold_claim){.fact = FACT_OWN_STATUS, .key = key, .report = report});
    if (!takes(&order->registers.keys[REGISTER_OWN_STATUS], key, &order->row)) {
        return;
    }
    /* What else a status changes is seen in what the order shows. */
    order->changed =
        order->changed || !slice_eq(order->own_provider_status, report->provider_status);
    order->own_status = report->status;
    order->own_provider_status = report->provider_status;
    order->own_status_detail = report->detail;
    order->own_status_at = report->at;
}

static void fold_box_list(struct fold *fold, const struct order_change *change, struct slice key) {
    struct order_state *order = fold->order;
    show_claim(fold, &(struct fold_claim){.fact = FACT_BOX_LIST, .key = key, .box_list = change});
    if (takes(&order->registers.keys[REGISTER_BOX_LIST], key, &order->row)) {
        order->box_list = change->box_list;
        order->box_list_count = change->box_list_count;
    }
}

static void fold_values_of_order(struct fold *fold, const struct order_change *change) {
    struct order_state *order = fold->order;
    const struct holder holder = {.row = &order->row,
                                  .values = order->values,
                                  .registers = &order->registers,
                                  .digests = &order->digests};
    fold_values(fold, &holder, SUBJECT_ORDER, change, make_fact_key(fold, 0));
}

static void fold_order_change(struct fold *fold) {
    const struct order_change *change = &fold->changes->order;
    if (change->has_status) {
        fold_own_status(fold, &change->status);
    }
    fold_values_of_order(fold, change);
    if (change->has_box_list) {
        fold_box_list(fold, change, make_fact_key(fold, 0));
    }
}

static void fold_history_of_order(struct fold *fold) {
    for (size_t i = 0; i < fold->changes->order_change_count; i++) {
        struct order_change_state *row = arena_alloc(fold->arena, sizeof(*row));
        if (row == NULL) {
            fold->failed = true;
            return;
        }
        const struct order_field_change *change = &fold->changes->order_changes[i];
        *row = (struct order_change_state){.key = *fold->base.delivery,
                                           .order_key = fold->order->key,
                                           .change = *change,
                                           .field = order_field_name(change->field),
                                           .next = fold->order->order_changes};
        fold->order->order_changes = row;
    }
}

/* ---- boxes ---- */

static struct box_state *box_of(struct fold *fold, const struct uuid *key, struct slice box_id) {
    struct box_state *box = uuid_map_find(&fold->order->boxes, key);
    if (box != NULL) {
        return box;
    }
    box = arena_alloc(fold->arena, sizeof(*box));
    if (box == NULL) {
        fold->failed = true;
        return NULL;
    }
    box_state_init(box);
    box->key = *key;
    box->order_key = fold->order->key;
    box->box_id = box_id;
    fold->order->changed = true;
    if (!uuid_map_add(&fold->order->boxes, box, fold->arena)) {
        fold->failed = true;
        return NULL;
    }
    return box;
}

static void fold_shipped(struct fold *fold, struct box_state *box, int64_t at, bool derived,
                         struct slice key) {
    struct slice *held_key = &box->registers.keys[REGISTER_SHIPPED_AT];
    bool is_senders = held_key->data != NULL;
    show_claim(fold, &(struct fold_claim){.fact = FACT_SHIPPED_AT,
                                          .box_id = box->box_id,
                                          .key = key,
                                          .at = at,
                                          .derived = derived});
    bool earlier = box->shipped_at == TIMESTAMP_NONE || at < box->shipped_at;
    bool repeats = at == box->shipped_at && is_senders && slice_cmp(key, *held_key) >= 0;
    bool loses = derived ? is_senders || !earlier
                         : is_senders && !earlier && (at > box->shipped_at || repeats);
    if (loses) {
        return;
    }
    mark_changed(&box->row);
    fold->order->changed = fold->order->changed || box->shipped_at != at;
    box->shipped_at = at;
    if (!derived) {
        *held_key = key;
    }
}

static void fold_delivered(struct fold *fold, struct box_state *box, int64_t at, struct slice key) {
    show_claim(fold, &(struct fold_claim){
                         .fact = FACT_DELIVERED_AT, .box_id = box->box_id, .key = key, .at = at});
    if (takes(&box->registers.keys[REGISTER_DELIVERED_AT], key, &box->row)) {
        fold->order->changed = fold->order->changed || box->delivered_at != at;
        box->delivered_at = at;
    }
}

/* What follows from a report whether it wins or not. */
static void fold_times_of_status(struct fold *fold, struct box_state *box,
                                 const struct status_report *report, struct slice status_key,
                                 struct slice fact_key) {
    bool is_open = !report->weak && status_phase(report->status) == PHASE_OPEN;
    bool has_moved = is_open && report->status >= STATUS_IN_TRANSIT;
    if (is_open && report->at > box->last_open_at) {
        box->last_open_at = report->at;
        mark_changed(&box->row);
    }
    if (has_moved && report->at > box->last_moved_at) {
        box->last_moved_at = report->at;
        mark_changed(&box->row);
    }
    if (report->status == STATUS_DELIVERED) {
        fold_delivered(fold, box, report->at, status_key);
    }
    if (report->status == STATUS_IN_TRANSIT && report->at != TIMESTAMP_NONE) {
        fold_shipped(fold, box, report->at, true, fact_key);
    }
}

static void fold_status(struct fold *fold, struct box_state *box,
                        const struct status_report *report, size_t change, struct slice fact_key) {
    struct slice key = make_status_key(fold, report, false, change);
    show_claim(fold, &(struct fold_claim){
                         .fact = FACT_STATUS, .box_id = box->box_id, .key = key, .report = report});
    if (takes(&box->registers.keys[REGISTER_STATUS], key, &box->row)) {
        /* Status, detail and time are seen in what the box shows. */
        fold->order->changed = fold->order->changed ||
                               !slice_eq(box->status.provider_status, report->provider_status) ||
                               !slice_eq(box->status.location, report->location) ||
                               box->status.next_attempt_at != report->next_attempt_at;
        box->status = *report;
    }
    fold_times_of_status(fold, box, report, key, fact_key);
}

/* The carrier that the configuration names where the sender does not: any that a sender names
 * stands before it. */
static void fold_default_carrier(struct fold *fold, const struct holder *holder,
                                 const struct box_change *change) {
    struct key_base base = fold->base;
    base.version_at = INT64_MIN;
    strbuf_clear(&fold->scratch);
    fact_key(&fold->scratch, &base, 0);
    fold_value(fold, holder, FACT_CARRIER, change, keep_key(fold));
}

static void fold_box_change(struct fold *fold, const struct box_change *change,
                            const struct uuid *key, size_t number) {
    struct box_state *box = box_of(fold, key, change->box_id);
    if (box == NULL) {
        return;
    }
    const struct holder holder = {.box_id = box->box_id,
                                  .row = &box->row,
                                  .values = box->values,
                                  .registers = &box->registers,
                                  .digests = &box->digests};
    struct slice fact_key = make_fact_key(fold, number);
    if (change->has_status) {
        fold_status(fold, box, &change->status, number, fact_key);
    }
    if (change->shipped_at != TIMESTAMP_NONE) {
        fold_shipped(fold, box, change->shipped_at, false, fact_key);
    }
    if (change->carrier_is_default) {
        struct box_change said = *change;
        said.carrier = SLICE_EMPTY;
        fold_values(fold, &holder, SUBJECT_BOX, &said, fact_key);
        fold_default_carrier(fold, &holder, change);
    } else {
        fold_values(fold, &holder, SUBJECT_BOX, change, fact_key);
    }
}

/* ---- history and papers ---- */

static bool is_same_message(struct fold *fold, const struct event_state *event,
                            struct slice message) {
    struct slice digest;
    if (!event->message_is_digest) {
        return slice_eq(event->message, message);
    }
    if (!fact_digest(message, fold->arena, &digest)) {
        fold->failed = true;
        return false;
    }
    return slice_eq(event->message, digest);
}

static struct event_state *event_of(struct fold *fold, const struct uuid *key,
                                    const struct uuid *box_key) {
    struct event_state *event = uuid_map_find(&fold->order->events, key);
    if (event != NULL) {
        return event;
    }
    event = arena_alloc(fold->arena, sizeof(*event));
    if (event == NULL) {
        fold->failed = true;
        return NULL;
    }
    event_state_init(event);
    event->key = *key;
    event->order_key = fold->order->key;
    event->box_key = *box_key;
    if (!uuid_map_add(&fold->order->events, event, fold->arena)) {
        fold->failed = true;
        return NULL;
    }
    return event;
}

static void set_event_status(struct fold *fold, struct event_state *event,
                             const struct tracking_event *said) {
    fold->order->changed = fold->order->changed || event->occurred_at != said->occurred_at ||
                           event->status != said->status ||
                           !slice_eq(event->detail, said->detail) ||
                           !slice_eq(event->provider_status, said->provider_status);
    event->delivery = *fold->base.delivery;
    event->occurred_at = said->occurred_at;
    event->status = said->status;
    event->detail = said->detail;
    event->provider_status = said->provider_status;
}

static void set_event_location(struct fold *fold, struct event_state *event, struct slice said) {
    fold->order->changed = fold->order->changed || !slice_eq(event->location, said);
    event->location = said;
}

static void set_event_message(struct fold *fold, struct event_state *event, struct slice said) {
    fold->order->changed = fold->order->changed || !is_same_message(fold, event, said);
    event->message = said;
    event->message_is_digest = false;
}

/* A later version of a row that the sender numbers corrects it as a whole. */
static void fold_numbered_event(struct fold *fold, struct event_state *event,
                                const struct tracking_event *said, struct slice key) {
    if (!wins(key, event->registers.keys[REGISTER_EVENT])) {
        return;
    }
    mark_changed(&event->row);
    /* What the members had is gone, keys included. */
    event->registers = (struct registers){.keys = {[REGISTER_EVENT] = key}};
    set_event_status(fold, event, said);
    set_event_location(fold, event, said->location);
    set_event_message(fold, event, said->message);
    event->previous_status = said->previous_status;
    event->stands_for = said->stands_for;
}

/* Whether KEY sets the register NUMBER to SAID, which says something. */
static bool takes_member(struct event_state *event, enum event_register number, struct slice said,
                         struct slice key) {
    return said.len > 0 && takes(&event->registers.keys[number], key, &event->row);
}

/* Of several webhooks that report one happening each member is of the greatest key that says it. */
static void fold_happening(struct fold *fold, struct event_state *event,
                           const struct tracking_event *said, struct slice key) {
    if (takes(&event->registers.keys[REGISTER_EVENT], key, &event->row)) {
        set_event_status(fold, event, said);
    }
    if (takes_member(event, REGISTER_EVENT_LOCATION, said->location, key)) {
        set_event_location(fold, event, said->location);
    }
    if (takes_member(event, REGISTER_EVENT_MESSAGE, said->message, key)) {
        set_event_message(fold, event, said->message);
    }
    if (takes_member(event, REGISTER_EVENT_PREVIOUS, said->previous_status, key)) {
        event->previous_status = said->previous_status;
    }
    if (takes_member(event, REGISTER_EVENT_STANDS_FOR, said->stands_for, key)) {
        event->stands_for = said->stands_for;
    }
}

static void fold_event(struct fold *fold, const struct tracking_event *said,
                       const struct uuid *event_key, const struct uuid *box_key, size_t number) {
    struct slice key = make_fact_key(fold, number);
    show_claim(fold, &(struct fold_claim){.fact = FACT_EVENT,
                                          .box_id = said->box_id,
                                          .key = key,
                                          .event = said,
                                          .event_key = event_key});
    struct event_state *event = event_of(fold, event_key, box_key);
    if (event == NULL) {
        return;
    }
    if (said->sender_event_id.len > 0) {
        fold_numbered_event(fold, event, said, key);
    } else {
        fold_happening(fold, event, said, key);
    }
}

static void fold_document(struct fold *fold, const struct document *document,
                          const struct uuid *key, const struct uuid *box_key, size_t number) {
    if (fold->watch != NULL) {
        show_claim(fold, &(struct fold_claim){.fact = FACT_DOCUMENT,
                                              .box_id = document->box_id,
                                              .key = make_fact_key(fold, number),
                                              .document = document});
    }
    if (uuid_map_find(&fold->order->documents, key) != NULL) {
        return;
    }
    struct document_state *row = arena_alloc(fold->arena, sizeof(*row));
    if (row == NULL) {
        fold->failed = true;
        return;
    }
    *row = (struct document_state){.key = *key,
                                   .order_key = fold->order->key,
                                   .box_key = *box_key,
                                   .kind = document->kind,
                                   .url = document->url};
    fold->order->changed = true;
    if (!uuid_map_add(&fold->order->documents, row, fold->arena)) {
        fold->failed = true;
    }
}

/* ---- the whole ---- */

static void fold_begin(struct fold *fold, const struct changes *changes,
                       const struct uuid *delivery, struct arena *arena) {
    *fold = (struct fold){.changes = changes, .arena = arena};
    fold->base = (struct key_base){changes->version_at, changes->number, delivery};
    strbuf_init(&fold->scratch, LIMIT_REGISTER_KEY);
}

bool fold_order(struct order_state *order, const struct fold_input *input,
                const struct fold_watch *watch, struct arena *arena) {
    const struct changes *changes = input->changes;
    struct fold fold;
    fold_begin(&fold, changes, input->delivery, arena);
    fold.order = order;
    fold.watch = watch;
    fold_order_change(&fold);
    bool changed = order->changed;
    fold_history_of_order(&fold);
    for (size_t i = 0; i < changes->box_count; i++) {
        fold_box_change(&fold, &changes->boxes[i], &input->box_keys[i], i);
    }
    for (size_t i = 0; i < changes->event_count; i++) {
        fold_event(&fold, &changes->events[i], &input->event_keys[i], &input->event_box_keys[i], i);
    }
    for (size_t i = 0; i < changes->document_count; i++) {
        fold_document(&fold, &changes->documents[i], &input->document_keys[i],
                      &input->document_box_keys[i], i);
    }
    /* An order that moved shows no boxes. */
    order->changed = has_moved(order) ? changed : order->changed;
    strbuf_free(&fold.scratch);
    return !fold.failed;
}

bool fold_move(struct order_state *order, const struct changes *changes,
               const struct uuid *delivery, struct arena *arena) {
    struct changes moved;
    struct fold fold;
    changes_init(&moved);
    moved.order.moved_to = changes->order_id;
    fold_begin(&fold, changes, delivery, arena);
    fold.order = order;
    fold_values_of_order(&fold, &moved.order);
    strbuf_free(&fold.scratch);
    return !fold.failed;
}

bool fold_manifest(struct manifest_state *manifest, const struct changes *changes,
                   const struct uuid *delivery, struct arena *arena) {
    struct fold fold;
    fold_begin(&fold, changes, delivery, arena);
    struct slice key = make_fact_key(&fold, 0);
    if (takes(&manifest->registers.keys[REGISTER_MANIFEST], key, &manifest->row)) {
        manifest->manifest = changes->manifest;
    }
    strbuf_free(&fold.scratch);
    return !fold.failed;
}

bool fold_loses_span(struct order_state *order) {
    for (size_t i = 0; i < order->events.count; i++) {
        const struct event_state *event = order->events.items[i];
        bool moved = event->row == ROW_CHANGED && event->occurred_at != event->stored_occurred_at;
        order->span_is_lost =
            order->span_is_lost ||
            (moved && (event->stored_occurred_at == order->stored.first_event_at ||
                       event->stored_occurred_at == order->stored.last_event_at));
    }
    return order->span_is_lost;
}

/*
 * Webhooks that no sender would send: their times, keys, words and values collide on purpose, and
 * every fact is missing now and then.
 */
#ifndef TESTS_FOLD_SYNTHETIC_H
#define TESTS_FOLD_SYNTHETIC_H

#include "choices.h"
#include "fold_world.h"

/* How webhooks are made: how many different ones there are of a thing, and how many in a hundred
 * speak of it. */
struct fold_style {
    const char *name;
    unsigned orders, boxes, times;
    unsigned statuses, facts, lists, events, papers, changes, manifests, moves;
};

static const struct fold_style FOLD_STYLES[] = {
    /* name                     orders boxes times  statuses facts lists events papers ... */
    {"statuses at one time", 1, 1, 1, 95, 0, 0, 0, 0, 0, 0, 0},
    {"statuses of one box", 1, 1, 3, 95, 10, 0, 0, 0, 0, 0, 0},
    {"statuses of several boxes", 1, 3, 3, 80, 0, 0, 0, 0, 0, 0, 0},
    {"facts at one time", 1, 1, 1, 0, 60, 0, 0, 0, 0, 0, 0},
    {"facts", 1, 2, 3, 10, 50, 0, 0, 0, 0, 0, 0},
    {"lists of boxes", 1, 3, 3, 60, 0, 60, 0, 0, 0, 0, 0},
    {"rows of the history", 1, 2, 2, 10, 0, 0, 90, 0, 20, 0, 0},
    {"papers", 1, 2, 2, 10, 0, 0, 0, 80, 0, 0, 0},
    {"everything", 1, 3, 3, 60, 30, 25, 40, 20, 20, 0, 15},
    {"everything at one time", 1, 2, 1, 60, 40, 30, 40, 20, 20, 0, 0},
    {"several orders", 3, 3, 4, 60, 20, 20, 30, 10, 10, 15, 30},
    {"many boxes", 1, 9, 4, 70, 10, 25, 20, 5, 5, 0, 0},
    {"orders that move", 2, 2, 2, 50, 20, 15, 40, 15, 30, 0, 70},
};

struct synthesis {
    struct choices *choices;
    const struct fold_style *style;
    struct arena *arena;
};

#define CHOOSE_SLICE(synthesis, list) ((list)[choose((synthesis)->choices, ARRAY_LEN(list))])

static inline bool says(struct synthesis *synthesis, unsigned percent) {
    return choose_whether(synthesis->choices, percent);
}

/* Times differ by a microsecond, so that only a comparison of all bytes sees the difference. */
static inline int64_t choose_time(struct synthesis *synthesis) {
    return INT64_C(1650000000000000) + (int64_t)choose(synthesis->choices, synthesis->style->times);
}

static inline int64_t choose_optional_time(struct synthesis *synthesis) {
    return says(synthesis, 15) ? TIMESTAMP_NONE : choose_time(synthesis);
}

static inline struct slice choose_box(struct synthesis *synthesis) {
    static const struct slice boxes[] = {SLICE("a"), SLICE("ab"), SLICE("b"),
                                         SLICE("c"), SLICE("d"),  SLICE("e"),
                                         SLICE("f"), SLICE("g"),  SLICE("\xc3\xa9")};
    unsigned count = synthesis->style->boxes;
    return boxes[choose(synthesis->choices, count < ARRAY_LEN(boxes) ? count : ARRAY_LEN(boxes))];
}

static inline struct slice choose_word(struct synthesis *synthesis) {
    static const struct slice words[] = {SLICE_EMPTY, SLICE("a"), SLICE("ab"), SLICE("B"),
                                         SLICE("\xc3\xa9")};
    return CHOOSE_SLICE(synthesis, words);
}

/* Each text of a fact begins with its name, so that one that lands in another is seen. */
static inline struct slice choose_value(struct synthesis *synthesis, const struct fact_row *row) {
    static const char *const endings[] = {"", " 1", " 2", "/{tracking_number}?\xc3\xa9"};
    struct strbuf out = STRBUF_INIT(LIMIT_TEXT);
    bool is_json = row->type == FACT_TYPE_JSON;
    strbuf_addf(&out, is_json ? "{\"%.*s\":\"%s\"}" : "%.*s%s", SLICE_ARGS(row->name),
                endings[choose(synthesis->choices, ARRAY_LEN(endings))]);
    struct slice value = must_dup(synthesis->arena, strbuf_slice(&out));
    strbuf_free(&out);
    return value;
}

static inline void make_report(struct synthesis *synthesis, struct status_report *report) {
    static const struct slice details[] = {SLICE_EMPTY, SLICE("detail 1"), SLICE("detail 2")};
    static const struct slice places[] = {SLICE_EMPTY, SLICE("here"), SLICE("there")};
    report->status = (enum status)choose(synthesis->choices, STATUS_PARTIALLY_DELIVERED);
    report->weak = says(synthesis, 10);
    report->provider_status = choose_word(synthesis);
    report->detail = CHOOSE_SLICE(synthesis, details);
    report->at = choose_optional_time(synthesis);
    report->location = CHOOSE_SLICE(synthesis, places);
    report->next_attempt_at = says(synthesis, 20) ? choose_time(synthesis) : TIMESTAMP_NONE;
}

/* The members of CHANGE that the table of facts names. */
static inline void make_facts(struct synthesis *synthesis, enum fact_subject subject,
                              void *change) {
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        /* Where an order moved no sender says as a fact. */
        if (row->subject != subject || row->offset == FACT_NO_MEMBER || fact == FACT_MOVED_TO ||
            !says(synthesis, synthesis->style->facts)) {
            continue;
        }
        char *member = (char *)change + row->offset;
        int64_t time = choose_time(synthesis);
        int32_t date = 19000 + (int32_t)choose(synthesis->choices, 3);
        struct slice text = choose_value(synthesis, row);
        bool flag = true;
        switch (row->type) {
        case FACT_TYPE_TIME:
            memcpy(member, &time, sizeof(time));
            break;
        case FACT_TYPE_DATE:
            memcpy(member, &date, sizeof(date));
            break;
        case FACT_TYPE_FLAG:
            memcpy(member, &flag, sizeof(flag));
            break;
        default:
            memcpy(member, &text, sizeof(text));
            break;
        }
    }
}

static inline void make_list(struct synthesis *synthesis, struct order_change *order) {
    struct slice boxes[8];
    size_t count = 1 + choose(synthesis->choices, ARRAY_LEN(boxes)), distinct = 0;
    for (size_t i = 0; i < count; i++) {
        boxes[i] = choose_box(synthesis);
    }
    order->has_box_list = true;
    order->box_list = must_alloc(synthesis->arena, count * sizeof(*order->box_list));
    for (size_t i = 0; i < count; i++) {
        bool repeats = false;
        for (size_t j = 0; j < distinct; j++) {
            repeats = repeats || slice_eq(order->box_list[j], boxes[i]);
        }
        if (!repeats) {
            order->box_list[distinct++] = boxes[i];
        }
    }
    order->box_list_count = distinct;
}

static inline void make_boxes(struct synthesis *synthesis, struct changes *changes) {
    const struct fold_style *style = synthesis->style;
    changes->box_count = choose(synthesis->choices, 3);
    changes->boxes =
        must_alloc(synthesis->arena, (changes->box_count + 1) * sizeof(*changes->boxes));
    for (size_t i = 0; i < changes->box_count; i++) {
        struct box_change *box = &changes->boxes[i];
        box_change_init(box);
        box->box_id = choose_box(synthesis);
        box->has_status = says(synthesis, style->statuses);
        if (box->has_status) {
            make_report(synthesis, &box->status);
        }
        if (says(synthesis, style->facts / 2 + style->statuses / 10)) {
            box->shipped_at = choose_time(synthesis);
        }
        make_facts(synthesis, SUBJECT_BOX, box);
    }
}

static inline void make_events(struct synthesis *synthesis, struct changes *changes) {
    static const struct slice ids[] = {SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY,
                                       SLICE("1"),  SLICE("2"),  SLICE("3")};
    /* Of some the spelling alone differs. */
    static const struct slice words[] = {SLICE("a b"), SLICE(" A-b"), SLICE("a_B\t"), SLICE("ab")};
    static const struct slice places[] = {SLICE_EMPTY, SLICE("here"), SLICE("there")};
    static const struct slice messages[] = {SLICE_EMPTY, SLICE("message 1"), SLICE("message 2")};
    static const struct slice further[] = {SLICE_EMPTY, SLICE("A"), SLICE("A|B")};
    changes->event_count =
        says(synthesis, synthesis->style->events) ? 1 + choose(synthesis->choices, 3) : 0;
    changes->events =
        must_alloc(synthesis->arena, (changes->event_count + 1) * sizeof(*changes->events));
    for (size_t i = 0; i < changes->event_count; i++) {
        struct tracking_event *event = &changes->events[i];
        struct status_report report;
        status_report_init(&report);
        tracking_event_init(event);
        event->box_id = choose_box(synthesis);
        event->sender_event_id = CHOOSE_SLICE(synthesis, ids);
        event->occurred_at = choose_time(synthesis);
        /* Some rows are corrected in what stands beside the status alone. */
        report.location = CHOOSE_SLICE(synthesis, places);
        if (says(synthesis, 30)) {
            report.provider_status = CHOOSE_SLICE(synthesis, words);
        } else if (says(synthesis, 60)) {
            make_report(synthesis, &report);
            /* Wider than the other times: the span of the history moves. */
            event->occurred_at += TIMESTAMP_SECOND * (int64_t)choose(synthesis->choices, 8);
        }
        event->status = report.status;
        event->detail = report.detail;
        event->provider_status = report.provider_status;
        event->location = report.location;
        event->message = CHOOSE_SLICE(synthesis, messages);
        event->previous_status = choose_word(synthesis);
        event->stands_for = CHOOSE_SLICE(synthesis, further);
    }
}

static inline void make_papers(struct synthesis *synthesis, struct changes *changes) {
    static const struct slice kinds[] = {SLICE("label"), SLICE("invoice")};
    static const struct slice urls[] = {SLICE("https://a"), SLICE("https://b")};
    changes->document_count =
        says(synthesis, synthesis->style->papers) ? 1 + choose(synthesis->choices, 2) : 0;
    changes->documents =
        must_alloc(synthesis->arena, (changes->document_count + 1) * sizeof(*changes->documents));
    for (size_t i = 0; i < changes->document_count; i++) {
        changes->documents[i] = (struct document){.box_id = choose_box(synthesis),
                                                  .kind = CHOOSE_SLICE(synthesis, kinds),
                                                  .url = CHOOSE_SLICE(synthesis, urls)};
    }
}

static inline void make_order_change(struct synthesis *synthesis, struct changes *changes) {
    changes->order_change_count = says(synthesis, synthesis->style->changes);
    changes->order_changes = must_alloc(synthesis->arena, sizeof(*changes->order_changes));
    *changes->order_changes = (struct order_field_change){
        .field = (enum order_field)choose(synthesis->choices, ORDER_FIELDS),
        .previous_value = choose_word(synthesis),
        .new_value = choose_word(synthesis),
        .occurred_at =
            choose_time(synthesis) - TIMESTAMP_SECOND * (int64_t)choose(synthesis->choices, 3)};
}

static inline void make_manifest(struct synthesis *synthesis, struct changes *changes) {
    static const struct slice ids[] = {SLICE("m1"), SLICE("m2")};
    changes->has_manifest = true;
    changes->manifest =
        (struct manifest){.shipment_id = CHOOSE_SLICE(synthesis, ids),
                          .awb_number = choose_word(synthesis),
                          .country = choose_word(synthesis),
                          .parcel_count = (int64_t)choose(synthesis->choices, 3) - 1,
                          .submitted_at = choose_optional_time(synthesis)};
}

/* Senders that name orders late: a webhook is of a provisional order, or of a named one that takes
 * the place of it. */
static inline void make_provisional(struct synthesis *synthesis, struct changes *changes) {
    static const struct slice provisional[] = {SLICE("tracker-1"), SLICE("tracker-2")};
    struct slice id = CHOOSE_SLICE(synthesis, provisional);
    if (says(synthesis, 50)) {
        changes->order_id = id;
    } else {
        changes->moved_from = id;
    }
}

static inline void make_changes(struct synthesis *synthesis, struct changes *changes) {
    static const struct slice orders[] = {SLICE("order 1"), SLICE("order 2"), SLICE("order 3")};
    const struct fold_style *style = synthesis->style;
    changes_init(changes);
    changes->live_known = true;
    changes->live = true;
    changes->version_at = choose_time(synthesis);
    changes->number = (int64_t)choose(synthesis->choices, 4) - 1;
    if (says(synthesis, style->manifests)) {
        make_manifest(synthesis, changes);
        return;
    }
    changes->order_id = orders[choose(synthesis->choices, style->orders)];
    if (says(synthesis, style->moves)) {
        make_provisional(synthesis, changes);
    }
    changes->order.has_status = says(synthesis, style->statuses / 3);
    if (changes->order.has_status) {
        make_report(synthesis, &changes->order.status);
    }
    make_facts(synthesis, SUBJECT_ORDER, &changes->order);
    if (says(synthesis, style->lists)) {
        make_list(synthesis, &changes->order);
    }
    make_boxes(synthesis, changes);
    make_events(synthesis, changes);
    make_papers(synthesis, changes);
    make_order_change(synthesis, changes);
}

/* COUNT webhooks more. */
static inline void add_synthetic(struct fold_world *world, struct choices *choices,
                                 const struct fold_style *style, size_t count) {
    /* One template for a source at a time: a box may see several over the years. */
    static const struct slice templates[] = {SLICE_EMPTY, SLICE("https://t/{tracking_number}"),
                                             SLICE("https://u/{tracking_number}")};
    struct synthesis synthesis = {choices, style, world->arena};
    for (size_t i = 0; i < count; i++) {
        struct delivery delivery = {
            .source = SLICE("shop"), .provider = SLICE("synthetic"), .reading = READING_APPLIED};
        delivery.received_at = choose_time(&synthesis);
        char content[64];
        make_changes(&synthesis, &delivery.changes);
        delivery.tracking_url_template =
            style->facts > 0 ? CHOOSE_SLICE(&synthesis, templates) : SLICE_EMPTY;
        (void)snprintf(content, sizeof(content), "webhook %zu %llu", world->count,
                       (unsigned long long)(choose_bits(choices) & 0xffff));
        delivery.content = must_dup(world->arena, slice_from_cstr(content));
        delivery.body = delivery.content;
        fold_world_add(world, &delivery);
    }
}

#endif

#include "domain/order_state.h"

#include "adapter/crypto.h"
#include "base/hex.h"

#include <string.h>

/* As fact_said() gives what is not said: values compare as a whole. */
static void init_values(struct fact_value values[FACT_COUNT], enum fact_subject subject) {
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        const struct fact_row *row = fact_row(fact);
        if (row->subject == subject && row->type != FACT_TYPE_FLAG) {
            values[fact].number = VALUE_NONE;
        }
    }
}

static void init_shown(struct shown_order *shown) {
    *shown = (struct shown_order){.status_at = TIMESTAMP_NONE,
                                  .shipped_at = TIMESTAMP_NONE,
                                  .delivered_at = TIMESTAMP_NONE,
                                  .first_event_at = TIMESTAMP_NONE,
                                  .last_event_at = TIMESTAMP_NONE};
}

void mark_changed(enum row_state *row) {
    if (*row == ROW_STORED) {
        *row = ROW_CHANGED;
    }
}

void box_summaries_init(struct box_summary summaries[STATUS_COUNT]) {
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        summaries[i] = (struct box_summary){.status_at = TIMESTAMP_NONE,
                                            .shipped_at = TIMESTAMP_NONE,
                                            .delivered_at = TIMESTAMP_NONE,
                                            .last_moved_at = TIMESTAMP_NONE};
    }
}

bool has_moved(const struct order_state *order) {
    return order->values[FACT_MOVED_TO].text.len > 0;
}

void order_state_init(struct order_state *order) {
    *order = (struct order_state){.own_status = STATUS_COUNT,
                                  .own_status_at = TIMESTAMP_NONE,
                                  .first_seen_at = TIMESTAMP_NONE,
                                  .others_first = TIMESTAMP_NONE,
                                  .others_last = TIMESTAMP_NONE};
    init_values(order->values, SUBJECT_ORDER);
    init_shown(&order->stored);
    init_shown(&order->shown);
    box_summaries_init(order->others);
}

void box_state_init(struct box_state *box) {
    *box = (struct box_state){.shipped_at = TIMESTAMP_NONE,
                              .delivered_at = TIMESTAMP_NONE,
                              .last_open_at = TIMESTAMP_NONE,
                              .last_moved_at = TIMESTAMP_NONE,
                              .shown = {.at = TIMESTAMP_NONE},
                              .reported = {.status = STATUS_COUNT, .at = TIMESTAMP_NONE}};
    status_report_init(&box->status);
    init_values(box->values, SUBJECT_BOX);
}

void event_state_init(struct event_state *event) {
    *event =
        (struct event_state){.occurred_at = TIMESTAMP_NONE, .stored_occurred_at = TIMESTAMP_NONE};
}

struct slice order_field_name(enum order_field field) {
    static const struct slice names[ORDER_FIELDS] = {
        [FIELD_STATUS] = SLICE("status"),
        [FIELD_SEND_DATE] = SLICE("send_date"),
        [FIELD_COURIER] = SLICE("courier"),
        [FIELD_DESTINATION] = SLICE("destination"),
    };
    return names[field];
}

/* The members have the types of FACT_MEMBER; they are copied, so that nothing depends on how they
 * are aligned. */
struct fact_value fact_said(const struct fact_row *row, const void *change) {
    const char *member = (const char *)change + row->offset;
    struct fact_value value = {.number = VALUE_NONE};
    int32_t days;
    bool flag;
    switch (row->type) {
    case FACT_TYPE_TIME:
        memcpy(&value.number, member, sizeof(value.number));
        break;
    case FACT_TYPE_DATE:
        memcpy(&days, member, sizeof(days));
        value.number = days == DATE_NONE ? VALUE_NONE : days;
        break;
    case FACT_TYPE_FLAG:
        memcpy(&flag, member, sizeof(flag));
        value.number = flag;
        break;
    case FACT_TYPE_TEXT:
    case FACT_TYPE_JSON:
    case FACT_TYPE_LIST:
    case FACT_TYPE_GROUP:
        memcpy(&value.text, member, sizeof(value.text));
        break;
    }
    return value;
}

bool fact_is_said(const struct fact_row *row, const struct fact_value *value) {
    switch (row->type) {
    case FACT_TYPE_TIME:
    case FACT_TYPE_DATE:
        return value->number != VALUE_NONE;
    case FACT_TYPE_FLAG:
        return value->number == 1;
    case FACT_TYPE_TEXT:
    case FACT_TYPE_JSON:
    case FACT_TYPE_LIST:
    case FACT_TYPE_GROUP:
        break;
    }
    return value->text.len > 0;
}

bool fact_digest(struct slice text, struct arena *arena, struct slice *digest) {
    uint8_t bytes[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    if (!crypto_sha256(text, bytes)) {
        return false;
    }
    hex_encode(bytes, sizeof(bytes), hex);
    return arena_dup(arena, slice_from_cstr(hex), digest);
}

#include "domain/status_word.h"

static const struct {
    struct slice name;
    int rank;
    enum phase phase;
} STATUSES[] = {
    [STATUS_UNKNOWN] = {SLICE("unknown"), 0, PHASE_UNKNOWN},
    [STATUS_PENDING] = {SLICE("pending"), 10, PHASE_OPEN},
    [STATUS_PRE_TRANSIT] = {SLICE("pre_transit"), 20, PHASE_OPEN},
    [STATUS_IN_TRANSIT] = {SLICE("in_transit"), 30, PHASE_OPEN},
    [STATUS_OUT_FOR_DELIVERY] = {SLICE("out_for_delivery"), 40, PHASE_OPEN},
    [STATUS_ATTEMPT_FAILED] = {SLICE("attempt_failed"), 45, PHASE_OPEN},
    [STATUS_AVAILABLE_FOR_PICKUP] = {SLICE("available_for_pickup"), 50, PHASE_OPEN},
    [STATUS_EXCEPTION] = {SLICE("exception"), 55, PHASE_OPEN},
    [STATUS_RETURNING] = {SLICE("returning"), 60, PHASE_STICKY},
    [STATUS_EXPIRED] = {SLICE("expired"), 65, PHASE_OPEN},
    [STATUS_DELIVERED] = {SLICE("delivered"), 90, PHASE_STICKY},
    [STATUS_FAILED] = {SLICE("failed"), 92, PHASE_STICKY},
    [STATUS_RETURNED] = {SLICE("returned"), 94, PHASE_STICKY},
    [STATUS_CANCELLED] = {SLICE("cancelled"), 96, PHASE_STICKY},
    /* Derived from boxes, so it takes part in no comparison; between the statuses it lies between.
     */
    [STATUS_PARTIALLY_DELIVERED] = {SLICE("partially_delivered"), 80, PHASE_OPEN},
};

struct slice status_name(enum status status) {
    return STATUSES[status].name;
}

bool status_from_name(struct slice name, enum status *status) {
    for (size_t i = 0; i < ARRAY_LEN(STATUSES); i++) {
        if (slice_eq(STATUSES[i].name, name)) {
            *status = (enum status)i;
            return true;
        }
    }
    return false;
}

int status_rank(enum status status) {
    return STATUSES[status].rank;
}

enum phase status_phase(enum status status) {
    return STATUSES[status].phase;
}

void status_word_fold(struct slice word, struct strbuf *out) {
    struct slice trimmed = slice_trim(word);
    for (size_t i = 0; i < trimmed.len; i++) {
        char c = trimmed.data[i];
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        strbuf_add_char(out, c == ' ' || c == '-' ? '_' : c);
    }
}

const struct status_word *status_word_find(const struct status_word *words, size_t count,
                                           struct slice word) {
    struct slice trimmed = slice_trim(word);
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_nocase(words[i].word, trimmed))
            return &words[i];
    }
    return NULL;
}

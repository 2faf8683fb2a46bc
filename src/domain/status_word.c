#include "domain/status_word.h"

#include "base/ascii.h"
#include "base/limits.h"

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

static const struct slice CANCEL = SLICE("cancel");

/* A word without case, with one kind of separator and one spelling of "cancelled". */
struct folded {
    char text[LIMIT_ID];
    size_t len;
};

static char fold_char(char c) {
    if (c == ' ' || c == '-') {
        return '_';
    }
    return ascii_to_lower(c);
}

/* False for a word that is longer than any that is kept. */
static bool fold_word(struct slice word, struct folded *folded) {
    folded->len = 0;
    word = slice_trim(word);
    for (size_t i = 0; i < word.len; i++) {
        if (folded->len == sizeof(folded->text)) {
            return false;
        }
        char c = fold_char(word.data[i]);
        /* The second l of "cancelled" behind "cancel". */
        if (c == 'l' && folded->len >= CANCEL.len &&
            !(i + 1 < word.len && fold_char(word.data[i + 1]) == 'l') &&
            slice_eq((struct slice){folded->text + folded->len - CANCEL.len, CANCEL.len}, CANCEL)) {
            continue;
        }
        folded->text[folded->len++] = c;
    }
    return true;
}

static bool is_same(const struct folded *a, struct slice word) {
    struct folded b;
    return fold_word(word, &b) &&
           slice_eq((struct slice){a->text, a->len}, (struct slice){b.text, b.len});
}

void status_word_fold(struct slice word, struct strbuf *out) {
    struct folded folded;
    if (fold_word(word, &folded)) {
        strbuf_add(out, folded.text, folded.len);
    } else {
        strbuf_fail(out);
    }
}

bool status_word_eq(struct slice a, struct slice b) {
    struct folded folded;
    return fold_word(a, &folded) && is_same(&folded, b);
}

const struct status_word *status_word_find(const struct status_word *words, size_t count,
                                           struct slice word) {
    struct folded folded;
    if (!fold_word(word, &folded)) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_same(&folded, words[i].word)) {
            return &words[i];
        }
    }
    return NULL;
}

enum status status_from_word(struct slice word) {
    struct folded folded;
    if (!fold_word(word, &folded)) {
        return STATUS_UNKNOWN;
    }
    for (size_t i = 0; i < STATUS_PARTIALLY_DELIVERED; i++) {
        if (is_same(&folded, STATUSES[i].name)) {
            return (enum status)i;
        }
    }
    return STATUS_UNKNOWN;
}

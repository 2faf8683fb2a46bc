#include "domain/fact.h"

#include "domain/change.h"

#define RULE_OF_TEXT RULE_LATEST
#define RULE_OF_JSON RULE_LATEST
#define RULE_OF_TIME RULE_LATEST
#define RULE_OF_DATE RULE_LATEST
#define RULE_OF_FLAG RULE_EVER
#define IS_PUBLIC false
#define IS_PERSONAL true

#define ROW(constant_, name_, type_, scope_, number_, text_, subject_, struct_)                    \
    [FACT_##constant_] = {.name = SLICE(#name_),                                                   \
                          .subject = (subject_),                                                   \
                          .type = FACT_TYPE_##type_,                                               \
                          .rule = RULE_OF_##type_,                                                 \
                          .personal = IS_##scope_,                                                 \
                          .number = (number_),                                                     \
                          .offset = offsetof(struct_, name_),                                      \
                          .text = SLICE(text_)},
#define ORDER_ROW(constant, name, type, scope, number, text)                                       \
    ROW(constant, name, type, scope, number, text, SUBJECT_ORDER, struct order_change)
#define BOX_ROW(constant, name, type, scope, number, text)                                         \
    ROW(constant, name, type, scope, number, text, SUBJECT_BOX, struct box_change)
/* A fact with code of its own in fold.c. */
#define OWN_ROW(constant_, name_, type_, rule_, personal_, number_, text_, subject_)               \
    [FACT_##constant_] = {.name = SLICE(name_),                                                    \
                          .subject = (subject_),                                                   \
                          .type = FACT_TYPE_##type_,                                               \
                          .rule = RULE_##rule_,                                                    \
                          .personal = (personal_),                                                 \
                          .number = (number_),                                                     \
                          .offset = FACT_NO_MEMBER,                                                \
                          .text = SLICE(text_)},

static const struct fact_row ROWS[] = {
    OWN_ROW(OWN_STATUS, "own_status", GROUP, STATUS, false, 0,
            "The status that the sender reports of the order itself.", SUBJECT_ORDER) /**/
    ORDER_FACTS(ORDER_ROW)                                                            /**/
    OWN_ROW(BOX_LIST, "box_list", LIST, LATEST, false, 6, "The sender's list of the order's boxes.",
            SUBJECT_ORDER) /**/
    OWN_ROW(STATUS, "status", GROUP, STATUS, false, 0, "The box's status, with its place and time.",
            SUBJECT_BOX) /**/
    OWN_ROW(REMOVED, "removed", TIME, LATEST, false, -1,
            "Since when the sender's list leaves the box out.", SUBJECT_BOX) /**/
    OWN_ROW(DELIVERED_AT, "delivered_at", TIME, STATUS, false, 1,
            "When the box was delivered; kept when a return follows.", SUBJECT_BOX) /**/
    OWN_ROW(SHIPPED_AT, "shipped_at", TIME, EARLIEST, false, 2,
            "When the box entered the carrier's network.", SUBJECT_BOX)                      /**/
    BOX_FACTS(BOX_ROW)                                                                       /**/
    OWN_ROW(DOCUMENT, "document", GROUP, EVER, true, -1, "A paper of the box.", SUBJECT_BOX) /**/
    OWN_ROW(EVENT, "event", GROUP, SNAPSHOT, false, -1, "A row of the box's history.",
            SUBJECT_BOX)};

const struct fact_row *fact_row(enum fact fact) {
    return &ROWS[fact];
}

struct slice fact_rule_name(enum fact_rule rule) {
    static const struct slice names[] = {
        [RULE_LATEST] = SLICE("latest"),     [RULE_STATUS] = SLICE("status"),
        [RULE_EARLIEST] = SLICE("earliest"), [RULE_EVER] = SLICE("ever"),
        [RULE_SNAPSHOT] = SLICE("snapshot"),
    };
    return names[rule];
}

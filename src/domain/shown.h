/*
 * What users see of a state: the status of boxes and of the order, attention, totals and times
 * (contract section 5). Pure; computed here and nowhere else.
 */
#ifndef DOMAIN_SHOWN_H
#define DOMAIN_SHOWN_H

#include "domain/order_state.h"

/*
 * Derives what ORDER and its boxes show, into their members. True when the order's document differs
 * from the stored one, or the order is new. Boxes that come to differ are marked. ARENA holds what
 * is made; *failed is set without memory, and never cleared.
 */
MUST_CHECK bool shown_order(struct order_state *order, struct arena *arena, bool *failed);

/* The reasons of shown_order.attention, sorted by name; COUNT of them. */
const struct slice *attention_reasons(size_t *count);
/* Why the order has its status: the text of RULE, 1 to 7. */
struct slice status_rule_text(int rule);
/* The time of the sender's newest list of boxes; TIMESTAMP_NONE without a list. */
int64_t box_list_at(const struct order_state *order);

#endif

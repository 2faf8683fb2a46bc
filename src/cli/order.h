/* An order on the command line: source/id, its key, an order number, an external reference, a
 * tracking number, or the sender's id. */
#ifndef CLI_ORDER_H
#define CLI_ORDER_H

#include "engine/store_operator.h"

/* The one order that TEXT means. False with ERR when there is none, or when there are several:
 * those are named in it. */
MUST_CHECK bool order_named(struct store *store, const char *text, struct uuid *key,
                            struct err *err);

#endif

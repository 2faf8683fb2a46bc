/*
 * From the bytes of one webhook to what it says (contract section 4): the same for a request, the
 * spool, a replay, a rebuild and an explanation.
 *
 * No I/O.
 */
#ifndef APP_READ_DELIVERY_H
#define APP_READ_DELIVERY_H

#include "domain/provider.h"
#include "engine/delivery.h"

enum read_result {
    READ_DONE,     /* delivery->reading says what it is */
    READ_NOT_JSON, /* the delivery is quarantined, its detail says where and why */
    READ_NO_MEMORY,
};

/*
 * Reads the body of DELIVERY as PROVIDER's, as CONTEXT says: its source, owners, body and times are
 * set. Parses, lets the provider read, derives content and identities; what the delivery says lives
 * in ARENA.
 */
MUST_CHECK enum read_result read_delivery(struct delivery *delivery,
                                          const struct provider *provider,
                                          const struct reading_context *context,
                                          struct arena *arena);

#endif

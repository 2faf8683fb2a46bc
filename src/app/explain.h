/*
 * Why an order shows what it shows: for every fact the webhook that set it, and the ones that lost
 * against it. The registers say who won; what the others said is read again from their stored
 * bodies, by the same providers as when they came.
 */
#ifndef APP_EXPLAIN_H
#define APP_EXPLAIN_H

#include "app/settings.h"
#include "base/strbuf.h"
#include "engine/store.h"

/* Bodies beyond the newest of so many bytes are not read. */
#define EXPLAIN_BODY_BYTES ((int64_t)8 << 20)

/*
 * Appends to OUT the order's document (of EXPLANATION, which store_explain() has filled) with one
 * more member, "explanation". Webhooks are read as SETTINGS (NULL: none) say of their sources.
 * False without memory or beyond OUT's maximum.
 */
MUST_CHECK bool explain_write(const struct store_explanation *explanation,
                              const struct settings *settings, struct strbuf *out);

/*
 * What the explanation depends on, as text for a validator: the version, and which webhooks spoke
 * of the order and can still be read. False without memory.
 */
MUST_CHECK bool explain_etag(const struct store_explanation *explanation, const char *variant,
                             struct strbuf *out);

#endif

/*
 * The small texts a client hands back: entity tags (RFC 9110, 8.8.3) and cursors. Pure.
 */
#ifndef APP_VALIDATOR_H
#define APP_VALIDATOR_H

#include "base/strbuf.h"

/* Whether the value of If-None-Match names ETAG: "*", or a list in which weak and strong tags
 * compare alike (RFC 9110, 13.1.2). */
bool etag_matches(struct slice if_none_match, struct slice etag);

/* For an entity tag: the first 128 bits of the digest of COUNT FIELDS, in hexadecimal digits. False
 * without memory. */
#define ETAG_DIGEST_TEXT (2 * 16 + 1)
MUST_CHECK bool etag_digest(const struct slice *fields, size_t count, char text[ETAG_DIGEST_TEXT]);

/* A cursor is the identity of a database's change feed and a position in it, 0 for its
 * beginning. */
void cursor_put(struct strbuf *out, int64_t feed_id, int64_t position);
/* False when TEXT is no cursor. */
MUST_CHECK bool cursor_read(struct slice text, int64_t *feed_id, int64_t *position);

#endif

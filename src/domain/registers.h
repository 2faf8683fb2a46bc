/*
 * The keys of one row's registers as the bytes of its column `registers`.
 *
 * Most facts of a row come from few webhooks, and the key of a status holds what the key of a fact
 * of the same webhook does (domain/register_key.h). So that stands there once: an entry is a bit
 * mask of the registers that have this key, the number of statuses that have it within theirs, each
 * of these with its register, phase, rank and word, and then the key: version_at, the sender's
 * number, the delivery, the change. Entries are in the order of their lowest register; integers are
 * LEB128, signed ones zigzag. One set of keys has one encoding, and registers that this release
 * does not know are kept.
 *
 * Pure.
 */
#ifndef DOMAIN_REGISTERS_H
#define DOMAIN_REGISTERS_H

#include "base/attr.h"
#include "base/strbuf.h"
#include "domain/register_key.h"

/* Register numbers are below this. */
#define REGISTERS_MAX 32

/* A key with data NULL: nothing is said yet. */
struct registers {
    struct slice keys[REGISTERS_MAX];
};

/* The keys are ARENA's. False when BYTES are not an encoding, or without memory. */
MUST_CHECK bool registers_decode(struct slice bytes, struct arena *arena,
                                 struct registers *registers);
/* Keys that domain/register_key.h has not made fail OUT. */
void registers_encode(const struct registers *registers, struct strbuf *out);

/* The one key of a row that names its delivery in a column of its own: without the delivery. */
MUST_CHECK bool register_decode(struct slice bytes, const struct uuid *delivery,
                                struct arena *arena, struct slice *key);
void register_encode(struct slice key, struct strbuf *out);

#endif

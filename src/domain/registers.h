/*
 * The keys of one row's registers as the bytes of its column `registers`.
 *
 * Most facts of a row come from few webhooks, so a key stands there once, behind the numbers of all
 * registers that have it: an entry is a bit mask of register numbers, the length of the key and the
 * key, mask and length as LEB128; entries are in the order of their lowest number. One set of keys
 * has one encoding. Numbers that this release does not know are kept as they came.
 *
 * Pure; slices borrow the bytes that they were decoded from.
 */
#ifndef DOMAIN_REGISTERS_H
#define DOMAIN_REGISTERS_H

#include "base/attr.h"
#include "base/strbuf.h"

/* Register numbers are below this. */
#define REGISTERS_MAX 32

/* A key with data NULL: nothing is said yet. */
struct registers {
    struct slice keys[REGISTERS_MAX];
};

/* False when BYTES are no encoding. */
MUST_CHECK bool registers_decode(struct slice bytes, struct registers *registers);
void registers_encode(const struct registers *registers, struct strbuf *out);

#endif

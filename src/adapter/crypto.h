/*
 * Hashes, HMAC, base64, randomness and comparison in constant time, over OpenSSL 3. Nobody else
 * includes <openssl/…>.
 */
#ifndef ADAPTER_CRYPTO_H
#define ADAPTER_CRYPTO_H

#include "base/slice.h"

#define SHA256_LEN 32

/* Loads the algorithms. The calls below do so the first time, but what OpenSSL had no memory for
 * then it never has: a program calls this at its start, and ends when it is false. */
MUST_CHECK bool crypto_start(void);
/* All hashing calls are false only when OpenSSL itself fails (no memory, no provider). They are
 * safe in any thread. */
MUST_CHECK bool crypto_sha256(struct slice data, uint8_t digest[SHA256_LEN]);
/* SHA-256 over COUNT fields, each preceded by its length as eight big-endian bytes, so that no two
 * lists of fields collide. */
MUST_CHECK bool crypto_sha256_fields(const struct slice *fields, size_t count,
                                     uint8_t digest[SHA256_LEN]);
/* HMAC-SHA-256 (RFC 2104) over the concatenation of COUNT parts. */
MUST_CHECK bool crypto_hmac_sha256(struct slice key, const struct slice *parts, size_t count,
                                   uint8_t digest[SHA256_LEN]);
/* True when both are the same bytes. The time depends on the lengths only: callers with lengths to
 * hide compare digests. */
bool crypto_equal(struct slice a, struct slice b);
/* Fills BYTES from the kernel's generator. */
MUST_CHECK bool crypto_random(uint8_t *bytes, size_t len);
/* Base64 (RFC 4648) with '+' and '/' or '-' and '_', padding optional; *len comes as room and goes
 * as length. False on any other character, a wrong length, bits left over, and too little room. The
 * time depends on the length of TEXT alone (and on its padding). */
MUST_CHECK bool crypto_base64_decode(struct slice text, uint8_t *bytes, size_t *len);
/* Writes the base64 of BYTES, padded and with a NUL: CRYPTO_BASE64_LEN(bytes.len) + 1 bytes. */
#define CRYPTO_BASE64_LEN(len) (((len) + 2) / 3 * 4)
void crypto_base64_encode(struct slice bytes, char *text);
/* Overwrites LEN bytes in a way that no compiler leaves out. */
void crypto_wipe(void *bytes, size_t len);

#endif

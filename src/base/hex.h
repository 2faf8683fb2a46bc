/* Bytes as lower-case hexadecimal text and back. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include "base/slice.h"

/* Writes 2 * LEN digits and a NUL to TEXT. */
void hex_encode(const uint8_t *bytes, size_t len, char *text);
/* 0 to 15 for a digit of either case; -1 for anything else. */
int hex_value(char digit);
/* Digits of either case to exactly LEN bytes; false when TEXT is not that. */
MUST_CHECK bool hex_decode(struct slice text, uint8_t *bytes, size_t len);

#endif

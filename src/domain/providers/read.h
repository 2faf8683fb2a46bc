/* One function a provider, for the table in provider.c: the contract is that of struct provider. */
#ifndef DOMAIN_PROVIDERS_READ_H
#define DOMAIN_PROVIDERS_READ_H

#include "domain/provider.h"

#define DECLARE_READ(name)                                                                         \
    MUST_CHECK bool name##_read(const struct json *doc, const struct reading_context *context,     \
                                struct arena *arena, struct changes *changes,                      \
                                enum reading *reading)

DECLARE_READ(crossborderly);
DECLARE_READ(crowdsender);
DECLARE_READ(shipup);
DECLARE_READ(swiftpod);
DECLARE_READ(waybill);

#endif

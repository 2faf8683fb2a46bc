#include "domain/provider.h"

#include "domain/providers/read.h"

static const char *const crossborderly_events[] = {"parcel.status_changed", "parcel.delivered",
                                                   "parcel.exception", "manifest.submitted", NULL};
static const char *const crowdsender_events[] = {"trackingUpdated",           "statusUpdated",
                                                 "sendDateUpdated",           "courierUpdated",
                                                 "destinationAddressUpdated", NULL};
static const char *const shipup_events[] = {"tracker.new", "tracker.events.new", NULL};
static const char *const waybill_events[] = {"order.updated", NULL};
static const char *const swiftpod_events[] = {"order_notify", "shipment_notify", NULL};

static const struct provider PROVIDERS[] = {
    {
        .name = SLICE("crossborderly"),
        .signature = {.kind = SIGNATURE_HMAC_SHA256,
                      .header = SLICE("X-CrossBorderly-Signature"),
                      .prefix = SLICE("sha256="),
                      .encoding = ENCODING_HEX},
        .events = crossborderly_events,
        .read = crossborderly_read,
    },
    {
        .name = SLICE("crowdsender"), /* presents a credential that its user chooses */
        .events = crowdsender_events,
        .read = crowdsender_read,
    },
    {
        .name = SLICE("shipup"), /* HTTP Basic */
        .resend_counter = "retry_count",
        .events = shipup_events,
        .read = shipup_read,
    },
    {
        .name = SLICE("swiftpod"), /* the key is the account's API key */
        .signature = {.kind = SIGNATURE_HMAC_SHA256,
                      .header = SLICE("X-Swiftpod-Signature"),
                      .encoding = ENCODING_HEX},
        .events = swiftpod_events,
        .read = swiftpod_read,
    },
    {
        .name = SLICE("waybill"), /* our own form, for senders of one's own */
        .signature = {.kind = SIGNATURE_STANDARD_WEBHOOKS},
        .names_sources = true,
        .events = waybill_events,
        .read = waybill_read,
    },
};

const struct provider *provider_find(struct slice name) {
    for (size_t i = 0; i < ARRAY_LEN(PROVIDERS); i++) {
        if (slice_eq(PROVIDERS[i].name, name))
            return &PROVIDERS[i];
    }
    return NULL;
}

const struct provider *provider_table(size_t *count) {
    *count = ARRAY_LEN(PROVIDERS);
    return PROVIDERS;
}

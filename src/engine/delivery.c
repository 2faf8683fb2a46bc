#include "engine/delivery.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* ---- whose order ---- */

static const struct order_owner *find_owner(const struct delivery *delivery) {
    for (size_t i = 0; i < delivery->owner_count; i++) {
        if (slice_eq(delivery->owners[i].source, delivery->changes.order_source)) {
            return &delivery->owners[i];
        }
    }
    return NULL;
}

static bool refuse_order(struct delivery *delivery, const char *why, struct arena *arena) {
    struct strbuf detail = STRBUF_INIT(LIMIT_TEXT);
    strbuf_addf(&detail, "%s: %s", delivery->changes.order_source_path, why);
    bool ok = !strbuf_failed(&detail) &&
              arena_dup(arena, strbuf_slice(&detail), &delivery->changes.detail);
    delivery->reading = READING_QUARANTINED;
    strbuf_free(&detail);
    return ok;
}

static bool settle_owner(struct delivery *delivery, struct arena *arena) {
    const struct changes *changes = &delivery->changes;
    delivery->order_source = delivery->source;
    if (changes->order_source.len == 0 || slice_eq(changes->order_source, delivery->source)) {
        delivery->order_provider = delivery->provider;
        return true;
    }
    if (delivery->reading != READING_APPLIED) {
        return true;
    }
    delivery->order_source = changes->order_source;
    if (delivery->order_provider.len > 0) {
        return true;
    }
    const struct order_owner *owner = find_owner(delivery);
    if (owner == NULL) {
        return refuse_order(delivery, "writes_to does not name this source", arena);
    }
    if (changes->live ? !owner->takes_live : !owner->takes_sandbox) {
        return refuse_order(delivery,
                            changes->live ? "this source takes sandbox traffic only"
                                          : "this source takes live traffic only",
                            arena);
    }
    delivery->order_provider = owner->provider;
    delivery->tracking_url_template = owner->tracking_url_template;
    return true;
}

/* ---- identities ---- */

static bool identify_boxes(struct delivery *delivery, struct arena *arena) {
    const struct changes *changes = &delivery->changes;
    delivery->box_keys = arena_array(arena, changes->box_count + 1, sizeof(struct uuid));
    if (delivery->box_keys == NULL) {
        return false;
    }
    for (size_t i = 0; i < changes->box_count; i++) {
        if (!box_key(&delivery->order, changes->boxes[i].box_id, &delivery->box_keys[i])) {
            return false;
        }
        changes->boxes[i].tracking_url_template = delivery->tracking_url_template;
    }
    return true;
}

static bool identify_documents(struct delivery *delivery, struct arena *arena) {
    const struct changes *changes = &delivery->changes;
    delivery->document_keys = arena_array(arena, changes->document_count + 1, sizeof(struct uuid));
    delivery->document_box_keys =
        arena_array(arena, changes->document_count + 1, sizeof(struct uuid));
    if (delivery->document_keys == NULL || delivery->document_box_keys == NULL) {
        return false;
    }
    for (size_t i = 0; i < changes->document_count; i++) {
        const struct document *document = &changes->documents[i];
        struct uuid *box = &delivery->document_box_keys[i];
        if (!box_key(&delivery->order, document->box_id, box) ||
            !document_key(box, document->kind, document->url, &delivery->document_keys[i])) {
            return false;
        }
    }
    return true;
}

static bool identify_events(struct delivery *delivery, struct arena *arena) {
    const struct changes *changes = &delivery->changes;
    delivery->event_keys = arena_array(arena, changes->event_count + 1, sizeof(struct uuid));
    delivery->event_box_keys = arena_array(arena, changes->event_count + 1, sizeof(struct uuid));
    if (delivery->event_keys == NULL || delivery->event_box_keys == NULL) {
        return false;
    }
    for (size_t i = 0; i < changes->event_count; i++) {
        const struct tracking_event *event = &changes->events[i];
        struct uuid *box = &delivery->event_box_keys[i];
        if (!box_key(&delivery->order, event->box_id, box) ||
            !event_row_key(box, event->sender_event_id, &delivery->id, (uint32_t)i,
                           &delivery->event_keys[i])) {
            return false;
        }
    }
    return true;
}

bool delivery_identify(struct delivery *delivery, struct arena *arena) {
    const struct changes *changes = &delivery->changes;
    if (!settle_owner(delivery, arena) || !crypto_sha256(delivery->body, delivery->body_sha256)) {
        return false;
    }
    if (delivery->content.len == 0 || delivery->reading == READING_QUARANTINED) {
        return quarantined_delivery_id(delivery->source, delivery->body, &delivery->id);
    }
    if (!delivery_id(delivery->source, changes->live, changes->event_id, delivery->content,
                     &delivery->id)) {
        return false;
    }
    if (delivery->reading != READING_APPLIED) {
        return true;
    }
    if (changes->has_manifest &&
        !manifest_key(delivery->source, changes->live, changes->manifest.shipment_id,
                      &delivery->manifest)) {
        return false;
    }
    delivery->has_order = changes->order_id.len > 0;
    if (!delivery->has_order) {
        return true;
    }
    return order_key(delivery->order_source, changes->live, changes->order_id, &delivery->order) &&
           identify_boxes(delivery, arena) && identify_events(delivery, arena) &&
           identify_documents(delivery, arena);
}

bool delivery_quarantine(struct delivery *delivery, struct slice detail) {
    delivery->reading = READING_QUARANTINED;
    delivery->has_order = false;
    delivery->changes.has_manifest = false;
    delivery->changes.detail = detail;
    return quarantined_delivery_id(delivery->source, delivery->body, &delivery->id);
}

struct slice delivery_outcome_name(enum delivery_outcome outcome) {
    static const struct slice names[] = {
        [OUTCOME_APPLIED] = SLICE("applied"),         [OUTCOME_IGNORED] = SLICE("ignored"),
        [OUTCOME_QUARANTINED] = SLICE("quarantined"), [OUTCOME_DUPLICATE] = SLICE("duplicate"),
        [OUTCOME_REFUSED] = SLICE("refused"),
    };
    return names[outcome];
}

bool delivery_outcome_find(struct slice name, enum delivery_outcome *outcome) {
    for (int i = OUTCOME_APPLIED; i <= OUTCOME_REFUSED; i++) {
        *outcome = (enum delivery_outcome)i;
        if (slice_eq(name, delivery_outcome_name(*outcome))) {
            return true;
        }
    }
    return false;
}

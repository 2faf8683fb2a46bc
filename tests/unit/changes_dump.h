/*
 * Changes as JSON for a reader's eye: indented, in a fixed order, what is not said left out. Times
 * have microseconds, since these order.
 */
#ifndef TESTS_CHANGES_DUMP_H
#define TESTS_CHANGES_DUMP_H

#include "adapter/json.h"
#include "domain/change.h"

#include <stdio.h>
#include <string.h>

static void dump_text(struct json_writer *w, const char *key, struct slice value) {
    if (value.len)
        json_put_text(w, key, value);
}

static void dump_raw(struct json_writer *w, const char *key, struct slice value) {
    if (value.len)
        json_put_raw(w, key, value);
}

static void dump_flag(struct json_writer *w, const char *key, bool value) {
    if (value)
        json_put_boolean(w, key, true);
}

static void dump_time(struct json_writer *w, const char *key, int64_t at) {
    char text[TIMESTAMP_TEXT + 16];
    if (at == TIMESTAMP_NONE)
        return;
    timestamp_format(at, text);
    char *point = strchr(text, '.');
    snprintf(point, 16, ".%06dZ", (int)(at % TIMESTAMP_SECOND));
    json_put_text(w, key, slice_from_cstr(text));
}

static void dump_date(struct json_writer *w, const char *key, int32_t days) {
    char text[TIMESTAMP_TEXT];
    if (days == DATE_NONE)
        return;
    timestamp_format((int64_t)days * 86400 * TIMESTAMP_SECOND, text);
    json_put_text(w, key, (struct slice){text, strlen("YYYY-MM-DD")});
}

static void dump_report(struct json_writer *w, const struct status_report *report) {
    json_put_text(w, "status", status_name(report->status));
    dump_text(w, "detail", report->detail);
    dump_flag(w, "weak", report->weak);
    dump_text(w, "provider_status", report->provider_status);
    dump_time(w, "status_at", report->at);
    dump_text(w, "location", report->location);
    dump_time(w, "next_attempt_at", report->next_attempt_at);
}

static void dump_order(struct json_writer *w, const struct order_change *order) {
    json_begin_object(w, "order");
    if (order->has_status)
        dump_report(w, &order->status);
    dump_text(w, "order_number", order->order_number);
    dump_text(w, "external_reference", order->external_reference);
    dump_text(w, "courier_id", order->courier_id);
    dump_time(w, "send_date", order->send_date);
    dump_raw(w, "destination", order->destination);
    if (order->has_box_list) {
        json_begin_array(w, "box_list");
        for (size_t i = 0; i < order->box_list_count; i++)
            json_put_text(w, NULL, order->box_list[i]);
        json_end_array(w);
    }
    json_end_object(w);
}

static void dump_box(struct json_writer *w, const struct box_change *box) {
    json_begin_object(w, NULL);
    json_put_text(w, "box_id", box->box_id);
    if (box->has_status)
        dump_report(w, &box->status);
    dump_flag(w, "was_delayed", box->was_delayed);
    dump_flag(w, "had_failed_attempt", box->had_failed_attempt);
    dump_text(w, "tracking_number", box->tracking_number);
    dump_text(w, "carrier", box->carrier);
    dump_text(w, "carrier_name", box->carrier_name);
    dump_text(w, "tracking_url", box->tracking_url);
    dump_text(w, "signed_by", box->signed_by);
    dump_text(w, "proof_of_delivery", box->proof_of_delivery);
    dump_text(w, "label_url", box->label_url);
    dump_raw(w, "pickup_point", box->pickup_point);
    dump_raw(w, "items", box->items);
    dump_date(w, "estimated_delivery_date", box->estimated_delivery_date);
    dump_time(w, "estimated_delivery_at", box->estimated_delivery_at);
    dump_time(w, "shipped_at", box->shipped_at);
    json_end_object(w);
}

static void dump_event(struct json_writer *w, const struct tracking_event *event) {
    json_begin_object(w, NULL);
    json_put_text(w, "box_id", event->box_id);
    dump_text(w, "sender_event_id", event->sender_event_id);
    dump_time(w, "occurred_at", event->occurred_at);
    json_put_text(w, "status", status_name(event->status));
    dump_text(w, "detail", event->detail);
    dump_text(w, "provider_status", event->provider_status);
    dump_text(w, "location", event->location);
    dump_text(w, "message", event->message);
    dump_text(w, "previous_status", event->previous_status);
    dump_text(w, "stands_for", event->stands_for);
    json_end_object(w);
}

static void dump_document(struct json_writer *w, const struct document *document) {
    json_begin_object(w, NULL);
    json_put_text(w, "box_id", document->box_id);
    json_put_text(w, "kind", document->kind);
    json_put_text(w, "url", document->url);
    json_end_object(w);
}

static void dump_order_change(struct json_writer *w, const struct order_field_change *change) {
    static const char *const FIELDS[] = {[FIELD_STATUS] = "status",
                                         [FIELD_SEND_DATE] = "send_date",
                                         [FIELD_COURIER] = "courier",
                                         [FIELD_DESTINATION] = "destination"};
    json_begin_object(w, NULL);
    json_put_text(w, "field", slice_from_cstr(FIELDS[change->field]));
    dump_text(w, "previous_value", change->previous_value);
    dump_text(w, "new_value", change->new_value);
    dump_time(w, "occurred_at", change->occurred_at);
    json_end_object(w);
}

static void dump_manifest(struct json_writer *w, const struct manifest *manifest) {
    json_begin_object(w, "manifest");
    dump_text(w, "shipment_id", manifest->shipment_id);
    dump_text(w, "awb_number", manifest->awb_number);
    dump_text(w, "country", manifest->country);
    if (manifest->parcel_count >= 0)
        json_put_integer(w, "parcel_count", manifest->parcel_count);
    dump_time(w, "submitted_at", manifest->submitted_at);
    json_end_object(w);
}

/* The lists of LIST that have elements. */
#define DUMP_LIST(w, key, list, count, dump)                                                       \
    do {                                                                                           \
        if (count) {                                                                               \
            json_begin_array((w), (key));                                                          \
            for (size_t i_ = 0; i_ < (count); i_++)                                                \
                dump((w), &(list)[i_]);                                                            \
            json_end_array(w);                                                                     \
        }                                                                                          \
    } while (0)

static void dump_facts(struct json_writer *w, const struct changes *c) {
    dump_time(w, "version_at", c->version_at);
    if (c->number)
        json_put_integer(w, "number", c->number);
    dump_text(w, "order_source", c->order_source);
    if (c->order_id.len) {
        json_put_text(w, "order_id", c->order_id);
        dump_text(w, "moved_from", c->moved_from);
        dump_order(w, &c->order);
    }
    DUMP_LIST(w, "boxes", c->boxes, c->box_count, dump_box);
    DUMP_LIST(w, "events", c->events, c->event_count, dump_event);
    DUMP_LIST(w, "documents", c->documents, c->document_count, dump_document);
    DUMP_LIST(w, "order_changes", c->order_changes, c->order_change_count, dump_order_change);
    if (c->has_manifest)
        dump_manifest(w, &c->manifest);
}

/* COMPACT, a JSON text without white space, with two spaces for each level. */
static void dump_indented(struct slice compact, struct strbuf *out) {
    size_t depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < compact.len; i++) {
        char c = compact.data[i];
        bool opens = !in_text && (c == '{' || c == '['),
             closes = !in_text && (c == '}' || c == ']');
        bool was_opened = i && (compact.data[i - 1] == '{' || compact.data[i - 1] == '[');
        depth -= closes;
        if (closes && !was_opened)
            strbuf_addf(out, "\n%*s", (int)(2 * depth), "");
        strbuf_add_char(out, c);
        if (c == '"')
            in_text = !in_text;
        if (in_text && c == '\\')
            strbuf_add_char(out, compact.data[++i]);
        depth += opens;
        if (!in_text && c == ':')
            strbuf_add_char(out, ' ');
        bool empty = opens && (compact.data[i + 1] == '}' || compact.data[i + 1] == ']');
        if ((opens && !empty) || (!in_text && c == ','))
            strbuf_addf(out, "\n%*s", (int)(2 * depth), "");
    }
    strbuf_add_char(out, '\n');
}

static void dump_changes(const struct changes *c, enum reading reading, struct strbuf *out) {
    static const char *const READINGS[] = {[READING_APPLIED] = "applied",
                                           [READING_IGNORED] = "ignored",
                                           [READING_URL_CHECK] = "url_check",
                                           [READING_QUARANTINED] = "quarantined"};
    struct strbuf compact = STRBUF_INIT(out->max);
    struct json_writer w;
    json_writer_init(&w, &compact);
    json_begin_object(&w, NULL);
    json_put_text(&w, "reading", slice_from_cstr(READINGS[reading]));
    dump_text(&w, "detail", c->detail);
    dump_text(&w, "event_type", c->event_type);
    dump_text(&w, "event_id", c->event_id);
    if (c->live_known)
        json_put_boolean(&w, "live", c->live);
    if (reading == READING_APPLIED)
        dump_facts(&w, c);
    json_end_object(&w);
    dump_indented(strbuf_slice(&compact), out);
    strbuf_free(&compact);
}

#endif

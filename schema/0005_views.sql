-- What reporting tools see (schema waybill, no personal data) and what auditors see beside it (schema waybill_audit).

CREATE VIEW waybill.orders WITH (security_barrier) AS
SELECT o.order_key, o.source, o.provider, o.live, o.order_id, o.order_number, o.external_reference, o.status::text AS status, o.attention,
       o.own_provider_status AS provider_status, o.own_status_detail AS provider_status_detail, o.status_at, o.boxes_total, o.boxes_delivered,
       o.send_date, o.courier_id, o.shipped_at, o.delivered_at,
       o.destination ->> 'country' AS destination_country, o.destination ->> 'zip' AS destination_zip,
       o.destination ->> 'city' AS destination_city, o.first_event_at, o.last_event_at, o.updated_at, o.version
FROM waybill_data.orders o
WHERE o.version > 0;

CREATE VIEW waybill.boxes WITH (security_barrier) AS
SELECT b.order_key, b.box_key, o.source, o.live, o.order_id, b.box_id, b.tracking_number, b.carrier, b.tracking_url, b.status::text AS status,
       b.status_detail, b.provider_status, b.status_at, b.location, b.was_delayed, b.had_failed_attempt, b.shipped_at, b.delivered_at,
       b.estimated_delivery_date, b.estimated_delivery_at, b.next_attempt_at, o.updated_at
FROM waybill_data.shown_boxes b JOIN waybill_data.orders o ON o.order_key = b.order_key;

CREATE VIEW waybill.tracking_events WITH (security_barrier) AS
SELECT e.order_key, e.box_key, o.source, o.live, o.order_id, b.box_id, e.occurred_at, e.status::text AS status, e.status_detail,
       e.provider_status, e.location, d.received_at, e.delivery_id
FROM waybill_data.tracking_events e
JOIN waybill_data.orders o ON o.order_key = e.order_key
JOIN waybill_data.boxes b ON b.order_key = e.order_key AND b.box_key = e.box_key
LEFT JOIN waybill_data.deliveries d ON d.delivery_id = e.delivery_id;

CREATE VIEW waybill.order_changes WITH (security_barrier) AS
SELECT c.order_key, o.source, o.live, o.order_id, c.field, c.previous_value, c.new_value, c.occurred_at, d.received_at, c.delivery_id
FROM waybill_data.order_changes c
JOIN waybill_data.orders o ON o.order_key = c.order_key
LEFT JOIN waybill_data.deliveries d ON d.delivery_id = c.delivery_id;

CREATE VIEW waybill.manifests WITH (security_barrier) AS
SELECT m.source, m.live, m.shipment_id, m.awb_number, m.parcel_count, m.country, m.submitted_at
FROM waybill_data.manifests m;

-- Deliveries of one event id share the first eight bytes of their delivery_id (all but the last two groups of its text).
CREATE VIEW waybill_data.shown_deliveries AS
SELECT d.delivery_id, d.source, d.live, d.received_at, d.event_type, d.event_id, d.outcome,
       d.event_id IS NOT NULL AND d.outcome IN ('applied', 'ignored') AND EXISTS (
           SELECT FROM waybill_data.deliveries other
           WHERE other.delivery_id >= (pg_catalog.left(d.delivery_id::text, 19) || '0000-000000000000')::uuid
             AND other.delivery_id <= (pg_catalog.left(d.delivery_id::text, 19) || 'ffff-ffffffffffff')::uuid
             AND other.delivery_id <> d.delivery_id
             AND other.source = d.source AND other.event_id = d.event_id
             AND other.outcome IN ('applied', 'ignored')) AS conflict,
       d.detail, d.times_received, d.body_sha256, d.body_bytes, d.body, d.headers
FROM waybill_data.deliveries d;

CREATE VIEW waybill.deliveries WITH (security_barrier) AS
SELECT d.delivery_id, d.source, d.live, d.received_at, d.event_type, d.event_id, d.outcome, d.conflict, d.detail, d.times_received,
       d.body_sha256, d.body_bytes
FROM waybill_data.shown_deliveries d;

CREATE VIEW waybill.suspected_gaps WITH (security_barrier) AS
WITH said AS (
    SELECT e.order_key, e.box_key, 'status' AS field, e.occurred_at, e.status AS place, e.event_key AS tie,
           pg_catalog.lower(pg_catalog.btrim(e.provider_status)) AS word, e.provider_status AS shown_word, e.stands_for,
           e.previous_status AS previous
    FROM waybill_data.tracking_events e
    UNION ALL
    SELECT c.order_key, NULL, c.field, c.occurred_at, 'unknown', c.delivery_id,
           pg_catalog.lower(pg_catalog.btrim(c.new_value)), c.new_value, NULL, c.previous_value
    FROM waybill_data.order_changes c
), placed AS (
    SELECT s.*, pg_catalog.row_number() OVER just_before AS number, pg_catalog.lag(s.shown_word) OVER just_before AS found_previous
    FROM said s
    WINDOW just_before AS (PARTITION BY s.order_key, s.box_key, s.field ORDER BY s.occurred_at, s.place, s.word, s.tie)
)
SELECT o.source, o.live, o.order_id, b.box_id, p.field, p.occurred_at, p.previous AS expected_previous, p.found_previous
FROM placed p
JOIN waybill_data.orders o ON o.order_key = p.order_key
LEFT JOIN waybill_data.boxes b ON b.order_key = p.order_key AND b.box_key = p.box_key
WHERE p.previous IS NOT NULL AND p.number > 1
  AND NOT EXISTS (
      SELECT FROM said s
      WHERE s.order_key = p.order_key AND s.box_key IS NOT DISTINCT FROM p.box_key AND s.field = p.field
        AND s.occurred_at <= p.occurred_at
        AND (s.word = pg_catalog.lower(pg_catalog.btrim(p.previous))
             OR pg_catalog.upper(pg_catalog.btrim(p.previous)) = ANY (s.stands_for)));

CREATE VIEW waybill_audit.recipients WITH (security_barrier) AS
SELECT o.order_key, b.box_key, o.destination, b.signed_by, b.proof_of_delivery
FROM waybill_data.orders o LEFT JOIN waybill_data.boxes b ON b.order_key = o.order_key;

CREATE VIEW waybill_audit.documents WITH (security_barrier) AS
SELECT t.box_key, t.kind, t.url FROM waybill_data.documents t
UNION
SELECT b.box_key, 'label', b.label_url FROM waybill_data.boxes b WHERE b.label_url IS NOT NULL;

CREATE VIEW waybill_audit.messages WITH (security_barrier) AS
SELECT e.order_key, e.box_key, e.occurred_at, e.message, e.delivery_id
FROM waybill_data.tracking_events e WHERE e.message IS NOT NULL;

CREATE VIEW waybill_audit.deliveries WITH (security_barrier) AS
SELECT d.delivery_id, d.source, d.live, d.received_at, d.event_type, d.event_id, d.outcome, d.conflict, d.detail, d.times_received,
       d.body_sha256, d.body_bytes, d.body, d.headers
FROM waybill_data.shown_deliveries d;

GRANT SELECT ON ALL TABLES IN SCHEMA waybill TO waybill_report, waybill_audit;
GRANT SELECT ON ALL TABLES IN SCHEMA waybill_audit TO waybill_audit;

COMMENT ON VIEW waybill.orders IS 'One row an order, at its latest state.';
COMMENT ON VIEW waybill.boxes IS 'One row a box (parcel), at its latest state.';
COMMENT ON VIEW waybill.tracking_events IS 'The history of the boxes: what was reported of them and when it happened.';
COMMENT ON VIEW waybill.order_changes IS 'The history of the orders themselves: their status, send date, courier and destination.';
COMMENT ON VIEW waybill.manifests IS 'Manifests that senders submitted to a carrier.';
COMMENT ON VIEW waybill.deliveries IS 'Every authentic webhook that was received, once.';
COMMENT ON VIEW waybill.suspected_gaps IS 'Events whose sender names a previous value that no stored event produced: something was missed.';
COMMENT ON VIEW waybill_audit.recipients IS 'Who the orders go to, who signed for each box, and the proof.';
COMMENT ON VIEW waybill_audit.documents IS 'Papers of the boxes: labels, export documents.';
COMMENT ON VIEW waybill_audit.messages IS 'What senders wrote for people about a tracking event.';
COMMENT ON VIEW waybill_audit.deliveries IS 'Every authentic webhook with its exact bytes and kept headers.';

-- A column of one name means the same in every view, so its comment is written once; the few that differ follow.
DO $$
DECLARE
    comments jsonb := '{
        "order_key": "Identity of the order: derived from source, live and order_id, the same in every installation.",
        "box_key": "Identity of the box: derived from order_key and box_id.",
        "delivery_id": "Identity of the webhook: derived from source, live, event id and content.",
        "source": "The account of a sender: the segment of the webhook URL.",
        "provider": "Which sender: crowdsender, crossborderly, shipup or swiftpod.",
        "live": "True for live traffic, false for the sender''s sandbox; the two never mix. Null where a quarantined webhook did not say.",
        "order_id": "The sender''s own id of the order.",
        "box_id": "The sender''s own id of the box.",
        "order_number": "The number the shop''s customer knows.",
        "external_reference": "The shop''s own reference of the order.",
        "tracking_number": "The carrier''s number; carriers use them again, so it identifies nothing for ever.",
        "carrier": "The carrier, as the sender names it.",
        "tracking_url": "Where the parcel can be followed: the sender''s link, else made from the template of the source.",
        "status": "One of: unknown, pending, pre_transit, in_transit, out_for_delivery, attempt_failed, available_for_pickup, exception, returning, expired, delivered, failed, returned, cancelled; of an order also partially_delivered.",
        "status_detail": "A finer word below the status, where there is one.",
        "status_at": "When the status came about, as the sender says.",
        "provider_status": "The sender''s own word for the status, verbatim.",
        "provider_status_detail": "A finer word below the sender''s order status (needs_review, rejected).",
        "attention": "Reasons to look at the order, sorted; empty when all is well.",
        "boxes_total": "How many boxes are known, cancelled ones too.",
        "boxes_delivered": "How many of them are delivered.",
        "send_date": "When the order is to be sent.",
        "courier_id": "The sender''s id of the courier.",
        "shipped_at": "When it entered the carrier''s network; of an order the earliest of its boxes.",
        "delivered_at": "When it was delivered; of an order the latest of its boxes once all are. Kept when a return follows.",
        "destination_country": "ISO 3166 alpha-2 where the sender gives a code.",
        "destination_zip": "Postal code of the destination.",
        "destination_city": "City of the destination.",
        "first_event_at": "The earliest time in the history.",
        "last_event_at": "The latest time in the history.",
        "updated_at": "When the order''s document last changed here.",
        "version": "The version of the order''s document: greater after every change, never used twice.",
        "location": "Where it happened, in one line.",
        "was_delayed": "Whether the sender ever spoke of a delay.",
        "had_failed_attempt": "Whether a delivery attempt ever failed.",
        "estimated_delivery_date": "The day on which delivery is expected.",
        "estimated_delivery_at": "The time at which delivery is expected.",
        "next_attempt_at": "When the next delivery attempt is planned.",
        "occurred_at": "When it happened, as the sender says.",
        "received_at": "When waybill received the webhook that said so.",
        "field": "What changed or is missing: status, send_date, courier or destination.",
        "previous_value": "The value before, as the sender says.",
        "new_value": "The value since then; of a destination only country, zip and city.",
        "shipment_id": "The sender''s id of the shipment.",
        "awb_number": "Air waybill number.",
        "parcel_count": "How many parcels the manifest lists.",
        "country": "Country of destination.",
        "submitted_at": "When the manifest was submitted.",
        "event_type": "The sender''s name of the event.",
        "event_id": "The sender''s id of the event; null where it gives none.",
        "outcome": "applied, ignored (understood, nothing for the rows), quarantined (not understood, kept) or duplicate (a quarantined one that proved to be known).",
        "conflict": "Whether the same event id came with other content too.",
        "detail": "Why it is quarantined.",
        "times_received": "How often the same content arrived.",
        "body_sha256": "SHA-256 of the exact bytes.",
        "body_bytes": "Length of the exact bytes.",
        "expected_previous": "The previous value the sender names.",
        "found_previous": "The value of the event just before it here.",
        "destination": "Name, company, phone, email, street, details, city, zip, province, country.",
        "signed_by": "Who signed for the box.",
        "proof_of_delivery": "Link to the proof of delivery.",
        "kind": "label, exportDocs, soivre, …",
        "url": "Link to the paper.",
        "message": "What the sender wrote for people.",
        "body": "The exact bytes of the webhook; null after a purge.",
        "headers": "The kept request headers; never a credential."
    }';
    one record;
BEGIN
    FOR one IN
        SELECT a.attrelid::regclass AS view_name, a.attname AS column_name, comments ->> a.attname AS text
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace IN ('waybill'::regnamespace, 'waybill_audit'::regnamespace) AND c.relkind = 'v' AND a.attnum > 0
    LOOP
        IF one.text IS NULL THEN
            RAISE EXCEPTION 'column % of % has no comment', one.column_name, one.view_name;
        END IF;
        EXECUTE pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', one.view_name, one.column_name, one.text);
    END LOOP;
END
$$;

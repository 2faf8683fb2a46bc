-- For reporting tools: texts of a known length, two dimension tables, plans that use indexes through joins, and limits on the roles that report.

-- A driver takes text for a long one, which it can neither sort nor group by; a cast in a view would keep an index from being used. So the columns that are
-- looked up by get their length here and the others in the views. Nothing is cut: longer ids are quarantined (LIMIT_ID).
-- The comments, which go with the views, come back below.
SELECT pg_catalog.set_config('waybill.comments', pg_catalog.jsonb_object_agg(c.relname || '.' || a.attname, pg_catalog.col_description(c.oid, a.attnum))::text, true)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'waybill'::regnamespace AND c.relkind = 'v' AND a.attnum > 0;

DROP VIEW waybill.orders, waybill.boxes, waybill.tracking_events, waybill.order_changes, waybill.manifests, waybill.deliveries, waybill.suspected_gaps;
DROP VIEW waybill_data.shown_boxes;

ALTER TABLE waybill_data.orders
    ALTER COLUMN order_number TYPE varchar(255) COLLATE "C", ALTER COLUMN external_reference TYPE varchar(255) COLLATE "C";
ALTER TABLE waybill_data.boxes ALTER COLUMN tracking_number TYPE varchar(255) COLLATE "C";
-- Their statistics went with the old type.
ANALYZE waybill_data.orders (order_number, external_reference);
ANALYZE waybill_data.boxes (tracking_number);

-- Ranges of time. In tables that only grow: a few bytes for every hundred pages, and next to nothing to write. A box is delivered once, so that costs one
-- entry in its life. (What is not here, and why: docs/reporting.md.)
CREATE INDEX deliveries_by_time ON waybill_data.deliveries USING brin (received_at) WITH (autosummarize = on);
CREATE INDEX tracking_events_by_time ON waybill_data.tracking_events USING brin (occurred_at) WITH (autosummarize = on);
CREATE INDEX boxes_by_delivery ON waybill_data.boxes (delivered_at) WHERE delivered_at IS NOT NULL;

-- As in 0003.
CREATE VIEW waybill_data.shown_boxes AS
SELECT b.order_key, b.box_key, b.box_id, b.tracking_number, b.carrier,
       CASE
           WHEN b.tracking_url IS NOT NULL OR b.tracking_url_template IS NULL OR b.tracking_number IS NULL THEN b.tracking_url
           ELSE pg_catalog.replace(b.tracking_url_template, '{tracking_number}', (
               -- Percent-encoding of RFC 3986, byte by byte.
               SELECT pg_catalog.string_agg(
                          CASE WHEN c.letter ~ '^[A-Za-z0-9._~-]$' THEN c.letter
                               ELSE pg_catalog.regexp_replace(
                                        pg_catalog.upper(pg_catalog.encode(pg_catalog.convert_to(c.letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g')
                          END, '' ORDER BY c.place)
               FROM pg_catalog.regexp_split_to_table(b.tracking_number, '') WITH ORDINALITY AS c (letter, place)))
       END AS tracking_url,
       CASE WHEN s.removed THEN 'cancelled'::waybill_data.status ELSE b.status END AS status,
       CASE WHEN s.removed THEN 'removed' ELSE b.status_detail END AS status_detail,
       b.provider_status,
       CASE WHEN s.removed THEN b.removed_at ELSE b.status_at END AS status_at,
       b.location, b.was_delayed, b.had_failed_attempt,
       COALESCE(b.sender_shipped_at, b.first_transit_at) AS shipped_at,
       b.delivered_at, b.estimated_delivery_date, b.estimated_delivery_at, b.next_attempt_at, b.pickup_point, b.items,
       b.label_url, b.signed_by, b.proof_of_delivery, b.last_open_at
FROM waybill_data.boxes b,
     LATERAL (SELECT b.removed_at IS NOT NULL AND b.status NOT IN ('delivered', 'returned') AS removed) s;
COMMENT ON VIEW waybill_data.shown_boxes IS 'The boxes as documents and views show them.';

-- As in 0005, and which order it is about.
CREATE OR REPLACE VIEW waybill_data.shown_deliveries AS
SELECT d.delivery_id, d.source, d.live, d.received_at, d.event_type, d.event_id, d.outcome,
       d.event_id IS NOT NULL AND d.outcome IN ('applied', 'ignored') AND EXISTS (
           SELECT FROM waybill_data.deliveries other
           WHERE other.delivery_id >= (pg_catalog.left(d.delivery_id::text, 19) || '0000-000000000000')::uuid
             AND other.delivery_id <= (pg_catalog.left(d.delivery_id::text, 19) || 'ffff-ffffffffffff')::uuid
             AND other.delivery_id <> d.delivery_id
             AND other.source = d.source AND other.event_id = d.event_id
             AND other.outcome IN ('applied', 'ignored')) AS conflict,
       d.detail, d.times_received, d.body_sha256, d.body_bytes, d.body, d.headers, d.order_key
FROM waybill_data.deliveries d;

-- No barrier: these views hide columns, never a row, so there is nothing that it could protect, and with it a join of two of them reads one as a whole.
-- (Those of waybill_audit keep theirs.)
CREATE VIEW waybill.orders AS
SELECT o.order_key, o.source::varchar(32) AS source, o.provider::varchar(32) AS provider, o.live, o.order_id::varchar(255) AS order_id, o.order_number,
       o.external_reference, o.status::varchar(32) AS status, o.attention, o.own_provider_status::varchar(255) AS provider_status,
       o.own_status_detail::varchar(255) AS provider_status_detail, o.status_at, o.boxes_total, o.boxes_delivered, o.send_date,
       o.courier_id::varchar(255) AS courier_id, o.shipped_at, o.delivered_at, (o.destination ->> 'country')::varchar(255) AS destination_country,
       (o.destination ->> 'zip')::varchar(255) AS destination_zip, (o.destination ->> 'city')::varchar(255) AS destination_city, o.first_event_at,
       o.last_event_at, o.updated_at, o.version
FROM waybill_data.orders o
WHERE o.version > 0;

CREATE VIEW waybill.boxes AS
SELECT b.order_key, b.box_key, o.source::varchar(32) AS source, o.live, o.order_id::varchar(255) AS order_id, b.box_id::varchar(255) AS box_id,
       b.tracking_number, b.carrier::varchar(255) AS carrier, b.tracking_url, b.status::varchar(32) AS status,
       b.status_detail::varchar(255) AS status_detail, b.provider_status::varchar(255) AS provider_status, b.status_at,
       b.location::varchar(255) AS location, b.was_delayed, b.had_failed_attempt, b.shipped_at, b.delivered_at, b.estimated_delivery_date,
       b.estimated_delivery_at, b.next_attempt_at, o.updated_at
FROM waybill_data.shown_boxes b JOIN waybill_data.orders o ON o.order_key = b.order_key;

CREATE VIEW waybill.tracking_events AS
SELECT e.order_key, e.box_key, o.source::varchar(32) AS source, o.live, o.order_id::varchar(255) AS order_id, b.box_id::varchar(255) AS box_id,
       e.occurred_at, e.status::varchar(32) AS status, e.status_detail::varchar(255) AS status_detail,
       e.provider_status::varchar(255) AS provider_status, e.location::varchar(255) AS location, d.received_at, e.delivery_id
FROM waybill_data.tracking_events e
JOIN waybill_data.orders o ON o.order_key = e.order_key
JOIN waybill_data.boxes b ON b.order_key = e.order_key AND b.box_key = e.box_key
LEFT JOIN waybill_data.deliveries d ON d.delivery_id = e.delivery_id;

CREATE VIEW waybill.order_changes AS
SELECT c.order_key, o.source::varchar(32) AS source, o.live, o.order_id::varchar(255) AS order_id, c.field::varchar(32) AS field, c.previous_value,
       c.new_value, c.occurred_at, d.received_at, c.delivery_id
FROM waybill_data.order_changes c
JOIN waybill_data.orders o ON o.order_key = c.order_key
LEFT JOIN waybill_data.deliveries d ON d.delivery_id = c.delivery_id;

CREATE VIEW waybill.manifests AS
SELECT m.source::varchar(32) AS source, m.live, m.shipment_id::varchar(255) AS shipment_id, m.awb_number::varchar(255) AS awb_number, m.parcel_count,
       m.country::varchar(255) AS country, m.submitted_at
FROM waybill_data.manifests m;

CREATE VIEW waybill.deliveries AS
SELECT d.delivery_id, d.source::varchar(32) AS source, d.live, d.received_at, d.event_type::varchar(255) AS event_type,
       d.event_id::varchar(255) AS event_id, d.outcome::varchar(32) AS outcome, d.conflict, d.detail, d.times_received, d.body_sha256, d.body_bytes,
       d.order_key
FROM waybill_data.shown_deliveries d;

-- Each event looks for the one before it and for what produced its previous value by its order alone, so a range of time costs what is in it.
CREATE VIEW waybill.suspected_gaps AS
SELECT o.source::varchar(32) AS source, o.live, o.order_id::varchar(255) AS order_id, b.box_id::varchar(255) AS box_id, g.field::varchar(32) AS field,
       g.occurred_at, g.expected_previous, g.found_previous
FROM (
    SELECT e.order_key, e.box_key, 'status' AS field, e.occurred_at, e.previous_status AS expected_previous, before.found AS found_previous
    FROM waybill_data.tracking_events e,
         LATERAL (
             SELECT t.provider_status AS found FROM waybill_data.tracking_events t
             WHERE t.order_key = e.order_key AND t.box_key = e.box_key
               AND (t.occurred_at, t.status, pg_catalog.lower(pg_catalog.btrim(COALESCE(t.provider_status, ''))), t.event_key)
                   < (e.occurred_at, e.status, pg_catalog.lower(pg_catalog.btrim(COALESCE(e.provider_status, ''))), e.event_key)
             ORDER BY t.occurred_at DESC, t.status DESC, pg_catalog.lower(pg_catalog.btrim(COALESCE(t.provider_status, ''))) DESC, t.event_key DESC
             LIMIT 1) before
    WHERE e.previous_status IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM waybill_data.tracking_events t
          WHERE t.order_key = e.order_key AND t.box_key = e.box_key AND t.occurred_at <= e.occurred_at
            AND (pg_catalog.lower(pg_catalog.btrim(t.provider_status)) = pg_catalog.lower(pg_catalog.btrim(e.previous_status))
                 OR pg_catalog.upper(pg_catalog.btrim(e.previous_status)) = ANY (t.stands_for)))
    UNION ALL
    SELECT c.order_key, NULL, c.field, c.occurred_at, c.previous_value, before.found
    FROM waybill_data.order_changes c,
         LATERAL (
             SELECT t.new_value AS found FROM waybill_data.order_changes t
             WHERE t.order_key = c.order_key AND t.field = c.field
               AND (t.occurred_at, pg_catalog.lower(pg_catalog.btrim(COALESCE(t.new_value, ''))), t.delivery_id)
                   < (c.occurred_at, pg_catalog.lower(pg_catalog.btrim(COALESCE(c.new_value, ''))), c.delivery_id)
             ORDER BY t.occurred_at DESC, pg_catalog.lower(pg_catalog.btrim(COALESCE(t.new_value, ''))) DESC, t.delivery_id DESC
             LIMIT 1) before
    WHERE c.previous_value IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM waybill_data.order_changes t
          WHERE t.order_key = c.order_key AND t.field = c.field AND t.occurred_at <= c.occurred_at
            AND pg_catalog.lower(pg_catalog.btrim(t.new_value)) = pg_catalog.lower(pg_catalog.btrim(c.previous_value)))
) g
JOIN waybill_data.orders o ON o.order_key = g.order_key
LEFT JOIN waybill_data.boxes b ON b.order_key = g.order_key AND b.box_key = g.box_key;

-- The vocabulary of src/domain/status_word.c, with which a test compares it.
CREATE VIEW waybill.statuses AS
SELECT s.status::varchar(32) AS status, s.rank, s.is_open, s.is_final, s.needs_attention, s.order_only, s.meaning::varchar(255) AS meaning
FROM (VALUES
    ('unknown', 0, false, false, false, false, 'The sender''s word says nothing that is known; never overwrites a known status.'),
    ('pending', 10, true, false, false, false, 'Ordered; nothing has been made ready yet.'),
    ('pre_transit', 20, true, false, false, false, 'The label or the manifest exists; the carrier has not scanned the parcel yet.'),
    ('in_transit', 30, true, false, false, false, 'With the carrier.'),
    ('out_for_delivery', 40, true, false, false, false, 'On the vehicle that delivers it.'),
    ('attempt_failed', 45, true, false, true, false, 'A delivery was tried and failed; another try may follow.'),
    ('available_for_pickup', 50, true, false, true, false, 'Waits at a pick-up point for its recipient.'),
    ('exception', 55, true, false, true, false, 'Something is wrong: held at customs, damaged, address not found.'),
    ('returning', 60, false, false, true, false, 'On its way back; a late scan no longer opens it.'),
    ('expired', 65, true, false, true, false, 'The tracking of the sender gave up waiting for scans.'),
    ('partially_delivered', 80, true, false, false, true, 'Some boxes of the order are delivered, others are not.'),
    ('delivered', 90, false, true, false, false, 'Delivered.'),
    ('failed', 92, false, true, true, false, 'Will not be delivered: lost, refused, destroyed.'),
    ('returned', 94, false, true, false, false, 'Back at the sender.'),
    ('cancelled', 96, false, true, false, false, 'Called off before it moved, or no longer part of its order.')
) s (status, rank, is_open, is_final, needs_attention, order_only, meaning);

CREATE VIEW waybill.sources AS
SELECT d.source::varchar(32) AS source, d.provider::varchar(32) AS provider, d.live, pg_catalog.count(*) AS deliveries,
       pg_catalog.count(*) FILTER (WHERE d.outcome = 'quarantined') AS quarantined, pg_catalog.min(d.received_at) AS first_received_at,
       pg_catalog.max(d.received_at) AS last_received_at
FROM waybill_data.deliveries d
GROUP BY d.source, d.provider, d.live;

GRANT SELECT ON waybill.orders, waybill.boxes, waybill.tracking_events, waybill.order_changes, waybill.manifests, waybill.deliveries, waybill.suspected_gaps,
    waybill.statuses, waybill.sources TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.orders IS 'One row an order, at its latest state.';
COMMENT ON VIEW waybill.boxes IS 'One row a box (parcel), at its latest state.';
COMMENT ON VIEW waybill.tracking_events IS 'The history of the boxes: what was reported of them and when it happened.';
COMMENT ON VIEW waybill.order_changes IS 'The history of the orders themselves: their status, send date, courier and destination.';
COMMENT ON VIEW waybill.manifests IS 'Manifests that senders submitted to a carrier.';
COMMENT ON VIEW waybill.deliveries IS 'Every authentic webhook that was received, once.';
COMMENT ON VIEW waybill.suspected_gaps IS 'Events whose sender names a previous value that no stored event produced: something was missed.';
COMMENT ON VIEW waybill.statuses IS 'The vocabulary of status, one row a word: a dimension table. By rank, later stages of a parcel''s life have higher ones.';
COMMENT ON VIEW waybill.sources IS
    'Who sends, one row a source, provider and live flag: a dimension table. Counted from all deliveries at each reading, so load it rather than join to it.';

DO $$
DECLARE
    comments jsonb := pg_catalog.current_setting('waybill.comments')::jsonb || '{
        "orders.provider": "Which kind of sender: the provider that reads its webhooks.",
        "orders.destination_country": "ISO 3166 alpha-2 where the sender gives a code; cut at 255 characters.",
        "orders.destination_zip": "Postal code of the destination, cut at 255 characters.",
        "orders.destination_city": "City of the destination, cut at 255 characters.",
        "boxes.carrier": "The carrier, as the sender names it, cut at 255 characters.",
        "boxes.location": "Where it happened, in one line, cut at 255 characters.",
        "tracking_events.location": "Where it happened, in one line, cut at 255 characters.",
        "manifests.country": "Country of destination, cut at 255 characters.",
        "deliveries.order_key": "Identity of the order that it is about; null where it is about none.",
        "statuses.status": "The word.",
        "statuses.rank": "Its place in a parcel''s life. An order whose boxes differ shows the lowest-ranked, unless some are delivered.",
        "statuses.is_open": "Whether the parcel is still on its way to the recipient: any later report may change it.",
        "statuses.is_final": "Whether nothing more is expected: delivered, failed, returned, cancelled.",
        "statuses.needs_attention": "Whether a box with it puts the word into its order''s attention.",
        "statuses.order_only": "Whether only orders have it; it is derived then.",
        "statuses.meaning": "What it says of a parcel.",
        "sources.source": "The account of a sender: the segment of the webhook URL.",
        "sources.provider": "Which sender it is an account of.",
        "sources.live": "True for live traffic, false for the sender''s sandbox, null for quarantined webhooks that did not say.",
        "sources.deliveries": "How many webhooks are stored.",
        "sources.quarantined": "How many of them are in quarantine.",
        "sources.first_received_at": "When the first of them was received.",
        "sources.last_received_at": "When the newest of them was received: a sender that fell silent shows here."
    }';
    one record;
BEGIN
    FOR one IN
        SELECT a.attrelid::regclass AS view_name, a.attname AS column_name, comments ->> (c.relname || '.' || a.attname) AS text
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'waybill'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
    LOOP
        IF one.text IS NULL THEN
            RAISE EXCEPTION 'column % of % has no comment', one.column_name, one.view_name;
        END IF;
        EXECUTE pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', one.view_name, one.column_name, one.text);
    END LOOP;
END
$$;

-- What holds a report back. PostgreSQL lets a role change its own defaults; the number of connections and, for a superuser set them, the bytes of temporary
-- files are out of its reach. docs/reporting.md says what else holds.
SET LOCAL ROLE NONE;
DO $$
DECLARE
    role_name text;
BEGIN
    IF (SELECT rolsuper OR rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        FOREACH role_name IN ARRAY ARRAY['waybill_report', 'waybill_audit']
        LOOP
            -- An old snapshot keeps dead rows alive, which ingest then drags along.
            EXECUTE pg_catalog.format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''60s''', role_name);
            -- Reports wait for nothing but migrations.
            EXECUTE pg_catalog.format('ALTER ROLE %I SET lock_timeout = ''5s''', role_name);
            -- One report, one processor; and this much memory for each sort or hash of it.
            EXECUTE pg_catalog.format('ALTER ROLE %I SET max_parallel_workers_per_gather = 0', role_name);
            EXECUTE pg_catalog.format('ALTER ROLE %I SET work_mem = ''16MB''', role_name);
        END LOOP;
    END IF;
    IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        -- A disk that is full of sorts takes no webhooks.
        ALTER ROLE waybill_report SET temp_file_limit = '1GB';
        ALTER ROLE waybill_audit SET temp_file_limit = '1GB';
    END IF;
END
$$;
SET LOCAL ROLE waybill_owner;

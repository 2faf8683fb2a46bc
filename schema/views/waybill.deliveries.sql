-- Deliveries of one event id share the first eight bytes of their delivery_id (all but the last two groups of its text). Their source is compared where no index
-- can be used for it: with deliveries_by_source every delivery would go through all of its source.
CREATE OR REPLACE VIEW waybill.deliveries AS
SELECT d.delivery_id, d.source::varchar(32) AS source, d.live, d.received_at, d.event_type::varchar(255) AS event_type,
       d.event_id::varchar(255) AS event_id, d.outcome::varchar(32) AS outcome,
       d.event_id IS NOT NULL AND d.outcome IN ('applied', 'ignored') AND EXISTS (
           SELECT FROM waybill_data.deliveries other
           WHERE other.delivery_id >= (pg_catalog.left(d.delivery_id::text, 19) || '0000-000000000000')::uuid
             AND other.delivery_id <= (pg_catalog.left(d.delivery_id::text, 19) || 'ffff-ffffffffffff')::uuid
             AND other.delivery_id <> d.delivery_id
             AND other.source IS NOT DISTINCT FROM d.source AND other.event_id = d.event_id
             AND other.outcome IN ('applied', 'ignored')) AS conflict,
       d.detail, 1 + COALESCE(r.times, 0) AS times_received, d.body_sha256, d.body_bytes, d.order_key
FROM waybill_data.deliveries d LEFT JOIN waybill_data.resends r ON r.delivery_id = d.delivery_id;
GRANT SELECT ON waybill.deliveries TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.deliveries IS 'Every authentic webhook that was received, once.';
COMMENT ON COLUMN waybill.deliveries.delivery_id IS 'Identity of the webhook: derived from source, live, event id and content.';
COMMENT ON COLUMN waybill.deliveries.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill.deliveries.live IS 'True for live traffic, false for the sender''s sandbox; the two never mix. Null where a quarantined webhook did not say.';
COMMENT ON COLUMN waybill.deliveries.received_at IS 'When waybill received the webhook that said so.';
COMMENT ON COLUMN waybill.deliveries.event_type IS 'The sender''s name of the event.';
COMMENT ON COLUMN waybill.deliveries.event_id IS 'The sender''s id of the event; null where it gives none.';
COMMENT ON COLUMN waybill.deliveries.outcome IS 'applied, ignored (understood, nothing for the rows), quarantined (not understood, kept) or duplicate (a quarantined one that proved to be known).';
COMMENT ON COLUMN waybill.deliveries.conflict IS 'Whether the same event id came with other content too.';
COMMENT ON COLUMN waybill.deliveries.detail IS 'Why it is quarantined; of one that was applied, which fields of a wrong type were ignored.';
COMMENT ON COLUMN waybill.deliveries.times_received IS 'How often the same content arrived.';
COMMENT ON COLUMN waybill.deliveries.body_sha256 IS 'SHA-256 of the exact bytes.';
COMMENT ON COLUMN waybill.deliveries.body_bytes IS 'Length of the exact bytes.';
COMMENT ON COLUMN waybill.deliveries.order_key IS 'Identity of the order that it is about; null where it is about none.';

CREATE OR REPLACE VIEW waybill_audit.deliveries WITH (security_barrier) AS
SELECT d.delivery_id, d.source, d.live, d.received_at, d.event_type, d.event_id, d.outcome, d.conflict, d.detail, d.times_received, d.body_sha256,
       d.body_bytes, b.body, b.headers::jsonb AS headers
FROM waybill.deliveries d LEFT JOIN waybill_data.bodies b ON b.received_at = d.received_at AND b.delivery_id = d.delivery_id;
GRANT SELECT ON waybill_audit.deliveries TO waybill_audit;

COMMENT ON VIEW waybill_audit.deliveries IS 'Every authentic webhook with its exact bytes and kept headers.';
COMMENT ON COLUMN waybill_audit.deliveries.delivery_id IS 'Identity of the webhook: derived from source, live, event id and content.';
COMMENT ON COLUMN waybill_audit.deliveries.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill_audit.deliveries.live IS 'True for live traffic, false for the sender''s sandbox; the two never mix. Null where a quarantined webhook did not say.';
COMMENT ON COLUMN waybill_audit.deliveries.received_at IS 'When waybill received the webhook that said so.';
COMMENT ON COLUMN waybill_audit.deliveries.event_type IS 'The sender''s name of the event.';
COMMENT ON COLUMN waybill_audit.deliveries.event_id IS 'The sender''s id of the event; null where it gives none.';
COMMENT ON COLUMN waybill_audit.deliveries.outcome IS 'applied, ignored (understood, nothing for the rows), quarantined (not understood, kept) or duplicate (a quarantined one that proved to be known).';
COMMENT ON COLUMN waybill_audit.deliveries.conflict IS 'Whether the same event id came with other content too.';
COMMENT ON COLUMN waybill_audit.deliveries.detail IS 'Why it is quarantined; of one that was applied, which fields of a wrong type were ignored.';
COMMENT ON COLUMN waybill_audit.deliveries.times_received IS 'How often the same content arrived.';
COMMENT ON COLUMN waybill_audit.deliveries.body_sha256 IS 'SHA-256 of the exact bytes.';
COMMENT ON COLUMN waybill_audit.deliveries.body_bytes IS 'Length of the exact bytes.';
COMMENT ON COLUMN waybill_audit.deliveries.body IS 'The exact bytes of the webhook; null after a purge.';
COMMENT ON COLUMN waybill_audit.deliveries.headers IS 'The kept request headers, never a credential; null after a purge.';

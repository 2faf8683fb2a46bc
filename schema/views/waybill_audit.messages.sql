CREATE OR REPLACE VIEW waybill_audit.messages WITH (security_barrier) AS
SELECT e.order_key, e.box_key, e.occurred_at, e.message, e.delivery_id
FROM waybill_data.tracking_events e WHERE e.message IS NOT NULL;
GRANT SELECT ON waybill_audit.messages TO waybill_audit;

COMMENT ON VIEW waybill_audit.messages IS 'What senders wrote for people about a tracking event.';
COMMENT ON COLUMN waybill_audit.messages.order_key IS 'Identity of the order: derived from source, live and order_id, the same in every installation.';
COMMENT ON COLUMN waybill_audit.messages.box_key IS 'Identity of the box: derived from order_key and box_id.';
COMMENT ON COLUMN waybill_audit.messages.occurred_at IS 'When it happened, as the sender says.';
COMMENT ON COLUMN waybill_audit.messages.message IS 'What the sender wrote for people.';
COMMENT ON COLUMN waybill_audit.messages.delivery_id IS 'Identity of the webhook: derived from source, live, event id and content.';

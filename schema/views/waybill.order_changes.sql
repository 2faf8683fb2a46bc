CREATE OR REPLACE VIEW waybill.order_changes AS
SELECT c.order_key, o.source::varchar(32) AS source, o.live, o.order_id::varchar(255) AS order_id, c.field::varchar(32) AS field, c.previous_value,
       c.new_value, c.occurred_at, d.received_at, c.delivery_id
FROM waybill_data.order_changes c
JOIN waybill_data.orders o ON o.order_key = c.order_key
LEFT JOIN waybill_data.deliveries d ON d.delivery_id = c.delivery_id;
GRANT SELECT ON waybill.order_changes TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.order_changes IS 'The history of the orders themselves: their status, send date, courier and destination.';
COMMENT ON COLUMN waybill.order_changes.order_key IS 'Identity of the order: derived from source, live and order_id, the same in every installation.';
COMMENT ON COLUMN waybill.order_changes.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill.order_changes.live IS 'True for live traffic, false for the sender''s sandbox; the two never mix. Null where a quarantined webhook did not say.';
COMMENT ON COLUMN waybill.order_changes.order_id IS 'The sender''s own id of the order.';
COMMENT ON COLUMN waybill.order_changes.field IS 'What changed or is missing: status, send_date, courier or destination.';
COMMENT ON COLUMN waybill.order_changes.previous_value IS 'The value before, as the sender says.';
COMMENT ON COLUMN waybill.order_changes.new_value IS 'The value since then; of a destination only country, zip and city.';
COMMENT ON COLUMN waybill.order_changes.occurred_at IS 'When it happened, as the sender says.';
COMMENT ON COLUMN waybill.order_changes.received_at IS 'When waybill received the webhook that said so.';
COMMENT ON COLUMN waybill.order_changes.delivery_id IS 'Identity of the webhook: derived from source, live, event id and content.';

-- Every event has its box. PostgreSQL takes an inner join by two keys for one that finds next to nothing, and leaves a LEFT JOIN out where box_id is not asked for.
CREATE OR REPLACE VIEW waybill.tracking_events AS
SELECT e.order_key, e.box_key, o.source::varchar(32) AS source, o.live, o.order_id::varchar(255) AS order_id, b.box_id::varchar(255) AS box_id,
       e.occurred_at, e.status::varchar(32) AS status, e.status_detail::varchar(255) AS status_detail,
       e.provider_status::varchar(255) AS provider_status, e.location::varchar(255) AS location, d.received_at, e.delivery_id
FROM waybill_data.tracking_events e
JOIN waybill_data.orders o ON o.order_key = e.order_key
LEFT JOIN waybill_data.boxes b ON b.order_key = e.order_key AND b.box_key = e.box_key
LEFT JOIN waybill_data.deliveries d ON d.delivery_id = e.delivery_id;
GRANT SELECT ON waybill.tracking_events TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.tracking_events IS 'The history of the boxes: what was reported of them and when it happened.';
COMMENT ON COLUMN waybill.tracking_events.order_key IS 'Identity of the order: derived from source, live and order_id, the same in every installation.';
COMMENT ON COLUMN waybill.tracking_events.box_key IS 'Identity of the box: derived from order_key and box_id.';
COMMENT ON COLUMN waybill.tracking_events.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill.tracking_events.live IS 'True for live traffic, false for the sender''s sandbox; the two never mix. Null where a quarantined webhook did not say.';
COMMENT ON COLUMN waybill.tracking_events.order_id IS 'The sender''s own id of the order.';
COMMENT ON COLUMN waybill.tracking_events.box_id IS 'The sender''s own id of the box.';
COMMENT ON COLUMN waybill.tracking_events.occurred_at IS 'When it happened, as the sender says.';
COMMENT ON COLUMN waybill.tracking_events.status IS 'One of: unknown, pending, pre_transit, in_transit, out_for_delivery, attempt_failed, available_for_pickup, exception, returning, expired, delivered, failed, returned, cancelled; of an order also partially_delivered.';
COMMENT ON COLUMN waybill.tracking_events.status_detail IS 'A finer word below the status, where there is one.';
COMMENT ON COLUMN waybill.tracking_events.provider_status IS 'The sender''s own word for the status, verbatim.';
COMMENT ON COLUMN waybill.tracking_events.location IS 'Where it happened, in one line, cut at 255 characters.';
COMMENT ON COLUMN waybill.tracking_events.received_at IS 'When waybill received the webhook that said so.';
COMMENT ON COLUMN waybill.tracking_events.delivery_id IS 'Identity of the webhook: derived from source, live, event id and content.';

CREATE OR REPLACE VIEW waybill.moved_orders AS
SELECT o.source::varchar(32) AS source, o.live, o.order_id::varchar(255) AS order_id, o.source::varchar(32) AS moved_to_source,
       o.moved_to::varchar(255) AS moved_to_id
FROM waybill_data.orders o
WHERE o.moved_to IS NOT NULL;
GRANT SELECT ON waybill.moved_orders TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.moved_orders IS 'Orders in whose place another one stands: their sender named the order after the first webhook of its parcel.';
COMMENT ON COLUMN waybill.moved_orders.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill.moved_orders.live IS 'True for live traffic, false for the sender''s sandbox; the two never mix.';
COMMENT ON COLUMN waybill.moved_orders.order_id IS 'The id that the order had.';
COMMENT ON COLUMN waybill.moved_orders.moved_to_source IS 'The source of the order that took its place.';
COMMENT ON COLUMN waybill.moved_orders.moved_to_id IS 'The order_id of the order that took its place.';

-- No barrier: the views of schema waybill hide columns, never a row, so there is nothing that it could protect, and with it a join of two of them reads one as
-- a whole. The texts have a length because a driver takes others for long ones, which it can neither sort nor group by; a column that is looked up by has its
-- length in the table, for a cast would keep the index from being used.
CREATE OR REPLACE VIEW waybill.orders AS
SELECT o.order_key, o.source::varchar(32) AS source, o.provider::varchar(32) AS provider, o.live, o.order_id::varchar(255) AS order_id, o.order_number,
       o.external_reference, o.status::varchar(32) AS status, COALESCE(o.attention, '{}') AS attention, o.own_provider_status::varchar(255) AS provider_status,
       o.own_status_detail::varchar(255) AS provider_status_detail, o.status_at, o.boxes_total, o.boxes_delivered, o.send_date,
       o.courier_id::varchar(255) AS courier_id, o.shipped_at, o.delivered_at, (o.destination ->> 'country')::varchar(255) AS destination_country,
       (o.destination ->> 'zip')::varchar(255) AS destination_zip, (o.destination ->> 'city')::varchar(255) AS destination_city, o.first_event_at,
       o.last_event_at, o.updated_at, o.version
FROM waybill_data.orders o;
GRANT SELECT ON waybill.orders TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.orders IS 'One row an order, at its latest state.';
COMMENT ON COLUMN waybill.orders.order_key IS 'Identity of the order: derived from source, live and order_id, the same in every installation.';
COMMENT ON COLUMN waybill.orders.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill.orders.provider IS 'Which kind of sender: the provider that reads its webhooks.';
COMMENT ON COLUMN waybill.orders.live IS 'True for live traffic, false for the sender''s sandbox; the two never mix. Null where a quarantined webhook did not say.';
COMMENT ON COLUMN waybill.orders.order_id IS 'The sender''s own id of the order.';
COMMENT ON COLUMN waybill.orders.order_number IS 'The number the shop''s customer knows.';
COMMENT ON COLUMN waybill.orders.external_reference IS 'The shop''s own reference of the order.';
COMMENT ON COLUMN waybill.orders.status IS 'One of: unknown, pending, pre_transit, in_transit, out_for_delivery, attempt_failed, available_for_pickup, exception, returning, expired, delivered, failed, returned, cancelled; of an order also partially_delivered.';
COMMENT ON COLUMN waybill.orders.attention IS 'Reasons to look at the order, sorted; empty when all is well.';
COMMENT ON COLUMN waybill.orders.provider_status IS 'The sender''s own word for the status, verbatim.';
COMMENT ON COLUMN waybill.orders.provider_status_detail IS 'A finer word below the sender''s order status (needs_review, rejected).';
COMMENT ON COLUMN waybill.orders.status_at IS 'When the status came about, as the sender says.';
COMMENT ON COLUMN waybill.orders.boxes_total IS 'How many boxes are known, cancelled ones too.';
COMMENT ON COLUMN waybill.orders.boxes_delivered IS 'How many of them are delivered.';
COMMENT ON COLUMN waybill.orders.send_date IS 'When the order is to be sent.';
COMMENT ON COLUMN waybill.orders.courier_id IS 'The sender''s id of the courier.';
COMMENT ON COLUMN waybill.orders.shipped_at IS 'When it entered the carrier''s network; of an order the earliest of its boxes.';
COMMENT ON COLUMN waybill.orders.delivered_at IS 'When it was delivered; of an order the latest of its boxes once all are. Kept when a return follows.';
COMMENT ON COLUMN waybill.orders.destination_country IS 'ISO 3166 alpha-2 where the sender gives a code; cut at 255 characters.';
COMMENT ON COLUMN waybill.orders.destination_zip IS 'Postal code of the destination, cut at 255 characters.';
COMMENT ON COLUMN waybill.orders.destination_city IS 'City of the destination, cut at 255 characters.';
COMMENT ON COLUMN waybill.orders.first_event_at IS 'The earliest time in the history.';
COMMENT ON COLUMN waybill.orders.last_event_at IS 'The latest time in the history.';
COMMENT ON COLUMN waybill.orders.updated_at IS 'When the order''s document last changed here.';
COMMENT ON COLUMN waybill.orders.version IS 'The version of the order''s document: greater after every change, never used twice.';

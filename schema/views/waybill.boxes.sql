CREATE OR REPLACE VIEW waybill.boxes AS
SELECT b.order_key, b.box_key, o.source::varchar(32) AS source, o.live, o.order_id::varchar(255) AS order_id, b.box_id::varchar(255) AS box_id,
       b.tracking_number, b.carrier::varchar(255) AS carrier, b.tracking_url, b.status::varchar(32) AS status,
       b.status_detail::varchar(255) AS status_detail, b.provider_status::varchar(255) AS provider_status, b.status_at,
       b.location::varchar(255) AS location, b.was_delayed, b.had_failed_attempt, b.shipped_at, b.delivered_at, b.estimated_delivery_date,
       b.estimated_delivery_at, b.next_attempt_at, o.updated_at, b.carrier_name::varchar(255) AS carrier_name
FROM waybill_data.boxes b JOIN waybill_data.orders o ON o.order_key = b.order_key;
GRANT SELECT ON waybill.boxes TO waybill_report, waybill_audit;

COMMENT ON COLUMN waybill.boxes.carrier_name IS 'What the sender calls the carrier, cut at 255 characters.';
COMMENT ON VIEW waybill.boxes IS 'One row a box (parcel), at its latest state.';
COMMENT ON COLUMN waybill.boxes.order_key IS 'Identity of the order: derived from source, live and order_id, the same in every installation.';
COMMENT ON COLUMN waybill.boxes.box_key IS 'Identity of the box: derived from order_key and box_id.';
COMMENT ON COLUMN waybill.boxes.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill.boxes.live IS 'True for live traffic, false for the sender''s sandbox; the two never mix. Null where a quarantined webhook did not say.';
COMMENT ON COLUMN waybill.boxes.order_id IS 'The sender''s own id of the order.';
COMMENT ON COLUMN waybill.boxes.box_id IS 'The sender''s own id of the box.';
COMMENT ON COLUMN waybill.boxes.tracking_number IS 'The carrier''s number; carriers use them again, so it identifies nothing for ever.';
COMMENT ON COLUMN waybill.boxes.carrier IS 'The carrier, as the sender names it, cut at 255 characters.';
COMMENT ON COLUMN waybill.boxes.tracking_url IS 'Where the parcel can be followed: the sender''s link, else made from the template of the source.';
COMMENT ON COLUMN waybill.boxes.status IS 'One of: unknown, pending, pre_transit, in_transit, out_for_delivery, attempt_failed, available_for_pickup, exception, returning, expired, delivered, failed, returned, cancelled; of an order also partially_delivered.';
COMMENT ON COLUMN waybill.boxes.status_detail IS 'A finer word below the status, where there is one.';
COMMENT ON COLUMN waybill.boxes.provider_status IS 'The sender''s own word for the status, verbatim.';
COMMENT ON COLUMN waybill.boxes.status_at IS 'When the status came about, as the sender says.';
COMMENT ON COLUMN waybill.boxes.location IS 'Where it happened, in one line, cut at 255 characters.';
COMMENT ON COLUMN waybill.boxes.was_delayed IS 'Whether the sender ever spoke of a delay.';
COMMENT ON COLUMN waybill.boxes.had_failed_attempt IS 'Whether a delivery attempt ever failed.';
COMMENT ON COLUMN waybill.boxes.shipped_at IS 'When it entered the carrier''s network; of an order the earliest of its boxes.';
COMMENT ON COLUMN waybill.boxes.delivered_at IS 'When it was delivered; of an order the latest of its boxes once all are. Kept when a return follows.';
COMMENT ON COLUMN waybill.boxes.estimated_delivery_date IS 'The day on which delivery is expected.';
COMMENT ON COLUMN waybill.boxes.estimated_delivery_at IS 'The time at which delivery is expected.';
COMMENT ON COLUMN waybill.boxes.next_attempt_at IS 'When the next delivery attempt is planned.';
COMMENT ON COLUMN waybill.boxes.updated_at IS 'When the order''s document last changed here.';

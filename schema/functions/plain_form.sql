CREATE OR REPLACE FUNCTION waybill_data.plain_form(word text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN pg_catalog.upper(pg_catalog.translate(word, ' -', '') COLLATE "C");
COMMENT ON FUNCTION waybill_data.plain_form IS 'A number as people compare it: without spaces and dashes, in capitals.';

-- Only what is written otherwise; what is in this form already is found by the other indexes. A migration that changes the form drops them first.
CREATE INDEX IF NOT EXISTS orders_by_plain_number ON waybill_data.orders (waybill_data.plain_form(order_number))
    WHERE order_number <> waybill_data.plain_form(order_number);
CREATE INDEX IF NOT EXISTS orders_by_plain_reference ON waybill_data.orders (waybill_data.plain_form(external_reference))
    WHERE external_reference <> waybill_data.plain_form(external_reference);
CREATE INDEX IF NOT EXISTS orders_by_plain_id ON waybill_data.orders (waybill_data.plain_form(order_id))
    WHERE order_id <> waybill_data.plain_form(order_id);
CREATE INDEX IF NOT EXISTS boxes_by_plain_tracking_number ON waybill_data.boxes (waybill_data.plain_form(tracking_number))
    WHERE tracking_number <> waybill_data.plain_form(tracking_number);

-- Orders by number, reference, tracking number or id in any spelling. known_keys: the keys that orders with that very id would have.
CREATE OR REPLACE FUNCTION waybill_data.search_orders(
    words text, known_keys uuid[], the_source text, the_status text, the_live boolean, visible_sources text[], before_position bigint, max_rows integer)
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    plain CONSTANT text := waybill_data.plain_form(words);
    candidates uuid[] := known_keys || ARRAY(
        SELECT o.order_key FROM waybill_data.orders o WHERE o.order_number IN (words, plain)
        UNION ALL SELECT o.order_key FROM waybill_data.orders o
        WHERE waybill_data.plain_form(o.order_number) = plain AND o.order_number <> waybill_data.plain_form(o.order_number)
        UNION ALL SELECT o.order_key FROM waybill_data.orders o WHERE o.external_reference IN (words, plain)
        UNION ALL SELECT o.order_key FROM waybill_data.orders o
        WHERE waybill_data.plain_form(o.external_reference) = plain AND o.external_reference <> waybill_data.plain_form(o.external_reference)
        UNION ALL SELECT o.order_key FROM waybill_data.orders o
        WHERE waybill_data.plain_form(o.order_id) = plain AND o.order_id <> waybill_data.plain_form(o.order_id)
        UNION ALL SELECT b.order_key FROM waybill_data.boxes b WHERE b.tracking_number IN (words, plain)
        UNION ALL SELECT b.order_key FROM waybill_data.boxes b
        WHERE waybill_data.plain_form(b.tracking_number) = plain AND b.tracking_number <> waybill_data.plain_form(b.tracking_number));
BEGIN
    RETURN QUERY SELECT f.order_key, f.version
        FROM waybill_data.filter_orders(candidates, the_source, the_status, the_live, visible_sources, before_position, max_rows) f;
END
$$;
COMMENT ON FUNCTION waybill_data.search_orders IS 'Keys and versions of the orders that a number in any spelling may mean, newest change first.';
GRANT EXECUTE ON FUNCTION waybill_data.search_orders TO waybill_status;

-- The orders that have one of the values of every list that is given (null: not given), and fit the filters of filter_orders().
CREATE OR REPLACE FUNCTION waybill_data.find_orders(
    order_numbers text[], external_references text[], tracking_numbers text[], the_order uuid, the_source text, the_status text,
    the_live boolean, visible_sources text[], before_position bigint, max_rows integer)
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    candidates uuid[] := ARRAY(
        SELECT n.order_key FROM (
            SELECT o.order_key, 1 FROM waybill_data.orders o WHERE o.order_number = ANY (order_numbers)
            UNION SELECT o.order_key, 2 FROM waybill_data.orders o WHERE o.external_reference = ANY (external_references)
            UNION SELECT b.order_key, 3 FROM waybill_data.boxes b WHERE b.tracking_number = ANY (tracking_numbers)
            UNION SELECT the_order, 4 WHERE the_order IS NOT NULL) n (order_key, list)
        GROUP BY n.order_key HAVING count(*) = num_nonnulls(order_numbers, external_references, tracking_numbers, the_order));
BEGIN
    RETURN QUERY SELECT f.order_key, f.version
        FROM waybill_data.filter_orders(candidates, the_source, the_status, the_live, visible_sources, before_position, max_rows) f;
END
$$;
COMMENT ON FUNCTION waybill_data.find_orders IS 'Keys and versions of the orders that numbers choose, newest change first.';
GRANT EXECUTE ON FUNCTION waybill_data.find_orders TO waybill_status;

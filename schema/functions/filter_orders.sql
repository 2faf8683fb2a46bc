-- Of the orders with these keys, those that the filters fit, newest change first; a filter that is null fits all. before_position: only changes before it.
-- The body is parsed here and now, so it needs no search_path and PostgreSQL inlines it into the query of its caller.
CREATE OR REPLACE FUNCTION waybill_data.filter_orders(
    order_keys uuid[], the_source text, the_status text, the_live boolean, visible_sources text[], before_position bigint, max_rows integer)
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT o.order_key, o.version FROM waybill_data.orders o
    WHERE o.order_key = ANY (order_keys) AND o.live = the_live
      AND (before_position IS NULL OR o.version < before_position)
      AND (the_source IS NULL OR o.source = the_source)
      AND (the_status IS NULL OR o.status::text = the_status)
      AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
    ORDER BY o.version DESC LIMIT max_rows;
END;
COMMENT ON FUNCTION waybill_data.filter_orders IS 'Keys and versions of orders that filters fit, newest change first.';

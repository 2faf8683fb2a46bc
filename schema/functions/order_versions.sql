CREATE OR REPLACE FUNCTION waybill_data.order_versions(order_keys uuid[])
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT o.order_key, o.version FROM waybill_data.orders o WHERE o.order_key = ANY (order_keys);
END
$$;
COMMENT ON FUNCTION waybill_data.order_versions IS 'The versions of orders, by key: enough for a conditional request.';
GRANT EXECUTE ON FUNCTION waybill_data.order_versions TO waybill_status;

-- What makes a cursor valid.
CREATE OR REPLACE FUNCTION waybill_data.feed_state(OUT feed_id bigint, OUT newest bigint) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT i.feed_id, COALESCE((SELECT max(f.position) FROM waybill_data.feed f), 0) FROM waybill_data.installation i
$$;
COMMENT ON FUNCTION waybill_data.feed_state IS 'The identity of this database''s change feed and its newest position.';
GRANT EXECUTE ON FUNCTION waybill_data.feed_state TO waybill_status;

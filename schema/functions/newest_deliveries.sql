-- Of the sources that are asked for those that have sent anything.
CREATE OR REPLACE FUNCTION waybill_data.newest_deliveries(sources text[])
RETURNS TABLE (source text, age_ms bigint) LANGUAGE sql STABLE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.name, greatest(0, extract(epoch FROM clock_timestamp() - newest.received_at) * 1000)::bigint
    FROM unnest(sources) AS s (name),
         LATERAL (SELECT d.received_at FROM waybill_data.deliveries d WHERE d.source = s.name COLLATE "C"
                  ORDER BY d.received_at DESC LIMIT 1) newest
$$;
COMMENT ON FUNCTION waybill_data.newest_deliveries IS 'Milliseconds since the newest webhook of each source was received.';
GRANT EXECUTE ON FUNCTION waybill_data.newest_deliveries TO waybill_status;

-- The sources of the last 30 days. Each is one step in deliveries_by_source, and its last day a range there.
CREATE OR REPLACE FUNCTION waybill_data.panel_sources(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    WITH RECURSIVE names AS (
        (SELECT d.source FROM waybill_data.deliveries d ORDER BY d.source LIMIT 1)
        UNION ALL
        SELECT (SELECT d.source FROM waybill_data.deliveries d WHERE d.source > n.source ORDER BY d.source LIMIT 1)
        FROM names n WHERE n.source IS NOT NULL)
    SELECT json_build_object('sources', COALESCE(json_agg(json_build_object(
        'source', n.source, 'newest', waybill_data.instant(newest.received_at), 'last_day', last_day.webhooks) ORDER BY n.source), '[]'::json))::text
    FROM names n,
         LATERAL (SELECT d.received_at FROM waybill_data.deliveries d WHERE d.source = n.source ORDER BY d.received_at DESC LIMIT 1) newest,
         LATERAL (SELECT count(*) AS webhooks FROM waybill_data.deliveries d
                  WHERE d.source = n.source AND d.received_at > now() - interval '1 day') last_day
    WHERE (visible_sources IS NULL OR n.source = ANY (visible_sources)) AND newest.received_at > now() - interval '30 days'
$$;
COMMENT ON FUNCTION waybill_data.panel_sources IS 'For the console: when each source was heard of last, and how often in the last day.';
GRANT EXECUTE ON FUNCTION waybill_data.panel_sources TO waybill_status;

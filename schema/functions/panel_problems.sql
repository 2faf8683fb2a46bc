-- The newest hundred of the last 30 days.
CREATE OR REPLACE FUNCTION waybill_data.panel_problems(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object('deliveries', COALESCE(json_agg(json_build_object(
        'delivery', p.delivery_id, 'source', p.source, 'live', p.live, 'received_at', waybill_data.instant(p.received_at),
        'event_type', p.event_type, 'event_id', p.event_id, 'outcome', p.outcome, 'conflict', p.conflict, 'detail', p.detail)
        ORDER BY p.received_at DESC), '[]'::json))::text
    FROM (
        SELECT d.* FROM waybill.deliveries d
        WHERE d.received_at > now() - interval '30 days' AND (visible_sources IS NULL OR d.source = ANY (visible_sources))
          AND (d.outcome = 'quarantined' OR d.conflict)
        ORDER BY d.received_at DESC LIMIT 100) p
$$;
COMMENT ON FUNCTION waybill_data.panel_problems IS 'For the console: quarantined and conflicting deliveries.';
GRANT EXECUTE ON FUNCTION waybill_data.panel_problems TO waybill_status;

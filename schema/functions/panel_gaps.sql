-- The newest hundred of the last 30 days.
CREATE OR REPLACE FUNCTION waybill_data.panel_gaps(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object('gaps', COALESCE(json_agg(json_build_object(
        'source', g.source, 'order_id', g.order_id, 'box_id', g.box_id, 'field', g.field, 'occurred_at', waybill_data.instant(g.occurred_at),
        'expected_previous', g.expected_previous, 'found_previous', g.found_previous) ORDER BY g.occurred_at DESC), '[]'::json))::text
    FROM (
        SELECT s.* FROM waybill.suspected_gaps s
        WHERE s.occurred_at > now() - interval '30 days' AND s.live = the_live AND (visible_sources IS NULL OR s.source = ANY (visible_sources))
        ORDER BY s.occurred_at DESC LIMIT 100) g
$$;
COMMENT ON FUNCTION waybill_data.panel_gaps IS 'For the console: suspected gaps.';
GRANT EXECUTE ON FUNCTION waybill_data.panel_gaps TO waybill_status;

-- The hundred of which nothing was heard for longest, and for DAYS at least. The history of an order is read once, whichever of its boxes are silent.
CREATE OR REPLACE FUNCTION waybill_data.panel_silent(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH quiet AS (
        SELECT o.source, o.order_id, o.order_number, b.order_key, b.box_key, b.box_id, b.tracking_number, b.carrier, b.status, b.location, b.status_at
        FROM waybill_data.boxes b JOIN waybill_data.orders o ON o.order_key = b.order_key
        -- Not pending, for it has not left yet; not closed.
        WHERE b.status IN ('pre_transit', 'in_transit', 'out_for_delivery', 'attempt_failed', 'available_for_pickup', 'exception', 'returning')
          AND b.status_at < now() - make_interval(days => days)
          AND o.live = the_live AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
    ), heard AS (
        SELECT t.order_key, t.box_key, max(t.occurred_at) AS newest
        FROM waybill_data.tracking_events t WHERE t.order_key IN (SELECT q.order_key FROM quiet q)
        GROUP BY t.order_key, t.box_key
    )
    SELECT json_build_object('boxes', COALESCE(json_agg(json_build_object(
        'source', s.source, 'order_id', s.order_id, 'order_number', s.order_number, 'box_id', s.box_id, 'tracking_number', s.tracking_number,
        'carrier', s.carrier, 'status', s.status::text, 'location', s.location, 'last_event_at', waybill_data.instant(s.last_event_at))
        ORDER BY s.last_event_at), '[]'::json))::text
    FROM (
        SELECT q.*, GREATEST(q.status_at, h.newest) AS last_event_at
        FROM quiet q LEFT JOIN heard h ON h.order_key = q.order_key AND h.box_key = q.box_key
        WHERE COALESCE(h.newest < now() - make_interval(days => days), true)
        ORDER BY last_event_at LIMIT 100) s
$$;
COMMENT ON FUNCTION waybill_data.panel_silent IS 'For the console: boxes on their way that were not heard of for days.';
GRANT EXECUTE ON FUNCTION waybill_data.panel_silent TO waybill_status;

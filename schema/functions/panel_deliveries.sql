-- repeated: how often one that was known came again, counted in the hour of its first time.
CREATE OR REPLACE FUNCTION waybill_data.panel_deliveries(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object('hours', json_agg(json_build_object(
        'hour', waybill_data.instant(h.hour), 'applied', COALESCE(n.applied, 0), 'ignored', COALESCE(n.ignored, 0),
        'repeated', COALESCE(n.repeated, 0), 'quarantined', COALESCE(n.quarantined, 0)) ORDER BY h.hour))::text
    FROM generate_series(date_trunc('hour', now()) - interval '23 hours', now(), interval '1 hour') AS h (hour)
    LEFT JOIN (
        SELECT date_trunc('hour', d.received_at) AS hour,
               count(*) FILTER (WHERE d.outcome = 'applied') AS applied,
               count(*) FILTER (WHERE d.outcome = 'ignored') AS ignored,
               count(*) FILTER (WHERE d.outcome = 'quarantined') AS quarantined,
               sum(r.times) AS repeated
        FROM waybill_data.deliveries d LEFT JOIN waybill_data.resends r ON r.delivery_id = d.delivery_id
        WHERE d.received_at >= date_trunc('hour', now()) - interval '23 hours' AND (visible_sources IS NULL OR d.source = ANY (visible_sources))
        GROUP BY 1) n ON n.hour = h.hour
$$;
COMMENT ON FUNCTION waybill_data.panel_deliveries IS 'For the console: the deliveries of the last day by hour and outcome.';
GRANT EXECUTE ON FUNCTION waybill_data.panel_deliveries TO waybill_status;

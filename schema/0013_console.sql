-- What the console asks beside the documents: a search that forgives spaces, dashes and case, and its panels. Each panel is one JSON text; visible_sources as in
-- find_orders(): null for all. They read much at a time and change nothing; status.fcgi ends them after its usual three seconds.

-- A number as people compare it. The indexes below hold only what is written otherwise; what is in this form already is found by the indexes of 0002.
CREATE FUNCTION waybill_data.plain_form(word text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN pg_catalog.upper(pg_catalog.translate(word, ' -', '') COLLATE "C");
COMMENT ON FUNCTION waybill_data.plain_form IS 'A number without spaces and dashes, in capitals.';

CREATE INDEX orders_by_plain_number ON waybill_data.orders (waybill_data.plain_form(order_number))
    WHERE order_number <> waybill_data.plain_form(order_number);
CREATE INDEX orders_by_plain_reference ON waybill_data.orders (waybill_data.plain_form(external_reference))
    WHERE external_reference <> waybill_data.plain_form(external_reference);
CREATE INDEX orders_by_plain_id ON waybill_data.orders (waybill_data.plain_form(order_id))
    WHERE order_id <> waybill_data.plain_form(order_id);
CREATE INDEX boxes_by_plain_tracking_number ON waybill_data.boxes (waybill_data.plain_form(tracking_number))
    WHERE tracking_number <> waybill_data.plain_form(tracking_number);

-- Orders by number, reference, tracking number or id in any spelling, newest change first. known_keys: the keys that orders with that very id would have.
CREATE FUNCTION waybill_data.search_orders(
    words text, known_keys uuid[], the_source text, the_status text, the_live boolean, visible_sources text[], before_position bigint, max_rows integer)
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    plain text := waybill_data.plain_form(words);
    candidates uuid[];
BEGIN
    candidates := known_keys
        || ARRAY(SELECT o.order_key FROM waybill_data.orders o WHERE o.order_number IN (words, plain))
        || ARRAY(SELECT o.order_key FROM waybill_data.orders o
                 WHERE waybill_data.plain_form(o.order_number) = plain AND o.order_number <> waybill_data.plain_form(o.order_number))
        || ARRAY(SELECT o.order_key FROM waybill_data.orders o WHERE o.external_reference IN (words, plain))
        || ARRAY(SELECT o.order_key FROM waybill_data.orders o
                 WHERE waybill_data.plain_form(o.external_reference) = plain AND o.external_reference <> waybill_data.plain_form(o.external_reference))
        || ARRAY(SELECT o.order_key FROM waybill_data.orders o
                 WHERE waybill_data.plain_form(o.order_id) = plain AND o.order_id <> waybill_data.plain_form(o.order_id))
        || ARRAY(SELECT b.order_key FROM waybill_data.boxes b WHERE b.tracking_number IN (words, plain))
        || ARRAY(SELECT b.order_key FROM waybill_data.boxes b
                 WHERE waybill_data.plain_form(b.tracking_number) = plain AND b.tracking_number <> waybill_data.plain_form(b.tracking_number));
    RETURN QUERY
        SELECT o.order_key, o.version FROM waybill_data.orders o
        WHERE o.order_key = ANY (candidates) AND o.version > 0
          AND (before_position IS NULL OR o.version < before_position)
          AND o.live = the_live
          AND (the_source IS NULL OR o.source = the_source)
          AND (the_status IS NULL OR o.status::text = the_status)
          AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
        ORDER BY o.version DESC LIMIT max_rows;
END
$$;
COMMENT ON FUNCTION waybill_data.search_orders IS 'Keys and versions of the orders that a number in any spelling may mean, newest change first.';

-- The deliveries of the last day by hour and outcome; repeated: how often one that was known came again, counted in the hour of its first time.
CREATE FUNCTION waybill_data.panel_deliveries(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    first_hour CONSTANT timestamptz := date_trunc('hour', now()) - interval '23 hours';
BEGIN
    RETURN (
        SELECT json_build_object('hours', json_agg(json_build_object(
            'hour', waybill_data.instant(h.hour), 'applied', COALESCE(n.applied, 0), 'ignored', COALESCE(n.ignored, 0),
            'repeated', COALESCE(n.repeated, 0), 'quarantined', COALESCE(n.quarantined, 0)) ORDER BY h.hour))::text
        FROM generate_series(first_hour, now(), interval '1 hour') AS h (hour)
        LEFT JOIN (
            SELECT date_trunc('hour', d.received_at) AS hour,
                   count(*) FILTER (WHERE d.outcome = 'applied') AS applied,
                   count(*) FILTER (WHERE d.outcome = 'ignored') AS ignored,
                   count(*) FILTER (WHERE d.outcome = 'quarantined') AS quarantined,
                   sum(d.times_received - 1) AS repeated
            FROM waybill_data.deliveries d
            WHERE d.received_at >= first_hour AND (visible_sources IS NULL OR d.source = ANY (visible_sources))
            GROUP BY 1) n ON n.hour = h.hour);
END
$$;
COMMENT ON FUNCTION waybill_data.panel_deliveries IS 'For the console: deliveries of the last day by hour and outcome.';

-- When each source was heard of last, and how often in the last day; of the last 30 days.
CREATE FUNCTION waybill_data.panel_sources(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT json_build_object('sources', COALESCE(json_agg(json_build_object(
            'source', s.source, 'newest', waybill_data.instant(s.newest), 'last_day', s.last_day) ORDER BY s.source), '[]'::json))::text
        FROM (
            SELECT d.source, max(d.received_at) AS newest, count(*) FILTER (WHERE d.received_at > now() - interval '1 day') AS last_day
            FROM waybill_data.deliveries d
            WHERE d.received_at > now() - interval '30 days' AND (visible_sources IS NULL OR d.source = ANY (visible_sources))
            GROUP BY d.source) s);
END
$$;
COMMENT ON FUNCTION waybill_data.panel_sources IS 'For the console: when each source was heard of last.';

-- The newest hundred deliveries of the last 30 days that were quarantined or contradict another of the same event.
CREATE FUNCTION waybill_data.panel_problems(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT json_build_object('deliveries', COALESCE(json_agg(json_build_object(
            'delivery', p.delivery_id, 'source', p.source, 'live', p.live, 'received_at', waybill_data.instant(p.received_at),
            'event_type', p.event_type, 'event_id', p.event_id, 'outcome', p.outcome, 'conflict', p.conflict, 'detail', p.detail)
            ORDER BY p.received_at DESC), '[]'::json))::text
        FROM (
            SELECT d.* FROM waybill_data.shown_deliveries d
            WHERE d.received_at > now() - interval '30 days' AND (visible_sources IS NULL OR d.source = ANY (visible_sources))
              AND (d.outcome = 'quarantined' OR d.conflict)
            ORDER BY d.received_at DESC LIMIT 100) p);
END
$$;
COMMENT ON FUNCTION waybill_data.panel_problems IS 'For the console: quarantined and conflicting deliveries.';

-- The hundred boxes on their way of which nothing was heard for longest, and for DAYS at least.
CREATE FUNCTION waybill_data.panel_silent(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    silent_since CONSTANT timestamptz := now() - make_interval(days => days);
BEGIN
    RETURN (
        SELECT json_build_object('boxes', COALESCE(json_agg(json_build_object(
            'source', s.source, 'order_id', s.order_id, 'order_number', s.order_number, 'box_id', s.box_id, 'tracking_number', s.tracking_number,
            'carrier', s.carrier, 'status', s.status, 'location', s.location, 'last_event_at', waybill_data.instant(s.last_event_at))
            ORDER BY s.last_event_at), '[]'::json))::text
        FROM (
            SELECT o.source, o.order_id, o.order_number, b.box_id, b.tracking_number, b.carrier, b.status::text AS status, b.location,
                   GREATEST(b.status_at, e.newest) AS last_event_at
            FROM waybill_data.shown_boxes b
            JOIN waybill_data.orders o ON o.order_key = b.order_key
            LEFT JOIN LATERAL (
                SELECT max(t.occurred_at) AS newest FROM waybill_data.tracking_events t
                WHERE t.order_key = b.order_key AND t.box_key = b.box_key) e ON true
            -- Not pending, for it has not left yet; not closed.
            WHERE b.status IN ('pre_transit', 'in_transit', 'out_for_delivery', 'attempt_failed', 'available_for_pickup', 'exception', 'returning')
              AND b.status_at < silent_since AND COALESCE(e.newest < silent_since, true)
              AND o.live = the_live AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
            ORDER BY last_event_at LIMIT 100) s);
END
$$;
COMMENT ON FUNCTION waybill_data.panel_silent IS 'For the console: boxes on their way that were not heard of for days.';

-- The newest hundred gaps of the last 30 days.
CREATE FUNCTION waybill_data.panel_gaps(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT json_build_object('gaps', COALESCE(json_agg(json_build_object(
            'source', g.source, 'order_id', g.order_id, 'box_id', g.box_id, 'field', g.field, 'occurred_at', waybill_data.instant(g.occurred_at),
            'expected_previous', g.expected_previous, 'found_previous', g.found_previous) ORDER BY g.occurred_at DESC), '[]'::json))::text
        FROM (
            SELECT s.* FROM waybill.suspected_gaps s
            WHERE s.occurred_at > now() - interval '30 days' AND s.live = the_live AND (visible_sources IS NULL OR s.source = ANY (visible_sources))
            ORDER BY s.occurred_at DESC LIMIT 100) g);
END
$$;
COMMENT ON FUNCTION waybill_data.panel_gaps IS 'For the console: suspected gaps of the last 30 days.';

GRANT EXECUTE ON FUNCTION waybill_data.search_orders, waybill_data.panel_deliveries, waybill_data.panel_sources, waybill_data.panel_problems,
    waybill_data.panel_silent, waybill_data.panel_gaps
    TO waybill_status;

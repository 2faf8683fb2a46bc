-- Reading the feed for one source, the console's list of sources, and which deliveries conflict, without going through what others sent.

-- An entry says whose order it is, so that a walk passes over the others without looking at their orders. Null in entries of before: their orders tell.
-- (An index on orders (source) would do for lists alone, and every webhook would write it.)
ALTER TABLE waybill_data.feed ADD COLUMN live boolean, ADD COLUMN source text COLLATE "C";
COMMENT ON COLUMN waybill_data.feed.live IS 'As the order has it, and never changes it; null in entries of earlier releases.';
COMMENT ON COLUMN waybill_data.feed.source IS 'As the order has it, and never changes it; null in entries of earlier releases.';

-- As in 0006, but for the two columns of the feed.
CREATE OR REPLACE FUNCTION waybill_data.roll_up(touched uuid[], changed_orders uuid[])
RETURNS integer LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    orders_changed integer;
BEGIN
    -- Positions must become visible in their order: this lock is held until commit. On a table, since everybody may take an advisory lock.
    LOCK TABLE waybill_data.feed_lock IN EXCLUSIVE MODE;

    -- One look-up an order and table, no joins: OFFSET 0 keeps the planner from computing a column once for every use.
    WITH written AS (
        UPDATE waybill_data.orders o SET
            (status, status_at, attention, boxes_total, boxes_delivered, shipped_at, delivered_at, first_event_at, last_event_at,
             changed, version, updated_at) = (
            SELECT n.status, n.status_at, n.attention, n.total, n.delivered, n.shipped_at,
                   CASE WHEN n.status = 'delivered' THEN n.last_delivered_at END, n.first_event_at, n.last_event_at,
                   n.differs, CASE WHEN n.differs THEN nextval('waybill_data.feed_position') ELSE o.version END,
                   CASE WHEN n.differs THEN clock_timestamp() ELSE o.updated_at END
            FROM (
                SELECT shown.*,
                       -- Version 0: new, and shown for the first time also when nothing is known of it.
                       o.version = 0 OR o.order_key = ANY (changed_orders)
                       OR (o.status, o.status_at, o.attention, o.first_event_at, o.last_event_at)
                          IS DISTINCT FROM (shown.status, shown.status_at, shown.attention, shown.first_event_at, shown.last_event_at)
                       AS differs
                FROM (
                    SELECT d.total, d.delivered, d.shipped_at, d.last_delivered_at, h.first_event_at, h.last_event_at,
                           CASE d.rule
                               WHEN 1 THEN 'cancelled'::waybill_data.status
                               WHEN 2 THEN COALESCE(o.own_status, 'unknown')
                               WHEN 3 THEN 'cancelled'
                               WHEN 4 THEN CASE WHEN o.own_status = 'pending' THEN 'partially_delivered'::waybill_data.status
                                                ELSE 'delivered' END
                               WHEN 5 THEN 'partially_delivered'
                               WHEN 6 THEN 'returned'
                               ELSE GREATEST(d.lowest, d.own_rank)
                           END AS status,
                           CASE d.rule
                               WHEN 1 THEN o.own_status_at
                               WHEN 2 THEN o.own_status_at
                               WHEN 4 THEN d.counting_at
                               WHEN 6 THEN d.counting_at
                               WHEN 7 THEN GREATEST(CASE WHEN d.own_rank IS NULL OR d.lowest >= d.own_rank THEN d.deciding_at END,
                                                    CASE WHEN d.own_rank >= d.lowest THEN o.own_status_at END)
                               ELSE d.deciding_at
                           END AS status_at,
                           CASE WHEN d.attention IS NULL AND NOT d.moved_after_delivered AND d.own_attention IS NULL THEN '{}'
                                ELSE ARRAY(SELECT DISTINCT reason COLLATE "C"
                                           FROM unnest(d.attention
                                                       || CASE WHEN d.moved_after_delivered THEN 'moved_after_delivered' END
                                                       || CASE WHEN d.rule = 2 OR (d.rule = 7 AND d.own_rank >= d.lowest)
                                                               THEN d.own_attention END) AS reason
                                           WHERE reason IS NOT NULL ORDER BY 1)
                           END AS attention
                    FROM (
                        SELECT r.*,
                               -- The newest status_at of the boxes that decide, which are all the counting ones as a rule.
                               CASE WHEN r.rule = 7 AND r.lowest = r.highest THEN r.counting_at
                                    WHEN r.rule IN (3, 5, 7) THEN (
                                        SELECT max(b.status_at) FROM waybill_data.shown_boxes b
                                        WHERE b.order_key = o.order_key
                                          AND CASE r.rule WHEN 3 THEN true WHEN 5 THEN b.status = 'delivered' ELSE b.status = r.lowest END)
                               END AS deciding_at
                        FROM (
                            SELECT s.*,
                                   CASE
                                       WHEN o.own_status = 'cancelled' AND NOT COALESCE(s.highest >= 'in_transit', false) THEN 1
                                       WHEN COALESCE(s.top, 'unknown') = 'unknown' THEN 2
                                       WHEN s.lowest IS NULL THEN 3
                                       WHEN s.lowest = 'delivered' AND s.highest = 'delivered' THEN 4
                                       WHEN s.delivered > 0 THEN 5
                                       WHEN s.lowest = 'returned' AND s.highest = 'returned' THEN 6
                                       ELSE 7
                                   END AS rule,
                                   -- In rule 7 a cancelled order status does not count.
                                   CASE WHEN o.own_status <> 'cancelled' THEN o.own_status END AS own_rank,
                                   CASE WHEN o.own_status IN ('attempt_failed', 'available_for_pickup', 'exception', 'failed', 'returning', 'expired')
                                        THEN o.own_status::text END AS own_attention
                            FROM (
                                -- Unknown and cancelled boxes do not count.
                                SELECT count(*)::integer AS total,
                                       count(*) FILTER (WHERE b.status = 'delivered')::integer AS delivered,
                                       max(b.status) AS top,
                                       min(b.status) FILTER (WHERE b.status NOT IN ('cancelled', 'unknown')) AS lowest,
                                       max(b.status) FILTER (WHERE b.status NOT IN ('cancelled', 'unknown')) AS highest,
                                       max(b.status_at) FILTER (WHERE b.status NOT IN ('cancelled', 'unknown')) AS counting_at,
                                       min(b.shipped_at) AS shipped_at,
                                       max(b.delivered_at) AS last_delivered_at,
                                       array_agg(b.status::text) FILTER (WHERE b.status IN (
                                           'attempt_failed', 'available_for_pickup', 'exception', 'failed', 'returning', 'expired')) AS attention,
                                       COALESCE(bool_or(b.last_open_at > b.delivered_at), false) AS moved_after_delivered
                                FROM waybill_data.shown_boxes b WHERE b.order_key = o.order_key) s
                            OFFSET 0) r
                        OFFSET 0) d,
                        (SELECT min(e.occurred_at) AS first_event_at, max(e.occurred_at) AS last_event_at
                         FROM (SELECT t.occurred_at FROM waybill_data.tracking_events t WHERE t.order_key = o.order_key
                               UNION ALL
                               SELECT c.occurred_at FROM waybill_data.order_changes c WHERE c.order_key = o.order_key) e) h
                    OFFSET 0) shown
                OFFSET 0) n)
        WHERE o.order_key = ANY (touched)
        RETURNING o.order_key, o.version, o.changed, o.live, o.source)
    INSERT INTO waybill_data.feed (position, order_key, live, source) SELECT w.version, w.order_key, w.live, w.source FROM written w WHERE w.changed;
    GET DIAGNOSTICS orders_changed = ROW_COUNT;
    RETURN orders_changed;
END
$$;

-- As in 0009. A walk goes through windows of the feed, short ones first, and in each looks at the orders of the entries that may fit; it ends after so many of
-- those, or so much time.
CREATE OR REPLACE FUNCTION waybill_data.walk_changes(after_position bigint, the_live boolean, visible_sources text[], max_rows integer)
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
-- One plan: entries in the order of the index, one look-up each, and no more of them than the page needs.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    step CONSTANT integer := 500;
    give_up_at CONSTANT timestamptz := clock_timestamp() + interval '500 milliseconds';
    place bigint := after_position;
    -- A page is filled at once as a rule.
    window_size integer := least(step, max_rows);
    entries integer;
    edge bigint;
    positions bigint[];
    keys uuid[];
    looked_at integer := 0;
    wanted integer := max_rows;
    found integer;
BEGIN
    LOOP
        SELECT COALESCE(array_agg(w.position) FILTER (WHERE w.fits), '{}'), array_agg(w.order_key) FILTER (WHERE w.fits), max(w.position), count(*)
        INTO positions, keys, edge, entries
        FROM (SELECT e.position, e.order_key,
                     (e.live IS NULL OR e.live = the_live)
                     AND (visible_sources IS NULL OR e.source IS NULL OR e.source = ANY (visible_sources)) AS fits
              FROM waybill_data.feed e WHERE e.position > place ORDER BY e.position LIMIT window_size) w;
        IF cardinality(positions) > step THEN
            positions := positions[:step];
            keys := keys[:step];
            edge := positions[step];
            window_size := step;
            entries := step;
        END IF;
        RETURN QUERY
            SELECT o.order_key, o.version
            FROM unnest(positions, keys) WITH ORDINALITY f (position, order_key, number)
            JOIN waybill_data.orders o ON o.order_key = f.order_key AND o.version = f.position
            WHERE o.live = the_live
              AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
            ORDER BY f.number LIMIT wanted;
        GET DIAGNOSTICS found = ROW_COUNT;
        wanted := wanted - found;
        IF wanted = 0 OR entries < window_size THEN
            RETURN;
        END IF;
        place := edge;
        looked_at := looked_at + cardinality(positions);
        EXIT WHEN looked_at >= 40 * step OR clock_timestamp() > give_up_at;
        -- Where few of them fit, further.
        IF cardinality(positions) < step THEN
            window_size := least(4 * window_size, 64 * step);
        END IF;
    END LOOP;
    RETURN QUERY SELECT NULL::uuid, place;
END
$$;

-- From the newest change, or from before a position, back.
CREATE OR REPLACE FUNCTION waybill_data.walk_orders(
    the_source text, the_status text, the_live boolean, visible_sources text[], before_position bigint, max_rows integer)
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
-- One plan: entries in the order of the index, one look-up each, and no more of them than the page needs.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    step CONSTANT integer := 500;
    give_up_at CONSTANT timestamptz := clock_timestamp() + interval '500 milliseconds';
    place bigint := COALESCE(before_position, 9223372036854775807);
    -- A page is filled at once as a rule.
    window_size integer := least(step, max_rows);
    entries integer;
    edge bigint;
    positions bigint[];
    keys uuid[];
    looked_at integer := 0;
    wanted integer := max_rows;
    found integer;
BEGIN
    LOOP
        SELECT COALESCE(array_agg(w.position) FILTER (WHERE w.fits), '{}'), array_agg(w.order_key) FILTER (WHERE w.fits), min(w.position), count(*)
        INTO positions, keys, edge, entries
        FROM (SELECT e.position, e.order_key,
                     (e.live IS NULL OR e.live = the_live)
                     AND (the_source IS NULL OR e.source IS NULL OR e.source = the_source)
                     AND (visible_sources IS NULL OR e.source IS NULL OR e.source = ANY (visible_sources)) AS fits
              FROM waybill_data.feed e WHERE e.position < place ORDER BY e.position DESC LIMIT window_size) w;
        IF cardinality(positions) > step THEN
            positions := positions[:step];
            keys := keys[:step];
            edge := positions[step];
            window_size := step;
            entries := step;
        END IF;
        RETURN QUERY
            SELECT o.order_key, o.version
            FROM unnest(positions, keys) WITH ORDINALITY f (position, order_key, number)
            JOIN waybill_data.orders o ON o.order_key = f.order_key AND o.version = f.position
            WHERE o.live = the_live
              AND (the_source IS NULL OR o.source = the_source)
              AND (the_status IS NULL OR o.status = the_status::waybill_data.status)
              AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
            ORDER BY f.number LIMIT wanted;
        GET DIAGNOSTICS found = ROW_COUNT;
        wanted := wanted - found;
        IF wanted = 0 OR entries < window_size THEN
            RETURN;
        END IF;
        place := edge;
        looked_at := looked_at + cardinality(positions);
        EXIT WHEN looked_at >= 40 * step OR clock_timestamp() > give_up_at;
        -- Where few of them fit, further.
        IF cardinality(positions) < step THEN
            window_size := least(4 * window_size, 64 * step);
        END IF;
    END LOOP;
    RETURN QUERY SELECT NULL::uuid, place;
END
$$;

-- When each source was heard of last, and how often in the last day; those of the last 30 days. As in 0013, of which it read all 30 days: each source is one
-- step in deliveries_by_source, and its last day a range there.
CREATE OR REPLACE FUNCTION waybill_data.panel_sources(visible_sources text[], the_live boolean, days integer)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    RETURN (
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
        WHERE (visible_sources IS NULL OR n.source = ANY (visible_sources)) AND newest.received_at > now() - interval '30 days');
END
$$;

-- As in 0010, but the source is compared where no index can be used for it: with deliveries_by_source every delivery went through all of its source.
CREATE OR REPLACE VIEW waybill_data.shown_deliveries AS
SELECT d.delivery_id, d.source, d.live, d.received_at, d.event_type, d.event_id, d.outcome,
       d.event_id IS NOT NULL AND d.outcome IN ('applied', 'ignored') AND EXISTS (
           SELECT FROM waybill_data.deliveries other
           WHERE other.delivery_id >= (pg_catalog.left(d.delivery_id::text, 19) || '0000-000000000000')::uuid
             AND other.delivery_id <= (pg_catalog.left(d.delivery_id::text, 19) || 'ffff-ffffffffffff')::uuid
             AND other.delivery_id <> d.delivery_id
             AND other.source IS NOT DISTINCT FROM d.source AND other.event_id = d.event_id
             AND other.outcome IN ('applied', 'ignored')) AS conflict,
       d.detail, d.times_received, d.body_sha256, d.body_bytes, d.body, d.headers, d.order_key
FROM waybill_data.deliveries d;

-- Reading the feed page by page: from from_position on, or back from before it. Filters that no index serves (a small source, a rare status, the sandbox) may
-- pass over any number of changes, so a walk goes through windows of the feed, short ones first, looks in each only at the orders of the entries that may fit,
-- and ends after so many of those, or so much time: then a last row without an order names the position at which the client's next page goes on.
CREATE OR REPLACE FUNCTION waybill_data.walk_feed(
    from_position bigint, newest_first boolean, the_source text, the_status text, the_live boolean, visible_sources text[], max_rows integer)
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
    edge bigint := from_position;
    -- A page is filled at once as a rule.
    window_size integer := least(step, max_rows);
    entries integer;
    positions bigint[];
    keys uuid[];
    looked_at integer := 0;
    wanted integer := max_rows;
    found integer;
BEGIN
    LOOP
        SELECT COALESCE(array_agg(w.position) FILTER (WHERE w.fits), '{}'), array_agg(w.order_key) FILTER (WHERE w.fits),
               CASE WHEN newest_first THEN min(w.position) ELSE max(w.position) END, count(*)
        INTO positions, keys, edge, entries
        FROM (
            SELECT e.position, e.order_key,
                   e.live = the_live AND (the_source IS NULL OR e.source = the_source)
                   AND (visible_sources IS NULL OR e.source = ANY (visible_sources)) AS fits
            FROM (
                (SELECT f.* FROM waybill_data.feed f WHERE newest_first AND f.position < edge ORDER BY f.position DESC LIMIT window_size)
                UNION ALL
                (SELECT f.* FROM waybill_data.feed f WHERE NOT newest_first AND f.position > edge ORDER BY f.position LIMIT window_size)) e) w;
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
            WHERE (the_status IS NULL OR o.status = the_status::waybill_data.status) AND (NOT newest_first OR o.moved_to IS NULL)
            ORDER BY f.number LIMIT wanted;
        GET DIAGNOSTICS found = ROW_COUNT;
        wanted := wanted - found;
        IF wanted = 0 OR entries < window_size THEN
            RETURN;
        END IF;
        looked_at := looked_at + cardinality(positions);
        EXIT WHEN looked_at >= 40 * step OR clock_timestamp() > give_up_at;
        -- Where few of them fit, further.
        IF cardinality(positions) < step THEN
            window_size := least(4 * window_size, 64 * step);
        END IF;
    END LOOP;
    RETURN QUERY SELECT NULL::uuid, edge;
END
$$;
COMMENT ON FUNCTION waybill_data.walk_feed IS
    'Keys and versions of orders by their latest change, oldest or newest first; a last row without a key says where a long walk stopped.';
GRANT EXECUTE ON FUNCTION waybill_data.walk_feed TO waybill_status;

-- Reading the feed page by page. Filters that no index serves (a small source, a rare status, the sandbox) may pass over any number of changes, so a walk ends
-- after so many feed entries, or so much time, whatever it found: then a last row without an order says where it stopped, and the client's next page goes on
-- there. find_changes(), and find_orders() without a filter that an index serves, are called by earlier releases only.

CREATE FUNCTION waybill_data.walk_changes(after_position bigint, the_live boolean, visible_sources text[], max_rows integer)
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
    last_place bigint;
    wanted integer := max_rows;
    found integer;
    entries integer;
BEGIN
    FOR round IN 1 .. 40 LOOP
        RETURN QUERY
            SELECT o.order_key, o.version
            FROM (SELECT e.position, e.order_key FROM waybill_data.feed e WHERE e.position > place ORDER BY e.position LIMIT step) f
            JOIN waybill_data.orders o ON o.order_key = f.order_key AND o.version = f.position
            WHERE o.live = the_live AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
            ORDER BY f.position LIMIT wanted;
        GET DIAGNOSTICS found = ROW_COUNT;
        wanted := wanted - found;
        IF wanted = 0 THEN
            RETURN;
        END IF;
        SELECT max(f.position), count(*) INTO last_place, entries
        FROM (SELECT e.position FROM waybill_data.feed e WHERE e.position > place ORDER BY e.position LIMIT step) f;
        IF entries < step THEN
            RETURN;
        END IF;
        place := last_place;
        EXIT WHEN clock_timestamp() > give_up_at;
    END LOOP;
    RETURN QUERY SELECT NULL::uuid, place;
END
$$;
COMMENT ON FUNCTION waybill_data.walk_changes IS
    'Keys and versions of the orders that changed after a position of the feed, oldest change first; a last row without a key says where a long walk stopped.';

-- From the newest change, or from before a position, back.
CREATE FUNCTION waybill_data.walk_orders(
    the_source text, the_status text, the_live boolean, visible_sources text[], before_position bigint, max_rows integer)
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
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
    last_place bigint;
    wanted integer := max_rows;
    found integer;
    entries integer;
BEGIN
    FOR round IN 1 .. 40 LOOP
        RETURN QUERY
            SELECT o.order_key, o.version
            FROM (SELECT e.position, e.order_key FROM waybill_data.feed e WHERE e.position < place ORDER BY e.position DESC LIMIT step) f
            JOIN waybill_data.orders o ON o.order_key = f.order_key AND o.version = f.position
            WHERE o.live = the_live
              AND (the_source IS NULL OR o.source = the_source)
              AND (the_status IS NULL OR o.status = the_status::waybill_data.status)
              AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
            ORDER BY f.position DESC LIMIT wanted;
        GET DIAGNOSTICS found = ROW_COUNT;
        wanted := wanted - found;
        IF wanted = 0 THEN
            RETURN;
        END IF;
        SELECT min(f.position), count(*) INTO last_place, entries
        FROM (SELECT e.position FROM waybill_data.feed e WHERE e.position < place ORDER BY e.position DESC LIMIT step) f;
        IF entries < step THEN
            RETURN;
        END IF;
        place := last_place;
        EXIT WHEN clock_timestamp() > give_up_at;
    END LOOP;
    RETURN QUERY SELECT NULL::uuid, place;
END
$$;
COMMENT ON FUNCTION waybill_data.walk_orders IS
    'Keys and versions of orders, newest change first; a last row without a key says where a long walk stopped.';

GRANT EXECUTE ON FUNCTION waybill_data.walk_changes, waybill_data.walk_orders TO waybill_status;

-- Entries that a newer change of the same order has replaced: no reader needs them, since a cursor is a position and not an entry, and whoever still reads with
-- an older snapshot keeps them until then. The newest entry always stays: it says how far the feed has come. Looks at max_entries of them behind a position.
CREATE FUNCTION waybill_data.prune_feed(after_position bigint, max_entries integer, OUT looked_to bigint, OUT pruned bigint)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT max(f.position) INTO looked_to
    FROM (SELECT e.position FROM waybill_data.feed e WHERE e.position > after_position ORDER BY e.position LIMIT max_entries) f;
    DELETE FROM waybill_data.feed f
    WHERE f.position > after_position AND f.position <= looked_to
      AND f.position < (SELECT max(e.position) FROM waybill_data.feed e)
      AND NOT EXISTS (SELECT FROM waybill_data.orders o WHERE o.order_key = f.order_key AND o.version <= f.position);
    GET DIAGNOSTICS pruned = ROW_COUNT;
END
$$;
COMMENT ON FUNCTION waybill_data.prune_feed IS
    'Removes entries of the change feed that a newer change of their order has replaced; cursors stay good. looked_to is null at the end.';

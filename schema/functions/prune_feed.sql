-- Entries that a newer change of the same order has replaced: no reader needs them, since a cursor is a position and not an entry, and a reader with an older
-- snapshot keeps them until it ends. The newest entry of a lane always stays: it says how far the lane has come. Looks at max_entries of them behind a position.
CREATE OR REPLACE FUNCTION waybill_data.prune_feed(after_position bigint, max_entries integer, OUT looked_to bigint, OUT pruned bigint)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    newest bigint[] := ARRAY(SELECT (SELECT max(f.position) FROM waybill_data.feed f WHERE f.lane = l.lane) FROM waybill_data.lanes l);
BEGIN
    SELECT max(f.position) INTO looked_to
    FROM (SELECT e.position FROM waybill_data.feed e WHERE e.position > after_position ORDER BY e.position LIMIT max_entries) f;
    DELETE FROM waybill_data.feed f
    WHERE f.position > after_position AND f.position <= looked_to AND f.position <> ALL (array_remove(newest, NULL))
      AND NOT EXISTS (SELECT FROM waybill_data.orders o WHERE o.order_key = f.order_key AND o.version <= f.position);
    GET DIAGNOSTICS pruned = ROW_COUNT;
END
$$;
COMMENT ON FUNCTION waybill_data.prune_feed IS
    'Removes entries of the change feed that a newer change of their order has replaced; cursors stay good. looked_to is null at the end.';

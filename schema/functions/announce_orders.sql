-- For what changes orders beside webhooks.
CREATE OR REPLACE FUNCTION waybill_data.announce_orders(order_keys uuid[]) RETURNS void LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WITH announced AS (
        UPDATE waybill_data.orders o SET version = nextval('waybill_data.feed_position'), updated_at = clock_timestamp(), writes = o.writes + 1
        WHERE o.order_key = ANY (order_keys)
        RETURNING o.version, o.order_key, o.live, o.source)
    INSERT INTO waybill_data.feed (position, order_key, lane, live, source) SELECT a.version, a.order_key, 0, a.live, a.source FROM announced a;
END
$$;
COMMENT ON FUNCTION waybill_data.announce_orders IS 'Gives orders a new version, which the change feed shows.';

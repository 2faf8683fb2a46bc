-- The first half of a batch: stores the deliveries that are new and returns the state of the orders that those speak of, as far as the batch touches it.
-- times: how often each came in the batch. whole: orders of which all boxes are wanted. The first row has, by ordinal, the outcome of each delivery
-- (applied, ignored, quarantined, duplicate, or refused where the source's quarantine is full), a position of the feed for each order, and the time.
CREATE OR REPLACE FUNCTION waybill_data.take_deliveries(
    deliveries waybill_data.deliveries[], bodies waybill_data.bodies[], times bigint[], quarantine_max bigint[], whole uuid[],
    box_orders uuid[], box_keys uuid[], event_orders uuid[], event_keys uuid[], document_orders uuid[], document_keys uuid[], manifest_keys uuid[])
RETURNS TABLE (outcomes text[], positions bigint[], stamped_at timestamptz, state waybill_data.state_row) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- One plan for all batches, made for index look-ups: planning anew costs more than running, and a plan made while the tables were empty must not scan them
-- when they are full.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    refused uuid[] := '{}';
    fresh uuid[];
    touched uuid[];
BEGIN
    PERFORM waybill_data.lock_lane();
    IF EXISTS (SELECT FROM unnest(deliveries) d WHERE d.outcome = 'quarantined') THEN
        refused := waybill_data.refuse_quarantine(deliveries, quarantine_max);
    END IF;

    -- Nobody else writes in this lane, so what is not there now will not be there when the row is.
    WITH inserted AS (
        INSERT INTO waybill_data.deliveries SELECT d.* FROM unnest(deliveries) d
        WHERE d.delivery_id <> ALL (refused) AND NOT EXISTS (SELECT FROM waybill_data.deliveries t WHERE t.delivery_id = d.delivery_id)
        RETURNING delivery_id, order_key)
    SELECT COALESCE(array_agg(i.delivery_id), '{}'), COALESCE(array_agg(DISTINCT i.order_key) FILTER (WHERE i.order_key IS NOT NULL), '{}')
    INTO fresh, touched FROM inserted i;
    INSERT INTO waybill_data.bodies SELECT b.* FROM unnest(bodies) b WHERE b.delivery_id = ANY (fresh);

    SELECT array_agg(CASE WHEN d.delivery_id = ANY (refused) THEN 'refused' WHEN d.delivery_id = ANY (fresh) THEN d.outcome ELSE 'duplicate' END
                     ORDER BY d.number)
    INTO outcomes
    FROM (SELECT u.delivery_id, u.outcome, row_number() OVER () AS number FROM unnest(deliveries) u) d;
    IF 'duplicate' = ANY (outcomes) OR cardinality(times) < (SELECT sum(t.again) FROM unnest(times) AS t (again)) THEN
        INSERT INTO waybill_data.resends AS r (delivery_id, times)
        SELECT d.delivery_id, t.again - (d.delivery_id = ANY (fresh))::integer
        FROM (SELECT u.delivery_id, row_number() OVER () AS number FROM unnest(deliveries) u) d
        JOIN unnest(times) WITH ORDINALITY AS t (again, number) ON t.number = d.number
        WHERE t.again > (d.delivery_id = ANY (fresh))::integer AND d.delivery_id <> ALL (refused)
        ORDER BY d.delivery_id
        ON CONFLICT (delivery_id) DO UPDATE SET times = r.times + excluded.times;
    END IF;

    positions := ARRAY(SELECT nextval('waybill_data.feed_position') FROM generate_series(1, cardinality(touched)));
    stamped_at := clock_timestamp();
    RETURN NEXT;
    RETURN QUERY
        SELECT NULL::text[], NULL::bigint[], NULL::timestamptz, s
        FROM waybill_data.read_states(touched, whole, box_orders, box_keys, event_orders, event_keys, document_orders, document_keys, manifest_keys) s;
END
$$;
COMMENT ON FUNCTION waybill_data.take_deliveries IS 'Stores a batch of webhooks and returns the state that they change; write_states() writes what comes of it.';
GRANT EXECUTE ON FUNCTION waybill_data.take_deliveries TO waybill_ingest;

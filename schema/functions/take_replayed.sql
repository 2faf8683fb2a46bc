-- What take_deliveries() is for a webhook, for one stored delivery that was not applied and is read again (deliveries has it as it reads now): it gets the
-- identity and the outcome that it would have now. Refused: it is gone, purged or applied already. For the owner.
CREATE OR REPLACE FUNCTION waybill_data.take_replayed(
    the_delivery uuid, deliveries waybill_data.deliveries[], whole uuid[], box_orders uuid[], box_keys uuid[], event_orders uuid[], event_keys uuid[],
    document_orders uuid[], document_keys uuid[], manifest_keys uuid[])
RETURNS TABLE (outcomes text[], positions bigint[], stamped_at timestamptz, state waybill_data.state_row) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    now_read waybill_data.deliveries := deliveries[1];
    stored waybill_data.deliveries;
    is_fresh boolean;
BEGIN
    PERFORM waybill_data.lock_lane();
    SELECT d.* INTO stored FROM waybill_data.deliveries d
    JOIN waybill_data.bodies b ON b.received_at = d.received_at AND b.delivery_id = d.delivery_id
    WHERE d.delivery_id = the_delivery AND d.outcome IN ('quarantined', 'ignored');
    IF NOT FOUND THEN
        outcomes := '{refused}';
    ELSIF now_read.outcome IN (stored.outcome, 'quarantined') THEN
        -- Not better than before; the reason may be another one.
        outcomes := ARRAY[stored.outcome];
        UPDATE waybill_data.deliveries d SET
            provider = now_read.provider, live = now_read.live, event_type = now_read.event_type, event_id = now_read.event_id, detail = now_read.detail
        WHERE d.delivery_id = the_delivery AND stored.outcome = 'quarantined';
    ELSE
        -- Where its id is known, what it says is stored already, and applied: it becomes a duplicate of that, under the id that it has.
        is_fresh := NOT EXISTS (SELECT FROM waybill_data.deliveries d WHERE d.delivery_id = now_read.delivery_id);
        outcomes := ARRAY[CASE WHEN is_fresh THEN now_read.outcome ELSE 'duplicate' END];
        UPDATE waybill_data.deliveries d SET
            delivery_id = CASE WHEN is_fresh THEN now_read.delivery_id ELSE d.delivery_id END, order_key = now_read.order_key,
            provider = now_read.provider, live = now_read.live, event_type = now_read.event_type, event_id = now_read.event_id, outcome = outcomes[1],
            detail = NULL
        WHERE d.delivery_id = the_delivery;
        IF is_fresh THEN
            UPDATE waybill_data.bodies b SET delivery_id = now_read.delivery_id WHERE b.received_at = stored.received_at AND b.delivery_id = the_delivery;
            UPDATE waybill_data.resends r SET delivery_id = now_read.delivery_id WHERE r.delivery_id = the_delivery;
        END IF;
        UPDATE waybill_data.quarantine_usage u SET bytes = u.bytes - stored.body_bytes WHERE u.source = stored.source AND stored.outcome = 'quarantined';
    END IF;

    positions := ARRAY[nextval('waybill_data.feed_position')];
    stamped_at := clock_timestamp();
    RETURN NEXT;
    IF outcomes[1] = 'applied' THEN
        RETURN QUERY
            SELECT NULL::text[], NULL::bigint[], NULL::timestamptz, s
            FROM waybill_data.read_states(ARRAY[now_read.order_key], whole, box_orders, box_keys, event_orders, event_keys, document_orders, document_keys,
                                          manifest_keys) s;
    END IF;
END
$$;
COMMENT ON FUNCTION waybill_data.take_replayed IS 'Gives a stored delivery that was not applied the outcome that it has now, and returns the state that it changes.';

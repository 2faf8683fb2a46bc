-- The first and the last time in the history of orders, without the rows event_keys, whose times the caller knows; of orders that one of the deliveries speaks
-- of which this transaction has stored.
CREATE OR REPLACE FUNCTION waybill_data.read_spans(deliveries uuid[], order_keys uuid[], event_keys uuid[])
RETURNS TABLE (order_key uuid, first_event_at timestamptz, last_event_at timestamptz) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    mine uuid[];
BEGIN
    SELECT array_agg(d.order_key) INTO mine FROM waybill_data.deliveries d
    WHERE d.delivery_id = ANY (deliveries) AND d.order_key = ANY (order_keys) AND d.xmin = pg_current_xact_id()::xid;
    RETURN QUERY
        SELECT h.order_key, min(h.occurred_at), max(h.occurred_at)
        FROM (SELECT e.order_key, e.occurred_at FROM waybill_data.tracking_events e WHERE e.order_key = ANY (mine) AND e.event_key <> ALL (event_keys)
              UNION ALL
              SELECT c.order_key, c.occurred_at FROM waybill_data.order_changes c WHERE c.order_key = ANY (mine)) h
        GROUP BY h.order_key;
END
$$;
COMMENT ON FUNCTION waybill_data.read_spans IS 'When the history of orders begins and ends, but for rows that are about to change.';
GRANT EXECUTE ON FUNCTION waybill_data.read_spans TO waybill_ingest;

-- The deliveries themselves stay: they are the de-duplication. Quarantined ones give their bytes back.
CREATE OR REPLACE FUNCTION waybill_data.purge_deliveries(delivery_ids uuid[], OUT purged bigint, OUT bytes bigint) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM waybill_data.lock_lane();
    WITH gone AS (
        DELETE FROM waybill_data.bodies b USING waybill_data.deliveries d
        WHERE d.delivery_id = ANY (delivery_ids) AND b.received_at = d.received_at AND b.delivery_id = d.delivery_id
        RETURNING d.source, d.outcome, d.body_bytes
    ), given_back AS (
        UPDATE waybill_data.quarantine_usage u SET bytes = u.bytes - q.bytes
        FROM (SELECT g.source, sum(g.body_bytes) AS bytes FROM gone g WHERE g.outcome = 'quarantined' GROUP BY g.source) q
        WHERE u.source = q.source
    )
    SELECT count(*), COALESCE(sum(g.body_bytes), 0) INTO purged, bytes FROM gone g;
END
$$;
COMMENT ON FUNCTION waybill_data.purge_deliveries IS 'Deletes the bodies and headers of deliveries, and returns how many had any, and their bytes.';

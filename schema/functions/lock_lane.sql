-- Every transaction that writes calls this first, in a statement of its own: what commits later waits for it, what committed before is seen by the next statement.
CREATE OR REPLACE FUNCTION waybill_data.lock_lane() RETURNS void LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM waybill_data.lanes l WHERE l.lane = 0 FOR NO KEY UPDATE;
END
$$;
COMMENT ON FUNCTION waybill_data.lock_lane IS 'Makes the caller the only writer of its lane until its transaction ends.';

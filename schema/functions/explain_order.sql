-- What ?explain=1 and waybill explain are made of, in one snapshot: first the document, then the state, then the deliveries that were applied, by id, with the
-- bodies of the newest of them as far as max_bytes last (left_out: the others). What the sender said is read from the bodies, as a rebuild does. Without
-- full_scope no state holds personal facts; the bodies do, and never leave the program.
CREATE OR REPLACE FUNCTION waybill_data.explain_order(the_order uuid, full_scope boolean, with_events boolean, max_bytes bigint)
RETURNS TABLE (
    version bigint, document text, state waybill_data.state_row, delivery_id uuid, source text, provider text, event_type text, event_id text,
    received_at timestamptz, body bytea, left_out boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    SELECT d.version, d.document INTO version, document FROM waybill_data.read_orders(ARRAY[the_order], full_scope, with_events) d;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN NEXT;
    RETURN QUERY
        SELECT NULL::bigint, NULL, s, NULL::uuid, NULL, NULL, NULL, NULL, NULL::timestamptz, NULL::bytea, NULL::boolean
        FROM waybill_data.read_order(the_order, full_scope, with_events) s;
    RETURN QUERY
        SELECT NULL::bigint, NULL, NULL::waybill_data.state_row, d.delivery_id, d.source, d.provider, d.event_type, d.event_id, d.received_at,
               b.body, d.total > max_bytes
        FROM (SELECT t.*, sum(t.body_bytes) OVER (ORDER BY t.received_at DESC, t.delivery_id) AS total
              FROM waybill_data.deliveries t WHERE t.order_key = the_order AND t.outcome = 'applied'
              ORDER BY t.received_at DESC, t.delivery_id LIMIT 10000) d
        LEFT JOIN waybill_data.bodies b ON b.received_at = d.received_at AND b.delivery_id = d.delivery_id AND d.total <= max_bytes
        ORDER BY d.delivery_id;
END
$$;
COMMENT ON FUNCTION waybill_data.explain_order IS 'One order''s document, its state, and the webhooks that spoke of it.';
GRANT EXECUTE ON FUNCTION waybill_data.explain_order TO waybill_status;

-- The registers keep their keys, so that no old event brings the data back.
CREATE OR REPLACE FUNCTION waybill_data.purge_orders(order_keys uuid[]) RETURNS integer LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    keys uuid[];
BEGIN
    PERFORM waybill_data.lock_lane();
    keys := ARRAY(SELECT p.order_key FROM waybill_data.personal_orders p WHERE p.order_key = ANY (order_keys) ORDER BY 1);
    UPDATE waybill_data.orders o SET destination = (
        SELECT ('{' || string_agg(to_json(m.key) || ':' || CASE WHEN m.key IN ('country', 'zip', 'city') THEN m.value::text ELSE 'null' END, ',') || '}')::json
        FROM json_each(o.destination) m)
    WHERE o.order_key = ANY (keys) AND o.destination IS NOT NULL;
    UPDATE waybill_data.boxes b SET signed_by = NULL, proof_of_delivery = NULL, label_url = NULL
    WHERE b.order_key = ANY (keys) AND (b.signed_by IS NOT NULL OR b.proof_of_delivery IS NOT NULL OR b.label_url IS NOT NULL);
    UPDATE waybill_data.tracking_events e SET message = NULL WHERE e.order_key = ANY (keys) AND e.message IS NOT NULL;
    DELETE FROM waybill_data.documents t WHERE t.order_key = ANY (keys);
    PERFORM waybill_data.announce_orders(keys);
    RETURN cardinality(keys);
END
$$;
COMMENT ON FUNCTION waybill_data.purge_orders IS 'Takes the personal data out of orders, and returns how many had any; statuses and history stay.';

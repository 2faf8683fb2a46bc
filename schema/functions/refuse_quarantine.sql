-- Takes the bytes of new quarantined deliveries off their source's quarantine_max. Returns those for which it does not suffice.
CREATE OR REPLACE FUNCTION waybill_data.refuse_quarantine(deliveries waybill_data.deliveries[], quarantine_max bigint[])
RETURNS uuid[] LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    one record;
    refused uuid[] := '{}';
BEGIN
    FOR one IN
        SELECT d.delivery_id, d.source, d.body_bytes, d.maximum
        FROM ROWS FROM (unnest(deliveries), unnest(quarantine_max)) WITH ORDINALITY
             AS d (delivery_id, order_key, received_at, body_bytes, live, source, provider, event_type, event_id, outcome, detail, body_sha256, maximum, number)
        WHERE d.outcome = 'quarantined' AND NOT EXISTS (SELECT FROM waybill_data.deliveries t WHERE t.delivery_id = d.delivery_id)
        ORDER BY d.number
    LOOP
        INSERT INTO waybill_data.quarantine_usage (source) VALUES (one.source) ON CONFLICT DO NOTHING;
        UPDATE waybill_data.quarantine_usage u SET bytes = u.bytes + one.body_bytes
        WHERE u.source = one.source AND u.bytes + one.body_bytes <= one.maximum;
        IF NOT FOUND THEN
            refused := refused || one.delivery_id;
        END IF;
    END LOOP;
    RETURN refused;
END
$$;
COMMENT ON FUNCTION waybill_data.refuse_quarantine IS 'Counts quarantined bytes; returns the deliveries that would take their source over its maximum.';

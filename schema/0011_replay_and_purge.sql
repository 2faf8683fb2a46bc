-- What waybill replay and waybill purge call, as the owner.

-- One stored delivery that was not applied, read again: the arrays are those of ingest(), with one delivery. Returns its outcome now; null when it is gone, purged or applied already.
CREATE FUNCTION waybill_data.replay(
    the_delivery uuid, deliveries waybill_data.delivery_in[], orders waybill_data.order_in[], boxes waybill_data.box_in[],
    events waybill_data.event_in[], documents waybill_data.document_in[], order_changes waybill_data.order_change_in[],
    manifests waybill_data.manifest_in[])
RETURNS text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    now_read waybill_data.delivery_in := deliveries[1];
    before text;
BEGIN
    -- Whoever takes both takes this lock first, as ingest() does.
    PERFORM FROM waybill_data.quarantine_usage u WHERE u.source = now_read.source FOR UPDATE;
    SELECT d.outcome INTO before FROM waybill_data.deliveries d
    WHERE d.delivery_id = the_delivery AND d.body IS NOT NULL AND d.outcome IN ('quarantined', 'ignored') FOR UPDATE;
    IF before IS NULL THEN
        RETURN NULL;
    END IF;

    IF now_read.outcome = 'quarantined' OR now_read.outcome = before THEN
        -- Not better than before; the reason may be another one.
        IF before = 'quarantined' THEN
            UPDATE waybill_data.deliveries d SET
                provider = now_read.provider, live = now_read.live, event_type = now_read.event_type, event_id = now_read.event_id,
                detail = now_read.detail
            WHERE d.delivery_id = the_delivery
              AND (d.provider, d.live, d.event_type, d.event_id, d.detail)
                  IS DISTINCT FROM (now_read.provider, now_read.live, now_read.event_type, now_read.event_id, now_read.detail);
        END IF;
        RETURN before;
    END IF;

    BEGIN
        UPDATE waybill_data.deliveries d SET
            delivery_id = now_read.delivery_id, order_key = now_read.order_key, provider = now_read.provider, live = now_read.live,
            event_type = now_read.event_type, event_id = now_read.event_id, outcome = now_read.outcome, detail = NULL
        WHERE d.delivery_id = the_delivery;
    EXCEPTION WHEN unique_violation THEN
        -- The same event id and content is stored already, and applied.
        UPDATE waybill_data.deliveries d SET
            order_key = now_read.order_key, provider = now_read.provider, live = now_read.live, event_type = now_read.event_type,
            event_id = now_read.event_id, outcome = 'duplicate', detail = NULL
        WHERE d.delivery_id = the_delivery;
        RETURN 'duplicate';
    END;
    PERFORM waybill_data.apply('{true}', orders, boxes, events, documents, order_changes, manifests);
    RETURN now_read.outcome;
END
$$;
COMMENT ON FUNCTION waybill_data.replay IS 'Gives a stored delivery that was not applied the outcome it has now.';

-- The personal data that orders hold, by order: what the scope tracking does not show. Country, zip and city stay, as the reports show them.
CREATE VIEW waybill_data.personal_orders AS
SELECT o.order_key FROM waybill_data.orders o
WHERE o.destination IS NOT NULL AND jsonb_strip_nulls(o.destination) - ARRAY['country', 'zip', 'city'] <> '{}'
   OR EXISTS (SELECT FROM waybill_data.boxes b WHERE b.order_key = o.order_key
              AND (b.signed_by IS NOT NULL OR b.proof_of_delivery IS NOT NULL OR b.label_url IS NOT NULL))
   OR EXISTS (SELECT FROM waybill_data.tracking_events e WHERE e.order_key = o.order_key AND e.message IS NOT NULL)
   OR EXISTS (SELECT FROM waybill_data.documents t WHERE t.order_key = o.order_key);
COMMENT ON VIEW waybill_data.personal_orders IS 'The orders that hold personal data.';

-- Takes the personal data out of orders. The keys of the registers stay, so that no old event brings it back. Returns how many orders had any.
CREATE FUNCTION waybill_data.purge_orders(order_keys uuid[]) RETURNS integer LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    keys uuid[];
BEGIN
    PERFORM FROM waybill_data.orders o WHERE o.order_key = ANY (order_keys) ORDER BY o.order_key FOR NO KEY UPDATE;
    keys := ARRAY(SELECT p.order_key FROM waybill_data.personal_orders p WHERE p.order_key = ANY (order_keys));
    IF cardinality(keys) = 0 THEN
        RETURN 0;
    END IF;
    UPDATE waybill_data.orders o SET destination = (
        SELECT jsonb_object_agg(m.key, CASE WHEN m.key IN ('country', 'zip', 'city') THEN m.value ELSE 'null' END) FROM jsonb_each(o.destination) m)
    WHERE o.order_key = ANY (keys) AND o.destination IS NOT NULL;
    UPDATE waybill_data.boxes b SET signed_by = NULL, proof_of_delivery = NULL, label_url = NULL
    WHERE b.order_key = ANY (keys) AND (b.signed_by IS NOT NULL OR b.proof_of_delivery IS NOT NULL OR b.label_url IS NOT NULL);
    UPDATE waybill_data.tracking_events e SET message = NULL WHERE e.order_key = ANY (keys) AND e.message IS NOT NULL;
    DELETE FROM waybill_data.documents t WHERE t.order_key = ANY (keys);
    PERFORM waybill_data.roll_up(keys, keys);
    RETURN cardinality(keys);
END
$$;
COMMENT ON FUNCTION waybill_data.purge_orders IS 'Takes personal data out of orders; statuses and history stay.';

-- Takes bytes and headers out of deliveries, whose rows stay: they are the de-duplication. Returns how many had any, and their bytes.
CREATE FUNCTION waybill_data.purge_deliveries(delivery_ids uuid[], OUT purged bigint, OUT bytes bigint) LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    -- First, as ingest() does: a quarantined one gives its room back.
    PERFORM FROM waybill_data.quarantine_usage u ORDER BY u.source FOR UPDATE;
    WITH emptied AS (
        UPDATE waybill_data.deliveries d SET body = NULL, headers = NULL
        WHERE d.delivery_id = ANY (delivery_ids) AND d.body IS NOT NULL
        RETURNING d.body_bytes)
    SELECT count(*), COALESCE(sum(e.body_bytes), 0) INTO purged, bytes FROM emptied e;
END
$$;
COMMENT ON FUNCTION waybill_data.purge_deliveries IS 'Takes bytes and headers out of deliveries; what they said stays.';

COMMENT ON COLUMN waybill_audit.deliveries.headers IS 'The kept request headers, never a credential; null after a purge.';

-- The state of orders as a batch needs it. Of personal facts digests take the place of values: equal or not is all that merging needs to know. Of an order whose
-- boxes are not read as a whole there is a summary, by status, of those that the batch does not touch. Keys come beside the keys of their orders.
CREATE OR REPLACE FUNCTION waybill_data.read_states(
    order_keys uuid[], whole uuid[], box_orders uuid[], box_keys uuid[], event_orders uuid[], event_keys uuid[], document_orders uuid[],
    document_keys uuid[], manifest_keys uuid[])
RETURNS SETOF waybill_data.state_row LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    part waybill_data.state_row;
    an_order waybill_data.orders;
    box waybill_data.boxes;
    event waybill_data.tracking_events;
    known uuid[] := '{}';
    left_out bigint := 0;
BEGIN
    IF cardinality(manifest_keys) > 0 THEN
        RETURN QUERY SELECT part.an_order, part.box, part.event, part.document, part.order_change, m, part.summary
                     FROM waybill_data.manifests m WHERE m.manifest_key = ANY (manifest_keys);
    END IF;

    FOR an_order IN SELECT o.* FROM waybill_data.orders o WHERE o.order_key = ANY (order_keys) LOOP
        known := known || an_order.order_key;
        left_out := left_out + an_order.boxes_total;
        IF an_order.destination IS NOT NULL THEN
            an_order.destination := to_json(waybill_data.digest(an_order.destination::text));
        END IF;
        part.an_order := an_order;
        RETURN NEXT part;
    END LOOP;
    IF cardinality(known) = 0 THEN
        RETURN;
    END IF;

    part.an_order := NULL;
    FOR box IN
        SELECT b.* FROM unnest(box_orders, box_keys) AS k (order_key, box_key)
        JOIN waybill_data.boxes b ON b.order_key = k.order_key AND b.box_key = k.box_key
        WHERE k.order_key = ANY (known) AND k.order_key <> ALL (whole)
        UNION ALL
        SELECT b.* FROM unnest(whole) AS w (order_key) JOIN waybill_data.boxes b ON b.order_key = w.order_key WHERE w.order_key = ANY (known)
    LOOP
        left_out := left_out - 1;
        box.label_url := waybill_data.digest(box.label_url);
        box.signed_by := waybill_data.digest(box.signed_by);
        box.proof_of_delivery := waybill_data.digest(box.proof_of_delivery);
        part.box := box;
        RETURN NEXT part;
    END LOOP;
    part.box := NULL;
    IF left_out > 0 THEN
        RETURN QUERY
            SELECT part.an_order, part.box, part.event, part.document, part.order_change, part.manifest,
                   ROW(b.order_key, b.status, count(*), max(b.status_at), min(b.shipped_at), max(b.delivered_at),
                       COALESCE(bool_or(b.last_open_at > b.delivered_at), false))::waybill_data.box_summary
            FROM unnest(known) AS k (order_key) JOIN waybill_data.boxes b ON b.order_key = k.order_key
            WHERE b.box_key <> ALL (box_keys) AND k.order_key <> ALL (whole)
            GROUP BY b.order_key, b.status;
    END IF;

    IF cardinality(event_keys) > 0 THEN
        FOR event IN
            SELECT e.* FROM unnest(event_orders, event_keys) AS k (order_key, event_key)
            JOIN waybill_data.tracking_events e ON e.order_key = k.order_key AND e.event_key = k.event_key
            WHERE k.order_key = ANY (known)
        LOOP
            event.message := waybill_data.digest(event.message);
            part.event := event;
            RETURN NEXT part;
        END LOOP;
        part.event := NULL;
    END IF;
    IF cardinality(document_keys) > 0 THEN
        RETURN QUERY
            SELECT part.an_order, part.box, part.event, ROW(t.order_key, t.document_key, t.box_key, NULL, NULL)::waybill_data.documents,
                   part.order_change, part.manifest, part.summary
            FROM unnest(document_orders, document_keys) AS k (order_key, document_key)
            JOIN waybill_data.documents t ON t.order_key = k.order_key AND t.document_key = k.document_key
            WHERE k.order_key = ANY (known);
    END IF;
END
$$;
COMMENT ON FUNCTION waybill_data.read_states IS 'The state of orders as far as a batch touches it, without personal facts.';

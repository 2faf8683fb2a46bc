-- The rows of one order as a rebuild made them, in place of those that are there; the arrays are those of write_states(). Stale, and nothing is written, when the
-- order was written after the rebuild read it (expected_writes). Version and updated_at stay when the document does, so that pollers are not disturbed.
CREATE OR REPLACE FUNCTION waybill_data.replace_order(
    the_order uuid, expected_writes integer, new_orders waybill_data.orders[], orders waybill_data.orders[], new_boxes waybill_data.boxes[],
    boxes waybill_data.boxes[], new_events waybill_data.tracking_events[], events waybill_data.tracking_events[], documents waybill_data.documents[],
    order_changes waybill_data.order_changes[], new_manifests waybill_data.manifests[], manifests waybill_data.manifests[], feed waybill_data.feed[], moved uuid[])
RETURNS text LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    before text;
BEGIN
    PERFORM waybill_data.lock_lane();
    IF expected_writes IS DISTINCT FROM (SELECT o.writes FROM waybill_data.orders o WHERE o.order_key = the_order) THEN
        RETURN 'stale';
    END IF;
    before := waybill_data.comparable_document(the_order);
    DELETE FROM waybill_data.orders WHERE order_key = the_order;
    -- Those of its boxes go as those of an order that moved do.
    PERFORM waybill_data.write_states(new_orders, orders, new_boxes, boxes, new_events, events, documents, order_changes, new_manifests, manifests, feed,
                                      the_order || moved);
    IF before IS NOT DISTINCT FROM waybill_data.comparable_document(the_order) THEN
        RETURN 'unchanged';
    END IF;
    PERFORM waybill_data.announce_orders(ARRAY[the_order]);
    RETURN 'changed';
END
$$;
COMMENT ON FUNCTION waybill_data.replace_order IS 'Writes one order as it was derived again from all its deliveries.';

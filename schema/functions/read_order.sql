-- All that is stored of one order, boxes in the order of their ids. Without full_scope no personal fact has its value.
CREATE OR REPLACE FUNCTION waybill_data.read_order(the_order uuid, full_scope boolean, with_events boolean)
RETURNS SETOF waybill_data.state_row LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    part waybill_data.state_row;
    an_order waybill_data.orders;
    box waybill_data.boxes;
    event waybill_data.tracking_events;
BEGIN
    SELECT o.* INTO an_order FROM waybill_data.orders o WHERE o.order_key = the_order;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT full_scope THEN
        an_order.destination := NULL;
    END IF;
    part.an_order := an_order;
    RETURN NEXT part;
    part.an_order := NULL;
    FOR box IN SELECT b.* FROM waybill_data.boxes b WHERE b.order_key = the_order ORDER BY b.box_id LOOP
        IF NOT full_scope THEN
            box.label_url := NULL;
            box.signed_by := NULL;
            box.proof_of_delivery := NULL;
        END IF;
        part.box := box;
        RETURN NEXT part;
    END LOOP;
    part.box := NULL;
    FOR event IN SELECT e.* FROM waybill_data.tracking_events e WHERE with_events AND e.order_key = the_order LOOP
        IF NOT full_scope THEN
            event.message := NULL;
        END IF;
        part.event := event;
        RETURN NEXT part;
    END LOOP;
    part.event := NULL;
    RETURN QUERY SELECT part.an_order, part.box, part.event, t, part.order_change, part.manifest, part.summary
                 FROM waybill_data.documents t WHERE full_scope AND t.order_key = the_order;
    RETURN QUERY SELECT part.an_order, part.box, part.event, part.document, c, part.manifest, part.summary
                 FROM waybill_data.order_changes c WHERE with_events AND c.order_key = the_order;
END
$$;
COMMENT ON FUNCTION waybill_data.read_order IS 'All rows of one order.';

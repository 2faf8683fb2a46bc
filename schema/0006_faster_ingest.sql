-- Faster writing: the same rules as in 0003 with fewer statements, look-ups and writes a batch. docs/performance.md has the figures.

-- Writes the changes of the fresh deliveries (fresh[ordinal]) and rolls the touched orders up. Returns how many orders changed.
CREATE OR REPLACE FUNCTION waybill_data.apply(
    fresh boolean[], orders waybill_data.order_in[], boxes waybill_data.box_in[], events waybill_data.event_in[],
    documents waybill_data.document_in[], order_changes waybill_data.order_change_in[], manifests waybill_data.manifest_in[])
RETURNS integer LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    touched uuid[];
    changed_orders uuid[] := '{}';
    part uuid[];
    this_round integer;
    order_rounds integer;
    box_rounds integer;
    event_rounds integer;
    with_lists boolean := false;
    lists boolean;
BEGIN
    IF cardinality(manifests) > 0 THEN
        FOR this_round IN SELECT DISTINCT i.round FROM unnest(manifests) i WHERE fresh[i.ordinal] ORDER BY 1 LOOP
            INSERT INTO waybill_data.manifests AS m
                (manifest_key, register_key, live, parcel_count, submitted_at, source, shipment_id, awb_number, country)
            SELECT i.manifest_key, i.register_key, i.live, i.parcel_count, i.submitted_at, i.source, i.shipment_id, i.awb_number, i.country
            FROM unnest(manifests) i WHERE fresh[i.ordinal] AND i.round = this_round
            ORDER BY i.manifest_key
            ON CONFLICT (manifest_key) DO UPDATE SET
                register_key = excluded.register_key, parcel_count = excluded.parcel_count, submitted_at = excluded.submitted_at,
                awb_number = excluded.awb_number, country = excluded.country
            WHERE excluded.register_key > m.register_key;
        END LOOP;
    END IF;

    SELECT array_agg(DISTINCT i.order_key) FILTER (WHERE fresh[i.ordinal]), max(i.round),
           COALESCE((SELECT max(b.round) FROM unnest(boxes) b), 0), COALESCE((SELECT max(e.round) FROM unnest(events) e), 0)
    INTO touched, order_rounds, box_rounds, event_rounds
    FROM unnest(orders) i;
    IF touched IS NULL THEN
        RETURN 0;
    END IF;

    -- The orders first, sorted: whoever holds an order's row owns its boxes, events and documents until commit. The first round locks them all, also those
    -- whose first change is a duplicate's, and those that the conflict's WHERE leaves as they are.
    FOR this_round IN 1 .. order_rounds LOOP
        WITH written AS (
            INSERT INTO waybill_data.orders AS o
                (order_key, live, source, provider, order_id,
                 own_status_key, own_status, own_provider_status, own_status_detail, own_status_at,
                 order_number_key, order_number, external_reference_key, external_reference, send_date_key, send_date,
                 courier_id_key, courier_id, destination_key, destination, box_list_key, box_list, box_list_at)
            SELECT i.order_key, i.live, i.source, i.provider, i.order_id,
                   COALESCE(i.status_key, ''), i.status::waybill_data.status, i.provider_status, i.status_detail, i.status_at,
                   CASE WHEN i.order_number IS NULL THEN '' ELSE i.fact_key END, i.order_number,
                   CASE WHEN i.external_reference IS NULL THEN '' ELSE i.fact_key END, i.external_reference,
                   CASE WHEN i.send_date IS NULL THEN '' ELSE i.fact_key END, i.send_date,
                   CASE WHEN i.courier_id IS NULL THEN '' ELSE i.fact_key END, i.courier_id,
                   CASE WHEN i.destination IS NULL THEN '' ELSE i.fact_key END, i.destination,
                   CASE WHEN i.box_list IS NULL THEN '' ELSE i.fact_key END, i.box_list, i.box_list_at
            FROM (SELECT DISTINCT ON (u.order_key) u.* FROM unnest(orders) u
                  WHERE fresh[u.ordinal] AND u.round >= this_round ORDER BY u.order_key, u.round) i
            ON CONFLICT (order_key) DO UPDATE SET
                own_status_key = GREATEST(excluded.own_status_key, o.own_status_key),
                own_status = CASE WHEN excluded.own_status_key > o.own_status_key THEN excluded.own_status ELSE o.own_status END,
                own_provider_status = CASE WHEN excluded.own_status_key > o.own_status_key
                                           THEN excluded.own_provider_status ELSE o.own_provider_status END,
                own_status_detail = CASE WHEN excluded.own_status_key > o.own_status_key
                                         THEN excluded.own_status_detail ELSE o.own_status_detail END,
                own_status_at = CASE WHEN excluded.own_status_key > o.own_status_key THEN excluded.own_status_at ELSE o.own_status_at END,
                order_number_key = GREATEST(excluded.order_number_key, o.order_number_key),
                order_number = CASE WHEN excluded.order_number_key > o.order_number_key THEN excluded.order_number ELSE o.order_number END,
                external_reference_key = GREATEST(excluded.external_reference_key, o.external_reference_key),
                external_reference = CASE WHEN excluded.external_reference_key > o.external_reference_key
                                          THEN excluded.external_reference ELSE o.external_reference END,
                send_date_key = GREATEST(excluded.send_date_key, o.send_date_key),
                send_date = CASE WHEN excluded.send_date_key > o.send_date_key THEN excluded.send_date ELSE o.send_date END,
                courier_id_key = GREATEST(excluded.courier_id_key, o.courier_id_key),
                courier_id = CASE WHEN excluded.courier_id_key > o.courier_id_key THEN excluded.courier_id ELSE o.courier_id END,
                destination_key = GREATEST(excluded.destination_key, o.destination_key),
                destination = CASE WHEN excluded.destination_key > o.destination_key THEN excluded.destination ELSE o.destination END,
                box_list_key = GREATEST(excluded.box_list_key, o.box_list_key),
                box_list = CASE WHEN excluded.box_list_key > o.box_list_key THEN excluded.box_list ELSE o.box_list END,
                box_list_at = CASE WHEN excluded.box_list_key > o.box_list_key THEN excluded.box_list_at ELSE o.box_list_at END,
                changed =
                    -- What else a status changes is seen when the order is rolled up.
                    (excluded.own_status_key > o.own_status_key AND excluded.own_provider_status IS DISTINCT FROM o.own_provider_status)
                    OR (excluded.order_number_key > o.order_number_key AND excluded.order_number IS DISTINCT FROM o.order_number)
                    OR (excluded.external_reference_key > o.external_reference_key
                        AND excluded.external_reference IS DISTINCT FROM o.external_reference)
                    OR (excluded.send_date_key > o.send_date_key AND excluded.send_date IS DISTINCT FROM o.send_date)
                    OR (excluded.courier_id_key > o.courier_id_key AND excluded.courier_id IS DISTINCT FROM o.courier_id)
                    OR (excluded.destination_key > o.destination_key AND excluded.destination IS DISTINCT FROM o.destination)
            WHERE excluded.own_status_key > o.own_status_key OR excluded.order_number_key > o.order_number_key
               OR excluded.external_reference_key > o.external_reference_key OR excluded.send_date_key > o.send_date_key
               OR excluded.courier_id_key > o.courier_id_key OR excluded.destination_key > o.destination_key
               OR excluded.box_list_key > o.box_list_key
               -- Its boxes must be compared with its list again.
               OR o.box_list IS NOT NULL
            RETURNING o.order_key, o.changed, o.box_list IS NOT NULL AS has_list)
        SELECT array_agg(w.order_key) FILTER (WHERE w.changed), COALESCE(bool_or(w.has_list), false)
        INTO part, lists FROM written w;
        changed_orders := changed_orders || part;
        with_lists := with_lists OR lists;
    END LOOP;

    FOR this_round IN 1 .. box_rounds LOOP
        WITH written AS (
            INSERT INTO waybill_data.boxes AS b
                (order_key, box_key, box_id,
                 status_key, status, provider_status, status_detail, status_at, location, next_attempt_at,
                 first_transit_at, last_open_at, delivered_key, delivered_at,
                 was_delayed, had_failed_attempt, sender_shipped_at,
                 tracking_number_key, tracking_number, carrier_key, carrier, tracking_url_key, tracking_url,
                 tracking_url_template_key, tracking_url_template,
                 estimated_delivery_date_key, estimated_delivery_date, estimated_delivery_at_key, estimated_delivery_at,
                 pickup_point_key, pickup_point, items_key, items, label_url_key, label_url,
                 signed_by_key, signed_by, proof_of_delivery_key, proof_of_delivery)
            SELECT i.order_key, i.box_key, i.box_id,
                   COALESCE(i.status_key, ''), COALESCE(i.status, 'unknown')::waybill_data.status, i.provider_status, i.status_detail,
                   i.status_at, i.location, i.next_attempt_at,
                   CASE WHEN i.status = 'in_transit' THEN i.status_at END,
                   CASE WHEN NOT i.weak AND i.status NOT IN ('unknown', 'delivered', 'returning', 'returned', 'failed', 'cancelled')
                        THEN i.status_at END,
                   CASE WHEN i.status = 'delivered' THEN i.status_key ELSE '' END, CASE WHEN i.status = 'delivered' THEN i.status_at END,
                   i.was_delayed, i.had_failed_attempt, i.sender_shipped_at,
                   CASE WHEN i.tracking_number IS NULL THEN '' ELSE i.fact_key END, i.tracking_number,
                   CASE WHEN i.carrier IS NULL THEN '' ELSE i.fact_key END, i.carrier,
                   CASE WHEN i.tracking_url IS NULL THEN '' ELSE i.fact_key END, i.tracking_url,
                   CASE WHEN i.tracking_url_template IS NULL THEN '' ELSE i.fact_key END, i.tracking_url_template,
                   CASE WHEN i.estimated_delivery_date IS NULL THEN '' ELSE i.fact_key END, i.estimated_delivery_date,
                   CASE WHEN i.estimated_delivery_at IS NULL THEN '' ELSE i.fact_key END, i.estimated_delivery_at,
                   CASE WHEN i.pickup_point IS NULL THEN '' ELSE i.fact_key END, i.pickup_point,
                   CASE WHEN i.items IS NULL THEN '' ELSE i.fact_key END, i.items,
                   CASE WHEN i.label_url IS NULL THEN '' ELSE i.fact_key END, i.label_url,
                   CASE WHEN i.signed_by IS NULL THEN '' ELSE i.fact_key END, i.signed_by,
                   CASE WHEN i.proof_of_delivery IS NULL THEN '' ELSE i.fact_key END, i.proof_of_delivery
            FROM unnest(boxes) i WHERE fresh[i.ordinal] AND i.round = this_round
            ON CONFLICT (order_key, box_key) DO UPDATE SET
                status_key = GREATEST(excluded.status_key, b.status_key),
                status = CASE WHEN excluded.status_key > b.status_key THEN excluded.status ELSE b.status END,
                provider_status = CASE WHEN excluded.status_key > b.status_key THEN excluded.provider_status ELSE b.provider_status END,
                status_detail = CASE WHEN excluded.status_key > b.status_key THEN excluded.status_detail ELSE b.status_detail END,
                status_at = CASE WHEN excluded.status_key > b.status_key THEN excluded.status_at ELSE b.status_at END,
                location = CASE WHEN excluded.status_key > b.status_key THEN excluded.location ELSE b.location END,
                next_attempt_at = CASE WHEN excluded.status_key > b.status_key THEN excluded.next_attempt_at ELSE b.next_attempt_at END,
                first_transit_at = LEAST(excluded.first_transit_at, b.first_transit_at),
                last_open_at = GREATEST(excluded.last_open_at, b.last_open_at),
                delivered_key = GREATEST(excluded.delivered_key, b.delivered_key),
                delivered_at = CASE WHEN excluded.delivered_key > b.delivered_key THEN excluded.delivered_at ELSE b.delivered_at END,
                was_delayed = excluded.was_delayed OR b.was_delayed,
                had_failed_attempt = excluded.had_failed_attempt OR b.had_failed_attempt,
                sender_shipped_at = LEAST(excluded.sender_shipped_at, b.sender_shipped_at),
                tracking_number_key = GREATEST(excluded.tracking_number_key, b.tracking_number_key),
                tracking_number = CASE WHEN excluded.tracking_number_key > b.tracking_number_key
                                       THEN excluded.tracking_number ELSE b.tracking_number END,
                carrier_key = GREATEST(excluded.carrier_key, b.carrier_key),
                carrier = CASE WHEN excluded.carrier_key > b.carrier_key THEN excluded.carrier ELSE b.carrier END,
                tracking_url_key = GREATEST(excluded.tracking_url_key, b.tracking_url_key),
                tracking_url = CASE WHEN excluded.tracking_url_key > b.tracking_url_key THEN excluded.tracking_url ELSE b.tracking_url END,
                tracking_url_template_key = GREATEST(excluded.tracking_url_template_key, b.tracking_url_template_key),
                tracking_url_template = CASE WHEN excluded.tracking_url_template_key > b.tracking_url_template_key
                                             THEN excluded.tracking_url_template ELSE b.tracking_url_template END,
                estimated_delivery_date_key = GREATEST(excluded.estimated_delivery_date_key, b.estimated_delivery_date_key),
                estimated_delivery_date = CASE WHEN excluded.estimated_delivery_date_key > b.estimated_delivery_date_key
                                               THEN excluded.estimated_delivery_date ELSE b.estimated_delivery_date END,
                estimated_delivery_at_key = GREATEST(excluded.estimated_delivery_at_key, b.estimated_delivery_at_key),
                estimated_delivery_at = CASE WHEN excluded.estimated_delivery_at_key > b.estimated_delivery_at_key
                                             THEN excluded.estimated_delivery_at ELSE b.estimated_delivery_at END,
                pickup_point_key = GREATEST(excluded.pickup_point_key, b.pickup_point_key),
                pickup_point = CASE WHEN excluded.pickup_point_key > b.pickup_point_key THEN excluded.pickup_point ELSE b.pickup_point END,
                items_key = GREATEST(excluded.items_key, b.items_key),
                items = CASE WHEN excluded.items_key > b.items_key THEN excluded.items ELSE b.items END,
                label_url_key = GREATEST(excluded.label_url_key, b.label_url_key),
                label_url = CASE WHEN excluded.label_url_key > b.label_url_key THEN excluded.label_url ELSE b.label_url END,
                signed_by_key = GREATEST(excluded.signed_by_key, b.signed_by_key),
                signed_by = CASE WHEN excluded.signed_by_key > b.signed_by_key THEN excluded.signed_by ELSE b.signed_by END,
                proof_of_delivery_key = GREATEST(excluded.proof_of_delivery_key, b.proof_of_delivery_key),
                proof_of_delivery = CASE WHEN excluded.proof_of_delivery_key > b.proof_of_delivery_key
                                         THEN excluded.proof_of_delivery ELSE b.proof_of_delivery END,
                changed =
                    (excluded.status_key > b.status_key
                        AND ((excluded.provider_status, excluded.location, excluded.next_attempt_at)
                                 IS DISTINCT FROM (b.provider_status, b.location, b.next_attempt_at)
                             -- A removed box shows none of these, unless it is delivered or returned.
                             OR ((b.removed_at IS NULL OR excluded.status IN ('delivered', 'returned') OR b.status IN ('delivered', 'returned'))
                                 AND (excluded.status, excluded.status_detail, excluded.status_at)
                                         IS DISTINCT FROM (b.status, b.status_detail, b.status_at))))
                    OR (excluded.delivered_key > b.delivered_key AND excluded.delivered_at IS DISTINCT FROM b.delivered_at)
                    OR COALESCE(LEAST(excluded.sender_shipped_at, b.sender_shipped_at), LEAST(excluded.first_transit_at, b.first_transit_at))
                        IS DISTINCT FROM COALESCE(b.sender_shipped_at, b.first_transit_at)
                    OR (excluded.was_delayed AND NOT b.was_delayed) OR (excluded.had_failed_attempt AND NOT b.had_failed_attempt)
                    OR (excluded.tracking_number_key > b.tracking_number_key AND excluded.tracking_number IS DISTINCT FROM b.tracking_number)
                    OR (excluded.carrier_key > b.carrier_key AND excluded.carrier IS DISTINCT FROM b.carrier)
                    OR (excluded.tracking_url_key > b.tracking_url_key AND excluded.tracking_url IS DISTINCT FROM b.tracking_url)
                    OR (excluded.tracking_url_template_key > b.tracking_url_template_key
                        AND excluded.tracking_url_template IS DISTINCT FROM b.tracking_url_template)
                    OR (excluded.estimated_delivery_date_key > b.estimated_delivery_date_key
                        AND excluded.estimated_delivery_date IS DISTINCT FROM b.estimated_delivery_date)
                    OR (excluded.estimated_delivery_at_key > b.estimated_delivery_at_key
                        AND excluded.estimated_delivery_at IS DISTINCT FROM b.estimated_delivery_at)
                    OR (excluded.pickup_point_key > b.pickup_point_key AND excluded.pickup_point IS DISTINCT FROM b.pickup_point)
                    OR (excluded.items_key > b.items_key AND excluded.items IS DISTINCT FROM b.items)
                    OR (excluded.label_url_key > b.label_url_key AND excluded.label_url IS DISTINCT FROM b.label_url)
                    OR (excluded.signed_by_key > b.signed_by_key AND excluded.signed_by IS DISTINCT FROM b.signed_by)
                    OR (excluded.proof_of_delivery_key > b.proof_of_delivery_key
                        AND excluded.proof_of_delivery IS DISTINCT FROM b.proof_of_delivery)
            RETURNING b.order_key, b.changed)
        SELECT array_agg(w.order_key) INTO part FROM written w WHERE w.changed;
        changed_orders := changed_orders || part;
    END LOOP;

    FOR this_round IN 1 .. event_rounds LOOP
        WITH written AS (
            INSERT INTO waybill_data.tracking_events AS e
                (order_key, event_key, box_key, delivery_id, register_key, occurred_at, status, status_detail, provider_status,
                 location, message, previous_status, stands_for)
            SELECT i.order_key, i.event_key, i.box_key, i.delivery_id, i.register_key, i.occurred_at, i.status::waybill_data.status,
                   i.status_detail, i.provider_status, i.location, i.message, i.previous_status,
                   string_to_array(i.stands_for, '|')
            FROM unnest(events) i WHERE fresh[i.ordinal] AND i.round = this_round
            ON CONFLICT (order_key, event_key) DO UPDATE SET
                delivery_id = excluded.delivery_id, register_key = excluded.register_key, occurred_at = excluded.occurred_at,
                status = excluded.status, status_detail = excluded.status_detail, provider_status = excluded.provider_status,
                location = excluded.location, message = excluded.message, previous_status = excluded.previous_status,
                stands_for = excluded.stands_for,
                changed = (excluded.occurred_at, excluded.status, excluded.status_detail, excluded.provider_status, excluded.location,
                           excluded.message)
                    IS DISTINCT FROM (e.occurred_at, e.status, e.status_detail, e.provider_status, e.location, e.message)
            WHERE excluded.register_key > e.register_key
            RETURNING e.order_key, e.changed)
        SELECT array_agg(w.order_key) INTO part FROM written w WHERE w.changed;
        changed_orders := changed_orders || part;
    END LOOP;

    IF cardinality(documents) > 0 THEN
        WITH written AS (
            INSERT INTO waybill_data.documents (order_key, box_key, kind, url)
            SELECT i.order_key, i.box_key, i.kind, i.url FROM unnest(documents) i WHERE fresh[i.ordinal]
            ON CONFLICT DO NOTHING
            RETURNING order_key)
        SELECT array_agg(w.order_key) INTO part FROM written w;
        changed_orders := changed_orders || part;
    END IF;

    -- Only first_event_at and last_event_at show these: the roll-up finds out.
    IF cardinality(order_changes) > 0 THEN
        INSERT INTO waybill_data.order_changes (order_key, delivery_id, field, previous_value, new_value, occurred_at)
        SELECT i.order_key, i.delivery_id, i.field, i.previous_value, i.new_value, i.occurred_at
        FROM unnest(order_changes) i WHERE fresh[i.ordinal]
        ON CONFLICT DO NOTHING;
    END IF;

    -- Boxes that the newest list leaves out, or has again.
    IF with_lists THEN
        WITH written AS (
            UPDATE waybill_data.boxes b SET removed_at = l.removed_at
            FROM (SELECT x.order_key, x.box_key, CASE WHEN x.box_id = ANY (o.box_list) THEN NULL ELSE o.box_list_at END AS removed_at
                  FROM waybill_data.orders o JOIN waybill_data.boxes x ON x.order_key = o.order_key
                  WHERE o.order_key = ANY (touched) AND o.box_list IS NOT NULL) l
            WHERE b.order_key = l.order_key AND b.box_key = l.box_key AND b.removed_at IS DISTINCT FROM l.removed_at
            RETURNING b.order_key, b.status)
        SELECT array_agg(w.order_key) INTO part FROM written w WHERE w.status NOT IN ('delivered', 'returned');
        changed_orders := changed_orders || part;
    END IF;

    RETURN waybill_data.roll_up(touched, changed_orders);
END
$$;
-- Derives what an order shows from its rows (the rules of "status" in the order the documentation gives them) and gives every order that changed its new version. The caller
-- holds the locks of the orders; their boxes are read with a snapshot taken after that.
CREATE OR REPLACE FUNCTION waybill_data.roll_up(touched uuid[], changed_orders uuid[])
RETURNS integer LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    orders_changed integer;
BEGIN
    -- Positions must become visible in their order: this lock is held until commit. On a table, since everybody may take an advisory lock.
    LOCK TABLE waybill_data.feed_lock IN EXCLUSIVE MODE;

    -- One look-up an order and table, no joins: OFFSET 0 keeps the planner from computing a column once for every use.
    WITH written AS (
        UPDATE waybill_data.orders o SET
            (status, status_at, attention, boxes_total, boxes_delivered, shipped_at, delivered_at, first_event_at, last_event_at,
             changed, version, updated_at) = (
            SELECT n.status, n.status_at, n.attention, n.total, n.delivered, n.shipped_at,
                   CASE WHEN n.status = 'delivered' THEN n.last_delivered_at END, n.first_event_at, n.last_event_at,
                   n.differs, CASE WHEN n.differs THEN nextval('waybill_data.feed_position') ELSE o.version END,
                   CASE WHEN n.differs THEN clock_timestamp() ELSE o.updated_at END
            FROM (
                SELECT shown.*,
                       -- Version 0: new, and shown for the first time also when nothing is known of it.
                       o.version = 0 OR o.order_key = ANY (changed_orders)
                       OR (o.status, o.status_at, o.attention, o.first_event_at, o.last_event_at)
                          IS DISTINCT FROM (shown.status, shown.status_at, shown.attention, shown.first_event_at, shown.last_event_at)
                       AS differs
                FROM (
                    SELECT d.total, d.delivered, d.shipped_at, d.last_delivered_at, h.first_event_at, h.last_event_at,
                           CASE d.rule
                               WHEN 1 THEN 'cancelled'::waybill_data.status
                               WHEN 2 THEN COALESCE(o.own_status, 'unknown')
                               WHEN 3 THEN 'cancelled'
                               WHEN 4 THEN CASE WHEN o.own_status = 'pending' THEN 'partially_delivered'::waybill_data.status
                                                ELSE 'delivered' END
                               WHEN 5 THEN 'partially_delivered'
                               WHEN 6 THEN 'returned'
                               ELSE GREATEST(d.lowest, d.own_rank)
                           END AS status,
                           CASE d.rule
                               WHEN 1 THEN o.own_status_at
                               WHEN 2 THEN o.own_status_at
                               WHEN 4 THEN d.counting_at
                               WHEN 6 THEN d.counting_at
                               WHEN 7 THEN GREATEST(CASE WHEN d.own_rank IS NULL OR d.lowest >= d.own_rank THEN d.deciding_at END,
                                                    CASE WHEN d.own_rank >= d.lowest THEN o.own_status_at END)
                               ELSE d.deciding_at
                           END AS status_at,
                           CASE WHEN d.attention IS NULL AND NOT d.moved_after_delivered AND d.own_attention IS NULL THEN '{}'
                                ELSE ARRAY(SELECT DISTINCT reason COLLATE "C"
                                           FROM unnest(d.attention
                                                       || CASE WHEN d.moved_after_delivered THEN 'moved_after_delivered' END
                                                       || CASE WHEN d.rule = 2 OR (d.rule = 7 AND d.own_rank >= d.lowest)
                                                               THEN d.own_attention END) AS reason
                                           WHERE reason IS NOT NULL ORDER BY 1)
                           END AS attention
                    FROM (
                        SELECT r.*,
                               -- The newest status_at of the boxes that decide, which are all the counting ones as a rule.
                               CASE WHEN r.rule = 7 AND r.lowest = r.highest THEN r.counting_at
                                    WHEN r.rule IN (3, 5, 7) THEN (
                                        SELECT max(b.status_at) FROM waybill_data.shown_boxes b
                                        WHERE b.order_key = o.order_key
                                          AND CASE r.rule WHEN 3 THEN true WHEN 5 THEN b.status = 'delivered' ELSE b.status = r.lowest END)
                               END AS deciding_at
                        FROM (
                            SELECT s.*,
                                   CASE
                                       WHEN o.own_status = 'cancelled' AND NOT COALESCE(s.highest >= 'in_transit', false) THEN 1
                                       WHEN COALESCE(s.top, 'unknown') = 'unknown' THEN 2
                                       WHEN s.lowest IS NULL THEN 3
                                       WHEN s.lowest = 'delivered' AND s.highest = 'delivered' THEN 4
                                       WHEN s.delivered > 0 THEN 5
                                       WHEN s.lowest = 'returned' AND s.highest = 'returned' THEN 6
                                       ELSE 7
                                   END AS rule,
                                   -- In rule 7 a cancelled order status does not count.
                                   CASE WHEN o.own_status <> 'cancelled' THEN o.own_status END AS own_rank,
                                   CASE WHEN o.own_status IN ('attempt_failed', 'available_for_pickup', 'exception', 'failed', 'returning', 'expired')
                                        THEN o.own_status::text END AS own_attention
                            FROM (
                                -- Unknown and cancelled boxes do not count.
                                SELECT count(*)::integer AS total,
                                       count(*) FILTER (WHERE b.status = 'delivered')::integer AS delivered,
                                       max(b.status) AS top,
                                       min(b.status) FILTER (WHERE b.status NOT IN ('cancelled', 'unknown')) AS lowest,
                                       max(b.status) FILTER (WHERE b.status NOT IN ('cancelled', 'unknown')) AS highest,
                                       max(b.status_at) FILTER (WHERE b.status NOT IN ('cancelled', 'unknown')) AS counting_at,
                                       min(b.shipped_at) AS shipped_at,
                                       max(b.delivered_at) AS last_delivered_at,
                                       array_agg(b.status::text) FILTER (WHERE b.status IN (
                                           'attempt_failed', 'available_for_pickup', 'exception', 'failed', 'returning', 'expired')) AS attention,
                                       COALESCE(bool_or(b.last_open_at > b.delivered_at), false) AS moved_after_delivered
                                FROM waybill_data.shown_boxes b WHERE b.order_key = o.order_key) s
                            OFFSET 0) r
                        OFFSET 0) d,
                        (SELECT min(e.occurred_at) AS first_event_at, max(e.occurred_at) AS last_event_at
                         FROM (SELECT t.occurred_at FROM waybill_data.tracking_events t WHERE t.order_key = o.order_key
                               UNION ALL
                               SELECT c.occurred_at FROM waybill_data.order_changes c WHERE c.order_key = o.order_key) e) h
                    OFFSET 0) shown
                OFFSET 0) n)
        WHERE o.order_key = ANY (touched)
        RETURNING o.order_key, o.version, o.changed)
    INSERT INTO waybill_data.feed (position, order_key) SELECT w.version, w.order_key FROM written w WHERE w.changed;
    GET DIAGNOSTICS orders_changed = ROW_COUNT;
    RETURN orders_changed;
END
$$;

-- One look-up a row: an index scan without a bitmap.
ALTER FUNCTION waybill_data.ingest SET enable_bitmapscan = off;

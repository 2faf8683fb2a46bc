-- What ?explain=1 and waybill explain are made of, in one snapshot. part says which columns count:
--   document  number: the version; value: the order's document
--   rule      number: which of the seven rules gave the order's status (as roll_up decides it)
--   register  name, box_id (null: the order's own), item (which row of the history, which paper), key, value as JSON
--   delivery  one that was applied: its metadata, and its body while the newest max_bytes of them last; number: 1 where the body was left out for that
-- In the order in which an explanation shows them. What the sender said is read from the bodies by the provider, as a rebuild does, so that nothing has to be
-- stored about reports that lost. Without full_scope no register holds personal data; the bodies do, and never leave the program.
CREATE FUNCTION waybill_data.explain_order(the_order uuid, full_scope boolean, with_events boolean, max_bytes bigint)
RETURNS TABLE (
    part text, number bigint, name text, box_id text, item text, key bytea, value text, delivery_id uuid, source text, provider text,
    event_type text, event_id text, received_at timestamptz, body bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT 'document', d.version, NULL, NULL, NULL, NULL::bytea, d.document, NULL::uuid, NULL, NULL, NULL, NULL, NULL::timestamptz, NULL::bytea
        FROM waybill_data.read_orders(ARRAY[the_order], full_scope, with_events) d;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    RETURN QUERY
        SELECT 'rule', CASE
                   WHEN o.own_status = 'cancelled' AND NOT COALESCE(s.highest >= 'in_transit', false) THEN 1
                   WHEN COALESCE(s.top, 'unknown') = 'unknown' THEN 2
                   WHEN s.lowest IS NULL THEN 3
                   WHEN s.lowest = 'delivered' AND s.highest = 'delivered' THEN 4
                   WHEN s.delivered > 0 THEN 5
                   WHEN s.lowest = 'returned' AND s.highest = 'returned' THEN 6
                   ELSE 7
               END::bigint, NULL, NULL, NULL, NULL::bytea, NULL, NULL::uuid, NULL, NULL, NULL, NULL, NULL::timestamptz, NULL::bytea
        FROM waybill_data.orders o, LATERAL (
            SELECT count(*) FILTER (WHERE b.status = 'delivered') AS delivered, max(b.status) AS top,
                   min(b.status) FILTER (WHERE b.status NOT IN ('cancelled', 'unknown')) AS lowest,
                   max(b.status) FILTER (WHERE b.status NOT IN ('cancelled', 'unknown')) AS highest
            FROM waybill_data.shown_boxes b WHERE b.order_key = o.order_key) s
        WHERE o.order_key = the_order;

    RETURN QUERY
        SELECT 'register', NULL::bigint, r.name, NULL, NULL, r.key, r.value, NULL::uuid, NULL, NULL, NULL, NULL, NULL::timestamptz, NULL::bytea
        FROM waybill_data.orders o, LATERAL (VALUES
            (1, 'own_status', o.own_status_key, json_build_object(
                'status', o.own_status, 'status_detail', o.own_status_detail, 'provider_status', o.own_provider_status,
                'status_at', waybill_data.instant(o.own_status_at))::text),
            (2, 'order_number', o.order_number_key, to_json(o.order_number)::text),
            (3, 'external_reference', o.external_reference_key, to_json(o.external_reference)::text),
            (4, 'send_date', o.send_date_key, to_json(waybill_data.instant(o.send_date))::text),
            (5, 'courier_id', o.courier_id_key, to_json(o.courier_id)::text),
            (6, 'destination', CASE WHEN full_scope THEN o.destination_key ELSE '' END, o.destination::text),
            (7, 'box_list', o.box_list_key, to_json(o.box_list)::text)) r (place, name, key, value)
        WHERE o.order_key = the_order AND r.key <> '' ORDER BY r.place;

    RETURN QUERY
        SELECT 'register', NULL::bigint, r.name, b.box_id::text, r.item, r.key, r.value, NULL::uuid, NULL, NULL, NULL, NULL, NULL::timestamptz, NULL::bytea
        FROM waybill_data.boxes b
        JOIN waybill_data.orders o ON o.order_key = b.order_key
        CROSS JOIN LATERAL (
            SELECT v.place, NULL::text AS at, v.name, NULL::text AS item, v.key, v.value
            FROM (VALUES
                (10, 'status', b.status_key, json_build_object(
                    'status', b.status, 'status_detail', b.status_detail, 'provider_status', b.provider_status,
                    'status_at', waybill_data.instant(b.status_at), 'location', b.location,
                    'next_attempt_at', waybill_data.instant(b.next_attempt_at))::text),
                (11, 'removed', CASE WHEN b.removed_at IS NULL OR b.status IN ('delivered', 'returned') THEN '' ELSE o.box_list_key END,
                    to_json(waybill_data.instant(b.removed_at))::text),
                (12, 'delivered_at', b.delivered_key, to_json(waybill_data.instant(b.delivered_at))::text),
                (14, 'tracking_number', b.tracking_number_key, to_json(b.tracking_number)::text),
                (15, 'carrier', b.carrier_key, to_json(b.carrier)::text),
                (16, 'tracking_url', b.tracking_url_key, to_json(b.tracking_url)::text),
                (17, 'tracking_url_template', CASE WHEN b.tracking_url IS NULL THEN b.tracking_url_template_key ELSE '' END,
                    to_json(b.tracking_url_template)::text),
                (18, 'estimated_delivery_date', b.estimated_delivery_date_key, to_json(b.estimated_delivery_date)::text),
                (19, 'estimated_delivery_at', b.estimated_delivery_at_key, to_json(waybill_data.instant(b.estimated_delivery_at))::text),
                (20, 'pickup_point', b.pickup_point_key, b.pickup_point::text),
                (21, 'items', b.items_key, b.items::text),
                (24, 'label_url', CASE WHEN full_scope THEN b.label_url_key ELSE '' END, to_json(b.label_url)::text),
                (25, 'signed_by', CASE WHEN full_scope THEN b.signed_by_key ELSE '' END, to_json(b.signed_by)::text),
                (26, 'proof_of_delivery', CASE WHEN full_scope THEN b.proof_of_delivery_key ELSE '' END, to_json(b.proof_of_delivery)::text)
            ) v (place, name, key, value) WHERE v.key <> ''
            -- No key: who said it first, or the earliest, is seen in what they said.
            UNION ALL SELECT 13, NULL, 'shipped_at', NULL, NULL, to_json(waybill_data.instant(COALESCE(b.sender_shipped_at, b.first_transit_at)))::text
            WHERE COALESCE(b.sender_shipped_at, b.first_transit_at) IS NOT NULL
            UNION ALL SELECT 22, NULL, 'was_delayed', NULL, NULL, 'true' WHERE b.was_delayed
            UNION ALL SELECT 23, NULL, 'had_failed_attempt', NULL, NULL, 'true' WHERE b.had_failed_attempt
            UNION ALL SELECT 27, d.url, 'document', d.kind || ' ' || d.url, NULL, json_build_object('kind', d.kind, 'url', d.url)::text
            FROM waybill_data.documents d WHERE full_scope AND d.order_key = b.order_key AND d.box_key = b.box_key
            UNION ALL SELECT 28, waybill_data.instant(e.occurred_at) || e.event_key, 'event', replace(e.event_key::text, '-', ''), e.register_key,
                json_build_object(
                    'occurred_at', waybill_data.instant(e.occurred_at), 'status', e.status, 'status_detail', e.status_detail,
                    'provider_status', e.provider_status, 'location', e.location,
                    'message', CASE WHEN full_scope THEN e.message END)::text
            FROM waybill_data.tracking_events e WHERE with_events AND e.order_key = b.order_key AND e.box_key = b.box_key
        ) r (place, at, name, item, key, value)
        WHERE b.order_key = the_order ORDER BY b.box_id, r.place, r.at COLLATE "C";

    RETURN QUERY
        SELECT 'delivery', (d.total > max_bytes)::integer::bigint, NULL, NULL, NULL, NULL::bytea, NULL, d.delivery_id, d.source::text, d.provider::text,
               d.event_type::text, d.event_id::text, d.received_at,
               CASE WHEN d.total <= max_bytes THEN (SELECT t.body FROM waybill_data.deliveries t WHERE t.delivery_id = d.delivery_id) END
        FROM (SELECT t.delivery_id, t.source, t.provider, t.event_type, t.event_id, t.received_at,
                     sum(t.body_bytes) OVER (ORDER BY t.received_at DESC, t.delivery_id) AS total
              FROM waybill_data.deliveries t
              WHERE t.order_key = the_order AND t.outcome = 'applied'
              ORDER BY t.received_at DESC, t.delivery_id LIMIT 10000) d
        ORDER BY d.delivery_id;
END
$$;
COMMENT ON FUNCTION waybill_data.explain_order IS 'One order''s document, the registers that it is made of, and the webhooks that spoke of it.';

GRANT EXECUTE ON FUNCTION waybill_data.explain_order TO waybill_status;

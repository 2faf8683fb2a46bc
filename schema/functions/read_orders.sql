-- full_scope: with personal data; with_events: with the history. An order may have thousands of boxes: the history and the papers of all are read once.
CREATE OR REPLACE FUNCTION waybill_data.read_orders(order_keys uuid[], full_scope boolean, with_events boolean)
RETURNS TABLE (order_key uuid, version bigint, document text) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp
-- plpgsql keeps the plan, which takes longer to make than to run.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT o.order_key, o.version, (
        SELECT row_to_json(d)::text FROM (SELECT
            o.source, o.provider, o.order_id AS id, o.order_number, o.external_reference, o.live,
            o.status::text AS status, COALESCE(o.attention, '{}') AS attention, o.own_provider_status AS provider_status,
            waybill_data.instant(o.status_at) AS status_at, o.boxes_total, o.boxes_delivered,
            waybill_data.instant(o.send_date) AS send_date, o.courier_id,
            waybill_data.instant(o.shipped_at) AS shipped_at, waybill_data.instant(o.delivered_at) AS delivered_at,
            CASE WHEN full_scope AND o.destination IS NOT NULL THEN (
                SELECT row_to_json(a) FROM json_to_record(o.destination) AS a (
                    name text, company text, phone text, email text, street text, details text, city text, zip text, province text, country text))
            END AS destination,
            array_to_json(ARRAY(SELECT row_to_json(x) FROM (SELECT
                b.box_id AS id, b.tracking_number, b.carrier, b.tracking_url,
                b.status::text AS status, b.status_detail, b.provider_status, waybill_data.instant(b.status_at) AS status_at, b.location,
                b.was_delayed, b.had_failed_attempt,
                waybill_data.instant(b.shipped_at) AS shipped_at, waybill_data.instant(b.delivered_at) AS delivered_at,
                b.estimated_delivery_date, waybill_data.instant(b.estimated_delivery_at) AS estimated_delivery_at,
                waybill_data.instant(b.next_attempt_at) AS next_attempt_at,
                CASE WHEN b.pickup_point IS NOT NULL THEN (
                    SELECT row_to_json(p) FROM json_to_record(b.pickup_point) AS p (
                        name text, street text, city text, zip text, country text, phone text, opening_hours text, map_url text))
                END AS pickup_point,
                CASE WHEN full_scope THEN b.signed_by END AS signed_by,
                CASE WHEN full_scope THEN b.proof_of_delivery END AS proof_of_delivery,
                COALESCE(p.documents, '[]') AS documents,
                CASE WHEN b.items IS NULL THEN '[]' ELSE array_to_json(ARRAY(
                    SELECT row_to_json(i) FROM json_to_recordset(b.items) AS i (id text, quantity bigint)
                    ORDER BY i.id COLLATE "C", i.quantity)) END AS items,
                COALESCE(h.events, '[]') AS events
                FROM waybill_data.boxes b
                LEFT JOIN (
                    SELECT e.box_key, array_to_json(array_agg(e.event)) AS events
                    FROM (SELECT t.box_key, (SELECT row_to_json(r) FROM (SELECT
                              waybill_data.instant(t.occurred_at) AS occurred_at, t.status::text AS status, t.status_detail,
                              t.provider_status, t.location, CASE WHEN full_scope THEN t.message END AS message) r) AS event
                          FROM waybill_data.tracking_events t WHERE with_events AND t.order_key = o.order_key
                          ORDER BY t.box_key, t.occurred_at, t.status, COALESCE(t.provider_status, ''), t.event_key) e
                    GROUP BY e.box_key) h ON h.box_key = b.box_key
                LEFT JOIN (
                    SELECT l.box_key, array_to_json(array_agg(l.paper)) AS documents
                    FROM (SELECT k.box_key, (SELECT row_to_json(r) FROM (SELECT k.kind, k.url) r) AS paper
                          FROM (SELECT t.box_key, t.kind, t.url FROM waybill_data.documents t WHERE full_scope AND t.order_key = o.order_key
                                UNION
                                SELECT n.box_key, 'label', n.label_url FROM waybill_data.boxes n
                                WHERE full_scope AND n.order_key = o.order_key AND n.label_url IS NOT NULL) k
                          ORDER BY k.box_key, k.kind, k.url) l
                    GROUP BY l.box_key) p ON p.box_key = b.box_key
                WHERE b.order_key = o.order_key ORDER BY b.box_id) x)) AS boxes,
            waybill_data.instant(o.first_event_at) AS first_event_at, waybill_data.instant(o.last_event_at) AS last_event_at,
            waybill_data.instant(o.updated_at) AS updated_at, o.version
        ) d)
    FROM waybill_data.orders o WHERE o.order_key = ANY (order_keys);
END
$$;
COMMENT ON FUNCTION waybill_data.read_orders IS 'The JSON documents of orders, by key, in no order.';
GRANT EXECUTE ON FUNCTION waybill_data.read_orders TO waybill_status;

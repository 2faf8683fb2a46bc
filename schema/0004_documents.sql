-- Reading: what status.fcgi calls.

-- RFC 3339 in UTC with milliseconds; the body is parsed here and now, so it needs no search_path and can be inlined.
CREATE FUNCTION waybill_data.instant(at timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- The documents of orders, in no order. full_scope: with personal data; with_events: with the history.
CREATE FUNCTION waybill_data.read_orders(order_keys uuid[], full_scope boolean, with_events boolean)
RETURNS TABLE (order_key uuid, version bigint, document text) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp
-- plpgsql keeps the plan, which takes longer to make than to run.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT o.order_key, o.version, (
        SELECT row_to_json(d)::text FROM (SELECT
            o.source, o.provider, o.order_id AS id, o.order_number, o.external_reference, o.live,
            o.status::text AS status, o.attention, o.own_provider_status AS provider_status,
            waybill_data.instant(o.status_at) AS status_at, o.boxes_total, o.boxes_delivered,
            waybill_data.instant(o.send_date) AS send_date, o.courier_id,
            waybill_data.instant(o.shipped_at) AS shipped_at, waybill_data.instant(o.delivered_at) AS delivered_at,
            CASE WHEN full_scope AND o.destination IS NOT NULL THEN (
                SELECT row_to_json(a) FROM (SELECT
                    o.destination ->> 'name' AS name, o.destination ->> 'company' AS company, o.destination ->> 'phone' AS phone,
                    o.destination ->> 'email' AS email, o.destination ->> 'street' AS street, o.destination ->> 'details' AS details,
                    o.destination ->> 'city' AS city, o.destination ->> 'zip' AS zip, o.destination ->> 'province' AS province,
                    o.destination ->> 'country' AS country) a)
            END AS destination,
            array_to_json(ARRAY(SELECT row_to_json(x) FROM (SELECT
                b.box_id AS id, b.tracking_number, b.carrier, b.tracking_url,
                b.status::text AS status, b.status_detail, b.provider_status, waybill_data.instant(b.status_at) AS status_at, b.location,
                b.was_delayed, b.had_failed_attempt,
                waybill_data.instant(b.shipped_at) AS shipped_at, waybill_data.instant(b.delivered_at) AS delivered_at,
                b.estimated_delivery_date, waybill_data.instant(b.estimated_delivery_at) AS estimated_delivery_at,
                waybill_data.instant(b.next_attempt_at) AS next_attempt_at,
                CASE WHEN b.pickup_point IS NOT NULL THEN (
                    SELECT row_to_json(p) FROM (SELECT
                        b.pickup_point ->> 'name' AS name, b.pickup_point ->> 'street' AS street, b.pickup_point ->> 'city' AS city,
                        b.pickup_point ->> 'zip' AS zip, b.pickup_point ->> 'country' AS country, b.pickup_point ->> 'phone' AS phone,
                        b.pickup_point ->> 'opening_hours' AS opening_hours, b.pickup_point ->> 'map_url' AS map_url) p)
                END AS pickup_point,
                CASE WHEN full_scope THEN b.signed_by END AS signed_by,
                CASE WHEN full_scope THEN b.proof_of_delivery END AS proof_of_delivery,
                array_to_json(ARRAY(
                    SELECT row_to_json(l) FROM (
                        SELECT t.kind, t.url FROM waybill_data.documents t
                        WHERE full_scope AND t.order_key = o.order_key AND t.box_key = b.box_key
                        UNION
                        SELECT 'label', b.label_url WHERE full_scope AND b.label_url IS NOT NULL
                        ORDER BY 1, 2) l)) AS documents,
                array_to_json(ARRAY(
                    SELECT row_to_json(i) FROM (
                        SELECT j.item ->> 'id' AS id, (j.item ->> 'quantity')::bigint AS quantity
                        FROM jsonb_array_elements(b.items) AS j (item)
                        ORDER BY (j.item ->> 'id') COLLATE "C", 2) i)) AS items,
                array_to_json(ARRAY(
                    SELECT row_to_json(h) FROM (
                        SELECT waybill_data.instant(e.occurred_at) AS occurred_at, e.status::text AS status, e.status_detail,
                               e.provider_status, e.location, CASE WHEN full_scope THEN e.message END AS message
                        FROM waybill_data.tracking_events e
                        WHERE with_events AND e.order_key = o.order_key AND e.box_key = b.box_key
                        ORDER BY e.occurred_at, e.status, COALESCE(e.provider_status, ''), e.event_key) h)) AS events
                FROM waybill_data.shown_boxes b WHERE b.order_key = o.order_key ORDER BY b.box_id) x)) AS boxes,
            waybill_data.instant(o.first_event_at) AS first_event_at, waybill_data.instant(o.last_event_at) AS last_event_at,
            waybill_data.instant(o.updated_at) AS updated_at, o.version
        ) d)
    FROM waybill_data.orders o WHERE o.order_key = ANY (order_keys) AND o.version > 0;
END
$$;
COMMENT ON FUNCTION waybill_data.read_orders IS 'The JSON documents of orders, by key.';

CREATE FUNCTION waybill_data.order_versions(order_keys uuid[])
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT o.order_key, o.version FROM waybill_data.orders o WHERE o.order_key = ANY (order_keys) AND o.version > 0;
END
$$;
COMMENT ON FUNCTION waybill_data.order_versions IS 'The versions of orders, by key: enough for a conditional request.';

-- Orders by filters that must all hold, newest change first; a null filter is none. before_position: only changes before it.
CREATE FUNCTION waybill_data.find_orders(
    order_numbers text[], external_references text[], tracking_numbers text[], the_order uuid, the_source text, the_status text,
    the_live boolean, visible_sources text[], before_position bigint, max_rows integer)
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    candidates uuid[];
BEGIN
    IF COALESCE(order_numbers, external_references, tracking_numbers) IS NULL AND the_order IS NULL THEN
        -- No index leads to these: walk the feed from its newest end.
        RETURN QUERY
            SELECT o.order_key, o.version
            FROM waybill_data.feed f JOIN waybill_data.orders o ON o.order_key = f.order_key AND o.version = f.position
            WHERE (before_position IS NULL OR f.position < before_position)
              AND o.live = the_live
              AND (the_source IS NULL OR o.source = the_source)
              AND (the_status IS NULL OR o.status::text = the_status)
              AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
            ORDER BY f.position DESC LIMIT max_rows;
        RETURN;
    END IF;

    IF the_order IS NOT NULL THEN
        candidates := ARRAY[the_order];
    ELSIF order_numbers IS NOT NULL THEN
        candidates := ARRAY(SELECT o.order_key FROM waybill_data.orders o WHERE o.order_number = ANY (order_numbers));
    ELSIF external_references IS NOT NULL THEN
        candidates := ARRAY(SELECT o.order_key FROM waybill_data.orders o WHERE o.external_reference = ANY (external_references));
    ELSE
        candidates := ARRAY(SELECT b.order_key FROM waybill_data.boxes b WHERE b.tracking_number = ANY (tracking_numbers));
    END IF;
    RETURN QUERY
        SELECT o.order_key, o.version FROM waybill_data.orders o
        WHERE o.order_key = ANY (candidates) AND o.version > 0
          AND (before_position IS NULL OR o.version < before_position)
          AND o.live = the_live
          AND (order_numbers IS NULL OR o.order_number = ANY (order_numbers))
          AND (external_references IS NULL OR o.external_reference = ANY (external_references))
          AND (tracking_numbers IS NULL OR EXISTS (
                  SELECT FROM waybill_data.boxes b WHERE b.order_key = o.order_key AND b.tracking_number = ANY (tracking_numbers)))
          AND (the_source IS NULL OR o.source = the_source)
          AND (the_order IS NULL OR o.order_key = the_order)
          AND (the_status IS NULL OR o.status::text = the_status)
          AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
        ORDER BY o.version DESC LIMIT max_rows;
END
$$;
COMMENT ON FUNCTION waybill_data.find_orders IS 'Keys and versions of the orders that filters choose, newest change first.';

-- Orders whose document changed after a position, in the order of their changes, each once, at its latest. Positions become visible in their order, so none is skipped.
CREATE FUNCTION waybill_data.find_changes(after_position bigint, the_live boolean, visible_sources text[], max_rows integer)
RETURNS TABLE (order_key uuid, version bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT o.order_key, o.version
        FROM waybill_data.feed f JOIN waybill_data.orders o ON o.order_key = f.order_key AND o.version = f.position
        WHERE f.position > after_position AND o.live = the_live
          AND (visible_sources IS NULL OR o.source = ANY (visible_sources))
        ORDER BY f.position LIMIT max_rows;
END
$$;
COMMENT ON FUNCTION waybill_data.find_changes IS 'Keys and versions of the orders that changed after a position of the feed, oldest change first.';

-- Which database this is and how far its feed has come: what makes a cursor valid.
CREATE FUNCTION waybill_data.feed_state(OUT feed_id bigint, OUT newest bigint) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT i.feed_id, COALESCE((SELECT max(f.position) FROM waybill_data.feed f), 0) FROM waybill_data.installation i
$$;
COMMENT ON FUNCTION waybill_data.feed_state IS 'The identity of this database''s change feed and its newest position.';

CREATE FUNCTION waybill_data.comparable_document(the_order uuid) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (r.document::jsonb - 'version' - 'updated_at')::text
    FROM waybill_data.read_orders(ARRAY[the_order], true, true) r
$$;
COMMENT ON FUNCTION waybill_data.comparable_document IS 'The document of an order without what says when it changed here: equal after any order of the same events.';

GRANT EXECUTE ON FUNCTION waybill_data.read_orders, waybill_data.order_versions, waybill_data.find_orders, waybill_data.find_changes,
    waybill_data.feed_state
    TO waybill_status;

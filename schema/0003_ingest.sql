-- Writing: what webhook.fcgi and waybill rebuild call. One call, one transaction, many deliveries.

-- What one batch carries. ordinal numbers the deliveries of the batch from 1 and says which delivery a change belongs to; round is 1 for the first change of its row in the
-- batch, 2 for the second, and so on: a row is written once a round, since ON CONFLICT DO UPDATE refuses a row twice.
CREATE TYPE waybill_data.delivery_in AS (
    ordinal integer, round integer, delivery_id uuid, order_key uuid, source text, provider text, live boolean,
    received_at timestamptz, event_type text, event_id text, outcome text, detail text, headers jsonb, body bytea,
    quarantine_max bigint);
CREATE TYPE waybill_data.order_in AS (
    ordinal integer, round integer, order_key uuid, source text, provider text, live boolean, order_id text,
    fact_key bytea, status_key bytea, status text, provider_status text, status_detail text, status_at timestamptz,
    order_number text, external_reference text, send_date timestamptz, courier_id text, destination jsonb,
    box_list text[], box_list_at timestamptz);
CREATE TYPE waybill_data.box_in AS (
    ordinal integer, round integer, order_key uuid, box_key uuid, box_id text, fact_key bytea,
    status_key bytea, weak boolean, status text, provider_status text, status_detail text, status_at timestamptz, location text,
    next_attempt_at timestamptz, was_delayed boolean, had_failed_attempt boolean, sender_shipped_at timestamptz,
    tracking_number text, carrier text, tracking_url text, tracking_url_template text, estimated_delivery_date date,
    estimated_delivery_at timestamptz, pickup_point jsonb, items jsonb, label_url text, signed_by text, proof_of_delivery text);
CREATE TYPE waybill_data.event_in AS (
    ordinal integer, round integer, order_key uuid, event_key uuid, box_key uuid, delivery_id uuid, register_key bytea,
    occurred_at timestamptz, status text, status_detail text, provider_status text, location text, message text,
    previous_status text, stands_for text);
CREATE TYPE waybill_data.document_in AS (ordinal integer, order_key uuid, box_key uuid, kind text, url text);
CREATE TYPE waybill_data.order_change_in AS (
    ordinal integer, order_key uuid, delivery_id uuid, field text, previous_value text, new_value text, occurred_at timestamptz);
CREATE TYPE waybill_data.manifest_in AS (
    ordinal integer, round integer, manifest_key uuid, register_key bytea, source text, live boolean, shipment_id text,
    awb_number text, parcel_count bigint, country text, submitted_at timestamptz);

-- A box as it is shown: one that the sender's newest list leaves out is cancelled, and a link is made from the template where the sender gave none.
CREATE VIEW waybill_data.shown_boxes AS
SELECT b.order_key, b.box_key, b.box_id, b.tracking_number, b.carrier,
       CASE
           WHEN b.tracking_url IS NOT NULL OR b.tracking_url_template IS NULL OR b.tracking_number IS NULL THEN b.tracking_url
           ELSE pg_catalog.replace(b.tracking_url_template, '{tracking_number}', (
               -- Percent-encoding of RFC 3986, byte by byte.
               SELECT pg_catalog.string_agg(
                          CASE WHEN c.letter ~ '^[A-Za-z0-9._~-]$' THEN c.letter
                               ELSE pg_catalog.regexp_replace(
                                        pg_catalog.upper(pg_catalog.encode(pg_catalog.convert_to(c.letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g')
                          END, '' ORDER BY c.place)
               FROM pg_catalog.regexp_split_to_table(b.tracking_number, '') WITH ORDINALITY AS c (letter, place)))
       END AS tracking_url,
       CASE WHEN s.removed THEN 'cancelled'::waybill_data.status ELSE b.status END AS status,
       CASE WHEN s.removed THEN 'removed' ELSE b.status_detail END AS status_detail,
       b.provider_status,
       CASE WHEN s.removed THEN b.removed_at ELSE b.status_at END AS status_at,
       b.location, b.was_delayed, b.had_failed_attempt,
       COALESCE(b.sender_shipped_at, b.first_transit_at) AS shipped_at,
       b.delivered_at, b.estimated_delivery_date, b.estimated_delivery_at, b.next_attempt_at, b.pickup_point, b.items,
       b.label_url, b.signed_by, b.proof_of_delivery, b.last_open_at
FROM waybill_data.boxes b,
     LATERAL (SELECT b.removed_at IS NOT NULL AND b.status NOT IN ('delivered', 'returned') AS removed) s;
COMMENT ON VIEW waybill_data.shown_boxes IS 'The boxes as documents and views show them.';

-- Writes the changes of the fresh deliveries (fresh[ordinal]) and rolls the touched orders up. Returns how many orders changed.
CREATE FUNCTION waybill_data.apply(
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
    with_lists boolean;
BEGIN
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

    -- The orders first, sorted: whoever holds an order's row owns its boxes, events and documents until commit.
    INSERT INTO waybill_data.orders (order_key, live, source, provider, order_id)
    SELECT i.order_key, i.live, i.source, i.provider, i.order_id
    FROM unnest(orders) i WHERE fresh[i.ordinal]
    ORDER BY i.order_key
    ON CONFLICT (order_key) DO NOTHING;

    touched := ARRAY(SELECT DISTINCT i.order_key FROM unnest(orders) i WHERE fresh[i.ordinal]);
    IF cardinality(touched) = 0 THEN
        RETURN 0;
    END IF;
    PERFORM FROM waybill_data.orders o WHERE o.order_key = ANY (touched) ORDER BY o.order_key FOR NO KEY UPDATE;

    FOR this_round IN
        SELECT DISTINCT i.round FROM unnest(orders) i WHERE fresh[i.ordinal] AND i.fact_key IS NOT NULL ORDER BY 1
    LOOP
        WITH written AS (
            UPDATE waybill_data.orders o SET
                own_status_key = CASE WHEN k.own_status THEN i.status_key ELSE o.own_status_key END,
                own_status = CASE WHEN k.own_status THEN i.status::waybill_data.status ELSE o.own_status END,
                own_provider_status = CASE WHEN k.own_status THEN i.provider_status ELSE o.own_provider_status END,
                own_status_detail = CASE WHEN k.own_status THEN i.status_detail ELSE o.own_status_detail END,
                own_status_at = CASE WHEN k.own_status THEN i.status_at ELSE o.own_status_at END,
                order_number_key = CASE WHEN k.order_number THEN i.fact_key ELSE o.order_number_key END,
                order_number = CASE WHEN k.order_number THEN i.order_number ELSE o.order_number END,
                external_reference_key = CASE WHEN k.external_reference THEN i.fact_key ELSE o.external_reference_key END,
                external_reference = CASE WHEN k.external_reference THEN i.external_reference ELSE o.external_reference END,
                send_date_key = CASE WHEN k.send_date THEN i.fact_key ELSE o.send_date_key END,
                send_date = CASE WHEN k.send_date THEN i.send_date ELSE o.send_date END,
                courier_id_key = CASE WHEN k.courier_id THEN i.fact_key ELSE o.courier_id_key END,
                courier_id = CASE WHEN k.courier_id THEN i.courier_id ELSE o.courier_id END,
                destination_key = CASE WHEN k.destination THEN i.fact_key ELSE o.destination_key END,
                destination = CASE WHEN k.destination THEN i.destination ELSE o.destination END,
                box_list_key = CASE WHEN k.box_list THEN i.fact_key ELSE o.box_list_key END,
                box_list = CASE WHEN k.box_list THEN i.box_list ELSE o.box_list END,
                box_list_at = CASE WHEN k.box_list THEN i.box_list_at ELSE o.box_list_at END,
                changed =
                    -- What else a status changes is seen when the order is rolled up.
                    (k.own_status AND i.provider_status IS DISTINCT FROM o.own_provider_status)
                    OR (k.order_number AND i.order_number IS DISTINCT FROM o.order_number)
                    OR (k.external_reference AND i.external_reference IS DISTINCT FROM o.external_reference)
                    OR (k.send_date AND i.send_date IS DISTINCT FROM o.send_date)
                    OR (k.courier_id AND i.courier_id IS DISTINCT FROM o.courier_id)
                    OR (k.destination AND i.destination IS DISTINCT FROM o.destination)
            FROM unnest(orders) i,
                 waybill_data.orders was,
                 LATERAL (SELECT
                     i.status_key IS NOT NULL AND i.status_key > was.own_status_key AS own_status,
                     i.order_number IS NOT NULL AND i.fact_key > was.order_number_key AS order_number,
                     i.external_reference IS NOT NULL AND i.fact_key > was.external_reference_key AS external_reference,
                     i.send_date IS NOT NULL AND i.fact_key > was.send_date_key AS send_date,
                     i.courier_id IS NOT NULL AND i.fact_key > was.courier_id_key AS courier_id,
                     i.destination IS NOT NULL AND i.fact_key > was.destination_key AS destination,
                     i.box_list IS NOT NULL AND i.fact_key > was.box_list_key AS box_list) k
            WHERE fresh[i.ordinal] AND i.round = this_round AND i.fact_key IS NOT NULL
              AND was.order_key = i.order_key AND o.order_key = i.order_key
              AND (k.own_status OR k.order_number OR k.external_reference OR k.send_date OR k.courier_id OR k.destination OR k.box_list)
            RETURNING o.order_key, o.changed)
        SELECT array_agg(w.order_key) INTO part FROM written w WHERE w.changed;
        changed_orders := changed_orders || part;
    END LOOP;

    FOR this_round IN SELECT DISTINCT i.round FROM unnest(boxes) i WHERE fresh[i.ordinal] ORDER BY 1 LOOP
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

    FOR this_round IN SELECT DISTINCT i.round FROM unnest(events) i WHERE fresh[i.ordinal] ORDER BY 1 LOOP
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

    WITH written AS (
        INSERT INTO waybill_data.documents (order_key, box_key, kind, url)
        SELECT i.order_key, i.box_key, i.kind, i.url FROM unnest(documents) i WHERE fresh[i.ordinal]
        ON CONFLICT DO NOTHING
        RETURNING order_key)
    SELECT array_agg(w.order_key) INTO part FROM written w;
    changed_orders := changed_orders || part;

    -- Only first_event_at and last_event_at show these: the roll-up finds out.
    INSERT INTO waybill_data.order_changes (order_key, delivery_id, field, previous_value, new_value, occurred_at)
    SELECT i.order_key, i.delivery_id, i.field, i.previous_value, i.new_value, i.occurred_at
    FROM unnest(order_changes) i WHERE fresh[i.ordinal]
    ON CONFLICT DO NOTHING;

    -- Boxes that the newest list leaves out, or has again.
    SELECT EXISTS (SELECT FROM unnest(orders) i WHERE i.box_list IS NOT NULL)
        OR EXISTS (SELECT FROM waybill_data.orders o WHERE o.order_key = ANY (touched) AND o.box_list IS NOT NULL)
    INTO with_lists;
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
COMMENT ON FUNCTION waybill_data.apply IS 'Writes normalised changes by the register rules and rolls the touched orders up.';

-- Derives what an order shows from its rows (the rules of "status" in the order the documentation gives them) and gives every order that changed its new version. The caller
-- holds the locks of the orders; their boxes are read with a snapshot taken after that.
CREATE FUNCTION waybill_data.roll_up(touched uuid[], changed_orders uuid[])
RETURNS integer LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    orders_changed integer;
BEGIN
    -- Positions must become visible in their order: this lock is held until commit. On a table, since everybody may take an advisory lock.
    LOCK TABLE waybill_data.feed_lock IN EXCLUSIVE MODE;

    WITH box AS (
        SELECT b.order_key, b.status, b.status_at, b.delivered_at, b.shipped_at, b.last_open_at,
               b.status NOT IN ('cancelled', 'unknown') AS counts,
               min(b.status) FILTER (WHERE b.status NOT IN ('cancelled', 'unknown')) OVER (PARTITION BY b.order_key) AS lowest
        FROM waybill_data.shown_boxes b WHERE b.order_key = ANY (touched)
    ), summary AS (
        SELECT b.order_key,
               count(*)::integer AS total,
               count(*) FILTER (WHERE b.status = 'delivered')::integer AS delivered,
               count(*) FILTER (WHERE b.status = 'returned') AS returned,
               count(*) FILTER (WHERE b.counts) AS counting,
               count(*) FILTER (WHERE b.status <> 'unknown') AS known,
               COALESCE(bool_or(b.status >= 'in_transit' AND b.status <> 'cancelled'), false) AS moved,
               min(b.lowest) AS lowest,
               max(b.status_at) AS all_at,
               max(b.status_at) FILTER (WHERE b.status = 'delivered') AS delivered_status_at,
               max(b.status_at) FILTER (WHERE b.status = 'returned') AS returned_at,
               max(b.status_at) FILTER (WHERE b.status = b.lowest) AS lowest_at,
               min(b.shipped_at) AS shipped_at,
               max(b.delivered_at) AS last_delivered_at,
               array_agg(b.status::text) FILTER (WHERE b.status IN ('attempt_failed', 'available_for_pickup', 'exception', 'failed',
                                                                    'returning', 'expired')) AS attention,
               COALESCE(bool_or(b.last_open_at > b.delivered_at), false) AS moved_after_delivered
        FROM box b GROUP BY b.order_key
    ), span AS (
        SELECT h.order_key, min(h.occurred_at) AS first_event_at, max(h.occurred_at) AS last_event_at
        FROM (SELECT e.order_key, e.occurred_at FROM waybill_data.tracking_events e WHERE e.order_key = ANY (touched)
              UNION ALL
              SELECT c.order_key, c.occurred_at FROM waybill_data.order_changes c WHERE c.order_key = ANY (touched)) h
        GROUP BY h.order_key
    ), decided AS (
        SELECT o.order_key, o.own_status, o.own_status_at, s.*, p.first_event_at, p.last_event_at,
               CASE
                   WHEN o.own_status = 'cancelled' AND NOT COALESCE(s.moved, false) THEN 1
                   WHEN COALESCE(s.known, 0) = 0 THEN 2
                   WHEN s.counting = 0 THEN 3
                   WHEN s.delivered = s.counting THEN 4
                   WHEN s.delivered > 0 THEN 5
                   WHEN s.returned = s.counting THEN 6
                   ELSE 7
               END AS rule,
               -- In rule 7 a cancelled order status does not count.
               CASE WHEN o.own_status IS DISTINCT FROM 'cancelled' THEN o.own_status END AS own_rank
        FROM waybill_data.orders o
        LEFT JOIN summary s (box_order_key) ON s.box_order_key = o.order_key
        LEFT JOIN span p (span_order_key) ON p.span_order_key = o.order_key
        WHERE o.order_key = ANY (touched)
    ), shown AS (
        SELECT d.order_key, d.total, d.delivered, d.shipped_at, d.last_delivered_at, d.first_event_at, d.last_event_at,
               CASE d.rule
                   WHEN 1 THEN 'cancelled'::waybill_data.status
                   WHEN 2 THEN COALESCE(d.own_status, 'unknown')
                   WHEN 3 THEN 'cancelled'
                   WHEN 4 THEN CASE WHEN d.own_status = 'pending' THEN 'partially_delivered'::waybill_data.status ELSE 'delivered' END
                   WHEN 5 THEN 'partially_delivered'
                   WHEN 6 THEN 'returned'
                   ELSE GREATEST(d.lowest, d.own_rank)
               END AS status,
               CASE d.rule
                   WHEN 1 THEN d.own_status_at
                   WHEN 2 THEN d.own_status_at
                   WHEN 3 THEN d.all_at
                   WHEN 4 THEN d.delivered_status_at
                   WHEN 5 THEN d.delivered_status_at
                   WHEN 6 THEN d.returned_at
                   ELSE GREATEST(CASE WHEN d.own_rank IS NULL OR d.lowest >= d.own_rank THEN d.lowest_at END,
                                 CASE WHEN d.own_rank >= d.lowest THEN d.own_status_at END)
               END AS status_at,
               ARRAY(SELECT DISTINCT reason COLLATE "C"
                     FROM unnest(d.attention
                                 || CASE WHEN d.moved_after_delivered THEN 'moved_after_delivered' END
                                 || CASE WHEN (d.rule = 2 OR (d.rule = 7 AND d.own_rank >= d.lowest))
                                          AND d.own_status IN ('attempt_failed', 'available_for_pickup', 'exception', 'failed',
                                                               'returning', 'expired')
                                         THEN d.own_status::text END) AS reason
                     WHERE reason IS NOT NULL ORDER BY 1) AS attention
        FROM decided d
    ), written AS (
        UPDATE waybill_data.orders o SET
            status = s.status, status_at = s.status_at, attention = s.attention,
            boxes_total = COALESCE(s.total, 0), boxes_delivered = COALESCE(s.delivered, 0),
            shipped_at = s.shipped_at,
            delivered_at = CASE WHEN s.status = 'delivered' THEN s.last_delivered_at END,
            first_event_at = s.first_event_at, last_event_at = s.last_event_at,
            version = nextval('waybill_data.feed_position'), updated_at = clock_timestamp()
        FROM shown s
        WHERE o.order_key = s.order_key
          -- Version 0: new, and shown for the first time also when nothing is known of it.
          AND (o.version = 0 OR o.order_key = ANY (changed_orders)
               OR (o.status, o.status_at, o.attention, o.first_event_at, o.last_event_at)
                   IS DISTINCT FROM (s.status, s.status_at, s.attention, s.first_event_at, s.last_event_at))
        RETURNING o.order_key, o.version
    ), fed AS (
        INSERT INTO waybill_data.feed (position, order_key) SELECT w.version, w.order_key FROM written w
        RETURNING 1
    )
    SELECT count(*) INTO orders_changed FROM fed;
    RETURN orders_changed;
END
$$;
COMMENT ON FUNCTION waybill_data.roll_up IS 'Derives status, attention and times of orders from their boxes and history, and gives changed ones a new version.';

-- Stores a batch of deliveries and what they say. Returns the outcome of each by ordinal: applied, ignored, quarantined, duplicate, or refused where
-- the source's share for quarantined bodies is used up.
CREATE FUNCTION waybill_data.ingest(
    deliveries waybill_data.delivery_in[], orders waybill_data.order_in[], boxes waybill_data.box_in[],
    events waybill_data.event_in[], documents waybill_data.document_in[], order_changes waybill_data.order_change_in[],
    manifests waybill_data.manifest_in[])
RETURNS text[] LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- One plan for all batches, made for index look-ups: planning these statements anew costs more than running them, and a plan made while the tables were
-- empty must not scan them when they are full.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    refused uuid[] := '{}';
    fresh boolean[];
    outcomes text[];
BEGIN
    IF EXISTS (SELECT FROM unnest(deliveries) d WHERE d.outcome = 'quarantined') THEN
        refused := waybill_data.refused_quarantine(deliveries);
    END IF;

    WITH inserted AS (
        INSERT INTO waybill_data.deliveries AS t
            (delivery_id, order_key, received_at, body_bytes, live, source, provider, event_type, event_id, outcome, detail,
             body_sha256, headers, body)
        SELECT d.delivery_id, d.order_key, d.received_at, length(d.body), d.live, d.source, d.provider, d.event_type, d.event_id,
               d.outcome, d.detail, sha256(d.body), d.headers, d.body
        FROM unnest(deliveries) d
        WHERE d.round = 1 AND d.delivery_id <> ALL (refused)
        ORDER BY d.delivery_id
        ON CONFLICT (delivery_id) DO NOTHING
        RETURNING t.delivery_id)
    SELECT array_agg(i.delivery_id IS NOT NULL AND d.round = 1 ORDER BY d.ordinal),
           array_agg(CASE WHEN d.delivery_id = ANY (refused) THEN 'refused'
                          WHEN i.delivery_id IS NOT NULL AND d.round = 1 THEN d.outcome
                          ELSE 'duplicate' END ORDER BY d.ordinal)
    INTO fresh, outcomes
    FROM unnest(deliveries) d LEFT JOIN inserted i ON i.delivery_id = d.delivery_id;

    IF 'duplicate' = ANY (outcomes) THEN
        UPDATE waybill_data.deliveries t SET times_received = t.times_received + again.times
        FROM (SELECT d.delivery_id, count(*)::integer AS times FROM unnest(deliveries) d
              WHERE outcomes[d.ordinal] = 'duplicate' GROUP BY d.delivery_id ORDER BY d.delivery_id) again
        WHERE t.delivery_id = again.delivery_id;
    END IF;

    IF true = ANY (fresh) THEN
        PERFORM waybill_data.apply(fresh, orders, boxes, events, documents, order_changes, manifests);
    END IF;
    RETURN outcomes;
END
$$;
COMMENT ON FUNCTION waybill_data.ingest IS 'Stores a batch of webhooks and what they say, in one transaction; the only thing the role waybill_ingest can do.';

-- The quarantined deliveries that would take their source over its quarantine_max, by id: a repetition in the batch is refused with the first. Those known
-- already take no room.
CREATE FUNCTION waybill_data.refused_quarantine(deliveries waybill_data.delivery_in[])
RETURNS uuid[] LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    one record;
    refused uuid[] := '{}';
BEGIN
    INSERT INTO waybill_data.quarantine_usage (source)
    SELECT DISTINCT d.source FROM unnest(deliveries) d WHERE d.outcome = 'quarantined' ORDER BY 1
    ON CONFLICT DO NOTHING;
    -- Before any delivery is inserted, and sorted: two batches cannot wait for each other.
    PERFORM FROM waybill_data.quarantine_usage u
    WHERE u.source IN (SELECT d.source FROM unnest(deliveries) d WHERE d.outcome = 'quarantined') ORDER BY u.source FOR UPDATE;

    FOR one IN
        SELECT d.delivery_id, d.source, length(d.body) AS bytes, d.quarantine_max FROM unnest(deliveries) d
        WHERE d.outcome = 'quarantined' AND d.round = 1
          AND NOT EXISTS (SELECT FROM waybill_data.deliveries t WHERE t.delivery_id = d.delivery_id)
        ORDER BY d.ordinal
    LOOP
        UPDATE waybill_data.quarantine_usage u SET bytes = u.bytes + one.bytes
        WHERE u.source = one.source AND u.bytes + one.bytes <= one.quarantine_max;
        IF NOT FOUND THEN
            refused := refused || one.delivery_id;
        END IF;
    END LOOP;
    RETURN refused;
END
$$;

-- A quarantined delivery that is deleted, emptied or understood after all gives its room back.
CREATE FUNCTION waybill_data.release_quarantine() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.outcome <> 'quarantined' OR NEW.body IS NULL THEN
        UPDATE waybill_data.quarantine_usage u SET bytes = u.bytes - OLD.body_bytes WHERE u.source = OLD.source;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER release_quarantine AFTER DELETE OR UPDATE OF outcome, body ON waybill_data.deliveries
    FOR EACH ROW WHEN (OLD.outcome = 'quarantined' AND OLD.body IS NOT NULL)
    EXECUTE FUNCTION waybill_data.release_quarantine();

-- Derives one order again from the changes of all its deliveries. The caller holds the order's lock since before it read them. True when the document changed; if not, version
-- and updated_at stay, so pollers are not disturbed.
CREATE FUNCTION waybill_data.rebuild_order(
    the_order uuid, orders waybill_data.order_in[], boxes waybill_data.box_in[], events waybill_data.event_in[],
    documents waybill_data.document_in[], order_changes waybill_data.order_change_in[], manifests waybill_data.manifest_in[])
RETURNS boolean LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    document_before text := waybill_data.comparable_document(the_order);
    before record;
    templates jsonb;
BEGIN
    SELECT o.version, o.updated_at INTO before FROM waybill_data.orders o WHERE o.order_key = the_order;
    -- The link template comes from the configuration, not from a delivery.
    SELECT jsonb_object_agg(b.box_key::text, jsonb_build_array(b.tracking_url_template, encode(b.tracking_url_template_key, 'hex')))
    INTO templates FROM waybill_data.boxes b WHERE b.order_key = the_order AND b.tracking_url_template IS NOT NULL;

    DELETE FROM waybill_data.boxes WHERE order_key = the_order;
    DELETE FROM waybill_data.tracking_events WHERE order_key = the_order;
    DELETE FROM waybill_data.documents WHERE order_key = the_order;
    DELETE FROM waybill_data.order_changes WHERE order_key = the_order;
    UPDATE waybill_data.orders SET
        own_status_key = '', own_status = NULL, own_provider_status = NULL, own_status_detail = NULL, own_status_at = NULL,
        order_number_key = '', order_number = NULL, external_reference_key = '', external_reference = NULL,
        send_date_key = '', send_date = NULL, courier_id_key = '', courier_id = NULL, destination_key = '', destination = NULL,
        box_list_key = '', box_list = NULL, box_list_at = NULL, version = 0
    WHERE order_key = the_order;

    PERFORM waybill_data.apply(array_fill(true, ARRAY[(SELECT COALESCE(max(i.ordinal), 0) FROM unnest(orders) i)]), orders, boxes, events,
                               documents, order_changes, manifests);
    UPDATE waybill_data.boxes b SET
        tracking_url_template = templates -> b.box_key::text ->> 0,
        tracking_url_template_key = decode(templates -> b.box_key::text ->> 1, 'hex')
    WHERE b.order_key = the_order AND templates ? b.box_key::text;

    IF before.version > 0 AND document_before IS NOT DISTINCT FROM waybill_data.comparable_document(the_order) THEN
        -- Nobody has seen the version that it was given meanwhile.
        DELETE FROM waybill_data.feed f USING waybill_data.orders o WHERE o.order_key = the_order AND f.position = o.version;
        UPDATE waybill_data.orders SET version = before.version, updated_at = before.updated_at WHERE order_key = the_order;
        RETURN false;
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION waybill_data.rebuild_order IS 'Derives one order again from all its deliveries.';

GRANT EXECUTE ON FUNCTION waybill_data.ingest TO waybill_ingest;

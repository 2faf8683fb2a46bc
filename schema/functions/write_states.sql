-- defines: write_states
-- The second half of a batch: each row once, as the program computed it under the lane's lock. The columns to set are those of the tables, so that a new one is
-- written without a change here. A personal fact that is null keeps what the row has, which waybill_ingest may not read; a row of the history comes whole.
DO $make$
DECLARE
    personal CONSTANT text[] := '{destination,label_url,signed_by,proof_of_delivery}';
    sets jsonb;
BEGIN
    SELECT jsonb_object_agg(c.table_name, c.list) INTO STRICT sets
    FROM (SELECT r.relname AS table_name,
                 string_agg(format(CASE WHEN a.attname = ANY (personal) THEN '%1$I = COALESCE(r.%1$I, t.%1$I)' ELSE '%1$I = r.%1$I' END, a.attname), ', '
                            ORDER BY a.attnum) AS list
          FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid
          WHERE r.relnamespace = 'waybill_data'::regnamespace AND r.relname IN ('orders', 'boxes', 'tracking_events', 'manifests')
            AND a.attnum > 0 AND NOT a.attisdropped AND a.attname NOT IN ('order_key', 'box_key', 'event_key', 'manifest_key')
          GROUP BY r.relname) c;
    EXECUTE format($function$
CREATE OR REPLACE FUNCTION waybill_data.write_states(
    new_orders waybill_data.orders[], orders waybill_data.orders[], new_boxes waybill_data.boxes[], boxes waybill_data.boxes[],
    new_events waybill_data.tracking_events[], events waybill_data.tracking_events[], documents waybill_data.documents[],
    order_changes waybill_data.order_changes[], new_manifests waybill_data.manifests[], manifests waybill_data.manifests[], feed waybill_data.feed[])
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    IF new_orders IS NOT NULL THEN
        INSERT INTO waybill_data.orders SELECT r.* FROM unnest(new_orders) r;
    END IF;
    IF orders IS NOT NULL THEN
        UPDATE waybill_data.orders t SET %1$s FROM unnest(orders) r WHERE t.order_key = r.order_key;
    END IF;
    IF new_boxes IS NOT NULL THEN
        INSERT INTO waybill_data.boxes SELECT r.* FROM unnest(new_boxes) r;
    END IF;
    IF boxes IS NOT NULL THEN
        UPDATE waybill_data.boxes t SET %2$s FROM unnest(boxes) r WHERE t.order_key = r.order_key AND t.box_key = r.box_key;
    END IF;
    IF new_events IS NOT NULL THEN
        INSERT INTO waybill_data.tracking_events SELECT r.* FROM unnest(new_events) r;
    END IF;
    IF events IS NOT NULL THEN
        UPDATE waybill_data.tracking_events t SET %3$s FROM unnest(events) r WHERE t.order_key = r.order_key AND t.event_key = r.event_key;
    END IF;
    IF documents IS NOT NULL THEN
        INSERT INTO waybill_data.documents SELECT r.* FROM unnest(documents) r;
    END IF;
    IF order_changes IS NOT NULL THEN
        INSERT INTO waybill_data.order_changes SELECT r.* FROM unnest(order_changes) r;
    END IF;
    IF new_manifests IS NOT NULL THEN
        INSERT INTO waybill_data.manifests SELECT r.* FROM unnest(new_manifests) r;
    END IF;
    IF manifests IS NOT NULL THEN
        UPDATE waybill_data.manifests t SET %4$s FROM unnest(manifests) r WHERE t.manifest_key = r.manifest_key;
    END IF;
    IF feed IS NOT NULL THEN
        INSERT INTO waybill_data.feed SELECT r.* FROM unnest(feed) r;
    END IF;
END
$$
$function$, sets ->> 'orders', sets ->> 'boxes', sets ->> 'tracking_events', sets ->> 'manifests');
END
$make$;
COMMENT ON FUNCTION waybill_data.write_states IS 'Writes the rows of a batch as the program computed them.';
GRANT EXECUTE ON FUNCTION waybill_data.write_states TO waybill_ingest;

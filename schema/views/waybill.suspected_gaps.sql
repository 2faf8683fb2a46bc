-- Each event looks for the one before it and for what produced its previous value by its order alone, so a range of time costs what is in it.
CREATE OR REPLACE VIEW waybill.suspected_gaps AS
SELECT o.source::varchar(32) AS source, o.live, o.order_id::varchar(255) AS order_id, b.box_id::varchar(255) AS box_id, g.field::varchar(32) AS field,
       g.occurred_at, g.expected_previous, g.found_previous
FROM (
    SELECT e.order_key, e.box_key, 'status' AS field, e.occurred_at, e.previous_status AS expected_previous, before.found AS found_previous
    FROM waybill_data.tracking_events e,
         LATERAL (
             SELECT t.provider_status AS found FROM waybill_data.tracking_events t
             WHERE t.order_key = e.order_key AND t.box_key = e.box_key
               AND (t.occurred_at, t.status, pg_catalog.lower(pg_catalog.btrim(COALESCE(t.provider_status, ''))), t.event_key)
                   < (e.occurred_at, e.status, pg_catalog.lower(pg_catalog.btrim(COALESCE(e.provider_status, ''))), e.event_key)
             ORDER BY t.occurred_at DESC, t.status DESC, pg_catalog.lower(pg_catalog.btrim(COALESCE(t.provider_status, ''))) DESC, t.event_key DESC
             LIMIT 1) before
    WHERE e.previous_status IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM waybill_data.tracking_events t
          WHERE t.order_key = e.order_key AND t.box_key = e.box_key AND t.occurred_at <= e.occurred_at
            AND (pg_catalog.lower(pg_catalog.btrim(t.provider_status)) = pg_catalog.lower(pg_catalog.btrim(e.previous_status))
                 OR pg_catalog.upper(pg_catalog.btrim(e.previous_status)) = ANY (t.stands_for)))
    UNION ALL
    SELECT c.order_key, NULL, c.field, c.occurred_at, c.previous_value, before.found
    FROM waybill_data.order_changes c,
         LATERAL (
             SELECT t.new_value AS found FROM waybill_data.order_changes t
             WHERE t.order_key = c.order_key AND t.field = c.field
               AND (t.occurred_at, pg_catalog.lower(pg_catalog.btrim(COALESCE(t.new_value, ''))), t.delivery_id)
                   < (c.occurred_at, pg_catalog.lower(pg_catalog.btrim(COALESCE(c.new_value, ''))), c.delivery_id)
             ORDER BY t.occurred_at DESC, pg_catalog.lower(pg_catalog.btrim(COALESCE(t.new_value, ''))) DESC, t.delivery_id DESC
             LIMIT 1) before
    WHERE c.previous_value IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM waybill_data.order_changes t
          WHERE t.order_key = c.order_key AND t.field = c.field AND t.occurred_at <= c.occurred_at
            AND pg_catalog.lower(pg_catalog.btrim(t.new_value)) = pg_catalog.lower(pg_catalog.btrim(c.previous_value)))
) g
JOIN waybill_data.orders o ON o.order_key = g.order_key
LEFT JOIN waybill_data.boxes b ON b.order_key = g.order_key AND b.box_key = g.box_key;
GRANT SELECT ON waybill.suspected_gaps TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.suspected_gaps IS 'Events whose sender names a previous value that no stored event produced: something was missed.';
COMMENT ON COLUMN waybill.suspected_gaps.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill.suspected_gaps.live IS 'True for live traffic, false for the sender''s sandbox; the two never mix. Null where a quarantined webhook did not say.';
COMMENT ON COLUMN waybill.suspected_gaps.order_id IS 'The sender''s own id of the order.';
COMMENT ON COLUMN waybill.suspected_gaps.box_id IS 'The sender''s own id of the box.';
COMMENT ON COLUMN waybill.suspected_gaps.field IS 'What changed or is missing: status, send_date, courier or destination.';
COMMENT ON COLUMN waybill.suspected_gaps.occurred_at IS 'When it happened, as the sender says.';
COMMENT ON COLUMN waybill.suspected_gaps.expected_previous IS 'The previous value the sender names.';
COMMENT ON COLUMN waybill.suspected_gaps.found_previous IS 'The value of the event just before it here.';

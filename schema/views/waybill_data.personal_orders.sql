-- What the scope tracking does not show. Country, zip and city stay, as the reports show them.
CREATE OR REPLACE VIEW waybill_data.personal_orders AS
SELECT o.order_key FROM waybill_data.orders o
WHERE jsonb_strip_nulls(o.destination::jsonb) - ARRAY['country', 'zip', 'city'] <> '{}'
   OR EXISTS (SELECT FROM waybill_data.boxes b WHERE b.order_key = o.order_key
              AND (b.signed_by IS NOT NULL OR b.proof_of_delivery IS NOT NULL OR b.label_url IS NOT NULL))
   OR EXISTS (SELECT FROM waybill_data.tracking_events e WHERE e.order_key = o.order_key AND e.message IS NOT NULL)
   OR EXISTS (SELECT FROM waybill_data.documents t WHERE t.order_key = o.order_key);
COMMENT ON VIEW waybill_data.personal_orders IS 'The orders that hold personal data.';

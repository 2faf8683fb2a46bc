CREATE OR REPLACE VIEW waybill.manifests AS
SELECT m.source::varchar(32) AS source, m.live, m.shipment_id::varchar(255) AS shipment_id, m.awb_number::varchar(255) AS awb_number, m.parcel_count,
       m.country::varchar(255) AS country, m.submitted_at
FROM waybill_data.manifests m;
GRANT SELECT ON waybill.manifests TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.manifests IS 'Manifests that senders submitted to a carrier.';
COMMENT ON COLUMN waybill.manifests.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill.manifests.live IS 'True for live traffic, false for the sender''s sandbox; the two never mix. Null where a quarantined webhook did not say.';
COMMENT ON COLUMN waybill.manifests.shipment_id IS 'The sender''s id of the shipment.';
COMMENT ON COLUMN waybill.manifests.awb_number IS 'Air waybill number.';
COMMENT ON COLUMN waybill.manifests.parcel_count IS 'How many parcels the manifest lists.';
COMMENT ON COLUMN waybill.manifests.country IS 'Country of destination, cut at 255 characters.';
COMMENT ON COLUMN waybill.manifests.submitted_at IS 'When the manifest was submitted.';

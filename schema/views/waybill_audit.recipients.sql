CREATE OR REPLACE VIEW waybill_audit.recipients WITH (security_barrier) AS
SELECT o.order_key, b.box_key, o.destination::jsonb AS destination, b.signed_by, b.proof_of_delivery
FROM waybill_data.orders o LEFT JOIN waybill_data.boxes b ON b.order_key = o.order_key;
GRANT SELECT ON waybill_audit.recipients TO waybill_audit;

COMMENT ON VIEW waybill_audit.recipients IS 'Who the orders go to, who signed for each box, and the proof.';
COMMENT ON COLUMN waybill_audit.recipients.order_key IS 'Identity of the order: derived from source, live and order_id, the same in every installation.';
COMMENT ON COLUMN waybill_audit.recipients.box_key IS 'Identity of the box: derived from order_key and box_id.';
COMMENT ON COLUMN waybill_audit.recipients.destination IS 'Name, company, phone, email, street, details, city, zip, province, country.';
COMMENT ON COLUMN waybill_audit.recipients.signed_by IS 'Who signed for the box.';
COMMENT ON COLUMN waybill_audit.recipients.proof_of_delivery IS 'Link to the proof of delivery.';

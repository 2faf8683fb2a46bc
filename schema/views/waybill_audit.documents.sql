CREATE OR REPLACE VIEW waybill_audit.documents WITH (security_barrier) AS
SELECT t.box_key, t.kind, t.url FROM waybill_data.documents t
UNION
SELECT b.box_key, 'label', b.label_url FROM waybill_data.boxes b WHERE b.label_url IS NOT NULL;
GRANT SELECT ON waybill_audit.documents TO waybill_audit;

COMMENT ON VIEW waybill_audit.documents IS 'Papers of the boxes: labels, export documents.';
COMMENT ON COLUMN waybill_audit.documents.box_key IS 'Identity of the box: derived from order_key and box_id.';
COMMENT ON COLUMN waybill_audit.documents.kind IS 'label, exportDocs, soivre, …';
COMMENT ON COLUMN waybill_audit.documents.url IS 'Link to the paper.';

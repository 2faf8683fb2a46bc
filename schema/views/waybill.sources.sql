CREATE OR REPLACE VIEW waybill.sources AS
SELECT d.source::varchar(32) AS source, d.provider::varchar(32) AS provider, d.live, pg_catalog.count(*) AS deliveries,
       pg_catalog.count(*) FILTER (WHERE d.outcome = 'quarantined') AS quarantined, pg_catalog.min(d.received_at) AS first_received_at,
       pg_catalog.max(d.received_at) AS last_received_at
FROM waybill_data.deliveries d
GROUP BY d.source, d.provider, d.live;
GRANT SELECT ON waybill.sources TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.sources IS 'Who sends, one row a source, provider and live flag: a dimension table. Counted from all deliveries at each reading, so load it rather than join to it.';
COMMENT ON COLUMN waybill.sources.source IS 'The account of a sender: the segment of the webhook URL.';
COMMENT ON COLUMN waybill.sources.provider IS 'Which sender it is an account of.';
COMMENT ON COLUMN waybill.sources.live IS 'True for live traffic, false for the sender''s sandbox, null for quarantined webhooks that did not say.';
COMMENT ON COLUMN waybill.sources.deliveries IS 'How many webhooks are stored.';
COMMENT ON COLUMN waybill.sources.quarantined IS 'How many of them are in quarantine.';
COMMENT ON COLUMN waybill.sources.first_received_at IS 'When the first of them was received.';
COMMENT ON COLUMN waybill.sources.last_received_at IS 'When the newest of them was received: a sender that fell silent shows here.';

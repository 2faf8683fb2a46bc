-- The vocabulary of src/domain/status_word.c, with which a test compares it.
CREATE OR REPLACE VIEW waybill.statuses AS
SELECT s.status::varchar(32) AS status, s.rank, s.is_open, s.is_final, s.needs_attention, s.order_only, s.meaning::varchar(255) AS meaning
FROM (VALUES
    ('unknown', 0, false, false, false, false, 'The sender''s word says nothing that is known; never overwrites a known status.'),
    ('pending', 10, true, false, false, false, 'Ordered; nothing has been made ready yet.'),
    ('pre_transit', 20, true, false, false, false, 'The label or the manifest exists; the carrier has not scanned the parcel yet.'),
    ('in_transit', 30, true, false, false, false, 'With the carrier.'),
    ('out_for_delivery', 40, true, false, false, false, 'On the vehicle that delivers it.'),
    ('attempt_failed', 45, true, false, true, false, 'A delivery was tried and failed; another try may follow.'),
    ('available_for_pickup', 50, true, false, true, false, 'Waits at a pick-up point for its recipient.'),
    ('exception', 55, true, false, true, false, 'Something is wrong: held at customs, damaged, address not found.'),
    ('returning', 60, false, false, true, false, 'On its way back; a late scan no longer opens it.'),
    ('expired', 65, true, false, true, false, 'The tracking of the sender gave up waiting for scans.'),
    ('partially_delivered', 80, true, false, false, true, 'Some boxes of the order are delivered, others are not.'),
    ('delivered', 90, false, true, false, false, 'Delivered.'),
    ('failed', 92, false, true, true, false, 'Will not be delivered: lost, refused, destroyed.'),
    ('returned', 94, false, true, false, false, 'Back at the sender.'),
    ('cancelled', 96, false, true, false, false, 'Called off before it moved, or no longer part of its order.')
) s (status, rank, is_open, is_final, needs_attention, order_only, meaning);
GRANT SELECT ON waybill.statuses TO waybill_report, waybill_audit;

COMMENT ON VIEW waybill.statuses IS 'The vocabulary of status, one row a word: a dimension table. By rank, later stages of a parcel''s life have higher ones.';
COMMENT ON COLUMN waybill.statuses.status IS 'The word.';
COMMENT ON COLUMN waybill.statuses.rank IS 'Its place in a parcel''s life. An order whose boxes differ shows the lowest-ranked, unless some are delivered.';
COMMENT ON COLUMN waybill.statuses.is_open IS 'Whether the parcel is still on its way to the recipient: any later report may change it.';
COMMENT ON COLUMN waybill.statuses.is_final IS 'Whether nothing more is expected: delivered, failed, returned, cancelled.';
COMMENT ON COLUMN waybill.statuses.needs_attention IS 'Whether a box with it puts the word into its order''s attention.';
COMMENT ON COLUMN waybill.statuses.order_only IS 'Whether only orders have it; it is derived then.';
COMMENT ON COLUMN waybill.statuses.meaning IS 'What it says of a parcel.';

-- One event a transaction, each with an id of its own; one in five is about a parcel that this client has brought up before. n counts a client's events.
\set n :n + 1
\set base :client_id * 1000000000
\set event :base + :n
\set parcel case when :n % 5 = 0 then :base + random(0, :n / 5 - 1) * 5 + random(1, 4) else :event end
\set word random(1, 6)
BEGIN;
INSERT INTO webhook_events (event_id, event_type) VALUES ('evt_' || :event::bigint, 'parcel.status_changed') ON CONFLICT (event_id) DO NOTHING;
INSERT INTO orders (order_number, status, updated_at)
VALUES ('CB' || :parcel::bigint, (ARRAY['LABEL_GENERATED', 'PICKED_UP', 'IN_TRANSIT', 'CUSTOMS_PROCESSING', 'OUT_FOR_DELIVERY', 'DELIVERED'])[:word::int],
        timestamptz '2024-12-01' + :n::bigint * interval '1 second')
ON CONFLICT (order_number) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at;
INSERT INTO boxes (tracking_number, order_number, status, location, updated_at)
VALUES ('CB' || :parcel::bigint, 'CB' || :parcel::bigint,
        (ARRAY['LABEL_GENERATED', 'PICKED_UP', 'IN_TRANSIT', 'CUSTOMS_PROCESSING', 'OUT_FOR_DELIVERY', 'DELIVERED'])[:word::int], 'Guayaquil, EC',
        timestamptz '2024-12-01' + :n::bigint * interval '1 second')
ON CONFLICT (tracking_number) DO UPDATE SET status = excluded.status, location = excluded.location, updated_at = excluded.updated_at;
INSERT INTO tracking_history (tracking_number, occurred_at, status, location)
VALUES ('CB' || :parcel::bigint, timestamptz '2024-12-01' + :n::bigint * interval '1 second',
        (ARRAY['LABEL_GENERATED', 'PICKED_UP', 'IN_TRANSIT', 'CUSTOMS_PROCESSING', 'OUT_FOR_DELIVERY', 'DELIVERED'])[:word::int], 'Guayaquil, EC')
ON CONFLICT DO NOTHING;
COMMIT;

-- What status_express reads: as many orders as waybill has, of one box with one event each, under the same numbers. :orders is how many.
INSERT INTO orders
SELECT 'CBS' || lpad(n::text, 9, '0'), 'IN_TRANSIT', timestamptz '2024-12-01' + n * interval '1 second' FROM generate_series(0, :orders - 1) n;
INSERT INTO boxes SELECT order_number, order_number, status, 'Guayaquil, EC', updated_at FROM orders;
INSERT INTO tracking_history SELECT tracking_number, updated_at, status, location FROM boxes;
CREATE INDEX boxes_by_order ON boxes (order_number);
ANALYZE;

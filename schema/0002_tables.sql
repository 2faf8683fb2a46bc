-- Tables. A register is a value and the key of the change that set it: the greater key wins (bytea compares as bytes), '' means nothing said yet.
-- Every key begins with order_key, so the tables can be distributed by it; deliveries by delivery_id.

-- In order of rank: comparing two of them compares ranks. partially_delivered is only ever derived, for an order.
CREATE TYPE waybill_data.status AS ENUM (
    'unknown', 'pending', 'pre_transit', 'in_transit', 'out_for_delivery', 'attempt_failed', 'available_for_pickup',
    'exception', 'returning', 'expired', 'delivered', 'failed', 'returned', 'cancelled', 'partially_delivered');

CREATE TABLE waybill_data.installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Part of every cursor, so that another database's cursor is recognised. Survives dump and restore.
    feed_id bigint NOT NULL DEFAULT ('x' || pg_catalog.substr(pg_catalog.md5(pg_catalog.gen_random_uuid()::text), 1, 15))::bit(60)::bigint
);
INSERT INTO waybill_data.installation DEFAULT VALUES;

CREATE TABLE waybill_data.deliveries (
    delivery_id uuid PRIMARY KEY,
    order_key uuid,
    received_at timestamptz NOT NULL,
    times_received integer NOT NULL DEFAULT 1,
    body_bytes integer NOT NULL,
    live boolean,
    source text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    event_type text COLLATE "C",
    event_id text COLLATE "C",
    outcome text COLLATE "C" NOT NULL CHECK (outcome IN ('applied', 'ignored', 'quarantined', 'duplicate')),
    detail text COLLATE "C",
    body_sha256 bytea NOT NULL,
    headers jsonb,
    body bytea
);
COMMENT ON TABLE waybill_data.deliveries IS 'Every authentic webhook, once, with its exact bytes; body is null after a purge.';
-- rebuild and replay read all deliveries of one order.
CREATE INDEX deliveries_by_order ON waybill_data.deliveries (order_key) WHERE order_key IS NOT NULL;
CREATE INDEX deliveries_quarantined ON waybill_data.deliveries (received_at) WHERE outcome = 'quarantined';

CREATE TABLE waybill_data.quarantine_usage (
    source text COLLATE "C" PRIMARY KEY,
    bytes bigint NOT NULL DEFAULT 0
);

CREATE TABLE waybill_data.orders (
    order_key uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 0,
    updated_at timestamptz,
    live boolean NOT NULL,
    changed boolean NOT NULL DEFAULT true,
    source text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    -- Registers.
    own_status_key bytea NOT NULL DEFAULT '',
    own_status waybill_data.status,
    own_provider_status text COLLATE "C",
    own_status_detail text COLLATE "C",
    own_status_at timestamptz,
    order_number_key bytea NOT NULL DEFAULT '',
    order_number text COLLATE "C",
    external_reference_key bytea NOT NULL DEFAULT '',
    external_reference text COLLATE "C",
    send_date_key bytea NOT NULL DEFAULT '',
    send_date timestamptz,
    courier_id_key bytea NOT NULL DEFAULT '',
    courier_id text COLLATE "C",
    destination_key bytea NOT NULL DEFAULT '',
    destination jsonb,
    box_list_key bytea NOT NULL DEFAULT '',
    box_list text[] COLLATE "C",
    box_list_at timestamptz,
    -- Rolled up from the boxes and the history.
    status waybill_data.status NOT NULL DEFAULT 'unknown',
    status_at timestamptz,
    attention text[] COLLATE "C" NOT NULL DEFAULT '{}',
    boxes_total integer NOT NULL DEFAULT 0,
    boxes_delivered integer NOT NULL DEFAULT 0,
    shipped_at timestamptz,
    delivered_at timestamptz,
    first_event_at timestamptz,
    last_event_at timestamptz
) WITH (fillfactor = 85);
COMMENT ON TABLE waybill_data.orders IS 'One row an order: its registers and what is rolled up from its boxes.';
COMMENT ON COLUMN waybill_data.orders.changed IS 'Whether the last write changed a value and not only keys; read back by RETURNING.';
CREATE INDEX orders_by_number ON waybill_data.orders (order_number) WHERE order_number IS NOT NULL;
CREATE INDEX orders_by_reference ON waybill_data.orders (external_reference) WHERE external_reference IS NOT NULL;

CREATE TABLE waybill_data.boxes (
    order_key uuid NOT NULL,
    box_key uuid NOT NULL,
    changed boolean NOT NULL DEFAULT true,
    was_delayed boolean NOT NULL DEFAULT false,
    had_failed_attempt boolean NOT NULL DEFAULT false,
    estimated_delivery_date date,
    box_id text COLLATE "C" NOT NULL,
    status_key bytea NOT NULL DEFAULT '',
    status waybill_data.status NOT NULL DEFAULT 'unknown',
    status_at timestamptz,
    next_attempt_at timestamptz,
    -- The earliest time of a status of rank 30, the latest of an open one, the sender's own time of shipping.
    first_transit_at timestamptz,
    last_open_at timestamptz,
    sender_shipped_at timestamptz,
    -- Set while the sender's newest list of the order's boxes leaves this one out: the time of that list.
    removed_at timestamptz,
    delivered_at timestamptz,
    estimated_delivery_at timestamptz,
    status_detail text COLLATE "C",
    provider_status text COLLATE "C",
    location text COLLATE "C",
    delivered_key bytea NOT NULL DEFAULT '',
    tracking_number_key bytea NOT NULL DEFAULT '',
    tracking_number text COLLATE "C",
    carrier_key bytea NOT NULL DEFAULT '',
    carrier text COLLATE "C",
    tracking_url_key bytea NOT NULL DEFAULT '',
    tracking_url text COLLATE "C",
    tracking_url_template_key bytea NOT NULL DEFAULT '',
    tracking_url_template text COLLATE "C",
    estimated_delivery_date_key bytea NOT NULL DEFAULT '',
    estimated_delivery_at_key bytea NOT NULL DEFAULT '',
    pickup_point_key bytea NOT NULL DEFAULT '',
    pickup_point jsonb,
    items_key bytea NOT NULL DEFAULT '',
    items jsonb,
    label_url_key bytea NOT NULL DEFAULT '',
    label_url text COLLATE "C",
    signed_by_key bytea NOT NULL DEFAULT '',
    signed_by text COLLATE "C",
    proof_of_delivery_key bytea NOT NULL DEFAULT '',
    proof_of_delivery text COLLATE "C",
    PRIMARY KEY (order_key, box_key)
) WITH (fillfactor = 85);
COMMENT ON TABLE waybill_data.boxes IS 'One row a box (parcel): its registers.';
CREATE INDEX boxes_by_tracking_number ON waybill_data.boxes (tracking_number) WHERE tracking_number IS NOT NULL;

CREATE TABLE waybill_data.tracking_events (
    order_key uuid NOT NULL,
    event_key uuid NOT NULL,
    box_key uuid NOT NULL,
    delivery_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    status waybill_data.status NOT NULL,
    changed boolean NOT NULL DEFAULT true,
    register_key bytea NOT NULL,
    status_detail text COLLATE "C",
    provider_status text COLLATE "C",
    location text COLLATE "C",
    message text COLLATE "C",
    previous_status text COLLATE "C",
    -- Further words this event counts as when gaps are looked for.
    stands_for text[] COLLATE "C",
    PRIMARY KEY (order_key, event_key)
);
COMMENT ON TABLE waybill_data.tracking_events IS 'The history of the boxes; each row is one register.';

CREATE TABLE waybill_data.order_changes (
    order_key uuid NOT NULL,
    delivery_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    field text COLLATE "C" NOT NULL CHECK (field IN ('status', 'send_date', 'courier', 'destination')),
    previous_value text COLLATE "C",
    new_value text COLLATE "C",
    PRIMARY KEY (order_key, delivery_id, field)
);
COMMENT ON TABLE waybill_data.order_changes IS 'The history of the orders themselves.';

CREATE TABLE waybill_data.documents (
    order_key uuid NOT NULL,
    box_key uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    url text COLLATE "C" NOT NULL,
    PRIMARY KEY (order_key, box_key, kind, url)
);
COMMENT ON TABLE waybill_data.documents IS 'Papers of a box that senders linked to; none ever goes away.';

CREATE TABLE waybill_data.manifests (
    manifest_key uuid PRIMARY KEY,
    register_key bytea NOT NULL,
    live boolean NOT NULL,
    parcel_count bigint,
    submitted_at timestamptz,
    source text COLLATE "C" NOT NULL,
    shipment_id text COLLATE "C" NOT NULL,
    awb_number text COLLATE "C",
    country text COLLATE "C"
);
COMMENT ON TABLE waybill_data.manifests IS 'Manifests that senders submitted; each row is one register.';

-- The change feed: every change of an order's document takes the next position, which is also its version. Drawn under a lock that is held to the commit, so
-- positions become visible in their order. A row whose position is no longer its order's version is history.
CREATE SEQUENCE waybill_data.feed_position;
CREATE TABLE waybill_data.feed (
    position bigint PRIMARY KEY,
    order_key uuid NOT NULL
);
CREATE TABLE waybill_data.feed_lock ();
COMMENT ON TABLE waybill_data.feed_lock IS 'Holds nothing: whoever draws positions locks it until commit.';
COMMENT ON TABLE waybill_data.feed IS 'Which order changed at which position; the newest row of an order is its version.';

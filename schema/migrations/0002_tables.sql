-- Tables. They keep rows; what a row says after an event is computed in src/domain/fold.c and nowhere else.
--
-- A register is a value and the key of the change that set it: the greater key wins. The values stand in columns that people can read; the keys of a row stand
-- together in its column registers (src/domain/registers.h). Every key of a table begins with order_key, so the tables can be distributed by it; deliveries by
-- delivery_id. Wide columns come first, so that no row is padded.

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

-- One writer a lane: each transaction that writes locks the rows of its lanes first, in ascending order.
CREATE TABLE waybill_data.lanes (
    lane smallint PRIMARY KEY
);
INSERT INTO waybill_data.lanes (lane) VALUES (0);
COMMENT ON TABLE waybill_data.lanes IS 'A writer locks the row of its lane before anything else. Rows are locked, never updated.';

-- The identity of every authentic webhook, for ever: it is the de-duplication. Its bytes stand in bodies.
CREATE TABLE waybill_data.deliveries (
    delivery_id uuid PRIMARY KEY,
    order_key uuid,
    received_at timestamptz NOT NULL,
    body_bytes integer NOT NULL,
    live boolean,
    source text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    event_type text COLLATE "C",
    event_id text COLLATE "C",
    outcome text COLLATE "C" NOT NULL CHECK (outcome IN ('applied', 'ignored', 'quarantined', 'duplicate')),
    detail text COLLATE "C",
    body_sha256 bytea NOT NULL
);
COMMENT ON TABLE waybill_data.deliveries IS 'Every authentic webhook, once.';
-- rebuild, replay and explain read all deliveries of one order.
CREATE INDEX deliveries_by_order ON waybill_data.deliveries (order_key) WHERE order_key IS NOT NULL;
CREATE INDEX deliveries_quarantined ON waybill_data.deliveries (received_at) WHERE outcome = 'quarantined';
-- A range of time: a few bytes for every hundred pages, and next to nothing to write.
CREATE INDEX deliveries_by_time ON waybill_data.deliveries USING brin (received_at) WITH (autosummarize = on);
-- The newest of each source in one step, however large the table is.
CREATE INDEX deliveries_by_source ON waybill_data.deliveries (source, received_at);

-- The exact bytes and the kept headers. received_at leads the key, so that the index grows at its end alone.
CREATE TABLE waybill_data.bodies (
    received_at timestamptz NOT NULL,
    delivery_id uuid NOT NULL,
    headers json,
    body bytea NOT NULL,
    PRIMARY KEY (received_at, delivery_id)
);
COMMENT ON TABLE waybill_data.bodies IS 'What came in each delivery, until it is purged.';

CREATE TABLE waybill_data.resends (
    delivery_id uuid PRIMARY KEY,
    times integer NOT NULL
);
COMMENT ON TABLE waybill_data.resends IS 'How often a delivery came again after its first time.';

CREATE TABLE waybill_data.quarantine_usage (
    source text COLLATE "C" PRIMARY KEY,
    bytes bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE waybill_data.quarantine_usage IS 'Bytes of quarantined bodies that each source takes.';

CREATE TABLE waybill_data.orders (
    order_key uuid PRIMARY KEY,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    status_at timestamptz,
    first_event_at timestamptz,
    last_event_at timestamptz,
    shipped_at timestamptz,
    delivered_at timestamptz,
    own_status_at timestamptz,
    send_date timestamptz,
    status waybill_data.status NOT NULL,
    own_status waybill_data.status,
    boxes_total integer NOT NULL,
    boxes_delivered integer NOT NULL,
    writes integer NOT NULL,
    live boolean NOT NULL,
    source text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    -- Null: there is no reason.
    attention text[] COLLATE "C",
    own_provider_status text COLLATE "C",
    own_status_detail text COLLATE "C",
    -- Of a known length: a driver takes text for a long one, which it can neither sort nor group by. Nothing is cut, since longer ids are quarantined.
    order_number varchar(255) COLLATE "C",
    external_reference varchar(255) COLLATE "C",
    courier_id text COLLATE "C",
    destination json,
    box_list text[] COLLATE "C",
    registers bytea NOT NULL
) WITH (fillfactor = 85);
COMMENT ON TABLE waybill_data.orders IS 'One row an order: its facts, and what is derived from its boxes and their history.';
COMMENT ON COLUMN waybill_data.orders.writes IS 'Grows with every write of the order, its boxes or its history: a rebuild sees whether it read the last one.';
COMMENT ON COLUMN waybill_data.orders.own_status IS 'The status that the sender reports of the order itself; status is derived from it and from the boxes.';
CREATE INDEX orders_by_number ON waybill_data.orders (order_number) WHERE order_number IS NOT NULL;
CREATE INDEX orders_by_reference ON waybill_data.orders (external_reference) WHERE external_reference IS NOT NULL;

CREATE TABLE waybill_data.boxes (
    order_key uuid NOT NULL,
    box_key uuid NOT NULL,
    status_at timestamptz,
    shipped_at timestamptz,
    delivered_at timestamptz,
    next_attempt_at timestamptz,
    estimated_delivery_at timestamptz,
    -- The latest time of an open status: later than delivered_at, it needs attention.
    last_open_at timestamptz,
    -- What the sender reports of a box that its newest list of the order's boxes leaves out; null otherwise. Such a box shows cancelled, detail removed.
    reported_status_at timestamptz,
    estimated_delivery_date date,
    status waybill_data.status NOT NULL,
    reported_status waybill_data.status,
    was_delayed boolean NOT NULL,
    had_failed_attempt boolean NOT NULL,
    box_id text COLLATE "C" NOT NULL,
    status_detail text COLLATE "C",
    reported_status_detail text COLLATE "C",
    provider_status text COLLATE "C",
    location text COLLATE "C",
    tracking_number varchar(255) COLLATE "C",
    carrier text COLLATE "C",
    -- The sender's link, else the one that its template makes.
    tracking_url text COLLATE "C",
    tracking_url_template text COLLATE "C",
    pickup_point json,
    items json,
    label_url text COLLATE "C",
    signed_by text COLLATE "C",
    proof_of_delivery text COLLATE "C",
    registers bytea NOT NULL,
    PRIMARY KEY (order_key, box_key)
) WITH (fillfactor = 85);
COMMENT ON TABLE waybill_data.boxes IS 'One row a box (parcel): its facts.';
CREATE INDEX boxes_by_tracking_number ON waybill_data.boxes (tracking_number) WHERE tracking_number IS NOT NULL;
-- A box is delivered once, so this costs one entry in its life.
CREATE INDEX boxes_by_delivery ON waybill_data.boxes (delivered_at) WHERE delivered_at IS NOT NULL;

CREATE TABLE waybill_data.tracking_events (
    order_key uuid NOT NULL,
    event_key uuid NOT NULL,
    box_key uuid NOT NULL,
    delivery_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    status waybill_data.status NOT NULL,
    status_detail text COLLATE "C",
    provider_status text COLLATE "C",
    location text COLLATE "C",
    message text COLLATE "C",
    previous_status text COLLATE "C",
    -- Further words this event counts as when gaps are looked for.
    stands_for text[] COLLATE "C",
    -- The key of the one register that the row is, without the delivery.
    register bytea NOT NULL,
    PRIMARY KEY (order_key, event_key)
);
COMMENT ON TABLE waybill_data.tracking_events IS 'The history of the boxes.';
CREATE INDEX tracking_events_by_time ON waybill_data.tracking_events USING brin (occurred_at) WITH (autosummarize = on);

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
    -- Derived from box, kind and url.
    document_key uuid NOT NULL,
    box_key uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    url text COLLATE "C" NOT NULL,
    PRIMARY KEY (order_key, document_key)
);
COMMENT ON TABLE waybill_data.documents IS 'Papers of a box that senders linked to; none ever goes away.';

CREATE TABLE waybill_data.manifests (
    manifest_key uuid PRIMARY KEY,
    submitted_at timestamptz,
    parcel_count bigint,
    live boolean NOT NULL,
    source text COLLATE "C" NOT NULL,
    shipment_id text COLLATE "C" NOT NULL,
    awb_number text COLLATE "C",
    country text COLLATE "C",
    registers bytea NOT NULL
);
COMMENT ON TABLE waybill_data.manifests IS 'Manifests that senders submitted; each row is one register.';

-- The change feed: every change of an order's document takes the next position, which is also its version. Drawn under the lock of the order's lane, so that the
-- positions of a lane become visible in their order. A row whose position is no longer its order's version is history.
CREATE SEQUENCE waybill_data.feed_position;
CREATE TABLE waybill_data.feed (
    position bigint PRIMARY KEY,
    order_key uuid NOT NULL,
    lane smallint NOT NULL,
    live boolean NOT NULL,
    source text COLLATE "C" NOT NULL
);
COMMENT ON TABLE waybill_data.feed IS 'Which order changed at which position; the newest row of an order is its version.';
COMMENT ON COLUMN waybill_data.feed.live IS 'As the order has it, and never changes it: a reader passes over other orders without a look at them.';

-- What administrators did: a row for each command that changed something.
CREATE TABLE waybill_data.actions (
    action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    ended_at timestamptz,
    done boolean,
    database_user text COLLATE "C" NOT NULL DEFAULT session_user,
    os_user text COLLATE "C" NOT NULL,
    host text COLLATE "C" NOT NULL,
    release text COLLATE "C" NOT NULL,
    command text COLLATE "C" NOT NULL,
    arguments text COLLATE "C" NOT NULL,
    counts jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE waybill_data.actions IS 'What administrators did with the command waybill.';

-- What functions hand to the programs of the state of orders: each row has one of its parts.
CREATE TYPE waybill_data.box_summary AS (
    order_key uuid, status waybill_data.status, count bigint, status_at timestamptz, shipped_at timestamptz, delivered_at timestamptz,
    moved_after_delivered boolean);
COMMENT ON TYPE waybill_data.box_summary IS 'The boxes of an order that have one status, taken together.';
CREATE TYPE waybill_data.state_row AS (
    an_order waybill_data.orders, box waybill_data.boxes, event waybill_data.tracking_events, document waybill_data.documents,
    order_change waybill_data.order_changes, manifest waybill_data.manifests, summary waybill_data.box_summary);
COMMENT ON TYPE waybill_data.state_row IS 'A part of the state of an order, or of what belongs to none; the other columns are null.';

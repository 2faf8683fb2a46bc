-- The peers' tables: narrow, natural keys, no foreign keys, no index beside the keys. Plain SQL as a good engineer writes it on a Tuesday.

CREATE TABLE webhook_events (
    event_id text PRIMARY KEY,
    event_type text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE orders (
    order_number text PRIMARY KEY,
    status text NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE boxes (
    tracking_number text PRIMARY KEY,
    order_number text NOT NULL,
    status text NOT NULL,
    location text,
    updated_at timestamptz NOT NULL
);

CREATE TABLE tracking_history (
    tracking_number text NOT NULL,
    occurred_at timestamptz NOT NULL,
    status text NOT NULL,
    location text,
    PRIMARY KEY (tracking_number, occurred_at, status)
);

-- Of peer_upsert: the last state and nothing else.
CREATE TABLE parcels (
    tracking_number text PRIMARY KEY,
    status text NOT NULL,
    location text,
    at timestamptz NOT NULL
);

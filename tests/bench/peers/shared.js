// What the peers in Node share: the signature as CrossBorderly's guide checks it, over the raw bytes; the statements; two workers with a pool of ten each.
//
// Environment: PORT, SECRET_FILE, PEER_DSN (JSON for pg), WORKERS, POOL (connections of a worker).
'use strict';

const cluster = require('node:cluster');
const crypto = require('node:crypto');
const fs = require('node:fs');
const { Pool } = require('pg');

const secret = fs.readFileSync(process.env.SECRET_FILE, 'utf8').trim();

function verified(body, signature = '') {
  const expected = 'sha256=' + crypto.createHmac('sha256', secret).update(body).digest('hex');
  return signature.length === expected.length && crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
}

function makePool(settings = process.env.PEER_DSN) {
  return new Pool({ ...JSON.parse(settings), max: Number(process.env.POOL) });
}

// Named, so that pg prepares each once a connection.
const EVENT = {
  name: 'event',
  text: 'INSERT INTO webhook_events (event_id, event_type) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING',
};
const ORDER = {
  name: 'order',
  text: `INSERT INTO orders (order_number, status, updated_at) VALUES ($1, $2, $3)
    ON CONFLICT (order_number) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at`,
};
const BOX = {
  name: 'box',
  text: `INSERT INTO boxes (tracking_number, order_number, status, location, updated_at) VALUES ($1, $1, $2, $3, $4)
    ON CONFLICT (tracking_number) DO UPDATE SET status = excluded.status, location = excluded.location, updated_at = excluded.updated_at`,
};
const HISTORY = {
  name: 'history',
  text: 'INSERT INTO tracking_history (tracking_number, occurred_at, status, location) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
};

// One event, one transaction, four statements. An event that is known already changes nothing.
async function store(pool, event) {
  const { trackingNumber, newStatus, timestamp, location } = event.data;
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rowCount } = await client.query({ ...EVENT, values: [event.id, event.event] });
    if (rowCount > 0) {
      await client.query({ ...ORDER, values: [trackingNumber, newStatus, timestamp] });
      await client.query({ ...BOX, values: [trackingNumber, newStatus, location, timestamp] });
      await client.query({ ...HISTORY, values: [trackingNumber, timestamp, newStatus, location] });
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

const CTE = {
  name: 'cte',
  text: `WITH new_event AS (
      INSERT INTO webhook_events (event_id, event_type) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING RETURNING event_id
    ), changed_order AS (
      INSERT INTO orders (order_number, status, updated_at) SELECT $3, $4, $5::timestamptz FROM new_event
      ON CONFLICT (order_number) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at
    ), changed_box AS (
      INSERT INTO boxes (tracking_number, order_number, status, location, updated_at) SELECT $3, $3, $4, $6, $5::timestamptz FROM new_event
      ON CONFLICT (tracking_number) DO UPDATE SET status = excluded.status, location = excluded.location, updated_at = excluded.updated_at
    )
    INSERT INTO tracking_history (tracking_number, occurred_at, status, location) SELECT $3, $5::timestamptz, $4, $6 FROM new_event
    ON CONFLICT DO NOTHING`,
};

// The four as one statement: one round trip.
async function storeByCte(pool, event) {
  const { trackingNumber, newStatus, timestamp, location } = event.data;
  await pool.query({ ...CTE, values: [event.id, event.event, trackingNumber, newStatus, timestamp, location] });
}

const UPSERT = {
  name: 'upsert',
  text: `INSERT INTO parcels AS t (tracking_number, status, location, at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tracking_number) DO UPDATE SET status = excluded.status, location = excluded.location, at = excluded.at
    WHERE excluded.at >= t.at`,
};

// As sync engines do: the last state, guarded, and no history.
async function upsert(pool, event) {
  const { trackingNumber, newStatus, timestamp, location } = event.data;
  await pool.query({ ...UPSERT, values: [trackingNumber, newStatus, location, timestamp] });
}

// SERVE in each worker.
function run(serve) {
  if (cluster.isPrimary) {
    for (let i = 0; i < Number(process.env.WORKERS); i++) {
      cluster.fork();
    }
  } else {
    serve();
  }
}

module.exports = { verified, makePool, store, storeByCte, upsert, run };

// Express and pg. POST /webhooks/crossborderly stores an event, GET /status/orders/crossborderly/:id gives an order's document.
//
// Environment: shared.js's, and STATUS_DSN (JSON for pg), STATUS_TOKEN_SHA256.
'use strict';

const crypto = require('node:crypto');
const express = require('express');
const { verified, makePool, store, run } = require('./shared.js');

function authorized(req) {
  const token = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1] ?? '';
  return crypto.createHash('sha256').update(token).digest('hex') === process.env.STATUS_TOKEN_SHA256;
}

// One statement, which makes the document: one round trip, and no object a row in Node.
const READ = {
  name: 'read',
  text: `SELECT json_build_object(
      'id', o.order_number, 'status', o.status, 'updated_at', o.updated_at,
      'boxes', (SELECT json_agg(json_build_object(
          'tracking_number', b.tracking_number, 'status', b.status, 'location', b.location, 'updated_at', b.updated_at,
          'events', (SELECT json_agg(json_build_object('occurred_at', h.occurred_at, 'status', h.status, 'location', h.location) ORDER BY h.occurred_at)
              FROM tracking_history h WHERE h.tracking_number = b.tracking_number)) ORDER BY b.tracking_number)
        FROM boxes b WHERE b.order_number = o.order_number))::text AS document
    FROM orders o WHERE o.order_number = $1`,
};

function serve() {
  const writers = makePool();
  const readers = makePool(process.env.STATUS_DSN);
  const app = express();
  app.disable('x-powered-by');

  const json = express.json({ limit: '1mb', verify: (req, res, bytes) => { req.rawBody = bytes; } });
  app.post('/webhooks/crossborderly', json, async (req, res) => {
    if (!verified(req.rawBody, req.headers['x-crossborderly-signature'])) {
      return res.status(401).send('Invalid signature');
    }
    await store(writers, req.body);
    res.status(200).json({ received: true });
  });

  app.get('/status/orders/crossborderly/:id', async (req, res) => {
    if (!authorized(req)) {
      return res.status(401).end();
    }
    const { rows } = await readers.query({ ...READ, values: [req.params.id] });
    if (rows.length === 0) {
      return res.status(404).end();
    }
    res.set({ 'Cache-Control': 'private, no-cache', Vary: 'Authorization' });
    res.type('application/json').send(rows[0].document);
  });

  app.get('/livez', (req, res) => res.send('alive'));
  app.listen(Number(process.env.PORT), '127.0.0.1', 4096);
}

run(serve);

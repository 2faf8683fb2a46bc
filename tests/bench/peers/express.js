// The peer in Node: Express and pg, one worker a core, each with a pool of connections.
//
// POST /webhooks/crossborderly is the handler of CrossBorderly's guide: verify the signature, parse, call the ingest function with the one event, answer. The
// signature is checked over the raw bytes. GET /status/orders/crossborderly/:id gives the order's document with an ETag.
//
// Environment: PORT, SECRET_FILE, INGEST_SQL (a file), INGEST_DSN and STATUS_DSN (JSON for pg), STATUS_TOKEN_SHA256, POOL (connections of a worker).
'use strict';

const cluster = require('node:cluster');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');

// What the sender's words mean: status, phase and rank of the status, detail.
const WORDS = {
  LABEL_GENERATED: ['pre_transit', 2, 20, 'label_created'],
  PICKED_UP: ['in_transit', 2, 30, 'picked_up'],
  IN_TRANSIT: ['in_transit', 2, 30, null],
  CUSTOMS_PROCESSING: ['in_transit', 2, 30, 'customs_import'],
  OUT_FOR_DELIVERY: ['out_for_delivery', 2, 40, null],
  DELIVERED: ['delivered', 3, 90, null],
};
const UNKNOWN = ['unknown', 0, 0, null];

// The first half of a SHA-256 over fields, each behind its length, as a UUID of version 8.
function uuidOf(...fields) {
  const hash = crypto.createHash('sha256');
  for (const field of fields) {
    const bytes = Buffer.isBuffer(field) ? field : Buffer.from(field);
    const length = Buffer.alloc(8);
    length.writeUInt32BE(bytes.length, 4);
    hash.update(length).update(bytes);
  }
  const uuid = hash.digest().subarray(0, 16);
  uuid[6] = (uuid[6] & 0x0f) | 0x80;
  uuid[8] = (uuid[8] & 0x3f) | 0x80;
  return uuid;
}

function microseconds(text) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE((BigInt(Date.parse(text)) * 1000n) ^ (1n << 63n));
  return bytes;
}

const orderKey = (number) => uuidOf('order', 'crossborderly', 'true', number);

// The parameters of the ingest statement, in the order of tests/bench/ingest_sql.py.
function parameters(event, body, headers) {
  const { trackingNumber, previousStatus, newStatus, timestamp, location } = event.data;
  const [status, phase, rank, detail] = WORDS[newStatus] ?? UNKNOWN;
  const order = orderKey(trackingNumber);
  const box = uuidOf('box', order, trackingNumber);
  const delivery = uuidOf('delivery', 'crossborderly', 'true', event.id);
  const at = microseconds(timestamp);
  const tail = Buffer.concat([delivery, Buffer.alloc(4)]);
  return [
    body, JSON.stringify(headers), event.id, trackingNumber, newStatus, previousStatus, status, detail, location, timestamp,
    delivery.toString('hex'), order.toString('hex'), box.toString('hex'), uuidOf('event', box, tail).toString('hex'),
    Buffer.concat([at, tail]),
    Buffer.concat([Buffer.of(phase), at, Buffer.of(rank), Buffer.from(newStatus), Buffer.of(0), tail]),
    Buffer.concat([at, Buffer.of(0x80, 0, 0, 0, 0, 0, 0, 0), tail]),
  ];
}

function verified(secret, body, signature) {
  const expected = 'sha256=' + crypto.createHmac('sha256', secret).update(body).digest('hex');
  return signature.length === expected.length && crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
}

function authorized(req) {
  const token = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1] ?? '';
  return crypto.createHash('sha256').update(token).digest('hex') === process.env.STATUS_TOKEN_SHA256;
}

function serve() {
  const express = require('express');
  const { Pool } = require('pg');
  const secret = fs.readFileSync(process.env.SECRET_FILE, 'utf8').trim();
  const ingest = fs.readFileSync(process.env.INGEST_SQL, 'utf8');
  const pool = (dsn) => new Pool({ ...JSON.parse(dsn), max: Number(process.env.POOL) });
  const writers = pool(process.env.INGEST_DSN);
  const readers = pool(process.env.STATUS_DSN);
  const app = express();
  app.disable('x-powered-by');

  const json = express.json({ limit: '1mb', verify: (req, res, bytes) => { req.rawBody = bytes; } });
  app.post('/webhooks/crossborderly', json, async (req, res) => {
    const signature = req.headers['x-crossborderly-signature'] ?? '';
    if (!verified(secret, req.rawBody, signature)) {
      return res.status(401).send('Invalid signature');
    }
    const headers = {
      'Content-Type': req.headers['content-type'],
      'User-Agent': req.headers['user-agent'],
      'X-CrossBorderly-Signature': signature,
    };
    await writers.query({ name: 'ingest', text: ingest, values: parameters(req.body, req.rawBody, headers) });
    res.status(200).json({ received: true });
  });

  app.get('/status/orders/crossborderly/:id', async (req, res) => {
    if (!authorized(req)) {
      return res.status(401).end();
    }
    const { rows } = await readers.query({
      name: 'read',
      text: 'SELECT version, document FROM waybill_data.read_orders(ARRAY[$1]::uuid[], true, true)',
      values: [orderKey(req.params.id).toString('hex')],
    });
    if (rows.length === 0) {
      return res.status(404).end();
    }
    res.set({ ETag: `"${rows[0].version}"`, 'Cache-Control': 'private, no-cache', Vary: 'Authorization' });
    res.type('application/json').send(rows[0].document);
  });

  app.get('/livez', (req, res) => res.send('alive'));
  app.listen(Number(process.env.PORT), '127.0.0.1', 4096);
}

if (cluster.isPrimary) {
  for (let i = 0; i < os.availableParallelism(); i++) {
    cluster.fork();
  }
} else {
  serve();
}

// Fastify and pg. POST /webhooks/crossborderly stores an event; HANDLER says how: four, cte or upsert.
//
// Environment: shared.js's, and HANDLER.
'use strict';

const fastify = require('fastify');
const { verified, makePool, store, storeByCte, upsert, run } = require('./shared.js');

const handle = { four: store, cte: storeByCte, upsert }[process.env.HANDLER];

// With a schema Fastify writes the answer without looking at what it is made of.
const ANSWER = { response: { 200: { type: 'object', properties: { received: { type: 'boolean' } } } } };

function serve() {
  const pool = makePool();
  const app = fastify({ logger: false });
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => done(null, body));

  app.post('/webhooks/crossborderly', { schema: ANSWER }, async (request, reply) => {
    if (!verified(request.body, request.headers['x-crossborderly-signature'])) {
      return reply.code(401).send('Invalid signature');
    }
    await handle(pool, JSON.parse(request.body));
    return { received: true };
  });

  app.get('/livez', async () => 'alive');
  app.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
}

run(serve);

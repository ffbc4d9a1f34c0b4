/**
 * What the Admin API is measured against, a process of its own: HTTP, JSON and one statement, with no schema and no
 * change log. `node bare-api.ts SETTINGS` (a store's settings as JSON) prints its port.
 *
 * `POST /rows` inserts a document, `GET /rows/{id}` and `GET /rows` read one and a hundred, `POST /bulk` inserts an
 * array of documents in one transaction.
 */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

import { openDatabase, type StoreSettings } from '../../cp/store/open.ts';

const BATCH = 500;

const settings: StoreSettings = JSON.parse(process.argv[2] ?? '');
const database = await openDatabase(settings);
await database.query('CREATE TABLE bare (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), document json NOT NULL)');

const insert = {
  name: 'bare_insert',
  text: 'INSERT INTO bare (document) SELECT * FROM json_array_elements($1::json) RETURNING id, document',
};
const select = { name: 'bare_select', text: 'SELECT id, document FROM bare WHERE id = $1' };
const list = { name: 'bare_list', text: 'SELECT id, document FROM bare ORDER BY id LIMIT 100' };

const app = new Hono();
app.post('/rows', async (c) => c.json((await database.query(insert, [JSON.stringify([await c.req.json()])]))[0], 201));
app.get('/rows/:id', async (c) => c.json((await database.query(select, [c.req.param('id')]))[0]));
app.get('/rows', async (c) => c.json({ data: await database.query(list) }));
app.post('/bulk', async (c) => {
  const documents: unknown[] = await c.req.json();
  await database.transaction(async (inside) => {
    for (let start = 0; start < documents.length; start += BATCH) {
      await inside.query(insert, [JSON.stringify(documents.slice(start, start + BATCH))]);
    }
  });
  return c.json({ inserted: documents.length });
});

serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => process.stdout.write(`${port}\n`));

import { afterAll, beforeAll, expect, test } from 'vitest';
import { recordOrEmpty } from '../../../shared/record.ts';
import { type RunningControlPlane, runControlPlane } from '../running-control-plane.ts';

/** Milliseconds for what takes a moment, also on a busy machine. */
const PATIENCE = { timeout: 60_000 };
const FAR = 4_000_000_000;

let plane: RunningControlPlane;
let services = 0;
beforeAll(async () => {
  plane = await runControlPlane();
  await ask('PUT', '/groups/default', { publish: 'release' });
});
afterAll(() => plane?.stop());

async function ask(method: string, path: string, body?: object) {
  const headers = { 'content-type': 'application/json' };
  const json = body === undefined ? {} : { headers, body: JSON.stringify(body) };
  const answer = await fetch(`${plane.admin}${path}`, { method, ...json });
  const text = await answer.text();
  return { status: answer.status, body: recordOrEmpty(text === '' ? null : JSON.parse(text)) };
}

const write = () => ask('POST', '/services', { name: `service-${++services}`, host: 'a.test' });
const release = (more: object) => ask('POST', '/releases', { group: 'default', ...more });
const order = (id: unknown, what: string, body: object = {}) => ask('POST', `/releases/${String(id)}/${what}`, body);

test('a time that is none, is of no zone, or was meant in milliseconds, is refused; one that is over begins at once', async () => {
  await write();
  const none = [
    '  ',
    true,
    [],
    {},
    [FAR],
    '0x10',
    '2040-01-01',
    '2040-01-01T00:00:00',
    '2040-13-45T00:00:00Z',
    'tomorrow',
  ];
  for (const at of [...none, -1, 1e300, FAR * 1000, 9e15]) {
    const { status, body } = await release({ at });
    expect([status, recordOrEmpty(body.fields).at], JSON.stringify(at)).toEqual([
      400,
      expect.stringContaining('a time with its zone as in 2030-01-31T08:00:00Z'),
    ]);
  }
  const elsewhere = await release({ at: '2040-01-01T05:30:00+05:30' });
  expect(elsewhere.body).toMatchObject({ state: 'scheduled', at: Date.UTC(2040, 0, 1) / 1000 });
  await order(elsewhere.body.id, 'abort');
  const over = await release({ at: '2001-01-01T00:00:00Z' });
  expect(over.status).toBe(201);
  await expect
    .poll(async () => (await ask('GET', `/releases/${String(over.body.id)}`)).body.state, PATIENCE)
    .toBe('live');
});

test('numbers, names and groups that cannot be are refused, and what is told of them is short', async () => {
  await write();
  const long = 'x'.repeat(10_000);
  const refused: readonly (readonly [ring: object, field: string])[] = [
    [{ hold: -1 }, 'hold'],
    [{ hold: 1e308 }, 'hold'],
    [{ hold: '5' }, 'hold'],
    [{ nodes: { percent: 100.1 } }, 'nodes.percent'],
    [{ nodes: { labels: long } }, 'nodes.labels'],
    [{ nodes: { labels: 'область = юг' } }, 'nodes.labels'],
    [{ traffic: { percent: 5, by: `header:${long}` } }, 'traffic.by'],
    [{ traffic: { percent: 5, by: 'header:ü' } }, 'traffic.by'],
    [{ gates: { max_nack: 0.5 } }, 'gates.max_nack'],
    [{ gates: { min_nodes: 1.5 } }, 'gates.min_nodes'],
    [{ gates: { max_gone_increase: 101 } }, 'gates.max_gone_increase'],
    [{ gates: { min_requests: 1.5 } }, 'gates.min_requests'],
    [{ gates: { max_p99_ratio: 0 } }, 'gates.max_p99_ratio'],
    [{ [long]: 1 }, long.slice(0, 64)],
  ];
  for (const [ring, field] of refused) {
    const { status, body } = await release({ at: FAR, strategy: [{}, ring] });
    expect([status, Object.keys(recordOrEmpty(body.fields))], field).toEqual([400, [`strategy[2].${field}`]]);
    expect(JSON.stringify(body).length).toBeLessThan(600);
  }
  expect(await release({ group: long })).toMatchObject({
    status: 409,
    body: { message: `there is no group '${long.slice(0, 64)}'` },
  });
  expect((await ask('GET', '/releases?group=%00')).status).toBe(400);

  // In another alphabet all goes as ever.
  await ask('POST', '/groups', { name: '世界', labels: 'in = world', publish: 'release' });
  const pending = `/groups/${encodeURIComponent('世界')}/pending`;
  await expect.poll(async () => (await ask('GET', pending)).status, PATIENCE).toBe(200);
  await write();
  expect((await release({ group: '世界' })).body).toMatchObject({ group: '世界', state: 'live' });
});

test('who says what was seen to be pending releases that, and nothing that was written since', async () => {
  await write();
  const pending = async () => (await ask('GET', '/groups/default/pending')).body;
  const { config_hash: seen, data } = await pending();
  expect([typeof seen, Array.isArray(data) && data.length > 0]).toEqual(['string', true]);
  await write();
  expect(await release({ config_hash: seen })).toMatchObject({
    status: 409,
    body: { message: "what is pending for group 'default' is something else than was seen: look at it again" },
  });
  for (const none of [1, ['a'], {}]) {
    const { status, body } = await release({ config_hash: none });
    expect([status, Object.keys(recordOrEmpty(body.fields))], JSON.stringify(none)).toEqual([400, ['config_hash']]);
  }
  const { config_hash: now } = await pending();
  expect(await release({ config_hash: now })).toMatchObject({ status: 201, body: { config_hash: now } });
  expect((await pending()).data).toEqual([]);
});

test('of two people who order at once one is first; and nobody rolls back over a release that is on its way', async () => {
  await write();
  const rings = { strategy: Array.from({ length: 6 }, () => ({ hold: 3600 })) };
  const made = await Promise.all([1, 2, 3].map(() => release(rings)));
  expect(made.map(({ status }) => status).toSorted()).toEqual([201, 409, 409]);
  const id = made.find(({ status }) => status === 201)?.body.id;
  const statuses = async (...orders: readonly string[]) =>
    (await Promise.all(orders.map((one) => order(id, one)))).map(({ status }) => status).toSorted();
  // Whoever is second and says nothing of it either saw the ring that the other one left, and is refused, or the next, and promotes that.
  const promoted = (await statuses('promote', 'promote')).filter((status) => status === 200).length;
  const standing = async () => (await ask('GET', `/releases/${String(id)}`)).body;
  const ring = 1 + promoted;
  expect(await standing()).toMatchObject({ state: 'rolling', ring });
  expect(await statuses('pause', 'pause', 'pause')).toEqual([200, 409, 409]);
  expect(await statuses('resume', 'resume')).toEqual([200, 409]);
  expect(await standing()).toMatchObject({ state: 'rolling', ring });

  // Who says at which ring it was seen has it moved on from there alone, however many say so, at once or later.
  const seen = { ring };
  const orders = await Promise.all([1, 2, 3, 4].map(() => order(id, 'promote', seen)));
  expect(orders.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409]);
  expect(await standing()).toMatchObject({ state: 'rolling', ring: ring + 1 });
  for (const late of ['promote', 'pause', 'abort']) {
    expect(await order(id, late, seen)).toMatchObject({
      status: 409,
      body: {
        message: `the release moved on meanwhile: it is rolling at ring ${ring + 1}, and was seen at ring ${ring}`,
      },
    });
  }
  const form = { method: 'POST', body: new URLSearchParams({ ring: String(ring) }) };
  expect((await fetch(`${plane.admin}/releases/${String(id)}/promote`, form)).status).toBe(409);
  for (const none of [0, -1, 1.5, '1x', true, [ring + 1], {}]) {
    const { status, body } = await order(id, 'promote', { ring: none });
    expect([status, Object.keys(recordOrEmpty(body.fields))], JSON.stringify(none)).toEqual([400, ['ring']]);
  }
  expect(await order(id, 'promote', { rings: ring + 1 })).toMatchObject({
    status: 400,
    body: { fields: { rings: 'unknown field' } },
  });
  expect(await standing()).toMatchObject({ state: 'rolling', ring: ring + 1 });

  expect(await statuses('promote', 'abort')).toContain(200);
  const after = await standing();
  if (after.state !== 'aborted') await order(id, 'abort');
  expect(await order(id, 'abort')).toMatchObject({
    status: 409,
    body: { message: 'a release that is aborted cannot be told to abort' },
  });

  const scheduled = await release({ at: FAR });
  expect(await order(id, 'rollback')).toMatchObject({
    status: 409,
    body: { message: expect.stringContaining('is on its way') },
  });
  // One that has not begun is seen at no ring.
  const begun = await Promise.all([1, 2].map(() => order(scheduled.body.id, 'promote', { ring: null })));
  expect(begun.map(({ status }) => status).toSorted()).toEqual([200, 409]);
  expect((await ask('GET', `/releases/${String(scheduled.body.id)}`)).body).toMatchObject({ state: 'live' });
});

test('of two who release, or go back, at once the second is told that data planes have something else by now', async () => {
  await write();
  const made = await Promise.all([1, 2, 3].map(() => release({})));
  expect(made.map(({ status }) => status).toSorted()).toEqual([201, 409, 409]);
  await write();
  await release({});
  const { data } = (await ask('GET', '/releases?group=default')).body;
  const [, former, earlier] = Array.isArray(data) ? data.map(recordOrEmpty) : [];
  const back = await Promise.all([former, former, earlier].map((one) => order(one?.id, 'rollback')));
  expect(back.map(({ status }) => status).toSorted()).toEqual([201, 409, 409]);
  const newest = back.find(({ status }) => status === 201)?.body;
  const { data: after } = (await ask('GET', '/releases?group=default')).body;
  expect(Array.isArray(after) ? after.map(recordOrEmpty).filter(({ state }) => state === 'live') : []).toEqual([
    expect.objectContaining({ id: newest?.id, rollback_to: newest?.rollback_to }),
  ]);
});

test('rings that choose nobody go on after their time, and a group that is deleted takes its releases with it', async () => {
  await write();
  const strategy = [
    { nodes: { labels: 'no = such' }, hold: 0 },
    { hold: 3600, gates: { min_nodes: 3 } },
  ];
  const { body: empty } = await release({ strategy });
  const read = async (id: unknown) => (await ask('GET', `/releases/${String(id)}`)).body;
  await expect.poll(async () => (await read(empty.id)).ring, PATIENCE).toBe(2);
  const figures = recordOrEmpty((await read(empty.id)).figures);
  expect(figures).toMatchObject({
    nodes: 0,
    waits_for: [expect.stringContaining('(hold)'), '0 of 3 data planes (min_nodes)'],
  });
  await order(empty.id, 'abort');

  await ask('POST', '/groups', { name: 'gone', labels: 'in = gone', publish: 'release' });
  await expect.poll(async () => (await ask('GET', '/groups/gone/pending')).status, PATIENCE).toBe(200);
  await write();
  const { body: rolling } = await release({ group: 'gone', strategy: [{ hold: 3600 }] });
  expect(rolling.state).toBe('rolling');
  await ask('DELETE', '/groups/gone');
  await expect.poll(async () => (await read(rolling.id)).state, PATIENCE).toBe('aborted');
  expect((await read(rolling.id)).reason).toBe('the group no longer publishes by releases');
  expect((await order(rolling.id, 'promote')).status).toBe(409);
  expect(await order(rolling.id, 'rollback')).toMatchObject({
    status: 409,
    body: { message: "there is no group 'gone' any more" },
  });
});

import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { EventHub } from '../../../cp/events/hub.ts';
import { NodeNews } from '../../../cp/events/node-news.ts';
import { loadSigningKey } from '../../../cp/pki/cluster-tls.ts';
import { openStore } from '../../../cp/store/open.ts';
import type { NodeStanding } from '../../../cp/store/store.ts';
import { recordOrEmpty } from '../../../shared/record.ts';
import { once } from '../../once.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';
import { controlPlaneOver, hello, TestLink, verify } from '../cluster/control-plane.ts';
import { type RunningControlPlane, runControlPlane } from '../running-control-plane.ts';
import { workspaceOf } from '../store/workspace-of.ts';
import { EventReader } from './event-reader.ts';

let server: PostgresServer;
let a: RunningControlPlane;
let b: RunningControlPlane;
const IDS = ['aaaaaaaa-2222-4333-8444-555555555555', 'bbbbbbbb-2222-4333-8444-555555555555'] as const;

beforeAll(async () => {
  server = await startPostgres();
  await (await openStore(server.settings(), { migrate: true })).close();
  const { pg_host, pg_port, pg_user, pg_database } = server.settings();
  const database = { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database };
  a = await runControlPlane(database, IDS[0]);
  const { cluster_cert, cluster_cert_key, bundle_signing_key } = a.settings;
  const same = { cluster_cert, cluster_cert_key, bundle_signing_key };
  b = await runControlPlane({ ...database, ...texts(same) }, IDS[1]);
});
afterAll(async () => {
  await b?.stop();
  await a?.stop();
  await server?.stop();
});

const texts = (settings: Readonly<Record<string, string | null>>) =>
  Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value ?? '']));

async function send(plane: RunningControlPlane, method: string, path: string, body?: unknown) {
  const response = await fetch(plane.admin + path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await response.text();
  expect(response.status, text).toBeLessThan(300);
  return { headers: response.headers, body: recordOrEmpty(text === '' ? {} : JSON.parse(text)) };
}

/** A data plane that is connected to a control plane, and says of each manifest what `answer` says. */
async function dataPlane(plane: RunningControlPlane, id: string, labels: Record<string, string> = {}) {
  const pem = (path: string | null) => readFileSync(path ?? '', 'utf8');
  const cert = pem(plane.settings.cluster_cert);
  const tls = { cert, key: pem(plane.settings.cluster_cert_key), ca: cert, servername: 'kong_clustering' };
  const key = await loadSigningKey(plane.settings.bundle_signing_key ?? '');
  const link = await TestLink.open(plane.plane.cluster?.port ?? 0, tls, key);
  onTestFinished(() => link.socket.terminate());
  const node = { link, refuses: false };
  link.say({ ...hello({ id, hostname: id, version: '0.1.0', labels }), assignable: true });
  void (async () => {
    for (;;) {
      const message = await link.hearAny().catch(() => null);
      if (message === null) return;
      if (message.type !== 'manifest') continue;
      const { serial, config_hash } = await verify(message.manifest, null).catch(() => claimsOf(message.manifest));
      if (node.refuses) link.say({ type: 'rejected', serial, reason: 'does not compile' });
      else link.say({ type: 'applied', serial, config_hash });
    }
  })();
  return node;
}

/** What a manifest says, whoever signed it. */
function claimsOf(jws: string): { serial: number; config_hash: string } {
  const { serial, config_hash } = recordOrEmpty(
    JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()),
  );
  return { serial: Number(serial), config_hash: String(config_hash) };
}

test('what is written, published and applied is told at every control plane, with data planes and releases of all of them', async () => {
  const [here, there] = [await EventReader.open(`${a.admin}/events`), await EventReader.open(`${b.admin}/events`)];
  expect(here.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect((await here.event('hello')).data).toMatchObject({ control_plane: IDS[0], missed: [] });
  expect((await there.event('hello')).data).toMatchObject({ control_plane: IDS[1] });

  const id = crypto.randomUUID();
  const node = await dataPlane(b, id, { in: 'staged' });
  for (const reader of [here, there]) {
    await reader.event('node', { id, change: 'joined', group: 'default' });
    await reader.event('node', { id, change: 'applied', reason: null });
  }
  const written = await send(a, 'POST', '/services', { name: 'told', host: 'told.test' });
  const serial = Number(written.headers.get('x-holdfast-serial'));
  for (const reader of [here, there]) {
    const { data } = await reader.event('change', { serial });
    const by = { via: 'admin_api', user: null, address: '127.0.0.1', client: 'node' };
    expect(data).toMatchObject({ total: 1, at: expect.any(Number), by });
    expect(data.changes).toEqual([{ entity: 'services', id: written.body.id, operation: 'create' }]);
    const published = await reader.event('published', { group: 'default', changed: true });
    expect(published.data.serial).toBeGreaterThanOrEqual(serial);
    await reader.event('node', { id, change: 'applied', serial: published.data.serial });
  }

  // A group that waits for its release, ring by ring; the data plane moves to it, and refuses what it is given.
  await send(a, 'POST', '/groups', { name: 'staged', labels: 'in = staged', publish: 'release' });
  for (const reader of [here, there]) await reader.event('node', { id, change: 'moved', group: 'staged' });
  await send(a, 'POST', '/services', { name: 'later', host: 'later.test' });
  node.refuses = true;
  const strategy = [{ nodes: { percent: 100 }, hold: 3600, gates: { max_nack: 9 } }];
  const release = String((await send(b, 'POST', '/releases', { group: 'staged', strategy })).body.id);
  for (const reader of [here, there]) {
    await reader.event('release', { id: release, state: 'rolling', ring: 1, rings: 1, group: 'staged' });
    await reader.event('node', { id, change: 'rejected', reason: 'does not compile', group: 'staged' });
  }
  await send(a, 'POST', `/releases/${release}/abort`);
  for (const reader of [here, there]) await reader.event('release', { id: release, state: 'aborted', ring: null });

  // Another, whatever is ordered of it, and back to what was live before it.
  node.refuses = false;
  const staged = { group: 'staged' };
  const two = [{ nodes: { percent: 0 }, hold: 3600 }, { hold: 3600 }];
  const at = Date.now() / 1000 + 3600;
  const { body: made } = await send(b, 'POST', '/releases', { ...staged, strategy: two, at });
  const isTold = async (state: string, ring: number | null, serial: unknown) => {
    for (const reader of [here, there]) await reader.event('release', { ...staged, id: made.id, state, ring, serial });
  };
  await isTold('scheduled', null, made.serial);
  const steps: readonly (readonly [order: string, state: string, ring: number | null])[] = [
    ['promote', 'rolling', 1],
    ['pause', 'paused', 1],
    ['resume', 'rolling', 1],
    ['promote', 'rolling', 2],
    ['promote', 'live', null],
  ];
  for (const [order, state, ring] of steps) {
    const { body } = await send(a, 'POST', `/releases/${made.id}/${order}`);
    await isTold(state, ring, body.serial);
  }
  const { data: releases } = (await send(a, 'GET', '/releases?group=staged')).body;
  const before = (Array.isArray(releases) ? releases.map(recordOrEmpty) : []).find(({ state }) => state === 'replaced');
  const { body: back } = await send(b, 'POST', `/releases/${before?.id}/rollback`);
  for (const reader of [here, there]) {
    await reader.event('release', { ...staged, id: back.id, state: 'live', ring: null });
    await reader.event('release', { ...staged, id: made.id, state: 'replaced', ring: null });
    const told = reader.heard.filter(({ kind, data }) => kind === 'release' && data.id === made.id);
    expect(told.map(({ data: { state, ring } }) => [state, ring])).toEqual([
      ['scheduled', null],
      ...steps.map(([, state, ring]) => [state, ring]),
      ['replaced', null],
    ]);
  }
  node.link.socket.close();
  for (const reader of [here, there]) await reader.event('node', { id, change: 'left' });
});

test('a group whose selection does not hold together is told as trouble, and that it is over', async () => {
  const reader = await EventReader.open(`${b.admin}/events`);
  await reader.event('hello');
  const { body } = await send(a, 'POST', '/services', { name: 'untagged', host: 'h.test' });
  await send(a, 'POST', '/groups', { name: 'torn', labels: 'in = torn', select_tags: 'torn' });
  const route = await send(a, 'POST', '/routes', { paths: ['/torn'], service: { id: body.id }, tags: ['torn'] });
  expect(String((await reader.event('trouble', { group: 'torn' })).data.reason)).toContain('refusing to publish');
  await send(a, 'DELETE', `/routes/${route.body.id}`);
  await reader.event('trouble', { group: 'torn', reason: null });
});

test('who comes back has everything from the same control plane, the changes from another, and is told what else it may have missed', async () => {
  const before = await EventReader.open(`${a.admin}/events`);
  await before.event('hello');
  const { headers } = await send(a, 'POST', '/services', { name: 'first', host: 'h.test' });
  await before.event('change', { serial: Number(headers.get('x-holdfast-serial')) });
  before.close();
  const missedSerials: number[] = [];
  for (const name of ['second', 'third']) {
    const answer = await send(b, 'POST', '/services', { name, host: 'h.test' });
    missedSerials.push(Number(answer.headers.get('x-holdfast-serial')));
  }
  const again = await EventReader.open(`${a.admin}/events`, { 'last-event-id': before.lastId });
  expect((await again.event('hello')).data.missed).toEqual([]);
  for (const serial of missedSerials) await again.event('change', { serial });
  await again.event('published', { serial: missedSerials[1] });
  const serials = again.heard.flatMap(({ kind, data }) => (kind === 'change' ? [data.serial] : []));
  expect(serials).toEqual(missedSerials);

  // By the query, as a page does that was loaded anew.
  const elsewhere = await EventReader.open(`${b.admin}/events?last_event_id=${before.lastId}`);
  const others = ['published', 'node', 'release', 'trouble'];
  expect((await elsewhere.event('hello')).data.missed).toEqual(others);
  for (const serial of missedSerials) await elsewhere.event('change', { serial });
  expect(elsewhere.heard.filter(({ kind }) => kind === 'change').map(({ data }) => data.serial)).toEqual(missedSerials);

  // An older database took its place: the serial is there, and is another commit's.
  const forged = before.lastId.replace(/^(\d+)\.[0-9a-f]{8}\.[0-9a-f]{8}/, '$1.00000000.00000000');
  for (const id of [forged, '999999999.00000000.00000000.1', 'nonsense']) {
    const lost = await EventReader.open(`${b.admin}/events`, { 'last-event-id': id });
    expect((await lost.event('hello')).data.missed, id).toEqual(['change', ...others]);
  }
});

test('pages of the web UI may read it, others may not; streams end when the control plane stops', async () => {
  const own = await EventReader.open(`${a.admin}/events`, { origin: a.ui });
  expect(own.response.headers.get('access-control-allow-origin')).toBe(a.ui);
  const foreign = await EventReader.open(`${a.admin}/events`, { origin: 'https://evil.test' });
  expect(foreign.response.headers.get('access-control-allow-origin')).toBeNull();
  expect((await fetch(`${a.admin}/events`, { method: 'HEAD' })).headers.get('content-type')).toContain('event-stream');
  expect((await fetch(`${a.admin}/events`, { method: 'POST' })).status).toBe(405);
  await own.event('hello');
  // Neither do those who wait for data planes; this one is known to be in flight.
  const waiting = request(`${a.admin}/wait/999999999?timeout=300`, { headers: { expect: '100-continue' } });
  waiting.flushHeaders();
  await once(waiting, 'continue');
  const answered = once(waiting, 'response');
  // Far longer than the test may take: it does not wait for those who read.
  await a.plane.drain(3_600_000);
  await expect.poll(() => [own.ended, foreign.ended], { timeout: 60_000 }).toEqual([true, true]);
  const [answer] = await answered;
  expect(answer.statusCode).toBe(503);
  expect(await text(answer)).toContain('this control plane is stopping: ask another one');
});

test('one who does not read is cut off alone, one too many is refused, and a quiet stream has comments', async () => {
  const store = await openStore(server.settings());
  const { publisher, listener, stop } = await controlPlaneOver(store);
  const warnings: string[] = [];
  const hub = new EventHub({
    changes: store.changes,
    log: store.log,
    releases: store.releases,
    registry: store.nodes,
    publisher,
    nodes: listener.nodes,
    controlPlane: listener.self.id,
    onForgotten: (callback) => listener.onForgotten(callback),
    warn: (message) => warnings.push(message),
    mostUnread: 3000,
    mostReaders: 2,
    heartbeat: 50,
  });
  onTestFinished(async () => {
    await hub.close();
    await stop();
    await store.close();
  });
  const idle = await hub.open(null);
  let text = '';
  const reading = (async () => {
    for await (const chunk of await hub.open(null)) text += Buffer.from(chunk);
  })();
  await expect.poll(() => text, { timeout: 60_000 }).toContain('\n\n:\n\n');
  await expect(hub.open(null)).rejects.toThrow('2 readers of events are connected');
  const here = await workspaceOf(store);
  for (let number = 0; number < 15; number++) await here.entity('services').insert({ host: `h${number}.test` });
  await expect
    .poll(() => warnings, { timeout: 60_000 })
    .toEqual([expect.stringContaining('does not read what it is sent')]);
  await expect(idle.getReader().read()).rejects.toThrow('too slow');
  await expect.poll(() => text.match(/^event: change$/gm)?.length, { timeout: 60_000 }).toBe(15);
  // There is room again.
  await (await hub.open(null)).cancel();
  await hub.close();
  await reading;
});

test('what left is told of once, and nothing is kept of it, however many come under ever new ids', () => {
  const news = new NodeNews();
  const standing = (id: string, connected: boolean): NodeStanding => ({
    ...{ id, hostname: id, group: 'default', connected, serial: 1, config_hash: 'hash', sync_status: 'normal' },
    ...{ reason: null, rejected: false, at: 1 },
  });
  news.know(standing('gone before', false));
  for (let number = 0; number < 100; number++) {
    const changes = [true, true, false, false, true, false].map((connected) =>
      news.look(standing(`node ${number}`, connected)).map(({ data }) => recordOrEmpty(data).change),
    );
    expect(changes).toEqual([['joined', 'applied'], [], ['left'], [], ['joined', 'applied'], ['left']]);
  }
  expect(news.size).toBe(0);
});

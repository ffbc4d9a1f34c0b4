import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { isRecord } from '../../shared/record.ts';
import {
  admin,
  type ClusterFolder,
  createCluster,
  type RunningControlPlane,
  type RunningDataPlane,
  runHoldfast,
} from './processes.ts';

/** Milliseconds for what takes a moment, also on a busy machine. */
const PATIENCE = { timeout: 60_000 };

let cluster: ClusterFolder;
let plane: RunningControlPlane;
const nodes: RunningDataPlane[] = [];

beforeAll(async () => {
  cluster = await createCluster();
  plane = await cluster.controlPlane();
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.end('SIGKILL')));
  await plane?.end('SIGKILL');
  cluster?.remove();
});

const call = (method: string, path: string, body?: unknown) => admin(`${plane.admin}${path}`, method, body);

/** Statuses of these paths at a data plane. */
const served = (node: RunningDataPlane, ...paths: readonly string[]) =>
  Promise.all(paths.map(async (path) => (await fetch(`${node.proxy}${path}`)).status));

async function answering(path: string, status: number, tags: readonly string[]): Promise<void> {
  const name = path.slice(1);
  await call('PUT', `/routes/${name}`, { paths: [path], tags });
  const config = { status_code: status };
  await call('POST', '/plugins', { name: 'request-termination', route: { name }, config, tags });
}

const namesIn = (group: Record<string, unknown>): unknown[] =>
  Array.isArray(group.nodes) ? group.nodes.map((node) => (isRecord(node) ? node.id : node)) : [];

it('two groups serve different routes on real data planes; labels and selectors move a node; what hangs in the air is refused', async () => {
  const conf = join(cluster.path, 'movable.conf');
  writeFileSync(conf, 'cluster_dp_labels = region:eu\n');
  const movable = await cluster.dataPlane('movable', { data_plane_host: 'node' }, ['-c', conf]);
  nodes.push(movable);
  const other = await cluster.dataPlane('other', { cluster_dp_labels: 'region:us' });
  nodes.push(other);

  await answering('/eu', 218, ['eu']);
  await answering('/us', 219, ['us']);
  await answering('/both', 220, ['eu', 'us']);
  await call('PUT', '/groups/eu', { labels: 'region = eu', select_tags: 'eu' });
  await call('PUT', '/groups/default', { select_tags: 'us' });
  await expect.poll(() => served(movable, '/eu', '/us', '/both'), PATIENCE).toEqual([218, 404, 220]);
  await expect.poll(() => served(other, '/eu', '/us', '/both'), PATIENCE).toEqual([404, 219, 220]);
  await call('GET', '/wait?group=eu&timeout=60');

  const eu = await call('GET', '/groups/eu');
  const us = await call('GET', '/groups/default');
  expect([namesIn(eu).length, namesIn(us).length]).toEqual([1, 1]);
  expect(eu).toMatchObject({ name: 'eu', trouble: null, serial: us.serial });
  expect(eu.config_hash).not.toBe(us.config_hash);
  const [movableId] = namesIn(eu);
  const groupOf = async (id: unknown) => (await call('GET', `/clustering/data-planes/${id}`)).group;
  expect(await groupOf(movableId)).toBe('eu');

  // Its labels change, with a reload.
  writeFileSync(conf, 'cluster_dp_labels = region:us\n');
  const reloaded = await runHoldfast(['reload', '-p', join(cluster.path, 'movable')]);
  expect(reloaded.code, reloaded.output).toBe(0);
  await expect.poll(() => served(movable, '/eu', '/us', '/both'), PATIENCE).toEqual([404, 219, 220]);
  await expect.poll(() => groupOf(movableId), PATIENCE).toBe('default');

  // The selector changes, and with it the group of both.
  await call('PATCH', '/groups/eu', { labels: 'region in (eu, us)' });
  for (const node of nodes)
    await expect.poll(() => served(node, '/eu', '/us', '/both'), PATIENCE).toEqual([218, 404, 220]);

  // A route whose service is not selected: the write stands, the group keeps what it has, and says why.
  await call('PUT', '/services/untagged', { url: 'http://127.0.0.1:9' });
  const torn = await fetch(`${plane.admin}/services/untagged/routes`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'torn', paths: ['/torn'], tags: ['eu'] }),
  });
  expect(torn.status).toBe(201);
  expect(torn.headers.get('x-holdfast-withheld')).toMatch(
    /group 'eu'.*routes .* \(torn\) refers to services .*, which the group does not select/,
  );
  expect((await call('GET', '/groups/eu')).trouble).toContain('(torn) refers to services');
  expect((await call('GET', '/groups/default')).trouble).toBeNull();
  expect(await served(movable, '/eu', '/torn')).toEqual([218, 404]);
  await call('DELETE', '/routes/torn');
  await expect.poll(async () => (await call('GET', '/groups/eu')).trouble, PATIENCE).toBeNull();

  // What is no selector is refused where it is written.
  const refused = await fetch(`${plane.admin}/groups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'x', labels: 'region is eu', select_tags: 'a,b/c' }),
  });
  expect(await refused.json()).toMatchObject({
    name: 'schema violation',
    fields: { labels: expect.stringContaining("found 'region is eu'"), select_tags: expect.stringContaining("'/'") },
  });
});

it('copies of answers on all data planes are forgotten at the Admin API, one of them or all', async () => {
  let answered = 0;
  const origin = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' }).end(String(++answered));
  });
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    origin.closeAllConnections();
    origin.close();
  });
  const tags = ['eu'];
  const { port } = origin.address() as AddressInfo;
  await call('PUT', '/services/origin', { url: `http://127.0.0.1:${port}`, tags });
  await call('PUT', '/routes/cached', { paths: ['/cached'], service: { name: 'origin' }, tags });
  const config = { strategy: 'memory', content_type: ['text/plain'] };
  await call('POST', '/routes/cached/plugins', { name: 'proxy-cache', config, tags });

  const ask = async ({ proxy }: RunningDataPlane, path: string) => {
    const response = await fetch(`${proxy}${path}`, { headers: { host: 'cached.test' } });
    const outcome = response.headers.get('x-cache-status');
    return { outcome, key: response.headers.get('x-cache-key') ?? '', text: await response.text() };
  };
  const kept = async (path: string) => {
    for (const node of nodes)
      await expect.poll(async () => (await ask(node, path)).outcome, { ...PATIENCE, message: path }).toBe('Hit');
    return Promise.all(nodes.map((node) => ask(node, path)));
  };
  const gone = async (path: string, before: readonly { readonly text: string }[]) => {
    for (const [n, node] of nodes.entries())
      await expect.poll(async () => (await ask(node, path)).text, PATIENCE).not.toBe(before[n]?.text);
  };
  const [one, other] = [await kept('/cached/one'), await kept('/cached/other')];
  const [{ key = '' } = {}, same] = one;
  expect(same?.key).toBe(key);
  expect(await call('GET', `/proxy-cache/${key}`)).toMatchObject({ status: 200, body_len: 1 });
  await call('DELETE', `/proxy-cache/${key}`);
  await gone('/cached/one', one);
  for (const [n, node] of nodes.entries())
    expect(await ask(node, '/cached/other')).toMatchObject({ outcome: 'Hit', text: other[n]?.text });
  const again = await kept('/cached/one');
  await call('DELETE', '/proxy-cache');
  await gone('/cached/one', again);
  await gone('/cached/other', other);
});

it('a group that publishes by releases gets what is released, by the command, and back what it had', async () => {
  const [node] = nodes;
  if (node === undefined) throw new Error('the data planes of the test before are not there');
  await call('PATCH', '/groups/eu', { publish: 'release' });
  await answering('/new', 221, ['eu']);
  // The other groups get it at once, so it has been published.
  await call('PUT', '/groups/everything', { priority: -1 });
  await call('GET', '/groups/everything');
  const { id } = await call('GET', '/groups/eu');
  const { data } = await call('GET', `/groups/${id}/pending`);
  expect(data).toMatchObject([
    { entity: 'routes', name: 'new', operation: 'create' },
    { entity: 'plugins', name: 'request-termination', operation: 'create' },
  ]);
  expect(await served(node, '/eu', '/new')).toEqual([218, 404]);

  // Whoever compares a file with the Admin API, as decK does, sees what is written, not what is released.
  const written = join(cluster.path, 'written.yml');
  const config = (...words: readonly string[]) => runHoldfast(['config', ...words, '-p', plane.prefix]);
  expect((await config('export', written)).code).toBe(0);
  expect(await config('diff', written)).toMatchObject({ code: 0, output: 'nothing is different\n' });

  const release = (...words: readonly string[]) => runHoldfast(['release', ...words, '-p', plane.prefix]);
  const asked = join(cluster.path, 'asked.json');
  writeFileSync(asked, '[{ "path": "/new" }, { "path": "/eu" }]');
  const foreseen = await release('replay', '--pending', 'eu', '--requests', asked);
  expect(foreseen.output).toMatch(
    /GET http:\/\/\/new\n {2}route: none -> new\n {2}plugins: .*\n {2}status: 404 -> 221\n/,
  );
  expect(foreseen.code).toBe(3);
  // The running control plane's config, with no data plane.
  const alone = await config('replay', written, '--requests', asked);
  expect(alone, alone.output).toMatchObject({ code: 0 });
  const strategy = JSON.stringify([{ nodes: { percent: 50 }, hold: 0 }, { hold: 0 }]);
  const made = await release('create', 'eu', '--strategy', strategy, '--watch');
  expect(made.code, made.output).toBe(0);
  expect(made.output).toMatch(/eu {2}live {2}serial \d+\n$/);
  for (const each of nodes) await expect.poll(() => served(each, '/eu', '/new'), PATIENCE).toEqual([218, 221]);
  const again = await release('create', 'eu');
  expect(again).toMatchObject({ code: 1, output: expect.stringContaining("nothing is pending for group 'eu'") });

  const listed = await call('GET', '/releases?group=eu');
  const [, first] = Array.isArray(listed.data) ? listed.data : [];
  const shown = await release('show', String(first.id));
  expect(shown.output).toMatch(/state +replaced[\s\S]*delete {2}routes {2}new {2}/);
  const [latest] = Array.isArray(listed.data) ? listed.data : [];
  expect((await release('show', String(latest.id))).output).toMatch(/write {9}\d+ {2}create {2}routes {2}/);
  const between = await call('GET', `/releases/${String(first.id)}/diff/${String(latest.id)}`);
  expect(between.data).toEqual(data);
  const other = await release('diff', String(latest.id), String(first.id));
  expect(other.output).toMatch(/^delete {2}routes {2}new {2}/);
  expect(await release('diff', String(first.id))).toMatchObject({ code: 2 });
  expect((await fetch(`${plane.admin}/releases/${String(first.id)}/diff/none`)).status).toBe(404);
  const requests = join(cluster.path, 'access.log');
  const line = (path: string) =>
    `10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET ${path} HTTP/1.1" 200 5 "-" "curl/8"\n`;
  writeFileSync(requests, `${line('/new')}${line('/new?x=1')}${line('/eu')}`);
  const replayed = await release('replay', String(first.id), '--requests', requests, '--host', 'eu.test');
  expect(replayed).toMatchObject({
    code: 3,
    output: expect.stringContaining('2 of 3 requests would meet something else'),
  });
  expect(replayed.output).toMatch(
    /GET http:\/\/eu.test\/new\n {2}route: new -> none\n {2}plugins: .*\n {2}status: 221 -> 404\n/,
  );
  writeFileSync(requests, line('/eu'));
  const harmless = await release('replay', String(first.id), '--requests', requests);
  expect(harmless).toMatchObject({ code: 0, output: expect.stringContaining('nothing would be different') });
  writeFileSync(requests, '{"log": {');
  const broken = await release('replay', String(first.id), '--requests', requests);
  expect(broken).toMatchObject({ code: 1, output: expect.stringContaining('access.log: it is no JSON') });
  const back = await release('rollback', String(first.id), '--watch');
  expect(back.code, back.output).toBe(0);
  for (const each of nodes) await expect.poll(() => served(each, '/eu', '/new'), PATIENCE).toEqual([218, 404]);

  const waiting = await release('create', 'eu', '--at', '2040-01-01T00:00:00Z');
  expect(waiting.output).toMatch(/ {2}eu {2}scheduled for 2040-01-01T00:00:00.000Z {2}serial \d+\n$/);
  const [scheduled = ''] = waiting.output.split(' ', 1);
  expect(await release('promote', scheduled, '--ring', '1')).toMatchObject({
    code: 1,
    output: expect.stringContaining('it is scheduled, and was seen at ring 1'),
  });
  expect(await release('promote', scheduled, '--ring', 'first')).toMatchObject({ code: 2 });
  expect((await release('promote', scheduled, '--ring', '0')).output).toContain('  eu  live  ');
  for (const each of nodes) await expect.poll(() => served(each, '/eu', '/new'), PATIENCE).toEqual([218, 221]);
  expect(await release('abort', scheduled)).toMatchObject({
    code: 1,
    output: expect.stringContaining('a release that is live cannot be told to abort'),
  });
  expect((await release('watch', scheduled)).code).toBe(0);
  expect((await release('list', 'eu')).output.split('\n')[0]).toMatch(new RegExp(`^${scheduled} {2}eu {2}live {2}`));

  const document = join(cluster.path, 'changed.yml');
  writeFileSync(document, '_format_version: "3.0"\nroutes: [{ name: new, paths: [/newer], tags: [eu] }]\n');
  const difference = await runHoldfast(['config', 'diff', document, '-p', plane.prefix]);
  expect(difference.output).toMatch(/^update {2}routes {2}new {2}\S+\n {2}paths: \["\/new"\] -> \["\/newer"\]\n/);

  // What is wrong with a request is told field by field.
  const refused = await fetch(`${plane.admin}/releases`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ group: 'eu', at: 'soon', strategy: [{ nodes: { percent: 101 } }], when: 1 }),
  });
  expect(await refused.json()).toMatchObject({
    name: 'schema violation',
    fields: {
      at: expect.stringContaining('seconds since 1970'),
      'strategy[1].nodes.percent': 'expected a number between 0 and 100',
      when: 'unknown field',
    },
  });
});

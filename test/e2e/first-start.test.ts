import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { oneProcess } from './one-process.ts';
import { admin, type HoldfastProcess, holdfast, runHoldfast, until } from './processes.ts';

const KEEP = 'X-Held';
let folder: string;
let settings: Record<string, string>;
let adminUrl: string;
let proxyUrl: string;
let gateway: HoldfastProcess;
let upstream: Server;
/** Requests the upstream has not answered yet. */
const held: ServerResponse[] = [];

/** A request the upstream keeps waiting. Each process of the node takes the route for itself: one without it yet answers 404. */
async function heldRequest(): Promise<Response> {
  for (;;) {
    const response = await fetch(`${proxyUrl}/hello`, { headers: { [KEEP]: '1' } });
    if (response.status !== 404) return response;
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'first start '));
  // As an image or an administrator makes it: open to all for reading.
  mkdirSync(join(folder, '.holdfast'));
  chmodSync(join(folder, '.holdfast'), 0o755);
  const { admin: at, proxy, settings: common } = await oneProcess();
  adminUrl = at;
  proxyUrl = proxy;
  settings = {
    ...common,
    nginx_worker_processes: 'auto',
    proxy_access_log: '/dev/stdout short',
    nginx_http_log_format: 'short escape=json \'{"told":"$request $status"}\'',
  };
  upstream = createServer((request, response) => {
    if (request.headers[KEEP.toLowerCase()]) held.push(response);
    else response.end('upstream');
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  gateway = await holdfast(['start'], settings, folder);
});

afterAll(async () => {
  await gateway?.end('SIGKILL');
  upstream?.closeAllConnections();
  upstream?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Files and folders below the prefix that others than their owner may read or write. */
function openToOthers(): string[] {
  const prefix = join(folder, '.holdfast');
  const all = readdirSync(prefix, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isSocket());
  return (
    all
      .map(({ parentPath, name }) => join(parentPath, name))
      // Databases make files, and remove them.
      .filter((path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0)
  );
}

it('makes keys, certificates and the database in the prefix, readable by their owner only', () => {
  expect(readdirSync(join(folder, '.holdfast'))).toEqual(
    expect.arrayContaining(['cluster.crt', 'cluster.key', 'bundle-signing.key', 'bundle-keys.json', 'pgdata']),
  );
  expect(openToOthers()).toEqual([]);
});

it('prints where everything is and what to try, and that works as printed', async () => {
  const block = gateway.output().slice(gateway.output().indexOf('Holdfast '));
  for (const part of [adminUrl, proxyUrl, join(folder, '.holdfast'), 'curl -s']) expect(block).toContain(part);
  const { port } = upstream.address() as AddressInfo;
  await admin(`${adminUrl}/services`, 'POST', { name: 'hello', url: `http://127.0.0.1:${port}` });
  await admin(`${adminUrl}/services/hello/routes`, 'POST', { name: 'hello', paths: ['/hello'] });
  await until(async () => (await fetch(`${proxyUrl}/hello`)).status === 200, 'the first route');
  await until(
    () => /^\{"told":"GET \/hello HTTP\/1\.1 200"\}$/m.test(gateway.output()),
    'the line of proxy_access_log on standard output',
  );
  // Entries of file-log are bare lines there as well, one each, whatever is in them.
  await admin(`${adminUrl}/services/hello/routes`, 'POST', { name: 'told', paths: ['/told'] });
  await admin(`${adminUrl}/routes/told/plugins`, 'POST', { name: 'file-log', config: { path: '/dev/stdout' } });
  const entries = () =>
    gateway
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{') && line.includes('"name":"told"'));
  await until(async () => {
    await fetch(`${proxyUrl}/told?a=%0A%0D`, { headers: { 'user-agent': '"ü\\n' } });
    return entries().length > 0;
  }, 'an entry of file-log on standard output');
  expect(JSON.parse(entries()[0] ?? '')).toMatchObject({
    request: { uri: '/told?a=%0A%0D', querystring: { a: '\n\r' } },
    response: { status: 200 },
    route: { name: 'told' },
  });
  const adminLog = join(folder, '.holdfast', 'logs', 'admin_access.log');
  await until(
    () => /^127\.0\.0\.1 - - \[.*\] "POST \/services HTTP\/1\.1" 201 \d+ "-" /m.test(readFileSync(adminLog, 'utf8')),
    'the line of admin_access_log',
  );
  const health = await runHoldfast(['health'], settings, folder);
  expect(health).toMatchObject({ code: 0 });
  expect(health.output).toContain('Holdfast is healthy');
});

it('is found by `health` without the note that a full disk has no room for', async () => {
  const prefix = join(folder, '.holdfast');
  renameSync(join(prefix, 'instance.json'), join(folder, 'instance.json'));
  const { code, output } = await runHoldfast(['health'], settings, folder);
  expect(output).toMatch(
    /Admin API +ok\ndata plane +ok\nwarning: no .*instance\.json: it is still starting, or its disk is full/,
  );
  expect(code).toBe(0);
  // Where one half answers and the other does not, as before the data plane has started, it is not healthy.
  const half = await runHoldfast(['health'], { ...settings, status_listen: settings.proxy_listen ?? '' }, folder);
  expect(half).toMatchObject({ code: 1, output: expect.stringMatching(/data plane: this node does not answer at/) });
  // Whatever else answers at these addresses is not the node of another folder.
  const other = await runHoldfast(['health'], { ...settings, prefix: join(folder, 'other') }, folder);
  expect(other).toMatchObject({ code: 1, output: expect.stringContaining('is not running at') });
  renameSync(join(folder, 'instance.json'), join(prefix, 'instance.json'));
});

it('names the other process when a second instance is started on the same prefix', async () => {
  const second = await runHoldfast(['start'], settings, folder);
  expect(second.code).toBe(1);
  expect(second.output).toMatch(new RegExp(`\\b${gateway.child.pid}\\b`));
});

it('finishes what is in flight on SIGTERM, and keeps everything for the next start', async () => {
  const inFlight = heldRequest();
  await until(() => held.length === 1, 'the request in flight');
  const ended = gateway.end('SIGTERM');
  await until(() => gateway.output().includes('finishing what is in flight'), 'the stop to begin');
  expect(held).toHaveLength(1);
  held[0]?.end('finished');
  expect(await (await inFlight).text()).toBe('finished');
  expect(await ended).toEqual({ code: 0, signal: null });
  expect(await runHoldfast(['health'], settings, folder)).toMatchObject({ code: 1 });

  chmodSync(join(folder, '.holdfast', 'pgdata', 'PG_VERSION'), 0o644);
  gateway = await holdfast(['start'], settings, folder);
  await expect
    .poll(() => gateway.output())
    .toMatch(/warn\] holdfast: 1 file or folder in .* by other users .*first: pgdata\/PG_VERSION/);
  expect(openToOthers()).toEqual([]);
  const { name } = await admin(`${adminUrl}/services/hello`);
  expect(name).toBe('hello');
  expect((await fetch(`${proxyUrl}/hello`)).status).toBe(200);
});

it('tells settings that do not work, all at once, and starts nothing', async () => {
  const file = join(folder, 'wrong.conf');
  writeFileSync(file, 'proxy_listen = nowhere\nadmin_lisen = 127.0.0.1:1\n');
  const { code, output } = await runHoldfast(['start', '--conf', file], {}, folder);
  expect(code).toBe(1);
  expect(output).toContain(`proxy_listen = 'nowhere' (${file}:1) is not allowed`);
  expect(output).toContain(`did you mean 'admin_listen'?`);
});

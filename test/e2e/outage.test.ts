import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, expect, it } from 'vitest';

import {
  admin,
  type ClusterFolder,
  createCluster,
  type RunningControlPlane,
  type RunningDataPlane,
  until,
} from './processes.ts';

let upstream: Server;
let cluster: ClusterFolder;
let control: RunningControlPlane;
let plane: RunningDataPlane;
/** On the other host. */
let native: RunningDataPlane | null = null;

const startNative = () => cluster.dataPlane('native', { data_plane_host: 'node' });

async function get(path: string, of = plane): Promise<number> {
  const response = await fetch(`${of.proxy}${path}`);
  await response.arrayBuffer();
  return response.status;
}

beforeAll(async () => {
  upstream = createServer((_request, response) => response.end('upstream'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  cluster = await createCluster();
  [control, plane] = await Promise.all([cluster.controlPlane(), cluster.dataPlane('plane')]);
  const { port } = upstream.address() as AddressInfo;
  await admin(`${control.admin}/services`, 'POST', { name: 'up', url: `http://127.0.0.1:${port}` });
  await admin(`${control.admin}/services/up/routes`, 'POST', { name: 'first', paths: ['/first'] });
  await until(async () => (await get('/first')) === 200, 'the first config');
  native = await startNative();
});

afterAll(async () => {
  await Promise.all([control?.end('SIGKILL'), plane?.end('SIGTERM'), native?.end('SIGTERM')]);
  upstream?.close();
  cluster?.remove();
});

it('loses no request when the control plane is killed under load, serves from its cache after a restart without it, and catches up when it is back', async () => {
  let other = native ?? (await startNative());
  await until(async () => (await get('/first', other)) === 200, 'the first config on Node');
  const loads = [plane, other].map((of) => {
    const statuses = new Map<number | string, number>();
    const load = { statuses, loading: true, served: () => statuses.get(200) ?? 0, over: Promise.resolve() };
    const client = async (): Promise<void> => {
      while (load.loading) {
        const status = await get('/first', of).catch((error) => String(error.cause ?? error));
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    load.over = Promise.all(Array.from({ length: 5 }, client)).then(() => undefined);
    return load;
  });
  await until(() => loads.every(({ served }) => served() > 50), 'some load');
  await control.end('SIGKILL');
  const atKill = loads.map(({ served }) => served());
  await until(() => loads.every(({ served }, n) => served() > (atKill[n] ?? 0) + 200), 'load after the kill');
  for (const load of loads) {
    load.loading = false;
    await load.over;
    expect([...load.statuses.keys()]).toEqual([200]);
  }

  await Promise.all([plane.end('SIGKILL'), other.end('SIGKILL')]);
  [plane, other] = await Promise.all([cluster.dataPlane('plane'), startNative()]);
  for (const of of [plane, other]) {
    expect(await get('/first', of)).toBe(200);
    const ready = await fetch(`${of.status}/status/ready`);
    expect(ready.status).toBe(200);
  }

  control = await cluster.controlPlane();
  await admin(`${control.admin}/services/up/routes`, 'POST', { name: 'second', paths: ['/second'] });
  // Who has not connected again yet is none that could be waited for.
  await until(async () => (await get('/second')) === 200 && (await get('/second', other)) === 200, 'both to catch up');
  expect(await admin(`${control.admin}/wait?timeout=120`)).toMatchObject({ nodes: [{}, {}] });
  // What follows is about one.
  await other.end('SIGTERM');
  native = null;
});

it('tells the data planes at the control plane with the config they serve', async () => {
  const { data } = await admin(`${control.admin}/clustering/data-planes`);
  const planes = data as Record<string, unknown>[];
  expect(planes).toHaveLength(2);
  const { configuration_hash: hash, node_id: id } = await admin(`${plane.status}/status`);
  const node = planes.find((each) => each.id === id);
  expect(node).toMatchObject({ config_hash: hash, sync_status: 'normal', rejection_reason: null });
  expect(Object.keys(node ?? {})).toEqual(
    expect.arrayContaining([
      'id',
      'hostname',
      'ip',
      'version',
      'last_seen',
      'updated_at',
      'ttl',
      'labels',
      'cert_details',
    ]),
  );
});

it('tells when the certificate of its link ends, and how often processes were started again', async () => {
  const metrics = await (await fetch(`${plane.status}/metrics`)).text();
  const ends = /^holdfast_certificate_expires_timestamp_seconds\{setting="cluster_cert",subject="[^"]+"\} (\d+)$/m;
  expect(Number(ends.exec(metrics)?.[1])).toBeGreaterThan(Date.now() / 1000);
  expect(metrics).toMatch(/^holdfast_process_restarts_total \d+$/m);
});

/** What a process said of the link since it had printed so much. */
const linkLines = ({ output }: Pick<RunningDataPlane, 'output'>, since: number, pattern: RegExp) =>
  output()
    .slice(since)
    .split('\n')
    .filter((line) => pattern.test(line))
    .map((line) => line.replace(/^\S+ /, ''));

it('says on both planes, at the default level, that the link is down and that it is up again, once each and in our words', async () => {
  const printed = plane.output().length;
  const ofLink = /link to the control plane|control plane 127|kj\/|OpenSSL|internal error/;
  await control.end('SIGKILL');
  await until(() => linkLines(plane, printed, /is down/).length > 0, 'the data plane to say that the link is down');
  await until(() => linkLines(plane, printed, /connection refused/).length > 0, 'the data plane to say why');
  control = await cluster.controlPlane();
  await until(() => linkLines(plane, printed, /is up/).length > 0, 'the data plane to say that the link is up');
  const said = linkLines(plane, printed, ofLink);
  // A process that is being killed may still have taken the connection of the next try, and lose it half-way.
  expect(said.filter((line) => !/cannot be made|closes the connection during the TLS handshake/.test(line))).toEqual([
    expect.stringMatching(/^\[notice\] data plane: link to the control plane is down: closed without a word; /),
    expect.stringMatching(/^\[warn\] data plane: control plane 127\.0\.0\.1:\d+: connection refused: nothing listens/),
    '[notice] data plane: link to the control plane is up',
  ]);
  expect(new Set(said).size).toBe(said.length);

  const ofNodes = /DP node/;
  await until(() => linkLines(control, 0, ofNodes).length > 0, 'the control plane to say that the node is there');
  await plane.end('SIGKILL');
  await until(() => linkLines(control, 0, ofNodes).length > 1, 'the control plane to say that the node is gone');
  const name = 'DP node with hostname: \\S+ ip: 127\\.0\\.0\\.1';
  expect(linkLines(control, 0, ofNodes)).toEqual([
    expect.stringMatching(`^\\[notice\\] cluster: ${name} is connected by a WebSocket, holding serial \\d+$`),
    expect.stringMatching(`^\\[notice\\] cluster: ${name} is disconnected: the connection was lost$`),
  ]);
  const { data } = await admin(`${control.admin}/clustering/data-planes`);
  expect(data).toMatchObject([{ sync_status: 'unknown' }, { sync_status: 'unknown' }]);
});

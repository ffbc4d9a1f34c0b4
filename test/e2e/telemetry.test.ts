import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';

import { openDatabase } from '../../cp/store/open.ts';
import { placeInSplit } from '../../shared/bundle/split.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import { makeFullable } from '../cp/telemetry/full-disk.ts';
import {
  admin,
  type ClusterFolder,
  createCluster,
  type RunningControlPlane,
  type RunningDataPlane,
  runHoldfast,
  until,
} from './processes.ts';

const LOAD = fileURLToPath(new URL('../bench/load.ts', import.meta.url));

let upstream: Server;
let cluster: ClusterFolder;
let control: RunningControlPlane;
let planes: readonly RunningDataPlane[] = [];
/** All of a group that is released to; the first is its canary. */
let staged: readonly RunningDataPlane[] = [];
/** One that serves, one that does not, and another that serves. */
let upstreams: readonly string[] = [];

beforeAll(async () => {
  upstream = createServer((request, response) => {
    response.writeHead(request.url?.includes('broken') ? 500 : 200).end('upstream');
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  cluster = await createCluster();
  const telling = { cluster_telemetry_endpoint: cluster.telemetry };
  const started = await Promise.all([
    cluster.controlPlane(),
    cluster.dataPlane('plane', { ...telling, nginx_worker_processes: '2' }),
    cluster.dataPlane('native', { ...telling, data_plane_host: 'node', nginx_worker_processes: '2' }),
    ...['yes', 'no', 'no', 'no'].map((canary, place) =>
      cluster.dataPlane(`staged-${place}`, {
        ...telling,
        data_plane_host: 'node',
        cluster_dp_labels: `stage:own,canary:${canary}`,
      }),
    ),
  ]);
  const [first, second, third, ...others] = started;
  control = first;
  planes = [second, third];
  staged = others;
  const { port } = upstream.address() as AddressInfo;
  await admin(`${control.admin}/services`, 'POST', { name: 'up', url: `http://127.0.0.1:${port}` });
  await admin(`${control.admin}/services/up/routes`, 'POST', { name: 'open', paths: ['/open'] });
  await admin(`${control.admin}/services/up/routes`, 'POST', { name: 'guarded', paths: ['/guarded'] });
  await admin(`${control.admin}/routes/guarded/plugins`, 'POST', { name: 'key-auth' });
  await admin(`${control.admin}/consumers`, 'POST', { username: 'ada' });
  await admin(`${control.admin}/consumers/ada/key-auth`, 'POST', { key: 'open-sesame' });
  const at = `http://127.0.0.1:${port}`;
  upstreams = [`${at}/good`, `${at}/broken`, `${at}/better`];
  await admin(`${control.admin}/services`, 'POST', { name: 'staged', url: upstreams[0] });
  await admin(`${control.admin}/services/staged/routes`, 'POST', { name: 'staged', paths: ['/staged'] });
  await admin(`${control.admin}/groups`, 'POST', { name: 'staged', labels: 'stage = own', publish: 'release' });
  // Only those that are connected are waited for.
  await until(async () => {
    const { data } = await admin(`${control.admin}/clustering/data-planes`);
    return Array.isArray(data) && data.length === planes.length + staged.length;
  }, 'all data planes to be connected');
  await admin(`${control.admin}/wait?timeout=100`);
  // A node has it when one of its processes does.
  const body = JSON.stringify({ path: '/staged' });
  const explain = async ({ status }: RunningDataPlane) =>
    (await fetch(`${status}/debug/route`, { method: 'POST', body })).text();
  await until(async () => {
    const answers = await Promise.all(planes.flatMap((plane) => Array.from({ length: 20 }, () => explain(plane))));
    return answers.every((answer) => answer.includes('"staged"'));
  }, 'all processes to have it');
});

afterAll(async () => {
  await Promise.all([control, ...planes, ...staged].map((process) => process?.end('SIGTERM')));
  upstream?.close();
  cluster?.remove();
});

async function get(plane: RunningDataPlane, path: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(`${plane.proxy}${path}`, { headers });
  await response.arrayBuffer();
  return response.status;
}

/** The totals of one level, by what the ids are called. */
async function vitals(path: string): Promise<Record<string, Record<string, number | null>>> {
  const { meta, totals } = await admin(`${control.admin}/vitals/${path}`);
  const { stat_labels: labels, names } = recordOrEmpty(meta);
  return Object.fromEntries(
    Object.entries(recordOrEmpty(totals)).map(([id, values]) => [
      String(recordOrEmpty(names)[id] ?? id),
      Object.fromEntries(
        (Array.isArray(labels) ? labels : []).map((label, place) => [
          label,
          Array.isArray(values) ? values[place] : null,
        ]),
      ),
    ]),
  );
}

/** Batches of telemetry that no control plane has taken from a data plane yet. */
async function waitingBatches(plane: RunningDataPlane): Promise<number> {
  const metrics = await (await fetch(`${plane.status}/metrics`)).text();
  return Number(/^holdfast_telemetry_waiting_batches (\d+)$/m.exec(metrics)?.[1]);
}

async function requestsTold(): Promise<number> {
  return (await vitals('cluster?interval=minutes')).cluster?.requests_total ?? 0;
}

it('tells what became of every request, by route, consumer, node and serial, over a control plane that is killed and a database that is full meanwhile', async () => {
  const before = await requestsTold();
  const sent = new Map<string, number>();
  const send = async (plane: RunningDataPlane, path: string, headers = {}): Promise<void> => {
    const status = await get(plane, path, headers);
    const key = `${path.split('/')[1]} ${status}`;
    sent.set(key, (sent.get(key) ?? 0) + 1);
  };
  const round = () =>
    Promise.all(
      planes.flatMap((plane) => [
        ...Array.from({ length: 10 }, () => send(plane, '/open/here')),
        send(plane, '/open/broken'),
        send(plane, '/guarded'),
        send(plane, '/guarded', { apikey: 'open-sesame' }),
        send(plane, '/nowhere'),
      ]),
    );
  for (let times = 0; times < 10; times++) await round();
  await until(async () => (await requestsTold()) > before, 'the first of it to be told');
  await control.end('SIGKILL');
  for (let times = 0; times < 10; times++) await round();
  const database = await openDatabase({ database: 'embedded', prefix: control.prefix });
  await makeFullable(database);
  await database.close();
  control = await cluster.controlPlane();
  await admin(`${control.admin}/services`, 'POST', { name: 'full', url: 'http://127.0.0.1:1' });
  const full = await requestsTold();
  for (let times = 0; times < 10; times++) await round();
  await until(async () => control.output().includes('telemetry cannot be kept'), 'the database to refuse it');
  await until(
    async () => (await Promise.all(planes.map(waitingBatches))).every((count) => count > 0),
    'it to wait at both data planes',
  );
  expect(await requestsTold()).toBe(full);
  await admin(`${control.admin}/services/full`, 'DELETE');
  for (let times = 0; times < 10; times++) await round();
  const all = [...sent.values()].reduce((sum, count) => sum + count, 0);
  expect(all).toBe(2 * 14 * 40);
  // Of a batch whose answer was lost with the control plane, the second telling counts for nothing.
  await expect.poll(requestsTold, { timeout: 100_000, interval: 500 }).toBeGreaterThanOrEqual(all);
  expect(await requestsTold()).toBe(all);

  expect(sent).toEqual(
    new Map([
      ['open 200', 800],
      ['open 500', 80],
      ['guarded 401', 80],
      ['guarded 200', 80],
      ['nowhere 404', 80],
    ]),
  );
  const routes = await vitals('routes?interval=minutes');
  expect(routes.open).toMatchObject({
    requests_total: 880,
    status_2xx_total: 800,
    status_5xx_total: 80,
    kong_5xx_total: 0,
  });
  expect(routes.guarded).toMatchObject({ requests_total: 160, status_4xx_total: 80, kong_4xx_total: 80 });
  expect(routes['']).toMatchObject({ requests_total: 80, status_4xx_total: 80, latency_upstream_p99_ms: null });
  expect((await vitals('services/up?interval=minutes')).up).toMatchObject({ requests_total: 1040 });
  const consumers = await vitals('consumers?interval=minutes');
  expect(consumers.ada).toMatchObject({ requests_total: 80, status_2xx_total: 80 });
  const { totals } = await admin(`${control.admin}/vitals/nodes?interval=minutes`);
  expect(Object.values(recordOrEmpty(totals))).toEqual(planes.map(() => expect.arrayContaining([560])));
  const serials = Object.values(await vitals('serials?interval=minutes'));
  expect(serials.reduce((sum, { requests_total: requests }) => sum + (requests ?? 0), 0)).toBe(1120);
  expect(routes.open?.latency_request_p99_ms).toBeGreaterThan(0);

  const metrics = await (await fetch(`${control.admin}/metrics`)).text();
  expect(metrics).toContain(
    'kong_http_requests_total{service="up",route="open",code="5xx",source="service",workspace="default",consumer=""} 80\n',
  );
  expect(metrics).toContain('kong_request_latency_ms_count{service="up",route="open",workspace="default"} 880\n');
  expect(metrics).toContain(
    'holdfast_consumer_requests_total{consumer="ada",code="2xx",source="service",workspace="default"} 80\n',
  );
  const own = await (await fetch(`${planes[0]?.status}/metrics`)).text();
  expect(own).toContain('holdfast_telemetry_requests_total 560\n');
  expect(own).toContain('holdfast_telemetry_dropped_requests_total 0\n');
  // By class of status and who answered.
  const counted = [...own.matchAll(/^holdfast_request_latency_ms_count\{(.*)\} (\d+)$/gm)];
  expect(counted.map(([, labels]) => labels)).toContain('code="5xx",source="service"');
  expect(counted.reduce((sum, [, , count]) => sum + Number(count), 0)).toBe(560);
  expect(own).toMatch(/^holdfast_upstream_latency_ms_bucket\{code="2xx",source="service",le="\+Inf"\} [1-9]/m);
});

/** Keeps so many connections to a data plane busy for so long, from a process of its own; gives how many requests were answered. */
async function drive(plane: RunningDataPlane, path: string, connections: number, seconds: number): Promise<number> {
  const { hostname, port } = new URL(plane.proxy);
  const words = [LOAD, hostname, port, String(connections), String(seconds), path];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  return Number(recordOrEmpty(JSON.parse(stdout)).answered);
}

it('tells each request once of data planes that are driven at their capacity, while the control plane is killed', async () => {
  const before = await requestsTold();
  const byRoute = async () => (await vitals('routes?interval=minutes')).open?.status_2xx_total ?? 0;
  const open = await byRoute();
  const driven = planes.map((plane) => drive(plane, '/open/here', 64, 8));
  await until(async () => (await requestsTold()) > before, 'the first of it to be told');
  await control.end('SIGKILL');
  const answered = await Promise.all(driven);
  control = await cluster.controlPlane();
  const all = answered.reduce((sum, count) => sum + count, 0);
  console.info(`${answered.join(' and ')} requests in 8 s`);
  await expect.poll(requestsTold, { timeout: 100_000, interval: 500 }).toBeGreaterThanOrEqual(before + all);
  expect((await requestsTold()) - before).toBe(all);
  expect((await byRoute()) - open).toBe(all);
  for (const plane of planes)
    expect(await (await fetch(`${plane.status}/metrics`)).text()).toContain(
      'holdfast_telemetry_dropped_requests_total 0\n',
    );
});

/** Asks each of the staged planes, again and again, until it is stopped; gives what each was answered, and when. */
function load(): {
  readonly answers: readonly { readonly plane: number; readonly status: number; readonly at: number }[];
  stop(): Promise<void>;
} {
  const answers: { plane: number; status: number; at: number }[] = [];
  let loading = true;
  const clients = staged.map(async (plane, place) => {
    while (loading) {
      const status = await get(plane, '/staged');
      answers.push({ plane: place, status, at: Date.now() });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  return {
    answers,
    async stop() {
      loading = false;
      await Promise.all(clients);
    },
  };
}

const release = (id: unknown) => admin(`${control.admin}/releases/${String(id)}`);

/** Writes where the staged service is, and releases it to the canary first, then to all. */
async function releaseTo(url: string | undefined, hold: number): Promise<Record<string, unknown>> {
  await admin(`${control.admin}/services/staged`, 'PATCH', { url });
  const strategy = [
    { nodes: { labels: 'canary = yes' }, hold, gates: { min_nodes: 1, min_requests: 50 } },
    { nodes: { percent: 100 }, hold: 0, gates: { min_nodes: 4 } },
  ];
  return admin(`${control.admin}/releases`, 'POST', { group: 'staged', strategy });
}

it('undoes a release by itself whose requests fail, takes another through its rings, and a third at its time, though the control plane was killed', async () => {
  const [good, bad, better] = upstreams;
  const canary = 0;
  const running = load();
  onTestFinished(() => running.stop());
  await until(() => running.answers.filter(({ status }) => status === 200).length > 100, 'requests to be served');

  const began = Date.now();
  const broken = await releaseTo(bad, 10);
  const watching = runHoldfast(['release', 'watch', String(broken.id)], { prefix: control.prefix });
  await expect.poll(async () => (await release(broken.id)).state, { timeout: 100_000, interval: 100 }).toBe('aborted');
  const undone = await release(broken.id);
  expect(undone.reason).toMatch(
    /^ring 1: \d+ of \d+ requests \([\d.]+ %\) were answered 5xx, against 0 % of \d+ with the config before \(max_5xx_increase 5\)$/,
  );
  expect(undone.figures).toBeNull();
  const watched = await watching;
  expect(watched.code, watched.output).toBe(1);
  expect(watched.output).toMatch(
    / {2}staged {2}rolling at ring 1 of 2 {2}serial \d+\n[\s\S]* {2}1 of 1 data planes have it within \d+ ms: \d+ requests, \d+ of them 5xx[\s\S]* {2}aborted /,
  );
  expect(watched.output).toContain(`it was undone: ${String(undone.reason)}`);
  // The canary goes back to the config before: under a serial of its own.
  await admin(`${control.admin}/services/staged`, 'PATCH', { url: good });
  const applied = async (): Promise<boolean> => {
    const { data } = await admin(`${control.admin}/clustering/data-planes`);
    const nodes = Array.isArray(data) ? data.map(recordOrEmpty) : [];
    const { data: all } = await admin(`${control.admin}/releases?group=staged`);
    const live = (Array.isArray(all) ? all.map(recordOrEmpty) : []).find(({ state }) => state === 'live');
    const own = nodes.filter(({ group }) => group === 'staged');
    return own.length === staged.length && own.every(({ serial }) => serial === live?.serial);
  };
  await until(applied, 'the config before to be everywhere');
  const over = Date.now();
  const failures = running.answers.filter(({ status }) => status !== 200);
  expect(failures.length).toBeGreaterThan(0);
  expect(failures.filter(({ plane }) => plane !== canary)).toEqual([]);
  console.info(
    `first bad answer ${(failures[0]?.at ?? 0) - began} ms after the release began, rolled back everywhere ${over - (failures[0]?.at ?? 0)} ms later`,
  );
  // What was on its way when it was applied is over by now.
  const later = running.answers.length;
  await until(() => running.answers.length > later + 100, 'more requests to be served');
  expect(running.answers.slice(later + staged.length).filter(({ status }) => status !== 200)).toEqual([]);

  const promoted = await releaseTo(better, 1);
  const rolling = await release(promoted.id);
  expect(rolling.figures).toMatchObject({
    nodes: 1,
    waits_for: expect.arrayContaining([expect.stringContaining('min_requests')]),
  });
  await expect.poll(async () => (await release(promoted.id)).state, { timeout: 100_000, interval: 500 }).toBe('live');

  await admin(`${control.admin}/services/staged`, 'PATCH', { url: good });
  const at = Date.now() / 1000 + 6;
  const scheduled = await admin(`${control.admin}/releases`, 'POST', { group: 'staged', at });
  expect(scheduled.state).toBe('scheduled');
  await control.end('SIGKILL');
  control = await cluster.controlPlane();
  await expect.poll(async () => (await release(scheduled.id)).state, { timeout: 100_000, interval: 500 }).toBe('live');
  await until(applied, 'the scheduled release to be everywhere');
  await running.stop();
  expect(running.answers.slice(later + staged.length).filter(({ status }) => status !== 200)).toEqual([]);
});

it('is tried on a part of the requests of one data plane: undone by itself where they fail, none of the others meets it; then more of them, then all', async () => {
  const [good, bad, better] = upstreams;
  const [canary] = staged;
  if (canary === undefined) expect.fail('no canary runs');
  await admin(`${control.admin}/services/staged`, 'PATCH', { url: good });
  const clients = Array.from({ length: 400 }, (_, n) => `client-${n}`);
  const answers: { client: string; status: number }[] = [];
  let [next, loading] = [0, true];
  const running = Array.from({ length: 8 }, async () => {
    while (loading) {
      const client = clients[next++ % clients.length] ?? '';
      answers.push({ client, status: await get(canary, '/staged', { 'x-client': client }) });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  onTestFinished(async () => {
    loading = false;
    await Promise.all(running);
  });
  const by = 'header:X-Client';
  const gates = { min_nodes: 1, min_requests: 50 };
  const create = async (url: string | undefined, percents: readonly number[]): Promise<Record<string, unknown>> => {
    await admin(`${control.admin}/services/staged`, 'PATCH', { url });
    const strategy = percents.map((percent) => ({
      nodes: { labels: 'canary = yes' },
      traffic: { percent, by },
      hold: 3600,
      gates,
    }));
    return admin(`${control.admin}/releases`, 'POST', { group: 'staged', strategy });
  };
  const stateOf = async (id: unknown) => (await release(id)).state;
  const met = async (id: unknown): Promise<readonly string[]> => {
    const explained = await Promise.all(
      clients.map(async (client) => {
        const body = JSON.stringify({ path: '/staged', headers: { 'x-client': client } });
        const answer = await fetch(`${canary.status}/debug/route`, { method: 'POST', body });
        const { id: tried, chosen } = recordOrEmpty(recordOrEmpty(await answer.json()).release);
        return tried === id && chosen === true;
      }),
    );
    return clients.filter((_, n) => explained[n]);
  };
  const below = (id: unknown, percent: number) => clients.filter((one) => placeInSplit(String(id), one) < percent);

  const broken = await create(bad, [20]);
  await expect.poll(() => stateOf(broken.id), { timeout: 100_000, interval: 100 }).toBe('aborted');
  expect((await release(broken.id)).reason).toMatch(
    /^ring 1: (\d+) of \1 requests \(100 %\) were answered 5xx, against 0 % of \d+ with the config before \(max_5xx_increase 5\)$/,
  );
  await until(async () => !('configuration_split' in (await admin(`${canary.status}/status`))), 'it to be undone');
  const undone = answers.length;
  const isServed = ({ status }: { readonly status: number }) => status === 200;
  await until(
    () => answers.length > undone + clients.length && answers.slice(-clients.length).every(isServed),
    'all clients to be served as before',
  );
  const over = answers.length;
  const failed = new Set(answers.filter((answer) => !isServed(answer)).map(({ client }) => client));
  expect([...failed].toSorted()).toEqual(below(broken.id, 20).toSorted());

  const promoted = await create(better, [5, 50]);
  await expect.poll(() => met(promoted.id), { timeout: 60_000 }).toEqual(below(promoted.id, 5));
  await admin(`${control.admin}/releases/${String(promoted.id)}/promote`, 'POST');
  await expect.poll(() => met(promoted.id), { timeout: 60_000 }).toEqual(below(promoted.id, 50));
  const shown = await runHoldfast(['release', 'show', String(promoted.id)], { prefix: control.prefix });
  expect(shown.output).toMatch(/nodes_unable["\s:]*0/);
  const listed = await runHoldfast(['release', 'list', 'staged'], { prefix: control.prefix });
  expect(listed.output).toContain('rolling at ring 2 of 2 (50 % of requests by header:x-client)');
  await admin(`${control.admin}/releases/${String(promoted.id)}/promote`, 'POST');
  await expect.poll(() => stateOf(promoted.id)).toBe('live');
  await until(async () => !('configuration_split' in (await admin(`${canary.status}/status`))), 'all to have it');
  expect(answers.length).toBeGreaterThan(over);
  expect(answers.slice(over).filter((answer) => !isServed(answer))).toEqual([]);
});

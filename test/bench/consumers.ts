import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { admin, type ClusterFolder, createCluster, type RunningControlPlane, until } from '../e2e/processes.ts';
import { freePorts } from '../free-port.ts';
import { type PostgresServer, startPostgres } from '../postgres-server.ts';
import { commandOf, descendants, peakMemory, processorTime, residentMemory } from '../proc.ts';

/** What one data plane has to do with many consumers; times in ms, memory in MB. */
export interface ConsumersOnHost {
  readonly host: string;
  /** Of the process that serves: before, with all of them, after the look-ups. */
  readonly memory: readonly [before: number, all: number, read: number];
  /** From the last part of the import to the first request with a key of it. */
  readonly served: number;
  /** Requests with keys nobody has asked for before, and with the same again. */
  readonly first: Quantiles;
  readonly again: Quantiles;
  /** From the answer to a new key to the first request with it. */
  readonly change: number;
}

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

export interface ConsumerFigures {
  readonly consumers: number;
  /** Processor time of the control plane for the first and the last 50,000, which are imported, ms; what is between comes by SQL. */
  readonly parts: readonly number[];
  /** Seconds for each of them. */
  readonly imported: readonly number[];
  /** MB of the control plane: before, at most, with all of them, after a restart. */
  readonly memory: readonly [before: number, most: number, all: number, again: number];
  /** Processor time of the control plane for one new key, all that follows included. */
  readonly change: { readonly work: number };
  /** Seconds from a start of the control plane to its being ready, and the processor time of it. */
  readonly restart: { readonly seconds: number; readonly work: number };
  readonly hosts: readonly ConsumersOnHost[];
}

/** Consumers in one request, each with a key: what is to be done with more is done in several. */
const PART = 50_000;
const LOOKUPS = 1_000;
const CHANGES = 5;
/** MB of V8's heap on Miniflare: what Cloudflare gives an isolate. */
const ISOLATE = 128;
/** Milliseconds. */
const PATIENCE = 900_000;

interface Node {
  readonly host: string;
  readonly proxy: string;
  /** The process that serves; on Node all of them. */
  readonly pids: readonly number[];
  end(): Promise<unknown>;
}

/** One control plane on PostgreSQL, a data plane on each host, and so many consumers, each with a key. */
export async function measureConsumers(count: number, say: (line: string) => void): Promise<ConsumerFigures> {
  const postgres = await startPostgres();
  const cluster = await createCluster();
  const upstream = createServer((_request, response) => response.end('there'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  let control: RunningControlPlane | null = null;
  let nodes: readonly Node[] = [];
  try {
    const { pg_host, pg_port, pg_user, pg_database } = postgres.settings();
    const database = { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database };
    await cluster.migrations(database);
    const [port = 0] = await freePorts(1);
    const settings = { ...database, cluster_listen: `127.0.0.1:${port}`, log_level: 'warn' };
    control = await cluster.controlPlane(settings);
    const url = control.admin;
    const { port: to } = upstream.address() as AddressInfo;
    await admin(`${url}/services`, 'POST', { name: 's', url: `http://127.0.0.1:${to}` });
    await admin(`${url}/services/s/routes`, 'POST', { name: 'r', paths: ['/r'] });
    await admin(`${url}/services/s/plugins`, 'POST', { name: 'key-auth' });
    nodes = await startNodes(cluster, port);
    for (const node of nodes) await statusBecomes(node, 'key of nobody', 401);
    const before = megabytes([control.child.pid ?? 0]);
    const befores = nodes.map((node) => megabytes(node.pids));

    const parts: number[] = [];
    const imported: number[] = [];
    const part = async (from: number): Promise<void> => {
      const worker = control?.child.pid ?? 0;
      const worked = processorTime(worker);
      const began = performance.now();
      await importPart(url, from, Math.min(count, from + PART));
      imported.push((performance.now() - began) / 1000);
      parts.push(processorTime(worker) - worked);
      say(`  ${PART} imported in ${Math.round(imported.at(-1) ?? 0)} s, by ${parts.at(-1)} ms of work`);
    };
    await part(0);
    if (count > 2 * PART) {
      await control.end('SIGTERM');
      await seed(postgres, PART, count - PART);
      say(`  ${count - 2 * PART} put into the database`);
      control = await cluster.controlPlane(settings);
    }
    const pid = control.child.pid ?? 0;
    for (const node of nodes) await statusBecomes(node, keyOf(Math.max(0, count - PART - 1)), 200);
    say('  all of these are served');
    await part(count - PART);
    const answered = performance.now();
    const served = await Promise.all(
      nodes.map(async (node) => {
        await statusBecomes(node, keyOf(count - 1), 200);
        return performance.now() - answered;
      }),
    );
    await sleep(5_000);
    const all = megabytes([pid]);
    const alls = nodes.map((node) => megabytes(node.pids));
    say(`  served by all after ${Math.round(Math.max(...served))} ms; ${all} MB, data planes ${alls.join(', ')} MB`);

    const lookups: { first: Quantiles; again: Quantiles }[] = [];
    for (const node of nodes) {
      const keys = Array.from({ length: LOOKUPS }, () => keyOf(Math.floor(Math.random() * count)));
      lookups.push({ first: await timesOf(node, keys), again: await timesOf(node, keys) });
    }
    const reads = nodes.map((node) => megabytes(node.pids));
    say(`  ${LOOKUPS} keys looked up; data planes ${reads.join(', ')} MB`);

    const works: number[] = [];
    const changes: number[][] = nodes.map(() => []);
    for (let n = 0; n < CHANGES; n++) {
      const worked = processorTime(pid);
      await admin(`${url}/consumers/c${n}/key-auth`, 'POST', { key: `new-${n}` });
      const from = performance.now();
      const delays = await Promise.all(
        nodes.map(async (node) => {
          await statusBecomes(node, `new-${n}`, 200);
          return performance.now() - from;
        }),
      );
      for (const [place, delay] of delays.entries()) changes[place]?.push(delay);
      await sleep(1_000);
      works.push(processorTime(pid) - worked);
      say(`  a new key: ${works.at(-1)} ms of work; served after ${delays.map(Math.round).join(', ')} ms`);
    }
    const most = Math.round(peakMemory(pid) / (1 << 20));

    await control.end('SIGKILL');
    const stopped = performance.now();
    control = await cluster.controlPlane(settings);
    const restarted = (performance.now() - stopped) / 1000;
    const again = control.child.pid ?? 0;
    await sleep(5_000);
    return {
      consumers: count,
      parts,
      imported,
      memory: [before, most, all, megabytes([again])],
      change: { work: median(works) },
      restart: { seconds: restarted, work: processorTime(again) },
      hosts: nodes.map(({ host }, place) => ({
        host,
        memory: [befores[place] ?? 0, alls[place] ?? 0, reads[place] ?? 0],
        served: served[place] ?? Number.NaN,
        first: lookups[place]?.first ?? NONE,
        again: lookups[place]?.again ?? NONE,
        change: median(changes[place] ?? []),
      })),
    };
  } finally {
    await Promise.all(nodes.map((node) => node.end()));
    await control?.end('SIGTERM');
    upstream.close();
    upstream.closeAllConnections();
    cluster.remove();
    await postgres.stop();
  }
}

const NONE: Quantiles = { p50: Number.NaN, p99: Number.NaN };

async function startNodes(cluster: ClusterFolder, port: number): Promise<Node[]> {
  const own = await Promise.all(
    ['workerd', 'node'].map(async (host) => {
      const node = await cluster.dataPlane(host, {
        data_plane_host: host,
        cluster_control_plane: `127.0.0.1:${port}`,
        log_level: 'warn',
      });
      const all = [node.child.pid ?? 0, ...descendants(node.child.pid ?? 0)];
      const pids = host === 'node' ? all : all.filter((pid) => /^[^\0]*workerd\0serve\0/.test(commandOf(pid)));
      return { host, proxy: node.proxy, pids, end: () => node.end('SIGTERM') };
    }),
  );
  const [proxyPort = 0] = await freePorts(1);
  const file = fileURLToPath(new URL('miniflare-node.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [file, cluster.path, String(port), String(proxyPort)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // V8 ends a process whose heap does not suffice, as Cloudflare does an isolate.
    env: { ...process.env, MINIFLARE_WORKERD_V8_FLAGS: `--max-heap-size=${ISOLATE}` },
  });
  const said = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (data) => resolve(String(data)));
    child.once('exit', (code) => reject(new Error(`Miniflare ended with ${code}`)));
  });
  const pids: number[] = JSON.parse(said);
  const end = () =>
    new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.kill('SIGTERM');
    });
  return [...own, { host: `Miniflare, ${ISOLATE} MB of heap`, proxy: `http://127.0.0.1:${proxyPort}`, pids, end }];
}

/** Puts consumers with their keys where an import would: the database takes them as any other change. */
async function seed(postgres: PostgresServer, from: number, to: number): Promise<void> {
  const { pg_host, pg_port, pg_user, pg_database } = postgres.settings();
  const client = new Client({ host: pg_host, port: pg_port, user: pg_user, database: pg_database });
  await client.connect();
  try {
    await client.query(
      `WITH made AS (
         INSERT INTO consumers (id, ws_id, username, created_at, updated_at)
         SELECT gen_random_uuid(), w.id, 'c' || n, 0, 0
         FROM generate_series($1::integer, $2::integer - 1) AS n, workspaces w WHERE w.name = 'default'
         RETURNING id, ws_id, substr(username, 2) AS n)
       INSERT INTO keyauth_credentials (id, ws_id, key, consumer_id, created_at)
       SELECT gen_random_uuid(), ws_id, 'key-of-consumer-' || n, id, 0 FROM made`,
      [from, to],
    );
  } finally {
    await client.end();
  }
}

async function importPart(url: string, from: number, to: number): Promise<void> {
  const consumers = Array.from({ length: to - from }, (_, n) => ({
    username: `c${from + n}`,
    keyauth_credentials: [{ key: keyOf(from + n) }],
  }));
  await admin(`${url}/config/import`, 'POST', { _format_version: '3.0', consumers });
}

const keyOf = (n: number): string => `key-of-consumer-${n}`;

async function statusWith(node: Node, key: string): Promise<number> {
  const response = await fetch(`${node.proxy}/r`, { headers: { apikey: key } });
  await response.arrayBuffer();
  return response.status;
}

const statusBecomes = (node: Node, key: string, status: number): Promise<void> =>
  until(async () => (await statusWith(node, key)) === status, `${status} on ${node.host} with ${key}`, PATIENCE);

/** One after the other. */
async function timesOf(node: Node, keys: readonly string[]): Promise<Quantiles> {
  const times: number[] = [];
  for (const key of keys) {
    const from = performance.now();
    const status = await statusWith(node, key);
    times.push(performance.now() - from);
    if (status !== 200) throw new Error(`${node.host}: ${status} with ${key}`);
  }
  const sorted = times.sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

function megabytes(pids: readonly number[]): number {
  return Math.round(pids.reduce((sum, pid) => sum + residentMemory(pid), 0) / (1 << 20));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

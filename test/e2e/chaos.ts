import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../free-port.ts';
import { startPostgres } from '../postgres-server.ts';
import {
  admin,
  type ClusterFolder,
  createCluster,
  type HoldfastProcess,
  type RunningDataPlane,
  until,
} from './processes.ts';
import { TroubledLink } from './troubled-link.ts';

const CONTROL_PLANES = 3;
const HOSTS = ['node', 'workerd'] as const;
/** Routes that are there from the start and stay. */
const STABLE = ['/stays/1', '/stays/2', '/stays/3'];
/** Milliseconds in which a link whose bytes go nowhere is given up: the last one has to begin as long before the end. */
const STUCK_FOR = 50_000;
/** Milliseconds between requests of a client, and between writes of a writer. */
const [REQUEST_PAUSE, WRITE_PAUSE] = [10, 60];

/** What came of it. */
interface Outcome {
  /** What must not have happened, in words; the first hundred. */
  readonly violations: readonly string[];
  readonly requests: number;
  readonly acknowledged: number;
  readonly events: Readonly<Record<string, number>>;
  /** Milliseconds from the moment everything ran again to one hash, that of the newest config, on all data planes. */
  readonly peace: number;
}

/** A process that is killed and started again. */
interface Killable {
  readonly name: string;
  running: HoldfastProcess | null;
  start(): Promise<HoldfastProcess>;
}

interface DataPlaneUnderTest extends Killable {
  running: RunningDataPlane | null;
  readonly proxy: string;
  readonly status: string;
  /** Written paths that it has served: from then on it has to. */
  readonly served: Set<string>;
}

/**
 * Three control planes on one database, data planes on both hosts, and a network of the test between them. While clients ask and
 * people write, all of them are killed and started again at random and the network fails in its ways. Then there is peace.
 */
export async function chaos(seconds: number, say: (line: string) => void): Promise<Outcome> {
  const postgres = await startPostgres();
  const upstream = createServer((request, response) => response.end(request.url));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const cluster = await createCluster();
  const links: TroubledLink[] = [];
  const everyone: Killable[] = [];
  try {
    const { pg_host, pg_port, pg_user, pg_database } = postgres.settings();
    const database = { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database };
    await cluster.migrations(database);
    const ports = await freePorts(3 * CONTROL_PLANES);
    const planes = Array.from({ length: CONTROL_PLANES }, (_, place) => controlPlane(cluster, place, ports, database));
    for (const { port, through } of planes) links.push(await TroubledLink.start(through, port));
    const nodes = HOSTS.map((host) =>
      dataPlane(
        cluster,
        host,
        planes.map(({ through }) => through),
      ),
    );
    everyone.push(...planes, ...nodes);
    await Promise.all(everyone.map((one) => bringUp(one)));
    for (const node of nodes)
      if (node.running !== null) Object.assign(node, { proxy: node.running.proxy, status: node.running.status });

    const { port } = upstream.address() as AddressInfo;
    const [first] = planes;
    const base = first?.admin ?? '';
    await admin(`${base}/services`, 'POST', { name: 'up', url: `http://127.0.0.1:${port}` });
    for (const path of STABLE) await addRoute(base, path);
    for (const node of nodes) for (const path of STABLE) await until(async () => (await ask(node, path)) === 200, path);

    const run = new Run(
      nodes,
      planes.map(({ admin: url }) => url),
    );
    const until_ = Date.now() + seconds * 1000;
    const clients = nodes.flatMap((node) => [run.client(node), run.client(node)]);
    const writers = [run.writer('a'), run.writer('b')];
    const trouble = {
      async kill() {
        const one = pick(everyone);
        run.event(`kill ${one.name}`);
        await bounce(one, run, pick([100, 1_000, 3_000]));
      },
      async database() {
        run.event('kill database');
        await postgres.kill();
        await sleep(pick([200, 2_000]));
        await postgres.start();
      },
      async network() {
        const left = until_ - Date.now();
        const kind = pick(left > STUCK_FOR ? (['slow', 'stuck', 'cut'] as const) : (['slow', 'cut'] as const));
        run.event(`${kind} link`);
        const link = pick(links);
        link.set(kind);
        await sleep(pick([500, 2_000, 4_000]));
        link.set('none');
      },
    };
    const makers = [
      troubleUntil(until_, trouble.kill, 700),
      troubleUntil(until_, trouble.kill, 1_500),
      troubleUntil(until_, trouble.database, 6_000),
      troubleUntil(until_, trouble.network, 500),
    ];
    await Promise.all(makers);
    run.writing = false;
    await Promise.all(writers);
    for (const link of links) link.set('none');
    say('peace');
    const peace = await run.settle(base, () =>
      everyone.map(({ name, running }) => `${name}\n${running?.output().slice(-3_000)}`).join('\n'),
    );
    run.asking = false;
    await Promise.all(clients);
    return { ...run.outcome(), peace };
  } finally {
    await Promise.all(everyone.map((one) => one.running?.end('SIGKILL')));
    for (const link of links) link.stop();
    await postgres.stop();
    upstream.close();
    upstream.closeAllConnections();
    cluster.remove();
  }
}

class Run {
  asking = true;
  writing = true;
  readonly #nodes: readonly DataPlaneUnderTest[];
  readonly #admins: readonly string[];
  readonly #violations: string[] = [];
  readonly #events = new Map<string, number>();
  /** Written and acknowledged, deletion and all that is not sure left out. */
  readonly #live = new Set<string>();
  readonly #deleted = new Set<string>();
  #acknowledged = 0;
  #requests = 0;

  constructor(nodes: readonly DataPlaneUnderTest[], admins: readonly string[]) {
    this.#nodes = nodes;
    this.#admins = admins;
  }

  event(what: string): void {
    this.#events.set(what, (this.#events.get(what) ?? 0) + 1);
  }

  outcome(): Omit<Outcome, 'peace'> {
    const events = Object.fromEntries(this.#events);
    return { violations: this.#violations, requests: this.#requests, acknowledged: this.#acknowledged, events };
  }

  /** Asks for what has to be there. */
  async client(node: DataPlaneUnderTest): Promise<void> {
    while (this.asking) {
      await sleep(REQUEST_PAUSE);
      const before = node.running;
      const path = pick([...STABLE, ...STABLE, ...node.served]);
      const answer = await ask(node, path).catch((error: Error) => String(error.cause ?? error));
      this.#requests++;
      // Who is killed in the middle of an answer cannot give it, and what is being deleted may be gone.
      if (answer === 200 || before === null || node.running !== before) continue;
      if (answer === 404 && !STABLE.includes(path) && !this.#live.has(path)) continue;
      this.#violate(`${node.name}: ${path}: ${answer}`);
    }
  }

  /** Makes routes, and deletes some of them, by whichever control plane. */
  async writer(name: string): Promise<void> {
    for (let n = 0; this.writing; n++) {
      await sleep(WRITE_PAUSE);
      const path = `/w/${name}${n}`;
      try {
        await addRoute(pick(this.#admins), path);
        this.#acknowledged++;
        this.#live.add(path);
      } catch {
        // Not acknowledged: it may be there or not.
      }
      const [old] = this.#live;
      if (old !== undefined && n % 4 === 0 && this.#live.size > 20) {
        this.#live.delete(old);
        for (const node of this.#nodes) node.served.delete(old);
        const gone = await fetch(`${pick(this.#admins)}/routes/${nameOf(old)}`, { method: 'DELETE' }).catch(() => null);
        if (gone?.status === 204) this.#deleted.add(old);
      }
      await this.#look();
    }
  }

  /** Notes which of the newest routes a data plane serves by now. */
  async #look(): Promise<void> {
    const path = pick([...this.#live]);
    const node = pick(this.#nodes);
    if (path === undefined || node.served.has(path)) return;
    const answer = await ask(node, path).catch(() => 0);
    if (answer === 200 && this.#live.has(path)) node.served.add(path);
  }

  /** Waits for one hash everywhere; then looks whether it has all that was acknowledged. Milliseconds it took. */
  async settle(base: string, story: () => string): Promise<number> {
    const began = performance.now();
    const last = '/w/last';
    await addRoute(base, last);
    this.#live.add(last);
    await until(async () => {
      const served = await Promise.all(this.#nodes.map((node) => ask(node, last).catch(() => 0)));
      const hashes = await Promise.all(this.#nodes.map(hashOf));
      return served.every((status) => status === 200) && new Set(hashes).size === 1;
    }, 'one hash on all data planes').catch((error: Error) => {
      throw new Error(`${error.message}\n${story()}`);
    });
    const took = performance.now() - began;
    for (const node of this.#nodes) {
      for (const [paths, expected] of [
        [this.#live, 200],
        [this.#deleted, 404],
      ] as const) {
        for (const path of paths) {
          const answer = await ask(node, path);
          if (answer !== expected) this.#violate(`${node.name}: in the end ${path}: ${answer}, not ${expected}`);
        }
      }
    }
    return took;
  }

  #violate(what: string): void {
    if (this.#violations.length < 100) this.#violations.push(what);
  }
}

function controlPlane(
  cluster: ClusterFolder,
  place: number,
  ports: readonly number[],
  database: Readonly<Record<string, string>>,
): Killable & { readonly port: number; readonly through: number; readonly admin: string } {
  const [adminPort = 0, port = 0, through = 0] = ports.slice(3 * place);
  return {
    name: `control plane ${place + 1}`,
    running: null,
    port,
    through,
    admin: `http://127.0.0.1:${adminPort}`,
    start: () =>
      cluster.controlPlane({
        ...database,
        prefix: join(cluster.path, `control-plane-${place + 1}`),
        admin_listen: `127.0.0.1:${adminPort}`,
        cluster_listen: `127.0.0.1:${port}`,
        cluster_telemetry_listen: 'off',
      }),
  };
}

function dataPlane(cluster: ClusterFolder, host: string, through: readonly number[]): DataPlaneUnderTest {
  return {
    name: `data plane on ${host}`,
    running: null,
    proxy: '',
    status: '',
    served: new Set(),
    start: () =>
      cluster.dataPlane(host, {
        data_plane_host: host,
        cluster_control_plane: through.map((port) => `127.0.0.1:${port}`).join(','),
      }),
  };
}

/** Starts it, again and again where it cannot: a control plane needs its database. */
async function bringUp(one: Killable): Promise<void> {
  for (let attempt = 1; one.running === null; attempt++) {
    try {
      one.running = await one.start();
    } catch (error) {
      if (attempt >= 40) throw error;
      await sleep(250);
    }
  }
}

const bouncing = new Set<Killable>();

async function bounce(one: Killable, _run: Run, pause: number): Promise<void> {
  const { running } = one;
  if (bouncing.has(one) || running === null) return;
  bouncing.add(one);
  one.running = null;
  await running.end(Math.random() < 0.7 ? 'SIGKILL' : 'SIGTERM');
  await sleep(pause);
  await bringUp(one);
  bouncing.delete(one);
}

/** One after the other, with a pause of up to twice as many milliseconds, until it is time. */
async function troubleUntil(end: number, make: () => Promise<void>, pause: number): Promise<void> {
  for (;;) {
    await sleep(Math.random() * 2 * pause);
    if (Date.now() >= end) return;
    await make();
  }
}

const nameOf = (path: string): string => path.slice(1).replaceAll('/', '-');

function addRoute(base: string, path: string): Promise<unknown> {
  // A whole segment: no route stands in for another.
  return admin(`${base}/services/up/routes`, 'POST', { name: nameOf(path), paths: [`~${path}$`], strip_path: false });
}

/** The status; 0 for an answer of somebody else. */
async function ask(node: DataPlaneUnderTest, path: string): Promise<number> {
  const response = await fetch(`${node.proxy}${path}`, { signal: AbortSignal.timeout(60_000) });
  const text = await response.text();
  return response.status === 200 && text !== path ? 0 : response.status;
}

async function hashOf(node: DataPlaneUnderTest): Promise<unknown> {
  const status: unknown = await (await fetch(`${node.status}/status`)).json().catch(() => null);
  return typeof status === 'object' && status !== null && 'configuration_hash' in status
    ? status.configuration_hash
    : node;
}

function pick<T>(from: readonly T[]): T {
  const one = from[Math.floor(Math.random() * from.length)];
  return one as T;
}

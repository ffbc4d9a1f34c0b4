import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { admin, createCluster, type RunningControlPlane, until } from '../e2e/processes.ts';
import { freePorts } from '../free-port.ts';
import { startPostgres } from '../postgres-server.ts';
import { processorTime, residentMemory } from '../proc.ts';

/** What the process with the links is told, and asked: who has a serial. */
export type FleetQuestion =
  | { readonly does: 'join'; readonly count: number; readonly pause: number }
  | { readonly does: 'show'; readonly serial: number };

export interface FleetState {
  readonly connected: number;
  /** With that serial, or a newer one, and since when (milliseconds since the epoch). */
  readonly holding: number;
  readonly since: readonly number[];
  /** Why links have ended, and how many. */
  readonly ends: Readonly<Record<string, number>>;
}

/** Of one control plane and its links; times in ms, memory in MB. */
export interface FleetFigures {
  readonly links: number;
  /** Until all were there that nobody knew before. */
  readonly joined: number;
  readonly memory: { readonly none: number; readonly all: number; readonly after: number };
  /** Processor time of the control plane in a minute in which nothing happens but heartbeats. */
  readonly rest: number;
  /** From the answer to a write to its config at a data plane. */
  readonly change: { readonly p50: number; readonly p99: number; readonly last: number };
  /** Until `GET /wait` knew that all serve it. */
  readonly known: number;
  /** Processor time of the control plane for one change, all that follows included. */
  readonly work: number;
  /** From the control plane's being ready again, after it was killed, until all were connected; and what it worked until then. */
  readonly storm: { readonly back: number; readonly work: number };
}

const CHANGES = 7;
const ROUTES = 200;
/** Milliseconds. */
const PATIENCE = 900_000;
const REST = 30_000;
/** Milliseconds between two new links: faster than a control plane takes them, they come back for it. */
const JOIN_PAUSE = 2;

export async function measureFleet(links: number, say: (line: string) => void): Promise<FleetFigures> {
  const postgres = await startPostgres();
  const cluster = await createCluster();
  let control: RunningControlPlane | null = null;
  let fleet: ChildProcess | null = null;
  try {
    const { pg_host, pg_port, pg_user, pg_database } = postgres.settings();
    const database = { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database };
    await cluster.migrations(database);
    const [port = 0] = await freePorts(1);
    const settings = { ...database, cluster_listen: `127.0.0.1:${port}`, log_level: 'warn' };
    control = await cluster.controlPlane(settings);
    const url = control.admin;
    await admin(`${url}/services`, 'POST', { name: 's', url: 'http://127.0.0.1:9' });
    for (let n = 0; n < ROUTES; n++)
      await admin(`${url}/services/s/routes`, 'POST', { name: `r${n}`, paths: [`/r${n}`] });
    const first = await change(url, 0);
    const none = memoryOf(control);

    fleet = fork(fileURLToPath(new URL('fleet-links.ts', import.meta.url)), [String(port), cluster.path]);
    const ask = asking(fleet);
    const all = (serial: number, what: string): Promise<FleetState> =>
      untilAll(ask, serial, links, (state) => say(`    ${state.holding} of ${links} ${what}`));
    say(`  ${links} data planes join`);
    let from = performance.now();
    fleet.send({ does: 'join', count: links, pause: JOIN_PAUSE } satisfies FleetQuestion);
    await all(first.serial, 'have config');
    const joined = performance.now() - from;
    await known(url, first.serial);
    await sleep(5_000);

    say('  at rest');
    const allOf = memoryOf(control);
    const resting = processorTime(control.child.pid ?? 0);
    await sleep(REST);
    const rest = ((processorTime(control.child.pid ?? 0) - resting) * 60_000) / REST;

    const delays: number[] = [];
    const lasts: number[] = [];
    const knowns: number[] = [];
    const works: number[] = [];
    for (let n = 1; n <= CHANGES; n++) {
      const before = processorTime(control.child.pid ?? 0);
      const { serial, answered } = await change(url, n);
      const waited = known(url, serial).then(() => Date.now() - answered);
      const { since } = await all(serial, `have change ${n}`);
      const own = since.map((at) => at - answered);
      delays.push(...own);
      lasts.push(Math.max(...own));
      knowns.push(await waited);
      await sleep(2_000);
      works.push(processorTime(control.child.pid ?? 0) - before);
    }

    say('  the control plane is killed and started again');
    await control.end('SIGKILL');
    control = await cluster.controlPlane(settings);
    const begun = processorTime(control.child.pid ?? 0);
    from = performance.now();
    await until(async () => (await ask(first.serial)).connected === links, `${links} links to be back`, PATIENCE);
    const back = performance.now() - from;
    const work = processorTime(control.child.pid ?? 0) - begun;
    const last = await change(url, CHANGES + 1);
    await all(last.serial, 'have a change after that');
    const { ends } = await ask(0);
    say(`  links ended: ${JSON.stringify(ends)}`);
    return {
      links,
      joined,
      memory: { none, all: allOf, after: memoryOf(control) },
      rest,
      change: { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99), last: quantile(lasts, 0.5) },
      known: quantile(knowns, 0.5),
      work: quantile(works, 0.5),
      storm: { back, work },
    };
  } finally {
    fleet?.kill('SIGKILL');
    await control?.end('SIGTERM');
    cluster.remove();
    await postgres.stop();
  }
}

/** Changes one route; the serial that has it, and when it was answered (milliseconds since the epoch). */
async function change(url: string, n: number): Promise<{ readonly serial: number; readonly answered: number }> {
  const response = await fetch(`${url}/routes/r7`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ paths: ['/r7', `/changed-${n}`] }),
  });
  const answered = Date.now();
  if (response.status !== 200) throw new Error(`PATCH /routes/r7: ${response.status} ${await response.text()}`);
  return { serial: Number(response.headers.get('x-holdfast-serial')), answered };
}

/** Waits until the control plane knows that everybody serves a serial. */
async function known(url: string, serial: number): Promise<void> {
  const response = await fetch(`${url}/wait/${serial}?timeout=300`);
  if (response.status !== 200) throw new Error(`GET /wait/${serial}: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}

type Ask = (serial: number) => Promise<FleetState>;

function asking(fleet: ChildProcess): Ask {
  let last: Promise<unknown> = Promise.resolve();
  return (serial) => {
    const answer = last.then(async () => {
      const heard = once(fleet, 'message');
      fleet.send({ does: 'show', serial } satisfies FleetQuestion);
      const [state] = await heard;
      return state as FleetState;
    });
    last = answer;
    return answer;
  };
}

async function untilAll(
  ask: Ask,
  serial: number,
  links: number,
  tell: (state: FleetState) => void,
): Promise<FleetState> {
  const end = performance.now() + PATIENCE;
  let told = performance.now();
  for (;;) {
    const state = await ask(serial);
    if (state.holding >= links) return state;
    if (performance.now() > end)
      throw new Error(`${state.holding} of ${links} have serial ${serial}; ends: ${JSON.stringify(state.ends)}`);
    if (performance.now() - told > 15_000) {
      told = performance.now();
      tell(state);
    }
    await sleep(50);
  }
}

function memoryOf({ child }: RunningControlPlane): number {
  return residentMemory(child.pid ?? 0) / (1 << 20);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

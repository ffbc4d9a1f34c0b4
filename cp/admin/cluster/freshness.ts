import { setTimeout as sleep } from 'node:timers/promises';
import type { ChangeFeed } from '../../store/store.ts';
import { objectOf } from '../openapi/description.ts';
import { message, ok, Refusal, type Reply } from '../reply.ts';
import type { Query } from '../request/query.ts';
import { type AdminRoute, type Call, mapOperations } from '../route.ts';
import type { ClusterView, ServedSerial } from './cluster-view.ts';

/** In the answer to a write: the serial of a config that has it. */
export const SERIAL = 'X-Holdfast-Serial';

/** Seconds. */
const PATIENCE = 10;
const MOST_PATIENCE = 300;
/** Milliseconds between looks at the data planes: the first, and the longest; many of them cost the database something. */
const PAUSE = 100;
const LONGEST_PAUSE = 1_000;
/** Characters of the data planes' names that a message holds. */
const MOST_NAMED = 10;

/** Has every write among `routes` say which serial has it. Others may have written meanwhile: then it is theirs, which has it too. */
export function tellSerial(routes: readonly AdminRoute[], changes: Pick<ChangeFeed, 'serial'>): readonly AdminRoute[] {
  return routes.map((route) =>
    mapOperations(route, (operation) => ({
      describe: { ...operation.describe, tellsSerial: true },
      async handle(call) {
        const reply = await operation.handle(call);
        if (call.method === 'GET' || reply.status >= 300) return reply;
        // What is committed stays so, whatever becomes of the database now.
        const serial = await changes.serial().catch(() => null);
        return serial === null ? reply : { ...reply, headers: { ...reply.headers, [SERIAL]: String(serial) } };
      },
    })),
  );
}

/** `/wait` and `/wait/{serial}`: answer once data planes serve that config, or a later one. */
export function waitRoutes(cluster: ClusterView | null, changes: Pick<ChangeFeed, 'serial'>): AdminRoute[] {
  const query = [
    {
      name: 'nodes',
      description: 'Ids or host names of data planes, separated by commas; all that are connected unless given.',
      schema: { type: 'string' },
    },
    {
      name: 'timeout',
      description: `Seconds to wait, ${PATIENCE} unless given, ${MOST_PATIENCE} at most.`,
      schema: { type: 'number' },
    },
  ];
  const success = {
    status: 200 as const,
    schema: objectOf({
      serial: { type: 'integer' },
      nodes: { type: 'array', items: objectOf({ id: { type: 'string' }, hostname: { type: 'string' } }) },
    }),
  };
  const waiting = (summary: string, serialOf: (call: Call) => Promise<number> | number): AdminRoute['methods'] => ({
    GET: {
      describe: { summary, tag: 'cluster', query, success, errors: [400, 504] },
      async handle(call) {
        if (cluster === null) throw new Refusal(message(400, 'this control plane has no data planes'));
        const asked = { serial: await serialOf(call), ...read(call.query) };
        return wait(cluster, asked);
      },
    },
  });
  return [
    { path: '/wait', methods: waiting('Wait until data planes serve the newest config', () => changes.serial()) },
    { path: '/wait/{serial}', methods: waiting('Wait until data planes serve a config', serialOf) },
  ];
}

function serialOf({ params: { serial = '' } }: Call): number {
  if (/^\d{1,15}$/.test(serial)) return Number(serial);
  throw new Refusal(message(400, `expected a serial, as ${SERIAL} has it, found '${serial}'`));
}

interface Asked {
  readonly serial: number;
  /** Ids or host names; empty: all that are connected. */
  readonly nodes: readonly string[];
  /** Seconds. */
  readonly timeout: number;
}

function read(query: Query): Omit<Asked, 'serial'> {
  const given = query.get('timeout') ?? String(PATIENCE);
  const timeout = /^\d+(?:\.\d+)?$/.test(given) ? Number(given) : Number.NaN;
  if (!(timeout <= MOST_PATIENCE)) {
    throw new Refusal(message(400, `timeout: expected seconds, ${MOST_PATIENCE} at most, found '${given}'`));
  }
  const nodes = (query.get('nodes') ?? '').split(',').map((name) => name.trim());
  return { timeout, nodes: nodes.filter((name) => name !== '') };
}

async function wait(cluster: ClusterView, asked: Asked): Promise<Reply> {
  const deadline = performance.now() + asked.timeout * 1000;
  for (let pause = PAUSE; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
    const all = await cluster.serials();
    const chosen = chosenOf(all, asked.nodes);
    const late = chosen.filter((node) => !serves(node, asked.serial));
    const nodes = chosen.map(({ id, hostname, serial }) => ({ id, hostname, serial }));
    if (late.length === 0 && chosen.length > 0) return ok({ serial: asked.serial, nodes });
    if (performance.now() >= deadline) {
      const why =
        chosen.length === 0 ? 'no data plane is connected' : late.slice(0, MOST_NAMED).map(lateness).join('; ');
      const more = late.length > MOST_NAMED ? `; and ${late.length - MOST_NAMED} more` : '';
      const text = `serial ${asked.serial} is not served after ${asked.timeout} s: ${why}${more}`;
      return { status: 504, body: { message: text, serial: asked.serial, nodes } };
    }
    await sleep(Math.min(pause, Math.max(0, deadline - performance.now())));
  }
}

/** One that is named and not known stands for itself: it may come yet. */
function chosenOf(all: readonly ServedSerial[], names: readonly string[]): readonly ServedSerial[] {
  if (names.length === 0) return all.filter(({ connected }) => connected);
  return names.flatMap((name) => {
    const known = all.filter(({ id, hostname }) => id === name.toLowerCase() || hostname === name);
    return known.length > 0 ? known : [{ id: name, hostname: name, connected: false, serial: null, reason: null }];
  });
}

const serves = ({ connected, serial }: ServedSerial, asked: number): boolean =>
  connected && serial !== null && serial >= asked;

function lateness({ hostname, connected, serial, reason }: ServedSerial): string {
  const has = serial === null ? 'has no config' : `serves ${serial}`;
  const why = reason === null ? '' : ` (${reason})`;
  return `${hostname} ${connected ? has : 'is not connected'}${why}`;
}

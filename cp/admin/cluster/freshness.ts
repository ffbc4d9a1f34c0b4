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
export function waitRoutes(
  cluster: ClusterView | null,
  changes: Pick<ChangeFeed, 'serial'>,
  stopping?: AbortSignal,
): AdminRoute[] {
  const query = [
    {
      name: 'group',
      description: 'Only data planes of this group.',
      schema: { type: 'string' },
    },
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
      describe: { summary, tag: 'cluster', query, success, errors: [400, 503, 504] },
      async handle(call) {
        if (cluster === null) throw new Refusal(message(400, 'this control plane has no data planes'));
        const asked = { serial: await serialOf(call), ...read(call.query) };
        if (asked.group !== null && !cluster.groups().includes(asked.group)) {
          throw new Refusal(message(400, `group: there is no group '${asked.group}'`));
        }
        return wait(cluster, asked, call.signal, stopping);
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
  /** Null: of all groups. */
  readonly group: string | null;
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
  return { timeout, group: query.get('group') ?? null, nodes: nodes.filter((name) => name !== '') };
}

/**
 * `gone`: nobody waits any more, and the database is not to be asked for them. `stopping`: this control plane is not to be held by who waits;
 * it is looked at between the pauses, which are short, since what listens to it would have to be let go of for each request.
 */
async function wait(
  cluster: ClusterView,
  asked: Asked,
  gone: AbortSignal,
  stopping: AbortSignal | undefined,
): Promise<Reply> {
  const deadline = performance.now() + asked.timeout * 1000;
  // The serial may be of a database that just took the place of another, with which data planes came further.
  await cluster.settle();
  for (let pause = PAUSE; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
    const chosen = chosenOf(await cluster.serials(), asked);
    const needed = cluster.certain(asked.serial);
    const late = chosen.filter((node) => !serves(node, needed));
    const nodes = chosen.map(({ id, hostname, serial }) => ({ id, hostname, serial }));
    if (late.length === 0 && chosen.length > 0) return ok({ serial: asked.serial, nodes });
    if (performance.now() >= deadline || gone.aborted) {
      const why =
        chosen.length === 0
          ? nobody(asked)
          : late
              .slice(0, MOST_NAMED)
              .map((node) => lateness(node, asked.serial))
              .join('; ');
      const more = late.length > MOST_NAMED ? `; and ${late.length - MOST_NAMED} more` : '';
      const text = `serial ${asked.serial} is not served after ${asked.timeout} s: ${why}${more}`;
      return { status: 504, body: { message: text, serial: asked.serial, nodes } };
    }
    if (stopping?.aborted === true) {
      const text = `serial ${asked.serial} is not served yet, and this control plane is stopping: ask another one`;
      return { status: 503, body: { message: text, serial: asked.serial, nodes } };
    }
    const left = Math.max(0, deadline - performance.now());
    await sleep(Math.min(pause, left), null, { signal: gone }).catch(() => undefined);
  }
}

const nobody = ({ group }: Asked): string =>
  group === null ? 'no data plane is connected' : `no data plane of group '${group}' is connected`;

/** One that is named and not known stands for itself: it may come yet. */
function chosenOf(all: readonly ServedSerial[], { nodes, group }: Asked): readonly ServedSerial[] {
  const meant = group === null ? all : all.filter((node) => node.group === group);
  if (nodes.length === 0) return meant.filter(({ connected }) => connected);
  return nodes.flatMap((name): readonly ServedSerial[] => {
    const known = meant.filter(({ id, hostname }) => id === name.toLowerCase() || hostname === name);
    const absent = { id: name, hostname: name, group: group ?? '', connected: false, serial: null, reason: null };
    return known.length > 0 ? known : [absent];
  });
}

const serves = ({ connected, serial }: ServedSerial, asked: number): boolean =>
  connected && serial !== null && serial >= asked;

function lateness({ hostname, connected, serial, reason }: ServedSerial, asked: number): string {
  const lost = serial !== null && serial >= asked ? ', of a database that another took the place of' : '';
  const has = serial === null ? 'has no config' : `serves ${serial}${lost}`;
  const why = reason === null ? '' : ` (${reason})`;
  return `${hostname} ${connected ? has : 'is not connected'}${why}`;
}

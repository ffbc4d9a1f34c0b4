import type { RequestPath } from '../proxy/request-path.ts';
import type { ConfigChanges, TableChanges } from './changes.ts';

/** Rows compiled at a time: some milliseconds of work, in which no request of the isolate is served. */
const SLICE = 500;

/**
 * `path.update(changes)` for changes of any size: services and routes, which can be many, are compiled a slice at a time, and
 * others have their `turn` between two slices. Nothing comes before what it refers to, and nothing goes before what refers to
 * it, so that every slice compiles if the whole does. Throws what `update` throws.
 */
export async function updateInSlices(
  path: RequestPath,
  changes: ConfigChanges,
  turn = othersTurn,
): Promise<RequestPath> {
  const services = changes.get('services') ?? NOTHING;
  const routes = changes.get('routes') ?? NOTHING;
  if ([services.upserts, routes.upserts, routes.deletes].every(({ length }) => length <= SLICE))
    return path.update(changes);
  const steps: (readonly [string, TableChanges])[] = [
    ...slices(services.upserts).map((upserts) => ['services', { upserts, deletes: [] }] as const),
    ...slices(routes.upserts).map((upserts) => ['routes', { upserts, deletes: [] }] as const),
    ...slices(routes.deletes).map((deletes) => ['routes', { upserts: [], deletes }] as const),
  ];
  let next = path;
  for (const step of steps) {
    next = next.update(new Map([step]));
    await turn();
  }
  const rest = new Map(changes).set('services', { upserts: [], deletes: services.deletes });
  rest.delete('routes');
  return next.update(rest);
}

const NOTHING: TableChanges = { upserts: [], deletes: [] };

function slices<T>(items: readonly T[]): (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / SLICE) }, (_, n) => items.slice(n * SLICE, (n + 1) * SLICE));
}

/** Lets requests be served that wait. */
export function othersTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** The same while there are no requests to serve: just what is due, since for a timer Node waits a millisecond each time. */
export function shortTurn(): Promise<void> {
  const immediately: unknown = Reflect.get(globalThis, 'setImmediate');
  if (typeof immediately !== 'function') return othersTurn();
  return new Promise((resolve) => Reflect.apply(immediately, undefined, [resolve]));
}

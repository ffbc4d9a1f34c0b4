import { isDeepStrictEqual } from 'node:util';
import { isRecord, type Row, recordOrEmpty } from '../../shared/record.ts';
import { listOf, settingsIn } from './wrangler-file.ts';

/** The lists of things that a person may add to, each with the field by which things are told apart. */
const LISTS = {
  kv_namespaces: 'binding',
  services: 'binding',
  mtls_certificates: 'binding',
  migrations: 'tag',
} as const;

/** Bindings whose number goes with that of control planes. */
const NUMBERED = /^(?:CONTROL_PLANE|TELEMETRY)(?:_\d+)?$/;

/**
 * A configuration that is made anew, with what a person added to the file before: an account, limits, environments, more bindings and
 * variables, the zone of a route. What `made` has of its own wins.
 */
export function overEdited(file: Row | null, made: Row): Row {
  if (file === null) return made;
  const lists = Object.entries(LISTS).flatMap(([name, by]) => {
    const all = joined(file[name], made[name], by);
    return all.length === 0 ? [] : [[name, all] as const];
  });
  const objects = recordOrEmpty(file.durable_objects);
  const own = recordOrEmpty(made.durable_objects);
  return {
    ...made,
    ...Object.fromEntries(
      Object.entries(file).filter(([name]) => !(name in made) && !(name in LISTS) && name !== 'routes'),
    ),
    ...Object.fromEntries(lists),
    ...('routes' in made && { routes: listOf(made.routes).map((route) => asBefore(route, listOf(file.routes))) }),
    ...('observability' in file && { observability: file.observability }),
    ...('dev' in file && { dev: file.dev }),
    durable_objects: { ...objects, ...own, bindings: joined(objects.bindings, own.bindings, 'name') },
    vars: { ...recordOrEmpty(file.vars), ...recordOrEmpty(made.vars) },
  };
}

/** Where `next` says something else than the file before, as `SETTINGS.proxy`; what is new in it is not told. */
export function overwritten(file: Row | null, next: Row): readonly string[] {
  const { vars: _, ...before } = file ?? {};
  const changed = (from: Row, to: Row) => Object.keys(from).filter((name) => !isDeepStrictEqual(from[name], to[name]));
  const settings = changed(settingsIn(file ?? {}), settingsIn(next));
  return [...changed(before, next), ...settings.map((name) => `SETTINGS.${name}`)];
}

/** Those of `made`, in its order, and after them those of the file that have another name. */
function joined(file: unknown, made: unknown, by: string): readonly unknown[] {
  const names = new Set(listOf(made).map((one) => recordOrEmpty(one)[by]));
  const others = listOf(file).filter((one) => {
    const name = recordOrEmpty(one)[by];
    return !names.has(name) && !(typeof name === 'string' && NUMBERED.test(name));
  });
  return [...listOf(made), ...others];
}

/** The file's own form of a route, where it says more than its pattern, as its zone: an object of that alone is none to wrangler. */
function asBefore(route: unknown, before: readonly unknown[]): unknown {
  const pattern = patternOf(route);
  return before.find((one) => isRecord(one) && patternOf(one) === pattern && Object.keys(one).length > 1) ?? route;
}

function patternOf(route: unknown): unknown {
  return isRecord(route) ? route.pattern : route;
}

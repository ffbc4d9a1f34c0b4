import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord, type Row, recordOrEmpty } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';

/** The name of the file in its folder; the Worker lies beside it, in `worker`. */
export const WRANGLER_FILE = 'wrangler.json';
export const WORKER_FOLDER = 'worker';

/** What only the person who deploys knows, and the file keeps from one `edge init` to the next. */
export interface EdgeFacts {
  /** Of the Worker. */
  readonly name: string;
  /** `https://host:port` of each control plane. */
  readonly controlPlanes: readonly string[];
  /** `https://host:port` of each `cluster_telemetry_listen` that is told what becomes of requests; empty: nobody is. */
  readonly telemetry: readonly string[];
  /** Patterns as `api.example.com/*`; without a path they are custom domains. Empty: an address of `workers.dev`. */
  readonly routes: readonly string[];
  /** Id of the KV namespace; null: not known yet. */
  readonly kv: string | null;
  /** Id of the uploaded client certificate; null: not known yet. */
  readonly certificate: string | null;
  /** UUID of the data plane. */
  readonly node: string;
  /** What paths of the Status API begin with; null: it is not to be reached. */
  readonly statusPath: string | null;
}

/** The rules of the runtime that the Worker is made for. */
export interface Compatibility {
  readonly date: string;
  readonly flags: readonly string[];
}

/** The whole configuration. `settings` is what the Worker gets as `SETTINGS`. */
export function wranglerConfig(facts: EdgeFacts, settings: object, { date, flags }: Compatibility): Row {
  const { name, routes, kv, certificate, controlPlanes, telemetry } = facts;
  return {
    name,
    main: `${WORKER_FOLDER}/worker.js`,
    no_bundle: true,
    compatibility_date: date,
    compatibility_flags: [...flags],
    ...(routes.length === 0 ? { workers_dev: true } : { workers_dev: false, routes: routes.map(route) }),
    // Each version would be a data plane of its own, with the same identity.
    preview_urls: false,
    observability: { enabled: true },
    // Keeps link and cache fresh where there is no traffic.
    triggers: { crons: ['* * * * *'] },
    ...(kv === null ? {} : { kv_namespaces: [{ binding: 'KV', id: kv }] }),
    durable_objects: {
      bindings: [
        { name: 'LINK', class_name: 'ClusterLink' },
        { name: 'HEALTH', class_name: 'HealthChecker' },
        { name: 'STATE', class_name: 'NodeState' },
      ],
    },
    migrations: MIGRATIONS,
    services: [{ binding: 'NODE', service: name, entrypoint: 'NodeService' }],
    ...(certificate === null
      ? {}
      : {
          mtls_certificates: [...numbered('CONTROL_PLANE', controlPlanes), ...numbered('TELEMETRY', telemetry)].map(
            (binding) => ({ binding, certificate_id: certificate }),
          ),
        }),
    vars: { SETTINGS: settings },
  };
}

/** The names of bindings for origins: the first is plain. */
export function numbered(name: string, origins: readonly string[]): readonly string[] {
  return origins.map((_, place) => (place === 0 ? name : `${name}_${place + 1}`));
}

/** As deployed: a Durable Object keeps its data only while the steps before stay what they were. */
export const MIGRATIONS = [
  { tag: 'v1', new_sqlite_classes: ['ClusterLink', 'HealthChecker'] },
  { tag: 'v2', new_sqlite_classes: ['NodeState'] },
] as const;

/** A route without more is a text to wrangler, which looks for its zone; as an object it would have to name that. */
function route(pattern: string): Row | string {
  return pattern.includes('/') ? pattern : { pattern, custom_domain: true };
}

/** A file in a folder; null: there is none. Throws what is wrong with its text. */
export function readWranglerFile(folder: string, file = WRANGLER_FILE): Row | null {
  const path = join(folder, file);
  if (!existsSync(path)) return null;
  let read: unknown;
  try {
    read = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path} is no JSON: ${messageOf(error)}`);
  }
  if (!isRecord(read)) throw new Error(`${path} is no JSON object`);
  return read;
}

export function writeWranglerFile(folder: string, config: Row, file = WRANGLER_FILE): string {
  const path = join(folder, file);
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${path}.new`, `${JSON.stringify(config, null, 2)}\n`);
  renameSync(`${path}.new`, path);
  return path;
}

/** What a file says of those facts; what it does not say is new or empty. */
export function factsIn(file: Row | null): EdgeFacts {
  const config = file ?? {};
  const settings = settingsIn(config);
  const { path } = recordOrEmpty(settings.status);
  const { id } = recordOrEmpty(settings.node);
  return {
    name: textOr(config.name, 'holdfast'),
    controlPlanes: listOf(settings.controlPlaneOrigins).filter((origin) => typeof origin === 'string'),
    telemetry: listOf(recordOrEmpty(settings.telemetry).origins).filter((origin) => typeof origin === 'string'),
    routes: listOf(config.routes).flatMap((one) => {
      const pattern = isRecord(one) ? one.pattern : one;
      return typeof pattern === 'string' ? [pattern] : [];
    }),
    kv: textOr(boundTo('KV', config.kv_namespaces).id, null),
    certificate: textOr(boundTo('CONTROL_PLANE', config.mtls_certificates).certificate_id, null),
    node: textOr(id, randomUUID()),
    statusPath: textOr(path, null),
  };
}

export function settingsIn(config: Row): Row {
  return recordOrEmpty(recordOrEmpty(config.vars).SETTINGS);
}

function boundTo(name: string, list: unknown): Row {
  return recordOrEmpty(listOf(list).find((one) => recordOrEmpty(one).binding === name));
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOr<T>(value: unknown, otherwise: T): string | T {
  return typeof value === 'string' && value !== '' ? value : otherwise;
}

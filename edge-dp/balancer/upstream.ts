import type { BundleRow } from '../../shared/bundle/format.ts';
import { headFieldProblem } from '../../shared/head-fields.ts';
import { workspaceOf } from '../../shared/workspace.ts';
import { RowReader } from '../config/row.ts';

type Algorithm = 'round-robin' | 'consistent-hashing' | 'least-connections' | 'latency';

/** Where a hash value comes from, with the header, cookie, argument or capture it names. */
export type HashSource =
  | { readonly kind: 'none' | 'consumer' | 'ip' | 'path' }
  | { readonly kind: 'header' | 'query_arg' | 'uri_capture'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string; readonly path: string };

/** An upstream as the balancer needs it. */
export interface Upstream {
  readonly id: string;
  readonly workspace: string;
  readonly name: string;
  readonly algorithm: Algorithm;
  readonly hashOn: HashSource;
  readonly hashFallback: HashSource;
  readonly slots: number;
  readonly hostHeader: string | null;
  /** The Host header is the name in the SRV record instead of the target's own. */
  readonly useSrvName: boolean;
  readonly clientCertificate: string | null;
  readonly health: HealthChecks;
}

interface HealthChecks {
  /** Percent of the weight that must be exceeded for the upstream to be used. */
  readonly threshold: number;
  readonly passive: Thresholds & { readonly type: string };
  readonly active: Thresholds & {
    readonly type: string;
    /** Seconds; 0 is off. */
    readonly healthyInterval: number;
    readonly unhealthyInterval: number;
    readonly timeout: number;
    readonly concurrency: number;
    readonly path: string;
    readonly verifyCertificate: boolean;
    readonly sni: string | null;
    readonly headers: Readonly<Record<string, readonly string[]>>;
  };
}

/** How many observations of a kind in a row flip a target; 0: that kind does not count. */
export interface Thresholds {
  readonly healthyStatuses: ReadonlySet<number>;
  readonly unhealthyStatuses: ReadonlySet<number>;
  readonly successes: number;
  readonly httpFailures: number;
  readonly tcpFailures: number;
  readonly timeouts: number;
}

/** A target as the balancer needs it. */
export interface Target {
  readonly id: string;
  readonly upstream: string;
  /** As configured: `host:port`. */
  readonly target: string;
  readonly host: string;
  readonly port: number;
  readonly weight: number;
}

/** Kong's, for a target without a port. */
const DEFAULT_TARGET_PORT = 8000;

const ALGORITHMS: readonly Algorithm[] = ['round-robin', 'consistent-hashing', 'least-connections', 'latency'];

/** Throws `ConfigError` for a row this data plane does not understand. */
export function readUpstream(row: BundleRow): Upstream {
  const read = new RowReader('upstreams', row);
  const unsendable = headFieldProblem('upstreams', row);
  if (unsendable !== undefined) throw read.error(unsendable);
  const wanted = read.optionalString('algorithm') ?? 'round-robin';
  const algorithm = ALGORITHMS.find((known) => known === wanted);
  if (algorithm === undefined) throw read.refuse('algorithm', 'an algorithm this data plane knows', wanted);
  return {
    id: row.id,
    workspace: workspaceOf(row),
    name: read.string('name'),
    algorithm,
    hashOn: readHashSource(read, 'hash_on'),
    hashFallback: readHashSource(read, 'hash_fallback'),
    slots: read.number('slots', 10_000),
    hostHeader: read.optionalString('host_header'),
    useSrvName: read.boolean('use_srv_name', false),
    clientCertificate: read.reference('client_certificate'),
    health: readHealthChecks(read.record('healthchecks')),
  };
}

/** Throws `ConfigError` for a row this data plane does not understand. */
export function readTarget(row: BundleRow): Target {
  const read = new RowReader('targets', row);
  const target = read.string('target');
  const upstream = read.reference('upstream');
  if (upstream === null) throw read.refuse('upstream', 'a reference {id}', null);
  const match = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(target);
  // An IPv6 address may stand there without brackets; it then has no port.
  const host = match?.[1] ?? target;
  const port = match?.[2] === undefined ? DEFAULT_TARGET_PORT : Number(match[2]);
  return { id: row.id, upstream, target, host, port, weight: read.number('weight', 100) };
}

function readHashSource(read: RowReader, field: 'hash_on' | 'hash_fallback'): HashSource {
  const kind = read.optionalString(field) ?? 'none';
  switch (kind) {
    case 'none':
    case 'consumer':
    case 'ip':
    case 'path':
      return { kind };
    case 'header':
    case 'query_arg':
    case 'uri_capture':
      return { kind, name: read.string(`${field}_${kind}`) };
    case 'cookie':
      // Both places share one cookie.
      return {
        kind,
        name: read.string('hash_on_cookie'),
        path: read.optionalString('hash_on_cookie_path') ?? '/',
      };
    default:
      throw read.refuse(field, 'a source this data plane knows', kind);
  }
}

function readHealthChecks(read: RowReader): HealthChecks {
  const active = read.record('active');
  const headers = active.raw('headers');
  const headerFields = active.record('headers');
  return {
    threshold: read.number('threshold', 0),
    passive: {
      ...readThresholds(read.record('passive')),
      type: read.record('passive').optionalString('type') ?? 'http',
    },
    active: {
      ...readThresholds(active),
      type: active.optionalString('type') ?? 'http',
      healthyInterval: active.record('healthy').number('interval', 0),
      unhealthyInterval: active.record('unhealthy').number('interval', 0),
      timeout: active.number('timeout', 1),
      concurrency: active.number('concurrency', 10),
      path: active.optionalString('http_path') ?? '/',
      verifyCertificate: active.boolean('https_verify_certificate', true),
      sni: active.optionalString('https_sni'),
      headers: Object.fromEntries(Object.keys(headers ?? {}).map((name) => [name, headerFields.strings(name)])),
    },
  };
}

function readThresholds(read: RowReader): Thresholds {
  const healthy = read.record('healthy');
  const unhealthy = read.record('unhealthy');
  return {
    healthyStatuses: new Set(healthy.numbers('http_statuses')),
    unhealthyStatuses: new Set(unhealthy.numbers('http_statuses')),
    successes: healthy.number('successes', 0),
    httpFailures: unhealthy.number('http_failures', 0),
    tcpFailures: unhealthy.number('tcp_failures', 0),
    timeouts: unhealthy.number('timeouts', 0),
  };
}

/** Whether any check is on: without one Kong reports `HEALTHCHECKS_OFF`. */
export function checksHealth({ active, passive }: HealthChecks): boolean {
  return (
    active.healthyInterval > 0 ||
    active.unhealthyInterval > 0 ||
    passive.httpFailures > 0 ||
    passive.tcpFailures > 0 ||
    passive.timeouts > 0
  );
}

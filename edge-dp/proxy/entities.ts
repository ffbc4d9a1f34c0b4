import type { BundleRow } from '../../shared/bundle/format.ts';
import { headFieldProblem } from '../../shared/head-fields.ts';
import { isRecord } from '../../shared/record.ts';
import { workspaceOf } from '../../shared/workspace.ts';
import type { RowSecrets } from '../config/changes.ts';
import { RowReader } from '../config/row.ts';
import type { Authority } from '../plugins/runtime/authorities.ts';
import type { ConsumerGroup } from '../plugins/runtime/identity.ts';
import type { Endpoint, RouteRow } from '../router/route-row.ts';

/** A service as requests need it. Times in milliseconds. */
export interface Service {
  readonly id: string;
  readonly workspace: string;
  readonly name: string | null;
  readonly enabled: boolean;
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly path: string | null;
  readonly retries: number;
  readonly connectTimeout: number;
  readonly writeTimeout: number;
  readonly readTimeout: number;
  readonly clientCertificate: string | null;
  readonly tlsVerify: boolean | null;
  readonly tlsVerifyDepth: number | null;
  readonly caCertificates: readonly string[];
  /** The whole entity. */
  readonly row: BundleRow;
}

/** A route as requests need it, matching left to the router. */
export interface Route {
  readonly id: string;
  readonly workspace: string;
  readonly name: string | null;
  readonly service: string | null;
  readonly protocols: readonly string[];
  readonly httpsRedirect: number;
  readonly stripPath: boolean;
  readonly preserveHost: boolean;
  readonly requestBuffering: boolean;
  readonly pathHandling: 'v0' | 'v1';
  /** What the router compiles. */
  readonly matching: RouteRow;
  /** The whole entity. */
  readonly row: BundleRow;
}

/** A certificate with its key: PEM. */
export interface Certificate {
  readonly id: string;
  readonly cert: string;
  readonly key: string | null;
  /** `cert_alt` and `key_alt`. */
  readonly alternative: { readonly cert: string; readonly key: string } | null;
  /** Why the pair cannot be used: a secret of it is not there. */
  readonly missing: string | null;
}

const SERVICE_PROTOCOLS = new Set(['http', 'https', 'grpc', 'grpcs', 'tcp', 'tls', 'tls_passthrough', 'udp']);

/** Throws `ConfigError` for a row this data plane does not understand. */
export function readService(row: BundleRow): Service {
  const read = new RowReader('services', row);
  const protocol = read.string('protocol');
  if (!SERVICE_PROTOCOLS.has(protocol)) throw read.refuse('protocol', 'a protocol this data plane knows', protocol);
  return {
    id: row.id,
    workspace: workspaceOf(row),
    name: read.optionalString('name'),
    enabled: read.boolean('enabled', true),
    protocol,
    host: read.string('host'),
    port: read.number('port', 80),
    path: read.optionalString('path'),
    retries: read.number('retries', 5),
    connectTimeout: read.number('connect_timeout', 60_000),
    writeTimeout: read.number('write_timeout', 60_000),
    readTimeout: read.number('read_timeout', 60_000),
    clientCertificate: read.reference('client_certificate'),
    tlsVerify: read.optionalBoolean('tls_verify'),
    tlsVerifyDepth: read.optionalNumber('tls_verify_depth'),
    caCertificates: read.strings('ca_certificates'),
    row,
  };
}

/** Throws `ConfigError` for a row this data plane does not understand; its matching is checked by the router. */
export function readRoute(row: BundleRow): Route {
  const read = new RowReader('routes', row);
  const unreadable = headFieldProblem('routes', row);
  if (unreadable !== undefined) throw read.error(unreadable);
  return {
    id: row.id,
    workspace: workspaceOf(row),
    name: read.optionalString('name'),
    service: read.reference('service'),
    protocols: read.strings('protocols'),
    httpsRedirect: read.number('https_redirect_status_code', 426),
    stripPath: read.boolean('strip_path', true),
    preserveHost: read.boolean('preserve_host', false),
    requestBuffering: read.boolean('request_buffering', true),
    pathHandling: read.optionalString('path_handling') === 'v1' ? 'v1' : 'v0',
    matching: readMatching(read),
    row,
  };
}

/** A pair to show upstreams. */
export function readCertificate(row: BundleRow, secrets?: RowSecrets): Certificate {
  const read = new RowReader('certificates', row);
  const cert = read.optionalString('cert_alt');
  const key = read.optionalString('key_alt');
  return {
    id: row.id,
    cert: read.string('cert'),
    key: read.string('key'),
    alternative: cert === null || key === null ? null : { cert, key },
    missing: secrets?.missing ?? null,
  };
}

/** A consumer group as requests need it. */
export function readConsumerGroup(row: BundleRow): ConsumerGroup {
  return { id: row.id, name: new RowReader('consumer_groups', row).string('name') };
}

/** What a workspace is called in log entries. */
export function readWorkspaceName(row: BundleRow): string {
  return new RowReader('workspaces', row).string('name');
}

/** An authority that upstreams' certificates, or clients', may chain to. */
export function readCaCertificate(row: BundleRow): Authority {
  return { id: row.id, cert: new RowReader('ca_certificates', row).string('cert'), row };
}

function readMatching(read: RowReader): RouteRow {
  return {
    id: read.id,
    name: read.optionalString('name'),
    protocols: read.optionalStrings('protocols'),
    methods: read.optionalStrings('methods'),
    hosts: read.optionalStrings('hosts'),
    paths: read.optionalStrings('paths'),
    headers: readHeaders(read),
    snis: read.optionalStrings('snis'),
    sources: readEndpoints(read, 'sources'),
    destinations: readEndpoints(read, 'destinations'),
    regex_priority: read.optionalNumber('regex_priority'),
    expression: read.optionalString('expression'),
    priority: read.optionalNumber('priority'),
    created_at: read.optionalNumber('created_at'),
  };
}

function readHeaders(read: RowReader): Record<string, readonly string[]> | null {
  const value = read.raw('headers');
  if (value === null || value === undefined) return null;
  if (!isRecord(value)) throw read.refuse('headers', 'a map', value);
  const fields = read.record('headers');
  return Object.fromEntries(Object.keys(value).map((name) => [name, fields.strings(name)]));
}

function readEndpoints(read: RowReader, field: string): readonly Endpoint[] | null {
  const value = read.raw(field);
  if (value === null || value === undefined) return null;
  if (!Array.isArray(value)) throw read.refuse(field, 'a list', value);
  return value.map((item: unknown) => {
    if (!isRecord(item)) throw read.refuse(field, 'a list of records', value);
    const { ip, port } = item;
    return { ip: typeof ip === 'string' ? ip : null, port: typeof port === 'number' ? port : null };
  });
}

import { array, arrayOf, integer, nullable, object, oneOf, ShapeError, string } from '../bundle/shape.ts';
import type { Row } from '../record.ts';

/** What a request looks like to routes and plugins: no body, no credentials. */
export interface RequestShape {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** What the client used, where somebody who is trusted says so (`X-Forwarded-Proto`). */
  readonly forwardedProto: string;
  /** The `Host` header, port included; null: there was none, or it is not known. */
  readonly host: string | null;
  readonly sni: string | null;
  /** The request target up to `?`. */
  readonly path: string;
  /** What follows; null: whether there was anything is not known. */
  readonly query: string | null;
  /** By lower-case name; null: it was there, and its value is not known. */
  readonly headers: Readonly<Record<string, string | null>>;
  /** Whether these are all headers there were. */
  readonly allHeaders: boolean;
  readonly sourceIp: string | null;
  /** As HTTP calls it: `1.1`, `2`. */
  readonly version: string;
  /** How many requests looked like this. */
  readonly count: number;
}

/** What is left out of a message, and then is so. */
const USUAL: RequestShape = {
  method: 'GET',
  scheme: 'http',
  forwardedProto: 'http',
  host: null,
  sni: null,
  path: '/',
  query: '',
  headers: {},
  allHeaders: true,
  sourceIp: null,
  version: '1.1',
  count: 1,
};

/** Of a request a client may send; nothing longer is looked at. Characters. */
export const LONGEST_TARGET = 8 << 10;

/** A shape as it travels. */
export function packShape(shape: RequestShape): Row {
  const packed: Row = { path: shape.path };
  if (shape.method !== USUAL.method) packed.method = shape.method;
  if (shape.scheme !== USUAL.scheme) packed.scheme = shape.scheme;
  if (shape.forwardedProto !== shape.scheme) packed.forwarded_proto = shape.forwardedProto;
  if (shape.host !== USUAL.host) packed.host = shape.host;
  if (shape.sni !== USUAL.sni) packed.sni = shape.sni;
  if (shape.query !== USUAL.query) packed.query = shape.query;
  if (Object.keys(shape.headers).length > 0) packed.headers = shape.headers;
  if (!shape.allHeaders) packed.all_headers = false;
  if (shape.sourceIp !== USUAL.sourceIp) packed.source_ip = shape.sourceIp;
  if (shape.version !== USUAL.version) packed.version = shape.version;
  if (shape.count !== USUAL.count) packed.count = shape.count;
  return packed;
}

/** Reads one that came. Throws `ShapeError`. */
export function parseShape(value: unknown, where: string): RequestShape {
  const read = object(value, where);
  const text = (name: string, otherwise: string): string =>
    read[name] === undefined ? otherwise : string(read[name], `${where}.${name}`);
  const optional = (name: string): string | null =>
    read[name] === undefined ? null : nullable(read[name], `${where}.${name}`, string);
  const scheme = read.scheme === undefined ? 'http' : oneOf(read.scheme, `${where}.scheme`, ['http', 'https']);
  const headers = read.headers === undefined ? {} : object(read.headers, `${where}.headers`);
  return {
    method: text('method', USUAL.method),
    scheme,
    forwardedProto: text('forwarded_proto', scheme),
    host: optional('host'),
    sni: optional('sni'),
    path: string(read.path, `${where}.path`),
    query: read.query === undefined ? '' : optional('query'),
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, one]) => [name, nullable(one, `${where}.headers.${name}`, string)]),
    ),
    allHeaders: read.all_headers !== false,
    sourceIp: optional('source_ip'),
    version: text('version', USUAL.version),
    count: read.count === undefined ? 1 : integer(read.count, `${where}.count`, 1),
  };
}

/** What may be another for a request. */
export const REPLAY_ASPECTS = ['route', 'service', 'upstream', 'plugins', 'status'] as const;
export type ReplayAspect = (typeof REPLAY_ASPECTS)[number];

/** What a request meets in a config, as far as that can be told without sending it. */
export interface Verdict {
  /** Name, or id where it has none; null: it matches none. */
  readonly route: string | null;
  readonly service: string | null;
  /** Where it is sent; null: nowhere. */
  readonly upstream: string | null;
  /** Names, in the order they run. */
  readonly plugins: readonly string[];
  /** What the gateway answers by itself; null: that is up to the upstream, or to plugins. */
  readonly status: number | null;
}

/** A request that meets something else in the candidate. */
export interface DifferingRequest {
  readonly request: Readonly<Row>;
  readonly changes: readonly ReplayAspect[];
  readonly before: Verdict;
  readonly after: Verdict;
}

/** What came of some requests. */
export interface ReplayFigures {
  readonly requests: number;
  readonly changed: number;
  readonly changes: Readonly<Record<ReplayAspect, number>>;
  /** Of which something counts that is not known of them, such as the value of a header. */
  readonly unsure: number;
  readonly differing: readonly DifferingRequest[];
}

/** Requests that differ of which one answer tells at most; each is some hundred bytes, and the answer one message. */
export const MOST_DIFFERING = 100;

/** Reads the answer of a data plane that was asked about `requests` of them, or about its sample (null). Throws `ShapeError`. */
export function parseReplayFigures(value: unknown, requests: number | null, list: number): ReplayFigures {
  const read = object(value, 'replay');
  const all = integer(read.requests, 'replay.requests', 0, requests ?? MOST_SAMPLED_REQUESTS);
  if (requests !== null && all !== requests) throw new ShapeError(`replay.requests: ${all}, of ${requests}`);
  const counted = (one: unknown, where: string): number => integer(one, where, 0, all);
  const changes = object(read.changes, 'replay.changes');
  const count = (aspect: ReplayAspect): number => counted(changes[aspect], `replay.changes.${aspect}`);
  const differing = array(read.differing, 'replay.differing');
  if (differing.length > list) throw new ShapeError(`replay.differing: ${differing.length}, of ${list} at most`);
  return {
    requests: all,
    changed: counted(read.changed, 'replay.changed'),
    changes: {
      route: count('route'),
      service: count('service'),
      upstream: count('upstream'),
      plugins: count('plugins'),
      status: count('status'),
    },
    unsure: counted(read.unsure, 'replay.unsure'),
    differing: arrayOf(differing, 'replay.differing', parseDiffering),
  };
}

/** A sample counts the requests that looked alike. */
const MOST_SAMPLED_REQUESTS = 2 ** 40;

function parseDiffering(value: unknown, where: string): DifferingRequest {
  const read = object(value, where);
  return {
    request: packShape(parseShape(read.request, `${where}.request`)),
    changes: arrayOf(read.changes, `${where}.changes`, (one, at) => oneOf(one, at, REPLAY_ASPECTS)),
    before: parseVerdict(read.before, `${where}.before`),
    after: parseVerdict(read.after, `${where}.after`),
  };
}

function parseVerdict(value: unknown, where: string): Verdict {
  const read = object(value, where);
  const optional = (name: string): string | null => nullable(read[name], `${where}.${name}`, string);
  return {
    route: optional('route'),
    service: optional('service'),
    upstream: optional('upstream'),
    plugins: arrayOf(read.plugins, `${where}.plugins`, string),
    status: nullable(read.status, `${where}.status`, (one, at) => integer(one, at, 100, 599)),
  };
}

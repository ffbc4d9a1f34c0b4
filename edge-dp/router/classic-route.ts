import { allOf, anyOf, type Expression, type Literal, type Operator, type Predicate } from '../../shared/atc/ast.ts';
import { maskRange, parseRange } from '../../shared/atc/ip.ts';
import { headerPattern, pathPattern } from '../../shared/atc/route-regex.ts';
import { splitHost } from './host.ts';
import { isEmpty } from './priority.ts';
import type { Endpoint, RouteRow } from './route-row.ts';

/** How a flavour turns classic fields into conditions. */
export interface Dialect {
  /** `http` is refused where only `https` is listed, and the other way round. */
  readonly protocols: boolean;
  /** Header patterns are lower-cased before they are compiled, several per header are allowed. */
  readonly loweredPatterns: boolean;
  /** What the port of a host without and with a wildcard is compared with. */
  readonly portFields: { readonly plain: PortField; readonly wildcard: PortField };
}

/** The field a host's port is compared with: of the connection, of the Host header, or of the header only if it names one. */
type PortField = 'net.dst.port' | 'http.host.port' | 'http.host.own_port';

/** The conditions of a route's classic fields, for some of its paths; no terms at all: it takes every request. */
export function classicConditions(route: RouteRow, paths: readonly string[], dialect: Dialect): Expression[] {
  const terms: Expression[] = [];
  const { snis, sources, destinations, methods, hosts, headers } = route;
  // Most routes have one of these, and there are thousands: what is not there is to cost nothing.
  if (snis?.length) terms.push(anyOf([text('net.protocol', '!=', 'https'), anyOf(snis.map(sniCondition))]));
  if (sources?.length) terms.push(anyOf(sources.map((item) => endpointCondition('net.src', item))));
  if (destinations?.length) terms.push(anyOf(destinations.map((item) => endpointCondition('net.dst', item))));
  if (methods?.length) terms.push(anyOf(methods.map((method) => text('http.method', '==', method))));
  if (hosts?.length) terms.push(anyOf(hosts.map((host) => hostCondition(host, dialect))));
  if (paths.length === 1) terms.push(pathCondition(paths[0] ?? ''));
  else if (paths.length > 1) terms.push(anyOf(paths.map(pathCondition)));
  for (const [name, values] of headers ? Object.entries(headers) : []) {
    if (values.length === 0) continue;
    terms.push(anyOf(values.map((value) => headerCondition(name, value, values.length === 1, dialect))));
  }
  const protocols = dialect.protocols ? protocolConditions(route) : [];
  if (protocols.length > 0) terms.push(anyOf(protocols));
  // Of the very length: what was pushed to has room in advance.
  return terms.slice();
}

/** What a name of `snis` asks for. */
export function sniCondition(sni: string): Predicate {
  if (sni.endsWith('*')) return text('tls.sni', '^=', sni.slice(0, -1));
  const bare = sni.length > 1 && sni.endsWith('.') ? sni.slice(0, -1) : sni;
  return bare.startsWith('*') ? text('tls.sni', '=^', bare.slice(1)) : text('tls.sni', '==', bare);
}

/** What an item of `sources` or `destinations` asks for. */
export function endpointCondition(side: 'net.src' | 'net.dst', { ip, port }: Endpoint): Expression {
  const terms: Expression[] = [];
  if (ip) {
    const range = parseRange(ip);
    if (!range) return allOf([text(`${side}.ip`, '==', ip)]);
    const value: Literal = ip.includes('/')
      ? { type: 'IpCidr', range: maskRange(range) }
      : { type: 'IpAddr', address: range.address };
    terms.push(predicate(`${side}.ip`, ip.includes('/') ? 'in' : '==', value));
  }
  if (port !== null && port !== undefined) terms.push(predicate(`${side}.port`, '==', { type: 'Int', number: port }));
  return allOf(terms);
}

function hostCondition(written: string, { portFields }: Dialect): Expression {
  const { host, port } = splitHost(written);
  const condition = host.startsWith('*')
    ? text('http.host', '=^', host.slice(1))
    : host.endsWith('*')
      ? text('http.host', '^=', host.slice(0, -1))
      : text('http.host', '==', host);
  if (port === null) return condition;
  const field = host.includes('*') ? portFields.wildcard : portFields.plain;
  return allOf([condition, predicate(field, '==', { type: 'Int', number: port })]);
}

function pathCondition(path: string): Predicate {
  return path.startsWith('~') ? text('http.path', '~', pathPattern(path)) : text('http.path', '^=', path);
}

function headerCondition(name: string, value: string, only: boolean, dialect: Dialect): Predicate {
  const field = `http.headers.${name.replaceAll('-', '_').toLowerCase()}`;
  const pattern = dialect.loweredPatterns || only ? headerPattern(value, dialect.loweredPatterns) : null;
  const condition = pattern === null ? text(field, '==', value.toLowerCase()) : text(field, '~', pattern);
  return { ...condition, lower: true, any: true };
}

/** gRPC is HTTP to the router. A route of TLS alone is left to the answer `426` or the redirect. */
function protocolConditions({ protocols }: RouteRow): Expression[] {
  const names = protocols ?? [];
  if (isEmpty(protocols) || (names.length === 1 && names[0] === 'https')) return [];
  return names.map((name) => text('net.protocol', '==', PROTOCOLS[name] ?? name));
}

const PROTOCOLS: Readonly<Record<string, string>> = { grpc: 'http', grpcs: 'https' };

function text(field: string, operator: Operator, value: string): Predicate {
  return predicate(field, operator, { type: 'String', text: value });
}

function predicate(field: string, operator: Operator, value: Literal): Predicate {
  return { kind: 'predicate', field, lower: false, any: false, operator, value, span: null };
}

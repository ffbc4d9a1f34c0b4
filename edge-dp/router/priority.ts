import type { Endpoint, RouteRow } from './route-row.ts';

/** The order of rules: higher numbers first, compared one after the other; then the larger id. */
export interface Rank {
  /** Flavour `traditional` uses all, the others the first two: the high and low half of a 64-bit priority. */
  readonly numbers: readonly number[];
  readonly id: string;
}

/** Positive when `a` comes before `b`. */
export function compareRanks(a: Rank, b: Rank): number {
  for (let i = 0; i < a.numbers.length; i++) {
    const difference = (a.numbers[i] ?? 0) - (b.numbers[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.id === b.id ? 0 : a.id > b.id ? 1 : -1;
}

/** Splits an unsigned 64-bit priority into comparable halves. */
export function rankOf(priority: bigint, id: string): Rank {
  return { numbers: [Number(priority >> 32n), Number(priority & 0xffff_ffffn)], id };
}

const EXPRESSION = 0xffn << 56n;
const PLAIN_HOSTS = 1n << 60n;
const REGEX = 1n << 51n;
/** Their upper halves. */
const HIGH_PLAIN_HOSTS = Number(PLAIN_HOSTS >> 32n);
const HIGH_REGEX = Number(REGEX >> 32n);

/** Expression routes come before all others. */
export function expressionPriority(priority: number | null): bigint {
  return EXPRESSION | BigInt(priority ?? 0);
}

/**
 * The priority Kong's router gives a route of classic fields, for paths of one kind (all regexes, or prefixes of one
 * length).
 *
 * Up to three fields this is what Kong really computes: weight, header count and regex priority are shifted as 32-bit
 * numbers, so they fall below the plain-host and regex bits and run into each other. From four fields, and for regex
 * priorities that reach the sign bit, Kong's result differs between processors; there it is the layout its source
 * documents.
 */
export function classicRank(route: RouteRow, paths: readonly string[], id: string): Rank {
  const first = paths[0];
  const regex = first?.startsWith('~') ?? false;
  const weight = countFields(route);
  const headers = route.headers ? Math.min(Object.keys(route.headers).length, 255) : 0;
  const regexPriority = regex ? (route.regex_priority ?? 0) : 0;
  const length = regex || first === undefined ? 0 : byteLength(first) & 0x7ffff;
  const plainHosts = hasPlainHostsOnly(route);
  const wrapped = regexPriority & 8191;
  if (weight >= 4 || wrapped >= 4096) {
    const bits = (plainHosts ? PLAIN_HOSTS : 0n) | (regex ? REGEX : 0n) | BigInt(length);
    const documented =
      bits | (BigInt(weight) << 61n) | (BigInt(headers) << 52n) | ((BigInt(regexPriority) & 0xffff_ffffn) << 19n);
    return rankOf(documented < EXPRESSION ? documented : EXPRESSION - 1n, id);
  }
  // By halves: most routes come here, and numbers of 64 bits are dear.
  const high = (plainHosts ? HIGH_PLAIN_HOSTS : 0) | (regex ? HIGH_REGEX : 0);
  return { numbers: [high, length | (weight << 29) | (headers << 20) | (wrapped << 19)], id };
}

const SERVER_NAME = 1n << 61n;

/** The priority Kong's router gives a route of streams: addresses of both sides, or a server name, before what has less. */
export function streamPriority({ snis, sources, destinations }: RouteRow): bigint {
  const both = !isEmpty(sources) && !isEmpty(destinations);
  const bits = both || !isEmpty(snis) ? SERVER_NAME : 0n;
  return bits | (endpointWeight(sources ?? []) << 4n) | endpointWeight(destinations ?? []);
}

/** An address weighs more than a port, and that more than a block of addresses. */
function endpointWeight(endpoints: readonly Endpoint[]): bigint {
  let weight = 0n;
  for (const { ip, port } of endpoints) {
    if (ip) weight |= ip.includes('/') ? 1n : 8n;
    if (port !== null && port !== undefined) weight |= 4n;
  }
  return weight;
}

/** The rank of a rule in flavour `traditional`, without the host-port precedence its host decides. */
export function traditionalRank(route: RouteRow, paths: readonly string[], matched: MatchedBy): Rank {
  const present = [
    route.hosts,
    route.headers,
    route.paths,
    route.methods,
    route.snis,
    route.sources,
    route.destinations,
  ];
  let weight = 0;
  let category = 0;
  for (const [i, field] of present.entries()) {
    if (isEmpty(field) || (i === 4 && !matched.sni)) continue;
    weight++;
    category |= 64 >> i;
  }
  const regex = paths.some((path) => path.startsWith('~'));
  const sub = (regex ? 1 : 0) | (hasPlainHostsOnly(route) ? 2 : 0) | (matched.wildcardHostPort ? 4 : 0);
  const longest = Math.max(0, ...paths.filter((path) => !path.startsWith('~')).map(byteLength));
  const numbers = [
    weight,
    category,
    matched.hostPort ? 1 : 0,
    sub,
    Object.keys(route.headers ?? {}).length,
    regex ? (route.regex_priority ?? 0) : 0,
    longest,
    -(route.created_at ?? 0),
  ];
  return { numbers, id: route.id };
}

/** What a traditional rule relies on beyond its route's fields. */
interface MatchedBy {
  readonly sni: boolean;
  readonly hostPort: boolean;
  readonly wildcardHostPort: boolean;
}

function countFields({ sources, destinations, methods, hosts, headers, snis, paths }: RouteRow): number {
  // One by one: there are thousands of routes, and a list of the fields would be made for each.
  let count = isEmpty(sources) ? 0 : 1;
  if (!isEmpty(destinations)) count++;
  if (!isEmpty(methods)) count++;
  if (!isEmpty(hosts)) count++;
  if (!isEmpty(headers)) count++;
  if (!isEmpty(snis)) count++;
  if (!isEmpty(paths)) count++;
  return count;
}

function hasPlainHostsOnly({ hosts }: RouteRow): boolean {
  return hosts !== null && hosts !== undefined && hosts.length > 0 && !hosts.some((host) => host.includes('*'));
}

/** Whether a field of a route says nothing: absent, null or without elements. */
export function isEmpty(field: readonly unknown[] | Readonly<Record<string, unknown>> | null | undefined): boolean {
  return (
    field === null || field === undefined || (Array.isArray(field) ? field.length : Object.keys(field).length) === 0
  );
}

/** Of a text in UTF-8. */
export function byteLength(text: string): number {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return new TextEncoder().encode(text).length;
  return text.length;
}

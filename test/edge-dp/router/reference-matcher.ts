import type { RouteRow } from '../../../edge-dp/router/route-row.ts';
import type { RequestSketch } from './request.ts';

/**
 * The documented rules, written down a second time without any of the router's code: every route's fields are looked at
 * one after the other, and the best of those that fit wins. Paths of requests must be in normal form already, and
 * patterns must mean the same to the platform's engine.
 */
interface ReferenceMatch {
  readonly id: string;
  readonly prefix: string | null;
}

/** The winner among the routes; `tieBreak` gives the id of the part of a route that has these paths. */
export function referenceMatch(
  routes: Iterable<RouteRow>,
  sent: Required<Omit<RequestSketch, 'edge'>>,
  tieBreak: (route: RouteRow, part: number, parts: number) => string,
): ReferenceMatch | null {
  let best: { priority: bigint; tie: string; match: ReferenceMatch } | null = null;
  for (const route of routes) {
    const parts = split(route.paths ?? []);
    for (const [i, paths] of parts.entries()) {
      const prefix = fits(route, paths, sent);
      if (prefix === undefined) continue;
      const priority = priorityOf(route, paths);
      const tie = tieBreak(route, i, parts.length);
      if (best && (priority < best.priority || (priority === best.priority && tie < best.tie))) continue;
      best = { priority, tie, match: { id: route.id, prefix } };
    }
  }
  return best?.match ?? null;
}

function split(paths: readonly string[]): string[][] {
  const kinds = [...new Set(paths.map((path) => kindOf(path)))];
  return kinds.length === 0 ? [[]] : kinds.map((kind) => paths.filter((path) => kindOf(path) === kind));
}

/** What may stand in one part of a route: regexes, or prefixes of as many bytes. */
function kindOf(path: string): number {
  return path[0] === '~' ? 0 : new TextEncoder().encode(path).length;
}

/** The matched prefix, or undefined when the route does not fit. */
function fits(
  route: RouteRow,
  paths: readonly string[],
  sent: Required<Omit<RequestSketch, 'edge'>>,
): string | null | undefined {
  const [host = '', port] = (sent.host ?? '').split(':');
  const destinationPort = port === undefined ? sent.destinationPort : Number(port);
  if (route.methods?.length && !route.methods.includes(sent.method)) return undefined;
  if (route.hosts?.length && !route.hosts.some((wanted) => hostFits(wanted, host, destinationPort))) return undefined;
  if (route.snis?.length && sent.scheme === 'https' && !(sent.sni && route.snis.includes(sent.sni))) return undefined;
  for (const [name, wanted] of Object.entries(route.headers ?? {})) {
    const values = [sent.headers[name] ?? []].flat();
    if (!values.some((value) => wanted.some((one) => headerFits(one, value)))) return undefined;
  }
  const sources = route.sources ?? [];
  if (sources.length > 0 && !sources.some((one) => endpointFits(one, sent.sourceIp, sent.sourcePort))) return undefined;
  if (paths.length === 0) return null;
  const [path = ''] = sent.target.split('?');
  for (const wanted of paths) {
    if (wanted[0] !== '~') {
      if (path.slice(0, wanted.length) === wanted) return wanted;
    } else {
      const match = new RegExp(`^${wanted.slice(1)}`).exec(path);
      if (match) return match[0];
    }
  }
  return undefined;
}

function hostFits(wanted: string, host: string, port: number): boolean {
  const [name = '', wantedPort] = wanted.split(':');
  if (wantedPort !== undefined && Number(wantedPort) !== port) return false;
  if (name[0] === '*') return host.toLowerCase().endsWith(name.slice(1));
  if (name.at(-1) === '*') return host.toLowerCase().startsWith(name.slice(0, -1));
  return host.toLowerCase() === name;
}

function headerFits(wanted: string, value: string): boolean {
  if (wanted.startsWith('~*')) return new RegExp(wanted.slice(2).toLowerCase()).test(value.toLowerCase());
  return wanted.toLowerCase() === value.toLowerCase();
}

/** IPv4 only; blocks end on a byte. */
function endpointFits(wanted: { ip?: string | null; port?: number | null }, ip: string, port: number): boolean {
  if (wanted.port && wanted.port !== port) return false;
  if (!wanted.ip) return true;
  const [address = '', bits] = wanted.ip.split('/');
  if (bits === undefined) return address === ip;
  const bytes = Number(bits) / 8;
  return address.split('.').slice(0, bytes).join('.') === ip.split('.').slice(0, bytes).join('.');
}

/** As the proxy's documentation lists it; for at most 3 fields and regex priorities below 4096 it is what Kong computes. */
function priorityOf(route: RouteRow, paths: readonly string[]): bigint {
  const fields = [route.sources, route.destinations, route.methods, route.hosts, route.snis, route.paths];
  const headers = Object.keys(route.headers ?? {}).length;
  const weight = fields.filter((field) => field && field.length > 0).length + (headers > 0 ? 1 : 0);
  const regex = paths[0]?.[0] === '~';
  const plain = route.hosts && route.hosts.length > 0 && route.hosts.every((host) => !host.includes('*'));
  const wide = weight > 3;
  let priority = regex ? 0n : BigInt(kindOf(paths[0] ?? ''));
  if (plain) priority += 2n ** 60n;
  if (regex) priority += 2n ** 51n;
  priority |= BigInt(weight) * (wide ? 2n ** 61n : 2n ** 29n);
  priority |= BigInt(headers) * (wide ? 2n ** 52n : 2n ** 20n);
  if (regex) priority |= BigInt(route.regex_priority ?? 0) * 2n ** 19n;
  return priority;
}

import { parseIp, parseRange } from '../../atc/ip.ts';

/** Host names and addresses as Kong reads them: `name`, `name:port`, `1.2.3.4:port`, `[::1]:port`, `::1`. */

type Host =
  | { readonly type: 'name' | 'ipv4' | 'ipv6'; readonly host: string; readonly port?: number }
  | { readonly error: string };

/** IPv4 without leading zeros, IPv6 in lower case and expanded, a name as it stands. */
export function parseHost(text: string): Host {
  const colons = text.split(':').length - 1;
  if (colons > 1) return parseIpv6(text);
  return /^[\d.]+$/.test(text.replace(':', '')) ? parseIpv4(text) : parseName(text);
}

/** As it appears in a URL, with `port` unless the text has its own. */
export function formatHost(host: Exclude<Host, { error: string }>, port: number): string {
  const name = host.type === 'ipv6' ? `[${host.host}]` : host.host;
  return `${name}:${host.port ?? port}`;
}

const INVALID_PORT = { error: 'invalid port number' } as const;

function withPort(type: 'name' | 'ipv4' | 'ipv6', host: string, port: string | undefined): Host {
  if (port === undefined) return { type, host };
  return Number(port) > 65535 ? INVALID_PORT : { type, host, port: Number(port) };
}

function parseIpv4(text: string): Host {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?::(\d+))?$/.exec(text);
  const parts = match?.slice(1, 5).map(Number);
  if (!match || !parts || parts.some((part) => part > 255)) return { error: `invalid ipv4 address: ${text}` };
  return withPort('ipv4', parts.join('.'), match[5]);
}

function parseIpv6(text: string): Host {
  const bracketed = /^\[([^\]]*)\](.*)$/.exec(text);
  const rest = bracketed?.[2] ?? '';
  if (rest !== '' && !/^:\d+$/.test(rest)) return { error: 'invalid ipv6 address' };
  const address = expandIpv6(bracketed?.[1] ?? text);
  if (address === undefined) return { error: `invalid ipv6 address: ${text}` };
  return withPort('ipv6', address, rest === '' ? undefined : rest.slice(1));
}

function expandIpv6(text: string): string | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const present = groups.flat().length;
  const [head = [], tail] = groups;
  if (tail ? present > 7 : present !== 8) return undefined;
  const all = tail ? [...head, ...new Array<string>(8 - present).fill('0'), ...tail] : head;
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return all.map((group) => group.toLowerCase().padStart(4, '0')).join(':');
}

function parseName(text: string): Host {
  const match = /^(.*?)(?::(\d+))?$/s.exec(text);
  const name = match?.[1] ?? text;
  if (match?.[2] !== undefined && Number(match[2]) > 65535) return INVALID_PORT;
  const labels = name.split('.');
  const bad = labels.some((label, i) => label.endsWith('-') || (label === '' && i !== labels.length - 1));
  if (bad || !/^[\w.-]+$/.test(name)) return { error: `invalid hostname: ${text}` };
  return withPort('name', name, match?.[2]);
}

/** A name or address without a port. */
export function hostError(text: string): string | undefined {
  const host = parseHost(text);
  if ('error' in host) return host === INVALID_PORT ? 'must not have a port' : `invalid value: ${text}`;
  return host.port === undefined ? undefined : 'must not have a port';
}

export function hostWithOptionalPortError(text: string): string | undefined {
  const host = parseHost(text);
  return 'error' in host ? host.error : undefined;
}

/** A server name: no address, no port. */
export function sniError(text: string): string | undefined {
  const host = parseHost(text);
  if (!('error' in host)) {
    if (host.type !== 'name') return 'must not be an IP';
    return host.port === undefined ? undefined : 'must not have a port';
  }
  return host === INVALID_PORT ? 'must not have a port' : `invalid value: ${text}`;
}

/** A server name that may begin or end with one `*`. */
export function wildcardHostError(text: string): string | undefined {
  const star = text.indexOf('*');
  if (star > 0 && star !== text.length - 1) return 'wildcard must be leftmost or rightmost character';
  if (text.split('*').length > 2) return 'only one wildcard must be specified';
  return sniError(text.replace('*', 'wildcard'));
}

/** `routes.hosts`: like a host with an optional port once the wildcard stands for a label. */
export function routeHostError(text: string): string | undefined {
  return hostWithOptionalPortError(text.replaceAll('*', 'abc'));
}

/** Why a text is neither an IP address nor a CIDR block, or nothing. By the same reader as data planes'. */
export function ipOrCidrError(text: string): string | undefined {
  return parseRange(text) === null ? `invalid ip or cidr range: '${text}'` : undefined;
}

/** Why a text is neither an IPv4 address nor a CIDR block of such, or nothing. */
export function ipv4OrCidrError(text: string): string | undefined {
  return parseRange(text)?.address.family === 4 ? undefined : `invalid ipv4 cidr range: '${text}'`;
}

/** Why a text is no IP address, or nothing. */
export function ipError(text: string): string | undefined {
  return parseIp(text) === null ? `not an ip address: ${text}` : undefined;
}

import { parseIp, printIp } from '../../shared/atc/ip.ts';

/** A `Host` or a route's host, taken apart. */
export interface HostAndPort {
  /** Lower case; an IPv6 literal without brackets, in RFC 5952 form. */
  readonly host: string;
  readonly port: number | null;
}

/** Splits `host[:port]` and `[v6][:port]` (RFC 3986 §3.2). What is not a port in digits belongs to the host. */
export function splitHost(text: string): HostAndPort {
  if (text.startsWith('[') || text.indexOf(':') !== text.lastIndexOf(':')) return splitV6(text);
  const colon = text.indexOf(':');
  if (colon < 0) return { host: text.toLowerCase(), port: null };
  const port = portOf(text.slice(colon + 1));
  return port === null && colon !== text.length - 1
    ? { host: text.toLowerCase(), port: null }
    : { host: text.slice(0, colon).toLowerCase(), port };
}

function splitV6(text: string): HostAndPort {
  const close = text.lastIndexOf(']');
  if (!text.startsWith('[') || close < 0) return { host: canonicalHost(text), port: null };
  const rest = text.slice(close + 1);
  const port = rest.startsWith(':') ? portOf(rest.slice(1)) : null;
  if (rest !== '' && rest !== ':' && port === null) return { host: text.toLowerCase(), port: null };
  return { host: canonicalHost(text.slice(0, close + 1)), port };
}

/** Lower case, IPv6 literals without brackets and in their one canonical form. */
export function canonicalHost(text: string): string {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  const address = bare.includes(':') ? parseIp(bare) : null;
  return address ? printIp(address) : text.toLowerCase();
}

function portOf(digits: string): number | null {
  return /^\d{1,5}$/.test(digits) && Number(digits) <= 65535 ? Number(digits) : null;
}

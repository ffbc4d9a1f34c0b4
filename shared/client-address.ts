import { parseIp } from './atc/ip.ts';
import { type CidrSet, compileCidrs } from './cidr.ts';

/** Who sent a request, and whether to believe what it says about others. */
export interface ClientAddress {
  /** The client (`remote_addr` after real-IP processing); empty where the host does not tell. */
  readonly ip: string;
  readonly port: number | null;
  /** The socket peer. */
  readonly peerIp: string;
  readonly peerPort: number | null;
  /** The peer is one of `trusted_ips`: its X-Forwarded-* are believed. */
  readonly trusted: boolean;
}

/** Whom to believe, and where it stands who the client is. */
interface RealIpSettings {
  readonly trustedIps: readonly string[];
  readonly realIpHeader: string;
  readonly realIpRecursive: boolean;
}

/**
 * Compiles `trusted_ips`, `real_ip_header` and `real_ip_recursive` (nginx's realip module) into a function of the
 * socket peer, the request's headers, and whom the peer speaks for by the PROXY protocol. That counts where `real_ip_header` is
 * `proxy_protocol`, and for streams, which have no headers (null).
 */
export function compileClientAddress(
  settings: RealIpSettings,
): (
  peerIp: string | null,
  peerPort: number | null,
  headers: { get(name: string): string | null } | null,
  proxied?: Address | null,
) => ClientAddress {
  const trusted = compileCidrs(settings.trustedIps);
  const header = settings.realIpHeader;
  const byProxy = header.toLowerCase() === 'proxy_protocol';
  return (peerIp, peerPort, headers, proxied = null) => {
    const peer = { ip: peerIp ?? '', port: peerPort, peerIp: peerIp ?? '', peerPort, trusted: false };
    if (peerIp === null || !trusted.has(peerIp)) return peer;
    const value = headers === null || byProxy ? null : headers.get(header);
    const told = value === null ? null : realAddress(value, trusted, settings.realIpRecursive);
    const real = headers === null || byProxy ? proxied : told;
    if (real === null) return { ...peer, trusted: true };
    return { ip: real.ip, port: real.port, peerIp, peerPort, trusted: true };
  };
}

/** `1.2.3.4:5`, `[::1]:5`; null for a Unix socket, which has neither part. IPv4 clients of a dual-stack listener are IPv4. */
export function parseSocketAddress(address: string): Address | null {
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  if (colon <= 0 || colon === address.length - 1 || !Number.isInteger(port)) return null;
  if (!address.startsWith('[') || address[colon - 1] !== ']') return { ip: address.slice(0, colon), port };
  const ip = address.slice(1, colon - 1);
  return { ip: ip.startsWith(MAPPED) && ip.includes('.') ? ip.slice(MAPPED.length) : ip, port };
}

/** What IPv6 writes before an IPv4 address (RFC 4291 section 2.5.5.2). */
const MAPPED = '::ffff:';

interface Address {
  readonly ip: string;
  readonly port: number | null;
}

/** The last address of the list or, recursively, the last that is no trusted proxy (the first if all are). */
function realAddress(value: string, trusted: CidrSet, recursive: boolean): Address | null {
  const list = value.split(',');
  let found: Address | null = null;
  for (let i = list.length - 1; i >= 0; i--) {
    const address = parseAddress(list[i]?.trim() ?? '');
    if (address === null) return found;
    found = address;
    if (!recursive || !trusted.has(address.ip)) return found;
  }
  return found;
}

/** `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80`. */
function parseAddress(text: string): Address | null {
  const match = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([\d.]+):(\d{1,5})$/.exec(text);
  const ip = match?.[1] ?? text;
  if (parseIp(ip) === null) return null;
  const port = match?.[2] === undefined ? null : Number(match[2]);
  return port === null || port <= 65535 ? { ip, port } : null;
}

import { isIP } from 'node:net';

import { sniError } from '../../shared/schema/formats/host.ts';
import { list, type Property } from './property.ts';

/** Where a server listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly tls: boolean;
  /** Clients may speak HTTP/2. */
  readonly http2: boolean;
  /** Connections begin with a header of the PROXY protocol; absent: they do not. */
  readonly proxyProtocol?: boolean;
  /** An IPv6 address takes IPv4 connections as well (`ipv6only=off`); absent: it does not. */
  readonly dualStack?: boolean;
}

/** A server to connect to. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Words Kong allows after a listen address. `ssl` and `http2` are honoured and `ipv6only=on` is the case anyway; the others tune nginx's
 * sockets and change nothing here. Not among them: those that would have to have an effect.
 */
const LISTEN_FLAGS = new Set(['ssl', 'http2', 'deferred', 'bind', 'reuseport', 'ipv6only=on']);

/** Words that only data planes have a meaning for. */
const DATA_PLANE_FLAGS = new Set(['proxy_protocol', 'ipv6only=off']);

/** What those among them say. */
export function dataPlaneFlags(flags: readonly string[]): Pick<ListenAddress, 'proxyProtocol' | 'dualStack'> {
  const [proxyProtocol, dualStack] = [flags.includes('proxy_protocol'), flags.includes('ipv6only=off')];
  return { ...(proxyProtocol && { proxyProtocol }), ...(dualStack && { dualStack }) };
}

/** Kong's `*_listen`: `host:port [ssl] [http2] [reuseport] [backlog=N], …` or `off`. `proxied`: it is the data planes'. */
export function listen(initial: string, { proxied = false } = {}): Property<readonly ListenAddress[]> {
  return {
    default: initial,
    allowed:
      "'off', or comma-separated 'host:port' with optional 'ssl', 'http2', 'reuseport', 'deferred', 'bind', 'backlog=N', 'ipv6only=on', " +
      (proxied
        ? "'ipv6only=off', 'so_keepalive=…', 'proxy_protocol'"
        : "'so_keepalive=…' ('proxy_protocol' and 'ipv6only=off' are not supported)"),
    secret: false,
    emptyIsDefault: false,
    parse: (value) => {
      // As in Kong, what follows is switched off with it.
      if (/^\s*off\s*(,|$)/.test(value)) return [];
      const addresses: ListenAddress[] = [];
      for (const item of value.split(',')) {
        const [address = '', ...flags] = item.trim().split(/\s+/);
        const peer = parseHostPort(address, 0);
        const own = flags.filter((flag) => !(proxied && DATA_PLANE_FLAGS.has(flag)));
        if (!peer || !own.every(isListenFlag)) return undefined;
        const [tls, http2] = [flags.includes('ssl'), flags.includes('http2')];
        addresses.push({ ...peer, tls, http2, ...dataPlaneFlags(flags) });
      }
      return addresses;
    },
  };
}

/** One or more `host:port`, comma-separated. */
export function peers(initial: string): Property<readonly PeerAddress[]> {
  return {
    default: initial,
    allowed: "comma-separated 'host:port', port 1 to 65535",
    secret: false,
    parse: (value) => {
      const result: PeerAddress[] = [];
      if (value === '') return result;
      for (const item of value.split(',')) {
        const peer = parseHostPort(item.trim(), 1);
        if (!peer) return undefined;
        result.push(peer);
      }
      return result;
    },
  };
}

/** Kong's `port_maps`: `80:8000`, what a port forward leads to behind what clients connect to. Read: the first by the second. */
export function portMaps(): Property<Readonly<Record<number, number>>> {
  return {
    default: '',
    allowed:
      "comma-separated pairs of ports from 1 to 65535, what clients connect to before that of the listener: '80:8000'",
    secret: false,
    parse: (value) => {
      const ports: Record<number, number> = {};
      for (const pair of value === '' ? [] : value.split(',')) {
        const [, from, to] = /^\s*(\d{1,5}):(\d{1,5})\s*$/.exec(pair) ?? [];
        const [outside, inside] = [Number(from), Number(to)];
        if (!isPort(outside) || !isPort(inside)) return undefined;
        ports[inside] = outside;
      }
      return ports;
    },
  };
}

const isPort = (port: number): boolean => port >= 1 && port <= 65535;

/** IP addresses and CIDR blocks. */
export function parseIpOrCidr(value: string): string | undefined {
  const [, address, bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const family = isIP(address ?? '');
  if (value === 'unix:') return value;
  if (family === 0) return undefined;
  return bits === undefined || Number(bits) <= (family === 4 ? 32 : 128) ? value : undefined;
}

/** Names of a server, as a `Host` header gives them. */
export function hostNames(): Property<readonly string[]> {
  return list('', 'comma-separated host names, without ports', (name) =>
    sniError(name) === undefined && !name.endsWith('.') ? name.toLowerCase() : undefined,
  );
}

/** An IP address with or without a port. */
export function parseNameServer(value: string): string | undefined {
  return isIP(value) !== 0 || isIP(parseHostPort(value, 1)?.host ?? '') !== 0 ? value : undefined;
}

/** A word of Kong's `dns_order`. */
export function parseDnsType(value: string): 'LAST' | 'SRV' | 'A' | 'AAAA' | 'CNAME' | undefined {
  return (['LAST', 'SRV', 'A', 'AAAA', 'CNAME'] as const).find((type) => type === value.toUpperCase());
}

/** An absolute URL of the web. */
export function parseHttpUrl(value: string): string | undefined {
  return /^https?:\/\/[^/]/i.test(value) && URL.canParse(value) ? value : undefined;
}

/** A forward proxy, as `proxy_server` names it. */
export interface ProxyServer extends PeerAddress {
  readonly tls: boolean;
  readonly credentials: { readonly user: string; readonly password: string } | null;
}

/** Undefined for what is no URL of a proxy. */
export function parseProxyServer(value: string): ProxyServer | undefined {
  const url = parseHttpUrl(value) === undefined ? null : URL.parse(value);
  if (url === null || url.pathname !== '/' || url.search !== '' || url.hash !== '') return undefined;
  const tls = url.protocol === 'https:';
  const credentials = decoded(url.username, url.password);
  if (credentials === undefined) return undefined;
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (tls ? 443 : 80) : Number(url.port),
    tls,
    credentials: url.username === '' && url.password === '' ? null : credentials,
  };
}

function decoded(user: string, password: string): { user: string; password: string } | undefined {
  try {
    return { user: decodeURIComponent(user), password: decodeURIComponent(password) };
  } catch {
    return undefined;
  }
}

/** `host:port`, an IPv6 address in brackets. */
export function formatAddress({ host, port }: PeerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** An address something listens on, once it does. */
export interface BoundAddress extends PeerAddress {
  readonly tls: boolean;
}

/** The URL a listener has for what runs on the same machine. */
export function localUrl(address: BoundAddress): string {
  return `${address.tls ? 'https' : 'http'}://${formatAddress(reachable(address))}`;
}

/** Where something on the same machine connects to what listens on every address. */
export function reachable({ host, port }: PeerAddress): PeerAddress {
  return { host: { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host, port };
}

function isListenFlag(flag: string): boolean {
  return LISTEN_FLAGS.has(flag) || /^(backlog=\d+|so_keepalive=[\w:]+)$/.test(flag);
}

/** Undefined for what is no address, or has a port below `lowestPort`. */
export function parseHostPort(text: string, lowestPort: number): PeerAddress | undefined {
  const [, v6, name, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  if (host === undefined || port < lowestPort || port > 65535) return undefined;
  if (v6 !== undefined && isIP(v6) !== 6) return undefined;
  if (name !== undefined && /^[\d.]+$/.test(name) && isIP(name) !== 4) return undefined;
  return { host, port };
}

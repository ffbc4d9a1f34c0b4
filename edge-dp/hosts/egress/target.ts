import { isRecord } from '../../../shared/record.ts';
import type { TunnelTarget, TunnelTls } from '../../proxy/egress/host-services.ts';
import type { EgressTarget, EgressTimeouts, ProxyHop } from '../../proxy/egress/protocol.ts';
import { EgressError } from './failure.ts';

/** Reads an `EGRESS_TARGET` header. Throws `bad_request` naming the member that is wrong. */
export function parseTarget(text: string): EgressTarget {
  const fields = parsed(text);
  const { tls, trailers, method, exchange, proxy } = fields;
  return {
    scheme: oneOf(fields.scheme, ['http', 'https'], 'scheme'),
    host: string(fields.host, 'host'),
    port: integer(fields.port, 'port', 65_535),
    version: oneOf(fields.version, ['1.1', '2'], 'version'),
    authority: string(fields.authority, 'authority'),
    path: string(fields.path, 'path'),
    tls: tls === null || tls === undefined ? null : parseTls(record(tls, 'tls')),
    timeouts: parseTimeouts(record(fields.timeouts, 'timeouts')),
    ...(proxy !== undefined && { proxy: parseProxy(record(proxy, 'proxy')) }),
    ...(method !== undefined && { method: string(method, 'method') }),
    ...(exchange !== undefined && { exchange: string(exchange, 'exchange') }),
    ...(trailers !== undefined && { trailers: oneOf(trailers, ['grpc-web'], 'trailers') }),
  };
}

/** Reads what a tunnel is to be opened to. Throws as `parseTarget`. */
export function parseTunnelTarget(text: string): TunnelTarget {
  const { host, port, tls, timeout, pool } = parsed(text);
  return {
    host: string(host, 'host'),
    port: integer(port, 'port', 65_535),
    tls: tls === null ? null : parseTls(record(tls, 'tls')),
    timeout: integer(timeout, 'timeout', LONGEST),
    pool: pool === null ? null : string(pool, 'pool'),
  };
}

/** Reads the TLS a tunnel is to go over to. Throws as `parseTarget`. */
export function parseTunnelTls(text: string): TunnelTls {
  return parseTls(parsed(text));
}

function parsed(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('it is not JSON');
  }
  return record(value, 'target');
}

function parseProxy({ host, port, credentials }: Record<string, unknown>): ProxyHop {
  const { user, password } = credentials === null ? {} : record(credentials, 'proxy.credentials');
  return {
    host: string(host, 'proxy.host'),
    port: integer(port, 'proxy.port', 65_535),
    credentials: credentials === null ? null : { user: text(user), password: text(password) },
  };
}

/** It may be empty. */
function text(value: unknown): string {
  if (typeof value !== 'string') throw wrong('proxy.credentials is no user and password');
  return value;
}

function parseTls({ identity, serverName }: Record<string, unknown>): TunnelTls {
  return {
    identity: identity === null ? null : string(identity, 'tls.identity'),
    serverName: serverName === null ? null : string(serverName, 'tls.serverName'),
  };
}

/** The longest Node's timers keep, 2^31-1 ms. */
const LONGEST = 2_147_483_647;

function parseTimeouts({ connect, read, write }: Record<string, unknown>): EgressTimeouts {
  return {
    connect: integer(connect, 'timeouts.connect', LONGEST),
    read: integer(read, 'timeouts.read', LONGEST),
    write: integer(write, 'timeouts.write', LONGEST),
  };
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (!isRecord(value)) throw wrong(`${name} is not an object`);
  return value;
}

function string(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '') throw wrong(`${name} is not a text`);
  return value;
}

function integer(value: unknown, name: string, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw wrong(`${name} is not an integer from 1 to ${most}`);
}

function oneOf<const T extends string>(value: unknown, allowed: readonly T[], name: string): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw wrong(`${name} is none of ${allowed.join(', ')}`);
  return found;
}

function wrong(what: string): EgressError {
  return new EgressError('bad_request', false, `egress target: ${what}`);
}

import type { ClientAddress } from '../../shared/client-address.ts';
import type { HeaderFields } from '../http/fields.ts';

/** What the client asked for, as it may be told to the upstream. */
export interface Forwarded {
  readonly proto: string;
  /** Without port. */
  readonly host: string;
  readonly port: number;
  /** Request target up to `?`. */
  readonly path: string;
}

/**
 * Scheme, host, port and path of the request as the client saw it: from X-Forwarded-* when the socket peer is trusted,
 * else from the request itself.
 */
export function readForwarded(
  headers: HeaderFields,
  client: ClientAddress,
  own: { readonly scheme: string; readonly host: string; readonly port: number; readonly path: string },
): Forwarded {
  if (!client.trusted) return { proto: own.scheme, host: own.host, port: own.port, path: own.path };
  const port = Number(headers.get('x-forwarded-port') ?? Number.NaN);
  return {
    proto: headers.get('x-forwarded-proto') ?? own.scheme,
    host: headers.get('x-forwarded-host') ?? own.host,
    port: Number.isInteger(port) && port > 0 && port <= 65535 ? port : own.port,
    path: headers.get('x-forwarded-path') ?? own.path,
  };
}

/** Writes X-Real-IP and X-Forwarded-* for the upstream, whatever plugins wrote there: `received` is what the client sent. `prefix` is what strip_path removed, if anything. */
export function writeForwarded(
  headers: HeaderFields,
  received: HeaderFields,
  client: ClientAddress,
  forwarded: Forwarded,
  prefix: string | null,
): void {
  headers.set('X-Forwarded-Proto', forwarded.proto);
  headers.set('X-Forwarded-Host', forwarded.host);
  headers.set('X-Forwarded-Port', String(forwarded.port));
  headers.set('X-Forwarded-Path', forwarded.path);
  const before = client.trusted ? received.get('x-forwarded-prefix') : null;
  const shown = before ?? (prefix === '/' || prefix === '' ? null : prefix);
  if (shown === null) headers.delete('x-forwarded-prefix');
  else headers.set('X-Forwarded-Prefix', shown);
  if (client.ip === '') {
    headers.delete('x-real-ip');
    return;
  }
  headers.set('X-Real-IP', client.ip);
  const chain = received.get('x-forwarded-for');
  headers.set('X-Forwarded-For', chain === null ? client.ip : `${chain}, ${client.peerIp}`);
}

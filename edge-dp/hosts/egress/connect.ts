import { connect as connectTcp, isIP, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect as connectTls,
  type DetailedPeerCertificate,
  type TLSSocket,
} from 'node:tls';
import { messageOf } from '../../../shared/thrown.ts';
import type { ProxyHop } from '../../proxy/egress/protocol.ts';
import { connectThrough } from '../forward-proxy.ts';
import type { DirectReads } from './direct-reads.ts';
import { connectFailure, EgressError } from './failure.ts';
import type { LoadedIdentity } from './identities.ts';

/** Everything that makes one connection to an upstream differ from another. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Null: plain TCP. */
  readonly tls: { readonly identity: LoadedIdentity; readonly serverName: string | null } | null;
  /** What is asked for by ALPN; null: nothing is. */
  readonly protocol: 'http/1.1' | 'h2' | null;
  /** Milliseconds for name resolution, TCP and TLS together. */
  readonly connectTimeout: number;
  /** Whether one side may end while the other goes on; absent: no. */
  readonly halfOpen?: boolean;
  /** Where there is TLS, an HTTP proxy that makes the connection; absent: there is none between. */
  readonly proxy?: ProxyHop;
  /** Sent first, in clear; absent: nothing. */
  readonly preamble?: string;
}

/** `host:port` for messages. */
export function placeOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Connects, TLS handshake included. `reads`: who gets what comes over plain TCP. Rejects with an `EgressError` that says exactly what
 * went wrong.
 */
export function connect(endpoint: Endpoint, reads: DirectReads | null = null): Promise<Socket> {
  const { host, port, tls, proxy, preamble, halfOpen = false } = endpoint;
  if (preamble !== undefined) return behind(preamble, endpoint);
  if (tls !== null && proxy !== undefined) return throughProxy(endpoint, tls, proxy);
  if (tls !== null) return established(openTls(endpoint, tls, { host, port }), 'secureConnect', endpoint);
  const onread = reads === null ? {} : { onread: reads.options };
  return established(connectTcp({ host, port, allowHalfOpen: halfOpen, ...onread }), 'connect', endpoint);
}

/** Goes over to the endpoint's TLS on a connection to it that was plain so far. Rejects as `connect`; then it is closed. */
export function secure(plain: Socket, endpoint: Endpoint, tls: NonNullable<Endpoint['tls']>): Promise<Socket> {
  return established(openTls(endpoint, tls, { socket: plain }), 'secureConnect', { ...endpoint, tls });
}

/** TLS, where there is any, begins behind what is sent first. */
async function behind(preamble: string, { preamble: _, ...endpoint }: Endpoint): Promise<Socket> {
  const { tls, connectTimeout } = endpoint;
  const began = performance.now();
  const plain = await connect({ ...endpoint, tls: null });
  plain.write(preamble, 'latin1');
  if (tls === null) return plain;
  return secure(plain, { ...endpoint, connectTimeout: Math.max(1, connectTimeout - (performance.now() - began)) }, tls);
}

async function throughProxy(
  endpoint: Endpoint,
  tls: NonNullable<Endpoint['tls']>,
  { host, port, credentials }: ProxyHop,
): Promise<Socket> {
  const proxy = { host, port, tls: null, ...(credentials !== null && { credentials }) };
  const { connectTimeout: patience } = endpoint;
  const plain = await connectThrough(proxy, endpoint, { name: null, patience }).catch((error: unknown) => {
    throw new EgressError('unreachable', false, messageOf(error));
  });
  return secure(plain, endpoint, tls);
}

function established(socket: Socket, connected: 'connect' | 'secureConnect', endpoint: Endpoint): Promise<Socket> {
  const where = placeOf(endpoint);
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(connectFailure(error, where));
    };
    const timer = setTimeout(() => {
      fail(new EgressError('connect_timeout', false, `${where}: no connection within ${endpoint.connectTimeout} ms`));
    }, endpoint.connectTimeout);
    // A peer that closes during the handshake ends the socket without an error.
    const closed = (): void =>
      fail(new EgressError('closed', false, `${where}: closed the connection during its set-up`));
    socket.once('error', fail);
    socket.once('close', closed);
    socket.once('end', closed);
    socket.once(connected, () => {
      clearTimeout(timer);
      socket.off('error', fail);
      socket.off('close', closed);
      socket.off('end', closed);
      const refusal = endpoint.tls === null ? null : refuse(socket, endpoint, endpoint.tls.identity);
      if (refusal !== null) {
        socket.destroy();
        reject(new EgressError(refusal.code, false, `${where}: ${refusal.message}`));
        return;
      }
      socket.setNoDelay(true);
      socket.setKeepAlive(true, 60_000);
      resolve(socket);
    });
  });
}

function openTls(
  { host, protocol, halfOpen = false }: Endpoint,
  { identity, serverName }: NonNullable<Endpoint['tls']>,
  over: { readonly host: string; readonly port: number } | { readonly socket: Socket },
): TLSSocket {
  const name = serverName ?? host;
  // Node's types do not know that TLS takes it too.
  const options: ConnectionOptions & { readonly allowHalfOpen: boolean } = {
    ...over,
    allowHalfOpen: halfOpen,
    secureContext: identity.context,
    rejectUnauthorized: identity.verify,
    // RFC 6066: an address is not a server name.
    ...(isIP(name) === 0 && { servername: name }),
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    ...(protocol !== null && { ALPNProtocols: [protocol] }),
  };
  return connectTls(options);
}

/** What the handshake itself accepts but the identity does not. */
function refuse(
  socket: Socket,
  { protocol }: Endpoint,
  { verify, verifyDepth }: LoadedIdentity,
): { readonly code: 'tls' | 'protocol'; readonly message: string } | null {
  if (!isTlsSocket(socket)) return null;
  if (protocol === 'h2' && socket.alpnProtocol !== 'h2') {
    return { code: 'protocol', message: 'does not offer HTTP/2 (ALPN)' };
  }
  if (!verify || verifyDepth === null) return null;
  const intermediates = chainLength(socket.getPeerCertificate(true)) - 2;
  if (intermediates <= verifyDepth) return null;
  return {
    code: 'tls',
    message: `certificate chain too long: ${intermediates} intermediates, tls_verify_depth ${verifyDepth}`,
  };
}

function isTlsSocket(socket: Socket): socket is TLSSocket {
  return 'alpnProtocol' in socket;
}

/** Certificates from the leaf to the trust anchor, both counted. A self-signed one is its own issuer. */
function chainLength(leaf: DetailedPeerCertificate): number {
  let length = 1;
  for (let at = leaf; at.issuerCertificate !== undefined && at.issuerCertificate !== at; at = at.issuerCertificate) {
    length += 1;
    if (length > 100) break;
  }
  return length;
}

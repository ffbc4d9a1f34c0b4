import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls';
import { Lately } from '../../shared/lately.ts';
import { TLS_CIPHERS } from '../../shared/tls-ciphers.ts';
import { SilentConnections } from '../listeners/silent-connections.ts';
import type { ClusterTls } from '../pki/cluster-tls.ts';
import type { PublicPair } from '../pki/public-pair.ts';
import { type Admission, admit, type Peer, type RevocationCheck } from './admission.ts';
import { networkOf } from './networks.ts';
import { connectionWords } from './tls-words.ts';

export type ClusterLog = (level: 'info' | 'notice' | 'warn' | 'error', message: string) => void;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a listener shows, and whom it admits. */
export interface ClusterIdentity {
  readonly tls: ClusterTls;
  /** Null: revocation is not asked about. */
  readonly revocation: RevocationCheck | null;
  /** What is shown to those who ask for one of its names that is not also the cluster certificate's; absent: nothing. */
  readonly publicPair?: PublicPair | null;
}

/** What a listener of the cluster does with those it admits. */
export interface ClusterServerOptions {
  readonly log: ClusterLog;
  /** A request over a connection that was admitted. */
  readonly request: (request: IncomingMessage, response: ServerResponse, peer: Peer) => void;
  /** An upgrade over such a connection; absent: upgrades are refused. */
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer, peer: Peer) => void;
}

interface MtlsServerOptions extends ClusterServerOptions {
  readonly identity: ClusterIdentity;
}

/** Milliseconds. */
const HANDSHAKE_TIMEOUT = 10_000;
/** Milliseconds, as Node's servers name them. */
export const TIMEOUTS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** On a connection where nothing moves, such as one whose other end does not read: longer than a question may be held open. */
  timeout: 90_000,
} as const;
/** Far more than data planes of one control plane; what comes beyond is not taken. */
const MOST_CONNECTIONS = 20_000;

/** A listener of the cluster. */
export interface ClusterServer {
  listen(address: Address): Promise<Address>;
  /** Ends connections that are idle, then all. */
  close(): Promise<void>;
}

/** One that only talks to holders of the right client certificate. */
export interface MtlsServer extends ClusterServer {
  /** New connections see, and are judged by, another identity; those there are stay. Throws when it cannot be used. */
  renew(identity: ClusterIdentity): void;
}

/**
 * A TLS server that always asks for a client certificate and judges it itself, so that a refusal can be told: it is
 * logged with its reason and peer, and answered with 403 and the reason before anything else of the request is read.
 */
export function createMtlsServer(options: MtlsServerOptions): MtlsServer {
  const { log } = options;
  let { identity } = options;
  let publicContext = contextOfPublic(identity);
  /** One judgement per connection; requests wait for it. */
  const admissions = new WeakMap<object, Promise<Admission>>();
  const told = new Lately();

  /** Once for a while: whoever is refused tries again and again. */
  function tell(what: 'connection' | 'request', caller: Caller, reason: string): void {
    if (told.isNew(`${networkOf(caller.ip)} ${reason}`))
      log('warn', `refused a ${what} from ${caller.ip}:${caller.port}: ${reason}`);
  }

  function judge(socket: TLSSocket): Promise<Admission> {
    const known = admissions.get(socket);
    if (known !== undefined) return known;
    // Who does not wait for the verdict has no address any more when it is there.
    const caller = callerOf(socket);
    const admission = admit(socket, identity.tls, identity.revocation, new Date());
    admissions.set(socket, admission);
    void admission.then((result) => {
      if (!result.admitted) tell('connection', caller, result.reason);
    });
    return admission;
  }

  const server: Server = createServer({
    ...secureContext(identity),
    requestCert: true,
    // The handshake goes through so that the reason can be said; nothing is served before `judge` admitted.
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    SNICallback: (name, answer) => answer(null, publicContext?.(name)),
    handshakeTimeout: HANDSHAKE_TIMEOUT,
  });
  Object.assign(server, TIMEOUTS);
  server.maxConnections = MOST_CONNECTIONS;
  server.on('secureConnection', (socket) => void judge(socket));
  const silent = new SilentConnections(server);
  // Of handshakes that fail, too: nothing can be said on those.
  server.on('clientError', (error, socket) => {
    const secured = admissions.has(socket);
    if (!hungUp(error)) tell(secured ? 'request' : 'connection', callerOf(socket), connectionWords(error));
    if (!secured || !socket.writable) socket.destroy();
    else
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () => socket.destroy());
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    if (!(socket instanceof TLSSocket)) {
      socket.destroy();
      return;
    }
    void judge(socket).then((result) => {
      if (result.admitted) options.request(request, response, result.peer);
      else answerJson(response, 403, { message: result.reason }, { connection: 'close' });
    });
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    if (!(socket instanceof TLSSocket)) {
      socket.destroy();
      return;
    }
    silent.heard(socket);
    void judge(socket).then((result) => {
      if (!result.admitted) endUpgrade(socket, '403 Forbidden', result.reason);
      else if (options.upgrade === undefined)
        endUpgrade(
          socket,
          '404 Not Found',
          'this is the telemetry port: data planes connect to the port of cluster_listen',
        );
      else options.upgrade(request, socket, head, result.peer);
    });
  });

  return {
    renew(next) {
      const nextPublic = contextOfPublic(next);
      server.setSecureContext(secureContext(next));
      publicContext = nextPublic;
      identity = next;
    },
    async listen({ host, port }) {
      server.listen({ port, host, ipv6Only: true });
      await Promise.race([once(server, 'listening'), once(server, 'error').then(([error]) => Promise.reject(error))]);
      server.on('error', (error) => log('error', `cluster listener: ${error.message}`));
      return bound(server);
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      silent.end();
      await closed;
    },
  };
}

function secureContext({ tls: { cert, key, ca } }: ClusterIdentity): SecureContextOptions {
  return { cert, key, ca, minVersion: 'TLSv1.2', ciphers: TLS_CIPHERS };
}

/** Chooses by the name that is asked for; undefined: the cluster certificate. */
function contextOfPublic(identity: ClusterIdentity): ((name: string) => SecureContext | undefined) | null {
  const { publicPair: pair } = identity;
  if (pair == null) return null;
  const context = createSecureContext({ ...secureContext(identity), cert: pair.cert, key: pair.key });
  return (name) => (pair.isFor(name) ? context : undefined);
}

/** Answers a request with JSON. */
export function answerJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** Answers an upgrade with a plain response and ends the connection. */
export function endUpgrade(socket: Duplex, status: string, message: string): void {
  const body = JSON.stringify({ message });
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function bound(server: Server): Address {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('cluster listener: not bound to a port');
  return { host: address.address, port: address.port };
}

/** Nothing was refused: the other side left, as a data plane's probe does that has seen enough. */
function hungUp(error: Error): boolean {
  return 'code' in error && error.code === 'ECONNRESET';
}

interface Caller {
  readonly ip: string;
  readonly port: string;
}

function callerOf(socket: object): Caller {
  const { remoteAddress, remotePort }: Partial<Pick<TLSSocket, 'remoteAddress' | 'remotePort'>> = socket;
  return { ip: remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown', port: String(remotePort ?? '?') };
}

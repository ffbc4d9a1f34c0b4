import { createServer, IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { getRequestListener } from '@hono/node-server';
import { TLS_CIPHERS } from '../../shared/tls-ciphers.ts';
import type { AccessLog } from '../access-log/access-log.ts';
import type { PemPair } from '../pki/certificate.ts';
import type { ListenAddress } from '../settings/addresses.ts';
import type { Arrival } from './browser-guard.ts';
import type { ConnectionCounts } from './connection-counts.ts';
import { SilentConnections } from './silent-connections.ts';

/** Milliseconds a client may take to send a request, and how often that is looked at. */
interface Patience {
  readonly headers: number;
  /** With its body: a declarative config over a slow line has to get through. */
  readonly request: number;
  readonly interval: number;
}

const PATIENCE: Patience = { headers: 60_000, request: 120_000, interval: 10_000 };

/** A server of a control plane to people, scripts and browsers. */
export interface HttpListener {
  /** The address really bound; the port differs from the one asked for when that was 0. */
  readonly host: string;
  readonly port: number;
  /** New connections are shown another pair; nothing to do without TLS. Throws when it cannot be used. */
  renew(tls: PemPair): void;
  /**
   * Takes no new connections and resolves when the requests in flight are answered, or after `drain` ms, when what
   * is left is cut off.
   */
  close(drain?: number): Promise<void>;
}

/** Serves an app, as the Admin API is one, on one address. Throws when the address cannot be bound. */
export async function listen(
  app: { fetch(request: Request, arrival: Arrival): Response | Promise<Response> },
  address: ListenAddress,
  counts: ConnectionCounts,
  tls?: PemPair,
  {
    patience = PATIENCE,
    accessLog = null,
  }: { readonly patience?: Patience; readonly accessLog?: AccessLog | null } = {},
): Promise<HttpListener> {
  if (address.tls && tls === undefined) {
    throw new Error(`${address.host}:${address.port} is to be served with ssl, but there is no certificate for it`);
  }
  const inFlight = new InFlight();
  const handle = getRequestListener(
    async (request, { incoming }) => {
      const { localAddress, remoteAddress } = incoming.socket;
      const response = await app.fetch(request, { localAddress, remoteAddress, target: incoming.url });
      if (incoming instanceof IncomingMessage) accessLog?.answered(incoming, response.headers);
      return response;
    },
    // The name is for requests without one, as probes of HTTP/1.0 are.
    { overrideGlobalObjects: false, hostname: 'localhost' },
  );
  const onRequest: RequestListener = (request, response) => void handle(request, response);
  const limits = {
    headersTimeout: patience.headers,
    requestTimeout: patience.request,
    connectionsCheckingInterval: patience.interval,
  };
  const secure: TlsServer | null =
    address.tls && tls !== undefined ? createTlsServer({ ...limits, ...secureContext(tls) }, onRequest) : null;
  const server: Server = secure ?? createServer(limits, onRequest);
  // What came on a connection that was reset since is nobody's: the system does not say any more whose it was.
  for (const event of ['connection', 'secureConnection']) {
    server.prependListener(event, (socket: Socket) => socket.remoteAddress ?? socket.destroy());
  }
  const silent = new SilentConnections(server);
  counts.watch(server);
  inFlight.watch(server);
  accessLog?.watch(server, address.tls ? 'https' : 'http');
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // As in nginx, `[::]` is IPv6 alone: `0.0.0.0` stands beside it.
    server.listen({ port: address.port, host: address.host, ipv6Only: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = server.address();
  return {
    host: address.host,
    port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
    renew: (next) => secure?.setSecureContext(secureContext(next)),
    close(drain = 10_000) {
      const closed = drainAndClose(server, inFlight, drain);
      silent.end();
      return closed;
    },
  };
}

function secureContext({ cert, key }: PemPair): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2', ciphers: TLS_CIPHERS };
}

/** Answers in the making, each told to end its connection when a close begins. */
class InFlight {
  readonly #responses = new Set<ServerResponse>();
  #closing = false;

  watch(server: Server): void {
    // Before the handler, which may answer at once.
    server.prependListener('request', (_request, response) => {
      if (this.#closing) response.setHeader('connection', 'close');
      this.#responses.add(response);
      response.once('close', () => this.#responses.delete(response));
    });
  }

  endConnections(): void {
    this.#closing = true;
    for (const response of this.#responses) if (!response.headersSent) response.setHeader('connection', 'close');
  }
}

async function drainAndClose(server: Server, inFlight: InFlight, drain: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  inFlight.endConnections();
  const cutOff = setTimeout(() => server.closeAllConnections(), drain);
  await closed;
  clearTimeout(cutOff);
}

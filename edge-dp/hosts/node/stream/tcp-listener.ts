import { createServer, type Server, type Socket } from 'node:net';
import { messageOf } from '../../../../shared/thrown.ts';
import type { Dial, StreamArrival, StreamPassage } from '../../../stream/passage.ts';
import { plainIp } from '../http/listener.ts';
import { refuseNobody } from '../known-peer.ts';
import { proxyHeaderOf, readProxyHeader } from '../proxy-protocol.ts';
import { MOST_HELLO } from '../tls/client-hello.ts';
import { firstHello, type ListenerTlsOptions } from '../tls/handshakes.ts';
import type { DialFor } from './dial.ts';
import { preread } from './preread.ts';
import { type Relayed, relay } from './relay.ts';
import { TlsEnd } from './tls-end.ts';

/** Where the sessions of a listener begin; null: no route is for one. */
export type OpenSession = (arrival: StreamArrival) => StreamPassage | null | Promise<StreamPassage | null>;

/** A listener for streams on a socket that this process was handed. */
export interface StreamListener {
  /** No more sessions; resolves when those that there are have ended. */
  drain(): Promise<void>;
  /** Ends those that there still are. */
  cut(): void;
}

export interface TcpListenerOptions {
  readonly descriptor: number;
  readonly port: number;
  /** Null: plain. */
  readonly tls: ListenerTlsOptions | null;
  /** Connections begin with a header of the PROXY protocol. */
  readonly proxyProtocol: boolean;
  /** Upstreams get one. */
  readonly sendProxyProtocol: boolean;
}

/** Milliseconds for a ClientHello, and for a header of the PROXY protocol: nginx's `preread_timeout`, and `proxy_protocol_timeout`. */
const PREREAD_PATIENCE = 30_000;

const NOTHING: Relayed = { up: 0, down: 0 };
const NO_HEADER = { client: null };

/** Takes TCP connections, in clear or with TLS, on a listening socket. Resolves when it listens. */
export async function listenForTcp(
  options: TcpListenerOptions,
  open: OpenSession,
  dialFor: DialFor,
): Promise<StreamListener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const tls = options.tls === null ? null : new TlsEnd(options.tls);
  const clients = new Set<Socket>();
  server.on('connection', (socket) => {
    clients.add(socket);
    socket.on('error', () => undefined).once('close', () => clients.delete(socket));
    serve(socket, options, tls, open, dialFor).catch((error: unknown) => {
      console.error(`a session on port ${options.port} failed: ${messageOf(error)}`);
      socket.destroy();
    });
  });
  refuseNobody(server);
  await listening(server, options);
  return {
    drain: () => new Promise((resolve) => server.close(() => resolve())),
    cut() {
      for (const client of clients) client.destroy();
    },
  };
}

async function serve(
  socket: Socket,
  { port, proxyProtocol, sendProxyProtocol }: TcpListenerOptions,
  tls: TlsEnd | null,
  open: OpenSession,
  dialFor: DialFor,
): Promise<void> {
  const header = proxyProtocol ? await readProxyHeader(socket, PREREAD_PATIENCE) : NO_HEADER;
  if (header === null) return;
  const facts = {
    peerIp: plainIp(socket.remoteAddress),
    peerPort: socket.remotePort ?? null,
    localIp: plainIp(socket.localAddress),
    localPort: port,
    proxied: header.client,
    waitUntil,
  };
  const first =
    tls === null ? null : await preread(socket, firstHello, { most: MOST_HELLO, patience: PREREAD_PATIENCE });
  const hello = first?.hello ?? null;
  if (tls !== null && hello === null) {
    socket.destroy();
    return;
  }
  const passage = await open({
    ...facts,
    protocol: tls === null ? 'tcp' : 'tls',
    serverName: hello?.serverName ?? null,
  });
  if (passage === null) {
    socket.destroy();
    return;
  }
  let moved = NOTHING;
  try {
    let client: Socket | null = socket;
    if (tls !== null && hello !== null && !passage.passthrough) {
      const secured = await tls.over(socket, hello, { ...facts, protocol: 'tls' });
      if (secured !== null) passage.secured(secured.tls);
      client = secured?.socket ?? null;
    }
    if (client !== null) {
      const told = sendProxyProtocol ? proxyHeaderOf(passage.client, { ip: facts.localIp, port }) : null;
      moved = await carry(client, passage, dialFor(client, told));
    }
  } finally {
    const { up: received, down } = moved;
    const sent = down + (passage.farewell?.length ?? 0);
    passage.ended({ received, sent, upstream: { received: down, sent: received } });
  }
}

/** From the first byte to the last. */
async function carry(client: Socket, passage: StreamPassage, dial: Dial<Socket>): Promise<Relayed> {
  const upstream = await passage.open(dial);
  if (upstream === null) {
    const { farewell } = passage;
    if (farewell === null) client.destroy();
    else await lastWords(client, farewell);
    return NOTHING;
  }
  passage.connected();
  return relay(client, upstream, passage.timeouts);
}

/** Sends what a client is to see, and lets go of it once it has, or takes too long. What it still says is nobody's. */
function lastWords(client: Socket, text: Uint8Array): Promise<void> {
  // One that has left before will not say so again.
  if (client.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const giveUp = setTimeout(() => client.destroy(), FAREWELL_PATIENCE);
    client.once('close', () => {
      clearTimeout(giveUp);
      resolve();
    });
    client.on('error', () => client.destroy());
    client.resume().end(text);
  });
}

/** Milliseconds. */
const FAREWELL_PATIENCE = 5_000;

function listening(server: Server, { descriptor, port }: TcpListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: descriptor }, () => {
      server.off('error', reject);
      server.on('error', (error) => console.error(`port ${port}: ${error.message}`));
      resolve();
    });
  });
}

/** What sessions leave to be done goes on by itself here; what it throws must not end the process. */
function waitUntil(work: Promise<unknown>): void {
  work.catch((error: unknown) => console.error('work after a session failed:', error));
}

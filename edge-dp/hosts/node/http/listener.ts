import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { FieldList } from '../../../http/fields.ts';
import type { HttpResponse } from '../../../http/messages.ts';
import type { Asking } from '../../../proxy/errors.ts';
import type { Arrival } from '../../../proxy/request-path.ts';
import type { ProxiedClient } from '../../../stream/passage.ts';
import { Deadline } from '../../egress/deadline.ts';
import type { HttpLimits } from '../../options.ts';
import { Http2Connections, PROTOCOLS } from '../http2/connections.ts';
import { type Count, Misuse } from '../http2/misuse.ts';
import { refuseNobody } from '../known-peer.ts';
import { expectProxyHeaders } from '../proxy-protocol.ts';
import { SocketTls } from '../tls/client-tls.ts';
import { Handshakes, type ListenerTlsOptions, type TlsOptions, type TlsPeer } from '../tls/handshakes.ts';
import { FreshConnections } from './fresh-connections.ts';
import { KEEP_ALIVE } from './keep-alive.ts';
import { type Refusal, type RefusalPages, refuse, TOO_LARGE } from './refuse.ts';
import { http1Request, type NodeRequest, repeatsAuthorization } from './request.ts';
import { respond, respondUpgrade } from './respond.ts';
import { WireResponse } from './wire-response.ts';

/** Where the requests of a listener go. */
export type Serve = (request: NodeRequest, arrival: Arrival) => Promise<HttpResponse>;

/** A listener of the proxy on a socket that this process was handed. */
export interface ProxyListener {
  /** No more connections; resolves when those that there are have ended. Answers end theirs from now on. */
  drain(): Promise<void>;
}

interface ListenerOptions {
  readonly descriptor: number;
  /** The port clients connect to. */
  readonly port: number;
  /** Null: plain. */
  readonly tls: ListenerTlsOptions | null;
  readonly limits: HttpLimits;
  readonly pages: RefusalPages;
  /** Clients may speak HTTP/2. */
  readonly http2: boolean;
  /** Connections begin with a header of the PROXY protocol. */
  readonly proxyProtocol: boolean;
  /** Takes what is counted beside requests. */
  readonly count: Count;
}

/** Lines of a head, as nginx has it; and the bytes beyond the limit up to which it is read, to see what is too long. */
const MOST_LINES = 1000;
const BEYOND = 64 << 10;
/** Requests that may have come ahead of their answers before no more are read from a connection. */
const MOST_WAITING = 16;
/** The longest time between two looks at who is late with a head. */
const LOOK = 5_000;

/** Serves HTTP/1, and HTTP/2 where it is allowed, on a listening socket. Resolves when it listens. */
export async function listenForRequests(options: ListenerOptions, serve: Serve): Promise<ProxyListener> {
  const { headTimeout, headBuffers } = options.limits;
  const server = createServer({
    maxHeaderSize: headBuffers.count * headBuffers.size + BEYOND,
    headersTimeout: headTimeout,
    connectionsCheckingInterval: Math.min(headTimeout, LOOK),
    requestTimeout: 0,
    // By timers of its own, which are not started and stopped with each request.
    keepAliveTimeout: 0,
    // A request without a body is no stream to be ended.
    optimizeEmptyRequests: true,
    // Of requests in HTTP/1.0 nobody expects one.
    requireHostHeader: false,
    insecureHTTPParser: false,
    noDelay: true,
    ServerResponse: WireResponse,
    shouldUpgradeCallback: wantsWebSocket,
  });
  server.maxHeadersCount = MOST_LINES + 1;
  const handshakes =
    options.tls === null
      ? null
      : speakTls(
          server,
          { ...options.tls, protocols: options.http2 ? PROTOCOLS : ['http/1.1'], patience: headTimeout },
          options.pages,
          (socket) => listener.peerOf(socket),
        );
  const listener = new Http1Listener(server, options, handshakes, serve);
  await listener.listen();
  return listener;
}

/** Has a server do a handshake with each connection, and serve what comes within: its `secureConnection`, as with Node's own. */
function speakTls(
  server: Server,
  options: TlsOptions,
  pages: RefusalPages,
  peerOf: (socket: Socket) => TlsPeer,
): Handshakes {
  for (const serve of server.listeners('connection'))
    server.on('secureConnection', (socket) => Reflect.apply(serve, server, [socket]));
  server.removeAllListeners('connection');
  const handshakes = new Handshakes(options, {
    secured: (socket) => void server.emit('secureConnection', socket),
    plain: (socket) => refuse(socket, pages.page(PLAIN_ON_TLS, NOTHING_READ)),
  });
  server.on('connection', (socket) => void handshakes.take(socket, peerOf(socket)));
  return handshakes;
}

/** nginx's words. */
const PLAIN_ON_TLS: Refusal = { status: 400, message: 'The plain HTTP request was sent to HTTPS port' };
const BAD_REQUEST: Refusal = { status: 400 };

const NOTHING_READ: Asking = { headers: new FieldList(), version: '1.1' };

/** With another method than GET it is no handshake (RFC 6455 section 4.1). */
function wantsWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
}

/** A client's connection. Requests that come ahead of their answers are served one after the other, as nginx does. */
interface ClientConnection {
  readonly facts: Arrival;
  /** The request that is served, until its answer is out. */
  current: { readonly request: NodeRequest; readonly response: ServerResponse } | null;
  /** The request that was answered last. */
  answered: NodeRequest | null;
  readonly waiting: (() => void)[];
  /** Until the next request begins. */
  readonly idle: Deadline;
  /** Bytes that had come when it was set. */
  bytesRead: number;
  /** Requests so far. */
  count: number;
  /** Nothing more is served: what follows may be no request of this client. */
  over: boolean;
}

class Http1Listener implements ProxyListener {
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #handshakes: Handshakes | null;
  readonly #serve: Serve;
  readonly #connections = new WeakMap<Duplex, ClientConnection>();
  readonly #http2: Http2Connections | null;
  readonly #fresh: FreshConnections;
  /** Whom a connection was opened for. */
  #proxied: (socket: Socket) => ProxiedClient | null = () => null;
  #draining = false;

  constructor(server: Server, options: ListenerOptions, handshakes: Handshakes | null, serve: Serve) {
    this.#server = server;
    this.#options = options;
    this.#handshakes = handshakes;
    this.#serve = serve;
    this.#fresh = new FreshConnections(server, options.tls === null ? 'connection' : 'secureConnection');
    server.on('request', (message, response) => this.#take(message, response, null));
    // Node would send the 100 before anybody has looked at the request.
    server.on('checkContinue', (message, response) => this.#take(message, response, () => response.writeContinue()));
    server.on('checkExpectation', (message, response) => this.#take(message, response, null));
    server.on('upgrade', (message, socket, head) => this.#upgrade(message, socket, head));
    server.on('connect', (message, socket) => this.#refuseInTurn(socket, BAD_REQUEST, read(message)));
    server.on('clientError', (error, socket) => this.#failed(error, socket));
    this.#http2 = options.http2 ? this.#newHttp2() : null;
    if (options.proxyProtocol) this.#proxied = expectProxyHeaders(server, options.limits.headTimeout);
    refuseNobody(server);
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ fd: this.#options.descriptor }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => console.error(`port ${this.#options.port}: ${error.message}`));
        resolve();
      });
    });
  }

  /** Of a connection, before it does TLS. */
  peerOf(socket: Socket): TlsPeer {
    return {
      protocol: 'https',
      peerIp: plainIp(socket.remoteAddress),
      peerPort: socket.remotePort ?? null,
      proxied: this.#proxied(socket),
      localPort: this.#options.port,
      waitUntil,
    };
  }

  drain(): Promise<void> {
    this.#draining = true;
    const http1 = new Promise<void>((resolve) => {
      // It ends idle connections, too.
      this.#server.close(() => resolve());
    });
    this.#fresh.drain();
    return Promise.all([http1, this.#http2?.drain()]).then(() => undefined);
  }

  #newHttp2(): Http2Connections {
    const { port, tls, count, limits, pages } = this.#options;
    const { headBuffers, headTimeout, idleTimeout, sendTimeout, requests } = limits;
    const http2 = new Http2Connections({
      serve: this.#serve,
      limits: { head: headBuffers.count * headBuffers.size, line: headBuffers.size, fields: MOST_LINES },
      firstTimeout: headTimeout,
      idleTimeout,
      sendTimeout,
      requests,
      pages,
      misuse: new Misuse(port, count),
      facts: (socket) => this.#facts(socket),
    });
    http2.intercept(this.#server, { tls: tls !== null });
    return http2;
  }

  #connection(socket: Socket): ClientConnection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      this.#fresh.delete(socket);
      const known: ClientConnection = {
        facts: this.#facts(socket),
        current: null,
        answered: null,
        waiting: [],
        count: 0,
        over: false,
        idle: new Deadline(() => this.#idled(socket, known)),
        bytesRead: 0,
      };
      socket.once('close', () => known.idle.end());
      this.#connections.set(socket, known);
      connection = known;
    }
    return connection;
  }

  /** No request for a while: unless bytes have come, of the next or of a body that was answered before its end. */
  #idled(socket: Socket, connection: ClientConnection): void {
    if (socket.bytesRead === connection.bytesRead) socket.destroy();
    else this.#rest(socket, connection);
  }

  #rest(socket: Socket, connection: ClientConnection): void {
    if (socket.destroyed || connection.over) return;
    connection.bytesRead = socket.bytesRead;
    connection.idle.set(this.#options.limits.idleTimeout);
  }

  /** `askForBody`: the client waits to be told that its body is wanted. */
  #take(message: IncomingMessage, response: ServerResponse, askForBody: (() => void) | null): void {
    const { socket } = message;
    const connection = this.#connection(socket);
    connection.idle.lift();
    if (connection.current === null) this.#answer(connection, message, response, askForBody);
    else if (!connection.over) {
      connection.waiting.push(() => this.#answer(connection, message, response, askForBody));
      // Who sends on and on without reading must not fill the memory.
      if (connection.waiting.length === MOST_WAITING) socket.pause();
    }
  }

  #answer(
    connection: ClientConnection,
    message: IncomingMessage,
    response: ServerResponse,
    askForBody: (() => void) | null,
  ): void {
    const { socket } = message;
    if (connection.over || socket.destroyed) return;
    const fault = faultOf(message, this.#options.limits);
    const request = fault === null ? http1Request(message, askForBody) : null;
    if (request === null) {
      connection.over = true;
      this.#refuse(socket, fault ?? BAD_REQUEST, read(message));
      return;
    }
    connection.current = { request, response };
    connection.count += 1;
    const { idleTimeout, requests } = this.#options.limits;
    const last = idleTimeout === 0 || connection.count >= requests;
    response.sendDate = false;
    // It comes once; `once` would only make it dearer.
    response.on('close', () => {
      if (!response.writableFinished) request.leave();
      connection.current = null;
      connection.answered = request;
      if (!response.shouldKeepAlive) connection.over = true;
      if (connection.waiting.length === 0) {
        this.#rest(socket, connection);
        return;
      }
      if (connection.waiting.length === MOST_WAITING) socket.resume();
      connection.waiting.shift()?.();
    });
    this.#serve(request, connection.facts).then(
      (answer) => this.#respond(request, answer, response, last),
      (error: unknown) => broken(error, response),
    );
  }

  #respond(request: NodeRequest, answer: HttpResponse, response: ServerResponse, last: boolean): void {
    if (response.destroyed || response.socket === null) {
      answer.discard();
      return;
    }
    try {
      respond(request, answer, response, { last: last || this.#draining, patience: this.#options.limits.sendTimeout });
    } catch (error) {
      answer.discard();
      broken(error, response);
    }
  }

  #upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    const fault = faultOf(message, this.#options.limits);
    const request = fault === null ? http1Request(message) : null;
    // Behind requests that are not answered yet it is no handshake: nobody can tell what follows them.
    const free = socket instanceof Socket && this.#connection(socket).current === null;
    // Node reads no body of one: what follows it would be lost, or taken for the first bytes of the tunnel.
    if (request === null || request.body !== null || !free) {
      this.#refuseInTurn(socket, fault ?? BAD_REQUEST, read(message));
      return;
    }
    const { facts, idle } = this.#connection(socket);
    idle.end();
    // Both sides may be silent for as long as they like: it is the kernel that finds out whether the client is still there.
    socket.setKeepAlive(true, KEEP_ALIVE);
    const response = new ServerResponse(message);
    response.sendDate = false;
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => socket.end());
    socket.on('error', () => undefined);
    socket.once('close', () => request.leave());
    this.#serve(request, facts).then(
      (answer) => {
        if (socket.destroyed) answer.discard();
        else respondUpgrade(request, answer, response, { socket, head, patience: this.#options.limits.sendTimeout });
      },
      (error: unknown) => broken(error, response),
    );
  }

  /** What is no HTTP, or broke off. */
  #failed(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.get(socket);
    const current = connection?.current ?? null;
    if (connection !== undefined) connection.over = true;
    if (current !== null) {
      const { request, response } = current;
      // The one that is served says what is wrong, if it has not begun to say something else.
      if (request.body?.source.readableEnded === false) {
        if (response.headersSent) socket.destroy();
        else request.body.fail(error);
      } else if (isGone(error)) socket.destroy();
      // What follows it is no request: its answer is the last.
      else response.once('finish', () => socket.end());
      return;
    }
    // The rest of a body that was answered before its end: what broke off has its answer already.
    if (connection?.answered?.body?.source.readableEnded === false) {
      if (isGone(error)) socket.destroy();
      else socket.end();
      return;
    }
    const { code = '' } = error;
    // Who has said nothing at all is told nothing: it would be taken for the answer to what is said next.
    const silent = code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket instanceof Socket && socket.bytesRead === 0;
    if (isGone(error) || socket.destroyed || silent) socket.destroy();
    else this.#refuse(socket, refusalOf(error), readBefore(error));
  }

  /** What asks for the connection itself: behind requests that came before it, or its page would be taken for the answer to one of them. */
  #refuseInTurn(socket: Duplex, refusal: Refusal, asked: Asking): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.current === null) {
      this.#refuse(socket, refusal, asked);
      return;
    }
    // Node has let go of the connection, and tells answers nothing of it any more.
    socket.on('error', () => socket.destroy());
    socket.on('drain', () => void connection.current?.response.emit('drain'));
    connection.waiting.push(() => {
      if (!connection.over && !socket.destroyed) this.#refuse(socket, refusal, asked);
    });
  }

  #refuse(socket: Duplex, refusal: Refusal, asked: Asking): void {
    refuse(socket, this.#options.pages.page(refusal, asked));
  }

  #facts(socket: Socket): ClientConnection['facts'] {
    const { port, tls } = this.#options;
    return {
      peerIp: plainIp(socket.remoteAddress),
      peerPort: socket.remotePort ?? null,
      proxied: this.#proxied(socket),
      localIp: plainIp(socket.localAddress),
      localPort: port,
      scheme: tls === null ? 'http' : 'https',
      sni: socket instanceof TLSSocket && typeof socket.servername === 'string' ? socket.servername : null,
      tls: socket instanceof TLSSocket ? new SocketTls(socket, this.#handshakes?.askedOf(socket) ?? null) : null,
      edge: null,
      waitUntil,
    };
  }
}

function isGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ECONNRESET' || code === 'EPIPE';
}

/** What Node's parser says of what it does not take. */
function refusalOf(error: NodeJS.ErrnoException): Refusal {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      // What came last of a head that is too long is one line: the request line, most likely.
      return packetOf(error)?.includes('\n') === false ? { status: 414 } : TOO_LARGE;
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408 };
    case 'HPE_INVALID_VERSION':
      // By the same code it calls what does not end the line.
      return error.message.endsWith('HTTP version') ? { status: 505 } : BAD_REQUEST;
    default:
      return BAD_REQUEST;
  }
}

/** The bytes in which the parser met its error. */
function packetOf(error: object): Buffer | null {
  return 'rawPacket' in error && error.rawPacket instanceof Buffer ? error.rawPacket : null;
}

/** Of a request that was read to the end of its head. */
function read({ rawHeaders }: IncomingMessage): Asking {
  return { headers: new FieldList(rawHeaders), version: '1.1' };
}

/** What of a head says how its page is to be written, as far as it came, with what the parser did not take, before that. */
function readBefore(error: object): Asking {
  const packet = packetOf(error);
  if (packet === null) return NOTHING_READ;
  const parsed = 'bytesParsed' in error && typeof error.bytesParsed === 'number' ? error.bytesParsed : packet.length;
  const lines: string[] = [];
  for (const [, name = '', value = ''] of packet.toString('latin1', 0, parsed).matchAll(PAGE_FIELD))
    lines.push(name, value);
  return { headers: new FieldList(lines), version: '1.1' };
}

const PAGE_FIELD = /\r\n(accept|content-type):[ \t]*([^\r\n]*)(?=\r\n|$)/gi;

/** Why a request that the parser let through is refused here; null: it is not. */
function faultOf(
  { url = '', method = '', httpVersion, rawHeaders, headers }: IncomingMessage,
  { headBuffers: { count, size } }: HttpLimits,
): Refusal | null {
  if (url.length + method.length + ' HTTP/1.1\r\n '.length > size) return { status: 414 };
  if (rawHeaders.length > MOST_LINES * 2) return TOO_LARGE;
  let whole = url.length;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const line = (rawHeaders[at]?.length ?? 0) + (rawHeaders[at + 1]?.length ?? 0) + ': \r\n'.length;
    if (line > size) return TOO_LARGE;
    whole += line;
  }
  if (whole > count * size) return TOO_LARGE;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return { status: 505 };
  if (repeatsAuthorization(rawHeaders)) return { status: 400 };
  return httpVersion === '1.1' && !headers.host && url.startsWith('/') ? { status: 400 } : null;
}

/** Work behind a request goes on by itself here; what it throws must not end the process. */
function waitUntil(work: Promise<unknown>): void {
  work.catch((error: unknown) => console.error('work after a request failed:', error));
}

/** A fault of our own, where there is no answer. */
function broken(error: unknown, response: ServerResponse): void {
  console.error('a request was not answered:', error);
  response.destroy();
}

/** What IPv6 writes before an IPv4 address (RFC 4291 section 2.5.5.2). */
const MAPPED = '::ffff:';

/** An address as all of the data plane writes it. */
export function plainIp(address: string | undefined): string | null {
  if (address === undefined) return null;
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;
}

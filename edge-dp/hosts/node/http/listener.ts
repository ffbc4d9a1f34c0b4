import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { HttpResponse } from '../../../http/messages.ts';
import type { Arrival } from '../../../proxy/request-path.ts';
import { Http2Connections, PROTOCOLS } from '../http2/connections.ts';
import { type Count, Misuse } from '../http2/misuse.ts';
import { refuse, TOO_LARGE } from './refuse.ts';
import { http1Request, type NodeRequest } from './request.ts';
import { respond, respondUpgrade } from './respond.ts';
import { serverTls, type TlsOptions } from './server-tls.ts';

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
  readonly tls: TlsOptions | null;
  /** Clients may speak HTTP/2. */
  readonly http2: boolean;
  /** Takes what is counted beside requests. */
  readonly count: Count;
}

/** Bytes of a head: nginx's four buffers of 8 KB (`large_client_header_buffers`); of its first line, one; and its lines. */
const MOST_HEAD = 33 << 10;
const LONGEST_LINE = 8 << 10;
const MOST_LINES = 1000;
/** Requests that may have come ahead of their answers before no more are read from a connection. */
const MOST_WAITING = 16;
/** Milliseconds for a head, and those a connection may be idle: nginx's `client_header_timeout` and `keepalive_timeout`. */
const HEAD_TIMEOUT = 60_000;
const IDLE_TIMEOUT = 75_000;

/** Serves HTTP/1, and HTTP/2 where it is allowed, on a listening socket. Resolves when it listens. */
export async function listenForRequests(options: ListenerOptions, serve: Serve): Promise<ProxyListener> {
  const limits = {
    maxHeaderSize: MOST_HEAD,
    headersTimeout: HEAD_TIMEOUT,
    requestTimeout: 0,
    keepAliveTimeout: IDLE_TIMEOUT,
    // Of requests in HTTP/1.0 nobody expects one.
    requireHostHeader: false,
    insecureHTTPParser: false,
    noDelay: true,
    shouldUpgradeCallback: wantsWebSocket,
  };
  const server: Server =
    options.tls === null
      ? createServer(limits)
      : createTlsServer({
          ...limits,
          ...serverTls(options.tls),
          ...(options.http2 && { ALPNProtocols: PROTOCOLS }),
        });
  server.maxHeadersCount = MOST_LINES + 1;
  const listener = new Http1Listener(server, options, serve);
  await listener.listen();
  return listener;
}

/** With another method than GET it is no handshake (RFC 6455 section 4.1). */
function wantsWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
}

/** A client's connection. Requests that come ahead of their answers are served one after the other, as nginx does. */
interface ClientConnection {
  readonly facts: Arrival;
  /** The request that is served, until its answer is out. */
  current: { readonly request: NodeRequest; readonly response: ServerResponse } | null;
  readonly waiting: (() => void)[];
  /** Nothing more is served: what follows may be no request of this client. */
  over: boolean;
}

class Http1Listener implements ProxyListener {
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #serve: Serve;
  readonly #connections = new WeakMap<Duplex, ClientConnection>();
  readonly #http2: Http2Connections | null;
  #draining = false;

  constructor(server: Server, options: ListenerOptions, serve: Serve) {
    this.#server = server;
    this.#options = options;
    this.#serve = serve;
    server.on('request', (message, response) => this.#take(message, response, null));
    // Node would send the 100 before anybody has looked at the request.
    server.on('checkContinue', (message, response) => this.#take(message, response, () => response.writeContinue()));
    server.on('checkExpectation', (message, response) => this.#take(message, response, null));
    server.on('upgrade', (message, socket, head) => this.#upgrade(message, socket, head));
    server.on('connect', (_message, socket) => refuse(socket, 400));
    server.on('clientError', (error, socket) => this.#failed(error, socket));
    server.on('tlsClientError', () => undefined);
    this.#http2 = options.http2 ? this.#newHttp2() : null;
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

  drain(): Promise<void> {
    this.#draining = true;
    const http1 = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
    return Promise.all([http1, this.#http2?.drain()]).then(() => undefined);
  }

  #newHttp2(): Http2Connections {
    const { port, tls, count } = this.#options;
    const http2 = new Http2Connections({
      serve: this.#serve,
      limits: { head: MOST_HEAD, line: LONGEST_LINE, fields: MOST_LINES },
      firstTimeout: HEAD_TIMEOUT,
      idleTimeout: IDLE_TIMEOUT,
      misuse: new Misuse(port, count),
      facts: (socket) => this.#facts(socket),
    });
    http2.intercept(this.#server, { tls: tls !== null });
    return http2;
  }

  #connection(socket: Socket): ClientConnection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      connection = { facts: this.#facts(socket), current: null, waiting: [], over: false };
      this.#connections.set(socket, connection);
    }
    return connection;
  }

  /** `askForBody`: the client waits to be told that its body is wanted. */
  #take(message: IncomingMessage, response: ServerResponse, askForBody: (() => void) | null): void {
    const { socket } = message;
    const connection = this.#connection(socket);
    const answer = (): void => this.#answer(connection, message, response, askForBody);
    if (connection.current === null) answer();
    else if (!connection.over) {
      connection.waiting.push(answer);
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
    const fault = faultOf(message);
    const request = fault === null ? http1Request(message, askForBody) : null;
    if (request === null) {
      connection.over = true;
      refuse(socket, fault?.status ?? 400, fault?.message);
      return;
    }
    connection.current = { request, response };
    response.sendDate = false;
    response.once('close', () => {
      if (!response.writableFinished) request.leave();
      connection.current = null;
      if (!response.shouldKeepAlive) connection.over = true;
      if (connection.waiting.length === MOST_WAITING) socket.resume();
      connection.waiting.shift()?.();
    });
    this.#serve(request, connection.facts).then(
      (answer) => this.#respond(request, answer, response),
      (error: unknown) => broken(error, response),
    );
  }

  #respond(request: NodeRequest, answer: HttpResponse, response: ServerResponse): void {
    if (response.destroyed || response.socket === null) {
      answer.discard();
      return;
    }
    try {
      respond(request, answer, response, this.#draining);
    } catch (error) {
      answer.discard();
      broken(error, response);
    }
  }

  #upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    const fault = faultOf(message);
    const request = fault === null ? http1Request(message) : null;
    // Behind requests that are not answered yet it is no handshake: nobody can tell what follows them.
    const free = socket instanceof Socket && this.#connection(socket).current === null;
    if (request === null || !free) {
      refuse(socket, fault?.status ?? 400, fault?.message);
      return;
    }
    const { facts } = this.#connection(socket);
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
        else respondUpgrade(request, answer, response, socket, head);
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
    const { code = '' } = error;
    if (isGone(error) || socket.destroyed) socket.destroy();
    else if (code === 'HPE_HEADER_OVERFLOW') refuse(socket, TOO_LARGE.status, TOO_LARGE.message);
    else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') refuse(socket, 408);
    // By the same code it calls what does not end the line.
    else if (code === 'HPE_INVALID_VERSION' && error.message.endsWith('HTTP version')) refuse(socket, 505);
    else refuse(socket, 400);
  }

  #facts(socket: Socket): ClientConnection['facts'] {
    const { port, tls } = this.#options;
    return {
      peerIp: plainIp(socket.remoteAddress),
      peerPort: socket.remotePort ?? null,
      localIp: plainIp(socket.localAddress),
      localPort: port,
      scheme: tls === null ? 'http' : 'https',
      sni: socket instanceof TLSSocket && typeof socket.servername === 'string' ? socket.servername : null,
      edge: null,
      waitUntil,
    };
  }
}

function isGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ECONNRESET' || code === 'EPIPE';
}

/** Why a request that the parser let through is refused here; null: it is not. */
function faultOf({ url = '', method = '', httpVersion, rawHeaders, headers }: IncomingMessage): {
  readonly status: number;
  readonly message?: string;
} | null {
  if (url.length + method.length > LONGEST_LINE) return { status: 414 };
  if (rawHeaders.length > MOST_LINES * 2) return TOO_LARGE;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return { status: 505 };
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

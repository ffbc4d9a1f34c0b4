import { Agent as HttpsAgent } from 'node:https';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import type { buildConnector } from 'undici';
import { type ClientOptions, type CloseEvent, type ErrorEvent, type MessageEvent, WebSocket } from 'ws';
import { messageOf } from '../../../../shared/thrown.ts';
import { connectThrough, type ForwardProxy } from '../../forward-proxy.ts';
import type { ClusterTls } from '../../options.ts';
import { fetchThrough } from './fetch-through.ts';

/** Bytes of one frame of a control plane, a manifest and the objects that come with it: as on workerd. */
const LONGEST_FRAME = 32 << 20;

/** A control plane over mutual TLS, as the Worker's `CONTROL_PLANE` binding has it: requests, and upgrades to a WebSocket. */
export function controlPlaneFetcher(
  { host, port }: { readonly host: string; readonly port: number },
  { cert, key, ca, serverName }: ClusterTls,
  proxy: ForwardProxy | null,
): { fetch(url: string, init?: RequestInit): Promise<Response> } {
  const origin = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const tls = { cert, key, ca, servername: serverName, minVersion: 'TLSv1.2' } as const;
  const through = proxy === null ? null : () => secureThrough(proxy, { host, port }, tls);
  const send = fetchThrough(({ Agent, buildConnector }) => {
    const direct = buildConnector(tls);
    return new Agent({
      connect:
        through === null
          ? (options, done) => direct({ ...options, hostname: host, port: String(port), host: origin }, done)
          : connector(through),
      allowH2: false,
    });
  });
  const agent = through === null ? null : new ProxiedAgent(through);
  return {
    async fetch(url, init = {}) {
      const target = new URL(url);
      const path = `${target.pathname}${target.search}`;
      const headers = new Headers(init.headers);
      if (headers.get('upgrade') === 'websocket') {
        return upgrade(`wss://${origin}${path}`, { ...tls, ...(agent !== null && { agent }) }, init.signal ?? null);
      }
      try {
        headers.set('host', origin);
        const sent = { method: init.method, headers: [...headers], body: init.body, signal: init.signal };
        // Without the port, to which `fetch` may refuse to go (6000, 10080): where it goes the dispatcher knows.
        return await send(`https://control-plane${path}`, sent);
      } catch (error) {
        throw lost(error);
      }
    },
  };
}

/** TLS with the control plane over a connection that the proxy has made. */
async function secureThrough(
  proxy: ForwardProxy,
  to: { readonly host: string; readonly port: number },
  tls: ConnectionOptions,
): Promise<TLSSocket> {
  const plain = await connectThrough(proxy, to);
  return new Promise((resolve, reject) => {
    const secured = connectTls({ ...tls, socket: plain, ALPNProtocols: ['http/1.1'] });
    const closed = (): void => reject(new Error('the connection was lost during the TLS handshake'));
    secured.once('error', reject).once('close', closed);
    secured.once('secureConnect', () => {
      secured.off('error', reject).off('close', closed);
      resolve(secured);
    });
  });
}

type OpenSecure = () => Promise<TLSSocket>;

function connector(open: OpenSecure): buildConnector.connector {
  return (_, done) => {
    open().then(
      (socket) => done(null, socket),
      (error: unknown) => done(error instanceof Error ? error : new Error(messageOf(error)), null),
    );
  };
}

/** What a WebSocket is opened by. */
class ProxiedAgent extends HttpsAgent {
  readonly #open: OpenSecure;

  constructor(open: OpenSecure) {
    super();
    this.#open = open;
  }

  override createConnection(
    _options: object,
    done: (error: Error | null, socket: TLSSocket) => void = () => undefined,
  ): undefined {
    this.#open().then(
      (socket) => done(null, socket),
      // Node's types want a socket with the error too; it takes none.
      (error: Error) => Reflect.apply(done, undefined, [error]),
    );
  }
}

/** With its reason in words; `retryable`, as the runtimes of Workers call what may have been an idle connection that was closed. */
function lost(error: unknown): Error {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  const message = cause === undefined ? messageOf(error) : messageOf(cause);
  return Object.assign(new Error(message, { cause: error }), { retryable: true });
}

function upgrade(url: string, options: ClientOptions, signal: AbortSignal | null): Promise<Response> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { ...options, perMessageDeflate: false, maxPayload: LONGEST_FRAME });
    const headers = new Headers();
    const abort = (): void => {
      reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
      socket.terminate();
    };
    signal?.addEventListener('abort', abort, { once: true });
    const settled = (): void => signal?.removeEventListener('abort', abort);
    socket.once('upgrade', (response) => {
      for (const [name, value] of Object.entries(response.headers)) headers.set(name, String(value));
    });
    socket.once('open', () => {
      settled();
      resolve(accepted(headers, new WorkerSocket(socket)));
    });
    socket.once('unexpected-response', (_request, response) => {
      settled();
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.once('close', () => {
        const refusal = new Response(Buffer.concat(parts), { status: response.statusCode ?? 502 });
        resolve(Object.defineProperty(refusal, 'webSocket', { value: null }));
      });
    });
    socket.once('error', (error) => {
      settled();
      reject(lost(error));
    });
  });
}

/** A response of status 101, which the Fetch API lets nobody make. */
function accepted(headers: Headers, webSocket: WorkerSocket): Response {
  const response = new Response(null, { headers });
  return Object.defineProperties(response, { status: { value: 101 }, webSocket: { value: webSocket } });
}

/** A WebSocket as Workers know it: silent until it is accepted. */
class WorkerSocket {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.pause();
    socket.on('error', () => undefined);
  }

  accept(): void {
    this.#socket.resume();
  }

  send(message: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error('the WebSocket is closed');
    this.#socket.send(message);
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
  addEventListener(type: 'close', listener: (event: CloseEvent) => void): void;
  addEventListener(type: 'error', listener: (event: ErrorEvent) => void): void;
  addEventListener(type: 'message' | 'close' | 'error', listener: (event: never) => void): void {
    Reflect.apply(this.#socket.addEventListener, this.#socket, [type, listener]);
  }
}

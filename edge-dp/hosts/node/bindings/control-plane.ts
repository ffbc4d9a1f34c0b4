import { Agent } from 'undici';
import { type CloseEvent, type ErrorEvent, type MessageEvent, WebSocket } from 'ws';
import { messageOf } from '../../../../shared/thrown.ts';
import type { ClusterTls } from '../../options.ts';
import { fetchThrough } from './fetch-through.ts';

/** Bytes of one frame of a control plane, a manifest and the objects that come with it: as on workerd. */
const LONGEST_FRAME = 32 << 20;

/** A control plane over mutual TLS, as the Worker's `CONTROL_PLANE` binding has it: requests, and upgrades to a WebSocket. */
export function controlPlaneFetcher(
  { host, port }: { readonly host: string; readonly port: number },
  { cert, key, ca, serverName }: ClusterTls,
): { fetch(url: string, init?: RequestInit): Promise<Response> } {
  const origin = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const tls = { cert, key, ca, servername: serverName, minVersion: 'TLSv1.2' } as const;
  const dispatcher = new Agent({ connect: tls, allowH2: false });
  return {
    async fetch(url, init = {}) {
      const target = new URL(url);
      const path = `${target.pathname}${target.search}`;
      const headers = new Headers(init.headers);
      if (headers.get('upgrade') === 'websocket') return upgrade(`wss://${origin}${path}`, tls, init.signal ?? null);
      try {
        const sent = { method: init.method, headers: [...headers], body: init.body, signal: init.signal };
        return await fetchThrough(dispatcher, `https://${origin}${path}`, sent);
      } catch (error) {
        throw lost(error);
      }
    },
  };
}

/** With its reason in words; `retryable`, as the runtimes of Workers call what may have been an idle connection that was closed. */
function lost(error: unknown): Error {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  const message = cause === undefined ? messageOf(error) : messageOf(cause);
  return Object.assign(new Error(message, { cause: error }), { retryable: true });
}

function upgrade(
  url: string,
  tls: { readonly cert: string; readonly key: string; readonly ca: string; readonly servername: string },
  signal: AbortSignal | null,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { ...tls, perMessageDeflate: false, maxPayload: LONGEST_FRAME });
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

import { createServer, type Server } from 'node:http';
import { fetchThrough } from './fetch-through.ts';
import { requestOf } from './request-of.ts';

/** The node's service, wherever it is. */
export interface NodeBinding {
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

type Fetching = (request: Request) => Response | Promise<Response>;

/** `NODE` in the process that has the Durable Objects: no socket between. */
export function ownNode(answer: Fetching): NodeBinding {
  return { fetch: async (input, init) => answer(requestOf(input, init)) };
}

/** `NODE` in another process: the first one's, over its Unix socket. */
export function otherNode(path: string): NodeBinding {
  return { fetch: fetchThrough(({ Agent }) => new Agent({ connect: { socketPath: path }, allowH2: false })) };
}

/**
 * Answers web requests on a listening socket: the Status API's listeners, and `NodeService` for the other processes. What does it is
 * loaded by the first of them, or by `loadFetchServer`.
 */
export function serveFetch(descriptor: number, answer: Fetching, server: Server = createServer()): Promise<Server> {
  let listener: ReturnType<FetchServer['getRequestListener']> | null = null;
  server.on('request', async (request, response) => {
    try {
      listener ??= (await loadFetchServer()).getRequestListener(answer, { overrideGlobalObjects: false });
      await listener(request, response);
    } catch (error) {
      console.error('a request to the node was not answered:', error);
      response.destroy();
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: descriptor }, () => resolve(server));
  });
}

type FetchServer = typeof import('@hono/node-server');

/** With it comes Node's Fetch, a tenth of all that a process loads: not before the clients of the proxy are served. */
export function loadFetchServer(): Promise<FetchServer> {
  return import('@hono/node-server');
}

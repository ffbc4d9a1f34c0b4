import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
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

/** Answers web requests on a listening socket: the Status API's listeners, and `NodeService` for the other processes. */
export function serveFetch(descriptor: number, answer: Fetching, server: Server = createServer()): Promise<Server> {
  server.on('request', getRequestListener(answer, { overrideGlobalObjects: false }));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: descriptor }, () => resolve(server));
  });
}

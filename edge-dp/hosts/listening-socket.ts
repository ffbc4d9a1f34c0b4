import { renameSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type ListenOptions, type Server } from 'node:net';

/** A socket that listens while nobody accepts: made to be handed to other processes by its descriptor. */
export interface ListeningSocket {
  readonly descriptor: number;
  /** The port really bound; 0 for a Unix socket. */
  readonly port: number;
  /** Lets go of this process's descriptor. Must be called in the tick after opening, before Node would accept. */
  release(): void;
}

/** Connections the kernel keeps for processes that are just being replaced. */
const BACKLOG = 4096;

/**
 * Opens all sockets in one turn of the event loop, so that the caller can hand them on and release them before Node
 * polls: no connection is ever accepted here. `address` must be an IP address, or `path` a Unix socket's path.
 * Rejects with Node's error of the first that cannot be opened, after closing the rest.
 */
export async function openListeningSockets(
  wanted: readonly ({ readonly address: string; readonly port: number } | { readonly path: string })[],
): Promise<readonly ListeningSocket[]> {
  const opened = await Promise.allSettled(
    wanted.map((where) => ('path' in where ? onPath(where.path) : onPort(where))),
  );
  const sockets = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = opened.find((result) => result.status === 'rejected');
  if (failed === undefined) return sockets;
  for (const socket of sockets) socket.release();
  throw failed.reason;
}

async function onPort({ address, port }: { address: string; port: number }): Promise<ListeningSocket> {
  const server = await listen({ host: address, port, backlog: BACKLOG, ipv6Only: true });
  const bound: AddressInfo | string | null = server.address();
  return {
    descriptor: descriptorOf(server),
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    release: () => server.close(),
  };
}

async function onPath(path: string): Promise<ListeningSocket> {
  // Node removes the path it bound when it lets go; the socket lives on under the name it was moved to.
  const bound = `${path}.new`;
  rmSync(bound, { force: true });
  const server = await listen({ path: bound, backlog: BACKLOG });
  renameSync(bound, path);
  return { descriptor: descriptorOf(server), port: 0, release: () => server.close() };
}

function listen(options: ListenOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(options, () => resolve(server));
  });
}

/** Node has no public way to a server's descriptor; the handle has had one on POSIX systems since Node 0.x. */
function descriptorOf(server: Server): number {
  const descriptor: unknown = Reflect.get(Object(Reflect.get(server, '_handle')), 'fd');
  if (typeof descriptor === 'number' && descriptor >= 0) return descriptor;
  server.close();
  throw new Error('this system gives no descriptor of a listening socket');
}

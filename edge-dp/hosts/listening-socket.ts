import { createSocket } from 'node:dgram';
import { renameSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, isIP, type ListenOptions, type Server } from 'node:net';
import { udpHandle } from './udp-handle.ts';

/** What is to be opened: a TCP port, one of UDP, or a Unix socket. */
export type WantedSocket =
  | Port
  | (Port & {
      /** Those with one name share the port: the kernel gives all datagrams of a client to one of them. */
      readonly udp: { readonly name: string; readonly shared: boolean };
    })
  | { readonly path: string };

interface Port {
  /** An IP address. */
  readonly address: string;
  readonly port: number;
  /** That of IPv6 takes IPv4 as well; absent: it does not. */
  readonly dualStack?: boolean;
}

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
export async function openListeningSockets(wanted: readonly WantedSocket[]): Promise<readonly ListeningSocket[]> {
  const datagrams = new Map<string, Promise<ListeningSocket>>();
  const opened = await Promise.allSettled(
    wanted.map((where) => {
      if ('path' in where) return onPath(where.path);
      if (!('udp' in where)) return onPort(where);
      const { name, shared } = where.udp;
      const first = datagrams.get(name);
      if (first !== undefined) return first.then(({ port }) => onDatagrams({ ...where, port }, shared));
      const own = onDatagrams(where, shared);
      datagrams.set(name, own);
      return own;
    }),
  );
  const sockets = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = opened.find((result) => result.status === 'rejected');
  if (failed === undefined) return sockets;
  for (const socket of sockets) socket.release();
  throw failed.reason;
}

async function onPort({ address, port, dualStack = false }: Port): Promise<ListeningSocket> {
  const server = await listen({ host: address, port, backlog: BACKLOG, ipv6Only: !dualStack });
  const bound: AddressInfo | string | null = server.address();
  return {
    descriptor: descriptorOf(handleOf(server)),
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    release: () => server.close(),
  };
}

async function onDatagrams({ address, port, dualStack = false }: Port, shared: boolean): Promise<ListeningSocket> {
  const v6 = isIP(address) === 6;
  const only = v6 && !dualStack ? { ipv6Only: true } : {};
  const socket = createSocket({ type: v6 ? 'udp6' : 'udp4', reusePort: shared, ...only });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port, address, exclusive: true }, resolve);
  });
  return { descriptor: descriptorOf(udpHandle(socket)), port: socket.address().port, release: () => socket.close() };
}

async function onPath(path: string): Promise<ListeningSocket> {
  // Node removes the path it bound when it lets go; the socket lives on under the name it was moved to.
  const bound = `${path}.new`;
  rmSync(bound, { force: true });
  const server = await listen({ path: bound, backlog: BACKLOG });
  renameSync(bound, path);
  return { descriptor: descriptorOf(handleOf(server)), port: 0, release: () => server.close() };
}

function listen(options: ListenOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(options, () => resolve(server));
  });
}

/** Node has no public way to a socket's descriptor; the handle has had one on POSIX systems since Node 0.x. */
function descriptorOf(handle: unknown): number {
  const descriptor: unknown = Reflect.get(Object(handle), 'fd');
  if (typeof descriptor === 'number' && descriptor >= 0) return descriptor;
  throw new Error('this system gives no descriptor of a listening socket');
}

function handleOf(server: Server): unknown {
  return Reflect.get(server, '_handle');
}

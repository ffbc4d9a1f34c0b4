import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';

/** What stands in for an upstream, in the test's own process. */
export type UpstreamHandler = (request: Request) => Response | Promise<Response>;

/** Upstreams' stand-ins, each on a free port of this machine. */
export interface RunningUpstreams {
  readonly ports: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

export async function startUpstreams(handlers: Readonly<Record<string, UpstreamHandler>>): Promise<RunningUpstreams> {
  const servers: Server[] = [];
  const ports = new Map<string, number>();
  const stop = async (): Promise<void> => {
    await Promise.all(
      servers.map((server) => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        return closed;
      }),
    );
  };
  try {
    for (const [name, handler] of Object.entries(handlers)) {
      const server = createServer(getRequestListener(handler, { overrideGlobalObjects: false }));
      await new Promise<void>((listening, failed) => {
        server.once('error', failed).listen(0, '127.0.0.1', listening);
      });
      servers.push(server);
      ports.set(name, portOf(server.address()));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { ports, stop };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('a stand-in for an upstream has no port');
  return address.port;
}

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { messageOf } from '../../../shared/thrown.ts';
import { type ListeningSocket, openListeningSockets, type WantedSocket } from '../listening-socket.ts';
import type { Listener, StreamListenAddress } from '../options.ts';
import { portHolder } from '../port-holder.ts';

/** A listener of the options with the address to bind. */
export interface PlannedListener {
  /** The setting it comes from, for messages. */
  readonly setting: 'proxy_listen' | 'status_listen' | 'stream_listen';
  readonly service: 'proxy' | 'status' | 'stream';
  /** Socket name in the workerd config. */
  readonly name: string;
  readonly address: string;
  readonly listener: Listener;
  /** For UDP the process that serves it: each has a socket of its own on the port, so that a client keeps its process. Null: TCP. */
  readonly udp: { readonly process: number; readonly processes: number } | null;
}

/** Resolves the listeners' host names to addresses. Rejects naming the setting. */
export async function planListeners(
  setting: PlannedListener['setting'],
  listeners: readonly (Listener | StreamListenAddress)[],
  processes: number,
): Promise<readonly PlannedListener[]> {
  const service = SERVICES[setting];
  const planned = await Promise.all(
    listeners.map(async (listener, place) => {
      const address = await addressOf(listener, setting);
      const name = `${service}-${place}`;
      const plan = { setting, service, name, address, listener };
      if (!('udp' in listener) || !listener.udp) return [{ ...plan, udp: null }];
      return Array.from({ length: processes }, (_, process) => ({
        ...plan,
        name: `${name}-${process}`,
        udp: { process, processes },
      }));
    }),
  );
  return planned.flat();
}

const SERVICES = { proxy_listen: 'proxy', status_listen: 'status', stream_listen: 'stream' } as const;

async function addressOf({ host }: Listener, setting: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new Error(`${setting}: the host ${host} does not resolve (${codeOf(error)})`);
  }
}

/**
 * Opens the listeners' sockets and `paths` together, but for those that are `held`, by their places. Rejects naming the setting, and
 * who holds a port in use.
 */
export async function openSockets(
  listeners: readonly PlannedListener[],
  paths: readonly string[],
  held: ReadonlyMap<number, ListeningSocket>,
): Promise<readonly ListeningSocket[]> {
  const wanted = [...listeners.map(socketOf), ...paths.map((path) => ({ path }))];
  try {
    const opened = await openListeningSockets(wanted.filter((_, place) => !held.has(place)));
    const rest = opened.values();
    return wanted.flatMap((_, place) => held.get(place) ?? rest.next().value ?? []);
  } catch (error) {
    throw new Error(explain(error, listeners), { cause: error });
  }
}

function socketOf({ address, listener, name, udp }: PlannedListener): WantedSocket {
  const { port, dualStack = false } = listener;
  if (udp === null) return { address, port, dualStack };
  const shared = name.slice(0, name.lastIndexOf('-'));
  return { address, port, dualStack, udp: { name: shared, shared: udp.processes > 1 } };
}

function explain(error: unknown, listeners: readonly PlannedListener[]): string {
  const port = error instanceof Error && 'port' in error ? error.port : undefined;
  const failed = listeners.find(({ listener }) => listener.port === port);
  const message = messageOf(error);
  if (failed === undefined) return message;
  const { host } = failed.listener;
  const subject = `${failed.setting}: cannot listen on ${host}:${failed.listener.port}`;
  switch (codeOf(error)) {
    case 'EADDRINUSE': {
      const holder = portHolder(failed.listener.port);
      return `${subject}: the port is in use${holder === null ? '' : ` by ${holder}`}; stop that, or set another port`;
    }
    case 'EACCES':
      return `${subject}: not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE`;
    case 'EADDRNOTAVAIL':
      return `${subject}: ${failed.address} is not an address of this machine`;
    default:
      return `${subject}: ${message}`;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

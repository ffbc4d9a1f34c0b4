import { join, resolve } from 'node:path';
import type { DataPlane, DataPlaneOptions } from '../options.ts';
import { endTelling, Launch, type LaunchedRuntime, type LaunchOptions } from '../supervision/launch.ts';
import { socketsOf } from '../supervision/messages.ts';
import { NODE_SOCKET } from './messages.ts';
import { nodeSockets } from './sockets.ts';

/** A node that has its sockets, and processes on their way: they wait to be told what they serve. */
export interface BegunHost {
  /** As `startNodeHost`, with the prefix, addresses and number of processes that it was begun with. */
  start(options: DataPlaneOptions): Promise<DataPlane>;
  /** It is not to be started: takes down what there is. */
  end(): Promise<void>;
}

/**
 * Takes the prefix and the ports, and starts the processes of a node on Node, which load what they need in any case: whoever knows no more
 * yet than where the node listens finds out the rest meanwhile. Rejects, with nothing left behind, when a port or the prefix is taken.
 */
export async function beginNodeHost(options: LaunchOptions): Promise<BegunHost> {
  const launch = await Launch.begin(options, nodeRuntime(options));
  return {
    start: async (now) => (await import('./host.ts')).startNodeHost(now, undefined, launch),
    end: () => endTelling(launch, 0, options),
  };
}

/** What a node keeps, its id too, lies in a folder of its own: with another host it is another node. */
export function nodeHome({ prefix }: Pick<DataPlaneOptions, 'prefix'>): string {
  return join(resolve(prefix), 'native');
}

/** Path of the first process's Unix socket, for the others. */
export function nodeSocketIn(folder: string): string {
  return join(folder, `${NODE_SOCKET}.sock`);
}

export function nodeRuntime(options: Pick<DataPlaneOptions, 'prefix'>): LaunchedRuntime {
  return {
    takesStreams: true,
    identityFolder: nodeHome(options),
    internalPaths: (folder) => [nodeSocketIn(folder)],
    begin: (listeners, processes) =>
      Array.from({ length: processes }, (_, place) =>
        socketsOf(nodeSockets(listeners), place).map(({ descriptor }) => descriptor),
      ),
  };
}

import { join, resolve } from 'node:path';
import type { DataPlane, DataPlaneOptions } from '../options.ts';
import { workerEntry } from '../own-plugins.ts';
import { socketsOf } from '../supervision/messages.ts';
import { startSupervised } from '../supervision/supervised-host.ts';
import { NODE_SOCKET } from './messages.ts';
import { nodeSockets } from './sockets.ts';

/**
 * Runs a data plane node on Node itself: `processes` processes on one set of listening sockets, the Worker in each of them. What
 * it keeps, its id too, lies in a folder of its own: with another host it is another node. `given` is the Worker's main
 * module, if it is another than usual.
 */
export async function startNodeHost(options: DataPlaneOptions, given?: string): Promise<DataPlane> {
  const home = join(resolve(options.prefix), 'native');
  const entry = given ?? (await workerEntry(options.plugins, join(home, 'worker')));
  const socketIn = (folder: string): string => join(folder, `${NODE_SOCKET}.sock`);
  return startSupervised(options, {
    takesStreams: true,
    identityFolder: home,
    storage: join(home, 'storage'),
    internalPaths: (_options, folder) => [socketIn(folder)],
    begin: (listeners, processes) =>
      Array.from({ length: processes }, (_, place) =>
        socketsOf(nodeSockets(listeners), place).map(({ descriptor }) => descriptor),
      ),
    mayReload: () => undefined,
    // Read while the supervisor is, too.
    writePlan: async (parts, generation, folder) =>
      (await import('./plan.ts')).writeNodePlan(parts, generation, { entry, nodeSocket: socketIn(folder) }),
  });
}

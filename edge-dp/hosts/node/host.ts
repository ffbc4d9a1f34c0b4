import { join } from 'node:path';
import type { DataPlane, DataPlaneOptions } from '../options.ts';
import { workerEntry } from '../own-plugins.ts';
import type { Launch } from '../supervision/launch.ts';
import { startSupervised } from '../supervision/supervised-host.ts';
import { nodeHome, nodeRuntime, nodeSocketIn } from './begin-host.ts';

/**
 * Runs a data plane node on Node itself: `processes` processes on one set of listening sockets, the Worker in each of them. `given` is the
 * Worker's main module, if it is another than usual; `begun` what there is of the node already.
 */
export async function startNodeHost(options: DataPlaneOptions, given?: string, begun?: Launch): Promise<DataPlane> {
  const home = nodeHome(options);
  return startSupervised(
    options,
    {
      ...nodeRuntime(options),
      storage: join(home, 'storage'),
      mayReload: () => undefined,
      // Read while the supervisor is, too.
      writePlan: async (parts, generation, folder) =>
        (await import('./plan.ts')).writeNodePlan(parts, generation, {
          entry: given ?? (await workerEntry(options.plugins, join(home, 'worker'))),
          nodeSocket: nodeSocketIn(folder),
        }),
    },
    begun,
  );
}

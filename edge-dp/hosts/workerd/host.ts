import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { moduleFile } from '../module-file.ts';
import type { DataPlane, DataPlaneOptions } from '../options.ts';
import { workerEntry } from '../own-plugins.ts';
import { startSupervised } from '../supervision/supervised-host.ts';
import { internalPaths, internalSockets, relayedControlPlanes } from './internal-sockets.ts';
import { writeWorkerdPlan } from './plan.ts';

const KV_ENTRY = moduleFile('../kv-service/worker', import.meta.url);

/**
 * Runs a data plane node on workerd: `processes` workerd processes on one set of listening sockets, and an egress process beside
 * them. `given` is the Worker's main module, if it is another than usual.
 */
export async function startWorkerdHost(options: DataPlaneOptions, given?: string): Promise<DataPlane> {
  const prefix = resolve(options.prefix);
  if (options.proxyListen.some(({ http2 }) => http2 === true))
    options.log('notice', "proxy_listen: 'http2' is for data_plane_host = node; on workerd clients get HTTP/1.1");
  const egressToken = randomBytes(24).toString('base64url');
  return startSupervised(options, {
    takesStreams: false,
    identityFolder: prefix,
    storage: join(prefix, 'durable-objects'),
    internalPaths: (folder) => internalPaths(internalSockets(folder, options, '')),
    begin: () => [],
    mayReload(now, before) {
      if (JSON.stringify(relayedControlPlanes(now)) === JSON.stringify(relayedControlPlanes(before))) return;
      throw new Error('cluster_control_plane: other names, or a proxy that was not there at the start, need a restart');
    },
    writePlan: async (parts, generation, folder) =>
      writeWorkerdPlan(
        {
          ...parts,
          sockets: internalSockets(folder, parts.options, generation.name),
          egressToken,
          // Not before the prefix is taken: another node may run by the one that is there.
          workerEntry: given ?? (await workerEntry(options.plugins, join(prefix, 'worker'))),
          kvEntry: KV_ENTRY,
        },
        generation,
      ),
  });
}

import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorker, WORKER_ENTRY } from '../bundle-worker.ts';
import type { DataPlane, DataPlaneOptions } from '../options.ts';
import { startSupervised } from '../supervision/supervised-host.ts';
import { internalPaths, internalSockets, namedControlPlanes } from './internal-sockets.ts';
import { writeWorkerdPlan } from './plan.ts';

const KV_ENTRY = fileURLToPath(new URL('../kv-service/worker.ts', import.meta.url));

/**
 * Runs a data plane node on workerd: `processes` workerd processes on one set of listening sockets, and an egress process beside
 * them. `entry` is the Worker's main module.
 */
export function startWorkerdHost(options: DataPlaneOptions, entry: string = WORKER_ENTRY): Promise<DataPlane> {
  const prefix = resolve(options.prefix);
  const egressToken = randomBytes(24).toString('base64url');
  return startSupervised(options, {
    identityFolder: prefix,
    storage: join(prefix, 'durable-objects'),
    prepare: () => Promise.all([bundleWorker(entry), bundleWorker(KV_ENTRY)]),
    internalPaths: (now, folder) => internalPaths(internalSockets(folder, now)),
    mayReload(now, before) {
      if (JSON.stringify(namedControlPlanes(now)) === JSON.stringify(namedControlPlanes(before))) return;
      throw new Error('cluster_control_plane: other names than at the start need a restart');
    },
    writePlan: (parts, generation, folder) =>
      writeWorkerdPlan(
        {
          ...parts,
          sockets: internalSockets(folder, parts.options),
          egressToken,
          workerEntry: entry,
          kvEntry: KV_ENTRY,
        },
        generation,
      ),
  });
}

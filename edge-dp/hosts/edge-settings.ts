import { HOST_CAPABILITIES } from '../../shared/cluster/hosts.ts';
import type { WorkerSettings } from '../settings.ts';
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS } from './bundle-worker.ts';
import type { DataPlaneOptions } from './options.ts';
import { workerSettings } from './worker-settings.ts';

/** The rules of the runtime under which `wrangler` deploys the Worker. */
export const COMPATIBILITY = { date: COMPATIBILITY_DATE, flags: COMPATIBILITY_FLAGS };

/** The Worker's settings on Cloudflare's network, which listens for it. */
export function edgeSettings(options: DataPlaneOptions, nodeId: string): WorkerSettings {
  const capabilities = HOST_CAPABILITIES.cloudflare;
  return workerSettings(options, { nodeId, host: 'cloudflare', capabilities, ports: { http: 80, https: 443 } });
}

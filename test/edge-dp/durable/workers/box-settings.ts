import type { WorkerSettings } from '../../../../edge-dp/settings.ts';
import { PROXY_SETTINGS } from '../../proxy-settings.ts';
import { TRUSTED_KEYS } from './signed-config.ts';

/** Of a node on one's own box that has no control plane and keeps nothing. */
export const BOX_SETTINGS: WorkerSettings = {
  node: {
    id: '00000000-0000-4000-8000-000000000000',
    hostname: 'node.test',
    version: '0.1.0',
    host: 'workerd',
    group: 'default',
    labels: {},
    capabilities: [],
  },
  trustedKeys: TRUSTED_KEYS,
  controlPlanes: 0,
  cacheMode: 'off',
  newsInterval: 100,
  proxy: { ...PROXY_SETTINGS, ports: { http: null, https: null } },
  status: { allowedHosts: [], loopback: true },
};

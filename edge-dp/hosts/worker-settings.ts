import { hkdfSync } from 'node:crypto';
import packageFile from '../../package.json' with { type: 'json' };
import { isLoopback } from '../../shared/browser-guard.ts';
import type { NodeDescription } from '../../shared/cluster/messages.ts';
import { DEFAULT_LUA, type WorkerSettings } from '../settings.ts';
import type { DataPlaneOptions, Listener } from './options.ts';

/** What a host adds to the options: who the node is, what runs it, and the ports it really listens on. */
interface HostFacts {
  readonly nodeId: string;
  readonly host: NodeDescription['host'];
  readonly capabilities: readonly string[];
  readonly ports: WorkerSettings['proxy']['ports'];
}

/** The Worker's `SETTINGS` binding. Throws when the options contradict themselves. */
export function workerSettings(options: DataPlaneOptions, facts: HostFacts): WorkerSettings {
  const takesStreams = facts.capabilities.includes('stream') && (options.streamListen ?? []).length > 0;
  return {
    node: {
      id: facts.nodeId,
      hostname: options.hostname,
      version: packageFile.version,
      host: facts.host,
      group: options.group,
      labels: options.labels,
      capabilities: facts.capabilities.filter(
        (one) => (one !== 'lua' || options.proxy.lua?.untrusted !== 'off') && (one !== 'stream' || takesStreams),
      ),
    },
    cluster: options.trustedKeys.cluster,
    trustedKeys: options.trustedKeys.keys,
    controlPlanes: options.controlPlanes.length,
    ...(options.telemetry != null && { telemetry: { endpoints: options.telemetry.endpoints.length } }),
    cacheMode: options.cacheMode,
    ...(options.cacheMode === 'encrypted' ? { cacheKey: cacheKey(options) } : {}),
    newsInterval: options.newsInterval,
    ...(options.secrets?.prefix ? { vaultEnvPrefix: options.secrets.prefix } : {}),
    proxy: {
      ...options.proxy,
      ports: facts.ports,
      ...(takesStreams && { streams: true }),
      ...(hasOwnTrust(options) && { ownTrust: true }),
    },
    status: {
      allowedHosts: options.statusAllowedHosts ?? [],
      loopback: options.statusListen.length > 0 && options.statusListen.every(isAtLoopback),
      ...(options.awaitsConfig === true && { awaitsConfig: true }),
      ...(options.statusAccessLog !== undefined && { accessLog: options.statusAccessLog }),
      ...(options.certificates !== undefined && { certificates: options.certificates }),
    },
  };
}

/** The same for one of the node's processes, each of which has a place of its own, from 0. */
export function settingsAt(settings: WorkerSettings, place: number, count: number): WorkerSettings {
  const lua = { ...(settings.proxy.lua ?? DEFAULT_LUA), process: { place, count } };
  return { ...settings, proxy: { ...settings.proxy, lua } };
}

/** Whether `lua_ssl_trusted_certificate` says other than the public CAs. */
function hasOwnTrust({ trust }: DataPlaneOptions): boolean {
  return trust !== undefined && (!trust.publicCas || trust.certificates.length > 0);
}

/** Whether only this machine reaches a listener. */
function isAtLoopback({ host }: Pick<Listener, 'host'>): boolean {
  return host === 'localhost' || isLoopback(host);
}

/** The ports of the first plain and the first TLS listener. */
export function listenerPorts(listeners: readonly Listener[]): WorkerSettings['proxy']['ports'] {
  return {
    http: listeners.find((listener) => listener.tls === undefined)?.port ?? null,
    https: listeners.find((listener) => listener.tls !== undefined)?.port ?? null,
  };
}

/** As in Kong, the cluster certificate's key is the secret: whoever copies the cache alone can read nothing of it. */
function cacheKey({ clusterTls }: DataPlaneOptions): string {
  if (clusterTls === null) throw new Error("data_plane_config_cache_mode 'encrypted' needs cluster_cert_key");
  const key = hkdfSync('sha256', clusterTls.key, '', 'holdfast config cache', 32);
  return Buffer.from(key).toString('base64');
}

import { fileURLToPath } from 'node:url';
import { startMiniflareHost } from '../../edge-dp/hosts/miniflare/host.ts';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import type { DataPlane, DataPlaneOptions } from '../../edge-dp/hosts/options.ts';
import { startWorkerdHost } from '../../edge-dp/hosts/workerd/host.ts';
import type { ControlPlane } from './control-plane.ts';
import { PROXY_SETTINGS } from './proxy-settings.ts';

export type StartHost = (options: DataPlaneOptions, entry?: string) => Promise<DataPlane>;

/** The host that all tests of behaviour run on, where one is named (`npm run test:node`). */
const ONLY = process.env.TEST_HOST;

const everyHost: readonly (readonly [string, StartHost])[] = [
  ['workerd', startWorkerdHost],
  ['Miniflare', startMiniflareHost],
  ['node', startNodeHost],
];

/** `all` of a list by host, or those of the host that tests are to run on. */
export function onHosts<T extends readonly [string, ...unknown[]]>(all: readonly T[]): readonly T[] {
  return ONLY === undefined ? all : all.filter(([name]) => name === ONLY);
}

/** Behaviour is the same on every host: `describe.each(hosts)('on %s', (_, start) => …)`. */
export const hosts = onHosts(everyHost);

/** What a test runs on that tries one host of an own box. */
export const ownBox: 'workerd' | 'node' = ONLY === 'node' ? 'node' : 'workerd';
export const startOwnBox: StartHost = ownBox === 'node' ? startNodeHost : startWorkerdHost;

/** The Worker whose request path shows the rows it was compiled from. */
export const SHOWING_WORKER = fileURLToPath(new URL('./workers/showing.ts', import.meta.url));

/** What a test wants other than usual. */
export interface NodeOverrides extends Partial<Omit<DataPlaneOptions, 'proxy'>> {
  readonly proxy?: Partial<DataPlaneOptions['proxy']>;
}

/** Options of a node in `prefix` that follows `controlPlane`, on free ports. */
export function nodeOptions(
  prefix: string,
  controlPlane: ControlPlane | null,
  { proxy, ...overrides }: NodeOverrides = {},
): DataPlaneOptions {
  const tls = controlPlane === null ? null : controlPlane.certificate;
  return {
    prefix,
    hostname: 'node.test',
    labels: { region: 'test' },
    group: 'default',
    proxyListen: [{ host: '127.0.0.1', port: 0 }],
    statusListen: [{ host: '127.0.0.1', port: 0 }],
    controlPlanes: controlPlane === null ? [] : [{ host: '127.0.0.1', port: controlPlane.port }],
    clusterTls:
      tls === null || controlPlane === null
        ? null
        : { cert: tls.cert, key: tls.key, ca: tls.cert, serverName: controlPlane.serverName },
    trustedKeys: { cluster: null, keys: controlPlane === null ? [] : [controlPlane.signingKey.publicKey] },
    cacheMode: 'unencrypted',
    declarative: null,
    processes: 1,
    newsInterval: 100,
    proxy: {
      ...PROXY_SETTINGS,
      ...proxy,
    },
    log: () => undefined,
    ...overrides,
  };
}

/** A URL on the node's first proxy, or status, listener. */
export function proxyUrl(node: DataPlane, path: string): string {
  return `http://127.0.0.1:${node.proxyAddresses[0]?.port}${path}`;
}

export function statusUrl(node: DataPlane, path: string): string {
  return `http://127.0.0.1:${node.statusAddresses[0]?.port}${path}`;
}

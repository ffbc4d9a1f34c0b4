import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DataPlane, DataPlaneOptions } from '../../../edge-dp/hosts/options.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { PROXY_SETTINGS } from '../proxy-settings.ts';

export const GATEWAY = fileURLToPath(new URL('./workers/gateway.ts', import.meta.url));

export interface TestNode {
  readonly dataPlane: DataPlane;
  /** Base URL of its first proxy listener. */
  readonly url: string;
  readonly prefix: string;
  readonly log: readonly string[];
}

export function optionsFor(prefix: string, overrides: Partial<DataPlaneOptions> = {}): DataPlaneOptions {
  return {
    prefix,
    hostname: 'test-node',
    labels: {},
    group: 'default',
    proxyListen: [{ host: '127.0.0.1', port: 0 }],
    statusListen: [],
    controlPlanes: [],
    clusterTls: null,
    trustedKeys: { cluster: null, keys: [] },
    cacheMode: 'unencrypted',
    declarative: null,
    processes: 1,
    newsInterval: 1000,
    proxy: { ...PROXY_SETTINGS, headers: [], headersUpstream: [] },
    log: () => {},
    ...overrides,
  };
}

/** A node running the test gateway in a folder of its own (with a space in its path). */
export async function startNode(overrides: Partial<DataPlaneOptions> = {}): Promise<TestNode> {
  const prefix = overrides.prefix ?? newPrefix();
  const log: string[] = [];
  const dataPlane = await startWorkerdHost(
    optionsFor(prefix, { log: (level, message) => log.push(`${level} ${message}`), ...overrides }),
    GATEWAY,
  );
  const [address] = dataPlane.proxyAddresses;
  const scheme = address?.tls === true ? 'https' : 'http';
  return { dataPlane, url: `${scheme}://127.0.0.1:${address?.port}`, prefix, log };
}

export function newPrefix(): string {
  return join(mkdtempSync(join(tmpdir(), 'holdfast test ')), 'node');
}

export async function stopNode(node: TestNode | undefined): Promise<void> {
  await node?.dataPlane.stop(0);
  if (node !== undefined) rmSync(join(node.prefix, '..'), { recursive: true, force: true });
}

/** One request on a connection of its own. Rejects with Node's error when there is no complete response. */
export function ask(
  url: string,
  options: RequestOptions & { readonly body?: string | Uint8Array } = {},
): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string }> {
  const { body, ...rest } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { agent: false, ...rest }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

/**
 * A data plane on Miniflare as a process of its own: `miniflare-node.ts FOLDER CONTROL_PLANE_PORT PROXY_PORT`. Prints the ids of those that
 * serve once it runs.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTrustedKeys } from '../../cp/pki/cluster-tls.ts';
import { startMiniflareHost } from '../../edge-dp/hosts/miniflare/host.ts';
import { nodeOptions } from '../edge-dp/hosts.ts';

const [folder = '', controlPort = '', proxyPort = ''] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

const node = await startMiniflareHost(
  nodeOptions(join(folder, 'on-miniflare'), null, {
    proxyListen: [{ host: '127.0.0.1', port: Number(proxyPort) }],
    controlPlanes: [{ host: '127.0.0.1', port: Number(controlPort) }],
    clusterTls: {
      cert: read('cluster.crt'),
      key: read('cluster.key'),
      ca: read('cluster.crt'),
      serverName: 'kong_clustering',
    },
    trustedKeys: loadTrustedKeys(join(folder, 'bundle-keys.json')),
    log: (level, line) => {
      if (level === 'warn' || level === 'error') process.stderr.write(`miniflare: ${line}\n`);
    },
  }),
);
process.stdout.write(`${JSON.stringify(node.pids())}\n`);
process.once('SIGTERM', () => void node.stop(0).then(() => process.exit()));

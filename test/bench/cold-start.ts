import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { admin, createCluster, until } from '../e2e/processes.ts';
import { once } from '../once.ts';
import { median } from './processes.ts';

/** Milliseconds until the first request was served by a data plane on Node, from its cache, without a control plane. */
export interface ColdStart {
  readonly routes: number;
  /** From `holdfast start`. */
  readonly command: number;
  /** From the call of `startNodeHost` in a process that is there. */
  readonly host: number;
}

const COMMAND = [fileURLToPath(new URL('../../cp/holdfast.js', import.meta.url)), 'start'];
const HOST = [fileURLToPath(new URL('./start-host.ts', import.meta.url))];
/** Milliseconds after which a process has kept what it has compiled. */
const COMPILED = 12_000;

/** Starts by both ways in turns, so many times each, and once before that counts for nothing. */
export async function measureColdStart(
  rounds: number,
  say: (line: string) => void,
  routes = 10_000,
): Promise<ColdStart> {
  const cluster = await createCluster();
  try {
    const control = await cluster.controlPlane();
    const plugins = [{ name: 'request-termination', config: { status_code: 200 } }];
    const paths = Array.from({ length: routes }, (_, n) => ({ name: `r${n}`, paths: [`/p${n}`] }));
    const services = [{ name: 's', url: 'http://127.0.0.1:9', routes: paths, plugins }];
    await admin(`${control.admin}/config`, 'POST', { _format_version: '3.0', services });
    const first = await cluster.dataPlane('cold', { data_plane_host: 'node' });
    const path = `/p${routes - 1}`;
    await until(async () => (await fetch(first.proxy + path)).status === 200, 'the routes to be served', 60_000);
    await sleep(COMPILED);
    await first.end('SIGTERM');
    await control.end('SIGTERM');
    const port = Number(new URL(first.proxy).port);
    const settings = {
      ROLE: 'data_plane',
      DATA_PLANE_HOST: 'node',
      PREFIX: join(cluster.path, 'cold'),
      CLUSTER_CERT: join(cluster.path, 'cluster.crt'),
      CLUSTER_CERT_KEY: join(cluster.path, 'cluster.key'),
      BUNDLE_TRUSTED_KEYS: join(cluster.path, 'bundle-keys.json'),
      CLUSTER_CONTROL_PLANE: '127.0.0.1:9',
      PROXY_LISTEN: `127.0.0.1:${port}`,
      STATUS_LISTEN: new URL(first.status).host,
      NGINX_WORKER_PROCESSES: '1',
    };
    const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [`HOLDFAST_${name}`, value]));
    const start = (words: readonly string[]) => startOnce(words, { ...process.env, ...env }, port, path);
    const times: { readonly command: number[]; readonly host: number[] } = { command: [], host: [] };
    for (let round = 0; round <= rounds; round++) {
      const [command, host] = [await start(COMMAND), await start(HOST)];
      if (round === 0) continue;
      times.command.push(command);
      times.host.push(host);
      say(`  start ${round}: ${Math.round(command)} ms by the command, ${Math.round(host)} ms by the host`);
    }
    return { routes, command: median(times.command), host: median(times.host) };
  } finally {
    cluster.remove();
  }
}

async function startOnce(
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  port: number,
  path: string,
): Promise<number> {
  let began = performance.timeOrigin + performance.now();
  const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  child.on('message', (at) => {
    began = Number(at);
  });
  while (!(await answers(port, path))) {
    if (child.exitCode !== null) throw new Error(`${words.join(' ')} ended`);
    await sleep(2);
  }
  const took = performance.timeOrigin + performance.now() - began;
  await sleep(1_000);
  child.kill('SIGTERM');
  await once(child, 'exit');
  return took;
}

/** Whether a request is answered with 200. */
function answers(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`),
    );
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString('latin1').startsWith('HTTP/1.1 200'));
    });
    socket.once('error', () => resolve(false)).once('close', () => resolve(false));
  });
}

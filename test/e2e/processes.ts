import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';
import { until } from '../until.ts';

export { until };

export const CLI = fileURLToPath(new URL('../../cp/holdfast.js', import.meta.url));

/** One `holdfast` process of its own, as a person would run it. */
export interface HoldfastProcess {
  readonly child: ChildProcess;
  /** Everything it has printed so far. */
  output(): string;
  /** Sends the signal and waits for the exit. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** What runs `holdfast`: a Node, and the file it is given. */
export interface Program {
  readonly node: string;
  readonly file: string;
}

/** Milliseconds a start may take: on a busy machine a new database alone takes more than a minute. */
const START = 250_000;

const OF_THE_CLONE: Program = { node: process.execPath, file: CLI };

/** Runs `holdfast WORDS` with `settings` as its environment and waits until it says it is ready. */
export async function holdfast(
  words: readonly string[],
  settings: Readonly<Record<string, string>>,
  cwd: string,
  program = OF_THE_CLONE,
): Promise<HoldfastProcess> {
  const started = spawnHoldfast(words, settings, cwd, program);
  await until(
    () => {
      if (started.child.exitCode !== null || started.child.signalCode !== null) {
        throw new Error(`holdfast ${words.join(' ')} ended early:\n${started.output()}`);
      }
      return /^Holdfast .* is ready/m.test(started.output());
    },
    `holdfast ${words.join(' ')} to be ready`,
    START,
  ).catch(async (error) => {
    await started.end('SIGKILL');
    throw new Error(`${error.message}\n${started.output()}`);
  });
  return started;
}

/** Runs `holdfast WORDS` to its end. */
export async function runHoldfast(
  words: readonly string[],
  settings: Readonly<Record<string, string>> = {},
  cwd = tmpdir(),
  program = OF_THE_CLONE,
): Promise<{ code: number | null; output: string }> {
  const run = spawnHoldfast(words, settings, cwd, program);
  const code = await new Promise<number | null>((resolve) => run.child.once('close', resolve));
  return { code, output: run.output() };
}

function spawnHoldfast(
  words: readonly string[],
  settings: Readonly<Record<string, string>>,
  cwd: string,
  { node, file }: Program,
): HoldfastProcess {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(HOLDFAST|KONG)_/.test(name)),
  );
  const host = process.env.TEST_HOST;
  if (host !== undefined) environment.HOLDFAST_DATA_PLANE_HOST = host;
  for (const [name, value] of Object.entries(settings)) environment[`HOLDFAST_${name.toUpperCase()}`] = value;
  const child = spawn(node, [file, ...words], { cwd, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return {
    child,
    output: () => output,
    end: (signal) => {
      child.kill(signal);
      return ended;
    },
  };
}

/** A cluster's folder: certificates and keys made by `holdfast hybrid gen_cert`, and a place for each node. */
export interface ClusterFolder {
  readonly path: string;
  /** `cluster_telemetry_listen` of its control plane. */
  readonly telemetry: string;
  /** Brings a PostgreSQL server's database up to date. */
  migrations(options: Readonly<Record<string, string>>): Promise<void>;
  controlPlane(options?: Readonly<Record<string, string>>, program?: Program): Promise<RunningControlPlane>;
  dataPlane(
    name: string,
    options?: Readonly<Record<string, string>>,
    words?: readonly string[],
  ): Promise<RunningDataPlane>;
  remove(): void;
}

export interface RunningControlPlane extends HoldfastProcess {
  readonly prefix: string;
  readonly admin: string;
}

export interface RunningDataPlane extends HoldfastProcess {
  readonly proxy: string;
  readonly status: string;
}

/** Makes a cluster folder. Ports stay the same when a node of the same name starts again. */
export async function createCluster(): Promise<ClusterFolder> {
  const path = mkdtempSync(join(tmpdir(), 'holdfast cluster '));
  const made = await runHoldfast(['hybrid', 'gen_cert', '--dir', path]);
  if (made.code !== 0) throw new Error(made.output);
  const controlPlanePrefix = await freshPrefix('migrated');
  const [admin = 0, cluster = 0, telemetry = 0] = await freePorts(3);
  const nodePorts = new Map<string, [number, number]>();
  const shared = {
    cluster_cert: join(path, 'cluster.crt'),
    cluster_cert_key: join(path, 'cluster.key'),
    bundle_trusted_keys: join(path, 'bundle-keys.json'),
  };
  return {
    path,
    telemetry: `127.0.0.1:${telemetry}`,
    async migrations(options) {
      const { code, output } = await runHoldfast(['migrations', 'bootstrap'], { prefix: path, ...options });
      if (code !== 0) throw new Error(output);
    },
    async controlPlane(options = {}, program = OF_THE_CLONE) {
      const running = await holdfast(
        ['start'],
        {
          role: 'control_plane',
          prefix: controlPlanePrefix,
          admin_listen: `127.0.0.1:${admin}`,
          admin_gui_listen: 'off',
          cluster_listen: `127.0.0.1:${cluster}`,
          cluster_telemetry_listen: `127.0.0.1:${telemetry}`,
          bundle_signing_key: join(path, 'bundle-signing.key'),
          ...shared,
          ...options,
        },
        path,
        program,
      );
      return { ...running, prefix: controlPlanePrefix, admin: `http://127.0.0.1:${admin}` };
    },
    async dataPlane(name, options = {}, words = []) {
      let ports = nodePorts.get(name);
      if (!ports) {
        const [proxy = 0, status = 0] = await freePorts(2);
        ports = [proxy, status];
        nodePorts.set(name, ports);
      }
      const running = await holdfast(
        ['start', ...words],
        {
          role: 'data_plane',
          prefix: join(path, name),
          cluster_control_plane: `127.0.0.1:${cluster}`,
          proxy_listen: `127.0.0.1:${ports[0]}`,
          status_listen: `127.0.0.1:${ports[1]}`,
          nginx_worker_processes: '1',
          ...shared,
          ...options,
        },
        path,
      );
      return { ...running, proxy: `http://127.0.0.1:${ports[0]}`, status: `http://127.0.0.1:${ports[1]}` };
    },
    remove() {
      for (const folder of [path, controlPlanePrefix]) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A JSON call to an Admin API; throws with the body when the status is not 2xx. */
export async function admin(url: string, method = 'GET', body?: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return text === '' ? {} : JSON.parse(text);
}

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { V8_FLAGS } from '../../edge-dp/hosts/v8-flags.ts';
import { workerdBinary } from '../../edge-dp/hosts/workerd/workerd-run.ts';
import { freePorts } from '../e2e/free-port.ts';
import { until } from '../e2e/processes.ts';
import { listening } from './processes.ts';

/** A bare proxy on the same runtime: what the platform itself costs. */
export interface Baseline {
  readonly port: number;
  readonly child: ChildProcess;
  stop(): void;
}

/** On Node: node:http and undici. */
export async function startNodeBaseline(upstreamPort: number): Promise<Baseline> {
  const { child, port } = await listening('bare-proxy.ts', [String(upstreamPort)], 0);
  return { port, child, stop: () => void child.kill('SIGKILL') };
}

/** On workerd: a pass-through Worker, with the V8 flags and the kind of upstream binding the data plane has. */
export async function startBaseline(upstreamPort: number): Promise<Baseline> {
  const folder = mkdtempSync(join(tmpdir(), 'baseline-'));
  const [port = 0] = await freePorts(1);
  writeFileSync(
    join(folder, 'pass.js'),
    `export default { fetch(request, env) {
      const url = new URL(request.url);
      url.host = '127.0.0.1:${upstreamPort}';
      return env.NETWORK.fetch(new Request(url, request));
    } };`,
  );
  writeFileSync(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "pass.js", esModule = embed "pass.js")],
      compatibilityDate = "2026-07-01",
      bindings = [(name = "NETWORK", service = "network")])),
    (name = "network", network = (allow = ["private", "public", "local"]))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
  v8Flags = ${JSON.stringify(V8_FLAGS)}
);`,
  );
  const child = spawn(workerdBinary(), ['serve', join(folder, 'config.capnp')], { stdio: 'ignore' });
  await until(
    () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        (response) => response.ok,
        () => false,
      ),
    'the pass-through Worker',
  );
  return {
    port,
    child,
    stop() {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

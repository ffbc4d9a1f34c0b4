import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { V8_FLAGS } from '../../edge-dp/hosts/v8-flags.ts';
import { workerdBinary, workerdEnvironment } from '../../edge-dp/hosts/workerd/workerd-run.ts';
import { until } from '../e2e/processes.ts';
import { freePorts } from '../free-port.ts';
import { listening } from './processes.ts';
import type { Rival } from './rival.ts';

/** A bare proxy on Node, node:http and undici: what the platform itself costs. `upstream`: its ports, for HTTP/1.1 and for gRPC. */
export async function startNodeBaseline(
  upstream: readonly number[],
  pair: { cert: string; key: string },
): Promise<Rival> {
  const { child, ports } = await listening('bare-proxy.ts', [...upstream.map(String), pair.cert, pair.key], 0);
  const [plain = 0, tls = 0, http2 = 0, grpc = 0] = ports;
  return { name: 'bare', ports: { plain, tls, http2, grpc }, child, stop: () => void child.kill('SIGKILL') };
}

/** The same on workerd: a pass-through Worker, with the V8 flags, the environment and the kind of upstream binding the data plane has. */
export async function startBaseline(upstreamPort: number): Promise<Rival> {
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
  const child = spawn(workerdBinary(), ['serve', join(folder, 'config.capnp')], {
    stdio: 'ignore',
    env: workerdEnvironment(process.env),
  });
  await until(
    () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        (response) => response.ok,
        () => false,
      ),
    'the pass-through Worker',
  );
  return {
    name: 'bare',
    ports: { plain: port },
    child,
    stop() {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

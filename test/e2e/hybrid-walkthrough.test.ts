import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePorts } from '../free-port.ts';
import { admin, type HoldfastProcess, holdfast, runHoldfast, until } from './processes.ts';

let folder: string;
let upstream: Server;
const running: HoldfastProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast walkthrough '));
  upstream = createServer((_request, response) => response.end('upstream'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await Promise.all(running.map((one) => one.end('SIGKILL')));
  upstream?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Every line of Kong's own `kong.conf.default` in force. */
const KONG_CONF = fileURLToPath(new URL('../cp/settings/kong.conf', import.meta.url));

async function start(settings: Readonly<Record<string, string>>, options: readonly string[]): Promise<HoldfastProcess> {
  const one = await holdfast(['start', ...options], settings, folder);
  running.push(one);
  return one;
}

const statusOf = async (url: string): Promise<number> => (await fetch(url).catch(() => null))?.status ?? 0;
const serves = (url: string) => until(async () => (await statusOf(url)) === 200, `${url} to answer 200`);

it.each(['shared', 'pki'] as const)(
  'hybrid mode, as its documents go through it, with cluster_mtls = %s',
  async (mode) => {
    const [adminPort, cluster, first, second, status] = await freePorts(5);
    const keys = join(folder, mode, 'keys');
    const file = (name: string) => join(keys, name);
    const at = (name: string) => join(folder, mode, name);
    // What is told from it is without effect here, and no more: the environment has what is not Kong's default.
    const conf = mode === 'shared' ? ['--conf', KONG_CONF] : [];

    // Generate certificates.
    const commands =
      mode === 'shared'
        ? [['hybrid', 'gen_cert', '--dir', keys]]
        : [
            ['hybrid', 'gen_ca', '--dir', keys],
            ['hybrid', 'issue', '--ca', keys, '--role', 'control_plane', '--name', 'cp.test'],
            ['hybrid', 'issue', '--ca', keys, '--role', 'data_plane', '--name', 'dp-1'],
          ];
    for (const words of commands) expect(await runHoldfast(words)).toMatchObject({ code: 0 });
    const pair = (name: string) => {
      const one = mode === 'shared' ? 'cluster' : name;
      return {
        cluster_mtls: mode,
        cluster_cert: file(`${one}.crt`),
        cluster_cert_key: file(`${one}.key`),
        ...(mode === 'pki' && { cluster_ca_cert: file('ca.crt'), cluster_server_name: 'cp.test' }),
      };
    };

    // Start a control plane, and a data plane.
    const plane = {
      role: 'control_plane',
      prefix: at('cp'),
      admin_listen: `127.0.0.1:${adminPort}`,
      database: 'embedded',
      admin_gui_listen: 'off',
      status_listen: 'off',
      cluster_listen: `127.0.0.1:${cluster}`,
      cluster_telemetry_listen: 'off',
      bundle_signing_key: file('bundle-signing.key'),
      ...pair('cp.test'),
    };
    const node = (name: string, port: number | undefined) => ({
      role: 'data_plane',
      database: 'off',
      data_plane_host: 'node',
      prefix: at(name),
      cluster_control_plane: `127.0.0.1:${cluster}`,
      bundle_trusted_keys: file('bundle-keys.json'),
      proxy_listen: `127.0.0.1:${port}`,
      status_listen: `127.0.0.1:${status}`,
      nginx_worker_processes: '1',
      ...pair('dp-1'),
    });
    const base = `http://127.0.0.1:${adminPort}`;
    const [control, data] = await Promise.all([start(plane, conf), start(node('dp', first), conf)]);
    const { port } = upstream.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    await admin(`${base}/services`, 'POST', { name: 'up', url });
    await admin(`${base}/services/up/routes`, 'POST', { paths: ['/first'] });
    await serves(`http://127.0.0.1:${first}/first`);

    // Verify that the nodes are connected.
    await until(async () => {
      const { data: nodes } = await admin(`${base}/clustering/data-planes`);
      return JSON.stringify(nodes).includes('"sync_status":"normal"');
    }, 'the data plane to be in sync');
    const metrics = await (await fetch(`http://127.0.0.1:${status}/metrics`)).text();
    for (const setting of mode === 'pki' ? ['cluster_cert', 'cluster_ca_cert'] : ['cluster_cert'])
      expect(metrics).toMatch(new RegExp(`^holdfast_certificate_expires.*setting="${setting}",.* \\d{10}`, 'm'));

    if (mode === 'shared')
      for (const one of [control, data]) {
        expect(one.output()).toContain(
          '[warn] holdfast: without effect, since Holdfast has no such part to configure: ',
        );
        expect(one.output()).not.toMatch(/\[(error|crit)\]/);
      }

    // Disconnected: it serves on, also after a restart.
    await control.end('SIGKILL');
    await data.end('SIGTERM');
    // Provision another one meanwhile, from a copy of what the first has.
    cpSync(at('dp'), at('copy'), { recursive: true });
    const again = await start(node('dp', first), conf);
    expect(await statusOf(`http://127.0.0.1:${first}/first`)).toBe(200);
    await again.end('SIGTERM');
    const copy = await start(node('copy', second), conf);
    expect(await statusOf(`http://127.0.0.1:${second}/first`)).toBe(200);
    await copy.end('SIGTERM');

    // Change the config of a node that stays disconnected: a file, on a node that is new.
    const declared = at('kong.yml');
    writeFileSync(
      declared,
      `_format_version: "3.0"\nservices:\n- name: up\n  url: ${url}\n  routes:\n  - paths: ["/by-file"]\n`,
    );
    const changed = await start({ ...node('changed', second), declarative_config: declared }, conf);
    expect(await statusOf(`http://127.0.0.1:${second}/by-file`)).toBe(200);
    expect(await statusOf(`http://127.0.0.1:${second}/first`)).toBe(404);

    // And back: what the control plane has counts again.
    await start(plane, conf);
    await serves(`http://127.0.0.1:${second}/first`);
    expect(await statusOf(`http://127.0.0.1:${second}/by-file`)).toBe(404);
    await changed.end('SIGTERM');
  },
);

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { startControlPlane } from '../../cp/control-plane.ts';
import { createLog } from '../../cp/instance/log.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import { NODE_ID, runControlPlane } from '../cp/running-control-plane.ts';
import { admin, runHoldfast, until } from '../e2e/processes.ts';
import { freePorts } from '../free-port.ts';

it('runs what edge init --dev writes under wrangler dev, linked without TLS on this machine alone, through restarts of both', async () => {
  const [link = 0, port = 0, adminPort = 0] = await freePorts(3);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast wrangler dev '));
  const local = { cluster_dev_listen: `127.0.0.1:${link}` };
  const plane = await runControlPlane({ ...local, admin_listen: `127.0.0.1:${adminPort}` });
  const upstream = createServer((asked, response) => response.end(`upstream saw ${asked.url}`));
  await new Promise<void>((listening) => upstream.listen(0, '127.0.0.1', listening));
  let running = plane.plane;
  let wrangler: ChildProcess | null = null;
  const endWrangler = () => end(wrangler);
  onTestFinished(async () => {
    await endWrangler();
    await running.stop();
    await plane.stop();
    upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  await admin(`${plane.admin}/services/s`, 'PUT', { url: upstreamUrl });
  await admin(`${plane.admin}/services/s/routes/first`, 'PUT', { paths: ['/first'] });

  const init = (...words: string[]) =>
    runHoldfast(
      ['edge', 'init', 'edge', '--dev', ...words],
      {
        role: 'control_plane',
        prefix: plane.settings.prefix,
        cluster_cert: plane.settings.cluster_cert ?? '',
        cluster_cert_key: plane.settings.cluster_cert_key ?? '',
        bundle_signing_key: plane.settings.bundle_signing_key ?? '',
        ...local,
      },
      folder,
    );
  expect(await init('--control-plane', 'http://10.1.2.3:8007')).toMatchObject({
    code: 2,
    output: expect.stringContaining('http://127.0.0.1:port of cluster_dev_listen'),
  });
  const made = await init();
  const file = join(folder, 'edge/wrangler.dev.json');
  expect(made).toMatchObject({ code: 0, output: expect.stringContaining(`npx wrangler dev --config ${file}`) });
  const written = recordOrEmpty(JSON.parse(readFileSync(file, 'utf8')));
  expect(recordOrEmpty(written.vars).SETTINGS).toMatchObject({ controlPlaneOrigins: [`http://127.0.0.1:${link}`] });

  const start = async () => {
    wrangler = await startWrangler(file, port, folder);
  };
  const ask = async (path: string, headers: Record<string, string> = {}) =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).text();
  await start();
  await expect.poll(() => ask('/first/x'), { timeout: 60_000 }).toBe('upstream saw /x');
  await admin(`${plane.admin}/services/s/routes/live`, 'PUT', { paths: ['/live'] });
  await expect.poll(() => ask('/live/y'), { timeout: 60_000 }).toBe('upstream saw /y');
  // As Cloudflare says of a client elsewhere: this Worker has been deployed.
  expect(await ask('/first/x', { 'cf-connecting-ip': '203.0.113.9' })).toContain("this Worker is for 'wrangler dev'");

  await Promise.all([running.stop(), endWrangler()]);
  await start();
  expect(await ask('/live/z'), 'what it had, while there is no control plane').toBe('upstream saw /z');
  running = await startControlPlane(
    plane.settings,
    NODE_ID,
    createLog('info', () => undefined),
  );
  await admin(`${plane.admin}/services/s/routes/later`, 'PUT', { paths: ['/later'] });
  await expect.poll(() => ask('/later/v'), { timeout: 60_000 }).toBe('upstream saw /v');
  const { data } = await admin(`${plane.admin}/clustering/data-planes`);
  expect(data, 'one node, known by its own key').toMatchObject([{ state: 'connected', cert_details: null }]);
});

/** Without an account, and without asking for one. */
async function startWrangler(file: string, port: number, home: string): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    [
      resolve('node_modules/wrangler/bin/wrangler.js'),
      'dev',
      '--config',
      file,
      '--port',
      `${port}`,
      '--inspector-port',
      '0',
    ],
    {
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true', HOME: home, XDG_CONFIG_HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
      // It starts others, which are to end with it.
      detached: true,
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  await until(() => output.includes('Ready on'), 'wrangler dev to be ready', 120_000).catch(async (error: Error) => {
    await end(child);
    throw new Error(`${error.message}\n${output}`);
  });
  return child;
}

async function end(child: ChildProcess | null): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  process.kill(-child.pid, 'SIGTERM');
  await ended;
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, expect, it } from 'vitest';

import { freePorts } from './free-port.ts';
import { type HoldfastProcess, holdfast, until } from './processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'signals '));
let gateway: HoldfastProcess | undefined;

afterEach(async () => {
  await gateway?.end('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

it('serves on when nobody reads its output and whatever nginx would be told, reloads at SIGHUP, and stops at SIGQUIT', async () => {
  const [port = 0] = await freePorts(1);
  const file = join(folder, 'kong.yml');
  const declare = (path: string) =>
    writeFileSync(
      file,
      `_format_version: "3.0"\nservices:\n- url: http://127.0.0.1:1\n  routes:\n  - paths: [/${path}]\n`,
    );
  declare('first');
  gateway = await holdfast(
    ['start'],
    {
      role: 'data_plane',
      declarative_config: file,
      proxy_listen: `127.0.0.1:${port}`,
      status_listen: 'off',
      nginx_worker_processes: '1',
    },
    folder,
  );
  const status = async (path: string) => (await fetch(`http://127.0.0.1:${port}/${path}`)).status;
  expect(await status('first')).toBe(502);

  const { child } = gateway;
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.kill('SIGUSR1');
  child.kill('SIGUSR2');
  declare('second');
  child.kill('SIGHUP');
  await until(async () => (await status('second')) === 502, 'the file as it is now');
  expect(await status('first')).toBe(404);
  expect(await gateway.end('SIGQUIT')).toEqual({ code: 0, signal: null });
});

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { afterAll, afterEach, expect, it } from 'vitest';

import { freePorts } from '../free-port.ts';
import { CLI, type HoldfastProcess, holdfast, until } from './processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'signals '));
let gateway: HoldfastProcess | undefined;

afterEach(async () => {
  await gateway?.end('SIGKILL');
  gateway = undefined;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('serves on when nobody reads its output, by a fault of one thing and whatever nginx would be told, reloads at SIGHUP, and stops at SIGQUIT', async () => {
  const [port = 0] = await freePorts(1);
  const file = join(folder, 'kong.yml');
  const declare = (path: string) =>
    writeFileSync(
      file,
      `_format_version: "3.0"\nservices:\n- url: http://127.0.0.1:1\n  routes:\n  - paths: [/${path}]\n`,
    );
  declare('first');
  const conf = join(folder, 'holdfast.conf');
  writeFileSync(conf, 'headers = server_tokens\n');
  const faulty = join(folder, 'faulty.mjs');
  const fault = "process.on('SIGUSR2', () => void Promise.reject(new Error('out of order')));";
  writeFileSync(faulty, `${fault}\nawait import(${JSON.stringify(pathToFileURL(CLI).href)});\n`);
  gateway = await holdfast(
    ['start', '--conf', conf],
    {
      role: 'data_plane',
      declarative_config: file,
      proxy_listen: `127.0.0.1:${port}`,
      status_listen: 'off',
      nginx_worker_processes: '1',
    },
    folder,
    { node: process.execPath, file: faulty },
  );
  // A connection of its own: the process that has an idle one may be ending just then.
  const answer = (path: string) => fetch(`http://127.0.0.1:${port}/${path}`, { headers: { connection: 'close' } });
  const status = async (path: string) => (await answer(path)).status;
  expect(await status('first')).toBe(502);
  expect((await answer('nowhere')).headers.get('server')).toMatch(/^kong\//);

  const { child } = gateway;
  child.kill('SIGUSR2');
  await until(async () => /not handled: Error: out of order/.test(gateway?.output() ?? ''), 'word of the fault');
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.kill('SIGUSR1');
  child.kill('SIGUSR2');
  declare('second');
  child.kill('SIGHUP');
  // Changed again before the reload is through, and asked for again.
  declare('third');
  writeFileSync(conf, 'headers = off\n');
  child.kill('SIGHUP');
  await until(async () => (await status('third')) === 502, 'the file as it is now');
  await until(async () => !(await answer('nowhere')).headers.has('server'), 'the settings as they are now');
  expect(await status('first')).toBe(404);
  expect(await gateway.end('SIGQUIT')).toEqual({ code: 0, signal: null });
});

it('is not ended by a signal that comes while it waits for what is left of a node that was killed', async () => {
  const prefix = join(folder, 'killed');
  mkdirSync(prefix);
  // The supervisor of a host that is gone.
  const left = spawn('sleep', ['60'], { stdio: 'ignore' });
  const [, stat = ''] = readFileSync(`/proc/${left.pid}/stat`, 'utf8').split(') ');
  writeFileSync(join(prefix, 'data-plane.lock'), `\n${left.pid} ${stat.split(' ')[19]}`);
  const file = join(folder, 'empty.yml');
  writeFileSync(file, '_format_version: "3.0"\n');
  const signalled = join(folder, 'signalled.mjs');
  writeFileSync(
    signalled,
    `import { existsSync } from 'node:fs';
    const look = setInterval(() => {
      if (!existsSync(${JSON.stringify(join(prefix, 'data-plane.exclusive'))})) return;
      clearInterval(look);
      for (const signal of ['SIGHUP', 'SIGUSR2']) process.kill(process.pid, signal);
      process.kill(${left.pid});
    }, 1);
    await import(${JSON.stringify(pathToFileURL(CLI).href)});\n`,
  );
  gateway = await holdfast(
    ['start'],
    {
      prefix,
      role: 'data_plane',
      data_plane_host: 'node',
      declarative_config: file,
      proxy_listen: '127.0.0.1:0',
      status_listen: 'off',
      nginx_worker_processes: '1',
    },
    folder,
    { node: process.execPath, file: signalled },
  );
  expect(await gateway.end('SIGTERM')).toEqual({ code: 0, signal: null });
});

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it, onTestFinished, vi } from 'vitest';

import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';
import { holdfast, runHoldfast, until } from './processes.ts';

// Five starts, each of a Worker and a control plane.
vi.setConfig({ testTimeout: 600_000 });

it('dev serves a file as it is saved, says what is wrong with it and in which line, and shows each request', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast dev '));
  const prefix = await freshPrefix('migrated');
  // A database at hand: making one is slow, and tried elsewhere.
  mkdirSync(join(prefix, 'dev/dbless'), { recursive: true });
  renameSync(join(prefix, 'pgdata'), join(prefix, 'dev/dbless/pgdata'));
  const upstream = createServer((request, response) => response.end(`upstream saw ${request.url}`));
  await new Promise<void>((listening) => upstream.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    upstream.closeAllConnections();
    upstream.close();
    for (const each of [folder, prefix]) rmSync(each, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  // As editors do: another file takes the name.
  const save = (path: string, retries = '5') => {
    const lines = ['_format_version: "3.0"', 'services:', '- name: s1', `  url: ${url}`, `  retries: ${retries}`];
    lines.push('  routes:', '  - name: r1', `    paths: [/${path}]`, '');
    writeFileSync(join(folder, 'kong.yml~'), lines.join('\n'));
    renameSync(join(folder, 'kong.yml~'), join(folder, 'kong.yml'));
  };
  const [adminPort, proxyPort] = await freePorts(2);
  const settings = {
    prefix,
    admin_listen: `127.0.0.1:${adminPort}`,
    admin_gui_listen: 'off',
    proxy_listen: `127.0.0.1:${proxyPort}`,
    status_listen: 'off',
  };
  const status = async (path: string) => (await fetch(`http://127.0.0.1:${proxyPort}/${path}`)).status;

  save('broken', 'many');
  expect(await runHoldfast(['dev'], settings, folder)).toMatchObject({
    code: 1,
    output: expect.stringContaining("in 'retries': expected an integer (line 5)"),
  });

  save('first');
  const taken = String((upstream.address() as AddressInfo).port);
  expect(await runHoldfast(['dev'], { ...settings, proxy_listen: `127.0.0.1:${taken}` }, folder)).toMatchObject({
    code: 1,
    output: expect.stringContaining(`proxy_listen: cannot listen on 127.0.0.1:${taken}: the port is in use`),
  });
  let gateway = await holdfast(['dev'], settings, folder);
  onTestFinished(async () => void (await gateway.end('SIGKILL')));
  expect(gateway.output()).toMatch(/^Serving kong\.yml at http:.*\n(?:.*\n)*Holdfast .* dev is ready: kong\.yml/m);
  expect([await status('first'), await status('second')]).toEqual([200, 404]);
  await until(() => /^GET \/first 200 [\d.]+ route=r1 service=s1/m.test(gateway.output()), 'the line of a request');
  expect((await fetch(`http://127.0.0.1:${adminPort}/services/s1`)).status).toBe(200);
  expect(await runHoldfast(['dev'], { ...settings, admin_listen: '127.0.0.1:0' }, folder)).toMatchObject({
    code: 1,
    output: expect.stringMatching(/already running at .* \(pid \d+\)/),
  });

  save('second');
  await until(async () => (await status('second')) === 200, 'what was saved to be served');
  save('third', '70000');
  await until(() => gateway.output().includes('between 0 and 32767 (line 5)'), 'what is wrong, and where');
  expect(await status('second')).toBe(200);
  save('third');
  await until(async () => (await status('third')) === 200, 'what was mended to be served');
  expect(await gateway.end('SIGINT')).toMatchObject({ code: 0 });

  save('fourth');
  gateway = await holdfast(['dev', 'kong.yml'], settings, folder);
  expect([await status('fourth'), await status('third')]).toEqual([200, 404]);
  expect(await gateway.end('SIGTERM')).toMatchObject({ code: 0 });
});

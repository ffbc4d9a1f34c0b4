import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { recordOrEmpty } from '../../shared/record.ts';
import { freshPrefix } from '../embedded-database.ts';
import { oneProcess } from './one-process.ts';
import { holdfast, runHoldfast, until } from './processes.ts';

it('runs without a database: config by POST /config, kept from start to start, or from declarative_config', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dbless '));
  const prefix = await freshPrefix('migrated');
  const database = join(prefix, 'pgdata');
  mkdirSync(join(prefix, 'dbless'));
  renameSync(database, join(prefix, 'dbless', 'pgdata'));
  const upstream = createServer((request, response) => response.end(`upstream saw ${request.url}`));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    upstream.closeAllConnections();
    upstream.close();
    for (const each of [folder, prefix]) rmSync(each, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const serving = (path: string) =>
    `_format_version: "3.0"\nservices: [{ name: s1, url: "${url}", routes: [{ name: r1, paths: [/${path}] }] }]\n` +
    'plugins: [{ name: prometheus, config: { status_code_metrics: true } }]\n';
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  const { admin, proxy, settings } = await oneProcess(prefix);
  const conf = file('holdfast.conf', 'database = off\n');
  const start = () => holdfast(['start', '--conf', conf], settings, folder);
  const run = (...words: string[]) => runHoldfast([...words, '--conf', conf], settings, folder);
  // On a connection that was kept and is closed just then it is asked again, as any client does.
  const get = (url: string) => fetch(url).catch(() => fetch(url));
  const status = async (path: string) => (await get(`${proxy}/${path}`)).status;
  const hash = async () => recordOrEmpty(await (await get(`${admin}/status`)).json()).configuration_hash;

  let gateway = await start();
  onTestFinished(async () => void (await gateway.end('SIGTERM')));
  await expect.poll(() => gateway.output()).toContain('database off');
  expect([await status('posted'), await hash()]).toEqual([404, '0'.repeat(32)]);
  // It works, but nothing is to be sent to it before it has a config.
  const ready = async () => (await get(`http://${settings.status_listen}/status/ready`)).status;
  expect(await ready()).toBe(503);
  expect(await run('health')).toMatchObject({
    code: 0,
    output: expect.stringMatching(/warning: data plane: it waits for its config/),
  });
  const body = new FormData();
  body.set('config', new Blob([serving('posted')]), 'kong.yml');
  expect((await fetch(`${admin}/config`, { method: 'POST', body })).status).toBe(201);
  await until(async () => (await status('posted')) === 200, 'the posted config to be served');
  expect(await ready()).toBe(200);
  const metrics = async () => (await get(`${admin}/metrics`)).text();
  await expect.poll(metrics).toMatch(/^kong_http_requests_total\{service="s1",route="r1",code="200".*\} [1-9]/m);
  expect(await metrics()).toMatch(/^holdfast_control_plane_info\{/m);
  expect(await metrics()).toMatch(/^holdfast_local_data_plane_shown 1$/m);
  const names = (await metrics()).match(/(?<=^# TYPE )\S+/gm) ?? [];
  expect(names).toEqual([...new Set(names)].toSorted());
  expect((await fetch(`${admin}/services/s1`, { method: 'DELETE' })).status).toBe(405);
  const posted = await hash();
  await gateway.end('SIGTERM');

  gateway = await start();
  expect(await hash()).toBe(posted);
  await until(async () => (await status('posted')) === 200, 'the config of the run before to be served');
  const copy = join(folder, 'copy.yml');
  expect(await run('config', 'export', copy)).toMatchObject({ code: 0 });
  expect(readFileSync(copy, 'utf8')).toContain('/posted');
  expect(await run('config', 'import', copy)).toMatchObject({
    code: 1,
    output: expect.stringContaining('POST /config'),
  });
  expect(await run('migrations', 'up')).toMatchObject({ code: 1, output: expect.stringContaining('no migrations') });

  const declared = file('kong.yml', 'services: [{ name: s1, host: h, port: 70000 }]\n');
  file('holdfast.conf', `database = off\ndeclarative_config = ${declared}\n`);
  gateway.child.kill('SIGHUP');
  await until(() => /the reload failed.*error parsing declarative config file/.test(gateway.output()), 'a refusal');
  await expect.poll(() => gateway.output()).toContain("in 'port': value should be between 0 and 65535");
  expect(await hash()).toBe(posted);
  file('kong.yml', serving('declared'));
  gateway.child.kill('SIGHUP');
  await until(async () => (await status('declared')) === 200, 'the file to be served');
  await until(async () => (await status('posted')) === 404, 'what was posted to go');

  const inline = JSON.stringify({
    _format_version: '3.0',
    services: [{ name: 's1', url, routes: [{ name: 'r1', paths: ['/inline'] }] }],
  });
  file('holdfast.conf', `database = off\ndeclarative_config_string = ${inline}\n`);
  gateway.child.kill('SIGHUP');
  await until(async () => (await status('inline')) === 200, 'the document in the settings to be served');
});

import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { buildPackage } from '../../packaging/npm/build.ts';
import { oneProcess } from '../e2e/one-process.ts';
import { admin, holdfast, type Program, runHoldfast } from '../e2e/processes.ts';
import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';

const INSTALLED = fileURLToPath(new URL('../../node_modules', import.meta.url));
const NAME = '@holdfast-gateway/holdfast';

let folder: string;
let program: Program;

/** The folder of somebody who has installed what `npm pack` makes: the package, and those it names as its dependencies. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'npm package '));
  const built = join(folder, 'built');
  await buildPackage(built);
  // As the image installs it: npm says what is not as package.json wants it.
  execFileSync('npm', ['ci', '--omit=dev', '--dry-run', '--offline', '--ignore-scripts'], { cwd: built });
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: built });
  const home = join(folder, 'node_modules', NAME);
  mkdirSync(home, { recursive: true });
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  execFileSync('tar', ['xzf', join(folder, tarball ?? ''), '-C', home, '--strip-components=1']);
  rmSync(built, { recursive: true });
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) link(name);
  program = { node: nodeOfTheMachine(), file: join(home, 'launcher.js') };
});

function link(name: string): void {
  if (!existsSync(join(INSTALLED, name))) return;
  mkdirSync(dirname(join(folder, 'node_modules', name)), { recursive: true });
  symlinkSync(join(INSTALLED, name), join(folder, 'node_modules', name));
}

/** The name that the example, and plugins, know it by. */
function nameAsInstalled(): void {
  const path = join(folder, 'node_modules/holdfast');
  if (!existsSync(path)) symlinkSync(join(folder, 'node_modules', NAME), path);
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The `node` that people have on their PATH, of whatever version; where there is none, the one that runs this. */
function nodeOfTheMachine(): string {
  const places = (process.env.PATH ?? '').split(delimiter).filter((place) => !place.includes('node_modules'));
  return places.map((place) => join(place, 'node')).find((path) => existsSync(path)) ?? process.execPath;
}

it('serves outside of a clone, on the Node of the machine, on both hosts', async () => {
  const upstream = createServer((_, response) => response.end('upstream'));
  await new Promise<void>((listening) => upstream.listen(0, '127.0.0.1', listening));
  const { port } = upstream.address() as AddressInfo;
  const prefix = await freshPrefix('migrated');
  try {
    for (const host of ['workerd', 'node']) {
      const [adminPort, proxyPort, statusPort, uiPort] = await freePorts(4);
      const adminUrl = `http://127.0.0.1:${adminPort}`;
      const settings = {
        prefix,
        data_plane_host: host,
        admin_listen: `127.0.0.1:${adminPort}`,
        proxy_listen: `127.0.0.1:${proxyPort}`,
        status_listen: `127.0.0.1:${statusPort}`,
        admin_gui_listen: `127.0.0.1:${uiPort}`,
        cluster_listen: '127.0.0.1:0',
        cluster_telemetry_listen: 'off',
      };
      const gateway = await holdfast(['start'], settings, folder, program);
      try {
        await admin(`${adminUrl}/services/hello`, 'PUT', { url: `http://127.0.0.1:${port}` });
        await admin(`${adminUrl}/services/hello/routes/hello`, 'PUT', { paths: ['/hello'] });
        await expect
          .poll(async () => (await fetch(`http://127.0.0.1:${proxyPort}/hello`)).text(), { timeout: 60_000 })
          .toBe('upstream');
        const [, script = ''] =
          /src="(\/assets\/[^"]+)"/.exec(await (await fetch(`http://127.0.0.1:${uiPort}`)).text()) ?? [];
        expect(await (await fetch(`http://127.0.0.1:${uiPort}${script}`)).text()).toContain('Holdfast');
      } finally {
        // The launcher hands the signal on, and ends as what it started.
        expect(await gateway.end('SIGTERM'), gateway.output()).toEqual({ code: 0, signal: null });
      }
    }
  } finally {
    upstream.close();
    rmSync(prefix, { recursive: true, force: true });
  }
});

it('bundles the Worker that is uploaded to Cloudflare', async () => {
  const { code, output } = await runHoldfast(['worker', join(folder, 'build')], {}, folder, program);
  expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('a Worker with') });
  expect(readdirSync(join(folder, 'build')).sort()).toEqual(['liblua5.1.wasm', 'trampolines.wasm', 'worker.js']);
});

it('is bundled in the image as its data planes would bundle it at each start', async () => {
  const dockerfile = readFileSync(
    fileURLToPath(new URL('../../packaging/container/Dockerfile', import.meta.url)),
    'utf8',
  );
  const [, command = ''] = /^RUN (node .*--eval .*)$/m.exec(dockerfile) ?? expect.fail('nothing is bundled');
  const home = join(folder, 'node_modules', NAME);
  const kept = async (): Promise<string> => {
    const { keptBundle } = await import(join(home, 'edge-dp/hosts/bundle-cache.js'));
    const entry = join(home, 'edge-dp/worker.js');
    return JSON.stringify(['workers', 'node'].map((target) => keptBundle(`${target} ${entry}`) !== undefined));
  };
  execFileSync('/bin/sh', ['-ec', command.replaceAll('/holdfast/', `${home}/`)], { stdio: 'pipe' });
  expect(await kept()).toBe('[true,true]');
});

it('ends as the command does', async () => {
  expect(await runHoldfast(['nonsense'], {}, folder, program)).toMatchObject({
    code: 2,
    output: expect.stringContaining("unknown command 'nonsense'"),
  });
  writeFileSync(join(folder, 'kong.json'), '{"_format_version": "3.0"}');
  const { settings } = await oneProcess(join(folder, 'dev'));
  expect(await runHoldfast(['dev', 'kong.json'], settings, folder, program)).toMatchObject({
    code: 1,
    output: expect.stringContaining(`npm install --save-dev miniflare@${manifest.devDependencies.miniflare}`),
  });
});

it('tells TypeScript what is imported of it, for plugins and for tests', async () => {
  for (const name of ['@types/node', 'undici-types']) link(name);
  nameAsInstalled();
  cpSync(fileURLToPath(new URL('../own-plugins/teapot', import.meta.url)), join(folder, 'teapot'), { recursive: true });
  writeFileSync(
    join(folder, 'use.ts'),
    `import { fakeRequest } from '${NAME}/testing';
     import { startGateway, type TestGateway } from 'holdfast/testing';
     import type { TeapotConfig } from './teapot/schema.ts';
     const started: TestGateway = await startGateway({ config: {}, upstreams: { a: () => new Response('x') } });
     export const count: number = (await started.logEntries(2)).length;
     export const header: string = ({ header: 'x', report_to: null } satisfies TeapotConfig).header;
     // @ts-expect-error it is a number
     await startGateway({ config: 1 });
     // @ts-expect-error no such field
     export const other: TeapotConfig = { header: 'x', report_to: null, colour: 'red' };
     export const made = fakeRequest;
    `,
  );
  const compilerOptions = {
    strict: true,
    target: 'es2024',
    lib: ['es2024'],
    types: ['node'],
    module: 'nodenext',
    allowImportingTsExtensions: true,
    noEmit: true,
  };
  const files = ['use.ts', 'teapot/handler.ts', 'teapot/schema.ts'];
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  // Modules, as the folders of plugins and of tests are.
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  const tsc = join(INSTALLED, 'typescript/bin/tsc');
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch((error) => error);
  expect(stdout).toBe('');
});

it("runs the example of tests for a config of one's own, and the test of a plugin of one's own", async () => {
  const example = fileURLToPath(new URL('../../examples/gateway-tests', import.meta.url));
  for (const file of ['package.json', 'kong.yml', 'gateway.test.js', 'vitest.config.js'])
    cpSync(join(example, file), join(folder, file));
  cpSync(fileURLToPath(new URL('../own-plugins/teapot', import.meta.url)), join(folder, 'teapot'), { recursive: true });
  for (const name of ['vitest', 'miniflare']) link(name);
  nameAsInstalled();
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST'));
  const vitest = join(folder, 'node_modules/vitest/vitest.mjs');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [vitest, 'run', 'gateway.test.js', 'teapot.test.ts', '--testTimeout=300000', '--hookTimeout=300000'],
    {
      cwd: folder,
      env: { ...Object.fromEntries(environment), NO_COLOR: '1' },
    },
  ).catch((error: { stdout: string; stderr: string }) => ({ stdout: `${error.stdout}${error.stderr}` }));
  expect(stdout).toMatch(/Tests +7 passed/);
});

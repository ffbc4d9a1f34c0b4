import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { buildPackage } from '../../packaging/npm/build.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import { oneProcess } from '../e2e/one-process.ts';
import { admin, holdfast, until } from '../e2e/processes.ts';

const run = promisify(execFile);
const EXAMPLE = fileURLToPath(new URL('../../examples/gateway-tests', import.meta.url));
const NAME = '@holdfast-gateway/holdfast';
/** Milliseconds for what is fetched from the registry. */
const INSTALLING = 900_000;

let folder: string;
let tarball: string;

/** What `npm pack` makes, and nothing else of this clone. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'clean room '));
  const built = join(folder, 'built');
  await buildPackage(built);
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: built });
  rmSync(built, { recursive: true });
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '');
}, INSTALLING);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The executable of a Node of that major version: this machine's, or one that npm brings. */
async function nodeOf(major: number): Promise<string> {
  const places = [dirname(process.execPath), ...(process.env.PATH ?? '').split(delimiter)];
  for (const place of places) {
    const path = join(place, 'node');
    if (!existsSync(path)) continue;
    const { stdout } = await run(path, ['--version']);
    if (stdout.startsWith(`v${major}.`)) return path;
  }
  const name = `node-${process.platform}-${process.arch}`;
  const home = join(folder, `node ${major}`);
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefix', home, `${name}@${major}`]);
  return join(home, 'node_modules', name, 'bin/node');
}

/** What a test runner, and npm that ran it, leave behind. Where packages come from, and whom to trust there, is the machine's to say. */
const LEFT_BEHIND = /^(VITEST|HOLDFAST_|npm_(?!config_registry$)|NODE_(?!EXTRA_CA_CERTS$|USE_))/i;

/** With that Node before all others. */
async function environmentOf(node: string): Promise<Record<string, string>> {
  const kept = Object.entries(process.env).filter(([name]) => !LEFT_BEHIND.test(name));
  const rest = (process.env.PATH ?? '').split(delimiter).filter((place) => !place.includes('node_modules'));
  const path = [dirname(node), ...rest].join(delimiter);
  return { ...Object.fromEntries(kept.map(([name, value]) => [name, value ?? ''])), PATH: path, CI: 'true' };
}

it.each([20, 24])(
  'in an empty folder, on Node %i, what npm packs is installed, imported, started, serves and stops',
  async (major) => {
    const node = await nodeOf(major);
    const env = await environmentOf(node);
    const home = join(folder, `on ${major}`);
    mkdirSync(home);
    await run('npm', ['install', '--no-audit', '--no-fund', tarball], { cwd: home, env });
    const said = await run('npx', ['--no', 'holdfast', 'version'], { cwd: home, env });
    expect(said.stdout).toMatch(/^Holdfast \d+\.\d+\.\d+ .*Node v24\./);
    const script = `import('${NAME}/schema').then((kit) => console.log(typeof kit.KONG_VERSION))`;
    expect((await run(node, ['-e', script], { cwd: home, env })).stdout).toBe('string\n');

    const { admin: api, proxy, settings } = await oneProcess();
    const gateway = await holdfast(['start'], settings, home, {
      node,
      file: join(home, 'node_modules', NAME, 'launcher.js'),
    });
    try {
      await admin(`${api}/services/hello`, 'PUT', { url: `http://${settings.status_listen}` });
      await admin(`${api}/services/hello/routes/hello`, 'PUT', { paths: ['/hello'] });
      await until(
        async () => (await fetch(`${proxy}/hello/status`).catch(() => null))?.status === 200,
        'the gateway to serve',
      );
    } finally {
      expect(await gateway.end('SIGTERM'), gateway.output()).toEqual({ code: 0, signal: null });
    }
  },
  INSTALLING,
);

it(
  'the example project passes its own CI file',
  async () => {
    const home = join(folder, 'example');
    cpSync(EXAMPLE, home, { recursive: true });
    cpSync(tarball, join(home, tarball.slice(folder.length + 1)));
    const workflow = recordOrEmpty(parse(readFileSync(join(home, '.github/workflows/test.yml'), 'utf8')));
    const { steps } = recordOrEmpty(recordOrEmpty(workflow.jobs).gateway);
    const all = Array.isArray(steps) ? steps.map(recordOrEmpty) : [];
    const node = all.map((step) => Number(recordOrEmpty(step.with)['node-version'])).find((version) => version > 0);
    const env = await environmentOf(await nodeOf(node ?? 0));
    const commands = all.flatMap(({ run: command }) => (typeof command === 'string' ? [command] : []));
    expect(commands).toEqual(['npm install', 'npm test']);
    let output = '';
    for (const command of commands) {
      const { stdout } = await run('/bin/sh', ['-ec', command], { cwd: home, env: { ...env, NO_COLOR: '1' } });
      output = stdout;
    }
    expect(output).toMatch(/Tests +5 passed/);
  },
  INSTALLING,
);

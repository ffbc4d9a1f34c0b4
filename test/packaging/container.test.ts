import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { properties } from '../../cp/settings/properties.ts';
import { isRecord, recordOrEmpty } from '../../shared/record.ts';
import { admin, type HoldfastProcess, holdfast, runHoldfast, until } from '../e2e/processes.ts';
import { freePorts } from '../free-port.ts';
import { type PostgresServer, startPostgres } from '../postgres-server.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, 'packaging/container');
const dockerfile = readFileSync(join(FOLDER, 'Dockerfile'), 'utf8').replaceAll('\\\n', ' ');
const compose = recordOrEmpty(parse(readFileSync(join(FOLDER, 'compose.yml'), 'utf8'), { merge: true }));
const services = recordOrEmpty(compose.services);

/** What follows an instruction of the last stage of the Dockerfile. */
function instruction(name: string): string {
  const stage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
  const [, rest = ''] = new RegExp(`^${name} +(.*)$`, 'm').exec(stage) ?? expect.fail(`no ${name}`);
  return rest.trim();
}

/** The settings that a service of the compose file is given. */
function settingsOf(service: string): Record<string, string> {
  const { environment } = recordOrEmpty(services[service]);
  return Object.fromEntries(
    Object.entries(recordOrEmpty(environment)).map(([name, value]) => [
      name.replace(/^HOLDFAST_/, '').toLowerCase(),
      String(value).replace(/\$\{\w+:-(.*)\}/, '$1'),
    ]),
  );
}

function wordsOf(service: string): string[] {
  const { command } = recordOrEmpty(services[service]);
  return Array.isArray(command) ? command.map(String) : JSON.parse(instruction('CMD'));
}

let folder: string;
let postgres: PostgresServer;
const running: HoldfastProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast compose '));
  postgres = await startPostgres();
});
afterAll(async () => {
  await Promise.all(running.map((one) => one.end('SIGTERM')));
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it('the image runs as nobody in particular, and says how it is asked for its health', () => {
  const [user = '', group = ''] = instruction('USER').split(':');
  expect([Number(user), Number(group)]).toEqual([65532, 65532]);
  const prefix = instruction('VOLUME');
  expect(instruction('ENV')).toContain(`HOLDFAST_PREFIX=${prefix} `);
  expect(dockerfile).toContain(`COPY --from=package --chown=${user}:${group} /state ${prefix}`);
  const names = [...instruction('ENV').matchAll(/HOLDFAST_(\w+)=/g)].map(([, name = '']) => name.toLowerCase());
  expect(names.filter((name) => !(name in properties))).toEqual([]);
  // Each default port of a listener, and no other.
  const defaults = Object.entries(properties).flatMap(([name, { default: initial }]) =>
    name.endsWith('_listen') && initial !== 'off' ? [String(initial).replace(/.*:/, '')] : [],
  );
  expect(instruction('EXPOSE').split(' ').toSorted()).toEqual(defaults.toSorted());
  // In the versions that are tested.
  expect([...dockerfile.matchAll(/npm (?:ci|i|install)\b/g)].map(([command]) => command)).toEqual(['npm ci', 'npm ci']);
  // What is copied from the clone is there.
  for (const [, paths = ''] of dockerfile.matchAll(/^COPY (?!--from)(.*)$/gm))
    for (const path of paths.split(' ').slice(0, -1)) expect(existsSync(join(ROOT, path)), path).toBe(true);
});

it('the services of the compose file run one after the other, as it says', async () => {
  const keys = join(folder, 'keys');
  expect(await runHoldfast(wordsOf('keys'), { ...settingsOf('keys'), prefix: keys })).toMatchObject({ code: 0 });
  // Each start of the whole goes through it once more.
  const signing = readFileSync(join(keys, 'bundle-signing.key'), 'utf8');
  expect(await runHoldfast(wordsOf('keys'), { ...settingsOf('keys'), prefix: keys })).toMatchObject({ code: 0 });
  expect(readFileSync(join(keys, 'bundle-signing.key'), 'utf8')).toBe(signing);

  const server = postgres.settings();
  const database = {
    pg_host: server.pg_host,
    pg_port: String(server.pg_port),
    pg_user: server.pg_user,
    pg_database: server.pg_database,
  };
  const migrations = { ...settingsOf('migrations'), ...database, prefix: join(folder, 'migrations') };
  for (const said of ['the database is up to date\n', 'the database is up to date already\n'])
    expect(await runHoldfast(wordsOf('migrations'), migrations)).toEqual({
      code: 0,
      output: expect.stringContaining(said),
    });

  const [adminPort, uiPort, clusterPort, proxyPort, statusPort, ownStatus] = await freePorts(6);
  const mounted = (service: string) =>
    Object.fromEntries(
      Object.entries(settingsOf(service)).map(([name, value]) => [name, value.replace(/^\/keys\//, `${keys}/`)]),
    );
  const control = {
    ...mounted('control-plane'),
    ...database,
    prefix: join(folder, 'control-plane'),
    admin_listen: `127.0.0.1:${adminPort}`,
    admin_gui_listen: `127.0.0.1:${uiPort}`,
    status_listen: `127.0.0.1:${ownStatus}`,
    cluster_listen: `127.0.0.1:${clusterPort}`,
    cluster_telemetry_listen: 'off',
  };
  const data = {
    ...mounted('data-plane'),
    prefix: join(folder, 'data-plane'),
    proxy_listen: `127.0.0.1:${proxyPort}`,
    status_listen: `127.0.0.1:${statusPort}`,
    cluster_control_plane: `127.0.0.1:${clusterPort}`,
    nginx_worker_processes: '1',
  };
  running.push(await holdfast(wordsOf('control-plane'), control, folder));
  running.push(await holdfast(wordsOf('data-plane'), data, folder));

  const base = `http://127.0.0.1:${adminPort}`;
  await admin(`${base}/services/hello`, 'PUT', { url: `http://127.0.0.1:${statusPort}` });
  await admin(`${base}/services/hello/routes/hello`, 'PUT', { paths: ['/hello'] });
  await until(
    async () => (await fetch(`http://127.0.0.1:${proxyPort}/hello/status`).catch(() => null))?.status === 200,
    'the data plane to serve',
  );

  const [, check = ''] = /CMD (\[.*\])$/.exec(instruction('HEALTHCHECK')) ?? [];
  const words: unknown = JSON.parse(check);
  const entry: unknown = JSON.parse(instruction('ENTRYPOINT'));
  if (!Array.isArray(words) || !Array.isArray(entry)) throw new Error('expected lists');
  expect(words.slice(0, entry.length)).toEqual(entry);
  for (const settings of [control, data])
    expect(await runHoldfast(words.slice(entry.length), settings)).toMatchObject({ code: 0 });
});

it('the compose file publishes the Admin API on this machine alone, lets what is in flight finish, and names no setting that is none', () => {
  for (const [name, service] of Object.entries(services)) {
    const { environment, read_only, cap_drop, stop_grace_period, ports = [] } = recordOrEmpty(service);
    if (name === 'postgres') continue;
    expect([name, read_only, cap_drop]).toEqual([name, true, ['ALL']]);
    // Longer than what is in flight may take: Docker kills after ten seconds.
    expect(stop_grace_period).toBe('30s');
    const unknown = Object.keys(isRecord(environment) ? environment : {}).filter(
      (variable) => !(variable.replace(/^HOLDFAST_/, '').toLowerCase() in properties),
    );
    expect(unknown).toEqual([]);
    if (name === 'control-plane') expect(ports).toEqual(['127.0.0.1:8001:8001', '127.0.0.1:8002:8002']);
  }
});

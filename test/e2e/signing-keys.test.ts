import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import packageFile from '../../package.json' with { type: 'json' };
import { freePorts } from '../free-port.ts';
import { type PostgresServer, startPostgres } from '../postgres-server.ts';
import {
  admin,
  type ClusterFolder,
  createCluster,
  type Program,
  type RunningControlPlane,
  type RunningDataPlane,
  runHoldfast,
  until,
} from './processes.ts';

/** One control plane of the two: its folder, where its signing key is, and its ports. */
interface Place {
  readonly folder: string;
  readonly key: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly admin: string;
}

let scratch: string;
let postgres: PostgresServer;
let upstream: Server;
let cluster: ClusterFolder;
let places: readonly [Place, Place];
let planes: [RunningControlPlane, RunningControlPlane];
/** Never stopped. */
let staying: RunningDataPlane;
/** On another host; away while keys change. */
let leaving: RunningDataPlane;
let everywhere: string;
let routes = 0;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'holdfast keys '));
  postgres = await startPostgres();
  upstream = createServer((_request, response) => response.end('upstream'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  cluster = await createCluster();
  const { pg_host, pg_port, pg_user, pg_database } = postgres.settings();
  const database = { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database };
  await cluster.migrations(database);
  const ports = await freePorts(4);
  const place = (name: string, [adminPort = 0, clusterPort = 0]: readonly number[]): Place => {
    const folder = join(scratch, name);
    mkdirSync(folder);
    const key = join(folder, 'bundle-signing.key');
    copyFileSync(join(cluster.path, 'bundle-signing.key'), key);
    return {
      folder,
      key,
      admin: `http://127.0.0.1:${adminPort}`,
      settings: {
        ...database,
        prefix: folder,
        bundle_signing_key: key,
        admin_listen: `127.0.0.1:${adminPort}`,
        cluster_listen: `127.0.0.1:${clusterPort}`,
        cluster_telemetry_listen: 'off',
      },
    };
  };
  places = [place('one', ports.slice(0, 2)), place('other', ports.slice(2))];
  everywhere = [ports[1], ports[3]].map((port) => `127.0.0.1:${port}`).join(',');
  planes = await Promise.all([startPlane(0), startPlane(1)]);
  [staying, leaving] = await Promise.all([dataPlane('staying'), dataPlane('leaving', { data_plane_host: 'workerd' })]);
  const { port } = upstream.address() as AddressInfo;
  await admin(`${places[0].admin}/services`, 'POST', { name: 'up', url: `http://127.0.0.1:${port}` });
});

afterAll(async () => {
  await Promise.all([...(planes ?? []), staying, leaving].map((each) => each?.end('SIGKILL')));
  await postgres?.stop();
  upstream?.close();
  cluster?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

const startPlane = (at: 0 | 1, program?: Program) => cluster.controlPlane(places[at].settings, program);

/** The same program as another version. */
function asVersion(version: string): Program {
  const folder = join(scratch, version);
  const clone = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
  for (const part of ['cp', 'edge-dp', 'shared']) cpSync(clone(part), join(folder, part), { recursive: true });
  symlinkSync(clone('node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...packageFile, version }));
  return { node: process.execPath, file: join(folder, 'cp', 'holdfast.js') };
}

const dataPlane = (name: string, options: Readonly<Record<string, string>> = {}) =>
  cluster.dataPlane(name, { data_plane_host: 'node', cluster_control_plane: everywhere, ...options });

/** `holdfast keys WORDS` where a control plane runs. An id may begin with a hyphen: it stands behind `--`. */
async function keys(at: 0 | 1, ...words: readonly string[]): Promise<string> {
  const { code, output } = await runHoldfast(['keys', ...words], places[at].settings);
  if (code !== 0) throw new Error(output);
  return output;
}

/** Ids of the keys, by what they are. */
async function listed(at: 0 | 1): Promise<Readonly<Record<string, readonly string[]>>> {
  const found: Record<string, string[]> = { signing: [], trusted: [], revoked: [] };
  for (const line of (await keys(at, 'list')).trim().split('\n')) {
    const [kid = '', state = ''] = line.split(/\s+/);
    found[state]?.push(kid);
  }
  return found;
}

/** Makes a route at a control plane, and waits until these data planes have it. */
async function routeFrom(at: 0 | 1, ...nodes: readonly RunningDataPlane[]): Promise<void> {
  const path = `/r${routes++}`;
  await admin(`${places[at].admin}/services/up/routes`, 'POST', { paths: [path] });
  for (const node of nodes) {
    await until(async () => (await fetch(`${node.proxy}${path}`)).status === 200, `${path} on ${node.proxy}`);
  }
}

it('a rotation is followed without a restart, by who was away, and by who has only the old key, while others sign', async () => {
  await routeFrom(0, staying, leaving);
  await leaving.end('SIGTERM');
  // Two in a row, at both, while the other one publishes all the time.
  let busy = true;
  const writing = (async () => {
    for (let n = 0; busy; n++) await admin(`${places[1].admin}/consumers/c${n % 5}`, 'PUT', { tags: [`t${n}`] });
  })();
  const [before = ''] = (await listed(0)).signing ?? [];
  expect(await keys(0, 'rotate')).toContain('from now on');
  expect(await keys(1, 'rotate')).toContain('from now on');
  busy = false;
  await writing;
  const after = await listed(0);
  expect(await listed(1)).toEqual(after);
  expect(after).toMatchObject({ trusted: [before, expect.any(String)], revoked: [] });
  // A form is no order: what it says would not be done as asked.
  const form = new URLSearchParams({ by_hand: 'true' });
  expect((await fetch(`${places[0].admin}/signing-keys`, { method: 'POST', body: form })).status).toBe(400);
  expect(await listed(0)).toEqual(after);
  await routeFrom(0, staying);
  await routeFrom(1, staying);

  await expect(keys(1, 'revoke', '--', after.signing?.[0] ?? '')).rejects.toThrow("'holdfast keys rotate' first");
  await expect(keys(1, 'revoke', 'nobody')).rejects.toThrow('no signing key nobody');
  await keys(1, 'revoke', '--', before);
  expect((await listed(0)).revoked).toEqual([before]);
  leaving = await dataPlane('leaving', { data_plane_host: 'workerd' });
  const fresh = await dataPlane('fresh');
  await routeFrom(0, staying, leaving, fresh);
  await fresh.end('SIGKILL');
});

it('after a theft: a new key by hand, the stolen ones revoked; only who was given the new one signs', async () => {
  const before = await listed(0);
  const stolen = [...(before.signing ?? []), ...(before.trusted ?? [])];
  const told = await keys(0, 'rotate', '--by-hand');
  const file = /bring (.*) to the folder/.exec(told)?.[1] ?? expect.fail(told);
  // The other one signs on with what it has, until it may not.
  await routeFrom(1, staying);
  for (const one of stolen) await keys(0, 'revoke', '--', one);
  await until(async () => planes[1].output().includes('do not believe any more'), 'the other to say what it lacks');
  const [kid = ''] = (await listed(0)).signing ?? [];
  expect(await keys(1, 'list')).toContain(`${kid}  signing   its private half is not here`);
  copyFileSync(file, join(places[1].folder, `bundle-signing.${kid}.key`));
  expect((await runHoldfast(['reload'], places[1].settings)).output).toContain('has reloaded');
  await routeFrom(1, staying, leaving);
  const given = join(scratch, 'bundle-keys.json');
  await keys(1, 'list', '--save', given);
  const fresh = await dataPlane('given', { bundle_trusted_keys: given });
  await routeFrom(0, fresh);
  await fresh.end('SIGKILL');
  for (const one of stolen) expect(readFileSync(given, 'utf8')).not.toContain(one);
});

it('after all control planes lost their keys: the spare one brings everything back', async () => {
  const spare = join(scratch, 'spare.key');
  expect(await keys(0, 'spare', spare)).toContain('keep it off this machine');
  await Promise.all(planes.map((plane) => plane.end('SIGKILL')));
  for (const { folder } of places) {
    for (const name of readdirSync(folder)) if (name.startsWith('bundle-signing')) rmSync(join(folder, name));
  }
  await expect(startPlane(0)).rejects.toThrow('bundle_signing_key');
  for (const { key } of places) copyFileSync(spare, key);
  planes = await Promise.all([startPlane(0), startPlane(1)]);
  await routeFrom(1, staying, leaving);
  const lost = (await listed(0)).signing?.[0] ?? '';
  await keys(0, 'rotate');
  await keys(0, 'revoke', '--', lost);
  await routeFrom(0, staying, leaving);
  expect((await listed(1)).revoked).toContain(lost);
});

it('a rotation that is half done while control planes of two versions run keeps config from nobody, and is gone through again', async () => {
  await planes[1].end('SIGTERM');
  const [major = 0, minor = 0] = packageFile.version.split('.').map(Number);
  const next = `${major}.${minor + 1}.0`;
  planes[1] = await startPlane(1, asVersion(next));
  expect(planes[1].output()).toContain(`Holdfast ${next} `);
  const [before = ''] = (await listed(0)).signing ?? [];
  await keys(0, 'rotate', '--by-hand');
  const [half = ''] = (await listed(1)).signing ?? [];
  expect(half).not.toBe(before);
  // One signs with the new key, which the other, of the next version, does not have.
  expect(await keys(1, 'list')).toContain(`${half}  signing   its private half is not here`);
  for (const at of [0, 1, 0, 1] as const) await routeFrom(at, staying, leaving);

  // Who has it is killed, and has left half of the file of one more behind.
  await planes[0].end('SIGKILL');
  writeFileSync(join(places[0].folder, 'bundle-signing.half-written.key'), '{"kty":');
  await routeFrom(1, staying, leaving);
  await leaving.end('SIGTERM');
  leaving = await dataPlane('leaving', { data_plane_host: 'workerd' });
  await routeFrom(1, staying, leaving);
  planes[0] = await startPlane(0);
  await routeFrom(0, staying, leaving);

  // The one without it makes the next, which both have at once; what was half done can be revoked.
  await keys(1, 'rotate');
  await expect.poll(() => listed(0)).toEqual(await listed(1));
  const [last = ''] = (await listed(0)).signing ?? [];
  expect([before, half]).not.toContain(last);
  for (const at of [0, 1] as const) expect(await keys(at, 'list')).toMatch(new RegExp(`^${last}  signing\\s*$`, 'm'));
  for (const one of [before, half]) await keys(0, 'revoke', '--', one);
  for (const at of [0, 1] as const) await routeFrom(at, staying, leaving);
});

import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { clusterView } from '../../../cp/cluster/view.ts';
import { health } from '../../../cp/commands/health.ts';
import { InstanceNote, NO_RELOADS } from '../../../cp/instance/instance.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { loadSigningKey } from '../../../cp/pki/cluster-tls.ts';
import { openStore } from '../../../cp/store/open.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
import { type Row, recordOrEmpty } from '../../../shared/record.ts';
import { STAMP } from '../../lua-plugins/stamp.ts';
import '../../plugin-lua.ts';
import { startPostgres } from '../../postgres-server.ts';
import { type RunningControlPlane, runControlPlane } from '../running-control-plane.ts';
import { workspaceOf } from '../store/workspace-of.ts';
import { controlPlaneOver, hello, NODE_ID, TestLink } from './control-plane.ts';

let plane: RunningControlPlane;
/** Of the config that has all that was written. */
let serial = 0;

beforeAll(async () => {
  plane = await runControlPlane();
});
afterAll(() => plane?.stop());
afterEach(async () => {
  for (const id of (await pluginIds()).values()) await written('DELETE', `/plugins/${id}`);
});

async function get(path: string): Promise<Readonly<Row>> {
  return recordOrEmpty(await (await fetch(plane.admin + path)).json());
}

/** Ids of the configured plugins by their names. */
async function pluginIds(): Promise<ReadonlyMap<unknown, unknown>> {
  const { data } = await get('/plugins');
  return new Map(Array.isArray(data) ? data.map(recordOrEmpty).map(({ name, id }) => [name, id]) : []);
}

async function metrics(): Promise<string> {
  return (await fetch(`${plane.admin}/metrics`)).text();
}

async function publishedSerial(): Promise<number> {
  return Number(/^holdfast_config_serial (\d+)$/m.exec(await metrics())?.[1]);
}

async function dataPlanes(): Promise<Readonly<Row>> {
  return recordOrEmpty((await get('/status')).data_planes);
}

/** What the answer to a write says of data planes that it does not reach. */
async function written(method: string, path: string, body?: unknown): Promise<string | null> {
  const response = await fetch(plane.admin + path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  expect(response.status, await response.text()).toBeLessThan(300);
  serial = Number(response.headers.get('x-holdfast-serial'));
  return response.headers.get('x-holdfast-withheld');
}

/** A data plane that is connected until the test is over, and takes what it is given: first all that was written before it came. */
async function dataPlane(changes: Parameters<typeof hello>[0]): Promise<TestLink> {
  await expect.poll(publishedSerial).toBeGreaterThanOrEqual(serial);
  const { settings } = plane;
  const pem = (path: string | null) => readFileSync(path ?? '', 'utf8');
  const cert = pem(settings.cluster_cert);
  const tls = { cert, key: pem(settings.cluster_cert_key), ca: cert, servername: 'kong_clustering' };
  const key = await loadSigningKey(settings.bundle_signing_key ?? '');
  const link = await TestLink.open(plane.plane.cluster?.port ?? 0, tls, key);
  link.say(hello({ version: '0.1.0', ...changes }));
  await link.hear('manifest');
  onTestFinished(async () => {
    const gone = Number((await dataPlanes()).connected) - 1;
    link.socket.close();
    await expect.poll(async () => (await dataPlanes()).connected).toBe(gone);
  });
  return link;
}

const everything = Object.fromEntries([...plugins].map(([name, { version }]) => [name, version]));
const { acl: _acl, cors: _cors, ...lacking } = everything;
const OTHER_NODE = '99999999-2222-4333-8444-555555555555';

/** Lines of the log since it had this many. */
const since = (count: number, part: string) => plane.log.slice(count).filter((line) => line.includes(part));

describe('config with a plugin that a connected data plane does not have', () => {
  it('is said to be withheld in the answer to the write, and to every write until it is gone', async () => {
    await dataPlane({ hostname: 'complete', id: OTHER_NODE, plugins: everything });
    const link = await dataPlane({ hostname: 'old-edge', plugins: lacking });
    expect(await written('PUT', '/services/before', { host: 'h' })).toBe(null);
    await link.hear('manifest');

    const one =
      "config is withheld from 1 of 2 data planes, which keep their last: old-edge: plugin 'acl' is configured, " +
      'but this data plane does not have it';
    expect(await written('POST', '/plugins', { name: 'acl', config: { allow: ['a'] } })).toBe(one);
    expect(await written('PUT', '/services/after', { host: 'h' })).toBe(one);
    expect(await written('PUT', '/consumers/ada', {})).toBe(one);
    expect(await written('POST', '/consumers/ada/key-auth', { key: 'k' })).toBe(one);
    const both = one.replace(
      "plugin 'acl' is configured, but this data plane does not have it",
      "plugins 'acl', 'cors' are configured, but this data plane does not have them",
    );
    expect(await written('POST', '/services/after/plugins', { name: 'cors' })).toBe(both);

    // A plugin that is not enabled asks nothing of anybody.
    const ids = await pluginIds();
    expect(await written('PATCH', `/plugins/${ids.get('cors')}`, { enabled: false })).toBe(one);
    expect(await written('DELETE', `/plugins/${ids.get('acl')}`)).toBe(null);
    expect(await written('PUT', '/services/after', { host: 'other' })).toBe(null);
  });

  it('is said to be withheld where a whole document brings it', async () => {
    await dataPlane({ hostname: 'old-edge', plugins: lacking });
    const document = { _format_version: '3.0', plugins: [{ name: 'cors' }, { name: 'key-auth' }] };
    expect(await written('POST', '/config', document)).toMatch(/^config is withheld from 1 of 1 .*'cors'/);
    expect(await written('POST', '/config', { _format_version: '3.0' })).toBe(null);
  });

  it('is withheld where it is in Lua that the data plane does not run', async () => {
    await dataPlane({ hostname: 'no-lua', plugins: everything, capabilities: ['consumer_groups'] });
    expect(await written('POST', '/custom-plugins', STAMP)).toBe(null);
    expect(await written('POST', '/plugins', { name: 'stamp', config: { text: 'ab' } })).toMatch(
      /^config is withheld from 1 of 1 .*no-lua: plugins [0-9a-f-]+: 'name' is "stamp", which needs Lua that comes with .*`untrusted_lua` .*; this data plane is set to run none, or too old to know it$/,
    );
    await written('DELETE', `/plugins/${(await pluginIds()).get('stamp')}`);
    expect(await written('DELETE', '/custom-plugins/stamp')).toBe(null);
  });

  it('is withheld where it is of a consumer group and the data plane knows none, which would take it for everybody', async () => {
    const old = await dataPlane({ hostname: 'no-groups', plugins: everything, capabilities: ['lua'] });
    const knowing = await dataPlane({
      hostname: 'groups',
      id: OTHER_NODE,
      plugins: everything,
      capabilities: ['lua', 'consumer_groups'],
    });
    expect(await written('POST', '/consumer_groups', { name: 'gold' })).toBe(null);
    await Promise.all([old.hear('manifest'), knowing.hear('manifest')]);
    const told =
      /^config is withheld from 1 of 2 .*no-groups: plugins [0-9a-f-]+: 'consumer_group' is set, which needs plugins of consumer groups .*; this data plane is too old to know what it says$/;
    expect(await written('POST', '/consumer_groups/gold/plugins', { name: 'request-termination' })).toMatch(told);
    await knowing.hear('manifest');
    expect(await old.hear('withheld')).toMatchObject({ sync_status: 'plugin_set_incompatible' });
    expect(await written('PUT', '/services/next', { host: 'h' })).toMatch(told);
    await Promise.all([old.hear('withheld'), knowing.hear('manifest')]);
    // It is sent config again once there is nothing of the kind.
    expect(await written('DELETE', '/consumer_groups/gold')).toBe(null);
    await Promise.all([old.hear('manifest'), knowing.hear('manifest')]);
  });

  it('shows in /status, in the metrics, in health and in one line of the log for each change', async () => {
    const link = await dataPlane({ hostname: 'old-edge', plugins: lacking });
    expect(await dataPlanes()).toEqual({ connected: 1, withheld: 0, reasons: [], unpublished: null });
    const lines = plane.log.length;
    await written('POST', '/plugins', { name: 'cors' });
    const reason = "plugin 'cors' is configured, but this data plane does not have it";
    expect(await dataPlanes()).toEqual({
      connected: 1,
      withheld: 1,
      reasons: [{ id: NODE_ID, hostname: 'old-edge', reason }],
      unpublished: null,
    });
    await link.hear('withheld');
    expect(await metrics()).toContain('\nholdfast_data_planes_withheld 1\n');
    expect(await metrics()).toMatch(
      /^kong_data_plane_version_compatible\{node_id="[0-9a-f-]+",hostname="old-edge",ip="127\.0\.0\.1",kong_version="0\.1\.0"\} 0$/m,
    );
    expect(await healthPrints()).toContain(
      `warning: Admin API: config is withheld from 1 of 1 data planes, which keep their last: old-edge: ${reason}\n`,
    );
    expect(since(lines, 'is withheld from')).toEqual([
      expect.stringMatching(/\[warn\] cluster: serial \d+ is withheld from 1 of 1 data planes, which keep .*'cors'/),
    ]);

    await written('PUT', '/services/next', { host: 'h' });
    await expect.poll(() => since(lines, 'is withheld from').length).toBe(2);
    await written('DELETE', `/plugins/${(await pluginIds()).get('cors')}`);
    await link.hear('withheld');
    await link.hear('manifest');
    expect(since(lines, 'is withheld from no data plane any more')).toEqual([expect.stringContaining('[notice]')]);
    expect(await metrics()).toContain('\nholdfast_data_planes_withheld 0\n');
    expect(await healthPrints()).not.toContain('withheld');
  });
});

/** What `holdfast health` prints of this control plane. */
async function healthPrints(): Promise<string> {
  const { prefix } = plane.settings;
  const note = new InstanceNote(prefix, createLog('crit'));
  note.write({ pid: process.pid, role: 'control_plane', certificates: [], reloads: NO_RELOADS, admin: plane.admin });
  let printed = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  try {
    await health.run({ words: [], conf: undefined, prefix, options: {} });
  } finally {
    write.mockRestore();
    note.remove();
  }
  return printed;
}

it('a control plane tells of data planes that are connected to another one on its database', async () => {
  const server = await startPostgres();
  onTestFinished(() => server.stop());
  const [one, other] = [
    await openStore(server.settings(), { migrate: true }),
    await openStore(server.settings(), { migrate: true }),
  ];
  const [first, second] = [await controlPlaneOver(one), await controlPlaneOver(other)];
  onTestFinished(async () => {
    await Promise.all([first.stop(), second.stop()]);
    await Promise.all([one.close(), other.close()]);
  });
  const link = await TestLink.open(first.port);
  onTestFinished(() => link.socket.terminate());
  link.say(hello({ hostname: 'far-edge', plugins: lacking }));
  await link.hear('manifest');
  const view = clusterView(other.nodes, second.listener);
  await expect.poll(() => other.nodes.get(NODE_ID)).not.toBeNull();
  const needs = (...plugins: readonly string[]) => ({ plugins, capabilities: [] });
  expect(await view.unreached(needs('key-auth'))).toBe(null);
  await (await workspaceOf(other)).entity('plugins').insert({ name: 'cors' });
  // On a machine that is busy enough it may not be known within the time that a write waits for it.
  const publisher = { ...second.listener.publisher, flush: () => new Promise<void>(() => {}) };
  const blocked = clusterView(other.nodes, { ...second.listener, publisher });
  expect(await blocked.unreached(needs('cors'))).toMatch(/^config is not published yet after 3 s, .* GET \/status$/);
  await expect
    .poll(() => view.unreached(needs('cors')))
    .toMatch(/^config is withheld from 1 .*far-edge: plugin 'cors'/);

  link.socket.terminate();
  await expect.poll(async () => (await other.nodes.get(NODE_ID))?.connected).toBe(false);
  const old = await TestLink.open(first.port);
  onTestFinished(() => old.socket.terminate());
  old.say(hello({ hostname: 'old-edge', id: OTHER_NODE, plugins: everything, capabilities: ['lua'] }));
  await old.hear('manifest');
  await expect.poll(async () => (await other.nodes.get(OTHER_NODE))?.connected).toBe(true);
  const { id } = await (await workspaceOf(other)).entity('consumer_groups').insert({ name: 'gold' });
  await (await workspaceOf(other)).entity('plugins').insert({ name: 'request-termination', consumer_group: { id } });
  expect(await view.unreached({ plugins: ['request-termination'], capabilities: ['consumer_groups'] })).toMatch(
    /^config is withheld from 1 .*old-edge: plugins [0-9a-f-]+: 'consumer_group' is set/,
  );
});

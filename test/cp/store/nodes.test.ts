import { afterAll, beforeAll, expect, test } from 'vitest';
import { networkOf } from '../../../cp/cluster/networks.ts';
import { openStore } from '../../../cp/store/open.ts';
import type { NodeRegistry, NodeReport, Store } from '../../../cp/store/store.ts';
import { onBothDrivers } from './drivers.ts';

const CONTROL_PLANE = crypto.randomUUID();

function report(changes: Partial<NodeReport> = {}): NodeReport {
  return {
    id: crypto.randomUUID(),
    hostname: 'edge-1',
    ip: '127.0.0.1',
    version: '1.2.0',
    config_hash: null,
    sync_status: 'unknown',
    labels: {},
    cert_details: {},
    serial: 1,
    reason: null,
    description: {},
    health: {},
    keys: { node: null, certificate: null },
    ...changes,
  };
}

onBothDrivers('the registry of data planes', ({ fresh }) => {
  let store: Store;
  let nodes: NodeRegistry;
  beforeAll(async () => {
    store = await openStore(await fresh(), { migrate: true });
    nodes = store.nodes;
  });
  afterAll(() => store?.close());

  test('gives pages of a megabyte at most, whatever data planes say of themselves', async () => {
    const written = Array.from({ length: 900 }, () => report({ reason: 'x'.repeat(2_000), hostname: 'h'.repeat(253) }));
    for (const node of written) await nodes.put(node, 1_000, CONTROL_PLANE);
    const seen: string[] = [];
    let pages = 0;
    let offset: string | undefined;
    do {
      const page = await nodes.page({ size: 1_000, ...(offset === undefined ? {} : { offset }) });
      expect(JSON.stringify(page.nodes).length).toBeLessThan(1.1 * 2 ** 20);
      seen.push(...page.nodes.map(({ id }) => id));
      pages++;
      offset = page.offset;
    } while (offset !== undefined);
    expect(seen).toEqual(written.map(({ id }) => id).toSorted());
    expect(pages).toBe(3);
    expect(await nodes.count('10.0.0.1')).toMatchObject({ all: 900 });
  });

  test('counts those of an address, and of a network of IPv6 however its addresses are written', async () => {
    const { all } = await nodes.count('10.0.0.9');
    const inside = ['2001:db8::1', '2001:db8::aa:bb:cc:dd', '2001:db8:0:0:1::', '2001:db8::1%eth0'];
    const outside = ['2001:db8:0:1::1', '2001:db9::1', '::1', '10.0.0.9', '::', 'of nobody', ''];
    for (const ip of [...inside, ...outside]) {
      expect(networkOf(ip) === '2001:db8::/64', ip).toBe(inside.includes(ip));
      await nodes.put(report({ ip }), 1_000, CONTROL_PLANE);
    }
    expect(await nodes.count(networkOf('2001:db8::f00'))).toEqual({ all: all + 11, ofAddress: 4 });
    expect(await nodes.count(networkOf('::ffff:10.0.0.9'))).toEqual({ all: all + 11, ofAddress: 1 });
    expect(await nodes.count(networkOf('::1'))).toEqual({ all: all + 11, ofAddress: 2 });
  });

  test('keeps what belongs to one key from every other, until its time is over', async () => {
    const own = report({ keys: { node: 'own', certificate: null } });
    expect(await nodes.put(own, 1_000, CONTROL_PLANE)).toBe(true);
    const other = { ...own, hostname: 'thief', keys: { node: 'other', certificate: null } };
    for (const keys of [other.keys, { node: null, certificate: null }, { node: 'own', certificate: 'c' }]) {
      expect(await nodes.put({ ...other, keys }, 1_000, CONTROL_PLANE)).toBe(false);
    }
    expect((await nodes.get(own.id))?.hostname).toBe('edge-1');
    expect(await nodes.keys(own.id)).toEqual({ keys: own.keys, certificateIsCommon: false });
    expect(await nodes.forget(own.id, other.keys)).toBe(false);
    expect(await nodes.forget(own.id, own.keys)).toBe(true);
    expect(await nodes.put(own, 1_000, CONTROL_PLANE)).toBe(true);
    expect(await nodes.rebind(own.id, other.keys, { node: 'x', certificate: null })).toBe(false);
    expect(await nodes.rebind(own.id, own.keys, { node: 'own', certificate: 'c' })).toBe(true);
    expect(await nodes.put({ ...own, keys: { node: 'own', certificate: 'c' } }, -1, CONTROL_PLANE)).toBe(true);
    expect(await nodes.keys(own.id)).toBeNull();
    expect(await nodes.put(other, 1_000, CONTROL_PLANE)).toBe(true);
  });

  test('keeps what became of config at a data plane, the newest first, each step once and not for ever', async () => {
    const node = report({ serial: null });
    const say = (changes: Partial<NodeReport>) => nodes.put({ ...node, ...changes }, 1_000, CONTROL_PLANE);
    const history = async () => (await nodes.get(node.id))?.history.map(({ at: _, ...step }) => step);
    await say({});
    expect(await history()).toEqual([]);
    const applied = { serial: 4, config_hash: 'c4', sync_status: 'normal' };
    const reason = 'r'.repeat(600);
    for (let time = 0; time < 3; time++) await say(applied);
    for (let time = 0; time < 2; time++)
      await say({ ...applied, sync_status: 'unknown', reason, description: { rejected: true, refused: 5 } });
    await say({ ...applied, sync_status: 'plugin_set_incompatible', reason: 'no plugin' });
    await say({ ...applied, serial: 6, config_hash: 'c6' });
    // One that has come back and is looked at has done nothing new.
    await say({ ...applied, serial: 6, config_hash: 'c6', sync_status: 'unknown' });
    expect(await history()).toEqual([
      { change: 'applied', serial: 6, config_hash: 'c6', reason: null },
      { change: 'withheld', serial: null, config_hash: null, reason: 'no plugin' },
      { change: 'rejected', serial: 5, config_hash: null, reason: 'r'.repeat(500) },
      { change: 'applied', serial: 4, config_hash: 'c4', reason: null },
    ]);
    expect((await nodes.get(node.id))?.history[0]?.at).toBeGreaterThan(1_700_000_000);
    for (let serial = 7; serial < 47; serial++) await say({ ...applied, serial });
    expect((await history())?.map(({ serial }) => serial)).toEqual(Array.from({ length: 30 }, (_, n) => 46 - n));
    await nodes.forget(node.id);
    await say({});
    expect(await history()).toEqual([]);
  });

  test('names the targets of upstreams, of whichever workspace', async () => {
    const workspace = (await store.workspace('default')) ?? expect.fail('no workspace');
    const { id } = await workspace.entity('upstreams').insert({ name: 'pool' });
    const target = await workspace.entity('targets').insert({ upstream: { id }, target: '10.0.0.1:80', weight: 1 });
    expect(await nodes.targetsOf([String(id), crypto.randomUUID(), 'x'])).toEqual([
      { upstream: id, upstream_name: 'pool', workspace: 'default', target: target.id, address: '10.0.0.1:80' },
    ]);
  });

  test('writes many down at once but for those of other keys, and that they live where they still are of that control plane', async () => {
    const of = (node: string) =>
      report({ hostname: node, keys: { node, certificate: null }, health: { x: {} }, labels: { region: 'north' } });
    const [own, others, elsewhere, gone] = [of('own'), of('others'), of('elsewhere'), of('gone')];
    const living = (node: NodeReport, ttl = 1_000) => ({ id: node.id, node, ttl });
    await nodes.put({ ...others, keys: { node: 'another', certificate: null } }, 1_000, CONTROL_PLANE);
    const all = [own, others, elsewhere, gone].map((node) => living(node));
    const written = await nodes.putAll(all, CONTROL_PLANE);
    expect(written).toEqual(new Set([own.id, elsewhere.id, gone.id]));
    expect(await nodes.get(own.id)).toMatchObject({ ...own, connected: true, ttl: 1_000 });
    expect((await nodes.get(others.id))?.keys.node).toBe('another');

    await nodes.put(elsewhere, 1_000, crypto.randomUUID());
    await nodes.forget(gone.id);
    const renewed = await nodes.renew(
      [own, elsewhere, gone].map((node) => living(node, 5_000)),
      CONTROL_PLANE,
    );
    expect(renewed).toEqual(new Set([own.id]));
    expect((await nodes.get(own.id))?.ttl).toBe(5_000);
    expect((await nodes.get(elsewhere.id))?.ttl).toBe(1_000);

    await nodes.left([own.id, elsewhere.id], CONTROL_PLANE);
    expect((await nodes.get(own.id))?.connected).toBe(false);
    expect((await nodes.get(elsewhere.id))?.connected).toBe(true);
  });

  test('counts the target health of those alone that have taken config', async () => {
    const health = { u: { t: { health: 'UNHEALTHY' } } };
    const [taken, idle] = [report({ health }), report({ health, serial: null })];
    for (const node of [taken, idle]) await nodes.put(node, 1_000, CONTROL_PLANE);
    expect((await nodes.health('u')).map(({ id }) => id)).toEqual([taken.id]);
  });
});

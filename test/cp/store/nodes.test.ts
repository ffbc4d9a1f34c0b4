import { afterAll, beforeAll, expect, test } from 'vitest';
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
    expect(await nodes.count()).toBe(900);
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

  test('counts the target health of those alone that have taken config', async () => {
    const health = { u: { t: { health: 'UNHEALTHY' } } };
    const [taken, idle] = [report({ health }), report({ health, serial: null })];
    for (const node of [taken, idle]) await nodes.put(node, 1_000, CONTROL_PLANE);
    expect((await nodes.health('u')).map(({ id }) => id)).toEqual([taken.id]);
  });
});

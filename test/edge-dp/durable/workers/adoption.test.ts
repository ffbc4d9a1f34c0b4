import { beforeEach, describe, expect, test } from 'vitest';
import { Balancers } from '../../../../edge-dp/balancer/balancers.ts';
import { bundleCache } from '../../../../edge-dp/config/cache.ts';
import { CurrentConfig } from '../../../../edge-dp/config/current.ts';
import { startSequence } from '../../../../edge-dp/config/start.ts';
import type { VerifiedManifest } from '../../../../edge-dp/config/trust.ts';
import { adopt } from '../../../../edge-dp/durable/adoption.ts';
import { BundleStore } from '../../../../edge-dp/durable/bundle-store.ts';
import { NodeStanding } from '../../../../edge-dp/durable/node-standing.ts';
import type { Env } from '../../../../edge-dp/env.ts';
import { PluginPlan } from '../../../../edge-dp/plugins/runtime/plan.ts';
import type { Plugin } from '../../../../edge-dp/plugins/runtime/plugin.ts';
import { settlePlans } from '../../../../edge-dp/plugins/runtime/settle-plans.ts';
import type { RequestPath } from '../../../../edge-dp/proxy/request-path.ts';
import { fakeServices } from '../../plugins/fakes.ts';
import { BOX_SETTINGS } from './box-settings.ts';
import { signedConfig } from './signed-config.ts';

/** What is not asked in these tests. */
function unasked(): never {
  throw new Error('not asked');
}

/** A binding that nobody uses. */
function unused<T extends object>(): T {
  return new Proxy(Object.create(null), { get: unasked });
}

const env: Env = {
  SETTINGS: BOX_SETTINGS,
  KV: unused(),
  NODE: unused(),
};

/** A plugin whose configuration is another with each change; `open`: those that were compiled and not closed. */
const open = new Set<unknown>();
const counted: Plugin = {
  name: 'counted',
  version: '1.0.0',
  priority: 1,
  compile(config) {
    open.add(config);
    return { close: () => void open.delete(config) };
  },
};

/** A request path that takes anything. */
function anyPath(plan: PluginPlan): RequestPath {
  return {
    update: () => anyPath(plan.update({ upserts: [{ id: 'one', name: 'counted', config: {} }], deletes: [] })),
    balancers: Balancers.empty(),
    explain: unasked,
    foresee: unasked,
    serverCertificate: () => null,
    beginTls: () => null,
    openSession: () => null,
    settle: (before = [], beside = [], apart = false) =>
      settlePlans(
        before.flatMap(({ plans }) => plans),
        [plan, ...beside.flatMap(({ plans }) => plans)],
        apart || before.length > 1 || beside.length > 0,
      ),
    plans: [plan],
    onTrial: () => unasked(),
    clientIp: () => '',
    claimant: async () => null,
    finish: () => 0,
    shownMetrics: { counts: false, upstreamHealth: false },
    handle: unasked,
  };
}

describe('a config that is adopted', () => {
  let current: CurrentConfig;
  let pathsMade: number;
  beforeEach(() => {
    pathsMade = 0;
    open.clear();
    const createRequestPath = () => {
      pathsMade += 1;
      return anyPath(PluginPlan.empty(new Map([[counted.name, counted]]), fakeServices()));
    };
    current = new CurrentConfig({ createRequestPath, plugins: {} });
  });
  const serialHeld = () => current.held?.live.serial ?? null;

  async function arrival(serial: number, remember: (adopted: VerifiedManifest) => Promise<void>) {
    const message = await signedConfig(serial, `route-${serial}`);
    const standing = { cluster: null, highestSerial: null, group: null, statements: [] };
    return adopt(env, current, new BundleStore(bundleCache(env)), [], { message, standing, newest: null, remember });
  }

  test('is not seen by requests before its serial is remembered', async () => {
    const remembering = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const adoption = arrival(1, () => {
      asked.resolve();
      return remembering.promise;
    });
    await asked.promise;
    expect(serialHeld()).toBeNull();
    remembering.resolve();
    expect(await adoption).toMatchObject({ outcome: 'applied', serial: 1 });
    expect(serialHeld()).toBe(1);
  });

  test('is not seen by requests when its serial cannot be remembered', async () => {
    await arrival(1, async () => undefined);
    const adoption = await arrival(2, async () => {
      throw new Error('the disk is full');
    });
    expect(adoption).toEqual({ outcome: 'interrupted', serial: 2, reason: 'cache: the disk is full', of: 'cache' });
    expect(serialHeld()).toBe(1);
    expect(open.size).toBe(1);
  });

  test('does not take the place of a newer one that was ready before it', async () => {
    const first = Promise.withResolvers<void>();
    const adopting = arrival(1, () => first.promise);
    expect(await arrival(2, async () => undefined)).toMatchObject({ outcome: 'applied', serial: 2 });
    first.resolve();
    await adopting;
    expect(serialHeld()).toBe(2);
    // Nor does one that no control plane signed.
    current.replace(current.empty(env));
    expect(serialHeld()).toBe(2);
    expect(await arrival(3, async () => undefined)).toMatchObject({ outcome: 'applied', serial: 3 });
    expect(serialHeld()).toBe(3);
    expect(open.size).toBe(1);
  });

  test('leaves nothing open of those that were built beside it, in whatever order they are ready', async () => {
    await arrival(1, async () => undefined);
    const [second, third] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const adopting = [arrival(2, () => second.promise), arrival(3, () => third.promise)];
    second.resolve();
    await adopting[0];
    third.resolve();
    await adopting[1];
    expect(serialHeld()).toBe(3);
    expect(open.size).toBe(1);
  });

  test('has its queues and counters in common with one that was built beside it', async () => {
    await Promise.all([arrival(1, async () => undefined), arrival(2, async () => undefined)]);
    expect(serialHeld()).toBe(2);
    expect(pathsMade).toBe(1);
  });

  test('leaves the node in the group that it was given while that was remembered', async () => {
    const written = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const stored = new Map<string, unknown>();
    const storage = {
      get: async (key: string) => stored.get(key),
      put: async (key: string | object, value?: unknown) => {
        asked.resolve();
        await written.promise;
        for (const [each, one] of typeof key === 'string' ? [[key, value] as const] : Object.entries(key))
          stored.set(each, one);
      },
    };
    const life = (): NodeStanding =>
      Reflect.construct(NodeStanding, [{ storage, keepsManifest: false, log: () => undefined }]);
    const standing = life();
    const adopting = arrival(7, (adopted) => standing.remember(adopted));
    await asked.promise;
    const assigning = standing.assign('other');
    written.resolve();
    await Promise.all([adopting, assigning]);
    const next = life();
    await next.restore(null);
    const known = { highestSerial: 7, group: 'other' };
    expect([standing.membership, next.membership]).toMatchObject([known, known]);
  });

  test('that another start found stays when the first start, slower than requests wait for, finds nothing', async () => {
    const { manifest, objects } = await signedConfig(1, 'declared');
    const payload = String(manifest.split('.')[1]).replaceAll('-', '+').replaceAll('_', '/');
    const slow = Promise.withResolvers<void>();
    let reads = 0;
    const box: Env = {
      ...env,
      SETTINGS: { ...env.SETTINGS, controlPlanes: 1, cacheMode: 'unencrypted' },
      KV: Object({
        async get() {
          reads += 1;
          if (reads > 2) return null;
          await slow.promise;
          throw new Error('it does not answer');
        },
      }),
      NODE: Object({
        async fetch(url: string) {
          if (!url.startsWith('http://node/news')) return new Response(null, { status: 204 });
          return Response.json({ cluster: null, highestSerial: null, statements: [], newest: null });
        },
      }),
      DECLARATIVE: Object({
        async fetch(url: string) {
          if (url.endsWith('/manifest')) return new Response(atob(payload));
          return new Response(Uint8Array.from(atob(objects[url.slice(-64)] ?? ''), (byte) => byte.charCodeAt(0)));
        },
      }),
    };
    const told = { isolate: 'isolate', requests: 0 };
    const first = startSequence(box, current, told, () => undefined);
    const second = await startSequence(box, current, told, () => undefined);
    expect(second.live.source).toBe('declarative');
    slow.resolve();
    expect((await first).live).toBe(second.live);
    expect(current.held?.live).toBe(second.live);
    // What was found takes the place of nothing.
    current.replace(current.lost(box));
    expect(current.held?.live).toBe(second.live);
    expect(open.size).toBe(1);
  });
});

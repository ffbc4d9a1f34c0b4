import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../../../cp/store/open.ts';
import type { Store } from '../../../../cp/store/store.ts';
import { startNodeHost } from '../../../../edge-dp/hosts/node/host.ts';
import type { DataPlane } from '../../../../edge-dp/hosts/options.ts';
import packageFile from '../../../../package.json' with { type: 'json' };
import { type ControlPlane, shared, signingKey, startControlPlane } from '../../../cp/cluster/control-plane.ts';
import { MemoryFeed } from '../../../cp/publisher/memory-feed.ts';
import { freshPrefix } from '../../../embedded-database.ts';
import { until } from '../../../until.ts';
import { nodeOptions, proxyUrl, startOwnBox, statusUrl } from '../../hosts.ts';
import { id } from '../../proxy/node.ts';

const SHARING_WORKER = fileURLToPath(new URL('./workers/sharing.ts', import.meta.url));
const WAIT = { timeout: 60_000 };

/** The same records, with what is done to them waiting. */
function heldBack(records: Store['records'], until: () => Promise<void>): Store['records'] {
  return new Proxy(records, {
    get(target, name) {
      if (name === 'apply') {
        const apply: typeof target.apply = async (...given) => {
          await until();
          return target.apply(...given);
        };
        return apply;
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('what all data planes share', () => {
  const feed = new MemoryFeed();
  const folders: string[] = [];
  const log: string[] = [];
  let store: Store;
  let plane: ControlPlane;
  let nodes: DataPlane[] = [];
  /** What is done with records at the control plane waits for it. */
  let held: Promise<void> = Promise.resolve();

  const startPlane = async (port?: number): Promise<void> => {
    plane = await startControlPlane({
      feed,
      version: packageFile.version,
      records: heldBack(store.records, () => held),
      counts: store.counts,
      ...(port === undefined ? {} : { port }),
    });
  };
  const stopPlane = async (): Promise<void> => {
    await plane.stop();
    // As they see it themselves: until then each waits for an answer before it goes by what it knows.
    for (const node of [0, 1]) await expect.poll(() => linked(node), WAIT).toBe(false);
  };
  const linked = async (node: number): Promise<boolean> => {
    const metrics = await fetch(statusUrl(nodes[node] ?? expect.fail('not started'), '/metrics'));
    return /^kong_control_plane_connected 1$/m.test(await metrics.text());
  };
  const startNode = async (place: number): Promise<DataPlane> => {
    const start = place === 0 ? startOwnBox : startNodeHost;
    folders[place] ??= await mkdtemp(join(tmpdir(), 'holdfast sharing '));
    return start(
      nodeOptions(folders[place], null, {
        controlPlanes: [{ host: '127.0.0.1', port: plane.port }],
        clusterTls: { ...shared, ca: shared.cert, serverName: 'kong_clustering' },
        trustedKeys: { cluster: signingKey.cluster, keys: [signingKey.publicKey] },
        log: (_, message) => void log.push(message),
      }),
      SHARING_WORKER,
    );
  };
  const send = async (node: number, path: string): Promise<unknown> => {
    const response = await fetch(proxyUrl(nodes[node] ?? expect.fail('not started'), path));
    const text = await response.text();
    if (response.status >= 500) throw new Error(`${response.status} ${text}`);
    return text === '' ? response.status : JSON.parse(text);
  };

  beforeAll(async () => {
    const prefix = await freshPrefix('migrated');
    folders[2] = prefix;
    store = await openStore({ database: 'embedded', prefix }, { migrate: true });
    feed.put('routes', { id: id(1), paths: ['/'], protocols: ['http'] });
    feed.put('plugins', { id: id(2), name: 'sharing', protocols: ['http'], config: { scope: 'cluster' } });
    await startPlane();
    nodes = await Promise.all([startNode(0), startNode(1)]);
    for (const node of [0, 1]) {
      const serves = async () => (await fetch(proxyUrl(nodes[node] ?? expect.fail('not started'), '/get/none'))).ok;
      await until(serves, 'a data plane to have the config');
    }
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop(0)));
    await plane?.stop();
    await store?.close();
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  });

  it('is known on the other one at once, and gone from it soon after it is deleted', async () => {
    expect(await send(0, '/put/token/of-a')).toBe(204);
    expect(await send(1, '/get/token')).toEqual({ text: 'of-a' });
    expect(await send(1, '/delete/token')).toBe(204);
    await expect.poll(() => send(0, '/get/token'), WAIT).toBeNull();
  });

  it('is used, or made, once, whoever is asked and at the same time', async () => {
    // Each data plane decides alone where the control plane has not answered within a second, as on a machine that is busy: then once each.
    let place = 0;
    const uses = async (): Promise<readonly unknown[]> => {
      await send(0, `/put/code-${++place}/x`);
      const all = await Promise.all([0, 1, 0, 1].map((node) => send(node, `/use/code-${place}`)));
      const found = all.filter((use) => use !== null);
      expect([1, 2]).toContain(found.length);
      return found;
    };
    await expect.poll(uses, WAIT).toEqual([{ text: 'x' }]);
    const makes = async (): Promise<readonly unknown[]> => {
      place += 1;
      const all = await Promise.all([0, 1, 0, 1].map((node) => send(node, `/once/one-${place}`)));
      expect([1, 2]).toContain(all.filter((status) => status === 201).length);
      return all.toSorted();
    };
    await expect.poll(makes, WAIT).toEqual([201, 409, 409, 409]);
  });

  it('is used, or made, once by each data plane while the control plane takes too long to answer', async () => {
    await send(0, '/put/late/x');
    await expect.poll(() => send(1, '/get/late'), WAIT).toEqual({ text: 'x' });
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    try {
      for (const node of [0, 1]) {
        // Asked for together, and given up together.
        const uses = Promise.all([0, 1, 2, 3].map(() => send(node, '/use/late')));
        const makes = Promise.all([0, 1, 2, 3].map(() => send(node, '/once/late-one')));
        expect((await uses).filter((found) => found !== null)).toEqual([{ text: 'x' }]);
        expect((await makes).toSorted()).toEqual([201, 409, 409, 409]);
      }
    } finally {
      resolve();
    }
  });

  /** How many of so many requests a node lets through, one after the other. */
  const take = async (node: number, key: string, limit: number, times: number): Promise<number> => {
    let allowed = 0;
    for (let n = 0; n < times; n++) {
      const target = proxyUrl(nodes[node] ?? expect.fail('not started'), `/take/${key}/${limit}`);
      const response = await fetch(target);
      await response.text();
      if (response.status === 200) allowed += 1;
    }
    return allowed;
  };
  const used = async (key: string): Promise<readonly unknown[]> =>
    Promise.all([0, 1].map((node) => send(node, `/used/${key}`)));

  it('counts to the limit together, beyond it only by what the others let through since they were heard of last', async () => {
    expect(await take(0, 'quiet', 50, 30)).toBe(30);
    await expect.poll(() => used('quiet'), WAIT).toEqual([30, 30]);
    expect(await take(1, 'quiet', 50, 30)).toBe(20);
    await expect.poll(() => used('quiet'), WAIT).toEqual([50, 50]);
    expect([await take(0, 'quiet', 50, 5), await take(1, 'quiet', 50, 5)]).toEqual([0, 0]);

    // Both at once, for longer than it takes to hear of each other, and each so often that all of it could be its own.
    const counts = [0, 0];
    const until = Date.now() + 5_000;
    const hammer = async (node: number) => {
      for (let asked = 0; asked < 90 || Date.now() < until; asked++)
        counts[node] = (counts[node] ?? 0) + (await take(node, 'busy', 90, 1));
    };
    await Promise.all([hammer(0), hammer(1)]);
    const [first = 0, second = 0] = counts;
    expect(first + second).toBeGreaterThanOrEqual(90);
    expect(first + second).toBeLessThanOrEqual(180);
    await expect.poll(() => used('busy'), WAIT).toEqual([first + second, first + second]);
    expect([await take(0, 'busy', 90, 5), await take(1, 'busy', 90, 5)]).toEqual([0, 0]);
  });

  it('goes on without a control plane, and is brought together when that is back', async () => {
    await send(0, '/put/before/b');
    await expect.poll(() => send(1, '/get/before'), WAIT).toEqual({ text: 'b' });
    // Told, not asked for: it is to be known when nobody can be asked. What comes after it shows that it is there.
    await send(0, '/put/pushed/p');
    await send(0, '/put/before/c');
    await expect.poll(() => send(1, '/get/before'), WAIT).toEqual({ text: 'c' });
    const { port } = plane;
    await stopPlane();
    // Each counts for itself.
    expect([await take(0, 'alone', 30, 20), await take(1, 'alone', 30, 25)]).toEqual([20, 25]);

    expect(await send(1, '/get/pushed')).toEqual({ text: 'p' });
    expect(await send(0, '/put/alone/a')).toBe(204);
    expect(await send(0, '/get/alone')).toEqual({ text: 'a' });
    expect(await send(1, '/get/alone')).toBeNull();
    expect(await send(1, '/delete/before')).toBe(204);
    expect(await send(0, '/use/pushed')).toEqual({ text: 'p' });
    expect(await send(0, '/use/pushed')).toBeNull();
    const untold = async (node: number) => {
      const text = await (await fetch(statusUrl(nodes[node] ?? expect.fail('not started'), '/metrics'))).text();
      return Number(/^holdfast_shared_records_untold (\d+)$/m.exec(text)?.[1]);
    };
    expect(await untold(0)).toBeGreaterThan(0);
    // What waits to be told outlives the node.
    await nodes[0]?.stop(0);
    nodes[0] = await startNode(0);
    expect(await send(0, '/get/alone')).toEqual({ text: 'a' });

    await startPlane(port);
    // What the node that was started anew had counted meanwhile is lost.
    await expect.poll(() => used('alone'), WAIT).toEqual([25, 25]);
    await expect.poll(() => send(1, '/get/alone'), WAIT).toEqual({ text: 'a' });
    await expect.poll(() => send(0, '/get/before'), WAIT).toBeNull();
    await expect.poll(() => send(1, '/get/pushed'), WAIT).toBeNull();
    for (const node of [0, 1]) await expect.poll(() => untold(node), WAIT).toBe(0);
    await expect.poll(() => log.join('\n')).toContain('the control plane cannot be told what this node has to share');
  });
});

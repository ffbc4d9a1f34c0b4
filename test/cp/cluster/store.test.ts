import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterListener } from '../../../cp/cluster/listener.ts';
import { clusterView } from '../../../cp/cluster/view.ts';
import { openStore } from '../../../cp/store/open.ts';
import type { Store, Workspace } from '../../../cp/store/store.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { hashedField, objectFor, spreadValue, travellingValue } from '../../../shared/bundle/lookup.ts';
import { parseTableIndex, parseTableObject } from '../../../shared/bundle/object.ts';
import { verifyManifest, verifyObject } from '../../../shared/bundle/verification.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { until } from '../../until.ts';
import { workspaceOf } from '../store/workspace-of.ts';
import { controlPlaneOver, hello, NODE_ID, signingKey, TestLink } from './control-plane.ts';

const prefix = await freshPrefix('migrated');
let store: Store;
let here: Workspace;
let listener: ClusterListener;
let stop: () => Promise<void>;
const log: string[] = [];

beforeAll(async () => {
  store = await openStore({ database: 'embedded', prefix });
  here = await workspaceOf(store);
  const write = (level: string, message: string) => void log.push(`${level} ${message}`);
  ({ listener, stop } = await controlPlaneOver(store, { log: write }));
});
afterAll(async () => {
  await stop();
  await store.close();
  rmSync(prefix, { recursive: true });
});

/** A data plane that takes objects as they come and keeps them. */
class Follower {
  readonly #objects = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #link: TestLink;

  constructor(link: TestLink) {
    this.#link = link;
  }

  /** Takes the next manifest, with nothing missing, and acknowledges it. */
  async follow() {
    const { manifest: jws, objects } = await this.#link.hear('manifest');
    const manifest = await verifyManifest(jws, {
      trustedKeys: [signingKey.publicKey],
      cluster: signingKey.cluster,
      group: 'default',
      highestSerial: null,
      now: null,
    });
    for (const [name, gzip] of Object.entries(objects)) {
      this.#objects.set(name, await verifyObject(name, new Uint8Array(Buffer.from(gzip, 'base64')), 4 << 20));
    }
    this.#link.say({ type: 'applied', serial: manifest.serial, config_hash: manifest.config_hash });
    return {
      manifest,
      rows: (table: string): BundleRow[] => {
        const index = this.#index(manifest.tables[table]?.index, table);
        return index.objects.flatMap((ref) =>
          ref === null ? [] : parseTableObject(this.#object(ref.name), table).rows,
        );
      },
      lookup: async (table: string, value: string): Promise<readonly BundleRow[]> => {
        const index = this.#index(manifest.tables[table]?.index, table);
        const travelling = await travellingValue(index, value);
        const ref = objectFor(index, travelling);
        if (ref === null) return [];
        const { rows } = parseTableObject(this.#object(ref.name), table);
        return rows.filter((row) => spreadValue(row, index.key) === travelling);
      },
    };
  }

  #index(name: string | undefined, table: string) {
    return parseTableIndex(this.#object(name ?? ''), table);
  }

  #object(name: string) {
    const bytes = this.#objects.get(name);
    if (bytes === undefined) throw new Error(`object ${name} never came`);
    return bytes;
  }
}

describe('a control plane over its database', () => {
  test('brings what is written to a data plane, a transaction at a time, and shows the data plane', async () => {
    const view = clusterView(store.nodes, listener);
    const link = await TestLink.open(listener.addresses[0]?.port ?? 0);
    const greeting = hello({ plugins: Object.fromEntries([...plugins].map(([name, { version }]) => [name, version])) });
    link.say(greeting);
    const follower = new Follower(link);
    const empty = await follower.follow();
    expect(empty.rows('routes')).toEqual([]);

    const written = await here.transaction(async (inside) => {
      const service = await inside.entity('services').insert({ name: 'orders', host: 'orders.internal' });
      const route = await inside.entity('routes').insert({ name: 'orders', paths: ['/orders'], service });
      await inside.entity('plugins').insert({ name: 'key-auth', route });
      const consumer = await inside.entity('consumers').insert({ username: 'alice' });
      await inside.entity('keyauth_credentials').insert({ key: 'open sesame', consumer }, { ttl: 3600 });
      return { service, route, consumer };
    });
    const first = await follower.follow();
    expect(first.manifest.serial).toBe(empty.manifest.serial + 1);
    expect(first.manifest.plugins).toEqual({ 'key-auth': plugins.get('key-auth')?.version });
    expect(first.rows('routes')).toMatchObject([{ id: written.route.id, service: { id: written.service.id } }]);
    const [credential] = await first.lookup('keyauth_credentials', 'open sesame');
    expect(credential).toMatchObject({
      key: await hashedField('open sesame'),
      consumer: { id: written.consumer.id },
    });
    expect(Math.abs(Number(credential?.ttl) - (Date.now() / 1000 + 3600))).toBeLessThan(60);
    expect(await first.lookup('consumers', String(written.consumer.id))).toMatchObject([{ username: 'alice' }]);

    await here.entity('consumers').delete({ id: String(written.consumer.id) });
    const second = await follower.follow();
    expect(await second.lookup('keyauth_credentials', 'open sesame')).toEqual([]);
    expect(second.manifest.tables.routes).toEqual(first.manifest.tables.routes);

    await here.entity('services').update({ id: String(written.service.id) }, { enabled: false });
    const third = await follower.follow();
    expect([third.rows('services'), third.rows('routes'), third.rows('plugins')]).toEqual([[], [], []]);

    const { serial, config_hash } = third.manifest;
    await until(() => listener.nodes.get(NODE_ID)?.record.serial === serial);
    const { rows } = await view.dataPlanes({ size: 10 });
    expect(rows).toEqual([
      {
        id: NODE_ID,
        hostname: 'edge-1',
        ip: '127.0.0.1',
        version: '1.2.0',
        config_hash,
        sync_status: 'normal',
        state: 'connected',
        last_seen: expect.any(Number),
        updated_at: expect.any(Number),
        ttl: expect.any(Number),
        labels: { region: 'north' },
        cert_details: { expiry_timestamp: expect.any(Number) },
        rpc_capabilities: [],
        serial,
        group: 'default',
        rejection_reason: null,
        refused_claim: null,
      },
    ]);
    expect(await view.dataPlane(NODE_ID)).toMatchObject({
      connected: true,
      plugins: greeting.node.plugins,
      conflicts: [],
    });
    const targets = {
      t1: {
        dns: 'A',
        health: 'UNHEALTHY',
        addresses: [{ ip: '10.0.0.1', port: 80, weight: 100, health: 'UNHEALTHY' }],
      },
      t2: { health: 'nonsense' },
    };
    link.say({ type: 'heartbeat', serial, config_hash, health: { u1: targets } });
    await link.hear('heartbeat');
    expect(await view.targetHealth('u1')).toEqual([
      { node: { id: NODE_ID, hostname: 'edge-1' }, targets: { t1: targets.t1 } },
    ]);
    await view.setTargetHealth({ upstream: 'u1', target: 't1', address: '10.0.0.1:80', healthy: true });
    expect(await link.hear('target_health')).toMatchObject({ target: 't1', address: '10.0.0.1:80', healthy: true });
    // What data planes say is not config.
    expect(await store.changes.serial()).toBe(serial);
    link.socket.terminate();
    await until(() => listener.nodes.get(NODE_ID) === undefined);
    expect(await view.dataPlane(NODE_ID)).toMatchObject({ connected: false, serial });
  });
});

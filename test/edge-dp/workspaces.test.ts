import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Publisher } from '../../cp/publisher/publisher.ts';
import { openStore } from '../../cp/store/open.ts';
import type { Workspace } from '../../cp/store/store.ts';
import { startMiniflareHost } from '../../edge-dp/hosts/miniflare/host.ts';
import type { DataPlane } from '../../edge-dp/hosts/options.ts';
import packageFile from '../../package.json' with { type: 'json' };
import type { Row } from '../../shared/record.ts';
import { controlPlaneOver, shared, signingKey } from '../cp/cluster/control-plane.ts';
import { workspaceOf } from '../cp/store/workspace-of.ts';
import { freshPrefix } from '../embedded-database.ts';
import { nodeOptions, proxyUrl, statusUrl } from './hosts.ts';
import { startUpstream, type Upstream } from './proxy/upstream.ts';

/** What each workspace has under the same names: its own upstream, service, consumers, key and global plugin. */
async function furnish(workspace: Workspace, target: Upstream, path: string): Promise<void> {
  const of = (entity: string) => workspace.entity(entity);
  const upstream = await of('upstreams').insert({ name: 'orders' });
  await of('targets').insert({ target: `127.0.0.1:${target.port}`, upstream });
  const service = await of('services').insert({ name: 'orders', host: 'orders' });
  const route = (name: string) => of('routes').insert({ name, paths: [`${path}/${name}`], service });
  const open = await route('open');
  const closed = await route('closed');
  await of('plugins').insert({ name: 'key-auth', route: closed });
  await of('plugins').insert({ name: 'key-auth', route: open, config: { anonymous: 'guest' } });
  const stamp = { header_name: `X-Stamp-${workspace.name}`, echo_downstream: true };
  await of('plugins').insert({ name: 'correlation-id', config: stamp });
  await of('consumers').insert({ username: 'guest', custom_id: `${workspace.name}-guest` });
  const consumer = await of('consumers').insert({ username: `${workspace.name}-user` });
  const credentials: Row[] = ['same-key', `${workspace.name}-key`].map((key) => ({ key, consumer }));
  await of('keyauth_credentials').insertMany(credentials);
}

describe('two workspaces behind one data plane', () => {
  const stops: (() => Promise<unknown>)[] = [];
  let here: Workspace;
  let node: DataPlane;
  let publisher: Publisher;
  let upstreams: Readonly<Record<'default' | 'shop', Upstream>>;

  beforeAll(async () => {
    const prefix = await freshPrefix('migrated');
    const nodePrefix = await mkdtemp(join(tmpdir(), 'holdfast node '));
    for (const folder of [prefix, nodePrefix]) stops.push(() => rm(folder, { recursive: true, force: true }));
    const store = await openStore({ database: 'embedded', prefix });
    stops.push(() => store.close());
    here = await workspaceOf(store);
    await here.entity('workspaces').insert({ name: 'shop' });
    upstreams = { default: await startUpstream(), shop: await startUpstream() };
    for (const upstream of Object.values(upstreams)) stops.push(() => upstream.stop());
    await furnish(here, upstreams.default, '/default');
    await furnish(await workspaceOf(store, 'shop'), upstreams.shop, '/shop');

    const plane = await controlPlaneOver(store, { version: packageFile.version });
    publisher = plane.publisher;
    stops.push(() => plane.stop());
    node = await startMiniflareHost(
      nodeOptions(nodePrefix, null, {
        controlPlanes: [{ host: '127.0.0.1', port: plane.port }],
        clusterTls: { ...shared, ca: shared.cert, serverName: 'kong_clustering' },
        trustedKeys: { cluster: signingKey.cluster, keys: [signingKey.publicKey] },
      }),
    );
    stops.push(() => node.stop(0));
    await vi.waitFor(async () => expect((await get('/default/open')).status).toBe(200), { timeout: 60_000 });
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  /** The answer, and who got the request as whom. */
  async function get(path: string, key?: string) {
    for (const { seen } of Object.values(upstreams)) seen.length = 0;
    const response = await fetch(proxyUrl(node, path), key === undefined ? {} : { headers: { apikey: key } });
    await response.body?.cancel();
    const [at, request] = Object.entries(upstreams)
      .flatMap(([name, { seen }]) => seen.map((request) => [name, request] as const))
      .at(0) ?? [null];
    const stamps = [...response.headers.keys()].filter((name) => name.startsWith('x-stamp-'));
    const { status } = response;
    return {
      status,
      stamps,
      at,
      user: request?.header('X-Consumer-Username'),
      custom: request?.header('X-Consumer-Custom-ID'),
    };
  }

  it('takes keys only on the routes of their workspace, and the same key for different consumers', async () => {
    expect(await get('/default/closed', 'default-key')).toMatchObject({ status: 200, user: 'default-user' });
    expect(await get('/shop/closed', 'shop-key')).toMatchObject({ status: 200, user: 'shop-user' });
    expect(await get('/default/closed', 'shop-key')).toMatchObject({ status: 401, at: null });
    expect(await get('/shop/closed', 'default-key')).toMatchObject({ status: 401, at: null });
    expect((await get('/default/closed', 'same-key')).user).toBe('default-user');
    expect((await get('/shop/closed', 'same-key')).user).toBe('shop-user');
  });

  it('runs global plugins for their own routes, and those of the default workspace where no route matched', async () => {
    expect((await get('/default/open')).stamps).toEqual(['x-stamp-default']);
    expect((await get('/shop/open')).stamps).toEqual(['x-stamp-shop']);
    expect(await get('/nowhere')).toMatchObject({ status: 404, stamps: ['x-stamp-default'] });
  });

  it('sends to the upstream of that name in the workspace of the service', async () => {
    expect((await get('/default/open')).at).toBe('default');
    expect((await get('/shop/open')).at).toBe('shop');
  });

  it('shows upstreams by name in any workspace, and by id wherever they are', async () => {
    const ask = async (path: string) => {
      const response = await fetch(statusUrl(node, path));
      const answer: { data?: { target: string; upstream: { id: string } }[]; message?: string } = JSON.parse(
        await response.text(),
      );
      const { data = [], message } = answer;
      return { targets: data.map(({ target }) => target), ids: data.map(({ upstream }) => upstream.id), message };
    };
    const at = (name: 'default' | 'shop') => [`127.0.0.1:${upstreams[name].port}`];
    expect((await ask('/upstreams/orders/targets')).targets).toEqual(at('default'));
    expect((await ask('/upstreams/orders/targets/')).targets).toEqual(at('default'));
    expect((await ask('/upstreams/orders/targets//')).message).toBe('Not found');
    expect((await ask('/default/upstreams/orders/health')).targets).toEqual(at('default'));
    const shop = await ask('/shop/upstreams/orders/targets/all');
    expect(shop.targets).toEqual(at('shop'));
    const [id = ''] = shop.ids;
    expect((await ask(`/upstreams/${id}/targets`)).targets).toEqual(at('shop'));
    expect((await ask(`/shop/upstreams/${id}/targets`)).targets).toEqual(at('shop'));
    expect((await ask(`/default/upstreams/${id}/targets`)).message).toBe('Not found');
    expect((await ask('/nowhere/upstreams/orders/targets')).message).toBe("Workspace 'nowhere' not found");
    expect((await ask('/upstreams/%zz/targets')).message).toBe('Not found');
  });

  it('finds the anonymous consumer by name in its workspace, also after it was renamed to that', async () => {
    expect(await get('/default/open')).toMatchObject({ user: 'guest', custom: 'default-guest' });
    expect(await get('/shop/open')).toMatchObject({ user: 'guest', custom: 'shop-guest' });
    const consumers = here.entity('consumers');
    await consumers.update({ field: 'username', value: 'guest' }, { username: 'stranger' });
    await publisher.flush();
    await vi.waitFor(async () => expect((await get('/default/open')).status).toBe(500), { timeout: 60_000 });
    await consumers.update({ field: 'username', value: 'default-user' }, { username: 'guest' });
    await publisher.flush();
    await vi.waitFor(async () => expect((await get('/default/open')).status).toBe(200), { timeout: 60_000 });
    expect(await get('/shop/open')).toMatchObject({ user: 'guest', custom: 'shop-guest' });
  });
});

import { Agent, request } from 'node:https';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { clusterView } from '../../../cp/cluster/view.ts';
import type { Manifest } from '../../../shared/bundle/format.ts';
import { verifyObject } from '../../../shared/bundle/verification.ts';
import { until } from '../../until.ts';
import { MemoryFeed } from '../publisher/memory-feed.ts';
import {
  type ControlPlane,
  call,
  hello,
  NODE_ID,
  OrderReader,
  sharedClient,
  startControlPlane,
  TestLink,
  verify,
} from './control-plane.ts';

let planes: ControlPlane[] = [];
const links: TestLink[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const link of links.splice(0)) link.socket.terminate();
  await Promise.all(planes.map((plane) => plane.stop()));
  planes = [];
});

async function start(options: Parameters<typeof startControlPlane>[0] = {}): Promise<ControlPlane> {
  const plane = await startControlPlane(options);
  planes.push(plane);
  return plane;
}

async function join(plane: ControlPlane, greeting = hello()): Promise<TestLink> {
  const link = await TestLink.open(plane.port);
  links.push(link);
  link.say(greeting);
  return link;
}

const route = (id: string) => ({ id, name: id, paths: [`/${id}`], service: null });

async function recordOf(plane: ControlPlane) {
  await plane.listener.nodes.flush();
  return plane.registry.records.get(NODE_ID);
}

describe('the link', () => {
  test('brings the manifest with everything that is missing, then after a change only what is new', async () => {
    const plane = await start();
    plane.feed.put('routes', route('a'));
    await plane.publisher.flush();
    const link = await join(plane);
    const first = await link.hear('manifest');
    const manifest = await verify(first.manifest);
    expect(Object.keys(first.objects).sort()).toEqual(
      [...plane.publisher.missing(plane.publisher.current().manifest, null)].sort(),
    );
    for (const [name, gzip] of Object.entries(first.objects)) {
      await verifyObject(name, new Uint8Array(Buffer.from(gzip, 'base64')), 1 << 20);
    }
    link.say({ type: 'applied', serial: manifest.serial, config_hash: manifest.config_hash });
    await until(() => plane.listener.nodes.get(NODE_ID)?.record.sync_status === 'normal');
    plane.feed.put('routes', route('b'));
    const second = await link.hear('manifest');
    expect((await verify(second.manifest)).serial).toBe(2);
    expect(Object.keys(second.objects)).toHaveLength(2);
  });

  test('sends one changed route of 10,000 in under 300 KB, and leaves many missing objects to be fetched', async () => {
    const feed = new MemoryFeed();
    const rows = Array.from({ length: 10_000 }, (_, n) => ({ ...route(`route-${n}`), tags: [crypto.randomUUID()] }));
    feed.put('routes', ...rows);
    const plane = await start({ feed });
    const link = await join(plane);
    const first = await link.hear('manifest');
    expect(first.objects).toEqual({});
    const manifest = await verify(first.manifest);
    for (const name of plane.publisher.missing(plane.publisher.current().manifest, null)) {
      const { status, body, headers } = await call(plane.port, `/v1/objects/${name}`);
      expect([status, headers['cache-control']]).toEqual([200, 'public, max-age=31536000, immutable']);
      await verifyObject(name, new Uint8Array(body), 4 << 20);
    }
    link.say({ type: 'applied', serial: manifest.serial, config_hash: manifest.config_hash });
    feed.put('routes', { ...route('route-77'), tags: ['changed'] });
    const second = await link.hear('manifest');
    expect(Object.keys(second.objects)).toHaveLength(2);
    expect(JSON.stringify(second).length).toBeLessThan(300_000);
  });

  test('notes what the data plane is, what it applied, and why it refused', async () => {
    const plane = await start();
    const link = await join(plane);
    const { serial, config_hash } = await verify((await link.hear('manifest')).manifest);
    link.say({ type: 'applied', serial, config_hash });
    await until(() => plane.listener.nodes.get(NODE_ID)?.record.serial === serial);
    expect(await recordOf(plane)).toMatchObject({
      id: NODE_ID,
      hostname: 'edge-1',
      ip: '127.0.0.1',
      version: '1.2.0',
      labels: { region: 'north' },
      sync_status: 'normal',
      serial,
      config_hash,
      reason: null,
      ttl: 1000,
      description: { host: 'workerd', group: 'default' },
    });
    link.say({ type: 'rejected', serial: 9, reason: 'object abc: its bytes have SHA-256 def' });
    await until(() => plane.listener.nodes.get(NODE_ID)?.record.reason !== null);
    expect(await recordOf(plane)).toMatchObject({ sync_status: 'unknown', serial, reason: /SHA-256 def/ });
    expect(plane.log).toContainEqual(expect.stringMatching(/^warn DP node .* refused serial 9 .* SHA-256 def$/));
    const health = { 'upstream-1': { t: { dns: 'A', health: 'HEALTHY', addresses: [] } } };
    const beyond = { 'upstream-1': { u: { health: 'FINE' } }, '<script>': {} };
    link.say({ type: 'heartbeat', serial, config_hash, health: { ...beyond, ...health } });
    expect(await link.hear('heartbeat')).toEqual({ type: 'heartbeat', serial, config_hash });
    expect(plane.listener.nodes.get(NODE_ID)?.record.health).toEqual(health);
  });

  test('shows at every data plane why nothing can be published', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', ...Array.from({ length: 400 }, (_, n) => route(`route-${n}`)));
    const plane = await start({ feed });
    const link = await join(plane);
    const { serial, config_hash } = await verify((await link.hear('manifest')).manifest);
    link.say({ type: 'applied', serial, config_hash });
    const view = clusterView(plane.registry, plane.listener);
    const reason = async () => (await view.dataPlanes({ size: 10 })).rows[0]?.rejection_reason;
    await expect.poll(reason).toBeNull();
    feed.tables.clear();
    feed.put('routes', route('alone'));
    feed.oldest = feed.at;
    await plane.publisher.flush();
    expect(await reason()).toMatch(/^refusing to publish, .* had 400 rows and now has 1.*publish_near_empty = on/);
  });

  test('withholds config that uses a plugin the data plane lacks, says so by name, and resumes when it is gone', async () => {
    const plane = await start();
    const link = await join(plane, hello({ plugins: { 'key-auth': '3.9.3' } }));
    const { serial, config_hash } = await verify((await link.hear('manifest')).manifest);
    link.say({ type: 'applied', serial, config_hash });
    expect(plane.log).toContainEqual(expect.stringContaining('lacks cors'));
    plane.feed.put('plugins', { id: 'p1', name: 'cors', enabled: true });
    const withheld = await link.hear('withheld');
    expect(withheld).toMatchObject({
      sync_status: 'plugin_set_incompatible',
      reason: expect.stringContaining("'cors'"),
    });
    expect(plane.log).toContainEqual(
      expect.stringMatching(
        /^warn serial 1 is withheld from 1 of 1 data planes, which keep their last config: edge-1: plugin 'cors'/,
      ),
    );
    expect(await recordOf(plane)).toMatchObject({ sync_status: 'plugin_set_incompatible', serial, reason: /cors/ });
    plane.feed.write(['delete', 'plugins', 'p1']);
    expect((await verify((await link.hear('manifest')).manifest)).serial).toBe(2);
  });

  test('forgets why a data plane refused a config when it came past that, by whatever way', async () => {
    const plane = await start();
    const link = await join(plane);
    const first = await verify((await link.hear('manifest')).manifest);
    link.say({ type: 'applied', serial: first.serial, config_hash: first.config_hash });
    plane.feed.put('routes', route('a'));
    const second = await verify((await link.hear('manifest')).manifest);
    link.say({ type: 'rejected', serial: second.serial, reason: 'the disk is full' });
    const beat = async ({ serial, config_hash }: Pick<Manifest, 'serial' | 'config_hash'>) => {
      link.say({ type: 'heartbeat', serial, config_hash });
      await link.hear('heartbeat');
      return recordOf(plane);
    };
    const refused = { reason: 'the disk is full', sync_status: 'unknown' };
    expect(await beat(first)).toMatchObject({ serial: first.serial, ...refused });
    expect(await beat(second)).toMatchObject({ serial: second.serial, reason: null, sync_status: 'normal' });
    // Damage to what it has: that it still has it mends nothing.
    link.say({ type: 'rejected', serial: second.serial, reason: 'the disk is full' });
    expect(await beat(second)).toMatchObject({ serial: second.serial, ...refused });
  });

  test('shows no data plane as up to date that is gone', async () => {
    const plane = await start();
    const view = clusterView(plane.registry, plane.listener);
    const link = await join(plane);
    const { serial, config_hash } = await verify((await link.hear('manifest')).manifest);
    link.say({ type: 'applied', serial, config_hash });
    const status = async () => (await view.dataPlanes({ size: 10 })).rows[0]?.sync_status;
    await expect.poll(status).toBe('normal');
    link.socket.close();
    await expect.poll(status).toBe('unknown');
    expect(plane.log.filter((line) => line.startsWith('notice '))).toEqual([
      expect.stringContaining('is connected by a WebSocket, holding serial none'),
      expect.stringContaining('is disconnected: it hung up'),
    ]);
  });

  test('names what the runtime of a data plane cannot honour, until the config no longer asks for it', async () => {
    const plane = await start();
    plane.feed.put('routes', { ...route('a'), preserve_host: true }, { ...route('b'), protocols: ['grpc'] });
    await plane.publisher.flush();
    const view = clusterView(plane.registry, plane.listener);
    const link = await join(plane, hello({ capabilities: ['upstream_host'] }));
    await link.hear('manifest');
    const conflicts = [
      {
        entity: 'routes',
        id: 'b',
        name: 'b',
        capability: 'inbound_http2',
        reason: '\'protocols\' is "grpc", which needs HTTP/2 and gRPC from clients (`http2` of `proxy_listen`)',
      },
    ];
    expect((await view.dataPlane(NODE_ID))?.conflicts).toEqual(conflicts);
    expect(plane.log.filter((line) => line.includes('cannot honour routes b'))).toHaveLength(1);
    plane.feed.put('routes', route('b'));
    await link.hear('manifest');
    expect((await view.dataPlane(NODE_ID))?.conflicts).toEqual([]);
  });

  test.each<[string, Parameters<typeof hello>[0], string]>([
    ['newer in its minor version', { version: '1.3.0' }, 'kong_version_incompatible'],
    ['of another major version', { version: '0.9.0' }, 'kong_version_incompatible'],
    ['with a newer configured plugin', { plugins: { cors: '3.10.0' } }, 'plugin_version_incompatible'],
    ['of another group', { group: 'canary' }, 'unknown'],
  ])('withholds config from a data plane %s', async (_, node, status) => {
    const feed = new MemoryFeed();
    feed.put('plugins', { id: 'p1', name: 'cors', enabled: true });
    const plane = await start({ feed });
    const link = await join(plane, hello(node));
    expect((await link.hear('withheld')).sync_status).toBe(status);
  });

  test('takes up the serial of a data plane that holds more than a restored database', async () => {
    const earlier = await start();
    earlier.feed.put('routes', route('a'));
    for (let n = 0; n < 20; n++) earlier.feed.put('routes', { ...route('a'), name: `v${n}` });
    await earlier.publisher.flush();
    const held = earlier.publisher.current();
    const restored = new MemoryFeed();
    restored.put('routes', route('a'));
    const plane = await start({ feed: restored });
    const link = await join(plane, hello({}, held.jws));
    expect((await verify((await link.hear('manifest')).manifest)).serial).toBeGreaterThan(held.manifest.serial);
    const empty = await start();
    const other = await join(empty, hello({}, held.jws));
    expect(await other.hear('withheld')).toMatchObject({ reason: expect.stringContaining('now has 0') });
  });

  test('gives no weight to a manifest of another cluster in a hello', async () => {
    const plane = await start();
    const forged = `${(await verify(plane.publisher.current().jws)).serial}.e30.AAAA`;
    const link = await join(plane, hello({}, forged));
    await link.hear('manifest');
    expect(plane.log).toContainEqual(expect.stringContaining('holds a manifest that is not of this cluster'));
  });

  test.each<[string, string]>([
    ['is not JSON', '{'],
    ['begins with something else than a hello', '{"type":"applied","serial":1,"config_hash":"x"}'],
    ['has a hello without a node', '{"type":"hello","manifest":null}'],
    ['has a node id that is none', JSON.stringify(hello({ id: '../../etc' }))],
  ])('closes a connection that %s, and stays up', async (_, text) => {
    const plane = await start();
    const link = await TestLink.open(plane.port);
    links.push(link);
    link.socket.send(text);
    expect(await link.closed()).toBe(4400);
    expect(plane.log).toContainEqual(expect.stringContaining('closing the link: '));
    await (await join(plane)).hear('manifest');
  });

  test('closes a connection that sends more than the largest payload', async () => {
    const plane = await start();
    const link = await join(plane);
    await link.hear('manifest');
    link.socket.send('x'.repeat(5 << 20));
    expect(await link.closed()).toBe(1009);
  });

  test('ignores messages of a type it does not know', async () => {
    const plane = await start();
    const link = await join(plane);
    await link.hear('manifest');
    link.socket.send('{"type":"from the future"}');
    link.say({ type: 'heartbeat', serial: null, config_hash: null });
    await link.hear('heartbeat');
  });

  test('ends alone by a fault of this end, and goes on with the next connection', async () => {
    const plane = await start();
    const fault = vi.spyOn(plane.publisher, 'missing').mockImplementation(() => {
      throw new Error('out of order');
    });
    const link = await join(plane);
    expect(await link.closed()).toBe(1011);
    expect(plane.log).toContainEqual(expect.stringContaining('closing the link: out of order'));
    fault.mockRestore();
    await (await join(plane)).hear('manifest');
  });

  test('lets the newer of two connections of one node have its place', async () => {
    const plane = await start();
    const first = await join(plane);
    await first.hear('manifest');
    const second = await join(plane);
    await second.hear('manifest');
    expect(await first.closed()).toBe(4409);
    plane.listener.setTargetHealth({ upstream: 'u', target: 't', address: null, healthy: false });
    expect(await second.hear('target_health')).toMatchObject({ upstream: 'u', healthy: false });
    expect([...plane.listener.nodes.connected()]).toHaveLength(1);
  });

  test('ends when the certificate of the data plane has expired', async () => {
    const plane = await start();
    const link = await join(plane);
    await link.hear('manifest');
    link.say({ type: 'heartbeat', serial: null, config_hash: null });
    await link.hear('heartbeat');
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 4 * 365 * 86_400_000 });
    const closed = link.closed();
    link.say({ type: 'heartbeat', serial: null, config_hash: null });
    expect(await closed).toBe(4403);
    expect(plane.log).toContainEqual(expect.stringContaining('the client certificate has expired'));
  });

  test('goes on while the database is away, and writes the nodes down when it is back', async () => {
    const plane = await start();
    plane.registry.failure = new Error('connection terminated');
    const link = await join(plane);
    await link.hear('manifest');
    await plane.listener.nodes.flush();
    expect(plane.log).toContainEqual(expect.stringContaining('cannot write down the state of data planes'));
    plane.registry.failure = null;
    expect((await recordOf(plane))?.hostname).toBe('edge-1');
  });
});

describe('the HTTPS form', () => {
  const say = (plane: ControlPlane, message: unknown, node = NODE_ID, port = plane.port) =>
    call(port, `/v1/status?node=${node}`, { method: 'POST', body: JSON.stringify(message) });
  const ask = (plane: ControlPlane, wait: number, etag?: string) =>
    call(plane.port, `/v1/manifest?node=${NODE_ID}&wait=${wait}`, {
      headers: etag === undefined ? {} : { 'if-none-match': etag },
    });

  test('gives the manifest once, holds the next question until there is news, and notes what is said', async () => {
    const plane = await start();
    expect((await ask(plane, 0)).status).toBe(428);
    const greeting = hello();
    expect((await say(plane, greeting)).status).toBe(204);
    const first = await ask(plane, 0);
    const { manifest } = JSON.parse(first.body.toString());
    const { serial, config_hash } = await verify(manifest);
    expect(first.headers.etag).toBe(`"${serial}-${config_hash}"`);
    expect((await ask(plane, 0, first.headers.etag)).status).toBe(304);
    await say(plane, { type: 'applied', serial, config_hash });
    expect(await recordOf(plane)).toMatchObject({ sync_status: 'normal', serial });
    const waiting = ask(plane, 30, first.headers.etag);
    plane.feed.put('routes', route('a'));
    const second = await waiting;
    expect((await verify(JSON.parse(second.body.toString()).manifest)).serial).toBe(1);
    const order = ask(plane, 30, second.headers.etag);
    plane.listener.setTargetHealth({ upstream: 'u', target: 't', address: null, healthy: true });
    const message = JSON.parse((await order).body.toString());
    expect(await new OrderReader(greeting).read(message)).toMatchObject({ type: 'target_health', target: 't' });
  });

  test('answers 409 while config is withheld, and holds the question when that is known', async () => {
    const feed = new MemoryFeed();
    feed.put('plugins', { id: 'p1', name: 'cors', enabled: true });
    const plane = await start({ feed });
    const greeting = hello({ plugins: {} });
    await say(plane, greeting);
    const first = await ask(plane, 0);
    expect(first.status).toBe(409);
    const withheld = await new OrderReader(greeting).read(JSON.parse(first.body.toString()));
    expect(withheld).toMatchObject({ type: 'withheld', sync_status: 'plugin_set_incompatible' });
    const waiting = ask(plane, 30, first.headers.etag);
    feed.write(['delete', 'plugins', 'p1']);
    expect((await waiting).status).toBe(200);
  });

  test('refuses what it does not understand', async () => {
    const plane = await start();
    expect((await say(plane, { type: 'hello' })).status).toBe(400);
    expect((await say(plane, hello(), 'someone-else')).status).toBe(400);
    expect((await say(plane, { type: 'heartbeat', serial: null, config_hash: null })).status).toBe(428);
    expect((await call(plane.port, '/v1/objects/../../etc/passwd')).status).toBe(404);
    expect((await call(plane.port, `/v1/objects/${'0'.repeat(64)}`)).status).toBe(404);
    expect((await call(plane.port, '/')).status).toBe(404);
  });

  test('forgets a data plane that fell silent, and keeps one that speaks', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    const plane = await start();
    const [silent, speaking] = [hello({ id: crypto.randomUUID() }), hello()];
    await say(plane, silent, silent.node.id);
    await say(plane, speaking);
    await plane.listener.nodes.flush();
    // Longer than a question may be held open and a heartbeat may take.
    for (let passed = 0; passed < 150; passed += 30) {
      vi.advanceTimersByTime(30_000);
      await say(plane, { type: 'heartbeat', serial: null, config_hash: null });
    }
    expect(plane.listener.nodes.get(silent.node.id)).toBeUndefined();
    expect(plane.listener.nodes.get(NODE_ID)).toBeDefined();
    await plane.listener.nodes.flush();
    expect(plane.registry.records.get(silent.node.id)).toMatchObject({ connected: false });
    expect(plane.registry.records.get(NODE_ID)).toMatchObject({ connected: true });
    const late = await say(plane, { type: 'heartbeat', serial: null, config_hash: null }, silent.node.id);
    expect(late.status).toBe(428);
  });

  test('gives nothing more over a connection whose certificate has expired meanwhile', async () => {
    const plane = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...sharedClient });
    onTestFinished(() => agent.destroy());
    const get = () =>
      new Promise<number>((resolve, reject) => {
        const sent = request({ host: '127.0.0.1', port: plane.port, path: '/v1/challenge', agent }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0));
        });
        sent.on('error', reject).end();
      });
    expect(await get()).toBe(200);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 4 * 365 * 86_400_000 });
    expect(await get()).toBe(403);
  });

  test('takes statuses, and gives no config, on the telemetry port', async () => {
    const plane = await start();
    const telemetry = plane.listener.telemetryAddresses[0]?.port ?? 0;
    await say(plane, hello());
    const health = { upstream: { target: { dns: null, health: 'DNS_ERROR', addresses: [] } } };
    const told = await say(plane, { type: 'heartbeat', serial: null, config_hash: null, health }, NODE_ID, telemetry);
    expect(told.status).toBe(204);
    expect(plane.listener.nodes.get(NODE_ID)?.record.health).toEqual(health);
    expect((await call(telemetry, `/v1/manifest?node=${NODE_ID}`)).status).toBe(404);
  });
});

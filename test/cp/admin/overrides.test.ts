import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type {
  ClusterView,
  CopyPurge,
  DataPlaneDetail,
  NodeUpstreamHealth,
  ServedSerial,
  TargetHealthOrder,
} from '../../../cp/admin/cluster/cluster-view.ts';
import { authority } from '../pki/authority.ts';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { createEmbedded, type Database } from './drivers.ts';
import { emptyDatabase } from './empty-database.ts';

const dataPlane: DataPlaneDetail = {
  id: '8f0a5c1e-54a6-4b43-8a70-6d1f0e7d2c11',
  hostname: 'edge-1',
  ip: '10.0.0.9',
  version: '3.9.3',
  config_hash: 'a'.repeat(32),
  sync_status: 'plugin_set_incompatible',
  last_seen: 1_700_000_000,
  updated_at: 1_700_000_000,
  ttl: 1000,
  labels: { zone: 'a' },
  cert_details: { expiry_timestamp: 1_800_000_000 },
  rpc_capabilities: [],
  serial: 7,
  rejection_reason: "no plugin 'ldap-auth'",
  host: 'workerd',
  state: 'connected',
  connected: true,
  plugins: { 'key-auth': '3.9.3' },
  capabilities: ['tcp_connect'],
  load_ms: 12,
  conflicts: [],
  history: [{ at: 1_700_000_000, change: 'applied', serial: 7, config_hash: 'a'.repeat(32), reason: null }],
  refused_claim: null,
  group: 'default',
};

describe('what the Admin API does differently for single entities', () => {
  let database: Database;
  let admin: AdminServer;
  let health: NodeUpstreamHealth[] = [];
  const orders: TargetHealthOrder[] = [];
  const purges: CopyPurge[] = [];
  let served: ServedSerial[] = [];
  let copies: ClusterView['copy'] = async () => ({ outcome: 'none' });
  const cluster: { -readonly [name in keyof ClusterView]: ClusterView[name] } = {
    dataPlanes: async ({ offset }) =>
      offset === undefined ? { rows: [dataPlane], offset: 'next' } : { rows: [{ ...dataPlane, id: 'b' }] },
    dataPlane: async (id) => (id === dataPlane.id ? dataPlane : null),
    upstreamsOf: async (id) =>
      id === dataPlane.id ? [{ id: 'u', name: 'pool', workspace: 'default', targets: [] }] : null,
    targetHealth: async () => health,
    setTargetHealth: async (order) => void orders.push(order),
    explain: async () => ({ outcome: 'disconnected' }),
    replay: async () => ({ outcome: 'disconnected' }),
    purge: async (order) => void purges.push(order),
    setLogLevel: async () => {},
    copy: (key, plugin) => copies(key, plugin),
    forget: async (id) => id === dataPlane.id,
    groups: () => ['eu', 'default'],
    group: () => ({ trouble: null, serial: 7, config_hash: 'f'.repeat(32) }),
    serials: async () => served,
    settle: async () => {},
    certain: (serial) => serial,
    reach: () => ({ serial: 7, trouble: null, connected: 0, withheld: [] }),
    unreached: async () => null,
  };

  beforeAll(async () => {
    database = await createEmbedded();
    const environment = { HOLDFAST_TRUSTED_IPS: '127.0.0.1', HOLDFAST_ADMIN_USER_HEADER: 'X-User' };
    admin = await startAdmin(database.settings, { cluster, environment });
  });
  afterAll(async () => {
    await admin?.close();
    await database?.drop();
  });
  beforeEach(() => emptyDatabase(admin));

  it('says of each write which config has it, and waits for the data planes that are to serve it', async () => {
    const made = await admin.send('POST', '/services', { json: { host: 'a' } });
    const serial = Number(made.headers.get('x-holdfast-serial'));
    const next = await admin.send('DELETE', `/services/${made.body.id}`);
    expect(Number(next.headers.get('x-holdfast-serial'))).toBe(serial + 1);
    for (const nothing of [await admin.send('GET', '/services'), await admin.send('POST', '/services', { json: {} })])
      expect(nothing.headers.has('x-holdfast-serial')).toBe(false);

    const node = (hostname: string, now: number | null, reason: string | null = null, connected = true) => ({
      id: `${hostname}-id`,
      hostname,
      connected,
      group: hostname === 'new' ? 'eu' : 'default',
      serial: now,
      reason,
    });
    served = [node('old', serial, 'no plugin acl'), node('new', serial + 1), node('gone', serial + 5, null, false)];
    const wait = (path: string) => admin.send('GET', `/wait${path}`);
    expect(await wait(`/${serial}`)).toMatchObject({
      status: 200,
      body: {
        serial,
        nodes: [
          { id: 'old-id', hostname: 'old', serial },
          { hostname: 'new', serial: serial + 1 },
        ],
      },
    });
    expect(await wait('?group=eu&timeout=0')).toMatchObject({ status: 200, body: { nodes: [{ hostname: 'new' }] } });
    expect(await wait('?group=us')).toMatchObject({ status: 400, body: { message: "group: there is no group 'us'" } });
    expect(await wait('?nodes=new&timeout=0')).toMatchObject({ status: 200, body: { serial: serial + 1 } });
    expect(await wait('?timeout=0.1')).toMatchObject({
      status: 504,
      body: { message: `serial ${serial + 1} is not served after 0.1 s: old serves ${serial} (no plugin acl)` },
    });
    expect((await wait(`/${serial}?nodes=gone,%20never,new-id&timeout=0`)).body.message).toBe(
      `serial ${serial} is not served after 0 s: gone is not connected; never is not connected`,
    );
    const later = wait('?nodes=old');
    served = [node('old', serial + 2)];
    expect((await later).status).toBe(200);
    served = [];
    expect((await wait('?timeout=0')).body.message).toContain('no data plane is connected');
    for (const path of ['/x', '/-1', '?timeout=a', '?timeout=301']) expect((await wait(path)).status).toBe(400);
  });

  it('asks nothing any more for a client that waited and has gone', async () => {
    let asked = 0;
    const { serials } = cluster;
    cluster.serials = async () => {
      asked++;
      return [];
    };
    onTestFinished(() => void Object.assign(cluster, { serials }));
    const leaving = new AbortController();
    const { signal } = leaving;
    const waiting = fetch(`${admin.url}/wait?timeout=300`, { signal }).catch(() => undefined);
    await vi.waitFor(() => expect(asked).toBeGreaterThan(1), 10_000);
    leaving.abort();
    await waiting;
    // Longer than the longest pause between two looks.
    await vi.waitFor(async () => {
      const before = asked;
      await new Promise((later) => setTimeout(later, 1_500));
      expect(asked).toBe(before);
    }, 10_000);
  });

  it('says that there is no data plane to ask where a request would go', async () => {
    const { status, body } = await admin.send('POST', '/debug/route', { json: { path: '/' } });
    expect([status, body]).toEqual([503, { message: 'no data plane is connected that could be asked' }]);
    const one = async (id: string) => {
      const answer = await admin.send('POST', `/debug/route?data_plane=${id}`, { json: { path: '/' } });
      return [answer.status, answer.body.message];
    };
    expect(await one('nobody')).toEqual([404, "there is no data plane 'nobody'"]);
    const elsewhere = `data plane '${dataPlane.id}' is connected to another control plane: ask there`;
    expect(await one(dataPlane.id)).toEqual([503, elsewhere]);
  });

  it('tells which certificates and keys are over soon, the first ones first', async () => {
    const at = (days: number) => new Date(Math.floor(Date.now() / 1000) * 1000 + days * 86_400_000);
    const ca = await authority('ends tomorrow');
    const leaf = async (days: number, snis: readonly string[]) => {
      const { cert, key } = await ca.leaf({ name: `in-${days}.test`, notAfter: at(days) });
      return (await admin.send('POST', '/certificates', { json: { cert, key, snis } })).body.id;
    };
    const [soon, , unnamed] = [await leaf(10, ['soon.test', 'a-soon.test']), await leaf(90, []), await leaf(25, [])];
    const { id: authorityId } = (await admin.send('POST', '/ca_certificates', { json: { cert: ca.pem } })).body;
    await admin.send('PUT', '/consumers/brief', { json: {} });
    const { id: key } = (await admin.send('POST', '/consumers/brief/key-auth', { json: { ttl: 3_600 } })).body;
    await admin.send('POST', '/consumers/brief/key-auth', { json: { ttl: 90 * 86_400 } });
    const { rows } = await admin.send('GET', '/expirations');
    expect(rows.map(({ entity, id, name, workspace }) => [entity, id, name, workspace])).toEqual([
      ['keyauth_credentials', key, 'brief', 'default'],
      ['ca_certificates', authorityId, 'ends tomorrow', null],
      ['certificates', soon, 'a-soon.test', 'default'],
      ['certificates', unnamed, 'in-25.test', 'default'],
    ]);
    expect(Math.abs(Number(rows[2]?.expires_at) * 1000 - at(10).getTime())).toBeLessThan(120_000);
    expect((await admin.send('GET', '/expirations?within=7200')).rows).toHaveLength(1);
    expect((await admin.send('GET', '/expirations?within=soon')).body).toEqual({
      message: "within: expected seconds, found 'soon'",
    });
    // What was read before is remembered, of a certificate and not of its row.
    const { cert, key: renewed } = await ca.leaf({ name: 'in-90.test', notAfter: at(90) });
    await admin.send('PATCH', `/certificates/${soon}`, { json: { cert, key: renewed } });
    const left = (await admin.send('GET', '/expirations')).rows.map(({ id }) => id);
    expect(left).toEqual([key, authorityId, unnamed]);
    for (const id of [soon, unnamed]) await admin.send('DELETE', `/certificates/${id}`);
    await admin.send('DELETE', `/ca_certificates/${authorityId}`);
    await admin.send('DELETE', '/consumers/brief');
  });

  it('tells what was written, transaction by transaction, the newest first, by name where there is one', async () => {
    const { id: kept } = (await admin.send('PUT', '/services/told', { json: { host: 'h' } })).body;
    const { id: gone } = (await admin.send('PUT', '/services/gone', { json: { host: 'h' } })).body;
    const { id: route } = (await admin.send('POST', '/services/gone/routes', { json: { paths: ['/g'] } })).body;
    await admin.send('DELETE', `/routes/${route}`);
    const headers = { 'user-agent': `deck/1.40.0 ${'\u00ad\t'.repeat(9)}${'x'.repeat(300)}`, 'x-user': 'mallory' };
    await admin.send('DELETE', '/services/gone', { headers });
    const first = await admin.send('GET', '/changes?size=3');
    const second = await admin.send('GET', String(first.body.next));
    const all = [...first.rows, ...second.rows].slice(0, 5);
    const change = (operation: string, entity: string, of: unknown, name: string | null) => [
      { operation, entity, id: of, name },
    ];
    expect(all.map(({ changes }) => changes)).toEqual([
      change('delete', 'services', gone, null),
      change('delete', 'routes', route, null),
      change('create', 'routes', route, null),
      change('create', 'services', gone, null),
      change('create', 'services', kept, 'told'),
    ]);
    const serials = all.map(({ serial }) => Number(serial));
    expect(serials).toEqual(Array.from(serials, (_, at) => (serials[0] ?? 0) - at));
    const by = { via: 'admin_api', user: 'mallory', address: '127.0.0.1', client: `deck/1.40.0 ${'x'.repeat(87)}…` };
    expect(all[0]).toMatchObject({ total: 1, at: expect.any(Number), by });
    expect(all[1]).toMatchObject({ by: { user: null, client: 'node' } });
    expect((await admin.send('GET', '/changes?offset=bm8=')).status).toBe(400);
  });

  it('reaches a certificate by its id and by any of its SNIs, which come and go with it', async () => {
    const ca = await authority('test');
    const { cert, key } = await ca.leaf({ name: 'a.test' });
    const made = await admin.send('POST', '/certificates', { json: { cert, key, snis: ['b.test', 'a.test'] } });
    expect(made).toMatchObject({ status: 201, body: { snis: ['a.test', 'b.test'] } });
    const id = String(made.body.id);
    expect((await admin.send('GET', '/certificates/b.test')).body).toEqual(made.body);
    expect((await admin.send('GET', '/certificates')).rows).toEqual([made.body]);
    expect((await admin.send('GET', '/certificates/a.test/snis')).rows.map(({ name }) => name).sort()).toEqual([
      'a.test',
      'b.test',
    ]);
    expect((await admin.send('GET', '/snis/a.test/certificate')).status).toBe(404);
    expect((await admin.send('GET', '/snis/a.test')).body.certificate).toEqual({ id });
    expect((await admin.send('GET', '/certificates/none.test')).body).toEqual({ message: 'SNI not found' });
    expect((await admin.send('GET', `/certificates/${dataPlane.id}`)).body).toMatchObject({ code: 6 });

    const clash = await admin.send('POST', '/certificates', { json: { cert, key, snis: ['a.test'] } });
    expect(clash).toMatchObject({
      status: 400,
      body: { code: 2, fields: { snis: `a.test already associated with existing certificate '${id}'` } },
    });
    expect((await admin.send('PATCH', '/certificates/a.test', { json: { snis: ['c.test'] } })).body.snis).toEqual([
      'c.test',
    ]);
    const byName = await admin.send('PUT', '/certificates/new.test', {
      form: new URLSearchParams({ cert, key }).toString(),
    });
    expect(byName).toMatchObject({ status: 200, body: { snis: ['new.test'] } });
    expect((await admin.send('PUT', `/certificates/${id}`, { json: { cert, key } })).body.snis).toEqual([]);
    expect((await admin.send('DELETE', '/certificates/new.test')).status).toBe(204);
    expect((await admin.send('GET', '/snis')).rows).toEqual([]);
  });

  it('compares server names regardless of case, and keeps them as they are written', async () => {
    const { cert, key } = await (await authority('test')).leaf({ name: 'a.test' });
    const { body } = await admin.send('POST', '/certificates', { json: { cert, key, snis: ['A.Test', 'b.test'] } });
    expect(body.snis).toEqual(['A.Test', 'b.test']);
    for (const name of ['a.test', 'A.TEST', 'B.Test'])
      expect((await admin.send('GET', `/certificates/${name}`)).body.id).toBe(body.id);
    expect((await admin.send('GET', '/snis/a.tesT')).body.name).toBe('A.Test');
    const reference = { id: body.id };
    expect(await admin.send('POST', '/snis', { json: { name: 'a.test', certificate: reference } })).toMatchObject({
      status: 409,
      body: { code: 5, fields: { name: 'a.test' } },
    });
    expect((await admin.send('POST', '/certificates', { json: { cert, key, snis: ['a.test'] } })).status).toBe(400);
    const twice = await admin.send('POST', '/certificates', { json: { cert, key, snis: ['c.test', 'C.test'] } });
    expect(twice).toMatchObject({ status: 400, body: { fields: { snis: 'C.test is duplicated' } } });
    const again = await admin.send('PUT', '/certificates/a.test', { json: { cert, key, snis: ['a.test'] } });
    expect(again).toMatchObject({ status: 200, body: { id: body.id, snis: ['A.Test'] } });
    expect((await admin.send('PUT', '/snis/A.test', { json: { certificate: reference } })).body.name).toBe('A.Test');
    expect((await admin.send('GET', '/snis')).rows).toHaveLength(1);
  });

  it('refuses what is no address for a target, in Kong’s words for a new one and for a change', async () => {
    await admin.send('POST', '/upstreams', { json: { name: 'a.test' } });
    const violation = (target: string) => ({
      status: 400,
      body: { code: 2, message: `schema violation (target: ${target})`, fields: { target } },
    });
    expect(
      await admin.send('POST', '/upstreams/a.test/targets', { json: { target: '123', weight: -1 } }),
    ).toMatchObject(violation('Invalid target; not a valid hostname or ip address'));
    await admin.send('POST', '/upstreams/a.test/targets', { form: 'target=b.test' });
    expect(
      await admin.send('PATCH', '/upstreams/a.test/targets/b.test:8000', { json: { target: '123' } }),
    ).toMatchObject(violation("Invalid target ('123'); not a valid hostname or ip address"));
    expect(await admin.send('POST', '/upstreams/none/targets', { json: { target: '123' } })).toMatchObject({
      status: 404,
    });
  });

  it('lists targets newest first, by id or address, under their upstream only', async () => {
    await admin.send('POST', '/upstreams', { json: { name: 'u.test' } });
    await admin.send('POST', '/upstreams', { json: { name: 'other.test' } });
    for (const target of ['10.0.0.1', 'b.test:81', '[::1]:82']) {
      expect((await admin.send('POST', '/upstreams/u.test/targets', { json: { target } })).status).toBe(201);
    }
    const { rows } = await admin.send('GET', '/upstreams/u.test/targets');
    const newest = rows.map(({ target }) => target);
    expect(newest).toEqual(['[0000:0000:0000:0000:0000:0000:0000:0001]:82', 'b.test:81', '10.0.0.1:8000']);
    const second = await admin.send('GET', '/upstreams/u.test/targets?size=2');
    expect(second.body).toMatchObject({ offset: '2', next: '/upstreams/u.test/targets?offset=2' });
    expect((await admin.send('GET', '/upstreams/u.test/targets?size=2&offset=2')).rows).toEqual(rows.slice(2));

    expect(await admin.send('POST', '/upstreams/u.test/targets', { json: { target: 'b.test:81' } })).toMatchObject({
      status: 409,
      body: { code: 5, fields: { target: 'b.test:81' } },
    });
    for (const key of ['b.test:81', rows[1]?.id]) {
      const elsewhere = `/upstreams/other.test/targets/${key}`;
      const answers = [
        await admin.send('GET', elsewhere),
        await admin.send('PATCH', elsewhere, { json: { weight: 0 } }),
        await admin.send('PUT', elsewhere, { json: { weight: 0 } }),
        await admin.send('DELETE', elsewhere),
        await admin.send('PUT', `${elsewhere}/unhealthy`),
      ];
      expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
    }
    expect(orders).toEqual([]);
    expect((await admin.send('GET', '/upstreams/u.test/targets')).rows).toEqual(rows);
    expect(
      (await admin.send('PATCH', '/upstreams/u.test/targets/b.test:81', { json: { weight: 0 } })).body.weight,
    ).toBe(0);
    expect((await admin.send('PUT', '/upstreams/u.test/targets/none.test:1', { json: {} })).status).toBe(404);
    expect((await admin.send('DELETE', '/upstreams/u.test/targets/b.test:81')).status).toBe(204);
    expect((await admin.send('GET', '/upstreams/u.test/targets/all')).rows).toHaveLength(2);
    for (const path of ['/targets', `/targets/${rows[0]?.id}`, `/targets/${rows[0]?.id}/upstream`]) {
      expect(await admin.send('GET', path)).toMatchObject({ status: 404, body: { message: 'Not found' } });
      expect((await admin.send('DELETE', path)).status).toBe(404);
    }
  });

  it('tells an upstream’s health by what the data planes see, and passes manual marks on to them', async () => {
    const { body: upstream } = await admin.send('POST', '/upstreams', {
      json: { name: 'h.test', healthchecks: { passive: { unhealthy: { tcp_failures: 1 } } } },
    });
    const { body: target } = await admin.send('POST', '/upstreams/h.test/targets', { json: { target: '10.0.0.1:80' } });
    health = [];
    expect((await admin.send('GET', '/upstreams/h.test/health')).body).toMatchObject({
      data: [
        { target: '10.0.0.1:80', health: 'HEALTHY', data: { host: '10.0.0.1', port: 80, weight: { total: 100 } } },
      ],
      next: null,
      node_id: '3a7c1f0e-7f0b-4d4c-9b0a-0a2d6f8f2f11',
    });
    // Counts of active checks that never run are no checks.
    await admin.send('POST', '/upstreams', {
      json: { name: 'idle.test', healthchecks: { active: { healthy: { successes: 2 } } } },
    });
    await admin.send('POST', '/upstreams/idle.test/targets', { json: { target: '10.0.0.1:80' } });
    expect((await admin.send('GET', '/upstreams/idle.test/health')).rows[0]).toMatchObject({
      health: 'HEALTHCHECKS_OFF',
    });
    const seen = (one: 'HEALTHY' | 'UNHEALTHY') => ({
      [String(target.id)]: {
        dns: 'A',
        health: one,
        addresses: [{ ip: '10.0.0.1', port: 80, weight: 100, health: one }],
      },
    });
    health = [
      { node: { id: 'n1', hostname: 'one' }, targets: seen('HEALTHY') },
      { node: { id: 'n2', hostname: 'two' }, targets: seen('UNHEALTHY') },
    ];
    expect((await admin.send('GET', '/upstreams/h.test/health')).rows[0]).toMatchObject({
      health: 'UNHEALTHY',
      data: { weight: { total: 100, unavailable: 100, available: 0 } },
      data_planes: [
        { hostname: 'one', health: 'HEALTHY' },
        { hostname: 'two', health: 'UNHEALTHY' },
      ],
    });
    expect((await admin.send('GET', '/upstreams/h.test/health?balancer_health=1')).body).toMatchObject({
      data: { health: 'UNHEALTHY', id: upstream.id },
    });
    const lost = { [String(target.id)]: { dns: null, health: 'DNS_ERROR', addresses: [] } } as const;
    health = [{ node: { id: 'n1', hostname: 'one' }, targets: lost }];
    expect((await admin.send('GET', '/upstreams/h.test/health')).rows[0]).toMatchObject({
      health: 'DNS_ERROR',
      data: { weight: { total: 0, unavailable: 0, available: 0 }, addresses: [] },
    });

    expect((await admin.send('PUT', '/upstreams/h.test/targets/10.0.0.1:80/unhealthy')).status).toBe(204);
    expect((await admin.send('PUT', `/upstreams/h.test/targets/${target.id}/10.0.0.1:80/healthy`)).status).toBe(204);
    expect((await admin.send('PUT', '/upstreams/h.test/targets/10.9.9.9:80/healthy')).status).toBe(404);
    expect(orders).toEqual([
      { upstream: upstream.id, target: target.id, address: null, healthy: false },
      { upstream: upstream.id, target: target.id, address: '10.0.0.1:80', healthy: true },
    ]);
  });

  it('shows and purges cached responses of its data planes, of the workspace that is asked', async () => {
    const key = 'a'.repeat(64);
    const config = { strategy: 'memory' };
    const { body: plugin } = await admin.send('POST', '/plugins', { json: { name: 'proxy-cache', config } });
    await admin.send('POST', '/workspaces', { json: { name: 'other' } });
    const answers = async (method: 'GET' | 'DELETE', path: string) => (await admin.send(method, path)).status;

    copies = async () => ({ outcome: 'none' });
    expect(await answers('GET', `/proxy-cache/${key}`)).toBe(404);
    expect(await answers('DELETE', `/proxy-cache/${key}`)).toBe(404);
    copies = async () => ({ outcome: 'unknown' });
    expect(await answers('GET', `/proxy-cache/${key}`)).toBe(504);
    copies = async (name, of) => ({ outcome: 'found', node: 'n1', body: { plugin: plugin.id, status: 200, name, of } });
    expect((await admin.send('GET', `/proxy-cache/${plugin.id}/caches/${key}`)).body).toEqual({
      ...{ status: 200, name: key, of: plugin.id },
      ...{ plugin_id: plugin.id, data_plane: 'n1' },
    });
    expect(await answers('GET', `/other/proxy-cache/${key}`)).toBe(404);
    expect(await answers('GET', `/proxy-cache/${crypto.randomUUID()}/caches/${key}`)).toBe(404);
    expect(await answers('GET', `/proxy-cache/${'A'.repeat(64)}`)).toBe(404);

    expect(purges).toEqual([]);
    expect(await answers('DELETE', `/proxy-cache/${key}`)).toBe(204);
    expect(await answers('DELETE', '/proxy-cache')).toBe(204);
    expect(await answers('DELETE', '/other/proxy-cache')).toBe(204);
    expect(purges).toEqual([
      { of: 'key', name: key },
      { of: 'plugin', name: plugin.id },
    ]);
  });

  it('takes an ACL group’s name for its id', async () => {
    await admin.send('POST', '/consumers', { json: { username: 'ann' } });
    const put = await admin.send('PUT', '/consumers/ann/acls/admins', { json: {} });
    expect(put).toMatchObject({ status: 200, body: { group: 'admins' } });
    expect((await admin.send('GET', '/consumers/ann/acls/admins')).body).toEqual(put.body);
    const again = await admin.send('PUT', '/consumers/ann/acls/admins', { form: 'tags=x' });
    expect(again.body).toMatchObject({ id: put.body.id, group: 'admins', tags: ['x'] });
    expect((await admin.send('GET', '/consumers/ann/acls/nobody')).status).toBe(404);
    expect((await admin.send('DELETE', '/consumers/ann/acls/admins')).status).toBe(204);
    expect((await admin.send('GET', '/acls')).rows).toEqual([]);
  });

  it('groups consumers, seen from either side, all of a request or none', async () => {
    const { body: ann } = await admin.send('POST', '/consumers', { json: { username: 'ann' } });
    const { body: bob } = await admin.send('POST', '/consumers', { json: { username: 'bob' } });
    const { body: gold } = await admin.send('POST', '/consumer_groups', { json: { name: 'gold' } });

    const missing = await admin.send('POST', '/consumer_groups/gold/consumers', { json: { consumer: ['ann', 'eve'] } });
    expect(missing).toMatchObject({ status: 404, body: { message: "Consumer 'eve' not found" } });
    expect((await admin.send('GET', '/consumer_groups/gold/consumers')).rows).toEqual([]);

    const added = await admin.send('POST', '/consumer_groups/gold/consumers', { json: { consumer: ['ann', 'bob'] } });
    expect(added).toMatchObject({ status: 201, body: { consumer_group: gold, consumers: [ann, bob] } });
    expect(await admin.send('POST', '/consumers/ann/consumer_groups', { form: 'group=gold' })).toMatchObject({
      status: 409,
      body: { code: 5, message: "Consumer 'ann' already in group 'gold'" },
    });
    expect((await admin.send('GET', '/consumers/ann/consumer_groups')).body).toEqual({
      data: [gold],
      next: null,
      consumer_groups: [gold],
    });
    const shown = await admin.send('GET', '/consumer_groups/gold');
    expect(shown.body).toMatchObject({ consumer_group: gold });
    expect(shown.body.consumers).toHaveLength(2);
    expect((await admin.send('GET', '/consumer_groups/gold?list_consumers=false')).body).toEqual({
      consumer_group: gold,
    });

    expect((await admin.send('DELETE', '/consumers/ann/consumer_groups/gold')).status).toBe(204);
    expect((await admin.send('GET', '/consumer_groups/gold/consumers/ann')).status).toBe(404);
    expect((await admin.send('DELETE', '/consumers/bob')).status).toBe(204);
    expect((await admin.send('GET', '/consumer_groups/gold/consumers')).rows).toEqual([]);
    expect((await admin.send('POST', '/consumer_groups/gold/consumers', { json: {} })).status).toBe(400);
  });

  it('binds plugins to a group, and shows the field only where it is set', async () => {
    const { body: gold } = await admin.send('POST', '/consumer_groups', { json: { name: 'gold' } });
    const { body: ann } = await admin.send('POST', '/consumers', { json: { username: 'ann' } });
    const bound = await admin.send('POST', '/consumer_groups/gold/plugins', {
      json: { name: 'rate-limiting', config: { minute: 5 } },
    });
    expect(bound).toMatchObject({ status: 201, body: { consumer_group: { id: gold.id }, consumer: null } });
    expect((await admin.send('GET', '/consumer_groups/gold/plugins')).rows).toEqual([bound.body]);
    expect((await admin.send('GET', `/plugins/${bound.body.id}/consumer_group`)).body).toEqual(gold);
    const again = await admin.send('POST', '/plugins', {
      json: { name: 'rate-limiting', consumer_group: { id: gold.id }, config: { minute: 6 } },
    });
    expect(again).toMatchObject({ status: 409, body: { code: 5 } });

    const global = await admin.send('POST', '/plugins', { json: { name: 'rate-limiting', config: { minute: 9 } } });
    expect(Object.keys(global.body)).not.toContain('consumer_group');
    const { body: schema } = await admin.send('GET', '/schemas/plugins');
    expect(JSON.stringify(schema)).not.toContain('consumer_group');

    const both = { name: 'cors', consumer: { id: ann.id }, consumer_group: { id: gold.id } };
    expect((await admin.send('POST', '/plugins', { json: both })).status).toBe(400);
    const authenticates = await admin.send('POST', '/consumer_groups/gold/plugins', { json: { name: 'key-auth' } });
    expect(authenticates).toMatchObject({ status: 400, body: { fields: { consumer_group: 'value must be null' } } });

    const moved = await admin.send('PATCH', `/plugins/${bound.body.id}`, {
      json: { consumer_group: null, consumer: { id: ann.id } },
    });
    expect(moved).toMatchObject({ status: 200, body: { consumer: { id: ann.id } } });
    expect(Object.keys(moved.body)).not.toContain('consumer_group');
    await admin.send('POST', '/consumer_groups/gold/plugins', {
      json: { name: 'rate-limiting', config: { minute: 5 } },
    });
    expect((await admin.send('DELETE', '/consumer_groups/gold')).status).toBe(204);
    expect((await admin.send('GET', '/plugins')).rows).toHaveLength(2);
  });

  it('shows all members of a group, however many there are', async () => {
    const { body: crowd } = await admin.send('POST', '/consumer_groups', { json: { name: 'crowd' } });
    const workspace = await admin.store.workspace('default');
    const names = Array.from({ length: 1001 }, (_, i) => ({ username: `member-${i}` }));
    const members = (await workspace?.entity('consumers').insertMany(names)) ?? [];
    await workspace
      ?.entity('consumer_group_consumers')
      .insertMany(members.map(({ id }) => ({ consumer_group: { id: crowd.id }, consumer: { id } })));
    expect((await admin.send('GET', '/consumer_groups/crowd')).body.consumers).toHaveLength(1001);
    expect((await admin.send('DELETE', '/consumer_groups/crowd/consumers')).status).toBe(204);
    expect((await admin.send('GET', '/consumer_groups/crowd')).body.consumers).toEqual([]);
    await workspace?.entity('consumers').deleteMany(members.map(({ id }) => String(id)));
  });

  it('shows the data planes of the cluster', async () => {
    const { host, connected, plugins, capabilities, conflicts, ...record } = dataPlane;
    const page = await admin.send('GET', '/clustering/data-planes?size=1');
    expect(page.rows[0]).toMatchObject(record);
    expect(page.body).toMatchObject({ offset: 'next', next: '/clustering/data-planes?offset=next&size=1' });
    expect((await admin.send('GET', `/clustering/data-planes/${dataPlane.id}`)).body).toEqual({
      ...record,
      ...{ host, connected, plugins, capabilities, conflicts },
    });
    expect((await admin.send('GET', '/clustering/data-planes/none')).status).toBe(404);
    expect((await admin.send('GET', `/clustering/data-planes/${dataPlane.id}/upstreams`)).body).toEqual({
      data: [{ id: 'u', name: 'pool', workspace: 'default', targets: [] }],
    });
    expect((await admin.send('GET', '/clustering/data-planes/none/upstreams')).status).toBe(404);
    expect((await admin.send('DELETE', `/clustering/data-planes/${dataPlane.id}`)).status).toBe(204);
    expect((await admin.send('DELETE', '/clustering/data-planes/none')).status).toBe(404);
    const status = await admin.send('GET', '/clustering/status');
    expect(status.headers.get('deprecation')).toBe('true');
    expect(Object.keys(status.body)).toEqual([dataPlane.id, 'b']);
  });
});

describe('with router_flavor expressions', () => {
  it('takes routes by expression, shows that in its schema, and refuses both ways at once', async () => {
    const database = await createEmbedded();
    const admin = await startAdmin(database.settings, { routerFlavor: 'expressions' });
    const expression = 'http.path ^= "/a"';
    const made = await admin.send('POST', '/routes', {
      form: new URLSearchParams({ name: 'e', expression, priority: '7' }).toString(),
    });
    expect(made).toMatchObject({ status: 201, body: { expression, priority: 7 } });
    expect((await admin.send('GET', '/routes/e')).body).toEqual(made.body);
    expect((await admin.send('GET', '/schemas/routes')).text).toContain('"expression"');
    expect(await admin.send('POST', '/routes', { json: { expression, paths: ['/a'] } })).toMatchObject({
      status: 400,
      body: { code: 2 },
    });
    expect(admin.log).toEqual([]);
    await admin.close();
    await database.drop();
  });
});

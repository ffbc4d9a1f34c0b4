import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from '../../../cp/store/open.ts';
import type { Store, Workspace } from '../../../cp/store/store.ts';
import type { Row } from '../../../shared/record.ts';
import { authority } from '../pki/authority.ts';
import { onBothDrivers } from './drivers.ts';
import { refusalBody, workspaceOf } from './workspace-of.ts';

const PAIR = { cert: '{vault://env/cert}', key: '{vault://env/key}' };

onBothDrivers('behaviour of', (backend) => {
  let store: Store;
  let here: Workspace;
  const log: string[] = [];
  beforeAll(async () => {
    store = await openStore(await backend.fresh(), {
      migrate: true,
      log: (level, message) => log.push(`${level} ${message}`),
    });
    here = await workspaceOf(store);
  });
  afterAll(() => store.close());

  async function sniNames(certificate: Row): Promise<unknown[]> {
    const parent = { field: 'certificate', id: String(certificate.id) };
    return (await here.entity('snis').page({ parent })).rows.map((row) => row.name).sort();
  }

  test('plugins: the log is told of fields of former versions, unless they are what was their default', async () => {
    const plugins = here.entity('plugins');
    const http_endpoint = 'http://collector.test/';
    const told = async (write: Promise<Row>): Promise<readonly string[]> => {
      log.length = 0;
      await write;
      return [...log];
    };
    const plain = { http_endpoint, retry_count: 10, queue_size: 1, flush_timeout: 2 };
    expect(await told(plugins.insert({ name: 'http-log', config: plain }))).toEqual([]);
    const former = { http_endpoint, retry_count: 11, queue_size: 2, flush_timeout: 3 };
    const service = await here.entity('services').insert({ host: 'deprecated.test' });
    const made = plugins.insert({ name: 'http-log', service: { id: service.id }, config: former });
    expect(await told(made)).toEqual([
      'warn http-log: config.retry_count no longer works, please use config.queue.max_retry_time instead',
      'warn http-log: config.queue_size is deprecated, please use config.queue.max_batch_size instead',
      'warn http-log: config.flush_timeout is deprecated, please use config.queue.max_coalescing_delay instead',
    ]);
    const { id } = await made;
    const now = { config: { retry_count: null, queue_size: null, flush_timeout: 2 } };
    expect(await told(plugins.update({ id: String(id) }, now))).toEqual([]);
    // By its former name alone; one that has a field under both of them is of before.
    const limits = { minute: 5, policy: 'redis', redis_host: 'redis.test' };
    const limited = plugins.insert({ name: 'rate-limiting', config: limits });
    expect(await told(limited)).toEqual([
      'warn rate-limiting: config.redis_host is deprecated, please use config.redis.host instead',
    ]);
    const changed = { config: { redis: { port: 6380 } } };
    expect(await told(plugins.update({ id: String((await limited).id) }, changed))).toEqual([]);
    const traced = { traces_endpoint: http_endpoint, header_type: 'jaeger', batch_span_count: 200 };
    const several = [traced, { ...traced, endpoint: http_endpoint, header_type: 'w3c' }];
    const rows = several.map((config, at) => ({ name: 'opentelemetry', instance_name: `otel-${at}`, config }));
    const bulk = plugins.insertMany([{ ...rows[0] }, { ...rows[1], service: { id: service.id } }]);
    expect(await told(bulk.then(([first]) => first ?? {}))).toEqual([
      'warn opentelemetry: config.header_type is deprecated, please use config.propagation instead',
      'warn opentelemetry: config.endpoint is deprecated, please use config.traces_endpoint instead',
    ]);
  });

  test('certificates: their SNIs come, change and go with them', async () => {
    const certificates = here.entity('certificates');
    const made = await certificates.insert({ ...PAIR, snis: ['b.test', 'a.test'] });
    const id = String(made.id);
    expect(made.snis).toEqual(['a.test', 'b.test']);
    expect(await sniNames(made)).toEqual(['a.test', 'b.test']);
    expect((await certificates.select({ id }))?.snis).toEqual(['a.test', 'b.test']);
    expect((await certificates.page()).rows.find((row) => row.id === id)?.snis).toEqual(['a.test', 'b.test']);

    const kept = await here.entity('snis').select({ field: 'name', value: 'b.test' });
    expect((await certificates.update({ id }, { snis: ['c.test', 'b.test'] })).snis).toEqual(['b.test', 'c.test']);
    expect(await here.entity('snis').select({ field: 'name', value: 'b.test' })).toEqual(kept);
    expect((await certificates.update({ id }, { tags: ['t'] })).snis).toEqual(['b.test', 'c.test']);

    const other = await certificates.insert({ ...PAIR, snis: ['other.test'] });
    expect(await refusalBody(certificates.update({ id }, { snis: ['other.test', 'd.test'] }))).toMatchObject({
      code: 2,
      fields: { snis: `other.test already associated with existing certificate '${other.id}'` },
    });
    expect(await refusalBody(certificates.insert({ ...PAIR, snis: ['x.test', 'x.test'] }))).toMatchObject({
      fields: { snis: 'x.test is duplicated' },
    });
    expect(await sniNames(made)).toEqual(['b.test', 'c.test']);

    expect((await certificates.upsert({ id }, PAIR)).snis).toEqual([]);
    expect(await sniNames(made)).toEqual([]);
    expect(await certificates.delete({ id: String(other.id) })).toBe(true);
    expect(await here.entity('snis').select({ field: 'name', value: 'other.test' })).toBeNull();
  });

  test('certificates: one change for a certificate with its SNIs, none for one that is refused', async () => {
    const certificates = here.entity('certificates');
    const before = await store.changes.serial();
    const made = await certificates.insert({ ...PAIR, snis: ['one.test', 'two.test'] });
    const delta = await store.changes.delta(before);
    expect(delta?.serial).toBe(before + 1);
    expect(delta?.changes.map(({ entity }) => entity).sort()).toEqual(['certificates', 'snis', 'snis']);
    await here
      .entity('services')
      .insert({ name: 'client', url: 'https://a.test', client_certificate: { id: made.id } });
    expect(await refusalBody(certificates.delete({ id: String(made.id) }))).toMatchObject({
      code: 4,
      fields: { '@referenced_by': 'services' },
    });
    expect(await sniNames(made)).toEqual(['one.test', 'two.test']);
    expect(await store.changes.serial()).toBe(before + 2);
  });

  test('certificates: loading one in bulk leaves its SNIs alone', async () => {
    const certificates = here.entity('certificates');
    const made = await certificates.insert({ ...PAIR, snis: ['bulk.test'] });
    await certificates.upsertMany([{ id: made.id, ...PAIR, tags: ['again'] }]);
    expect(await certificates.select({ id: String(made.id) })).toMatchObject({ tags: ['again'], snis: ['bulk.test'] });
  });

  test('plugins: must speak a protocol of the routes they are for', async () => {
    const plugins = here.entity('plugins');
    await here.entity('services').insert({ name: 'spoken', host: 'a' });
    const early = await plugins.insert({ name: 'key-auth', service: { name: 'spoken' }, protocols: ['grpc'] });
    const route = await here
      .entity('routes')
      .insert({ paths: ['/p'], protocols: ['https'], service: { name: 'spoken' } });
    const forRoute = { name: 'key-auth', route: { id: route.id } };
    expect(await refusalBody(plugins.insert({ ...forRoute, protocols: ['http'] }))).toMatchObject({
      code: 2,
      fields: { protocols: "must match the associated route's protocols" },
    });
    const made = await plugins.insert({ ...forRoute, protocols: ['http', 'https'] });
    expect(await refusalBody(plugins.update({ id: String(made.id) }, { protocols: ['http'] }))).toMatchObject({
      code: 2,
    });
    expect(await refusalBody(plugins.update({ id: String(early.id) }, { protocols: ['grpcs'] }))).toMatchObject({
      fields: { protocols: "must match the protocols of at least one route pointing to this Plugin's service" },
    });
    // What a change does not touch is not judged again.
    expect(await plugins.update({ id: String(early.id) }, { enabled: false })).toMatchObject({ enabled: false });
  });

  test('CA certificates: stay while a service trusts them', async () => {
    const { pem } = await authority('Test authority');
    const trusted = await here.entity('ca_certificates').insert({ cert: pem });
    const id = String(trusted.id);
    expect(trusted.cert_digest).toMatch(/^[0-9a-f]{64}$/);
    expect(await refusalBody(here.entity('ca_certificates').insert({ cert: pem }))).toMatchObject({ code: 5 });
    const service = await here
      .entity('services')
      .insert({ name: 'trusting', url: 'https://a.test', ca_certificates: [id] });
    expect(await refusalBody(here.entity('ca_certificates').delete({ id }))).toMatchObject({
      code: 19,
      message: `ca certificate ${id} is still referenced by services (id = ${service.id})`,
    });
    await here.entity('services').delete({ field: 'name', value: 'trusting' });
    expect(await here.entity('ca_certificates').delete({ id })).toBe(true);
  });

  test('targets: stored in one form, unique per upstream, listed newest first', async () => {
    const targets = here.entity('targets');
    const { id } = await here.entity('upstreams').insert({ name: 'up' });
    const upstream = { name: 'up' };
    const made: unknown[] = [];
    for (const target of ['a.test', 'b.test:1', '127.0.0.1', 'c.test:2', 'd.test:3']) {
      made.unshift((await targets.insert({ upstream, target })).target);
    }
    expect(made).toEqual(['d.test:3', 'c.test:2', '127.0.0.1:8000', 'b.test:1', 'a.test:8000']);
    expect(await refusalBody(targets.insert({ upstream, target: 'a.test:8000' }))).toMatchObject({
      code: 5,
      fields: { upstream: { id }, target: 'a.test:8000' },
    });
    const parent = { field: 'upstream', id: String(id) };
    const first = await targets.page({ parent, order: 'newest', size: 3 });
    const second = await targets.page({ parent, order: 'newest', size: 3, offset: String(first.offset) });
    expect(first.offset).toBe('3');
    expect([...first.rows, ...second.rows].map((row) => row.target)).toEqual(made);
    expect((await targets.page({ parent, where: { field: 'target', value: 'b.test:1' } })).rows).toHaveLength(1);
  });

  test('credentials: passwords are hashed where they rest, and again only when they change', async () => {
    const credentials = here.entity('basicauth_credentials');
    await here.entity('consumers').insert({ username: 'hashed' });
    const made = await credentials.insert({ username: 'u', password: 'secret', consumer: { username: 'hashed' } });
    expect(made.password).toMatch(/^[0-9a-f]{40}$/);
    expect((await credentials.update({ id: String(made.id) }, { tags: ['t'] })).password).toBe(made.password);
  });

  test('workspaces: the default one stays, under its name', async () => {
    const workspaces = here.entity('workspaces');
    expect(await refusalBody(workspaces.delete({ field: 'name', value: 'default' }))).toMatchObject({ code: 12 });
    const renaming = workspaces.update({ field: 'name', value: 'default' }, { name: 'other' });
    expect(await refusalBody(renaming)).toMatchObject({ code: 2, fields: { name: expect.any(String) } });
    await workspaces.insert({ name: 'empty' });
    expect(await workspaces.delete({ field: 'name', value: 'empty' })).toBe(true);
  });
});

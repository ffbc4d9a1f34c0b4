import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plugins as schemas } from '../../../shared/plugins/registry.ts';
import { mustBeRecord } from '../../../shared/record.ts';
import { admin } from '../../e2e/processes.ts';
import { startOwnBox } from '../hosts.ts';
import type { CaseRequest } from './case-runner/case.ts';
import { type DirectoryServer, startDirectoryServer } from './case-runner/directory-server.ts';
import { type CaseAnswer, exchange } from './case-runner/exchange.ts';
import { type CaseGateway, startCaseGateway } from './case-runner/gateway.ts';
import { type CaseUpstream, startCaseUpstream } from './case-runner/upstream.ts';
import { resolveRequest } from './case-runner/values.ts';
import { PLACED_PLUGINS, type PlacedPlugin, type Servers } from './placed-plugins.ts';

type Bound = 'consumer' | 'consumer_group' | 'route' | 'service';

/** All places of a configuration, the one that wins first; the number of each is its mark. */
const PLACES: readonly (readonly Bound[])[] = [
  ['consumer', 'route', 'service'],
  ['consumer_group', 'route', 'service'],
  ['consumer', 'route'],
  ['consumer', 'service'],
  ['consumer_group', 'route'],
  ['consumer_group', 'service'],
  ['route', 'service'],
  ['consumer'],
  ['consumer_group'],
  ['route'],
  ['service'],
  [],
];
const FOREIGN: Readonly<Record<Bound, object>> = {
  consumer: { username: 'ada' },
  consumer_group: { name: 'vip' },
  route: { name: 'first' },
  service: { name: 'one' },
};
/** What is bound to something holds for the requests of these people, and on these routes. */
const MEMBERS: Readonly<Record<Bound, readonly string[]>> = {
  consumer: ['ada'],
  consumer_group: ['ada', 'bob'],
  route: ['first'],
  service: ['first', 'second'],
};
const PEOPLE = ['ada', 'bob', 'cyd'];
const ROUTES = ['first', 'second', 'third'];

const bindsToConsumers = ({ name }: PlacedPlugin): boolean => {
  const { consumer } = schemas.get(name)?.fields ?? {};
  return !(consumer?.type === 'foreign' && consumer.eq === null);
};
/** The numbers of the places a plugin can be at. */
const placesOf = (plugin: PlacedPlugin): readonly number[] =>
  PLACES.flatMap((place, n) =>
    bindsToConsumers(plugin) || !place.some((each) => each.startsWith('consumer')) ? [n] : [],
  );

describe('identity and traffic plugins at each place', () => {
  const stops: (() => Promise<unknown>)[] = [];
  let upstream: CaseUpstream;
  let directory: DirectoryServer;
  let gateway: CaseGateway;
  /** Ids of what is configured, by plugin and place. */
  const rows = new Map<string, Map<number, string>>();
  const rowsOf = (plugin: PlacedPlugin) => rows.get(plugin.name) ?? expect.fail('it is not configured');

  beforeAll(async () => {
    upstream = await startCaseUpstream(
      PLACES.map((_, n) => ({ path: `^/mark-${n}$`, headers: { 'content-type': `text/mark-${n}` }, body: 'kept' })),
      { port80: true },
    );
    stops.push(() => upstream.stop());
    directory = await startDirectoryServer();
    stops.push(() => directory.stop());
    const service = createServer().on('stream', (stream) => {
      stream.on('error', () => undefined).on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.resume().end(Buffer.alloc(5));
    });
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
    stops.push(async () => service.close());
    const folder = await mkdtemp(join(tmpdir(), 'holdfast proto '));
    stops.push(() => rm(folder, { recursive: true, force: true }));
    const servers: Servers = { upstream, directory, proto: (mark) => join(folder, `${mark}.proto`) };
    for (const n of PLACES.keys()) await writeFile(servers.proto(n), protoOf(n));
    gateway = await startCaseGateway(startOwnBox, {
      tls: false,
      // Tokens are issued over HTTPS, as said by this test.
      environment: { HOLDFAST_TRUSTED_IPS: '127.0.0.1/32' },
    });
    stops.push(() => gateway.stop());
    const urls = {
      http: `http://${upstream.host}:${upstream.port}`,
      grpc: `grpc://127.0.0.1:${(service.address() as AddressInfo).port}`,
    };
    await Promise.all(PLACED_PLUGINS.map((plugin) => furnish(plugin, urls[plugin.protocol ?? 'http'], servers)));
    await gateway.applied();
  });
  afterAll(async () => {
    for (const stop of stops.toReversed()) await stop();
  });

  /** A workspace of the plugin's own, so that its global configuration is for its own routes only. */
  async function furnish(plugin: PlacedPlugin, url: string, servers: Servers): Promise<void> {
    const { name, identity } = plugin;
    await admin(`${gateway.admin}/workspaces`, 'POST', { name: `of-${name}` });
    const post = (path: string, body: object) => admin(`${gateway.admin}/of-${name}${path}`, 'POST', body);
    for (const each of ['one', 'two']) await post('/services', { name: each, url });
    for (const route of ROUTES) {
      const hosts = [`${route}.${name}.test`];
      await post('/routes', {
        name: route,
        hosts,
        protocols: ['http'],
        service: { name: route === 'third' ? 'two' : 'one' },
      });
    }
    const users = identity === undefined ? (name === 'acl' ? members() : PEOPLE) : ['ada', 'eve'];
    for (const username of users) {
      await post('/consumers', { username });
      const [path, body] =
        identity === undefined ? ['key-auth', { key: username }] : (identity.credential(username) ?? []);
      if (path !== undefined) await post(`/consumers/${username}/${path}`, body ?? {});
      if (name === 'acl') await post(`/consumers/${username}/acls`, { group: username.replace('member', 'group') });
    }
    if (bindsToConsumers(plugin)) {
      await post('/consumer_groups', { name: 'vip' });
      for (const consumer of MEMBERS.consumer_group) await post('/consumer_groups/vip/consumers', { consumer });
    }
    if (identity === undefined) await post('/plugins', { name: 'key-auth' });
    const ids = new Map<number, string>();
    rows.set(name, ids);
    for (const n of placesOf(plugin)) {
      const bound = Object.fromEntries((PLACES[n] ?? []).map((each) => [each, FOREIGN[each]]));
      const row = await post('/plugins', { name, config: plugin.config(n, servers), ...bound });
      ids.set(n, String(mustBeRecord(row, 'a plugin').id));
    }
  }

  /** The places that hold for a request, the one in force first. */
  const holding = (plugin: PlacedPlugin, person: string, route: string): readonly number[] =>
    [...rowsOf(plugin).keys()].filter((n) =>
      PLACES[n]?.every((bound) => {
        if (plugin.early && bound.startsWith('consumer')) return false;
        return MEMBERS[bound].includes(bound.startsWith('consumer') ? person : route);
      }),
    );

  async function send(
    plugin: PlacedPlugin,
    route: string,
    { headers = {}, ...request }: Partial<CaseRequest>,
    answers: readonly CaseAnswer[] = [],
  ): Promise<CaseAnswer> {
    const host = `${route}.${plugin.name}.test`;
    const whole = { method: 'GET', path: '/', headers: { host, ...headers }, ...request };
    return exchange(resolveRequest(whole, { answers, now: Date.now() }), gateway.ports.plain);
  }

  /** Whoever asks, wherever: the configuration of the closest place is in force, and no other. */
  async function expectClosest(plugin: PlacedPlugin): Promise<void> {
    const people = bindsToConsumers(plugin) ? PEOPLE : ['ada'];
    for (const [person, route] of people.flatMap((each) => ROUTES.map((route) => [each, route] as const))) {
      const [first, ...others] = holding(plugin, person, route);
      if (first === undefined) throw new Error(`nothing holds for ${person} on ${route}`);
      const where = `${person} on ${route}: ${PLACES[first]?.join(' and ') || 'global'}`;
      const apikey = plugin.identity === undefined ? { apikey: person } : {};
      const { tried, request = {} } = plugin;
      if (tried === undefined) {
        const answer = await send(plugin, route, { ...request, headers: { ...apikey, ...request.headers } });
        const shown = (plugin.shown ?? /mark-(\d+)/).exec(written(answer));
        expect(shown?.[1], `${where}; ${written(answer)}`).toMatch(new RegExp(`^0?${first}$`));
        continue;
      }
      for (const [n, due] of [[first, true] as const, ...others.map((each) => [each, false] as const)]) {
        const { request, is } = tried(n);
        const answer = await send(plugin, route, { ...request, headers: { ...apikey, ...request.headers } });
        expect(is(answer), `${where}, the request of ${n}; ${written(answer)}`).toBe(due);
      }
    }
  }

  const each = it.each(PLACED_PLUGINS.map((plugin) => [plugin.name, plugin] as const));
  const identifying = it.each(
    PLACED_PLUGINS.flatMap((plugin) =>
      plugin.identity === undefined ? [] : [[plugin.name, plugin, plugin.identity] as const],
    ),
  );

  each('%s refuses what it cannot be configured with', async (name, { refused: [config, fields] }) => {
    const response = await fetch(`${gateway.admin}/of-${name}/plugins`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, config }),
    });
    expect([response.status, await response.json()]).toMatchObject([400, { name: 'schema violation', fields }]);
  });

  each('%s is in force as the closest configuration has it', (_, plugin) => expectClosest(plugin));

  identifying('%s knows who has a credential', async (_, plugin, identity) => {
    await expectKnown(plugin, identity, 'ada');
  });

  describe('without those of a route and its service', () => {
    beforeAll(async () => {
      await Promise.all(
        PLACED_PLUGINS.flatMap((plugin) =>
          [...rowsOf(plugin)].map(async ([n, id]) => {
            const place = PLACES[n] ?? [];
            if (!place.includes('route') || !place.includes('service')) return;
            await admin(`${gateway.admin}/of-${plugin.name}/plugins/${id}`, 'DELETE');
            rowsOf(plugin).delete(n);
          }),
        ),
      );
      await gateway.applied();
    });

    each('%s is in force as the next one has it', (_, plugin) => expectClosest(plugin));

    describe('while there is no control plane', () => {
      beforeAll(() => gateway.loseControlPlane());

      each('%s stays in force', (_, plugin) => expectClosest(plugin));

      identifying('%s knows who was there before, and who was not', async (_, plugin, identity) => {
        await expectKnown(plugin, identity, 'ada');
        await expectKnown(plugin, identity, 'eve');
      });
    });
  });

  async function expectKnown(
    plugin: PlacedPlugin,
    { request, first, header = 'x-consumer-username' }: NonNullable<PlacedPlugin['identity']>,
    user: string,
  ): Promise<void> {
    const before = first === undefined ? [] : [await send(plugin, 'first', first(user))];
    const answer = await send(plugin, 'first', request(user), before);
    const known = header === 'x-consumer-username' || user === 'ada' ? user : 'grace';
    expect(answer, JSON.stringify(before)).toMatchObject({
      status: 200,
      text: expect.stringContaining(`"${header}":"${known}"`),
    });
  }
});

function members(): string[] {
  return ['ada', ...PLACES.map((_, n) => `member-${n}`)];
}

function written({ status, headers, text }: CaseAnswer): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [status, ...lines, text].join('\n');
}

/** A service with one method, which an HTTP client finds at `/mark-<n>`. */
function protoOf(n: number): string {
  return `syntax = "proto3";
package places;
import "google/api/annotations.proto";
message Nothing {}
service Marks {
  rpc Get(Nothing) returns (Nothing) { option (google.api.http) = { get: "/mark-${n}" }; }
}
`;
}

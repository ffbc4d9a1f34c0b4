import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import acl from '../../../edge-dp/plugins/acl.ts';
import { type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CONFIG = { allow: null, deny: null, hide_groups_header: false, always_use_authenticated_groups: false };

interface Caller {
  /** Of the consumer; null: nobody is known. */
  readonly groups: readonly string[] | null;
  readonly credential?: boolean;
  /** Named by the authentication. */
  readonly named?: readonly string[];
}

/** What the plugin makes of somebody: the status it answers, or the groups it tells the upstream. */
async function judged(config: Partial<Parameters<typeof acl.compile>[0]>, { groups, credential, named }: Caller) {
  const id = '00000000-0000-4000-8000-000000000401';
  const request = fakeRequest({
    headers: { 'X-Consumer-Groups': 'root', 'X-Authenticated-Groups': 'root' },
    rows: { acls: { [id]: (groups ?? []).map((group, n) => ({ id: `${n}`, group, consumer: { id } })) } },
  });
  if (groups !== null || credential) {
    const row = { id, username: 'ada' };
    const consumer = groups === null ? null : { ...row, custom_id: null, row };
    request.identity.authenticate(consumer, credential ? { id: 'c', identifier: 'c' } : null);
  }
  request.identity.authenticatedGroups = named ?? null;
  const answer = await acl.compile({ ...CONFIG, ...config }, EVERYWHERE, fakeServices()).access?.(request);
  if (answer !== undefined) return 'status' in answer ? answer.status : answer.response.status;
  return { own: request.headers.get('x-consumer-groups'), named: request.headers.get('x-authenticated-groups') };
}

describe('acl', () => {
  const none = { own: null, named: null };
  it.each<[string, object, Caller, number | object]>([
    ['nobody', { allow: ['a'] }, { groups: null }, 401],
    ['nobody', { deny: ['a'] }, { groups: null }, 401],
    ['a credential without a consumer', { deny: ['a'] }, { groups: null, credential: true }, 403],
    ['a consumer in no group', { allow: ['a'] }, { groups: [], credential: true }, 403],
    ['an anonymous consumer in no group', { allow: ['a'] }, { groups: [] }, 401],
    ['an anonymous consumer in no group', { deny: ['a'] }, { groups: [] }, { own: '', named: null }],
    ['one of several groups', { allow: ['a', 'b'] }, { groups: ['x', 'b'] }, { own: 'x, b', named: null }],
    ['one of several groups', { deny: ['a', 'b'] }, { groups: ['x', 'b'], credential: true }, 403],
    ['another case', { allow: ['Ä'] }, { groups: ['ä'] }, 403],
    ['groups that are not told', { allow: ['a'], hide_groups_header: true }, { groups: ['a'] }, none],
    ['named groups', { allow: ['a'] }, { groups: null, credential: true, named: ['a'] }, { own: null, named: 'a' }],
    ['named groups', { deny: ['a'] }, { groups: null, credential: true, named: ['a'] }, 403],
    ['named groups of none', { deny: ['a'] }, { groups: null, named: [] }, { own: null, named: '' }],
    ['named groups of an anonymous consumer', { allow: ['a'] }, { groups: ['a'], named: ['b'] }, 403],
    [
      'own and named groups',
      { allow: ['a'] },
      { groups: ['a'], credential: true, named: ['b'] },
      { own: 'a', named: null },
    ],
    [
      'named groups always',
      { allow: ['b'], always_use_authenticated_groups: true },
      { groups: ['a'], credential: true, named: ['b'] },
      { own: null, named: 'b' },
    ],
    [
      'no named groups, though always wanted',
      { allow: ['a'], always_use_authenticated_groups: true },
      { groups: ['a'], credential: true },
      { own: 'a', named: null },
    ],
    ['two empty lists', { allow: [], deny: [] }, { groups: ['a'], credential: true }, 403],
  ])('judges %s by %j', async (_, config, caller, outcome) => {
    expect(await judged(config, caller)).toEqual(outcome);
  });
});

describe('acl behind key-auth', () => {
  const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  const OTHER = '10000000-0000-4000-8000-000000000000';
  let upstream: Upstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream();
    const route = (n: number, path: string) => ({
      id: id(100 + n),
      paths: [path],
      protocols: ['http'],
      service: { id: id(1) },
    });
    const plugin = (n: number, name: string, place: object, config: object) => ({
      id: id(200 + n),
      name,
      config,
      ...place,
    });
    const on = (route: number) => ({ route: { id: id(100 + route) } });
    const functions = { certificate: [], rewrite: [], header_filter: [], body_filter: [], log: [] };
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    gateway = await startGateway({
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [route(1, '/members'), route(2, '/named')],
        plugins: [
          plugin(
            1,
            'key-auth',
            { service: { id: id(1) } },
            {
              key_names: ['apikey'],
              hide_credentials: false,
              anonymous: id(403),
              key_in_header: true,
              key_in_query: true,
              key_in_body: false,
              run_on_preflight: true,
              realm: null,
            },
          ),
          plugin(2, 'acl', on(1), { ...CONFIG, allow: ['Mitglieder – α'] }),
          plugin(3, 'acl', on(2), { ...CONFIG, allow: ['script'] }),
          plugin(4, 'pre-function', on(2), {
            ...functions,
            access: [
              'local named = kong.request.get_header("x-named") ' +
                'if named then kong.ctx.shared.authenticated_groups = { named, "more" } end',
            ],
          }),
        ],
      },
      lazy: {
        keyauth_credentials: { ada: [{ id: id(301), key: sha256('ada'), consumer: { id: id(401) } }] },
        consumers: {
          [id(401)]: [{ id: id(401), username: 'ada', custom_id: null }],
          [id(403)]: [{ id: id(403), username: 'guest', custom_id: null }],
        },
        acls: {
          [id(401)]: [
            { id: id(501), group: 'Mitglieder – α', consumer: { id: id(401) } },
            { id: id(502), group: 'foreign', consumer: { id: id(401) }, ws_id: OTHER },
          ],
        },
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const get = async (path: string, headers = '') => {
    upstream.seen.length = 0;
    const answer = await gateway.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
    return { status: Number(answer.slice(9, 12)), answer, request: upstream.seen[0] };
  };

  it('tells the upstream groups in any alphabet, in place of those a client claims', async () => {
    const forged = 'X-Consumer-Groups: root\r\nX-CONSUMER-GROUPS: admins\r\nX-Authenticated-Groups: root\r\n';
    const { request } = await get('/members', `apikey: ada\r\n${forged}`);
    expect(request?.all('X-Consumer-Groups')).toEqual([Buffer.from('Mitglieder – α').toString('latin1')]);
    expect(request?.all('X-Authenticated-Groups')).toEqual([]);
    const claimed = await get('/members', 'X-Consumer-Groups: Mitglieder – α\r\n');
    expect(claimed.status).toBe(401);
    expect(claimed.answer).not.toContain('WWW-Authenticate');
  });

  it('goes by groups that a script names in kong.ctx.shared, where no credential counts more', async () => {
    const { request } = await get('/named', 'X-Named: script\r\n');
    expect(request?.header('X-Authenticated-Groups')).toBe('script, more');
    expect((await get('/named', 'X-Named: other\r\n')).status).toBe(403);
    expect((await get('/named', 'X-Named: script\r\napikey: ada\r\n')).status).toBe(403);
    expect((await get('/named')).status).toBe(401);
  });
});

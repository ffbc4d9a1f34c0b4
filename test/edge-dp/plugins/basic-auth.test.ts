import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ownBox } from '../hosts.ts';
import { type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const status = (answer: string) => Number(answer.slice(9, 12));
const base64 = (credentials: string | Buffer) => Buffer.from(credentials).toString('base64');
const basic = (credentials: string | Buffer) => `Authorization: Basic ${base64(credentials)}\r\n`;

const CONFIG = { anonymous: null, hide_credentials: false, realm: 'service' };
const KEY_AUTH = {
  key_names: ['apikey'],
  hide_credentials: false,
  anonymous: id(409),
  key_in_header: true,
  key_in_query: true,
  key_in_body: false,
  run_on_preflight: true,
  realm: null,
};

const PASSWORDS: Readonly<Record<string, string>> = {
  ada: 'engine',
  'müller@bücher.example': 'pässwörd',
  colons: 'a:b::c',
  lines: 'first\nsecond',
  replaced: 'a\ufffdb',
  empty: '',
  ghost: 'gone',
};

describe('basic-auth', () => {
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
    const names = Object.keys(PASSWORDS);
    const consumers = names.map((_, n) => id(401 + n)).slice(0, -1);
    gateway = await startGateway({
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [route(1, '/plain'), route(2, '/hide'), route(3, '/either'), route(4, '/nobody'), route(5, '/realm')],
        plugins: [
          plugin(1, 'basic-auth', { service: { id: id(1) } }, CONFIG),
          plugin(2, 'basic-auth', on(2), { ...CONFIG, hide_credentials: true }),
          plugin(3, 'basic-auth', on(3), { ...CONFIG, anonymous: id(409), hide_credentials: true }),
          plugin(4, 'key-auth', on(3), KEY_AUTH),
          plugin(5, 'basic-auth', on(4), { ...CONFIG, anonymous: id(499) }),
          plugin(6, 'basic-auth', on(5), { ...CONFIG, realm: 'Büro' }),
        ],
      },
      lazy: {
        basicauth_credentials: Object.fromEntries(
          Object.entries(PASSWORDS).map(([username, password], n) => {
            const consumer = id(401 + n);
            const hash = createHash('sha1')
              .update(password + consumer)
              .digest('hex');
            return [username, [{ id: id(300 + n), username, password: hash, consumer: { id: consumer } }]];
          }),
        ),
        keyauth_credentials: {
          'ada-key': [
            {
              id: id(350),
              key: createHash('sha256').update('ada-key').digest('hex'),
              consumer: { id: id(401) },
            },
          ],
        },
        consumers: Object.fromEntries(
          [...consumers, id(409)].map((consumer, n) => [
            consumer,
            [{ id: consumer, username: consumer === id(409) ? 'guest' : `Владелец ${names[n]}`, custom_id: null }],
          ]),
        ),
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
    return { answer, request: upstream.seen[0] };
  };
  const asSent = (text: string) => Buffer.from(text).toString('latin1');

  it('takes passwords of any characters as bytes, and tells the upstream whose they are', async () => {
    for (const [username, password] of Object.entries(PASSWORDS).slice(0, -1)) {
      const { answer, request } = await get('/plain', basic(`${username}:${password}`));
      expect(status(answer), username).toBe(200);
      expect(request?.all('X-Consumer-Username'), username).toEqual([asSent(`Владелец ${username}`)]);
      expect(request?.all('X-Credential-Identifier'), username).toEqual([asSent(username)]);
    }
  });

  it('refuses what is no credential, whoever it is near to', async () => {
    const consumer = id(401);
    const hash = createHash('sha1').update(`engine${consumer}`).digest('hex');
    const refused = [
      '',
      basic(':engine'),
      basic('ada'),
      basic('ada:'),
      basic('ada:engine '),
      basic('ada:Engine'),
      basic('ada:engin'),
      basic(`ada:engine${consumer}`),
      basic(`ada:${hash}`),
      basic('ada\0:engine'),
      basic('\ufeffada:engine'),
      basic('__proto__:engine'),
      basic('ghost:gone'),
      basic(Buffer.from('müller@bücher.example:pässwörd', 'latin1')),
      basic(Buffer.concat([Buffer.from('müller@bücher.example:'), Buffer.from('pässwörd', 'latin1')])),
      basic(Buffer.concat([Buffer.from('replaced:a'), Buffer.from([0xff]), Buffer.from('b')])),
      'Authorization: Basic\r\n',
      'Authorization: Basic ====\r\n',
      `Authorization: Basic ${base64('ada:engine')}!\r\n`,
      `Authorization: Basic ${base64('ada:engine')}, Basic ${base64('colons:a:b::c')}\r\n`,
      `Authorization: Digest username="ada", response="${base64('ada:engine')}"\r\n`,
      `Authorization: Basic ${base64(`${'a'.repeat(6000)}:engine`)}\r\n`,
    ];
    for (const headers of refused) {
      const { answer, request } = await get('/plain', headers);
      expect(status(answer), headers).toBe(401);
      expect(answer, headers).toContain('\r\nWWW-Authenticate: Basic realm="service"\r\n');
      expect(answer, headers).toMatch(/"message":"Unauthorized",\n {2}"request_id":"[0-9a-f]{32}"/);
      expect(request, headers).toBeUndefined();
    }
  });

  it('refuses a credential that is given twice', async () => {
    const { answer, request } = await get('/plain', basic('ada:engine').repeat(2));
    // What lies in two lines only Node can tell, and answers as Kong does.
    expect(status(answer)).toBe(ownBox === 'node' ? 400 : 401);
    expect(request).toBeUndefined();
  });

  it('goes on to Authorization where Proxy-Authorization names nobody, and only then', async () => {
    const own = basic('ada:engine');
    for (const other of ['Bearer x', `Basic ${base64('unknown:engine')}`]) {
      expect(status((await get('/plain', `Proxy-Authorization: ${other}\r\n${own}`)).answer), other).toBe(200);
    }
    const wrong = await get('/plain', `Proxy-Authorization: Basic ${base64('ada:wrong')}\r\n${own}`);
    expect(status(wrong.answer)).toBe(401);
  });

  it('hides every header it looked at, and no other', async () => {
    const own = basic('ada:engine');
    const both = await get('/hide', `Proxy-Authorization: Bearer x\r\n${own}X-Note: kept\r\n`);
    expect(both.request?.raw).not.toContain(base64('ada:engine'));
    expect(both.request?.raw).not.toContain('Bearer x');
    expect(both.request?.header('X-Note')).toBe('kept');
  });

  it('is one of several ways in with an anonymous consumer, and says so when there is none', async () => {
    const byName = await get('/either', basic('ada:engine'));
    expect(byName.request?.header('X-Credential-Identifier')).toBe('ada');
    expect(byName.request?.all('X-Anonymous-Consumer')).toEqual([]);
    const byKey = await get('/either', `apikey: ada-key\r\n${basic('colons:a:b::c')}`);
    expect(byKey.request?.header('X-Credential-Identifier')).toBe(id(350));
    for (const headers of ['', basic('ada:wrong'), 'Authorization: nonsense\r\n']) {
      const { request } = await get('/either', headers);
      expect(request?.header('X-Consumer-Username'), headers).toBe('guest');
      expect(request?.header('X-Anonymous-Consumer'), headers).toBe('true');
      expect(request?.all('X-Credential-Identifier'), headers).toEqual([]);
      expect(request?.all('Authorization'), headers).toEqual([]);
    }
    const nobody = await get('/nobody');
    expect(status(nobody.answer)).toBe(500);
    expect(nobody.answer).toContain('"message":"An unexpected error occurred"');
    await expect.poll(() => gateway.log.join('\n')).toContain(`the anonymous consumer ${id(499)} does not exist`);
  });

  it('asks for the realm of the closest configuration, in any alphabet', async () => {
    expect((await get('/realm')).answer).toContain(`\r\nWWW-Authenticate: Basic realm="${asSent('Büro')}"\r\n`);
  });

  it('writes no credential to the log', () => {
    expect(gateway.log.join('\n')).not.toMatch(new RegExp(`engine|${base64('ada:engine')}`));
  });
});

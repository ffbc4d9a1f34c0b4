import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Row } from '../../../shared/record.ts';
import { type Authority, authority } from '../../cp/pki/authority.ts';
import { id, type ProxyNode, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { bindResult, type DirectoryServer, startDirectoryServer } from './case-runner/directory-server.ts';

const BASE = 'ou=people,dc=example,dc=test';
const ldap = (credentials: string, scheme = 'ldap') => `${scheme} ${Buffer.from(credentials).toString('base64')}`;
const status = (answer: string) => Number(answer.slice(9, 12));

/** What a hostile server answers, by the name that binds; nothing to others. */
const HOSTILE: Readonly<Record<string, Buffer>> = {
  garbage: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
  indefinite: Buffer.from([0x30, 0x80, 0x02, 0x01, 0x01]),
  huge: Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02, 0x01, 0x01]),
  'length of five': Buffer.from([0x30, 0x85, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01]),
  'cut off inside': Buffer.from([0x30, 0x05, 0x02, 0x01, 0x01, 0x61, 0x7f]),
  'no result': Buffer.from([0x30, 0x05, 0x02, 0x01, 0x01, 0x61, 0x00]),
  'another message': bindResult(0, Buffer.of(2)),
  'negative number': bindResult(0, Buffer.of(0xff)),
  'another operation': Buffer.from('300c02010178070a010004000400', 'hex'),
  'two answers': Buffer.concat([bindResult(0), bindResult(0)]),
  'another code': bindResult(51),
  half: bindResult(0).subarray(0, 5),
  farewell: Buffer.from('300c02010078070a013404000400', 'hex'),
};

describe('ldap-auth', () => {
  let ca: Authority;
  let upstream: Upstream;
  let node: ProxyNode;
  const directories: Record<string, DirectoryServer> = {};
  const directory = (name: string): DirectoryServer => directories[name] ?? expect.fail(`there is no ${name} server`);

  beforeAll(async () => {
    const other = await authority('other');
    ca = await authority('ldap');
    const [pair, foreign] = await Promise.all([ca.leaf({ name: 'localhost' }), other.leaf({ name: 'localhost' })]);
    directories.plain = await startDirectoryServer();
    directories.busy = await startDirectoryServer({ reply: () => bindResult(51) });
    directories.hostile = await startDirectoryServer({
      reply: (name) => HOSTILE[/^uid=(.*?),ou=/.exec(name)?.[1] ?? ''] ?? Buffer.alloc(0),
    });
    directories.ldaps = await startDirectoryServer({ pair, tls: 'at once' });
    directories.foreign = await startDirectoryServer({ pair: foreign, tls: 'at once' });
    directories.starting = await startDirectoryServer({ pair });
    directories.refusing = await startDirectoryServer({ tls: 'never' });
    directories.gone = await startDirectoryServer();
    await directories.gone.stop();
    upstream = await startUpstream();
    const configs: Readonly<Record<string, Readonly<Row>>> = {
      plain: {},
      uncached: { at: 'plain', cache_ttl: 0 },
      basic: { at: 'plain', header_type: 'Basic', realm: 'Büro', hide_credentials: true },
      busy: {},
      hostile: { timeout: 300 },
      gone: { anonymous: id(400) },
      ldaps: { ldaps: true, verify_ldap_host: true },
      foreign: { ldaps: true, verify_ldap_host: true },
      'foreign-unverified': { at: 'foreign', ldaps: true },
      starting: { start_tls: true, verify_ldap_host: true },
      refusing: { start_tls: true },
    };
    const names = Object.keys(configs);
    node = await startProxyNode(
      {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: names.map((name, n) => ({
          id: id(100 + n),
          paths: [`/${name}`],
          protocols: ['http'],
          service: { id: id(1) },
        })),
        plugins: Object.entries(configs).map(([name, { at = name, ...config }], n) => ({
          id: id(200 + n),
          name: 'ldap-auth',
          protocols: ['http'],
          route: { id: id(100 + n) },
          config: {
            ldap_host: 'localhost',
            ldap_port: directory(String(at)).port,
            ldaps: false,
            start_tls: false,
            verify_ldap_host: false,
            base_dn: BASE,
            attribute: 'uid',
            cache_ttl: 60,
            hide_credentials: false,
            timeout: 10_000,
            keepalive: 60_000,
            anonymous: null,
            header_type: 'ldap',
            realm: null,
            ...config,
          },
        })),
      },
      { trust: { publicCas: true, certificates: [ca.pem] } },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
    for (const each of Object.values(directories)) await each.stop();
  });

  const get = async (path: string, ...headers: readonly string[]) => {
    upstream.seen.length = 0;
    const lines = headers.map((header) => `${header}\r\n`).join('');
    const { text } = await node.raw(`GET /${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`);
    return { answer: text, request: upstream.seen[0] };
  };
  const as = (path: string, credentials: string) => get(path, `Authorization: ${ldap(credentials)}`);

  it('binds with the name as one value, whatever is in it, and with none that a directory takes for another', async () => {
    const bound = async (username: string): Promise<string | undefined> => {
      const before = directory('plain').binds.length;
      expect(status((await as('uncached', `${username}:wrong`)).answer), username).toBe(401);
      return directory('plain').binds[before]?.name;
    };
    expect(await bound(`ada,${BASE}`)).toBe(`uid=ada\\,ou\\=people\\,dc\\=example\\,dc\\=test,${BASE}`);
    expect(await bound('a+cn=ada')).toBe(`uid=a\\+cn\\=ada,${BASE}`);
    expect(await bound('a"b;c<d>e\\')).toBe(`uid=a\\"b\\;c\\<d\\>e\\\\,${BASE}`);
    expect(await bound(' # ')).toBe(`uid=\\ #\\ ,${BASE}`);
    expect(await bound('#61')).toBe(`uid=\\#61,${BASE}`);
    expect(await bound(' ')).toBe(`uid=\\ ,${BASE}`);
    expect(await bound('*)(uid=*')).toBe(`uid=*)(uid\\=*,${BASE}`);
    expect(await bound('Ада')).toBe(`uid=Ада,${BASE}`);
    for (const refused of ['', 'ad\0a', 'ada\r\nX-Evil: 1', 'a\u00adda', 'ad\u200ba', '\ufeffada'])
      expect(await bound(refused), JSON.stringify(refused)).toBeUndefined();
    const raw = Buffer.concat([Buffer.from([0xff]), Buffer.from(':engine')]).toString('base64');
    expect(status((await get('plain', `Authorization: ldap ${raw}`)).answer)).toBe(401);
  });

  it('remembers what it was told, of each password by itself, for as long as it may', async () => {
    const { binds } = directory('plain');
    const before = binds.length;
    for (const [password, answer] of [
      ['engine', 200],
      ['wrong', 401],
      ['engine', 200],
      ['wrong', 401],
    ] as const)
      expect(status((await as('plain', `ada:${password}`)).answer)).toBe(answer);
    expect(binds.length).toBe(before + 2);
    for (let i = 0; i < 3; i++) expect(status((await as('uncached', 'ada:engine')).answer)).toBe(200);
    expect(binds.length).toBe(before + 5);
    for (let i = 0; i < 2; i++) expect(status((await as('busy', 'ada:engine')).answer)).toBe(401);
    expect(directory('busy').binds).toHaveLength(2);
  });

  it('uses connections again, and makes a new one where the server has ended them', async () => {
    const server = directory('plain');
    await as('uncached', 'ada:engine');
    const before = server.connections;
    for (let i = 0; i < 3; i++) expect(status((await as('uncached', 'ada:engine')).answer)).toBe(200);
    expect(server.connections).toBe(before);
    server.disconnect();
    expect(status((await as('uncached', 'ada:engine')).answer)).toBe(200);
    expect(server.connections).toBe(before + 1);
  });

  it.each(Object.keys(HOSTILE))('is not let in by a server that answers with %s', async (what) => {
    const { answer, request } = await as('hostile', `${what}:engine`);
    expect([401, 500]).toContain(status(answer));
    expect(status(answer) === 401).toBe(what === 'another code');
    expect(request).toBeUndefined();
  });

  it('answers 500 when the server cannot be asked, also where there is an anonymous consumer, and says why', async () => {
    expect(status((await as('hostile', 'silent:engine')).answer)).toBe(500);
    expect((await as('gone', 'ada:engine')).answer).toContain('"message":"An unexpected error occurred"');
    expect((await get('gone')).answer).toContain('"message":"An unexpected error occurred"');
    const log = () => node.log.join('\n');
    await expect.poll(log).toContain('no answer in 300 ms');
    await expect.poll(log).toContain('connection refused');
    await expect.poll(log).toContain(`the anonymous consumer ${id(400)} does not exist`);
    expect(log()).not.toMatch(/engine|ZW5naW5l/);
  });

  it('verifies the server as it is told to, and sends no password before', async () => {
    expect(status((await as('ldaps', 'ada:engine')).answer)).toBe(200);
    expect(status((await as('foreign', 'ada:engine')).answer)).toBe(500);
    expect(directory('foreign').binds).toEqual([]);
    expect(status((await as('foreign-unverified', 'ada:engine')).answer)).toBe(200);
    for (const password of ['engine', 'wrong', 'engine'])
      expect(status((await as('starting', `ada:${password}`)).answer)).toBe(password === 'engine' ? 200 : 401);
    expect(directory('starting')).toMatchObject({ connections: 1 });
    for (const name of ['ldaps', 'foreign', 'starting'])
      for (const { secure } of directory(name).binds) expect(secure).toBe(true);
    expect(status((await as('refusing', 'ada:engine')).answer)).toBe(500);
    expect(directory('refusing').binds).toEqual([]);
  });

  it('leaves nothing behind on connections that many have used', async () => {
    for (let i = 0; i < 15; i++) expect(status((await as('uncached', 'ada:engine')).answer)).toBe(200);
    expect(node.log.join('\n')).not.toContain('MaxListenersExceededWarning');
  });

  it('takes the scheme it is told, in any case, and hides what it was shown', async () => {
    const { request } = await get('basic', `Authorization: ${ldap('ada:engine', 'bASIC')}`, 'X-Note: kept');
    expect(request?.header('X-Credential-Identifier')).toBe('ada');
    expect(request?.all('Authorization')).toEqual([]);
    expect(request?.header('X-Note')).toBe('kept');
    const { answer } = await get('basic', `Authorization: ${ldap('ada:engine', 'Basics')}`);
    const realm = Buffer.from('Büro').toString('latin1');
    expect(answer).toContain(`\r\nWWW-Authenticate: Basic realm="${realm}"\r\n`);
    const both = [
      `Proxy-Authorization: ${ldap('ada:wrong', 'Basic')}`,
      `Authorization: ${ldap('ada:engine', 'Basic')}`,
    ];
    expect(status((await get('basic', ...both)).answer)).toBe(200);
  });
});

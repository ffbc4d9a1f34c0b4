import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { authority } from '../cp/pki/authority.ts';
import { id, type ProxyNode, startProxyNode } from '../edge-dp/proxy/node.ts';
import { startUpstream, type Upstream } from '../edge-dp/proxy/upstream.ts';
import { until } from '../until.ts';
import { peerExecutable } from './peer.ts';

const BASE = 'ou=people,dc=example,dc=test';
/** Passwords by user name; all of them in a real directory. */
const PEOPLE: Readonly<Record<string, string>> = {
  ada: 'engine',
  'Lovelace, Ada + "friends"': 'a;b',
  '#1 = <first>': 'x:y:z',
  Ада: 'пароль',
  ' blanks ': 'blank',
};

let folder: string;
let slapd: ChildProcess;
let output = '';
let upstream: Upstream;
let node: ProxyNode;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-slapd-'));
  const [ca, other] = await Promise.all([authority('directory'), authority('other')]);
  const { cert, key } = await ca.leaf({ name: 'localhost' });
  const [plain, secure] = await Promise.all([freePort(), freePort()]);
  const config = writeFiles({ cert, key, ca: ca.pem });
  execFileSync(peerExecutable('slapadd'), ['-f', config, '-l', join(folder, 'people.ldif')]);
  const urls = `ldap://127.0.0.1:${plain} ldaps://127.0.0.1:${secure}`;
  slapd = spawn(peerExecutable('slapd'), ['-f', config, '-h', urls, '-d', '0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [slapd.stdout, slapd.stderr]) stream?.on('data', (data) => (output += data));
  await until(() => listens(plain), 'slapd to listen', 60_000).catch((error) => {
    throw new Error(`${error.message}; it said: ${output}`);
  });
  upstream = await startUpstream();
  const kinds: Readonly<Record<string, object>> = {
    plain: { ldap_port: plain },
    'start-tls': { ldap_port: plain, start_tls: true, verify_ldap_host: true },
    ldaps: { ldap_port: secure, ldaps: true, verify_ldap_host: true },
    'wrong-name': { ldap_port: secure, ldaps: true, verify_ldap_host: true, ldap_host: '127.0.0.1' },
  };
  node = await startProxyNode(
    {
      services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
      routes: Object.keys(kinds).map((name, n) => ({
        id: id(100 + n),
        paths: [`/${name}`],
        protocols: ['http'],
        service: { id: id(1) },
      })),
      plugins: Object.values(kinds).map((kind, n) => ({
        id: id(200 + n),
        name: 'ldap-auth',
        protocols: ['http'],
        route: { id: id(100 + n) },
        config: {
          ldap_host: 'localhost',
          ldaps: false,
          start_tls: false,
          verify_ldap_host: false,
          base_dn: BASE,
          attribute: 'uid',
          cache_ttl: 0,
          hide_credentials: false,
          timeout: 5000,
          keepalive: 60_000,
          anonymous: null,
          header_type: 'ldap',
          realm: null,
          ...kind,
        },
      })),
    },
    { trust: { publicCas: false, certificates: [other.pem, ca.pem] } },
  );
});
afterAll(async () => {
  await node?.stop();
  await upstream?.stop();
  if (slapd?.exitCode === null) {
    slapd.kill();
    await once(slapd, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
});

/** Returns the path of slapd's configuration. */
function writeFiles(pems: Readonly<Record<'cert' | 'key' | 'ca', string>>): string {
  const at = (name: string): string => join(folder, name);
  mkdirSync(at('data'));
  for (const [name, pem] of Object.entries(pems)) writeFileSync(at(`${name}.pem`), pem);
  chmodSync(at('key.pem'), 0o600);
  writeFileSync(
    at('slapd.conf'),
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${at('slapd.pid')}
TLSCACertificateFile ${at('ca.pem')}
TLSCertificateFile ${at('cert.pem')}
TLSCertificateKeyFile ${at('key.pem')}
database mdb
suffix "dc=example,dc=test"
directory ${at('data')}
maxsize 10485760
`,
  );
  const dn = (name: string): string =>
    `uid=${[...Buffer.from(name)].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('')}`;
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const people = Object.entries(PEOPLE).map(
    ([name, password]) => `dn: ${dn(name)},${BASE}
objectClass: inetOrgPerson
uid:: ${base64(name)}
cn: person
sn: person
userPassword:: ${base64(password)}
`,
  );
  writeFileSync(
    at('people.ldif'),
    [
      'dn: dc=example,dc=test\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n',
      `dn: ${BASE}\nobjectClass: organizationalUnit\nou: people\n`,
      ...people,
    ].join('\n'),
  );
  return at('slapd.conf');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

const ask = async (kind: string, username: string, password: string): Promise<number> => {
  const authorization = `ldap ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const response = await fetch(`${node.url}/${kind}`, { headers: { authorization } });
  await response.arrayBuffer();
  return response.status;
};

it.each(['plain', 'start-tls', 'ldaps'])('authenticates everybody a real directory knows, over %s', async (kind) => {
  for (const [username, password] of Object.entries(PEOPLE)) {
    expect(await ask(kind, username, password), username).toBe(200);
    expect(await ask(kind, username, `${password}.`), username).toBe(401);
  }
  expect(await ask(kind, 'nobody', 'engine')).toBe(401);
  expect(await ask(kind, `ada,${BASE}`, 'engine')).toBe(401);
  expect(await ask(kind, 'ada', '')).toBe(401);
});

it('serves many at once over connections that are kept', async () => {
  const statuses = await Promise.all(
    Array.from({ length: 60 }, (_, n) => ask('start-tls', 'ada', n % 3 ? 'engine' : 'no')),
  );
  expect(statuses).toEqual(statuses.map((_, n) => (n % 3 ? 200 : 401)));
});

it('takes no directory of another name', async () => {
  expect(await ask('wrong-name', 'ada', 'engine')).toBe(500);
});

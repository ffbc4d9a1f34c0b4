import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import { DEFAULT_LIMITS } from '../../edge-dp/hosts/node/tls/limits.ts';
import { id, type ProxyNode, startProxyNode } from '../edge-dp/proxy/node.ts';
import { once } from '../once.ts';
import { peerExecutable } from './peer.ts';

const openssl = peerExecutable('openssl');
const run = promisify(execFile);

/** A plugin in Lua that answers with what it knows of the client. */
const TELLER = `return { VERSION = '1.0', PRIORITY = 1,
  certificate = function()
    local ca = kong.db.ca_certificates:each()()
    kong.client.tls.request_client_certificate(assert(require('ngx.ssl').parse_pem_cert(ca.cert)))
  end,
  access = function()
    local says = { 'told' }
    for i, name in ipairs { 'verify', 's_dn', 'i_dn', 'serial', 'fingerprint' } do says[i + 1] = ngx.var['ssl_client_' .. name] end
    return kong.response.exit(200, table.concat(says, '|') .. '|')
  end }`;

/** OpenSSL’s own authority, its responder and its client against the TLS of the native host. */
describe('openssl', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast openssl '));
  const file = (name: string): string => join(folder, name);
  const inFolder = (...args: readonly string[]) => run(openssl, args, { cwd: folder });
  let node: ProxyNode;
  let responder: ReturnType<typeof spawn>;

  /** A pair of the authority; `keyOptions`: as `openssl req -newkey` has them. */
  async function issue(
    name: string,
    keyOptions: readonly string[],
    port: number,
  ): Promise<{ cert: string; key: string }> {
    await inFolder(
      'req',
      ...keyOptions,
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    const extensions = `authorityInfoAccess=OCSP;URI:http://127.0.0.1:${port}\nsubjectAltName=DNS:${name}\n`;
    writeFileSync(file(`${name}.ext`), extensions);
    await inFolder(
      'ca',
      '-batch',
      '-config',
      'ca.conf',
      '-in',
      `${name}.csr`,
      '-out',
      `${name}.crt`,
      '-notext',
      '-extfile',
      `${name}.ext`,
    );
    const read = (path: string) => readFileSync(file(path), 'utf8');
    return { cert: read(`${name}.crt`) + read('ca.crt'), key: read(`${name}.key`) };
  }

  beforeAll(async () => {
    const port = await freePort();
    await inFolder(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      '-subj',
      '/CN=ca',
      '-days',
      '2',
    );
    writeFileSync(file('index.txt'), '');
    writeFileSync(file('serial'), '01\n');
    writeFileSync(
      file('ca.conf'),
      '[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ncertificate=ca.crt\nprivate_key=ca.key\n' +
        'default_md=sha256\ndefault_days=1\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n',
    );
    const exact = await issue('exact.test', ['-newkey', 'rsa:2048'], port);
    const both = await issue('both.test', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], port);
    const rsa = await issue('both.rsa', ['-newkey', 'rsa:2048'], port);
    const fallback = await issue('fallback.test', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], port);
    responder = spawn(
      openssl,
      [
        'ocsp',
        '-index',
        'index.txt',
        '-port',
        `${port}`,
        '-rsigner',
        'ca.crt',
        '-rkey',
        'ca.key',
        '-CA',
        'ca.crt',
        '-ndays',
        '1',
      ],
      { cwd: folder, stdio: 'ignore' },
    );
    node = await startProxyNode(
      {
        certificates: [
          { id: id(1), ...exact },
          { id: id(2), ...both, cert_alt: rsa.cert, key_alt: rsa.key },
        ],
        // Has clients of one name checked by the authority, and answers with what it knows of them.
        services: [{ id: id(5), name: 'none', host: '127.0.0.1', port: 9, protocol: 'http' }],
        routes: [{ id: id(6), paths: ['/'], snis: ['exact.test'], protocols: ['https'], service: { id: id(5) } }],
        ca_certificates: [{ id: id(7), cert: readFileSync(file('ca.crt'), 'utf8') }],
        custom_plugins: [{ id: id(8), name: 'teller', handler: TELLER, modules: null }],
        plugins: [{ id: id(9), name: 'teller', protocols: ['https'], config: {} }],
        snis: [
          { id: id(3), name: 'exact.test', certificate: { id: id(1) } },
          { id: id(4), name: '*.both.test', certificate: { id: id(2) } },
        ],
      },
      {
        start: startNodeHost,
        proxyListen: [{ host: '127.0.0.1', port: 0, tls: fallback }],
        tls: {
          ...DEFAULT_LIMITS,
          stapling: true,
          clients: { mode: 'optional', ca: readFileSync(file('ca.crt'), 'utf8') },
        },
      },
    );
  });
  afterAll(async () => {
    responder?.kill();
    await node?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What its client says of a handshake. */
  async function client(...options: readonly string[]): Promise<string> {
    const asked = run(openssl, [
      's_client',
      '-connect',
      `127.0.0.1:${node.port}`,
      '-CAfile',
      file('ca.crt'),
      '-ign_eof',
      ...options,
    ]);
    asked.child.stdin?.end('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    return asked.then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
  }

  it.each([
    ['exact.test', [], 'exact.test'],
    ['a.both.test', [], 'both.test'],
    ['a.both.test', ['-sigalgs', 'RSA-PSS+SHA256:RSA+SHA256'], 'both.rsa'],
    ['unknown.test', [], 'fallback.test'],
  ])('is shown the certificate of %s (%o)', async (name, options, expected) => {
    const said = await client('-servername', name, ...options);
    expect(said).toMatch(new RegExp(`subject=CN ?= ?${expected}`));
    expect(said).toContain('Verify return code: 0 (ok)');
  });

  it('is shown what its own responder says', async () => {
    const good = /OCSP Response Status: successful[\s\S]*Cert Status: good/;
    const rsa = ['-sigalgs', 'RSA-PSS+SHA256:RSA+SHA256'];
    for (const [name, ...options] of [['exact.test'], ['a.both.test', '-tls1_2'], ['a.both.test', '-tls1_2', ...rsa]]) {
      const status = () => client('-servername', name ?? '', '-status', ...options);
      await expect.poll(status, { timeout: 60_000, interval: 300 }).toMatch(good);
    }
  });

  it('goes on with a session of TLS 1.2 and of TLS 1.3', async () => {
    for (const version of ['-tls1_2', '-tls1_3']) {
      const session = file(`session${version}`);
      const first = client('-servername', 'exact.test', version, '-sess_out', session);
      expect(await first).toContain('New, TLSv1');
      expect(await client('-servername', 'exact.test', version, '-sess_in', session)).toContain('Reused, TLSv1');
    }
  });

  it('shows a certificate of its own, and is served with a good one alone', async () => {
    const shown = (name: string) => client('-cert', file(`${name}.crt`), '-key', file(`${name}.key`));
    const good = await shown('exact.test');
    expect(good).toMatch(/Acceptable client certificate CA names\n(?:.*CN ?= ?ca)/);
    // Between lines of what it says of sessions.
    expect(good).toContain('HTTP/1.1 404 ');
    await inFolder(
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'stranger.key', '-out', 'stranger.crt'],
      ...['-subj', '/CN=stranger', '-days', '2'],
    );
    const bad = await shown('stranger');
    expect(bad).toContain('HTTP/1.1 400 ');
    expect(bad).toContain('The SSL certificate error');
    expect(await client()).toContain('HTTP/1.1 404 ');
  });

  it('knows of a client’s certificate what its own tools say of it', async () => {
    await inFolder(
      ...[
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        'odd.key',
        '-out',
        'odd.crt',
        '-utf8',
        '-days',
        '2',
      ],
      ...['-CA', 'ca.crt', '-CAkey', 'ca.key', '-subj', '/C=DE/O=Äcme, "Inc"/OU=a; b+UID= c/CN=#odd \\\\ name'],
    );
    const said = await client('-servername', 'exact.test', '-cert', file('odd.crt'), '-key', file('odd.key'));
    const asked = ['-noout', '-nameopt', 'RFC2253', '-subject', '-issuer', '-serial', '-fingerprint', '-sha1'];
    const { stdout } = await inFolder('x509', '-in', 'odd.crt', ...asked);
    const [subject, issuer, serial, fingerprint] = stdout.split('\n').map((line) => line.slice(line.indexOf('=') + 1));
    const hex = fingerprint?.replaceAll(':', '').toLowerCase();
    expect(said).toContain(`told|SUCCESS|${subject}|${issuer}|${serial}|${hex}|`);
  });

  it('is refused what is not spoken any more', async () => {
    expect(await client('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')).toMatch(/alert|no protocols/);
    expect(await client('-tls1_2', '-cipher', 'AES128-SHA')).toMatch(/handshake failure/);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

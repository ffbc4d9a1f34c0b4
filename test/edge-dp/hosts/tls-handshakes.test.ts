import { createServer, connect as open, type Server } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { CertStatus, RevokedInfo } from '@peculiar/asn1-ocsp';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readClientHello } from '../../../edge-dp/hosts/node/tls/client-hello.ts';
import { SocketTls } from '../../../edge-dp/hosts/node/tls/client-tls.ts';
import { Handshakes, type TlsOptions } from '../../../edge-dp/hosts/node/tls/handshakes.ts';
import { DEFAULT_LIMITS } from '../../../edge-dp/hosts/node/tls/limits.ts';
import type { ClientVerification, TlsLimits } from '../../../edge-dp/hosts/options.ts';
import { type Authority, authority } from '../../cp/pki/authority.ts';
import { type Behaviour, type Responder, startResponder } from '../../cp/pki/ocsp-responder.ts';
import { once } from '../../once.ts';
import { within } from '../../within.ts';

type Leaf = Awaited<ReturnType<Authority['leaf']>>;

let rsa: Leaf;
let ecdsa: Leaf;
const servers: Server[] = [];

beforeAll(async () => {
  const ca = await authority('of tests');
  [rsa, ecdsa] = await Promise.all([ca.leaf({ name: 'rsa', type: 'rsa' }), ca.leaf({ name: 'ecdsa' })]);
});
afterEach(() => vi.useRealTimers());
afterAll(() => {
  for (const server of servers) server.close();
});

const NOBODY = {
  protocol: 'https',
  peerIp: null,
  peerPort: null,
  proxied: null,
  localPort: 443,
  waitUntil: () => undefined,
} as const;

/** A listener that says `hello` to whoever has shaken hands. */
async function listen(
  limits: Partial<TlsLimits> = {},
  more: Partial<TlsOptions> = {},
  seen: (socket: TLSSocket) => void = () => undefined,
): Promise<number> {
  const handshakes = new Handshakes(
    {
      pairs: [rsa, ecdsa],
      limits: { ...DEFAULT_LIMITS, ...limits },
      certificateOf: () => null,
      beginTls: () => null,
      ticketSecret: Buffer.alloc(48, 7).toString('base64'),
      protocols: ['http/1.1'],
      patience: 20_000,
      ...more,
    },
    {
      secured(socket) {
        seen(socket);
        socket.on('error', () => undefined).end('hello');
      },
      plain: (socket) => socket.end('plain'),
    },
  );
  const server = createServer({ allowHalfOpen: true }, (socket) => void handshakes.take(socket, NOBODY));
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Runs `see` with a client that has shaken hands; gives what went wrong otherwise. */
function shake<T>(port: number, options: ConnectionOptions, see: (socket: TLSSocket) => T): Promise<T | string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    socket.once('secureConnect', () => {
      const seen = see(socket);
      socket.resume().once('end', () => {
        resolve(seen);
        socket.destroy();
      });
    });
    socket.setTimeout(60_000, () => socket.destroy(new Error('no answer')));
    socket.once('error', (error) => resolve(`failed: ${error.message}`));
  });
}

const nameOf = (socket: TLSSocket) => String(socket.getPeerCertificate().subject.CN);
const ECDSA_FIRST = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256';
const RSA_ONLY = 'RSA-PSS+SHA256:RSA+SHA256';

describe('the pair that a client is shown', () => {
  it.each<[string, ConnectionOptions, string]>([
    ['takes both', {}, 'ecdsa'],
    ['prefers ECDSA, over TLS 1.2', { maxVersion: 'TLSv1.2', ciphers: ECDSA_FIRST }, 'ecdsa'],
    ['knows RSA alone', { sigalgs: RSA_ONLY }, 'rsa'],
    ['knows RSA alone, over TLS 1.2', { sigalgs: RSA_ONLY, maxVersion: 'TLSv1.2' }, 'rsa'],
    ['has RSA suites alone', { ciphers: 'ECDHE-RSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' }, 'rsa'],
    ['has ECDSA suites alone', { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' }, 'ecdsa'],
    ['has no signature for the curve of the other', { sigalgs: `ECDSA+SHA384:${RSA_ONLY}` }, 'rsa'],
  ])('is one it can take: who %s', async (_, options, expected) => {
    expect(await shake(await listen(), options, nameOf)).toBe(expected);
  });

  it('is the one of the name alone, whatever the listener has besides', async () => {
    const port = await listen({}, { certificateOf: () => ({ ...rsa, alternative: null, missing: null }) });
    expect(await shake(port, { servername: 'a.test' }, nameOf)).toBe('rsa');
    const both = await listen(
      {},
      { pairs: [ecdsa], certificateOf: () => ({ ...ecdsa, alternative: rsa, missing: null }) },
    );
    expect(await shake(both, { servername: 'a.test', sigalgs: RSA_ONLY }, nameOf)).toBe('rsa');
  });

  it('is found however long the hello is', async () => {
    const many = Array.from({ length: 100 }, (_, n) => `${n}`.padEnd(60, 'x'));
    expect(await shake(await listen(), { ALPNProtocols: ['http/1.1', ...many] }, nameOf)).toBe('ecdsa');
  });
});

describe('a hello', () => {
  let bytes: Buffer;
  beforeAll(async () => {
    const port = await new Promise<number>((resolve) => {
      const server = createServer((socket) => {
        socket
          .on('error', () => undefined)
          .once('data', (part) => {
            bytes = part;
            socket.destroy();
          });
      });
      servers.push(server);
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        if (typeof address === 'object' && address !== null) resolve(address.port);
      });
    });
    await shake(port, { servername: 'Some.test.', ALPNProtocols: ['h2', 'http/1.1'] }, () => '');
  });

  it('is read once all of it is there, be it in many records', () => {
    for (let size = 0; size < bytes.length; size++) {
      const reading = readClientHello(bytes.subarray(0, size));
      expect(reading.kind).toBe('incomplete');
      expect(reading.kind === 'incomplete' && reading.needed > size && reading.needed <= bytes.length).toBe(true);
    }
    const message = bytes.subarray(5);
    const records: Buffer[] = [];
    for (let at = 0; at < message.length; at += 50) {
      const part = message.subarray(at, at + 50);
      records.push(Buffer.from([22, 3, 1, 0, part.length]), part);
    }
    for (const whole of [bytes, Buffer.concat(records)]) {
      expect(readClientHello(whole)).toMatchObject({
        kind: 'hello',
        hello: { serverName: 'some.test', applicationProtocols: ['h2', 'http/1.1'], versions: [0x0304, 0x0303] },
      });
    }
  });

  it('is looked at with each of very many records, of one byte each', () => {
    const record = (byte: number) => Buffer.of(22, 3, 1, 0, 1, byte);
    const begun = Buffer.concat([1, 0, 0x0a, 0x80].map(record));
    // Of that length, and nothing but zeros.
    const long = Buffer.concat([begun, ...Array.from({ length: 0x0a80 }, () => record(0))]);
    const readings = new Set<string>();
    for (let size = 6; size <= long.length; size += 6) readings.add(readClientHello(long.subarray(0, size)).kind);
    expect([...readings]).toEqual(['incomplete', 'hello']);
  });

  it('with any byte changed is a hello, incomplete, or something else', () => {
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = 0xff;
      expect(['hello', 'incomplete', 'other']).toContain(readClientHello(changed).kind);
    }
    expect(readClientHello(Buffer.from('GET / HTTP/1.1')).kind).toBe('other');
  });
});

describe('what a listener speaks', () => {
  const spoken = (socket: TLSSocket) => `${socket.getProtocol()} ${socket.getCipher().name}`;
  const old: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' };

  it('is TLS 1.2 and 1.3 with authenticated encryption, as Kong has it', async () => {
    const port = await listen();
    expect(await shake(port, {}, spoken)).toMatch(/^TLSv1\.3 TLS_/);
    expect(await shake(port, old, spoken)).toMatch(/^failed/);
    const cbc = 'ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256:@SECLEVEL=0';
    expect(await shake(port, { maxVersion: 'TLSv1.2', ciphers: cbc }, spoken)).toMatch(/^failed/);
  });

  it.each<[string, Partial<TlsLimits>, ConnectionOptions, RegExp]>([
    ['versions', { versions: ['TLSv1.3'] }, { maxVersion: 'TLSv1.2' }, /^failed/],
    ['versions', { versions: ['TLSv1.2'] }, {}, /^TLSv1\.2 /],
    ['versions', { versions: ['TLSv1.2'] }, { minVersion: 'TLSv1.3' }, /^failed/],
    [
      'old versions',
      { versions: ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'], ciphers: 'AES128-SHA' },
      old,
      /^TLSv1\.1 AES128-SHA/,
    ],
    ['ciphers', { ciphers: 'AES256-GCM-SHA384' }, { maxVersion: 'TLSv1.2' }, /^TLSv1\.2 AES256-GCM-SHA384/],
    [
      'its own order',
      { preferServerCiphers: true, ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384' },
      /AES256/,
    ],
    [
      'its clients’ order',
      { preferServerCiphers: false, ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384' },
      /AES128/,
    ],
  ])('follows the %s of its settings', async (_, limits, options, expected) => {
    expect(await shake(await listen(limits), options, spoken)).toMatch(expected);
  });

  it('is Diffie-Hellman in the group of its settings', async () => {
    const port = await listen({ dhparam: 'ffdhe3072' });
    const options: ConnectionOptions = { maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES128-GCM-SHA256' };
    expect(await shake(port, options, (socket) => socket.getEphemeralKeyInfo())).toEqual({ type: 'DH', size: 3072 });
  });

  it('is no TLS to who begins with something else', async () => {
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x00\x05hello', '\x80\x2e\x01\x00\x02']) {
      const socket = open(await listen(), '127.0.0.1', () => socket.write(bytes, 'latin1'));
      let text = '';
      socket.on('data', (part) => {
        text += part;
      });
      await once(socket, 'end');
      expect(text).toBe('plain');
      socket.destroy();
    }
  });
});

describe('a client that is asked for its certificate', () => {
  /** What is known of the client's certificate, and why nothing is served; `options`: of the client. */
  async function seen(
    clients: ClientVerification,
    options: ConnectionOptions,
  ): Promise<readonly [string, string | null]> {
    const { promise, resolve } = Promise.withResolvers<readonly [string, string | null]>();
    const port = await listen({ clients }, {}, (socket) => {
      const tls = new SocketTls(socket, clients);
      resolve([tls.clientVerify, tls.refusal]);
    });
    await shake(port, options, () => '');
    return within(promise, 'a handshake', 60_000);
  }

  it('is served as nginx’s directive says', async () => {
    const ca = await authority('of clients');
    const [good, late, below, other] = await Promise.all([
      ca.leaf({ name: 'good' }),
      ca.leaf({ name: 'late', notAfter: new Date(Date.now() - 3_600_000) }),
      ca.intermediate('one').then((one) => one.leaf({ name: 'below' })),
      (await authority('of others')).leaf({ name: 'other' }),
    ]);
    const on: ClientVerification = { mode: 'on', ca: ca.pem };
    const none = 'No required SSL certificate was sent';
    const bad = 'The SSL certificate error';
    const expired = 'FAILED:certificate has expired';
    const unknown = expect.stringMatching(/^FAILED:unable to (get local issuer|verify the first) certificate$/);
    expect(await seen(on, {})).toEqual(['NONE', none]);
    expect(await seen(on, good)).toEqual(['SUCCESS', null]);
    expect(await seen(on, { ...good, maxVersion: 'TLSv1.2' })).toEqual(['SUCCESS', null]);
    expect(await seen(on, late)).toEqual([expired, bad]);
    expect(await seen(on, other)).toEqual([unknown, bad]);
    expect(await seen(on, below)).toEqual(['SUCCESS', null]);
    expect(await seen({ ...on, mode: 'optional' }, {})).toEqual(['NONE', null]);
    expect(await seen({ ...on, mode: 'optional' }, other)).toEqual([unknown, bad]);
    const free: ClientVerification = { mode: 'optional_no_ca', ca: null };
    expect(await seen(free, other)).toEqual([unknown, null]);
    expect(await seen({ ...free, ca: ca.pem }, late)).toEqual([expired, bad]);
  });
});

describe('sessions', () => {
  /** The ticket of a first connection; whether a second one with it goes on with the session. */
  async function resumes(first: number, second: number, between = (): void => undefined): Promise<boolean> {
    const options: ConnectionOptions = { maxVersion: 'TLSv1.2', servername: 'a.test' };
    const session = await shake(first, options, (socket) => socket.getSession());
    between();
    if (!(session instanceof Buffer)) throw new Error(`no session: ${session}`);
    return (await shake(second, { ...options, session }, (socket) => socket.isSessionReused())) === true;
  }

  it('go on with another process, which has the same secret, and not without tickets', async () => {
    expect(await resumes(await listen(), await listen())).toBe(true);
    const other = await listen({}, { ticketSecret: Buffer.alloc(48, 8).toString('base64') });
    expect(await resumes(await listen(), other)).toBe(false);
    const asking = await listen({ clients: { mode: 'optional', ca: null } });
    expect(await resumes(await listen(), asking)).toBe(false);
    const without = await listen({ sessionTickets: false });
    expect(await resumes(without, without)).toBe(false);
  });

  it('end when their key is replaced', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const port = await listen({ sessionTimeout: 3600 });
    expect(await resumes(port, port)).toBe(true);
    expect(await resumes(port, port, () => void vi.setSystemTime(Date.now() + 3_600_000))).toBe(false);
    expect(await resumes(port, port)).toBe(true);
  });
});

describe('what a responder says of a certificate', () => {
  let says: Behaviour = {};
  let responder: Responder;
  let ca: Authority;
  beforeAll(async () => {
    ca = await authority('of stapling');
    responder = await startResponder(ca, () => says);
  });
  afterAll(() => responder?.stop());
  afterEach(() => {
    says = {};
    vi.restoreAllMocks();
  });

  /** A listener with a certificate of its own. */
  async function stapling(options: { readonly whole?: boolean; readonly type?: 'rsa' } = {}): Promise<number> {
    const { cert, key } = await ca.leaf({ name: 'stapled', ocsp: responder.url });
    const pair = { cert: options.whole === false ? cert : `${cert}\n${ca.pem}`, key };
    return listen({ stapling: true }, { pairs: [pair, ...(options.type === 'rsa' ? [rsa] : [])] });
  }
  /** What a client is shown that asks; null: nothing. */
  const shown = (port: number, options: ConnectionOptions = {}): Promise<Buffer | string | null> =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, requestOCSP: true, ...options });
      socket.once('OCSPResponse', (response: Buffer | null) => resolve(response?.byteLength ? response : null));
      socket.once('error', (error) => resolve(`failed: ${error.message}`)).resume();
      socket.setTimeout(60_000, () => resolve('no answer'));
      socket.once('end', () => socket.destroy());
    });

  it('is shown to who asks, in both versions of TLS, and asked for once', async () => {
    const port = await stapling({ type: 'rsa' });
    const before = responder.asked;
    expect(await shown(port)).toBe(null);
    await expect.poll(() => shown(port)).toBeInstanceOf(Buffer);
    expect(responder.asked - before).toBe(1);
    const alone = await stapling();
    await expect.poll(() => shown(alone, { maxVersion: 'TLSv1.2' })).toBeInstanceOf(Buffer);
    expect(await shake(alone, {}, nameOf)).toBe('stapled');
  });

  it('is shown with either pair over TLS 1.2, where the ciphers say which one a client takes', async () => {
    const leaves = await Promise.all([
      ca.leaf({ name: 'e', ocsp: responder.url }),
      ca.leaf({ name: 'r', type: 'rsa', ocsp: responder.url }),
    ]);
    const pairs = leaves.map(({ cert, key }) => ({ cert: `${cert}\n${ca.pem}`, key }));
    const port = await listen({ stapling: true }, { pairs });
    const words = await listen({ stapling: true, ciphers: 'HIGH:!aNULL' }, { pairs });
    const clients: readonly (readonly [ConnectionOptions, string])[] = [
      [{ ciphers: ECDSA_FIRST }, 'e'],
      [{ ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }, 'e'],
      [{ sigalgs: RSA_ONLY }, 'r'],
      [{ ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }, 'r'],
      // An ECDSA suite that the listener does not take.
      [{ ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256' }, 'r'],
      [{ ecdhCurve: 'P-384' }, 'r'],
    ];
    for (const [options, name] of clients) {
      const old: ConnectionOptions = { ...options, maxVersion: 'TLSv1.2' };
      expect(await shake(port, old, nameOf)).toBe(name);
      await expect.poll(() => shown(port, old), { timeout: 60_000 }).toBeInstanceOf(Buffer);
    }
    expect(await shown(words, { ciphers: ECDSA_FIRST, maxVersion: 'TLSv1.2' })).toBe(null);
    expect(await shake(words, { ciphers: ECDSA_FIRST, maxVersion: 'TLSv1.2' }, nameOf)).toBe('e');
  });

  it.each<[string, Behaviour, RegExp]>([
    [
      'revokes it',
      { status: new CertStatus({ revoked: new RevokedInfo({ revocationTime: new Date(0) }) }) },
      /is not good/,
    ],
    ['speaks of another', { otherSerial: true }, /about another certificate/],
    ['is out of date', { age: 7_200_000 }, /out of date/],
    ['fails', { http: 500 }, /answered with 500/],
  ])('is not shown where it %s, and the log says why', async (_, behaviour, reason) => {
    says = behaviour;
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const port = await stapling();
    expect(await shown(port)).toBe(null);
    await expect.poll(() => warned.mock.calls.join()).toMatch(reason);
    expect(await shown(port)).toBe(null);
  });

  it('is not shown beyond its time, and asked for again in time', async () => {
    says = { validity: 1_800_000 };
    const port = await stapling();
    await expect.poll(() => shown(port)).toBeInstanceOf(Buffer);
    vi.useFakeTimers({ toFake: ['Date'] });
    says = { http: 500 };
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const before = responder.asked;
    vi.setSystemTime(Date.now() + 1_700_000);
    expect(await shown(port)).toBeInstanceOf(Buffer);
    await expect.poll(() => responder.asked - before).toBe(1);
    vi.setSystemTime(Date.now() + 200_000);
    expect(await shown(port)).toBe(null);
  });

  it('cannot be asked for without the certificate of the issuer, which the log says', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    expect(await shown(await stapling({ whole: false }))).toBe(null);
    expect(warned.mock.calls.join()).toMatch(/CN=stapled: its chain lacks the certificate of its issuer/);
  });
});

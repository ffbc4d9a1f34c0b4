import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createReadStream, existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Datagrams } from '../../../../edge-dp/hosts/egress/datagrams.ts';
import { SystemLog } from '../../../../edge-dp/hosts/egress/system-log.ts';
import { EGRESS_TOKEN } from '../../../../edge-dp/proxy/egress/protocol.ts';
import { type Authority, authority } from '../../../cp/pki/authority.ts';
import { commandOf, descendants } from '../../../proc.ts';
import { within } from '../../../within.ts';
import { ForwardProxyServer } from '../../hosts/forward-proxy-server.ts';
import { hosts } from '../../hosts.ts';
import { id, type ProxyNode, startProxyNode } from '../../proxy/node.ts';
import type { Errand } from './errand.ts';

const TUNNELLING_WORKER = fileURLToPath(new URL('./workers/tunnelling.ts', import.meta.url));

/** Whom the node trusts beside the public CAs, and whom only a connection's own options do. */
let trusted: Authority;
let other: Authority;
let folder: string;
const servers = new Set<Server>();

beforeAll(async () => {
  [trusted, other] = await Promise.all([authority('trusted'), authority('other')]);
  folder = await mkdtemp(join(tmpdir(), 'holdfast tunnel '));
});
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function listening(server: Server, at: string | number = 0): Promise<number> {
  servers.add(server);
  if (typeof at === 'string') server.listen(at);
  else server.listen(at, '127.0.0.1');
  await once(server, 'listening');
  return typeof at === 'string' ? 0 : (server.address() as AddressInfo).port;
}

/** Answers what it has read once the other side has ended. */
function echoAtEnd(socket: Socket): void {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('end', () => socket.end(Buffer.concat(chunks)));
  socket.on('error', () => undefined);
}

/** Answers each line with the number it has on this connection. */
function countLines(socket: Socket): void {
  let lines = 0;
  socket.on('data', () => socket.write(`${++lines}\n`));
  socket.on('error', () => undefined);
}

describe.each(hosts)('what plugins reach through the host, on %s', (host, start) => {
  let node: ProxyNode;

  beforeAll(async () => {
    node = await startProxyNode(
      {
        routes: [{ id: id(1), paths: ['/'], protocols: ['http'] }],
        plugins: [{ id: id(2), name: 'tunnelling', protocols: ['http'], config: {} }],
      },
      { start, entry: TUNNELLING_WORKER, trust: { publicCas: true, certificates: [trusted.pem] } },
    );
  });
  afterAll(() => node?.stop());

  const run = async (errand: Errand): Promise<unknown> => {
    const answer = await fetch(node.url, { method: 'POST', body: JSON.stringify(errand) });
    return await answer.json();
  };
  const to = (port: number, others: Partial<Errand & { does: 'connect' }> = {}) =>
    run({ does: 'connect', host: '127.0.0.1', port, tls: null, send: 'hello\n', ...others });
  const tls = { serverName: 'peer.test', verify: true };

  it('is a connection that carries much both ways, and ends on one side first', async () => {
    const port = await listening(createServer({ allowHalfOpen: true }, echoAtEnd));
    expect(await to(port)).toEqual({ reused: false, text: 'hello\n', length: 6 });
    expect(await to(port, { send: 'x'.repeat(100_000), times: 80 })).toMatchObject({ length: 8_000_000 });
    expect(await to(port, { host: 'localhost' })).toMatchObject({ length: 6 });
  });

  it('says why there is no connection', async () => {
    const silent = await listening(createServer(() => undefined));
    const free = await listening(createServer());
    for (const server of servers) if ((server.address() as AddressInfo | null)?.port === free) server.close();
    expect(await to(free)).toMatchObject({ code: 'unreachable', message: `127.0.0.1:${free}: connection refused` });
    expect(await to(1, { host: 'nowhere.invalid' })).toMatchObject({ code: 'dns' });
    expect(await to(silent, { tls, timeout: 200 })).toMatchObject({ code: 'timeout' });
    expect(await to(0)).toMatchObject({ message: expect.stringContaining('port is not an integer from 1 to 65535') });
  });

  it('verifies certificates by the CAs it trusts, by those it is given, or not at all', async () => {
    const serverOf = async (ca: Authority, options: object = {}) => {
      const { cert, key } = await ca.leaf({ name: 'peer.test' });
      return listening(createTlsServer({ cert, key, allowHalfOpen: true, ...options }, echoAtEnd));
    };
    const [known, unknown] = await Promise.all([serverOf(trusted), serverOf(other)]);
    expect(await to(known, { tls })).toMatchObject({ text: 'hello\n' });
    expect(await to(known, { tls: { ...tls, serverName: 'else.test' } })).toMatchObject({ code: 'tls' });
    expect(await to(known, { tls: { ...tls, serverName: null } })).toMatchObject({ code: 'tls' });
    expect(await to(unknown, { tls })).toMatchObject({ code: 'tls' });
    expect(await to(unknown, { tls: { ...tls, ca: [other.pem] } })).toMatchObject({ text: 'hello\n' });
    expect(await to(unknown, { tls: { serverName: null, verify: false } })).toMatchObject({ text: 'hello\n' });
    const strict = await serverOf(other, { ca: trusted.pem, requestCert: true, rejectUnauthorized: true });
    const certificate = await trusted.leaf({ name: 'gateway' });
    const mine = { ...tls, ca: [other.pem], certificate: { cert: certificate.cert, key: certificate.key } };
    expect(await to(strict, { tls: mine })).toMatchObject({ text: 'hello\n' });
    const https = createHttpsServer(await other.leaf({ name: 'peer.test' }), (_, response) => response.end());
    const url = `https://127.0.0.1:${await listening(https)}/`;
    expect(await run({ does: 'fetch', url, verify: false })).toBe(200);
    expect(await run({ does: 'fetch', url, verify: true })).toMatchObject({ code: 'tls' });
  });

  it('is asked for by way of an HTTP proxy, which sees what is in clear and nothing else', async () => {
    const seen: string[] = [];
    const { cert, key } = await trusted.leaf({ name: 'hidden.test' });
    const port = await listening(
      createHttpsServer({ cert, key }, ({ url }, response) =>
        response.writeHead(url === '/secret?a=b' ? 204 : 404).end(),
      ),
    );
    const proxy = await ForwardProxyServer.start(null);
    proxy.serve((request, response) => {
      seen.push(`${request.url} ${request.headers.host} ${request.headers['proxy-authorization']}`);
      response.writeHead(203).end();
    });
    try {
      const at = `127.0.0.1:${proxy.port}`;
      const ask = (url: string, by = `http://us%20er:p%40ss%3Aw@${at}`) =>
        run({ does: 'fetch', url, verify: true, proxy: by });
      const secret = `https://hidden.test:${port}/secret?a=b`;
      // Only the proxy knows the name.
      expect(await ask(secret)).toBe(204);
      expect(await ask(secret)).toBe(204);
      expect(new Set(proxy.asked)).toEqual(new Set([`hidden.test:${port}`]));
      expect(Buffer.concat(proxy.passed).includes('secret')).toBe(false);
      expect(await ask('http://plain.test/path?a=b')).toBe(203);
      const credentials = Buffer.from('us er:p@ss:w').toString('base64');
      expect(seen).toEqual([`http://plain.test/path?a=b plain.test Basic ${credentials}`]);
      // Nobody is believed more for it, and no way leads around a proxy.
      expect(await ask(`https://other.test:${port}/`)).toMatchObject({ code: 'tls' });
      expect(await ask(secret, `http://${at}`)).toMatchObject({
        code: 'unreachable',
        message: expect.stringContaining(`the proxy ${at}: it answers 407 when asked for hidden.test:${port}`),
      });
      expect(await ask(secret, 'http://127.0.0.1:1')).toMatchObject({ code: 'unreachable' });
      expect(await ask(secret, `https://${at}`)).toMatchObject({ code: 'unsupported' });
    } finally {
      proxy.stop();
    }
  });

  it('goes over to TLS on a connection, and forgets what was slipped in before', async () => {
    const pair = await other.leaf({ name: 'peer.test' });
    const port = await listening(
      createServer((socket) => {
        socket.on('error', () => undefined);
        socket.write('go ahead\nand believe this\n');
        const secured = new TLSSocket(socket, { isServer: true, ...pair });
        countLines(secured);
      }),
    );
    const options = { serverName: 'peer.test', verify: true, ca: [other.pem] };
    expect(await to(port, { startTls: options, keep: 0 })).toMatchObject({ text: '1\n' });
    expect(await to(port, { startTls: tls, keep: 0 })).toMatchObject({ code: 'tls' });
  });

  it('is kept open for the next of its pool, unless the peer has closed it', async () => {
    const accepted = new Set<Socket>();
    const server = createServer((socket) => {
      accepted.add(socket);
      countLines(socket);
    });
    const port = await listening(server);
    const kept = { keep: 60_000, pool: 'a' };
    expect(await to(port, kept)).toMatchObject({ reused: false, text: '1\n' });
    expect(await to(port, kept)).toMatchObject({ reused: true, text: '2\n' });
    expect(await to(port, { ...kept, pool: 'b' })).toMatchObject({ reused: false, text: '1\n' });
    const both = await Promise.all([to(port, kept), to(port, kept)]);
    expect(both).toContainEqual(expect.objectContaining({ reused: true, text: '3\n' }));
    // The first may be over before the second begins.
    if (!JSON.stringify(both).includes('4\\n'))
      expect(both).toContainEqual(expect.objectContaining({ reused: false, text: '1\n' }));
    const ended = async (end: (socket: Socket) => unknown) => {
      const open = [...accepted].filter((socket) => !socket.destroyed);
      const closed = Promise.all(open.map((socket) => once(socket, 'close')));
      for (const socket of open) end(socket);
      await within(closed, 'the node to close its side', 60_000);
    };
    await ended((socket) => socket.end());
    expect(await to(port, kept)).toMatchObject({ reused: false, text: '1\n' });
    // What comes unasked is in nobody's way.
    await ended((socket) => socket.write('unasked\n'));
    expect(await to(port, kept)).toMatchObject({ reused: false, text: '1\n' });
    await ended((socket) => socket.destroy());
  });

  it('sends UDP packets as they are', async () => {
    const socket = createSocket('udp4');
    const packets: string[] = [];
    socket.on('message', (message) => packets.push(String(message)));
    await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound));
    const { port } = socket.address();
    const long = 'x'.repeat(50_000);
    const sent = { does: 'datagram', host: '127.0.0.1', port, packets: ['a:1|c', '', long] } as const;
    expect(await run(sent)).toBeNull();
    expect(await run({ ...sent, host: 'localhost', packets: ['named'] })).toBeNull();
    await expect.poll(() => packets).toEqual(['a:1|c', '', long, 'named']);
    expect(await run({ ...sent, packets: ['x'.repeat(65_508)] })).toMatchObject({ code: 'protocol' });
    // Those beside one that cannot be sent go, and once.
    expect(await run({ ...sent, packets: ['before', 'x'.repeat(65_508), 'behind'] })).toBeNull();
    await new Datagrams().send(
      '127.0.0.1',
      port,
      ['b', 'x'.repeat(65_508), 'c'].map((text) => Buffer.from(text)),
    );
    await expect.poll(() => packets.slice(4)).toEqual(['before', 'behind', 'b', 'c']);
    expect(await run({ ...sent, host: 'nowhere.invalid' })).toMatchObject({ code: 'dns' });
    socket.close();
  });

  it('appends texts whole to a pipe that takes less at once, as its reader takes them', async () => {
    const path = join(folder, `${host} pipe`);
    execFileSync('mkfifo', [path]);
    // Open for both, which waits for no writer: whoever opens it to write finds that somebody reads.
    const reader = createReadStream(path, { flags: 'r+' });
    await once(reader, 'open');
    let read = '';
    reader.setEncoding('utf8').on('data', (part) => {
      read += part;
      // What it has not taken yet fills the pipe.
      reader.pause();
      setTimeout(() => reader.resume(), 1);
    });
    const texts = ['a', 'b', 'c'].map((letter) => `${letter.repeat(300_000)}\n`);
    expect(await run({ does: 'append', path, reopen: false, texts })).toBeNull();
    await expect.poll(() => read.length).toBe(3 * 300_001);
    expect(read.split('\n').toSorted().join('\n')).toBe(`\n${texts.map((text) => text.trim()).join('\n')}`);
    reader.destroy();
  });

  it('appends whole texts to files, and to the file of that name now where it is to', async () => {
    const path = join(folder, `${host}.log`);
    const line = { does: 'append', path, reopen: false } as const;
    const texts = Array.from({ length: 30 }, (_, place) => `${place} ${'é'.repeat(5000)}\n`);
    expect(await run({ ...line, texts })).toBeNull();
    expect(readFileSync(path, 'utf8').split('\n').sort()).toEqual(texts.join('').split('\n').sort());
    renameSync(path, `${path}.1`);
    await run({ ...line, texts: ['still here\n'] });
    expect(readFileSync(`${path}.1`, 'utf8').endsWith('still here\n')).toBe(true);
    await run({ ...line, reopen: true, texts: ['anew\n'] });
    expect(readFileSync(path, 'utf8')).toBe('anew\n');
    expect(await run({ ...line, path: join(folder, 'none', 'log'), texts: ['lost'] })).toMatchObject({
      message: expect.stringMatching(/^file .*none\/log: ENOENT/),
    });
  });

  it('is not for others on this machine', async () => {
    const socketPath = egressSocket(node);
    const ask = (head: string): Promise<string> =>
      new Promise((resolve, reject) => {
        let text = '';
        const socket = connect(socketPath, () => socket.write(`${head}\r\n\r\n`));
        socket.on('data', (data) => {
          text += data;
          socket.end();
        });
        socket.on('error', reject);
        socket.on('close', () => resolve(text));
      });
    expect(await ask('CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: a')).toContain('HTTP/1.1 403 ');
    expect(await ask(`CONNECT ${'0'.repeat(32)}:1 HTTP/1.1\r\nHost: a`)).toContain('HTTP/1.1 403 ');
    for (const path of ['/tunnels', '/files?path=/tmp/x', '/datagrams/127.0.0.1/1', '/syslog']) {
      const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n${EGRESS_TOKEN}: guessed`;
      expect(await ask(head), path).toContain('HTTP/1.1 403 ');
    }
  });

  it.runIf(host === 'workerd')('ends with the egress process, and is there again with the next', async () => {
    const accepted: Socket[] = [];
    const port = await listening(
      createServer((socket) => {
        accepted.push(socket);
        socket.on('error', () => undefined);
      }),
    );
    const waiting = to(port, { keep: 1000 });
    await expect.poll(() => accepted.length).toBe(1);
    const old = egressProcess();
    process.kill(old, 'SIGKILL');
    expect(await waiting).toMatchObject({ code: 'protocol' });
    const echo = await listening(createServer({ allowHalfOpen: true }, echoAtEnd));
    await expect.poll(() => to(echo)).toMatchObject({ text: 'hello\n' });
  });
});

function egressProcess(): number {
  const found = descendants(process.pid).find((pid) => commandOf(pid).includes('egress/main.ts'));
  return found ?? expect.fail('there is no egress process');
}

function egressSocket({ prefix }: ProxyNode): string {
  const folder = join(prefix, 'run');
  const name = readdirSync(folder).find((each) => /egress.*\.sock$/.test(each));
  return name === undefined ? expect.fail(`there is no egress socket in ${folder}`) : join(folder, name);
}

it.runIf(process.env.PATH?.split(':').some((each) => existsSync(join(each, 'logger'))))(
  'writes to syslog in the form of RFC 3164, whatever is in a line, and says so where nobody listens',
  async () => {
    const path = join(folder, 'log');
    let received = '';
    await listening(
      createServer((socket) => socket.on('data', (data) => (received += data))),
      path,
    );
    const log = new SystemLog(path, 'kong[7]');
    const long = 'x'.repeat(50_000);
    await Promise.all([
      log.write([
        { priority: 14, text: '{"a":"<3>é"}' },
        { priority: 159, text: 'two\nlines' },
      ]),
      log.write([{ priority: 11, text: long }]),
    ]);
    const time = '[A-Z][a-z]{2} [ 123]\\d \\d\\d:\\d\\d:\\d\\d';
    await expect.poll(() => received).toContain(long);
    expect(received).toMatch(
      new RegExp(`^<14>${time} kong\\[7\\]: {"a":"<3>é"}\\W?<159>${time} kong\\[7\\]: two lines\\W?<11>`),
    );
    const silent = new SystemLog(join(folder, 'nobody'), 'kong[7]').write([{ priority: 14, text: 'x' }]);
    await expect(silent).rejects.toThrow(/^syslog at .*nobody: .*No such file/);
  },
);

it.runIf(process.env.PATH?.split(':').some((each) => existsSync(join(each, 'logger'))))(
  'says what it could not write to a syslog that takes nothing',
  async () => {
    const path = join(folder, 'full');
    await listening(
      createServer((socket) => socket.on('error', () => undefined).pause()),
      path,
    );
    const log = new SystemLog(path, 'kong[7]', { most: 200, patience: 500 });
    const entries = (count: number) =>
      Array.from({ length: count }, () => ({ priority: 14, text: 'x'.repeat(50_000) }));
    const held = log.write(entries(200));
    const waiting = log.write(entries(150));
    await expect(log.write(entries(51))).rejects.toThrow(/too many entries wait$/);
    await expect(held).rejects.toThrow(/not all was taken within 500 ms$/);
    await expect(waiting).rejects.toThrow(/not all was taken within 500 ms$/);
  },
);

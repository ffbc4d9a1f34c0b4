import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startGateway } from './gateway.ts';
import { id, route, service, startProxyNode } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** One failure of any kind is enough to take a target out. */
const STRICT = {
  passive: {
    type: 'http',
    healthy: { successes: 0, http_statuses: [200] },
    unhealthy: { tcp_failures: 1, timeouts: 1, http_failures: 1, http_statuses: [400, 408, 499, 500, 502, 503, 504] },
  },
};

function tables(target: Upstream, fields: Readonly<Record<string, unknown>>) {
  return {
    upstreams: [{ id: id(90), name: 'checked', healthchecks: STRICT }],
    targets: [{ id: id(91), upstream: { id: id(90) }, target: `127.0.0.1:${target.port}`, weight: 100 }],
    services: [
      service(1, 80, { host: 'checked', retries: 3 }),
      // A verdict on those whose bodies do not come may wait for this.
      service(2, 80, { host: 'checked', retries: 3, connect_timeout: 500, read_timeout: 500 }),
      // Over before anybody looks whether the client still waits.
      service(3, 80, { host: 'checked', retries: 3, connect_timeout: 1_000, read_timeout: 1_000 }),
    ],
    routes: [route(1, '/', 1, fields), route(2, '/half', 2, fields), route(3, '/patient', 3, fields)],
  };
}

const PROXY = { clientBodyTimeout: 400 };
interface Running {
  readonly port: number;
  readonly stop: () => Promise<unknown>;
}

/** Only the system a node runs on knows of an ordinary close while a client waits. */
const LOOKS = process.platform === 'linux';

describe.each<[way: string, start: (target: Upstream) => Promise<Running>, looks: boolean]>([
  ['natively', (target) => startProxyNode(tables(target, {}), { proxy: PROXY }), LOOKS],
  [
    'through the egress process',
    (target) => startProxyNode(tables(target, { preserve_host: true }), { proxy: PROXY }),
    LOOKS,
  ],
  ['on Node', (target) => startProxyNode(tables(target, {}), { proxy: PROXY, start: startNodeHost }), true],
  [
    "through the runtime's sockets",
    (target) => startGateway({ tables: tables(target, { preserve_host: true }), proxy: PROXY, lingering: 4_000 }),
    false,
  ],
  [
    'natively, while work for the request goes on',
    (target) => startGateway({ tables: tables(target, {}), proxy: PROXY, lingering: 4_000 }),
    false,
  ],
])('clients that leave, %s', (_, start, looks) => {
  let upstream: Upstream;
  let gateway: Running;
  /** Connections on which a request waits. */
  let open = 0;
  /** Called in the moment in which one comes. */
  let opened = (): void => undefined;

  beforeAll(async () => {
    upstream = await startUpstream(({ line }, socket) => {
      if (!line.includes('/slow') && !line.includes('/stream')) return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
      open += 1;
      opened();
      socket.once('close', () => {
        open -= 1;
      });
      if (line.includes('/slow')) return undefined;
      const ticks = setInterval(() => socket.write('4\r\ntick\r\n'), 20);
      socket.once('close', () => clearInterval(ticks));
      return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    });
    gateway = await start(upstream);
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  /** Sends bytes, and leaves in one way or another once `when` is the case; `opened`: as soon as the upstream has the request. */
  const leave = async (
    bytes: string,
    how: 'reset' | 'close' | 'stay',
    when: 'opened' | ((answer: string) => boolean),
  ) => {
    const client = connect(gateway.port, '127.0.0.1');
    let answer = '';
    client.setEncoding('latin1');
    client.on('data', (part) => {
      answer += String(part);
    });
    client.on('error', () => undefined);
    client.write(bytes);
    if (when === 'opened') await new Promise<void>((resolve) => (opened = resolve));
    else await expect.poll(() => when(answer), { message: `${bytes.slice(0, 40)}: nothing to leave from` }).toBe(true);
    if (how === 'reset') client.resetAndDestroy();
    else if (how === 'close') client.destroy();
    return client;
  };

  const fine = async () => (await fetch(`http://127.0.0.1:${gateway.port}/fine`)).status;
  const ended = () => expect.poll(() => open, { message: 'upstream requests go on' }).toBe(0);

  const ways: readonly ('reset' | 'close')[] = looks ? ['reset', 'close'] : ['reset'];

  it.each(ways)(
    'end the upstream request, are not served again, and are not blamed on the target: a %s',
    async (how) => {
      upstream.seen.length = 0;
      await leave('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n', how, 'opened');
      await ended();
      expect(await fine()).toBe(200);
      expect(upstream.seen.filter(({ line }) => line.includes('/slow'))).toHaveLength(1);
    },
  );

  it.each(ways)(
    'are not served again when the upstream takes too long, and the target is not blamed: a %s',
    async (how) => {
      upstream.seen.length = 0;
      await leave('GET /patient/slow HTTP/1.1\r\nHost: a\r\n\r\n', how, 'opened');
      await ended();
      expect(await fine()).toBe(200);
      expect(upstream.seen.filter(({ line }) => line.includes('/slow'))).toHaveLength(1);
    },
  );

  it('end the upstream request, in the middle of an answer: an ordinary close', async () => {
    await leave('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n', 'close', (answer) => answer.includes('tick'));
    await ended();
    expect(await fine()).toBe(200);
  });

  it.each([
    ['POST', 'reset'],
    ['POST', 'close'],
    ['POST', 'stay'],
    ['GET', 'reset'],
    ['GET', 'close'],
    ['GET', 'stay'],
    ['HEAD', 'close'],
    ['HEAD', 'stay'],
  ] as const)('are not blamed on the target in the middle of the body of a %s: %s', async (method, how) => {
    const arrived = Date.now();
    const client = await leave(
      `${method} /half HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf`,
      how,
      () => Date.now() - arrived > 100,
    );
    // Time for a verdict: the patience with the client's body, or the read timeout, is over.
    if (how === 'stay') await expect.poll(() => client.bytesRead, { message: 'no answer' }).toBeGreaterThan(0);
    else await expect.poll(() => client.destroyed).toBe(true);
    for (let n = 0; n < 5; n++) expect(await fine()).toBe(200);
    client.destroy();
  });
});

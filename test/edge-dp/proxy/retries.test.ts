import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import type { StartHost } from '../hosts.ts';
import { startGateway } from './gateway.ts';
import { id, route, service, startProxyNode, statuses } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const LARGE = 200_000;

interface Running {
  readonly raw: (bytes: string) => Promise<string>;
  readonly stop: () => Promise<unknown>;
}

/** Two targets behind an upstream, and the first of them behind a service of its own; each with retries and without. */
function tables(targets: readonly Upstream[], fields: Readonly<Record<string, unknown>>) {
  const [first] = targets;
  const port = first?.port ?? 0;
  return {
    upstreams: [{ id: id(90), name: 'both' }],
    targets: targets.map((target, n) => ({
      id: id(91 + n),
      upstream: { id: id(90) },
      target: `127.0.0.1:${target.port}`,
      weight: 100,
    })),
    services: [
      service(1, port, { retries: 0 }),
      service(2, port, { retries: 3 }),
      service(3, 80, { host: 'both', retries: 0 }),
      service(4, 80, { host: 'both', retries: 3 }),
    ],
    routes: ['/never', '/thrice', '/both/never', '/both/thrice'].map((path, n) => route(n, path, n + 1, fields)),
  };
}

async function node(targets: readonly Upstream[], fields = {}, start?: StartHost): Promise<Running> {
  const running = await startProxyNode(tables(targets, fields), start === undefined ? {} : { start });
  return {
    raw: async (bytes) => (await running.raw(bytes, { answers: 1 })).text,
    stop: () => running.stop(),
  };
}

describe.each([
  ['natively', (targets: readonly Upstream[]) => node(targets), false],
  ['through the egress process', (targets: readonly Upstream[]) => node(targets, { preserve_host: true }), true],
  ['on Node', (targets: readonly Upstream[]) => node(targets, {}, startNodeHost), true],
  [
    "through the runtime's sockets",
    (targets: readonly Upstream[]): Promise<Running> =>
      startGateway({ tables: tables(targets, { preserve_host: true }) }),
    false,
  ],
])('a request that may not be made again, %s', (name, start, tellsReuse) => {
  const targets: Upstream[] = [];
  let gateway: Running;
  const seen = () => targets.map((target) => target.seen.length);
  const sum = () => seen().reduce((all, one) => all + one, 0);

  beforeAll(async () => {
    for (const _ of [1, 2]) {
      targets.push(
        await startUpstream(({ line, reused }, socket) => {
          if (line.includes('/die') || (line.includes('/idle') && reused > 0)) socket.destroy();
          else if (line.includes('/odd')) socket.end('HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n');
          else if (line.includes('/garbage')) socket.end('SSH-2.0-OpenSSH\r\n\r\n');
          else return OK;
          return undefined;
        }),
      );
    }
    gateway = await start(targets);
  });
  afterAll(async () => {
    await gateway?.stop();
    for (const target of targets) await target.stop();
  });
  beforeEach(() => {
    for (const target of targets) target.seen.length = 0;
  });

  const ask = async (path: string, method = 'GET', rest = '\r\n') =>
    statuses(await gateway.raw(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${rest}`))[0];

  it.each([['GET'], ['DELETE'], ['OPTIONS']])('is made once with retries = 0: %s', async (method) => {
    expect(await ask('/never/die', method)).toBe(502);
    expect(seen()).toEqual([1, 0]);
    expect(await ask('/both/never/die', method)).toBe(502);
    expect(sum()).toBe(2);
  });

  it.each([['/thrice/odd'], ['/thrice/garbage'], ['/both/thrice/odd']])(
    'is made once where the answer was unusable: %s',
    async (path) => {
      // Node passes any status on.
      expect(await ask(path, 'DELETE')).toBe(name === 'on Node' && path.endsWith('odd') ? 600 : 502);
      expect(sum()).toBe(1);
    },
  );

  it('is made as often as retries allow where no answer came, and no more', async () => {
    expect(await ask('/thrice/die')).toBe(502);
    expect(seen()).toEqual([4, 0]);
  });

  it.each([
    ['of known length', `Content-Length: ${LARGE}\r\n\r\n${'x'.repeat(LARGE)}`],
    ['in chunks', `Transfer-Encoding: chunked\r\n\r\n${LARGE.toString(16)}\r\n${'x'.repeat(LARGE)}\r\n0\r\n\r\n`],
  ])('is made once with a body %s that was streamed', async (_kind, rest) => {
    expect(await ask('/thrice/die', 'PUT', rest)).toBe(502);
    expect(seen()).toEqual([1, 0]);
  });

  if (!tellsReuse) return;
  it('is made again at the same target where a connection kept from before was closed', async () => {
    // Both targets get a connection that will be closed when it is used again.
    for (const _ of [1, 2]) expect(await ask('/both/never/idle')).toBe(200);
    expect(seen()).toEqual([1, 1]);
    expect(await ask('/both/never/idle')).toBe(200);
    expect(seen().toSorted()).toEqual([1, 3]);
    expect(await ask('/never/fine')).toBe(200);
    expect(await ask('/never/idle', 'POST', 'Content-Length: 2\r\n\r\nhi')).toBe(502);
  });

  // The last one, since there is only one target behind it.
  it('is made at another target where the first took no connection: a POST', async () => {
    await targets[1]?.stop();
    const post = () => ask('/both/thrice/fine', 'POST', 'Content-Length: 2\r\n\r\nhi');
    // What was kept of connections goes first, with what may be repeated.
    for (let n = 0; n < 8; n++) expect(await ask('/both/thrice/fine')).toBe(200);
    for (let n = 0; n < 8; n++) expect(await post()).toBe(200);
  });
});

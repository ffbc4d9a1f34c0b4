import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMiniflareHost } from '../../../edge-dp/hosts/miniflare/host.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { type ProxyNode, responses, route, service, startProxyNode, statuses } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
/** What has no body. */
const BODYLESS = ['204 No Content', '304 Not Modified'];
const LONG = 'x'.repeat(300_000);
const GZIPPED = gzipSync('compressed by the upstream').toString('latin1');

/** What the upstream answers, by the last part of the path. */
const answers: Readonly<Record<string, string>> = {
  length: `${OK}Content-Length: 5\r\n\r\nhello`,
  long: `${OK}Content-Length: ${LONG.length}\r\n\r\n${LONG}`,
  chunks: `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  empty: `${OK}Content-Length: 0\r\n\r\n`,
  hints: `HTTP/1.1 103 Early Hints\r\n\r\n${OK}Content-Length: 5\r\n\r\nhello`,
  gzip: `${OK}Content-Encoding: gzip\r\nContent-Length: ${GZIPPED.length}\r\n\r\n${GZIPPED}`,
  // Nothing here undoes it, and nothing has to.
  ...Object.fromEntries(BODYLESS.map((status) => [status.slice(0, 3), `HTTP/1.1 ${status}\r\n\r\n`])),
  zstd: `${OK}Content-Encoding: zstd\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\x28\xb5\x2f\xfd\x00\r\n0\r\n\r\n`,
};
const bodies: Readonly<Record<string, string>> = {
  long: LONG,
  empty: '',
  gzip: GZIPPED,
  zstd: '\x28\xb5\x2f\xfd\x00',
};

describe.each([
  ['on workerd, natively', startWorkerdHost, '/native'],
  ['on workerd, through the egress process', startWorkerdHost, '/egress'],
  ["on Miniflare, through the runtime's sockets", startMiniflareHost, '/egress'],
  ['on Node', startNodeHost, '/native'],
])('Connection: close %s', (host, start, way) => {
  let upstream: Upstream;
  let node: ProxyNode;

  beforeAll(async () => {
    upstream = await startUpstream(({ line }) => {
      const answer = answers[/\/(\w+) HTTP/.exec(line)?.[1] ?? ''] ?? '';
      return line.startsWith('HEAD') ? answer.slice(0, answer.indexOf('\r\n\r\n') + 4) : answer;
    });
    node = await startProxyNode(
      {
        services: [service(1, upstream.port)],
        routes: [route(1, '/native', 1), route(2, '/egress', 1, { preserve_host: true })],
      },
      { start },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
  });

  const ask = (path: string, { method = 'GET', connection = 'close' } = {}) =>
    node.raw(`${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: ${connection}\r\n\r\n`);

  it.each(Object.keys(answers).filter((what) => !/^\d/.test(what)))(
    'ends the connection behind the whole answer: %s',
    async (what) => {
      const { text, closed } = await ask(`${way}/${what}`);
      expect(closed).toBe(true);
      expect(responses(text)).toMatchObject([{ status: 200, body: bodies[what] ?? 'hello' }]);
      if (what === 'gzip') expect(text).toContain(`\r\nContent-Length: ${GZIPPED.length}\r\n`);
    },
  );

  it('ends it behind an answer without a body to HEAD, one of its own, and however the client spells it', async () => {
    const head = await ask(`${way}/length`, { method: 'HEAD' });
    expect(head.closed).toBe(true);
    expect(head.text).toMatch(/\r\nContent-Length: 5\r\n[\s\S]*\r\n\r\n$/);
    const none = await ask('/none');
    expect(none.closed).toBe(true);
    expect(responses(none.text)).toMatchObject([{ status: 404, body: expect.stringContaining('no Route matched') }]);
    expect((await ask(`${way}/length`, { connection: 'X-A, Close' })).closed).toBe(true);
  });

  it.each(['204', '304'])('ends it behind a %s, where the host can, and says so', async (what) => {
    const onNode = host === 'on Node';
    const request = `GET ${way}/${what} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const { text, closed } = await node.raw(request, onNode ? {} : { answers: 1 });
    expect([statuses(text), closed]).toEqual([[Number(what)], onNode]);
    expect(text).toContain(onNode ? '\r\nConnection: close\r\n' : '\r\nProxy-Connection: close\r\n');
  });

  it('serves nothing behind it, and keeps a connection nobody wants to end', async () => {
    const next = `GET ${way}/length HTTP/1.1\r\nHost: a\r\n\r\n`;
    upstream.seen.length = 0;
    const first = `GET ${way}/chunks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    expect(statuses((await node.raw(first + next)).text)).toEqual([200]);
    expect(upstream.seen).toHaveLength(1);
    expect(statuses((await node.raw(next + next + next, { answers: 3 })).text)).toEqual([200, 200, 200]);
  });

  it('says nothing of it in the log', () => {
    expect(node.log.filter((line) => /^(warn|error)/.test(line))).toEqual([]);
  });
});

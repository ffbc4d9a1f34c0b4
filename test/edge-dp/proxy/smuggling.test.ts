import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { once } from '../../once.ts';
import type { StartHost } from '../hosts.ts';
import { type ProxyNode, responses, route, service, startProxyNode, statuses } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** What a request that must not exist would look like upstream. */
const SMUGGLED = 'GET /WAY/smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
/** A request of the next user of the same connection. */
const NEXT = 'GET /WAY/next HTTP/1.1\r\nHost: a\r\n\r\n';

/**
 * Requests whose end, or target, two servers could see differently. `answer`: the status, and whether the connection ends with
 * it; `upstream`: the request lines that may arrive there. 500 and 501 are the runtime's own parser.
 */
const shapes: readonly {
  readonly name: string;
  readonly bytes: string;
  readonly answer: readonly [status: number, 'closed' | 'open'];
  readonly upstream?: readonly string[];
}[] = [
  ...[
    [
      'Content-Length and Transfer-Encoding',
      `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    [
      'Transfer-Encoding and Content-Length',
      `Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n8\r\nSMUGGLED\r\n0\r\n\r\n`,
    ],
    [
      'a space before the colon, and Content-Length',
      `Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    ],
    ['two Transfer-Encodings', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a length beyond all numbers', 'Content-Length: 18446744073709551619\r\n\r\nabc'],
    ['a malformed chunk size', 'Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n'],
    ['a negative chunk size', 'Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n'],
    ['a chunk size beyond all numbers', 'Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n'],
    ['no chunk size', 'Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n'],
    ['a chunk extension', 'Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n'],
    ['a line feed in a chunk extension', `Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n`],
    ['no Host that could be one', 'Host: \r\nTransfer-Encoding: xchunked\r\n\r\n'],
  ].map(([name = '', rest = '']) => ({
    name,
    bytes: `POST /WAY/x HTTP/1.1\r\n${rest.startsWith('Host') ? '' : 'Host: a\r\n'}${rest}${NEXT}`,
    answer: (rest.startsWith('Host') ? [500, 'closed'] : [400, 'closed']) as readonly [number, 'closed'],
  })),
  ...[
    ['two lengths', 'Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
    ['the same length twice', 'Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc'],
    ['a list of lengths', 'Content-Length: 3, 3\r\n\r\nabc'],
    ['a negative length', 'Content-Length: -1\r\n\r\n'],
    ['a signed length', 'Content-Length: +3\r\n\r\nabc'],
    ['a length in hex', 'Content-Length: 0x3\r\n\r\nabc'],
    ['Transfer-Encoding: xchunked', 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
    ['Transfer-Encoding: chunked, identity', 'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
    [
      'Transfer-Encoding twice, differing',
      'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n',
    ],
    ['a vertical tab before chunked', 'Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n'],
    ['a folded Transfer-Encoding', 'Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n'],
    ['two Hosts', 'Host: b\r\n\r\n'],
  ].map(([name = '', rest = '']) => ({
    name,
    bytes: `POST /WAY/x HTTP/1.1\r\nHost: a\r\n${rest}${NEXT}`,
    answer: [500, 'closed'] as const,
  })),
  ...[
    ['a fragment in the target', 'GET /WAY/x#y HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a fragment behind the query', 'GET /WAY/x?y#z HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a port in the Host that is no number', 'GET /WAY/x HTTP/1.1\r\nHost: a:b\r\n\r\n', 400],
    ['a port in the Host beyond all ports', 'GET /WAY/x HTTP/1.1\r\nHost: a:65536\r\n\r\n', 400],
    ['NUL in a header', 'GET /WAY/x HTTP/1.1\r\nHost: a\r\nX-A: 1\x002\r\n\r\n', 400],
    ['NUL in the target', 'GET /WAY/\x00 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a line without a colon', 'GET /WAY/x HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n', 400],
    ['a header without a name', 'GET /WAY/x HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n', 400],
    ['a control character in the path', 'GET /WAY/\x01 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a control character in the query', 'GET /WAY/?\x1b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['DEL in the query', 'GET /WAY/?\x7f HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['bytes in the path that are no UTF-8', 'GET /WAY/\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['bytes in the query that are no UTF-8', 'GET /WAY/?\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['an absolute target', 'GET http://a/WAY/x HTTP/1.1\r\nHost: a\r\n\r\n', 500],
    ['an absolute target of another host', 'GET http://b/WAY/x HTTP/1.1\r\nHost: a\r\n\r\n', 500],
    ['the target *', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 500],
    ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n', 500],
    ['a target without a slash', 'GET WAY HTTP/1.1\r\nHost: a\r\n\r\n', 500],
    ['a path in the Host', 'GET /WAY/x HTTP/1.1\r\nHost: a/b\r\n\r\n', 500],
    ['a user in the Host', 'GET /WAY/x HTTP/1.1\r\nHost: a@b\r\n\r\n', 500],
    ['a method in lower case', 'get /WAY/x HTTP/1.1\r\nHost: a\r\n\r\n', 501],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 501],
  ].map(([name, bytes, status]) => ({
    name: String(name),
    bytes: `${bytes}${NEXT}`,
    answer: [Number(status), 'closed'] as const,
  })),
];

/** Of these Node's parser makes one request, which is served: chunk extensions and absolute targets are HTTP. */
const SERVED_ON_NODE: ReadonlySet<string> = new Set([
  'a chunk extension',
  'an absolute target',
  'an absolute target of another host',
]);

/** What a host makes of a request: its answer, and what the upstream is told. */
interface Reading {
  readonly status: number;
  /** Parts of what the upstream gets. */
  readonly told?: readonly string[];
  readonly untold?: RegExp;
}

/**
 * What only a host's parser sees of a request: "Limits of the runtime" in docs/capabilities.md say what workerd's makes of it, Kong and
 * RFC 9112 what Node's is to. Without `onNode` they are of one mind.
 */
const readings: readonly {
  readonly name: string;
  readonly bytes: string;
  readonly runtime: Reading;
  readonly onNode?: Reading;
}[] = [
  { name: 'a tab for a blank in its line', bytes: 'GET\t/WAY/x\tHTTP/1.1\r\nHost: a\r\n\r\n', ...serves(200, 400) },
  { name: 'an empty line before it', bytes: '\r\nGET /WAY/x HTTP/1.1\r\nHost: a\r\n\r\n', ...serves(501, 200) },
  { name: 'HTTP/2.0 in its line', bytes: 'GET /WAY/x HTTP/2.0\r\nHost: a\r\n\r\n', ...serves(200, 505) },
  { name: 'no Host', bytes: 'GET /WAY/x HTTP/1.1\r\n\r\n', ...serves(400, 400) },
  { name: 'an empty Host', bytes: 'GET /WAY/x HTTP/1.1\r\nHost:\r\n\r\n', ...serves(400, 400) },
  {
    name: 'HTTP/1.0 in its line',
    bytes: 'GET /WAY/x HTTP/1.0\r\nHost: a\r\n\r\n',
    runtime: { status: 200, told: ['Via: 1.1 kong/'] },
    onNode: { status: 200, told: ['Via: 1 kong/'] },
  },
  {
    name: 'two Authorization lines',
    bytes: 'GET /WAY/x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic Yzpk\r\n\r\n',
    runtime: { status: 200, told: ['Authorization: Basic YTpi, Basic Yzpk\r\n'] },
    onNode: { status: 400 },
  },
  {
    name: 'two lines of one name',
    bytes: 'GET /WAY/x HTTP/1.1\r\nHost: a\r\nUser-Agent: 1\r\nUser-Agent: 2\r\n\r\n',
    runtime: { status: 200, told: ['User-Agent: 1, 2\r\n'] },
    onNode: { status: 200, told: ['User-Agent: 1\r\nUser-Agent: 2\r\n'] },
  },
  {
    name: 'dot segments',
    bytes: 'GET /WAY/../WAY/./x HTTP/1.1\r\nHost: a\r\n\r\n',
    runtime: { status: 200, told: ['X-Forwarded-Path: /WAY/x\r\n'] },
    onNode: { status: 200, told: ['X-Forwarded-Path: /WAY/../WAY/./x\r\n'] },
  },
  {
    name: 'TE and Trailer',
    bytes: `POST /WAY/x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
    runtime: { status: 200, untold: /\r\n(?:te|trailer):/i },
    onNode: { status: 200, told: ['TE: trailers\r\n', 'Trailer: X-Sum\r\n'] },
  },
  {
    name: 'a short body in chunks, which stays one',
    bytes: `POST /WAY/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
    runtime: { status: 200, told: ['Transfer-Encoding: chunked\r\n'], untold: /\r\ncontent-length:/i },
  },
  {
    name: 'names of all that may be in one, as they are spelt',
    bytes: "GET /WAY/x HTTP/1.1\r\nHost: a\r\nx-CaSe: 1\r\nX.A: 2\r\n!#$%&'*+^|~: 3\r\n\r\n",
    runtime: { status: 200, told: ['x-CaSe: 1\r\n', 'X.A: 2\r\n', "!#$%&'*+^|~: 3\r\n"] },
  },
  {
    name: 'two X-Forwarded-For lines of somebody unknown',
    bytes: 'GET /WAY/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\r\n',
    runtime: { status: 200, told: ['X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1\r\n'] },
  },
  {
    name: 'a port in its Host, which is not the one it came to',
    bytes: 'GET /WAY/x HTTP/1.1\r\nHost: a:99\r\n\r\n',
    runtime: { status: 200, told: ['X-Forwarded-Port: PORT\r\n', 'X-Forwarded-Host: a\r\n'] },
  },
];

function serves(runtime: number, onNode: number) {
  return { runtime: { status: runtime }, onNode: { status: onNode } };
}

describe.each<[string, string, StartHost]>([
  ['natively', '/native', startWorkerdHost],
  ['through the egress process', '/egress', startWorkerdHost],
  ['on Node', '/native', startNodeHost],
])('requests proxied %s', (name, way, start) => {
  const onNode = name === 'on Node';
  let upstream: Upstream;
  let node: ProxyNode;

  beforeAll(async () => {
    upstream = await startUpstream(({ line }) => {
      // Length and content say which request this is the answer to.
      const target = line.split(' ')[1] ?? '';
      const body = line.startsWith('HEAD ') ? '' : target;
      return `HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${body}`;
    });
    node = await startProxyNode(
      {
        services: [service(1, upstream.port)],
        routes: [
          route(1, '/native', 1, { strip_path: false }),
          route(2, '/egress', 1, { strip_path: false, preserve_host: true }),
        ],
      },
      { start },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
  });

  const send = async (bytes: string, answers?: number) => {
    upstream.seen.length = 0;
    const { text, closed } = await node.raw(bytes.replaceAll('/WAY', way), answers === undefined ? {} : { answers });
    return { text, statuses: statuses(text), closed, lines: upstream.seen.map(({ line }) => line) };
  };

  const refused = shapes.filter(({ name }) => !onNode || !SERVED_ON_NODE.has(name));
  it.each(refused)('ends the connection of a request with $name, and tells the upstream nothing', async (shape) => {
    const { statuses, closed, lines, text } = await send(shape.bytes);
    expect(lines).toEqual([]);
    // The runtime's own parser has no words of ours.
    expect(statuses).toEqual([onNode ? 400 : shape.answer[0]]);
    if (onNode) expect(text).toMatch(/\r\nServer: kong\/[\s\S]*\r\nX-Kong-Request-Id: [0-9a-f]{32}\r\n/);
    expect(closed).toBe(true);
  });

  it.runIf(onNode)(
    'serves a chunk extension and absolute targets, whose host counts, as one request each',
    async () => {
      for (const { name, bytes } of shapes.filter(({ name }) => SERVED_ON_NODE.has(name))) {
        const { lines, statuses } = await send(bytes, 2);
        expect(lines, name).toEqual([expect.stringContaining(`${way}/x HTTP/1.1`), `GET ${way}/next HTTP/1.1`]);
        expect(statuses, name).toEqual([200, 200]);
        if (name.endsWith('another host')) expect(upstream.seen[0]?.header('X-Forwarded-Host')).toBe('b');
      }
    },
  );

  it.each(readings)('reads $name as its host does', async ({ bytes, runtime, onNode: strict = runtime }) => {
    const { status, told = [], untold } = onNode ? strict : runtime;
    const { text, statuses } = await send(bytes, 1);
    expect(statuses).toEqual([status]);
    expect(upstream.seen).toHaveLength(status === 200 ? 1 : 0);
    // Where it is the runtime that refuses, it has no words of ours.
    expect(/\r\nX-Kong-Request-Id: [0-9a-f]{32}\r\n/.test(text)).toBe(onNode || status === 200);
    const { raw = '' } = upstream.seen[0] ?? {};
    for (const part of told)
      expect(raw).toContain(`\r\n${part.replaceAll('/WAY', way).replace('PORT', `${node.port}`)}`);
    if (untold !== undefined) expect(raw).not.toMatch(untold);
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'QUERY'])(
    'says of a body that %s does not have what its host says',
    async (method) => {
      await send(`${method} /WAY/x HTTP/1.1\r\nHost: a\r\n\r\n`, 1);
      expect(upstream.seen[0]?.all('Content-Length')).toEqual(onNode ? [] : ['0']);
      expect(upstream.seen[0]?.all('Transfer-Encoding')).toEqual([]);
    },
  );

  it('spells names as Kong does, its own as well as those of a connection', async () => {
    const socket = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ';
    for (const bytes of [
      `POST /WAY/x HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi`,
      `POST /WAY/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
      `GET /WAY/x HTTP/1.1\r\nHost: a\r\n${socket}dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    ]) {
      const { text } = await send(bytes, 1);
      const head = upstream.seen[0]?.raw.split('\r\n\r\n', 1)[0] ?? '';
      expect(head).toMatch(/\r\nHost: /);
      expect(head).not.toMatch(/\r\n[a-z]/);
      expect(text.split('\r\n\r\n', 1)[0]).not.toMatch(/\r\n[a-z]/);
    }
    const own = await send('GET /none HTTP/1.1\r\nHost: a\r\n\r\n', 1);
    expect(own.text.split('\r\n\r\n', 1)[0]).not.toMatch(/\r\n[a-z]/);
  });

  it('refuses both a length and chunks with a page, in text unless its client reads something else', async () => {
    const both = 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    const page = async (accept: string) => (await send(`POST /WAY/x HTTP/1.1\r\nHost: a\r\n${accept}${both}`)).text;
    expect(await page('')).toMatch(
      /^HTTP\/1\.1 400 [\s\S]*\r\nContent-Type: text\/plain; charset=utf-8\r\n[\s\S]*\r\n\r\nBad request\nrequest_id: /,
    );
    expect(await page('Accept: text/html\r\n')).toMatch(
      /^HTTP\/1\.1 400 [\s\S]*\r\nContent-Type: text\/html; charset=utf-8\r\n[\s\S]*<h1>Error<\/h1>/,
    );
  });

  it.each([
    [
      'obs-fold',
      'GET /WAY/x HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n Transfer-Encoding: chunked\r\n\r\n',
      /^1\s+Transfer-Encoding: chunked$/,
    ],
    ['bare line feeds', 'GET /WAY/x HTTP/1.1\nHost: a\nX-A: 1\n\n', /^1$/],
    ['bytes above 0x7f', 'GET /WAY/x HTTP/1.1\r\nHost: a\r\nX-A: \xe9\xff\r\n\r\n', /^\xe9\xff$/],
    ['a space before the colon', 'GET /WAY/x HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n', /^1$/],
  ])('sends %s on in one way only, or not at all', async (name, bytes, value) => {
    const strict = onNode && !name.startsWith('bytes');
    const { statuses, lines } = await send(bytes + NEXT, strict ? undefined : 2);
    if (strict) {
      expect(lines).toEqual([]);
      expect(statuses).toEqual([400]);
      return;
    }
    expect(lines).toEqual([`GET ${way}/x HTTP/1.1`, `GET ${way}/next HTTP/1.1`]);
    expect(upstream.seen[0]?.header('X-A')).toMatch(value);
    expect(upstream.seen[0]?.raw).not.toMatch(/[^\r]\n|\r\n[ \t]|\r\ntransfer-encoding/i);
    expect(statuses).toEqual([200, 200]);
  });

  it.each([
    ['a space', `${'/WAY'}/b c`, '/b'],
    ['a tab', '/WAY/b\tc', '/b'],
    ['an escaped line end', '/WAY/%0d%0aX:1', '/%0D%0AX:1'],
  ])('sends a target with %s on as one target, or not at all', async (name, target, expected) => {
    const strict = onNode && !name.startsWith('an escaped');
    const { lines } = await send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n${NEXT}`, strict ? undefined : 2);
    if (strict) {
      expect(lines).toEqual([]);
      return;
    }
    expect(lines).toEqual([`GET ${way}${expected} HTTP/1.1`, `GET ${way}/next HTTP/1.1`]);
  });

  it('takes a body of a GET for a body', async () => {
    const { lines, statuses } = await send(
      `GET /WAY/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.replace('/WAY', way).length}\r\n\r\n${SMUGGLED}${NEXT}`,
      2,
    );
    expect(lines).toEqual([`GET ${way}/x HTTP/1.1`, `GET ${way}/next HTTP/1.1`]);
    expect(statuses).toEqual([200, 200]);
  });

  it('sends the body of a GET and of a HEAD on whatever its framing', async () => {
    const chunked = (size: number) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`;
    for (const size of [3, 100_000]) {
      const { lines, statuses } = await send(
        `GET /WAY/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(size)}`,
        1,
      );
      expect(lines).toEqual([`GET ${way}/x HTTP/1.1`]);
      expect(statuses).toEqual([200]);
      expect(upstream.seen[0]?.body.match(/x/g)).toHaveLength(size);
    }
    for (const framing of [`Transfer-Encoding: chunked\r\n\r\n${chunked(3)}`, 'Content-Length: 3\r\n\r\nxxx']) {
      const { text, lines } = await send(`HEAD /WAY/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${framing}`);
      expect(lines, framing).toEqual([`HEAD ${way}/x HTTP/1.1`]);
      expect(upstream.seen[0]?.body, framing).toContain('xxx');
      // The length that a GET would have been answered with, and nothing of it.
      expect(text, framing).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nContent-Length: [1-9]\d*\r\n[\s\S]*\r\n\r\n$/i);
    }
  });

  it('answers pipelined requests in their order, each with its own', async () => {
    const { text } = await send(
      'GET /WAY/1 HTTP/1.1\r\nHost: a\r\n\r\n' +
        'POST /WAY/22 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc' +
        'GET /none HTTP/1.1\r\nHost: a\r\n\r\n' +
        'GET /WAY/4444 HTTP/1.1\r\nHost: a\r\n\r\n' +
        'POST /WAY/333 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      5,
    );
    expect(responses(text).map(({ body }) => body)).toEqual([
      `${way}/1`,
      `${way}/22`,
      expect.stringContaining('no Route matched'),
      `${way}/4444`,
      `${way}/333`,
    ]);
  });

  it.runIf(onNode)('answers as many pipelined requests as come, in their order', async () => {
    const count = 300;
    const targets = Array.from({ length: count }, (_, n) => `${way}/${n}`);
    // Longer than what is read at once.
    const padding = `X-Padding: ${'x'.repeat(2_000)}\r\n`;
    const { text } = await send(
      targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: a\r\n${padding}\r\n`).join(''),
      count,
    );
    expect(responses(text).map(({ body }) => body)).toEqual(targets);
  });

  const chunks = 'Transfer-Encoding: chunked\r\n\r\n';
  it.runIf(onNode)('serves what follows a body in chunks, trailers and all', async () => {
    for (const trailers of ['', 'X-Sum: 1\r\n']) {
      const { lines, statuses } = await send(
        `POST /WAY/x HTTP/1.1\r\nHost: a\r\n${chunks}3\r\nabc\r\n0\r\n${trailers}\r\n${NEXT}`,
        2,
      );
      expect(lines).toEqual([`POST ${way}/x HTTP/1.1`, `GET ${way}/next HTTP/1.1`]);
      expect(statuses).toEqual([200, 200]);
    }
  });

  it.each([
    ...(onNode ? [] : [['', `${chunks}3\r\nabc\r\n0\r\n\r\n`]]),
    [' with trailers that are a request', `${chunks}3\r\nabc\r\n0\r\n${SMUGGLED}`],
    [' without line ends behind the data', `${chunks}3\r\nabc0\r\n\r\n`],
    [' with bare CRs', `${chunks}3\rabc\r\n0\r\n\r\n`],
    [' with bare LFs', `${chunks}3\nabc\n0\n\n`],
  ])('serves nothing that follows a body in chunks%s', async (_name, rest) => {
    for (const target of ['/WAY/x', '/none', '/WAY/head']) {
      const method = target === '/WAY/head' ? 'HEAD' : 'POST';
      const { lines, statuses, closed } = await send(`${method} ${target} HTTP/1.1\r\nHost: a\r\n${rest}${NEXT}`);
      expect(closed, target).toBe(true);
      // Node tells of what it is not, behind an answer that did not wait for the body.
      expect(statuses.length, target).toBeGreaterThan(0);
      expect(statuses.slice(1), target).toEqual(onNode && statuses.length > 1 ? [400] : []);
      expect(lines.length, target).toBeLessThanOrEqual(target === '/none' ? 0 : 1);
    }
  });

  /** Writes the parts with a pause between them; null ends the connection without a word. */
  async function upload(parts: readonly (string | null)[]): Promise<string> {
    let text = '';
    const socket = connect(node.port, '127.0.0.1');
    socket.setEncoding('latin1').on('data', (data: string) => {
      text += data;
    });
    socket.on('error', () => undefined);
    for (const part of parts) {
      if (part === null) socket.destroy();
      else socket.write(part.replaceAll('/WAY', way));
      await sleep(40);
    }
    socket.destroy();
    return text;
  }

  it.each([
    ['a length', { 'content-length': 2_000_000 }],
    ['chunks', {}],
  ])('lets a client that sends all of %s before it looks see why it is refused', async (_name, headers) => {
    for (let i = 0; i < 3; i++) {
      const request = httpRequest({ host: '127.0.0.1', port: node.port, path: '/nowhere', method: 'POST', headers });
      const answered = once(request, 'response');
      for (let sent = 0; sent < 2_000_000; sent += 50_000)
        if (!request.write(Buffer.alloc(50_000))) await once(request, 'drain');
      request.end();
      const [response] = await answered;
      expect(response.statusCode).toBe(404);
      let body = '';
      for await (const part of response) body += String(part);
      expect(body).toContain('no Route matched');
    }
  });

  const post = 'POST /WAY/upload HTTP/1.1\r\nHost: a\r\n';
  it.each([
    ['goes away before its first chunk', ['Transfer-Encoding: chunked\r\n\r\n', null]],
    ['goes away between chunks', ['Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', null]],
    ['goes away within a length', ['Content-Length: 9\r\n\r\nabc', null]],
    ['goes away within a long length', [`Content-Length: 200000\r\n\r\n${'x'.repeat(100_000)}`, null]],
    [
      'sends a malformed chunk after a good one',
      ['Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', 'ZZ\r\nabc\r\n0\r\n\r\n'],
    ],
  ])('never completes the upload of a client that %s', async (_name, parts) => {
    // Connections to the upstream that are in use already, and new ones.
    await send(NEXT, 1);
    upstream.seen.length = 0;
    const [first = '', ...rest] = parts;
    const answer = await upload([`${post}${first}`, ...rest]);
    await node.raw(NEXT.replace('/WAY', way), { answers: 1 });
    expect(upstream.seen.map(({ line }) => line)).toEqual([`GET ${way}/next HTTP/1.1`]);
    expect(statuses(answer).filter((status) => status !== 400)).toEqual([]);
  });

  it('takes headers byte by byte, and a body with pauses', async () => {
    const socket = connect(node.port, '127.0.0.1').setNoDelay(true);
    upstream.seen.length = 0;
    let text = '';
    socket.setEncoding('latin1').on('data', (data: string) => {
      text += data;
    });
    for (const byte of `POST ${way}/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n`) {
      socket.write(byte);
      await sleep(1);
    }
    for (const byte of 'body') {
      await sleep(60);
      socket.write(byte);
    }
    await expect.poll(() => statuses(text)).toEqual([200]);
    expect(upstream.seen.map(({ body }) => body)).toEqual(['body']);
    socket.destroy();
  });

  it.runIf(onNode)('takes as much of a head as nginx does, and says why it takes no more', async () => {
    const head = `GET /WAY/x HTTP/1.1\r\nHost: a\r\n`;
    expect((await send(`${head}X-Long: ${'x'.repeat(8_000)}\r\n\r\n`, 1)).statuses).toEqual([200]);
    for (const beyond of [
      `X-Long: ${'x'.repeat(60_000)}\r\n`,
      Array.from({ length: 1001 }, (_, n) => `A${n}: 1\r\n`).join(''),
    ]) {
      const { text, lines, statuses } = await send(`${head}${beyond}\r\n${NEXT}`);
      expect(statuses).toEqual([400]);
      expect(text).toContain('Request header or cookie too large');
      expect(lines).toEqual([]);
    }
    const long = await send(`GET /WAY/${'x'.repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n${NEXT}`);
    expect(long.statuses).toEqual([414]);
    expect(long.lines).toEqual([]);
  });

  it.skipIf(onNode)(
    'takes 1000 headers, one of 60 KB, and a URL of 60 KB, and refuses what is beyond its limits',
    async () => {
      const head = `GET /WAY/x HTTP/1.1\r\nHost: a\r\n`;
      const many = Array.from({ length: 1000 }, (_, n) => `X-${n}: ${n}\r\n`).join('');
      expect((await send(`${head}${many}\r\n`, 1)).statuses).toEqual([200]);
      expect(upstream.seen[0]?.header('X-999')).toBe('999');
      expect((await send(`${head}X-Long: ${'x'.repeat(60_000)}\r\n\r\n`, 1)).statuses).toEqual([200]);
      expect(upstream.seen[0]?.header('X-Long')).toHaveLength(60_000);
      const path = `/WAY/${'x'.repeat(60_000)}?${'y'.repeat(1000)}`;
      expect((await send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`, 1)).lines).toEqual([
        `GET ${path.replace('/WAY', way)} HTTP/1.1`,
      ]);
      const beyond = await send(`${head}X-Long: ${'x'.repeat(600_000)}\r\n\r\n${NEXT}`);
      expect(beyond.lines).toEqual([]);
      expect(beyond.closed).toBe(true);
      expect(beyond.statuses.filter((status) => status < 400)).toEqual([]);
    },
  );
});

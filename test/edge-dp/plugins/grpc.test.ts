import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import { MessageCodec } from '../../../edge-dp/plugins/grpc/codec.ts';
import { decodeBase64Text } from '../../../edge-dp/plugins/grpc/web-frames.ts';
import grpcGateway from '../../../edge-dp/plugins/grpc-gateway.ts';
import { ResponseReply } from '../../../edge-dp/plugins/runtime/reply.ts';
import type { ProtoDescriptor, ScalarType } from '../../../shared/grpc/descriptor.ts';
import { admin } from '../../e2e/processes.ts';
import { type CaseGateway, startCaseGateway } from './case-runner/gateway.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

/** A message of gRPC: flags, length, content. */
function frame(content: Buffer | string, flags = 0): Buffer {
  const bytes = Buffer.from(content);
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const IMPORTED = `syntax = "proto3"; package shared; enum Kind { NONE = 0; SOME = 1; } message Inner { bool ok = 1; string note = 2; }`;
const PROTO = `syntax = "proto3";
package pkg;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "parts/imported.proto";
message Thing {
  string name = 1;
  repeated int32 numbers = 2;
  map<string, shared.Inner> inners = 3;
  shared.Kind kind = 4;
  google.protobuf.Timestamp at = 5;
  int64 big = 6;
  bytes raw = 7;
  shared.Inner inner = 8;
  double ratio = 9;
  sint32 below = 10;
  repeated string words = 11;
  optional string maybe = 12;
}
service Svc {
  rpc Mirror(Thing) returns (Thing) {
    option (google.api.http) = {
      get: "/v1/things/{name}"
      additional_bindings { post: "/v1/things" body: "*" }
      additional_bindings { put: "/v1/{name=boxes/*/things}/inner/{inner.note}" body: "inner" }
      additional_bindings { get: "/v1/legacy/{name}" }
    };
  }
  rpc Watch(Thing) returns (stream Thing) { option (google.api.http) = { get: "/v1/watch/**" }; }
  rpc Outcome(Thing) returns (Thing) { option (google.api.http) = { get: "/v1/outcomes/{name}" }; }
  rpc Missing(Thing) returns (Thing) { option (google.api.http) = { delete: "/v1/things/{name}" }; }
}`;
/** Another's reading of the same file. */
const root = new protobuf.Root();
protobuf.parse(IMPORTED, root, { keepCase: true });
protobuf.parse(PROTO, root, { keepCase: true });
root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')?.nested ?? {});
const Thing = root.lookupType('pkg.Thing');
const received: Record<string, unknown>[] = [];
const unframed = (body: Buffer) => Thing.decode(body.subarray(5));

/** What the gRPC server does, by method. */
const METHODS: Readonly<Record<string, (stream: ServerHttp2Stream, body: Buffer) => void>> = {
  '/pkg.Svc/Echo': (stream, body) =>
    answer(stream, [body], { 'grpc-status': '0', 'grpc-message': 'fine', 'x-more': '1' }),
  // In pieces that end within heads and contents.
  '/pkg.Svc/Stream': (stream) => {
    const bytes = Buffer.concat([frame('first'), frame('x'.repeat(100_000)), frame('')]);
    const pieces = [bytes.subarray(0, 3), bytes.subarray(3, 12), bytes.subarray(12, 50_000), bytes.subarray(50_000)];
    answer(stream, pieces, { 'grpc-status': '13', 'grpc-message': 'broke%20off' });
  },
  '/pkg.Svc/Mirror': (stream, body) => {
    received.push(Thing.toObject(unframed(body), { longs: String, enums: String, bytes: String }));
    answer(stream, [body], { 'grpc-status': '0' });
  },
  '/pkg.Svc/Watch': (stream) => {
    const things = ['one', 'two'].map((name) => frame(Buffer.from(Thing.encode(Thing.create({ name })).finish())));
    const bytes = Buffer.concat(things);
    answer(stream, [bytes.subarray(0, 8), bytes.subarray(8)], { 'grpc-status': '0' });
  },
  '/pkg.Svc/Missing': (stream) => answer(stream, [], { 'grpc-status': '5', 'grpc-message': 'not here' }),
  '/pkg.Svc/Outcome': (stream, body) => answer(stream, [], { 'grpc-status': String(unframed(body).toJSON().name) }),
  '/pkg.Svc/Refuse': (stream) =>
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7' }, { endStream: true }),
  '/pkg.Svc/Dies': (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(frame('first').subarray(0, 7), () => stream.destroy(new Error('died')));
  },
};

function answer(stream: ServerHttp2Stream, pieces: readonly Buffer[], trailers: Record<string, string>): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  for (const piece of pieces) stream.write(piece);
  stream.end();
}

/** What comes over a connection until it ends. */
function allOf(port: number, request: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  const socket = connect(port, '127.0.0.1', () => socket.write(request));
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  socket.on('error', () => undefined).once('close', () => resolve(text));
  socket.setTimeout(60_000, () => socket.destroy());
  return promise;
}

describe.each([
  ['workerd', startWorkerdHost],
  ['node', startNodeHost],
] as const)('gRPC upstreams over HTTP/1.1, on %s', (_host, start) => {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer().on('stream', (stream, headers) => {
    seen.push(headers);
    const parts: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => METHODS[headers[':path'] ?? '']?.(stream, Buffer.concat(parts)));
  });
  let gateway: CaseGateway;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast proto '));
    await mkdir(join(folder, 'parts'));
    await writeFile(join(folder, 'parts', 'imported.proto'), IMPORTED);
    await writeFile(join(folder, 'svc.proto'), PROTO);
    await writeFile(join(folder, 'passwd'), 'root:x:0:0:secret');
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    gateway = await startCaseGateway(start, { tls: false });
    await admin(`${gateway.admin}/services`, 'POST', { name: 'svc', url: `grpc://127.0.0.1:${port}` });
    await admin(`${gateway.admin}/services/svc/routes`, 'POST', {
      name: 'web',
      paths: ['/pkg.Svc'],
      protocols: ['http'],
    });
    await admin(`${gateway.admin}/services/svc/routes`, 'POST', {
      name: 'prefix',
      paths: ['/prefix'],
      protocols: ['http'],
    });
    const config = { proto: join(folder, 'svc.proto') };
    await admin(`${gateway.admin}/routes/web/plugins`, 'POST', { name: 'grpc-web', config });
    await admin(`${gateway.admin}/routes/prefix/plugins`, 'POST', {
      name: 'grpc-web',
      config: { ...config, pass_stripped_path: true },
    });
    await admin(`${gateway.admin}/services/svc/routes`, 'POST', { name: 'rest', paths: ['/v1'], protocols: ['http'] });
    await admin(`${gateway.admin}/routes/rest/plugins`, 'POST', { name: 'grpc-gateway', config });
    await gateway.applied();
  });
  afterAll(async () => {
    await gateway?.stop();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });

  const call = async (method: string, type: string, body: Buffer | string, prefix = '') => {
    const response = await fetch(`http://127.0.0.1:${gateway.ports.plain}${prefix}/pkg.Svc/${method}`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: Buffer.from(body),
    });
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: response.arrayBuffer().then(Buffer.from),
    };
  };
  const trailers = (text: string) => frame(text, 0x80).toString('latin1');

  it('carries messages to grpc-web clients, and the trailers behind them', async () => {
    const echoed = await call('Echo', 'application/grpc-web+proto', frame('hello'));
    expect(echoed).toMatchObject({ status: 200, type: 'application/grpc-web+proto' });
    const text = (await echoed.body).toString('latin1');
    expect(text).toBe(
      frame('hello').toString('latin1') + trailers('grpc-status:0\r\ngrpc-message:fine\r\nx-more:1\r\n'),
    );
    expect(seen.at(-1)).toMatchObject({ 'content-type': 'application/grpc', te: 'trailers' });

    const streamed = (await (await call('Stream', 'application/grpc-web', frame(''))).body).toString('latin1');
    const messages = [frame('first'), frame('x'.repeat(100_000)), frame('')].map((bytes) => bytes.toString('latin1'));
    expect(streamed).toBe(messages.join('') + trailers('grpc-status:13\r\ngrpc-message:broke%20off\r\n'));

    const refused = await (await call('Refuse', 'application/grpc-web', frame(''))).body;
    expect(refused.toString('latin1')).toBe(trailers('grpc-status:7\r\ngrpc-message:\r\n'));
  });

  it('speaks base64 where the client does, each frame by itself', async () => {
    const halves = [frame('hello').subarray(0, 4), frame('hello').subarray(4)];
    const sent = halves.map((part) => part.toString('base64')).join('');
    const { type, body } = await call('Echo', 'application/grpc-web-text', sent);
    expect(type).toBe('application/grpc-web-text');
    const parts = (await body).toString().match(/[^=]+=*/g) ?? [];
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part, 'base64')));
    expect(bytes.toString('latin1')).toContain(
      `hello${trailers('grpc-status:0\r\ngrpc-message:fine\r\nx-more:1\r\n')}`,
    );
    expect(await call('Echo', 'application/grpc-web-text', '!')).toMatchObject({ status: 400 });
  });

  it('ends no call that broke off as if it were complete', async () => {
    const head = 'POST /pkg.Svc/Dies HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\n';
    const received = await allOf(gateway.ports.plain, `${head}Content-Length: 5\r\n\r\n\0\0\0\0\0`);
    expect(received).toMatch(/^HTTP\/1.1 200 [\s\S]*fi/);
    expect(received).not.toContain('grpc-status:');
  });

  const rest = async (method: string, path: string, body?: string) => {
    received.length = 0;
    const url = `http://127.0.0.1:${gateway.ports.plain}${path}`;
    const response = await fetch(url, { method, ...(body !== undefined && { body }) });
    return { status: response.status, headers: response.headers, text: await response.text(), sent: received[0] };
  };

  it('calls methods over plain HTTP, with all that JSON has of messages', async () => {
    const thing = {
      name: 'é',
      numbers: [1, -2, 300],
      inners: { a: { ok: true, note: 'n' }, b: { ok: false, note: '' } },
      kind: 'SOME',
      at: '2024-02-29T12:00:00.5Z',
      big: '9007199254740993',
      raw: 'AP8=',
      inner: { ok: true, note: '' },
      ratio: -0.25,
      below: -7,
      words: ['x', ''],
      maybe: '',
    };
    const posted = await rest('POST', '/v1/things', JSON.stringify({ ...thing, unknown: 1 }));
    expect(posted.status, posted.text).toBe(200);
    expect(posted.headers.get('content-type')).toBe('application/json');
    expect(JSON.parse(posted.text)).toEqual(thing);
    const { at, ...others } = thing;
    expect(posted.sent).toEqual({
      ...others,
      inners: { a: { ok: true, note: 'n' }, b: expect.anything() },
      at: { seconds: String(Date.parse('2024-02-29T12:00:00Z') / 1000), nanos: 500_000_000 },
      inner: expect.objectContaining({ ok: true }),
    });

    const got = await rest(
      'GET',
      '/v1/things/a%20b?numbers=1&numbers=2&inner.ok=false&inner.note=n&other=x&name=no&big=5',
    );
    expect(JSON.parse(got.text)).toMatchObject({
      name: 'a b',
      numbers: [1, 2],
      inner: { ok: false, note: 'n' },
      big: 5,
    });
    const put = await rest('PUT', '/v1/boxes/7/things/inner/deep?x=1', '{"ok":true,"note":"no"}');
    expect(JSON.parse(put.text)).toMatchObject({ name: 'boxes/7/things', inner: { ok: true, note: 'deep' } });
    expect((await rest('GET', '/v1/watch/a/b')).text.replaceAll(/"(?!name)\w+":[^,}]*,?/g, '')).toMatch(
      /^\{"name":"one".*\}\{"name":"two".*\}$/,
    );
  });

  it('tells outcomes by the status, and what cannot be called in words', async () => {
    const missing = await rest('DELETE', '/v1/things/x');
    expect([missing.status, missing.headers.get('grpc-status'), missing.headers.get('grpc-message')]).toEqual([
      404,
      '5',
      'not here',
    ]);
    for (const [method, path, body, words] of [
      ['GET', '/v1/other/x', undefined, 'failed to transcode .proto file Unknown path "/v1/other/x"'],
      ['PATCH', '/v1/things', '{}', 'failed to transcode .proto file Unknown method "patch"'],
      ['POST', '/v1/things', '[1]', 'body must be a table'],
      ['POST', '/v1/things', '{"numbers":["x"]}', 'failed to encode payload'],
      ['PATCH', '/v1/a/..//things', '{}', 'failed to transcode .proto file Unknown method "patch"'],
      ['GET', '/v1/./other//x', undefined, 'failed to transcode .proto file Unknown path "/v1/other/x"'],
      [
        'POST',
        '/v1/things',
        '{"name":"x',
        'decode json err: Expected value but found unexpected end of string at character 11',
      ],
    ] as const) {
      const { status, text } = await rest(method, path, body);
      expect({ status, text }, `${method} ${path}`).toEqual({
        status: 400,
        text: words,
      });
    }
    expect(await rest('OPTIONS', '/v1/things')).toMatchObject({ status: 200, text: 'OK' });
  });

  it('makes of the outcome of a call the HTTP status that Kong makes of it', async () => {
    const statuses: number[] = [];
    for (let code = 0; code <= 17; code++) {
      const { status, headers } = await rest('GET', `/v1/outcomes/${code}`);
      expect(headers.get('grpc-status')).toBe(String(code));
      statuses.push(status);
    }
    expect(statuses).toEqual([
      200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 500, 500, 503, 500, 401, 500,
    ]);
  });

  it('reads texts as the types of their fields, and refuses what is of another', async () => {
    for (const [text, ok] of [
      ['true', true],
      ['1', true],
      ['false', false],
      ['0', false],
    ] as const) {
      const { status, text: body } = await rest('GET', `/v1/legacy/x?inner.ok=${text}`);
      expect([status, JSON.parse(body).inner.ok], text).toEqual([200, ok]);
    }
    expect(await rest('POST', '/v1/things', '{"name":null}')).toMatchObject({ status: 200, sent: {} });
    for (const body of ['{"name":1}', '{"inner":1}', '{"words":[1]}']) {
      expect(await rest('POST', '/v1/things', body), body).toMatchObject({ status: 400, sent: undefined });
    }
    const empty = await rest('POST', '/v1/things', '{"numbers":[],"words":[],"maybe":""}');
    expect(empty.text).toContain('"maybe":""');
    expect([empty.status, empty.sent]).toEqual([200, expect.not.objectContaining({ numbers: [0] })]);
    expect(await rest('GET', '/v1/things/x/y')).toMatchObject({ status: 400, sent: undefined });
  });

  it('speaks JSON to grpc-web clients where the file says how', async () => {
    const plain = await call('Mirror', 'application/json', '{"name":"x"}');
    expect(JSON.parse((await plain.body).toString())).toEqual({
      name: 'x',
      numbers: [],
      inners: {},
      words: [],
      kind: 'NONE',
      big: 0,
      raw: '',
      ratio: 0,
      below: 0,
    });
    const framed = await (await call('Mirror', 'application/grpc-web+json', frame('{"name":"x"}'))).body;
    const length = framed.readUInt32BE(1);
    expect(JSON.parse(framed.subarray(5, 5 + length).toString())).toMatchObject({ name: 'x' });
    expect(framed.subarray(5 + length).toString('latin1')).toBe(trailers('grpc-status:0\r\ngrpc-message:\r\n'));
    expect(await call('Nothing', 'application/json', '{}')).toMatchObject({ status: 400 });
  });

  it('calls methods by the whole path, or by what is left of it where that is wanted', async () => {
    const stripped = await call('Mirror', 'application/json', '{"name":"x"}', '/prefix');
    expect(JSON.parse((await stripped.body).toString())).toMatchObject({ name: 'x' });
    const framed = await (await call('Echo', 'application/grpc-web+proto', frame('x'), '/prefix')).body;
    expect(framed.subarray(0, 6)).toEqual(frame('x'));
    expect(await call('Mirror', 'application/json', '{}', '/prefix/prefix')).toMatchObject({ status: 400 });
  });

  it('refuses a file that is none where it is configured, and tells nothing of it', async () => {
    // Its pattern is more than data planes would compile.
    const long = `get: "/${'**/'.repeat(1500)}"`;
    await writeFile(join(folder, 'long.proto'), PROTO.replace(/get: "[^"]*"/, long));
    for (const [file, why] of [
      ['long.proto', 'is too long, or has too many wildcards'],
      ['none.proto', 'cannot be read'],
      ['passwd', 'is no .proto file: line 1 cannot be parsed'],
      ['parts', 'is no file'],
    ]) {
      const answer = await fetch(`${gateway.admin}/services/svc/plugins`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'grpc-gateway', config: { proto: join(folder, file ?? '') } }),
      });
      const text = await answer.text();
      expect([answer.status, text]).toEqual([400, expect.stringContaining(why ?? '')]);
      expect(text).not.toContain('secret');
    }
  });
});

describe('a message that is not as it should be', () => {
  const field = { repeated: false, key: null, presence: false, packed: false } as const;
  const proto = {
    messages: {
      Node: [
        { ...field, name: 'child', number: 1, type: { message: 'Node' } },
        { ...field, name: 'names', number: 2, type: { scalar: 'int32' }, key: 'string' },
        { ...field, name: 'label', number: 3, type: { scalar: 'string' } },
      ],
    },
    enums: {},
    methods: [
      {
        path: '/pkg.Svc/Take',
        input: 'Node',
        output: 'Node',
        streams: false,
        bindings: [{ method: 'get', path: '/v1/nodes', body: null }],
      },
    ],
  } satisfies ProtoDescriptor;
  // As it travels, in place of the file's name.
  const hooks = grpcGateway.compile(JSON.parse(JSON.stringify({ proto })), EVERYWHERE, fakeServices());
  const codec = new MessageCodec(proto);

  it('may have very many entries in a map, one of which is called as nothing else is', () => {
    const names = Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`name-${n}`, n]));
    const value = { names: { ...names, ['__proto__']: 7 } };
    const read = codec.decode('Node', codec.encode('Node', value));
    expect(Object.entries(Object(read).names)).toEqual(Object.entries(value.names));
  });

  it('is read out of base64 in one go, however many parts it comes in', () => {
    const read = (text: string) => decodeBase64Text(new TextEncoder().encode(text));
    const texts = ['', 'aGk=', 'aGk', 'aA==aGk=aGVs', 'aA=', '+/+/'];
    expect(texts.map((text) => Buffer.from(read(text) ?? [0]).toString('hex'))).toEqual([
      '',
      '6869',
      '6869',
      '68686968656c',
      '68',
      'fbffbf',
    ]);
    for (const none of ['=', 'a', 'aA===', 'a=aGk=', 'aG k', 'aG-k', 'é']) expect(read(none), none).toBeNull();
    const decode = vi.spyOn(globalThis, 'atob');
    try {
      expect(read('aA=='.repeat(100_000))).toHaveLength(100_000);
      expect(decode.mock.calls.length).toBeLessThan(2);
    } finally {
      decode.mockRestore();
    }
  });

  it('is made of no number that is not the one of its client', () => {
    const at = (type: ScalarType, value: unknown) => {
      const n = { ...field, name: 'n', number: 1, type: { scalar: type } };
      const own = new MessageCodec({ messages: { N: [n] }, enums: {}, methods: [] });
      return own.decode('N', own.encode('N', { n: value }));
    };
    for (const [type, fitting, others] of [
      ['int32', [2_147_483_647, -2_147_483_648], [5_000_000_000, '-2147483649']],
      ['fixed32', [4_294_967_295], [4_294_967_296]],
      ['sint32', [-2_147_483_648], ['99999999999']],
      ['uint64', ['18446744073709551615'], ['18446744073709551616', 1e30]],
      ['sfixed64', ['-9223372036854775808'], ['-9223372036854775809']],
    ] as const) {
      for (const value of fitting) expect(at(type, value), type).toEqual({ n: value });
      for (const value of others) expect(() => at(type, value), type).toThrow(/is no whole number of (32|64) bits$/);
    }
  });

  it('reads no number longer than any is, and repeats little of what is none', () => {
    const at = (value: unknown) => codec.encode('Node', { names: { a: value } });
    expect(codec.decode('Node', at('-12'))).toMatchObject({ names: { a: -12 } });
    for (const value of ['9'.repeat(100_000), 'x'.repeat(100_000), Array(50_000).fill(1)]) {
      expect(() => at(value)).toThrow(/^.{1,200} is no whole number$/);
    }
  });

  it('is not made as deep as a query says', async () => {
    const target = `/v1/nodes?label=x&${'child.'.repeat(30_000)}label=y`;
    const request = fakeRequest({ target });
    expect(await hooks.access?.(request)).toBeUndefined();
    const sent = await request.body.read(1e6);
    expect(codec.decode('Node', sent?.subarray(5) ?? new Uint8Array())).toEqual({ names: {}, label: 'x' });
  });

  it.each(['constructor', '__proto__', '99'])('has an outcome of its own: %s', async (status) => {
    const request = fakeRequest({ target: '/v1/nodes' });
    await hooks.access?.(request);
    const head = { 'content-type': 'application/grpc' };
    const body = frame(`grpc-status:${status}\r\n`, 0x80);
    const reply = new ResponseReply(new OwnResponse(200, body, head), 'service', () => undefined);
    await hooks.response?.(request, reply);
    expect(reply.status).toBe(500);
  });
});

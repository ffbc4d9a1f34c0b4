import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateListenerCertificate } from '../../cp/pki/certificate.ts';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import { id, type ProxyNode, route, service, startProxyNode } from '../edge-dp/proxy/node.ts';
import { startUpstream, type Upstream } from '../edge-dp/proxy/upstream.ts';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);

/** What h2spec finds fault with, judged in docs/hosts.md: section and number of its case. */
const JUDGED = ['5.1/8', '5.1/9', '5.1/11', '5.1/12', '5.1.1/2', '5.3.1/2', '6.3/1', '6.7/2', '6.9.1/3'];

const PROTO = `syntax = "proto3";
package test;
message Text { string text = 1; }
service Echo {
  rpc Unary (Text) returns (Text);
  rpc Server (Text) returns (stream Text);
  rpc Client (stream Text) returns (Text);
  rpc Both (stream Text) returns (stream Text);
}
service Nowhere {
  rpc Unary (Text) returns (Text);
}
`;
/** `Text`, of fewer than 128 bytes. */
const write = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0x0a, Buffer.byteLength(text)]), Buffer.from(text)]);
const read = (bytes: Buffer): string => bytes.subarray(2).toString();
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  ...{ path: `/test.Echo/${name}`, requestStream, responseStream },
  ...{ requestSerialize: write, requestDeserialize: read, responseSerialize: write, responseDeserialize: read },
});

/** As long as h2spec wants it for all of its cases. */
const OK = 'ok'.repeat(60);

/** Milliseconds before the upstream answers. */
let pause = 0;
let folder: string;
let upstream: Upstream;
let grpc: Server;
let node: ProxyNode;
let plain: number;
let secure: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-http2-'));
  writeFileSync(join(folder, 'echo.proto'), PROTO);
  upstream = await startUpstream(({ body }, socket) => {
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${OK.length + body.length}\r\n\r\n${OK}${body}`;
    if (pause === 0) return answer;
    setTimeout(() => socket.write(answer, 'latin1'), pause);
    return undefined;
  });
  grpc = new Server();
  grpc.addService(
    {
      Unary: method('Unary', false, false),
      Server: method('Server', false, true),
      Client: method('Client', true, false),
      Both: method('Both', true, true),
    },
    {
      Unary: (call: { request: string }, answer: (error: object | null, text?: string) => void) =>
        call.request === 'no'
          ? answer({ code: status.ALREADY_EXISTS, details: 'größe' })
          : answer(null, `${call.request}!`),
      Server: (call: { request: string; write(text: string): void; end(): void }) => {
        for (let at = 0; at < 3; at++) call.write(`${call.request} ${at}`);
        call.end();
      },
      Client: (
        call: { on(event: string, listener: (text: string) => void): void },
        answer: (error: null, text: string) => void,
      ) => {
        const all: string[] = [];
        call.on('data', (text) => all.push(text));
        call.on('end', () => answer(null, all.join(' ')));
      },
      Both: (call: {
        on(event: string, listener: (text: string) => void): void;
        write(text: string): void;
        end(): void;
      }) => {
        call.on('data', (text) => call.write(`${text}?`));
        call.on('end', () => call.end());
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const listener = { host: '127.0.0.1', port: 0, http2: true };
  const calls = { paths: ['/test.Echo'], protocols: ['grpc', 'grpcs'], strip_path: false };
  node = await startProxyNode(
    {
      services: [service(1, upstream.port), service(2, port, { protocol: 'grpc' })],
      routes: [
        route(1, '/', 1),
        { id: id(1002), ...calls, service: { id: id(2) } },
        { id: id(1003), ...calls, paths: ['/test.Nowhere'], service: null },
      ],
    },
    { start: startNodeHost, proxyListen: [listener, { ...listener, tls: await generateListenerCertificate() }] },
  );
  plain = node.dataPlane.proxyAddresses[0]?.port ?? 0;
  secure = node.dataPlane.proxyAddresses[1]?.port ?? 0;
});
afterAll(async () => {
  await node?.stop();
  grpc?.forceShutdown();
  await upstream?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('curl', () => {
  const curl = async (...args: string[]): Promise<string> => {
    const version = ['-w', ' %{http_version} %{http_code}', '--max-time', '60'];
    return (await run(peerExecutable('curl'), ['-sk', ...version, ...args])).stdout;
  };

  it('speaks HTTP/2 with TLS and in clear, and is served HTTP/1.1 where it asks to go over to h2c', async () => {
    expect(await curl('--http2', `https://127.0.0.1:${secure}/`)).toBe(`${OK} 2 200`);
    expect(await curl('--http2-prior-knowledge', '-d', 'body', `http://127.0.0.1:${plain}/`)).toMatch(
      /^ok.*body.* 2 200$/s,
    );
    expect(await curl('--http2', `http://127.0.0.1:${plain}/`)).toBe(`${OK} 1.1 200`);
    expect(await curl('--http1.1', `https://127.0.0.1:${secure}/`)).toBe(`${OK} 1.1 200`);
  });

  it('sends and gets what is larger than every window', async () => {
    const file = join(folder, 'large');
    writeFileSync(file, 'x'.repeat(5 << 20));
    const sizes = ['-o', '/dev/null', '-w', '%{size_upload} %{size_download}'];
    expect(await curl('--http2', '-T', file, ...sizes, `https://127.0.0.1:${secure}/large`)).toContain(
      `${5 << 20} ${OK.length + (5 << 20)}`,
    );
  });
});

it('h2load is served all that it asks for, many streams at a time', async () => {
  const args = ['-n', '2000', '-c', '4', '-m', '50', `https://127.0.0.1:${secure}/`];
  const { stdout } = await run(peerExecutable('h2load'), args);
  expect(stdout).toContain('2000 succeeded, 0 failed, 0 errored, 0 timeout');
  expect(stdout).toContain('2000 2xx');
});

it('h2spec finds no other faults than those that the documents judge', { timeout: 300_000 }, async () => {
  const args = ['-t', '-k', '-h', '127.0.0.1', '-p', String(secure), '-o', '5'];
  // Some of its cases send a frame too many to a stream that is not answered yet: one that is, is closed.
  pause = 50;
  // It ends with 1 where it finds one.
  const output = await run(peerExecutable('h2spec'), args).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
  pause = 0;
  const text = stripVTControlCharacters(output);
  const failures = text.split('Failures:')[1] ?? '';
  const found: string[] = [];
  let section = '';
  for (const line of failures.split('\n')) {
    section = /^ +(\d+(?:\.\d+)*)\. /.exec(line)?.[1] ?? section;
    const number = /^ +× (\d+): /.exec(line)?.[1];
    if (number !== undefined) found.push(`${section}/${number}`);
  }
  expect(found, text).toEqual(JUDGED);
  expect(text).toMatch(/145 tests, 136 passed, 0 skipped, 9 failed/);
});

describe.each([
  ['in clear', () => ['-plaintext'], () => plain],
  ['with TLS', () => ['-insecure'], () => secure],
] as const)('grpcurl %s', (_, how, port) => {
  const grpcurl = (name: string, ...texts: readonly string[]): Promise<string> => {
    const data = texts.map((text) => JSON.stringify({ text })).join('\n');
    const proto = ['-import-path', folder, '-proto', 'echo.proto', '-d', data];
    return run(peerExecutable('grpcurl'), [...how(), ...proto, `127.0.0.1:${port()}`, `test.${name}`]).then(
      ({ stdout }) => stdout,
      (error: { stderr: string }) => error.stderr,
    );
  };
  const texts = (output: string): string[] => [...output.matchAll(/"text": "(.*)"/g)].map(([, text]) => text ?? '');

  it('makes calls of all four kinds', async () => {
    expect(texts(await grpcurl('Echo/Unary', 'größe'))).toEqual(['größe!']);
    expect(texts(await grpcurl('Echo/Server', 'n'))).toEqual(['n 0', 'n 1', 'n 2']);
    expect(texts(await grpcurl('Echo/Client', 'a', 'b', 'c'))).toEqual(['a b c']);
    expect(texts(await grpcurl('Echo/Both', 'a', 'b'))).toEqual(['a?', 'b?']);
  });

  it('reads outcomes of the upstream and of the gateway', async () => {
    expect(await grpcurl('Echo/Unary', 'no')).toMatch(/Code: AlreadyExists\n\s+Message: größe/);
    expect(await grpcurl('Nowhere/Unary', 'x')).toMatch(
      /Code: Unavailable\n\s+Message: No Service found with those values/,
    );
  });
});

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Environment } from '../../../../edge-dp/hosts/environment.ts';
import { ownEgress } from '../../../../edge-dp/hosts/node/bindings/own-egress.ts';
import { NO_SECRETS, SYSTEM_DNS } from '../../../../edge-dp/hosts/options.ts';
import {
  decodeFailure,
  EGRESS_ERROR,
  EGRESS_ORIGIN,
  EGRESS_TARGET,
  encodeHeader,
} from '../../../../edge-dp/proxy/egress/protocol.ts';
import { once } from '../../../once.ts';
import { ask } from '../node.ts';
import { EgressNode, target } from './egress-node.ts';

let egress: EgressNode;

beforeAll(async () => {
  egress = await EgressNode.start();
});

afterAll(() => egress.stop());

/** Tells the request as it arrived. */
function echo(request: IncomingMessage): string {
  return JSON.stringify({ method: request.method, target: request.url, headers: request.rawHeaders });
}

describe('requests', () => {
  test('carry the Host, the request target and the headers they are told, and nothing of ours', async () => {
    const port = await egress.serve(createServer((request, response) => response.end(echo(request))));
    const path = "/a//b/../c%2F?q=%zz&é=ü'".replace(/[éü]/g, encodeURIComponent);
    const answer = await egress.send(target(port, { authority: 'Some.Host:81', path }), {
      method: 'DELETE',
      headers: { 'X-Case': 'Kept', cookie: 'a=1' },
    });
    const { method, target: asked, headers } = JSON.parse(answer.text);
    expect([method, asked]).toEqual(['DELETE', path]);
    expect(headers).toEqual(expect.arrayContaining(['Host', 'Some.Host:81', 'X-Case', 'Kept']));
    expect(headers.join(' ')).not.toMatch(/x-holdfast|127\.0\.0\.1/i);
  });

  test('bring back status, reason, repeated headers and a body, without hop-by-hop headers', async () => {
    const port = await egress.serve(
      createTcpServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () =>
          socket.end(
            [
              'HTTP/1.1 103 Early Hints\r\nLink: </early>\r\n\r\nHTTP/1.1 299 Very Fine',
              'Set-Cookie: a=1',
              'Set-Cookie: b=2',
              'Connection: close, X-Hop',
              'X-Hop: 1',
              'X-Holdfast-Egress-Error: {"code":"forged"}',
              'Content-Length: 4\r\n\r\nbody',
            ].join('\r\n'),
          ),
        );
      }),
    );
    const answer = await egress.send(target(port));
    expect(answer).toMatchObject({ status: 299, text: 'body', failure: null });
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(answer.headers).not.toHaveProperty('x-hop');
    expect(answer.headers).not.toHaveProperty('link');
  });

  test('reuse connections of the same identity only', async () => {
    const connections = new Set<unknown>();
    const port = await egress.serve(
      createServer((request, response) => {
        connections.add(request.socket);
        response.end();
      }),
    );
    await egress.send(target(port));
    await egress.send(target(port, { authority: 'another.test' }));
    expect(connections.size).toBe(1);
  });

  test('are refused to anyone without the token of this node', async () => {
    const { socketPath } = egress;
    const answer = await ask('http://egress/', { socketPath, headers: { [EGRESS_TARGET]: encodeHeader(target(1)) } });
    expect(answer.status).toBe(403);
    expect(decodeFailure(String(answer.headers[EGRESS_ERROR])).code).toBe('unauthorized');
  });
});

describe('failures', () => {
  const silent = () => egress.serve(createTcpServer((socket) => socket.on('error', () => {})));
  const short = (name: 'connect' | 'read' | 'write') => ({ connect: 5_000, read: 5_000, write: 5_000, [name]: 200 });

  test('a refused connection', async () => {
    const port = await egress.freePort();
    expect(await egress.send(target(port))).toMatchObject({
      status: 502,
      failure: { code: 'connection_refused', sent: false },
    });
  });

  test('a refused connection, told to who is still sending a body, which is read to its end', async () => {
    const headers = egress.headersOf(target(await egress.freePort()));
    const socket = connect(egress.socketPath);
    const errors: Error[] = [];
    socket.on('error', (error) => errors.push(error));
    let answer = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      answer += part;
    });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST / HTTP/1.1\r\nHost: egress\r\nContent-Length: 20\r\n${lines.join('')}\r\n`);
    await expect.poll(() => answer).toMatch(/^HTTP\/1\.1 502 [\s\S]*\r\n\r\n$/);
    const ended = once(socket, 'close');
    for (let sent = 0; sent < 20; sent++) {
      socket.write('x');
      await sleep(5);
    }
    await ended;
    expect(errors).toEqual([]);
  });

  test('a name that does not resolve', async () => {
    const { failure } = await egress.send(target(80, { host: 'no-such-host.invalid' }));
    expect(failure).toMatchObject({ code: 'dns', sent: false });
  });

  test('no TLS handshake in time', async () => {
    const answer = await egress.send(target(await silent(), { scheme: 'https', timeouts: short('connect') }));
    expect(answer).toMatchObject({ status: 504, failure: { code: 'connect_timeout', sent: false } });
  });

  test('no response in time', async () => {
    const answer = await egress.send(target(await silent(), { timeouts: short('read') }), {
      method: 'POST',
      body: 'x',
    });
    expect(answer).toMatchObject({ status: 504, failure: { code: 'read_timeout', sent: true } });
  });

  test('a body that is not taken in time', async () => {
    const port = await egress.serve(createTcpServer((socket) => socket.on('error', () => {}).pause()));
    const answer = await egress.sendDirectly(target(port, { timeouts: short('write') }), new Uint8Array(32 << 20));
    expect(answer).toMatchObject({ status: 504, failure: { code: 'write_timeout', sent: true } });
  });

  test('a connection closed without a response, and one that is not HTTP', async () => {
    const closing = await egress.serve(createTcpServer((socket) => socket.once('data', () => socket.destroy())));
    expect((await egress.send(target(closing))).failure).toMatchObject({ code: 'closed', sent: true });
    const garbage = await egress.serve(
      createTcpServer((socket) =>
        socket.on('error', () => {}).once('data', () => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
      ),
    );
    expect((await egress.send(target(garbage))).failure).toMatchObject({ code: 'protocol', sent: true });
  });

  test('a target that is not understood', async () => {
    const { failure } = await egress.send(target(0));
    expect(failure).toMatchObject({
      code: 'bad_request',
      message: 'egress target: port is not an integer from 1 to 65535',
    });
  });
});

test('names are resolved for the Worker', async () => {
  const dns = async (query: string) => JSON.parse((await ask(`${egress.node.url}/egress/dns/${query}`)).text);
  expect(await dns('localhost?type=A')).toMatchObject({ status: 'ok', records: [{ address: '127.0.0.1' }] });
  expect((await dns('no-such-host.invalid?type=A')).status).toMatch(/not_found|failed/);
});

test('a process serves its own where one that had its id was killed and left its socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast egress '));
  const path = join(folder, 'egress.sock');
  const killed = `process.kill(process.pid, 'SIGKILL')`;
  spawnSync(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(path)}, () => ${killed})`]);
  expect(existsSync(path)).toBe(true);
  const secrets = { ...NO_SECRETS, variables: { OWN: 'secret' } };
  const own = await ownEgress(path, { folder, dns: SYSTEM_DNS, trust: null, environment: new Environment(secrets) });
  const answer = await own.fetch(`${EGRESS_ORIGIN}/secrets`, { method: 'POST', body: JSON.stringify(['OWN']) });
  expect(await answer.json()).toEqual({ OWN: 'secret' });
  rmSync(folder, { recursive: true });
});

import { createServer, type Server, type ServerOptions } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { probeControlPlane } from '../../../edge-dp/hosts/control-plane-probe.ts';
import { startMiniflareHost } from '../../../edge-dp/hosts/miniflare/host.ts';
import type { ClusterTls } from '../../../edge-dp/hosts/options.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { authority } from '../../cp/pki/authority.ts';
import { until } from '../../until.ts';
import { ask, GATEWAY, newPrefix, optionsFor, startNode, stopNode, type TestNode } from './node.ts';

let node: TestNode | undefined;
const servers: { close(): unknown }[] = [];

afterEach(async () => {
  await stopNode(node);
  node = undefined;
  for (const server of servers.splice(0)) server.close();
});

const ca = await authority('cluster');
const others = await authority('someone else');
const controlPlane = await ca.leaf({ name: 'cp.test', usages: ['serverAuth'] });
const dataPlane = await ca.leaf({ name: 'dp.test', usages: ['clientAuth'] });
const clusterTls: ClusterTls = { ...dataPlane, ca: ca.pem, serverName: 'cp.test' };

/** A control plane that tells whose certificate and what name it was shown. */
async function listen(options: ServerOptions = {}): Promise<number> {
  const server: Server = createServer(
    {
      cert: controlPlane.cert,
      key: controlPlane.key,
      ca: ca.pem,
      requestCert: true,
      rejectUnauthorized: true,
      ...options,
    },
    ({ socket }, response) => {
      const { authorized, servername } = secure(socket);
      response.end(JSON.stringify({ authorized, servername, client: secure(socket).getPeerCertificate().subject.CN }));
    },
  );
  server.on('tlsClientError', () => {});
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Number(Reflect.get(Object(server.address()), 'port'));
}

function secure(socket: object): TLSSocket {
  if (!(socket instanceof TLSSocket)) throw new Error('not TLS');
  return socket;
}

describe('the Worker reaches a control plane', () => {
  test.each(['127.0.0.1', 'localhost'])('at %s with its certificate, checking the name it is told to', async (host) => {
    const port = await listen();
    node = await startNode({ controlPlanes: [{ host, port }], clusterTls, processes: 2 });
    // Both processes have the binding; either may answer.
    for (let time = 0; time < 4; time += 1) {
      const seen = JSON.parse((await ask(`${node.url}/control-plane`)).text);
      expect(seen).toEqual({ authorized: true, servername: 'cp.test', client: 'dp.test' });
    }
  });

  test('never one with a certificate of another authority, and says so in the log, after a reload once more', async () => {
    const strangers = await others.leaf({ name: 'cp.test' });
    const port = await listen({ cert: strangers.cert, key: strangers.key });
    node = await startNode({ controlPlanes: [{ host: '127.0.0.1', port }], clusterTls });
    const { log } = node;
    expect((await ask(`${node.url}/control-plane`)).status).toBe(500);
    const told = () => log.filter((line) => line.includes('does not chain to cluster_ca_cert'));
    await until(() => told().length > 0);
    expect(told()[0]).toContain(`warn control plane 127.0.0.1:${port}: its certificate (cp.test) does not chain`);
    await node.dataPlane.reload();
    await until(() => told().length > 1);
  });
});

test.each([
  ['workerd', startWorkerdHost],
  ['Miniflare', startMiniflareHost],
] as const)('the Worker on %s reaches one of any authority in cluster_ca_cert', async (_, start) => {
  const port = await listen();
  const prefix = newPrefix();
  const started = await start(
    optionsFor(prefix, {
      controlPlanes: [{ host: '127.0.0.1', port }],
      clusterTls: { ...clusterTls, ca: `${others.pem}\n${ca.pem}` },
    }),
    GATEWAY,
  );
  node = { dataPlane: started, url: `http://127.0.0.1:${started.proxyAddresses[0]?.port}`, prefix, log: [] };
  expect(JSON.parse((await ask(`${node.url}/control-plane`)).text)).toMatchObject({ client: 'dp.test' });
});

describe('the probe says in plain words', () => {
  const probe = (port: number, tls: Partial<ClusterTls> = {}) =>
    probeControlPlane('127.0.0.1', port, { ...clusterTls, ...tls });

  test('nothing when all is well', async () => {
    expect(await probe(await listen())).toBe(null);
  });

  test('that nothing listens', async () => {
    const port = await listen();
    servers.pop()?.close();
    expect(await probe(port)).toContain('nothing listens there');
    expect(await probeControlPlane('no-such-host.invalid', port, clusterTls)).toContain('name does not resolve');
  });

  test('that a certificate has expired, or is for another name', async () => {
    const day = 86_400_000;
    const old = await ca.leaf({
      name: 'cp.test',
      notBefore: new Date(Date.now() - 2 * day),
      notAfter: new Date(Date.now() - day),
    });
    expect(await probe(await listen({ cert: old.cert, key: old.key }))).toContain('has expired');
    expect(await probe(await listen(), { serverName: 'other.test' })).toContain(
      'is not for other.test (cluster_server_name)',
    );
  });

  test("that this node's certificate is not taken", async () => {
    const stranger = await others.leaf({ name: 'dp.test' });
    expect(await probe(await listen(), stranger)).toMatch(/cluster_cert/);
    // TLS 1.2 tells during the handshake, 1.3 after it.
    expect(await probe(await listen({ maxVersion: 'TLSv1.2' }), stranger)).toMatch(/cluster_cert/);
  });

  test('that the port speaks no TLS', async () => {
    const server = createTcpServer((socket) =>
      socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 400 \r\n\r\n')),
    );
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    expect(await probe(Number(Reflect.get(Object(server.address()), 'port')))).toContain('does not speak TLS');
  });
});

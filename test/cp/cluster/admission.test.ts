import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateClusterCertificate } from '../../../cp/pki/certificate.ts';
import { loadClusterTls } from '../../../cp/pki/cluster-tls.ts';
import { once } from '../../once.ts';
import { until } from '../../until.ts';
import { within } from '../../within.ts';
import { authority } from '../pki/authority.ts';
import {
  type ClientTls,
  type ControlPlane,
  call,
  hello,
  NODE_ID,
  shared,
  sharedClient,
  startControlPlane,
  TestLink,
} from './control-plane.ts';

describe('the cluster listener in shared mode', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane();
  });
  afterAll(() => plane.stop());

  test('serves the holder of the shared pair, whose verified certificate it notes', async () => {
    const link = await TestLink.open(plane.port);
    link.say(hello());
    await link.hear('manifest');
    await until(() => plane.registry.records.has(NODE_ID));
    const expires = loadClusterTls({ mode: 'shared', ...shared, ca: null, end: 'client' }).leaf.validToDate.getTime();
    expect(plane.registry.records.get(NODE_ID)?.cert_details).toEqual({ expiry_timestamp: expires / 1000 });
    link.socket.terminate();
  });

  const expired = () => generateClusterCertificate(new Date(Date.now() - 1100 * 86_400_000));
  test.each<[string, () => Promise<ClientTls>, string]>([
    [
      'without a certificate',
      async () => ({ ca: shared.cert, servername: 'kong_clustering' }),
      'no client certificate was presented',
    ],
    [
      'with the certificate of another cluster',
      async () => ({ ...sharedClient, ...(await generateClusterCertificate()) }),
      "client certificate 'CN=kong_clustering' is not this cluster's shared certificate",
    ],
    [
      'with one of another CA',
      async () => ({ ...sharedClient, ...(await (await authority('someone else')).leaf()) }),
      "client certificate 'CN=cp.test' is not this cluster's shared certificate",
    ],
    [
      'with one whose subject is empty',
      async () => ({ ...sharedClient, ...(await (await authority('someone else')).leaf({ unnamed: true })) }),
      "client certificate '' is not this cluster's shared certificate",
    ],
    [
      'with an expired one',
      async () => ({ ...sharedClient, ...(await expired()) }),
      "client certificate 'CN=kong_clustering' expired at",
    ],
  ])('refuses a peer %s, tells it why, and logs it', async (_, client, reason) => {
    const tls = await client();
    const before = plane.log.length;
    const answer = await call(plane.port, '/v1/status?node=x', { tls, method: 'POST', body: JSON.stringify(hello()) });
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).toContain(reason);
    await expect(TestLink.open(plane.port, tls)).rejects.toThrow('403');
    const lines = plane.log.slice(before).filter((line) => line.includes(reason));
    // Whoever is refused comes again and again: once is enough.
    expect(lines).toEqual([expect.stringMatching(/^warn refused a connection from 127\.0\.0\.1:\d+: /)]);
    const telemetry = plane.listener.telemetryAddresses[0]?.port ?? 0;
    expect((await call(telemetry, '/v1/status?node=x', { tls, method: 'POST', body: '{}' })).status).toBe(403);
  });

  test('ends a connection that talks plain text, and logs it', async () => {
    const socket = connect(plane.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.end('GET /v1/manifest HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    await until(() =>
      plane.log.some((line) => /refused a connection from 127\.0\.0\.1:\d+: it speaks HTTP without TLS/.test(line)),
    );
  });
});

test('closes although somebody is connected who says nothing', async () => {
  const plane = await startControlPlane();
  const silent = connect({ port: plane.port, host: '127.0.0.1', allowHalfOpen: true });
  silent.on('error', () => undefined);
  await once(silent, 'connect');
  const ended = once(silent.resume(), 'end');
  // Less than a handshake may take: who waits for one that does not come does not close in this time.
  await within(Promise.all([plane.stop(), ended]), 'the listener to close', 9_000);
  silent.destroy();
});

describe.each([
  ['that allows three intermediates, as one of hybrid gen_ca does', 3],
  ['that leaves open how many', undefined],
])('the cluster listener in pki mode, under a CA %s,', (_, pathLength) => {
  let plane: ControlPlane;
  let root: Awaited<ReturnType<typeof authority>>;
  beforeAll(async () => {
    root = await authority('cluster root', pathLength);
    const server = await root.leaf({ usages: ['serverAuth'] });
    const tls = loadClusterTls({ mode: 'pki', ...server, ca: root.pem, end: 'server' });
    plane = await startControlPlane({ tls });
  });
  afterAll(() => plane.stop());

  const asClient = (pair: { cert: string; key: string }): ClientTls => ({
    cert: pair.cert,
    key: pair.key,
    ca: root.pem,
    servername: 'cp.test',
  });
  async function below(levels: number) {
    let issuer = root;
    for (let level = 0; level < levels; level++) issuer = await issuer.intermediate(`intermediate ${level}`);
    return asClient(await issuer.leaf({ name: 'dp-7', usages: ['clientAuth'] }));
  }

  test.each([0, 1, 2, 3])('serves a client certificate %i intermediates below the CA', async (levels) => {
    const answer = await call(plane.port, `/v1/manifest?node=${NODE_ID}`, { tls: await below(levels) });
    expect(answer.status).toBe(428);
  });

  test('serves one whose subject is empty', async () => {
    const tls = asClient(await root.leaf({ unnamed: true, usages: ['clientAuth'] }));
    expect((await call(plane.port, `/v1/manifest?node=${NODE_ID}`, { tls })).status).toBe(428);
  });

  test.each<[string, () => Promise<ClientTls>, string]>([
    ['four intermediates below the CA', () => below(4), 'has too many intermediates up to cluster_ca_cert'],
    [
      'of another CA',
      async () => asClient(await (await authority('cluster root')).leaf()),
      'does not chain to cluster_ca_cert',
    ],
    [
      'that has expired',
      async () => asClient(await root.leaf({ notAfter: new Date(Date.now() - 1000) })),
      "'CN=cp.test' expired at",
    ],
    ['meant for servers', async () => asClient(await root.leaf({ usages: ['serverAuth'] })), 'cluster_ca_cert'],
    [
      'meant for nothing',
      async () => asClient(await root.leaf({ usages: [] })),
      'lacks the extended key usage clientAuth',
    ],
    ['nobody signed', async () => asClient(await generateClusterCertificate()), 'does not chain to cluster_ca_cert'],
  ])('refuses a client certificate %s', async (_what, client, reason) => {
    const answer = await call(plane.port, '/v1/manifest', { tls: await client() });
    expect([answer.status, answer.body.toString()]).toEqual([403, expect.stringContaining(reason)]);
    expect(plane.log.some((line) => line.startsWith('warn refused a connection') && line.includes(reason))).toBe(true);
  });
});

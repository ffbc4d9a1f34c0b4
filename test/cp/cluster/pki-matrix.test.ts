import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertStatus, RevokedInfo } from '@peculiar/asn1-ocsp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { revocationCheck } from '../../../cp/cluster/ocsp.ts';
import { generateClusterCertificate } from '../../../cp/pki/certificate.ts';
import { loadClusterTls } from '../../../cp/pki/cluster-tls.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import type { ClusterTls, DataPlane, DataPlaneOptions } from '../../../edge-dp/hosts/options.ts';
import { nodeOptions, SHOWING_WORKER } from '../../edge-dp/hosts.ts';
import { until } from '../../until.ts';
import { type Authority, authority } from '../pki/authority.ts';
import { type Behaviour, type Responder, startResponder } from '../pki/ocsp-responder.ts';
import { type ControlPlane, signingKey, startControlPlane } from './control-plane.ts';

/** A certificate with its chain, and its key. */
type Pair = Awaited<ReturnType<Authority['leaf']>>;

const DAY = 86_400_000;
const root = await authority('cluster root');
const others = await authority('cluster root');
const trustedKeys = { cluster: signingKey.cluster, keys: [signingKey.publicKey] };

let folder: string;
const planes: ControlPlane[] = [];
const nodes: DataPlane[] = [];
const responders: Responder[] = [];
const silent = createServer(() => undefined);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast pki '));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop(0)));
  await Promise.all(planes.map((plane) => plane.stop()));
  for (const responder of responders) responder.stop();
  silent.close();
  silent.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

/** The authority so many levels below the root. */
async function below(levels: number): Promise<Authority> {
  let issuer = root;
  for (let level = 1; level <= levels; level++) issuer = await issuer.intermediate(`intermediate ${level}`);
  return issuer;
}

const clientTls = ({ cert, key }: Pick<Pair, 'cert' | 'key'>, serverName = 'cp.test'): ClusterTls => ({
  cert,
  key,
  ca: root.pem,
  serverName,
});

async function controlPlane(pair: Pick<Pair, 'cert' | 'key'>, ocsp: 'on' | 'optional' | null = null) {
  const leaf = loadClusterTls({
    mode: 'pki',
    ...(await root.leaf({ usages: ['serverAuth'] })),
    ca: root.pem,
    end: 'server',
  });
  const log: string[] = [];
  const revocation =
    ocsp === null ? null : revocationCheck({ mode: ocsp, ca: root.pem, log: (_, message) => log.push(message) });
  const plane = await startControlPlane({ tls: { ...leaf, cert: pair.cert, key: pair.key }, revocation });
  planes.push(plane);
  return { plane, ocspLog: log };
}

test('a data plane goes to no control plane whose certificate is not what it must be, and says why', async () => {
  const usages = ['serverAuth'] as const;
  const good: readonly Pair[] = await Promise.all(
    [0, 1, 2, 3].map(async (levels) => (await below(levels)).leaf({ usages })),
  );
  const bad: readonly (readonly [Pick<Pair, 'cert' | 'key'>, string])[] = [
    [await root.leaf({ usages: ['clientAuth'] }), 'lacks the extended key usage serverAuth'],
    [
      await root.leaf({ usages, notBefore: new Date(Date.now() - 2 * DAY), notAfter: new Date(Date.now() - DAY) }),
      'has expired on',
    ],
    [await root.leaf({ usages, notBefore: new Date(Date.now() + DAY / 2) }), 'is not valid before'],
    [await root.leaf({ usages, name: 'elsewhere.test' }), 'is not for cp.test (cluster_server_name)'],
    [await others.leaf({ usages }), 'does not chain to cluster_ca_cert'],
    [await generateClusterCertificate(), 'does not chain to cluster_ca_cert'],
  ];
  // One that has more than three above it does not even start, nor does a data plane.
  const deep = await (await below(4)).leaf();
  for (const end of ['server', 'client'] as const) {
    expect(() => loadClusterTls({ mode: 'pki', ...deep, ca: root.pem, end })).toThrow(
      'cluster_cert: holds 4 intermediate certificates; at most 3 are taken',
    );
  }
  const address = ({ plane: { port } }: { readonly plane: ControlPlane }) => ({ host: '127.0.0.1', port });
  const options = async (lane: number, asked: readonly { readonly plane: ControlPlane }[], log: string[]) =>
    nodeOptions(join(folder, `asks ${lane}`), null, {
      controlPlanes: asked.map(address),
      clusterTls: clientTls(await root.leaf({ name: 'dp', usages: ['clientAuth'] })),
      trustedKeys,
      log: (_, message) => log.push(message),
    });
  // A node goes to some that it must refuse, and then to one that is as it must be; all nodes at once.
  await Promise.all(
    good.map(async (pair, lane) => {
      const mine = bad.filter((_, place) => place % good.length === lane);
      const refused = await Promise.all(mine.map(([shown]) => controlPlane(shown)));
      const log: string[] = [];
      const node = await startNodeHost(await options(lane, refused, log), SHOWING_WORKER);
      nodes.push(node);
      for (const [place, [, words]] of mine.entries()) {
        const where = `control plane 127.0.0.1:${refused[place]?.plane.port}: `;
        await until(
          () => log.some((line) => line.startsWith(where) && line.includes(words)),
          `${words}; in: ${log.join('\n')}`,
          60_000,
        );
      }
      for (const { plane } of refused) expect(plane.registry.records.size).toBe(0);
      const one = await controlPlane(pair);
      await node.reload(await options(lane, [one], log));
      await until(
        () => one.plane.registry.records.has(node.nodeId),
        `a hello; in: ${log.slice(-10).join('\n')}`,
        60_000,
      );
    }),
  );
});

test('a control plane takes no data plane whose certificate is not what it must be, and says why', async () => {
  const usages = ['clientAuth'] as const;
  const revoked = { status: new CertStatus({ revoked: new RevokedInfo({ revocationTime: new Date() }) }) };
  const nowhere = 'http://127.0.0.1:1/';
  const slow = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
  const server = await root.leaf({ usages: ['serverAuth'] });
  const lane = async (ocsp: 'on' | 'optional' | null = null) => {
    const says: { behaviour: Behaviour } = { behaviour: {} };
    const responder = await startResponder(root, () => says.behaviour);
    responders.push(responder);
    return { ...(await controlPlane(server, ocsp)), url: responder.url, says };
  };
  const [strict, optional, plain, other] = [await lane('on'), await lane('optional'), await lane(), await lane()];
  type Place = typeof strict;
  /** Null: it is taken. */
  const cells: readonly (readonly [
    what: string,
    at: Place,
    pair: Pick<Pair, 'cert' | 'key'>,
    refusal: string | null,
    responder?: Behaviour,
  ])[] = [
    // Its name is free. One and two intermediates: see admission.test.ts.
    ['root', plain, await root.leaf({ usages, name: 'whatever.test' }), null],
    ['3 intermediates', plain, await (await below(3)).leaf({ usages }), null],
    [
      'for servers',
      plain,
      await root.leaf({ usages: ['serverAuth'] }),
      'does not chain to cluster_ca_cert (INVALID_PURPOSE)',
    ],
    [
      'expired',
      plain,
      await root.leaf({ usages, notBefore: new Date(Date.now() - 2 * DAY), notAfter: new Date(Date.now() - DAY) }),
      'expired at',
    ],
    [
      'not yet valid',
      other,
      await root.leaf({ usages, notBefore: new Date(Date.now() + DAY / 2) }),
      'is not valid before',
    ],
    ['another authority', other, await others.leaf({ usages }), 'does not chain to cluster_ca_cert'],
    ['self-signed', other, await generateClusterCertificate(), 'does not chain to cluster_ca_cert'],
    ['good by OCSP', strict, await root.leaf({ usages, ocsp: strict.url }), null],
    ['revoked', strict, await root.leaf({ usages, ocsp: strict.url }), 'was revoked at', revoked],
    ['revoked', optional, await root.leaf({ usages, ocsp: optional.url }), 'was revoked at', revoked],
    ['OCSP down', strict, await root.leaf({ usages, ocsp: nowhere }), 'cannot be had'],
    ['OCSP down', optional, await root.leaf({ usages, ocsp: nowhere }), null],
    ['OCSP slow', strict, await root.leaf({ usages, ocsp: slow }), 'cannot be had'],
    ['OCSP slow', optional, await root.leaf({ usages, ocsp: slow }), null],
    [
      'OCSP wrong',
      strict,
      await root.leaf({ usages, ocsp: strict.url }),
      'not signed by its issuer',
      { signer: others },
    ],
    ['OCSP wrong', optional, await root.leaf({ usages, ocsp: optional.url }), null, { signer: others }],
  ];
  const options = (at: Place, pair: Pick<Pair, 'cert' | 'key'>): DataPlaneOptions =>
    nodeOptions(join(folder, `is asked ${at.plane.port}`), null, {
      controlPlanes: [{ host: '127.0.0.1', port: at.plane.port }],
      clusterTls: clientTls(pair),
      trustedKeys,
    });
  // The cells of one control plane one after the other, on a node of its own; the control planes at once.
  const tryAll = async (at: Place) => {
    const { plane } = at;
    let node: DataPlane | null = null;
    for (const [what, place, pair, refusal, next = {}] of cells) {
      if (place !== at) continue;
      at.says.behaviour = next;
      const before = plane.log.length;
      await plane.listener.forget(node?.nodeId ?? '');
      plane.registry.records.clear();
      if (node === null) {
        node = await startNodeHost(options(at, pair), SHOWING_WORKER);
        nodes.push(node);
      } else await node.reload(options(at, pair));
      const { nodeId } = node;
      // With the certificate before, it may have been back until it was replaced.
      if (refusal !== null) plane.registry.records.clear();
      const said = () => plane.log.slice(before).join('\n');
      const seen = () => (refusal === null ? plane.registry.records.has(nodeId) : said().includes(refusal));
      await until(seen, `${refusal ?? 'a hello'} of '${what}'`, 60_000).catch((error: Error) => {
        throw new Error(`${error.message}; the log: ${said()}`);
      });
      if (refusal !== null) expect(plane.registry.records.size, what).toBe(0);
    }
  };
  await Promise.all([strict, optional, plain, other].map(tryAll));
});

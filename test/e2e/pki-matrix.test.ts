import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertStatus, RevokedInfo } from '@peculiar/asn1-ocsp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateClusterCertificate } from '../../cp/pki/certificate.ts';
import { loadClusterTls } from '../../cp/pki/cluster-tls.ts';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import type { DataPlane, DataPlaneOptions } from '../../edge-dp/hosts/options.ts';
import { startWorkerdHost } from '../../edge-dp/hosts/workerd/host.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import { type ControlPlane, signingKey, signingKeyFile, startControlPlane } from '../cp/cluster/control-plane.ts';
import { type Authority, authority } from '../cp/pki/authority.ts';
import { type Behaviour, type Responder, startResponder } from '../cp/pki/ocsp-responder.ts';
import { nodeOptions, onHosts, SHOWING_WORKER } from '../edge-dp/hosts.ts';
import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';
import { admin, type HoldfastProcess, holdfast, until } from './processes.ts';

/** A certificate with its chain, and its key. */
type Pair = Pick<Awaited<ReturnType<Authority['leaf']>>, 'cert' | 'key'>;

const DAY = 86_400_000;
/** Both leave open how many intermediates are below them. */
const root = await authority('cluster root');
const others = await authority('cluster root');
const folder = mkdtempSync(join(tmpdir(), 'holdfast pki '));
const file = (name: string) => join(folder, name);
const [adminPort = 0, port = 0] = await freePorts(2);

let prefix: string;
let control: HoldfastProcess;
/** Foreign programs: what no control plane starts with. */
const foreign: ControlPlane[] = [];
const nodes: DataPlane[] = [];
const responders: Responder[] = [];
const silent = createServer(() => undefined);

beforeAll(async () => {
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  writeFileSync(file('ca.crt'), root.pem);
  writeFileSync(file('signing.key'), signingKeyFile);
  show(await root.leaf({ usages: ['serverAuth'] }));
  ask('off');
  prefix = await freshPrefix('migrated');
  control = await holdfast(
    ['start', '--conf', file('holdfast.conf')],
    {
      role: 'control_plane',
      prefix,
      admin_listen: `127.0.0.1:${adminPort}`,
      admin_gui_listen: 'off',
      status_listen: 'off',
      cluster_listen: `127.0.0.1:${port}`,
      cluster_telemetry_listen: 'off',
      cluster_mtls: 'pki',
      cluster_ca_cert: file('ca.crt'),
      cluster_cert: file('cluster.crt'),
      cluster_cert_key: file('cluster.key'),
      bundle_signing_key: file('signing.key'),
    },
    folder,
  );
});
afterAll(async () => {
  await Promise.all([...nodes.map((node) => node.stop(0)), ...foreign.map((plane) => plane.stop())]);
  await control?.end('SIGKILL');
  for (const responder of responders) responder.stop();
  silent.close();
  silent.closeAllConnections();
  for (const path of [folder, prefix]) rmSync(path, { recursive: true, force: true });
});

/** Has the control plane show a certificate, from its next reload on. */
function show({ cert, key }: Pair): void {
  writeFileSync(file('cluster.crt'), cert);
  writeFileSync(file('cluster.key'), key);
}

/** `cluster_ocsp`, from the next reload on. */
function ask(ocsp: 'off' | 'on' | 'optional'): void {
  writeFileSync(file('holdfast.conf'), `cluster_ocsp = ${ocsp}\n`);
}

/** Has the control plane read everything anew; gives what it says of that. */
async function reload(): Promise<string> {
  const before = control.output().length;
  const said = () => control.output().slice(before);
  control.child.kill('SIGHUP');
  await until(() => /reloaded$|the reload failed.*$/m.test(said()), 'the reload');
  return said();
}

/** The authority so many levels below the root. */
async function below(levels: number): Promise<Authority> {
  let issuer = root;
  for (let level = 1; level <= levels; level++) issuer = await issuer.intermediate(`intermediate ${level}`);
  return issuer;
}

/** Of a data plane that shows the pair at this port; what it says of that comes to the log. */
function options(name: string, { cert, key }: Pair, log: string[], at = port): DataPlaneOptions {
  // As data planes read it, whose own certificate is taken as it is here.
  const { ca } = loadClusterTls({ mode: 'pki', ...any, ca: root.pem, end: 'client' });
  return nodeOptions(file(name), null, {
    controlPlanes: [{ host: '127.0.0.1', port: at }],
    clusterTls: { cert, key, ca, serverName: 'cp.test' },
    trustedKeys: { cluster: signingKey.cluster, keys: [signingKey.publicKey] },
    log: (_, message) => log.push(message),
  });
}
const any = await root.leaf();

/** When the certificate ends that a data plane was taken with, in Unix seconds. */
async function takenUntil(id: string): Promise<unknown> {
  const { data } = await admin(`http://127.0.0.1:${adminPort}/clustering/data-planes`);
  const node = (Array.isArray(data) ? data.map(recordOrEmpty) : []).find((each) => each.id === id);
  return recordOrEmpty(node?.cert_details).expiry_timestamp;
}

test('a control plane takes no data plane whose certificate is not what it must be, and says why', async () => {
  const usages = ['clientAuth'] as const;
  const nowhere = 'http://127.0.0.1:1/';
  const slow = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
  const responder = async (behaviour: Behaviour = {}) => {
    const started = await startResponder(root, () => behaviour);
    responders.push(started);
    return started.url;
  };
  const revoked = () =>
    responder({ status: new CertStatus({ revoked: new RevokedInfo({ revocationTime: new Date() }) }) });
  const wrong = () => responder({ signer: others });
  type Leaf = NonNullable<Parameters<Authority['leaf']>[0]>;
  /** By the words of its refusal; null: it is taken. */
  type Cell = readonly [what: string, leaf: (by: Leaf) => Promise<Pair>, refusal: string | null];
  const asked = (url: string | Promise<string>) => async (by: Leaf) => root.leaf({ ...by, ocsp: await url });
  const rounds: Readonly<Record<'off' | 'on' | 'optional', readonly Cell[]>> = {
    off: [
      ['root', (by) => root.leaf(by), null],
      ['1 intermediate', async (by) => (await below(1)).leaf(by), null],
      ['2 intermediates', async (by) => (await below(2)).leaf(by), null],
      ['3 intermediates', async (by) => (await below(3)).leaf(by), null],
      ['4 intermediates', async (by) => (await below(4)).leaf(by), 'has too many intermediates up to cluster_ca_cert'],
      [
        'for servers',
        (by) => root.leaf({ ...by, usages: ['serverAuth'] }),
        'does not chain to cluster_ca_cert (INVALID_PURPOSE)',
      ],
      [
        'expired',
        (by) => root.leaf({ ...by, notBefore: new Date(Date.now() - 2 * DAY), notAfter: new Date(Date.now() - DAY) }),
        'expired at',
      ],
      ['not yet valid', (by) => root.leaf({ ...by, notBefore: new Date(Date.now() + DAY / 2) }), 'is not valid before'],
      ['another authority', (by) => others.leaf(by), 'does not chain to cluster_ca_cert'],
      ['self-signed', () => generateClusterCertificate(), 'does not chain to cluster_ca_cert'],
    ],
    optional: [
      ['revoked', asked(revoked()), 'was revoked at'],
      ['OCSP down', asked(nowhere), null],
      ['OCSP slow', asked(slow), null],
      ['OCSP wrong', asked(wrong()), null],
    ],
    on: [
      ['good by OCSP', asked(responder()), null],
      ['revoked', asked(revoked()), 'was revoked at'],
      ['OCSP down', asked(nowhere), 'cannot be had'],
      ['OCSP slow', asked(slow), 'cannot be had'],
      ['OCSP wrong', asked(wrong()), 'not signed by its issuer'],
    ],
  };
  const lanes: { node: DataPlane | null; readonly log: string[] }[] = Array.from({ length: 4 }, () => ({
    node: null,
    log: [],
  }));
  for (const [ocsp, cells] of Object.entries(rounds) as ['off' | 'on' | 'optional', readonly Cell[]][]) {
    ask(ocsp);
    expect(await reload()).toContain('reloaded');
    // Each data plane comes with one certificate after the other; the data planes at once.
    await Promise.all(
      lanes.map(async (lane, place) => {
        for (const [number, [what, make, refusal]] of cells.entries()) {
          if (number % lanes.length !== place) continue;
          // Its name is free; by its end it is known again.
          const ends = Math.floor((Date.now() + DAY) / 1000) + number;
          const name = `${ocsp}-${number}.test`;
          const pair = await make({ usages, name, notAfter: new Date(ends * 1000) });
          const subject = what === 'self-signed' ? 'CN=kong_clustering' : `CN=${name}`;
          const { log } = lane;
          log.length = 0;
          const next = options(`lane ${place}`, pair, log);
          if (lane.node === null) {
            lane.node = await startNodeHost(next, SHOWING_WORKER);
            nodes.push(lane.node);
          } else await lane.node.reload(next);
          const { nodeId } = lane.node;
          const told = () => ({
            here: control
              .output()
              .split('\n')
              .filter((line) => line.includes(`client certificate '${subject}'`)),
            there: log.filter((line) => line.startsWith('link to the control plane ')),
          });
          const sight = refusal ?? 'a hello';
          await until(
            async () =>
              refusal === null
                ? (await takenUntil(nodeId)) === ends
                : [...Object.values(told())].every((lines) => lines.some((line) => line.includes(refusal))),
            `${sight} of '${what}', cluster_ocsp = ${ocsp}`,
          ).catch((error: Error) => {
            throw new Error(`${error.message}; the logs: ${JSON.stringify(told(), null, 1)}`);
          });
          if (ocsp === 'optional' && refusal === null) {
            expect(told().here[0], what).toContain('(cluster_ocsp = optional: admitted)');
          }
          if (refusal === null) continue;
          expect(told().here, what).toEqual([expect.stringMatching(/refused a connection from 127\.0\.0\.1:\d+: /)]);
          expect(told().there.join('\n'), what).toContain('answered with 403');
          expect(await takenUntil(nodeId), what).not.toBe(ends);
        }
      }),
    );
  }
});

test('a data plane goes to no control plane whose certificate is not what it must be, and says why', async () => {
  const usages = ['serverAuth'] as const;
  const chain = 'does not chain to cluster_ca_cert';
  const dates = { notBefore: new Date(Date.now() - 2 * DAY), notAfter: new Date(Date.now() - DAY) };
  const bad: readonly (readonly [Pair, string])[] = [
    [await root.leaf({ usages, ...dates }), 'has expired on'],
    [await root.leaf({ usages, notBefore: new Date(Date.now() + DAY / 2) }), 'is not valid before'],
    [await root.leaf({ usages, name: 'elsewhere.test' }), 'is not for cp.test (cluster_server_name)'],
    [await others.leaf({ usages }), chain],
    [await generateClusterCertificate(), chain],
  ];
  /** What no control plane shows, in its words, and in those of a data plane that meets another program which does. */
  const impossible: readonly (readonly [Pair, own: string, its: string])[] = [
    [
      await root.leaf({ usages: ['clientAuth'] }),
      'must carry the extended key usage serverAuth',
      'lacks the extended key usage serverAuth',
    ],
    [
      await (await below(4)).leaf({ usages }),
      'cluster_cert: holds 4 intermediate certificates; at most 3 are taken',
      'has too many intermediates up to cluster_ca_cert',
    ],
  ];
  ask('off');
  const hosts = onHosts([
    ['node', startNodeHost],
    ['workerd', startWorkerdHost],
  ] as const);
  const ends = Math.floor((Date.now() + DAY) / 1000) + 1000;
  const own = (number: number) =>
    root.leaf({ name: 'dp', usages: ['clientAuth'], notAfter: new Date((ends + number) * 1000) });
  const running = new Map<string, DataPlane>();
  const logs = new Map(hosts.map(([name]) => [name, [] as string[]]));
  const goTo = (number: number, at = port, which = hosts) =>
    Promise.all(
      which.map(async ([name, start]) => {
        const log = logs.get(name) ?? [];
        log.length = 0;
        const next = options(`on ${name}`, await own(number), log, at);
        const node = running.get(name);
        if (node !== undefined) return node.reload(next);
        const started = await start(next, SHOWING_WORKER);
        nodes.push(started);
        running.set(name, started);
      }),
    );
  const refuses = (words: string, at = port, which = hosts) =>
    Promise.all(
      which.map(([name]) => {
        const log = logs.get(name) ?? [];
        return until(
          () => log.some((line) => line.startsWith(`control plane 127.0.0.1:${at}: `) && line.includes(words)),
          `${words}, on ${name}`,
        ).catch((error: Error) => {
          throw new Error(`${error.message}; in: ${log.join('\n')}`);
        });
      }),
    );
  for (const [number, [pair, words]] of bad.entries()) {
    show(pair);
    expect(await reload()).toContain('reloaded');
    await goTo(number);
    await refuses(words);
    for (const { nodeId } of running.values()) expect(await takenUntil(nodeId), words).toBeUndefined();
  }
  for (const [pair, words, its] of impossible) {
    show(pair);
    expect(await reload()).toContain(words);
    const tls = loadClusterTls({ mode: 'pki', ...any, ca: root.pem, end: 'server' });
    const plane = await startControlPlane({ tls: { ...tls, cert: pair.cert, key: pair.key } });
    foreign.push(plane);
    // workerd asks no root for its path length.
    const which = its.includes('intermediates') ? hosts.filter(([name]) => name === 'node') : hosts;
    await goTo(bad.length, plane.port, which);
    await refuses(its, plane.port, which);
    expect(plane.registry.records.size, words).toBe(0);
  }
  for (const levels of [0, 1, 2, 3]) {
    show(await (await below(levels)).leaf({ usages }));
    expect(await reload()).toContain('reloaded');
    const number = 100 + levels;
    await goTo(number);
    for (const [name, { nodeId }] of running)
      await expect
        .poll(() => takenUntil(nodeId), { message: `${levels}, on ${name}`, timeout: 100_000 })
        .toBe(ends + number);
  }
});

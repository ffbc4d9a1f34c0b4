import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import {
  kCurrentWorker,
  Log,
  LogLevel,
  Miniflare,
  type MiniflareOptions,
  type Request,
  Response,
  type WorkerOptions,
} from 'miniflare';
import { HOST_CAPABILITIES } from '../../../shared/cluster/hosts.ts';
import { certificatesOf } from '../../../shared/pem.ts';
import { NOTICE, outputOf } from '../../notice.ts';
import { EGRESS_TOKEN } from '../../proxy/egress/protocol.ts';
import { bundleWorker, COMPATIBILITY_DATE, COMPATIBILITY_FLAGS } from '../bundle-worker.ts';
import { relay } from '../egress/relay.ts';
import { egressServer } from '../egress/server.ts';
import { Environment } from '../environment.ts';
import { nodeIdentity } from '../node-identity.ts';
import { type DataPlane, type DataPlaneOptions, type Listener, NO_SECRETS, SYSTEM_DNS } from '../options.ts';
import { writeOutput } from '../output.ts';
import { workerEntry } from '../own-plugins.ts';
import { RunFolder } from '../supervision/run-folder.ts';
import { V8_FLAGS } from '../v8-flags.ts';
import { workerSettings } from '../worker-settings.ts';
import { spawnedBy } from './spawned.ts';

/** What the environment says to Miniflare of V8, such as how large a heap may grow. */
const GIVEN_V8_FLAGS = (process.env.MINIFLARE_WORKERD_V8_FLAGS ?? '').split(' ').filter((flag) => flag !== '');

/** Part of the data format: Durable Objects are stored under `<worker>-<class>`. Never change it. */
const WORKER_NAME = 'holdfast';

/**
 * Runs a data plane node on Miniflare: for tests and development. One process; requests on workerd's own sockets, never
 * on Miniflare's entry port, which rewrites them. What it cannot do is refused by name: TLS listeners, and more than
 * one listener of a kind. The client's address is unknown to it, `reload` refuses connections for a moment, and `stop`
 * does not wait for requests in flight. `given` is the Worker's entry file, if it is another than usual.
 */
export async function startMiniflareHost(options: DataPlaneOptions, given?: string): Promise<DataPlane> {
  const entry = given ?? (await workerEntry(options.plugins, join(options.prefix, 'worker')));
  const nodeId = await nodeIdentity(options.prefix, options.nodeId);
  await mkdir(stateFolder(options), { recursive: true, mode: 0o700 });
  const egress = await openEgress(options);
  let running: Miniflare | null = null;
  const end = async (): Promise<void> => {
    try {
      await running?.dispose();
    } finally {
      egress.close();
    }
  };
  let ended: Promise<void> | null = null;
  try {
    const first = await miniflareOptions(options, nodeId, entry, egress);
    const { started: miniflare, pids } = spawnedBy(() => new Miniflare(first));
    running = miniflare;
    await begin(miniflare);
    const proxyAddresses = await bound(miniflare, options.proxyListen, 'default');
    const statusAddresses = await bound(miniflare, options.statusListen, 'Status');
    return {
      nodeId,
      proxyAddresses,
      statusAddresses,
      pids,
      async reload(changed = options) {
        // The ports that were free at the start are the node's addresses from then on.
        const again = { ...changed, proxyListen: proxyAddresses.map(plain), statusListen: statusAddresses.map(plain) };
        await miniflare.setOptions(await miniflareOptions(again, nodeId, entry, egress));
        await begin(miniflare);
      },
      stop() {
        ended ??= end();
        return ended;
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Runs the start sequence now, and with it the first contact with a control plane, not with the first request. */
async function begin(miniflare: Miniflare): Promise<void> {
  await miniflare.ready;
  const { scheduled } = await miniflare.getWorker(WORKER_NAME);
  await scheduled({});
}

async function miniflareOptions(
  options: DataPlaneOptions,
  nodeId: string,
  entry: string,
  egress: OpenEgress,
): Promise<MiniflareOptions> {
  const proxy = onlyListener('proxy_listen', options.proxyListen);
  const status = onlyListener('status_listen', options.statusListen);
  const settings = workerSettings(options, {
    nodeId,
    host: 'miniflare',
    capabilities: HOST_CAPABILITIES.miniflare,
    // A port that is found free is not known before the Worker runs.
    ports: { http: proxy?.port || null, https: null },
  });
  const environment = new Environment(options.secrets ?? NO_SECRETS);
  const { code, wasm } = await bundleWorker(entry);
  const worker: WorkerOptions = {
    name: WORKER_NAME,
    modules: [
      { type: 'ESModule', path: 'worker.js', contents: code },
      ...wasm.map(({ name, bytes }) => ({ type: 'CompiledWasm' as const, path: name, contents: bytes })),
    ],
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: [...COMPATIBILITY_FLAGS],
    bindings: { ...(await environment.all()), SETTINGS: jsonOf(settings) },
    kvNamespaces: { KV: 'bundle' },
    durableObjects: {
      LINK: { className: 'ClusterLink', useSQLite: true },
      HEALTH: { className: 'HealthChecker', useSQLite: true },
      STATE: { className: 'NodeState', useSQLite: true, unsafePreventEviction: true },
    },
    serviceBindings: {
      NODE: { name: kCurrentWorker, entrypoint: 'NodeService' },
      NETWORK: { network: { allow: ['public', 'private', 'local'], tlsOptions: { trustBrowserCas: true } } },
      TUNNEL: {
        external: {
          address: `unix:${egress.path}`,
          http: { injectRequestHeaders: [{ name: EGRESS_TOKEN, value: egress.token }] },
        },
      },
      ...controlPlanes(options, egress),
      ...(options.declarative === null ? {} : { DECLARATIVE: declarativeService(options.declarative) }),
      ...(options.fallback == null ? {} : { FALLBACK: folderService(options.fallback) }),
    },
    unsafeDirectSockets: [
      ...(proxy === null ? [] : [{ host: proxy.host, port: proxy.port, entrypoint: 'default' }]),
      ...(status === null ? [] : [{ host: status.host, port: status.port, entrypoint: 'Status' }]),
    ],
  };
  // Young-generation pauses of the default size are several times longer; the variable is the only way to say it.
  process.env.MINIFLARE_WORKERD_V8_FLAGS = [...V8_FLAGS, ...GIVEN_V8_FLAGS].join(' ');
  return {
    host: '127.0.0.1',
    port: 0,
    // Otherwise it asks the network for made-up request properties when it starts.
    cf: false,
    logRequests: false,
    log: new Log(LogLevel.ERROR),
    kvPersist: join(stateFolder(options), 'kv'),
    durableObjectsPersist: join(stateFolder(options), 'durable'),
    handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
      forward(stdout, (line) => {
        const output = outputOf(line);
        if (output !== null) writeOutput(options, output.level, output.text);
        else if (line.startsWith(NOTICE)) options.log('notice', line.slice(NOTICE.length));
        else options.log('info', line);
      });
      forward(stderr, (line) => options.log('warn', line));
    },
    workers: [worker],
  };
}

/** The egress server of this node, in this process: its upstreams are reached as on Cloudflare all the same. */
interface OpenEgress {
  readonly path: string;
  readonly token: string;
  /** Addresses through which the control planes, and behind them where telemetry goes, are reached; none: there is no forward proxy. */
  readonly relays: readonly string[];
  close(): void;
}

async function openEgress(options: DataPlaneOptions): Promise<OpenEgress> {
  const { prefix, dns = SYSTEM_DNS, trust, forwardProxy: proxy = null } = options;
  const peers = [...options.controlPlanes, ...(options.telemetry?.endpoints ?? [])];
  const token = randomBytes(24).toString('base64url');
  const folder = new RunFolder(resolve(prefix));
  const path = join(folder.sockets, 'egress.sock');
  const server = egressServer({
    token,
    folder: resolve(prefix),
    dns,
    trust: trust ?? null,
    // They are the Worker's own bindings here, as on Cloudflare.
    environment: new Environment(NO_SECRETS),
    identities: {},
    onIdentity: () => {},
  });
  const relays = (proxy === null ? [] : peers).map((to, place) => ({
    server: relay(() => ({ ...to, proxy })),
    path: join(folder.sockets, `control-plane-${place + 1}.sock`),
  }));
  const close = (): void => {
    for (const each of relays) each.server.close();
    server.close();
    server.closeAllConnections();
    folder.remove();
  };
  try {
    for (const each of [{ server, path }, ...relays]) {
      await new Promise<void>((listening, failed) => each.server.once('error', failed).listen(each.path, listening));
    }
  } catch (error) {
    close();
    throw error;
  }
  return { path, token, relays: relays.map((each) => `unix:${each.path}`), close };
}

function stateFolder({ prefix }: DataPlaneOptions): string {
  return join(prefix, 'miniflare');
}

function folderService(folder: string): (request: Request) => Promise<Response> {
  return async (request) => {
    const content = await readFile(join(folder, new URL(request.url).pathname)).catch(() => null);
    return content === null ? new Response(null, { status: 404 }) : new Response(content);
  };
}

function declarativeService({
  manifest,
  objects,
}: NonNullable<DataPlaneOptions['declarative']>): (request: Request) => Response {
  const packed = new Map(objects.map(({ name, gzip }) => [`/objects/${name}`, gzip]));
  return (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === '/manifest') return Response.json(manifest);
    const gzip = packed.get(pathname);
    return gzip === undefined ? new Response(null, { status: 404 }) : new Response(gzip);
  };
}

/** `CONTROL_PLANE`, `CONTROL_PLANE_2`, …, and `TELEMETRY` and its kin. */
function controlPlanes(
  { controlPlanes, telemetry, clusterTls }: DataPlaneOptions,
  { relays }: OpenEgress,
): WorkerOptions['serviceBindings'] {
  const telemetryEndpoints = telemetry?.endpoints ?? [];
  if (controlPlanes.length + telemetryEndpoints.length === 0) return {};
  if (clusterTls === null) throw new Error('cluster_control_plane needs cluster_cert and cluster_cert_key');
  const { cert, key, ca } = clusterTls;
  const bindings = [
    ...controlPlanes.map((address, place) => ({
      address,
      place,
      name: 'CONTROL_PLANE',
      serverName: clusterTls.serverName,
    })),
    ...telemetryEndpoints.map((address, place) => ({
      address,
      place,
      name: 'TELEMETRY',
      serverName: telemetry?.serverName ?? clusterTls.serverName,
    })),
  ];
  const entries = bindings.map(({ address: { host, port }, place, name, serverName }, position) => {
    const external = {
      address: relays[position] ?? `${host.includes(':') ? `[${host}]` : host}:${port}`,
      // Miniflare 4 reads this as a plaintext service, and drops `https`, unless the plaintext form is made invalid.
      http: null,
      https: {
        tlsOptions: {
          keypair: { privateKey: key, certificateChain: cert },
          trustBrowserCas: false,
          // Of a text with several workerd takes the first.
          trustedCertificates: [...certificatesOf(ca)],
        },
        certificateHost: serverName,
      },
    };
    return [place === 0 ? name : `${name}_${place + 1}`, { external }] as const;
  });
  return Object.fromEntries(entries);
}

function onlyListener(setting: string, listeners: readonly Listener[]): Listener | null {
  const [listener, another] = listeners;
  if (another !== undefined) throw new Error(`${setting}: the Miniflare host has one listener of a kind`);
  if (listener?.tls !== undefined) throw new Error(`${setting}: the Miniflare host has no TLS listeners`);
  return listener ?? null;
}

function plain({ host, port }: { readonly host: string; readonly port: number }): Listener {
  return { host, port };
}

async function bound(
  miniflare: Miniflare,
  listeners: readonly Listener[],
  entrypoint: string,
): Promise<{ host: string; port: number; tls: boolean }[]> {
  const addresses = listeners.map(async ({ host }) => {
    const { port } = await miniflare.unsafeGetDirectURL(WORKER_NAME, entrypoint);
    return { host, port: Number(port), tls: false };
  });
  return Promise.all(addresses);
}

type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

function jsonOf(value: object): Json {
  return JSON.parse(JSON.stringify(value));
}

function forward(stream: Readable, line: (text: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const whole of lines) if (whole !== '') line(whole);
  });
}

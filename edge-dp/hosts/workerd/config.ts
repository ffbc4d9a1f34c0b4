import { certificatesOf } from '../../../shared/pem.ts';
import { TLS_1_2_CIPHERS } from '../../../shared/tls-ciphers.ts';
import type { WorkerSettings } from '../../settings.ts';
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS } from '../bundle-worker.ts';
import type { ClusterTls } from '../options.ts';
import { V8_FLAGS } from '../v8-flags.ts';
import { list, struct, text } from './capnp.ts';

/** What a node's workerd processes are configured with. All config text is made here and nowhere else. */
export interface WorkerdNode {
  readonly settings: WorkerSettings;
  /** File names, beside the config. */
  readonly workerScript: string;
  /** WebAssembly files that the Worker imports, by the names it imports them by. */
  readonly workerWasm: readonly string[];
  readonly kvScript: string;
  /** Folder of the Durable Objects' databases. */
  readonly durableObjects: string;
  readonly controlPlanes: readonly ControlPlaneAddress[];
  readonly telemetry: { readonly endpoints: readonly ControlPlaneAddress[]; readonly serverName: string };
  readonly clusterTls: ClusterTls | null;
  readonly listeners: readonly WorkerdListener[];
  /** Unix sockets of the first process, for the others. */
  readonly internal: { readonly node: string; readonly kv: string };
  readonly egress: { readonly path: string; readonly token: string; readonly tokenHeader: string };
  /** Folder with `manifest` and `objects/<sha256>`, or null. */
  readonly declarative: string | null;
  /** Folder with `bundle.json` and `objects/<sha256>`, once they are there, or null. */
  readonly fallback: string | null;
}

/** Where connections to a listener of a control plane go: `host:port` with an address, or `unix:` and a relay's path. */
type ControlPlaneAddress = string;

interface WorkerdListener {
  /** Socket name: what `--socket-fd` binds. */
  readonly name: string;
  readonly service: 'proxy' | 'status';
  /** The port clients connect to; reaches the Worker, like `loopback`, as `ctx.props.listener` where it does not know it already. */
  readonly port: number;
  /** Only this machine reaches it. */
  readonly loopback: boolean;
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

/** Socket names of the first process's internal services. */
export const NODE_SOCKET = 'node';
export const KV_SOCKET = 'kv';
/** Every process's own socket to its `Status` entrypoint: what it is warmed up, and told to finish, through. */
export const WARM_UP_SOCKET = 'warm-up';

/**
 * Unique keys of the Durable Object namespaces: part of where their data lies on disk, so never change one.
 * The class names are those `edge-dp/worker.ts` exports.
 */
const DURABLE_OBJECTS = [
  { binding: 'LINK', className: 'ClusterLink', uniqueKey: 'holdfast-cluster-link', stays: false },
  { binding: 'HEALTH', className: 'HealthChecker', uniqueKey: 'holdfast-health-checker', stays: false },
  // Counters and copies of answers live in memory: it must not be let go of when nobody has asked for ten seconds.
  { binding: 'STATE', className: 'NodeState', uniqueKey: 'holdfast-node-state', stays: true },
] as const;
const KV_STORE_KEY = 'holdfast-kv';

const TLS_LIMITS = { minVersion: 'tls1Dot2', cipherList: text(TLS_1_2_CIPHERS) };

/** Config of the first process, which holds everything there must be one of, or of another. */
export function workerdConfig(node: WorkerdNode, role: 'first' | 'other'): string {
  const config = struct({
    services: list(role === 'first' ? firstServices(node) : otherServices(node)),
    sockets: list([
      ...node.listeners
        .filter(({ service }) => role === 'first' || service === 'proxy')
        .map((listener) => listenerSocket(listener, isTold(listener, node.listeners))),
      struct({ name: text(WARM_UP_SOCKET), http: '()', service: '(name = "main", entrypoint = "Status")' }),
      ...(role === 'first' ? INTERNAL_SOCKETS : []),
    ]),
    v8Flags: `[${V8_FLAGS.map(text).join(', ')}]`,
    logging: '(structuredLogging = true)',
  });
  return `using Workerd = import "/workerd/workerd.capnp";\n\nconst config :Workerd.Config = ${config};\n`;
}

function firstServices(node: WorkerdNode): string[] {
  const namespaces = DURABLE_OBJECTS.map(({ className, uniqueKey, stays }) =>
    durableObject(className, uniqueKey, stays),
  );
  const links = DURABLE_OBJECTS.map(({ binding, className }) =>
    struct({ name: text(binding), durableObjectNamespace: text(className) }),
  );
  const self = struct({ name: text('NODE'), service: '(name = "main", entrypoint = "NodeService")' });
  return [
    worker('main', node.workerScript, node.workerWasm, [...bindings(node), self, ...links], namespaces),
    worker(
      'kv',
      node.kvScript,
      [],
      ['(name = "STORE", durableObjectNamespace = "KvStore")'],
      [durableObject('KvStore', KV_STORE_KEY)],
    ),
    service('durable-objects', { disk: struct({ path: text(node.durableObjects), writable: 'true' }) }),
    ...sharedServices(node),
  ];
}

function otherServices(node: WorkerdNode): string[] {
  return [
    worker('main', node.workerScript, node.workerWasm, [...bindings(node), '(name = "NODE", service = "node")'], []),
    service('node', { external: unixServer(node.internal.node) }),
    service('kv', { external: unixServer(node.internal.kv) }),
    ...sharedServices(node),
  ];
}

function bindings(node: WorkerdNode): string[] {
  return [
    struct({ name: text('SETTINGS'), json: text(JSON.stringify(node.settings)) }),
    '(name = "KV", kvNamespace = "kv")',
    '(name = "NETWORK", service = "network")',
    '(name = "EGRESS", service = "egress")',
    '(name = "TUNNEL", service = "egress")',
    ...node.controlPlanes.map((_, place) =>
      struct({ name: text(numbered('CONTROL_PLANE', place)), service: text(`control-plane-${place + 1}`) }),
    ),
    ...node.telemetry.endpoints.map((_, place) =>
      struct({ name: text(numbered('TELEMETRY', place)), service: text(`telemetry-${place + 1}`) }),
    ),
    ...(node.declarative === null ? [] : ['(name = "DECLARATIVE", service = "declarative")']),
    ...(node.fallback === null ? [] : ['(name = "FALLBACK", service = "fallback")']),
  ];
}

/** `CONTROL_PLANE`, `CONTROL_PLANE_2`, … */
function numbered(binding: string, place: number): string {
  return place === 0 ? binding : `${binding}_${place + 1}`;
}

function sharedServices(node: WorkerdNode): string[] {
  const { egress, declarative, fallback, clusterTls, telemetry } = node;
  const token = struct({ name: text(egress.tokenHeader), value: text(egress.token) });
  return [
    service('network', {
      network: '(allow = ["public", "private", "local"], tlsOptions = (trustBrowserCas = true))',
    }),
    service('egress', {
      external: struct({
        address: text(`unix:${egress.path}`),
        http: struct({ injectRequestHeaders: `[${token}]` }),
      }),
    }),
    ...node.controlPlanes.map((address, place) =>
      service(`control-plane-${place + 1}`, { external: controlPlane(address, clusterTls) }),
    ),
    ...telemetry.endpoints.map((address, place) =>
      service(`telemetry-${place + 1}`, {
        external: controlPlane(address, clusterTls && { ...clusterTls, serverName: telemetry.serverName }),
      }),
    ),
    ...(declarative === null ? [] : [service('declarative', { disk: struct({ path: text(declarative) }) })]),
    ...(fallback === null ? [] : [service('fallback', { disk: struct({ path: text(fallback) }) })]),
  ];
}

function controlPlane(address: ControlPlaneAddress, tls: WorkerdNode['clusterTls']): string {
  if (tls === null) throw new Error('control planes need cluster_cert, cluster_cert_key and cluster_ca_cert');
  const tlsOptions = struct({
    keypair: struct({ privateKey: text(tls.key), certificateChain: text(tls.cert) }),
    trustBrowserCas: 'false',
    // Of a text with several workerd takes the first.
    trustedCertificates: list(certificatesOf(tls.ca).map(text)),
    ...TLS_LIMITS,
  });
  return struct({
    address: text(address),
    https: struct({ tlsOptions, certificateHost: text(tls.serverName) }),
  });
}

function unixServer(path: string): string {
  return struct({ address: text(`unix:${path}`), http: '()' });
}

function worker(
  name: string,
  script: string,
  wasm: readonly string[],
  withBindings: readonly string[],
  namespaces: readonly string[],
): string {
  return service(name, {
    worker: struct({
      modules: `[${[
        `(name = "worker.js", esModule = embed ${text(script)})`,
        ...wasm.map((file) => `(name = ${text(file)}, wasm = embed ${text(file)})`),
      ].join(', ')}]`,
      compatibilityDate: text(COMPATIBILITY_DATE),
      compatibilityFlags: `[${COMPATIBILITY_FLAGS.map(text).join(', ')}]`,
      // What `connect()` and a stray global fetch may reach: the same as NETWORK.
      globalOutbound: text('network'),
      bindings: list(withBindings),
      durableObjectNamespaces: namespaces.length === 0 ? null : `[${namespaces.join(', ')}]`,
      durableObjectStorage: namespaces.length === 0 ? null : '(localDisk = "durable-objects")',
    }),
  });
}

function durableObject(className: string, uniqueKey: string, stays = false): string {
  return struct({
    className: text(className),
    uniqueKey: text(uniqueKey),
    enableSql: 'true',
    ...(stays && { preventEviction: 'true' }),
  });
}

function service(name: string, kind: Readonly<Record<string, string>>): string {
  return struct({ name: text(name), ...kind });
}

/**
 * Whether the Worker knows from a request's scheme which listener it came in on: the only one of its kind. The runtime makes `ctx.props`
 * anew for every request, which costs it 3 % of its processor time.
 */
function isTold(listener: WorkerdListener, all: readonly WorkerdListener[]): boolean {
  const alike = all.filter(({ service, tls }) => service === 'proxy' && (tls === null) === (listener.tls === null));
  return alike.length === 1 && alike[0] === listener;
}

function listenerSocket({ name, service, port, loopback, tls }: WorkerdListener, told: boolean): string {
  const scheme = tls === null ? 'http' : 'https';
  const protocol =
    tls === null
      ? { http: '()' }
      : {
          https: struct({
            options: '()',
            tlsOptions: struct({
              keypair: struct({ privateKey: text(tls.key), certificateChain: text(tls.cert) }),
              ...TLS_LIMITS,
            }),
          }),
        };
  const to = struct({
    name: text('main'),
    entrypoint: service === 'status' ? text('Status') : null,
    props: told ? null : struct({ json: text(JSON.stringify({ listener: { scheme, port, loopback } })) }),
  });
  return struct({ name: text(name), ...protocol, service: to });
}

const INTERNAL_SOCKETS = [
  struct({ name: text(NODE_SOCKET), http: '()', service: '(name = "main", entrypoint = "NodeService")' }),
  struct({ name: text(KV_SOCKET), http: '()', service: text('kv') }),
];

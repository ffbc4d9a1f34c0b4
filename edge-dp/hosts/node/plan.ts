import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { isLoopback } from '../../../shared/browser-guard.ts';
import type { Capability } from '../../../shared/cluster/capabilities.ts';
import { HOST_CAPABILITIES } from '../../../shared/cluster/hosts.ts';
import type { WorkerSettings } from '../../settings.ts';
import { bundleWorker } from '../bundle-worker.ts';
import { writeDeclarative } from '../declarative-folder.ts';
import type { ForwardProxy } from '../forward-proxy.ts';
import {
  type ClusterTls,
  type DataPlaneOptions,
  type DnsOptions,
  type HttpLimits,
  type Listener,
  type ListenerTls,
  NO_SECRETS,
  type SecretOptions,
  SYSTEM_DNS,
  type TelemetryOptions,
  type TlsLimits,
  type TrustOptions,
} from '../options.ts';
import type { SupervisorPlan } from '../supervision/messages.ts';
import type { Generation } from '../supervision/run-folder.ts';
import type { NodeParts } from '../supervision/supervised-host.ts';
import { listenerPorts, workerSettings } from '../worker-settings.ts';
import { DEFAULT_HTTP_LIMITS } from './http/limits.ts';
import { nodeSockets } from './sockets.ts';
import { DEFAULT_LIMITS } from './tls/limits.ts';

/** What a node's processes run from. */
export interface NodePlan {
  readonly kind: 'node';
  /** The bundled Worker with what runs it. */
  readonly main: string;
  readonly process: ProcessPlan;
}

/** What each process needs to know. */
export interface ProcessPlan {
  readonly settings: WorkerSettings;
  /** Folder of the databases. */
  readonly storage: string;
  readonly controlPlanes: DataPlaneOptions['controlPlanes'];
  readonly telemetry: TelemetryOptions | null;
  readonly forwardProxy: ForwardProxy | null;
  readonly clusterTls: ClusterTls | null;
  readonly dns: DnsOptions;
  /** What connections of plugins' own are verified by; null: the public CAs. */
  readonly trust: TrustOptions | null;
  /** What the `env` vault has, besides the environment. */
  readonly secrets: SecretOptions;
  /** Where paths of files that do not begin with `/` begin. */
  readonly folder: string;
  /** Folder with `manifest` and `objects/<sha256>`, or null. */
  readonly declarative: string | null;
  /** Folder with `bundle.json` and `objects/<sha256>`, once they are there, or null. */
  readonly fallback: string | null;
  /** By socket name. */
  readonly listeners: readonly PlannedNodeListener[];
  readonly tls: TlsLimits;
  readonly http: HttpLimits;
  /** What the keys of TLS sessions are made of, in all processes: base64. */
  readonly ticketSecret: string;
  /** The first process's Unix socket, for the others. */
  readonly nodeSocket: string;
}

export interface PlannedNodeListener {
  readonly name: string;
  readonly service: 'proxy' | 'status' | 'stream';
  readonly port: number;
  /** Only this machine reaches it. */
  readonly loopback: boolean;
  /** Clients may speak HTTP/2. */
  readonly http2: boolean;
  /** Connections begin with a header of the PROXY protocol. */
  readonly proxyProtocol: boolean;
  /** What comes by TCP goes on behind such a header. */
  readonly sendProxyProtocol: boolean;
  readonly tls: ListenerTls | null;
  /** The address it is bound to, of one that takes datagrams; null: connections. */
  readonly udp: string | null;
}

/** Writes the files of a generation and says what the supervisor is to run from them. `entry` is the Worker's main module. */
export async function writeNodePlan(
  { options, nodeId, listeners, storage }: NodeParts,
  generation: Generation,
  { entry, nodeSocket }: { readonly entry: string; readonly nodeSocket: string },
): Promise<SupervisorPlan> {
  const { code } = await bundleWorker(entry, 'node');
  const proxyListeners = listeners.filter(({ service }) => service === 'proxy').map(({ listener }) => listener);
  return {
    processes: options.processes,
    storage,
    sockets: nodeSockets(listeners),
    runtime: {
      kind: 'node',
      main: generation.write('worker.mjs', code),
      process: {
        settings: workerSettings(options, {
          nodeId,
          host: 'node',
          capabilities: capabilities(proxyListeners),
          ports: listenerPorts(proxyListeners),
        }),
        storage,
        controlPlanes: options.controlPlanes,
        telemetry: options.telemetry ?? null,
        forwardProxy: options.forwardProxy ?? null,
        clusterTls: options.clusterTls,
        dns: options.dns ?? SYSTEM_DNS,
        trust: options.trust ?? null,
        secrets: options.secrets ?? NO_SECRETS,
        folder: resolve(options.prefix),
        declarative: writeDeclarative(generation, options),
        fallback: options.fallback ?? null,
        listeners: listeners.map(({ name, service, address, udp, listener }) => ({
          name,
          service,
          port: listener.port,
          http2: listener.http2 ?? false,
          proxyProtocol: listener.proxyProtocol ?? false,
          sendProxyProtocol: listener.sendProxyProtocol ?? false,
          loopback: isLoopback(address),
          tls: listener.tls ?? null,
          udp: udp === null ? null : address,
        })),
        tls: options.tls ?? DEFAULT_LIMITS,
        http: options.http ?? DEFAULT_HTTP_LIMITS,
        ticketSecret: randomBytes(48).toString('base64'),
        nodeSocket,
      },
    },
  };
}

/** Where no listener takes HTTP/2 there is no gRPC from clients either: the control plane is to know. */
function capabilities(listeners: readonly Listener[]): readonly Capability[] {
  const http2 = listeners.some((listener) => listener.http2 === true);
  return http2 ? HOST_CAPABILITIES.node : HOST_CAPABILITIES.node.filter((name) => name !== 'inbound_http2');
}

import { dirname, resolve } from 'node:path';
import { isLoopback } from '../../../shared/browser-guard.ts';
import { HOST_CAPABILITIES } from '../../../shared/cluster/hosts.ts';
import { EGRESS_TOKEN } from '../../proxy/egress/protocol.ts';
import { bundleWorker } from '../bundle-worker.ts';
import { writeDeclarative } from '../declarative-folder.ts';
import type { EgressPlan } from '../egress/egress-run.ts';
import { NO_SECRETS, SYSTEM_DNS } from '../options.ts';
import type { SupervisorPlan } from '../supervision/messages.ts';
import type { Generation } from '../supervision/run-folder.ts';
import type { NodeParts } from '../supervision/supervised-host.ts';
import { SupervisorProcess } from '../supervision/supervisor-process.ts';
import { listenerPorts, settingsAt, workerSettings } from '../worker-settings.ts';
import { KV_SOCKET, NODE_SOCKET, type WorkerdNode, workerdConfig } from './config.ts';
import { controlPlaneAddresses, type InternalSockets } from './internal-sockets.ts';

/** What workerd processes run from. */
export interface WorkerdPlan {
  readonly kind: 'workerd';
  /** workerd configs by place: of the first process, which holds the Durable Objects, and of the others. */
  readonly configs: readonly string[];
  /** Private folder for short-lived sockets. */
  readonly folder: string;
  readonly egress: EgressPlan;
}

interface WorkerdParts extends NodeParts {
  readonly sockets: InternalSockets;
  readonly egressToken: string;
  /** Main modules of the data plane Worker and of the KV service. */
  readonly workerEntry: string;
  readonly kvEntry: string;
}

/** Writes the files of a generation and says what the supervisor is to run from them. */
export async function writeWorkerdPlan(parts: WorkerdParts, generation: Generation): Promise<SupervisorPlan> {
  const [worker, kv] = await Promise.all([bundleWorker(parts.workerEntry), bundleWorker(parts.kvEntry)]);
  generation.write('worker.js', worker.code);
  for (const { name, bytes } of worker.wasm) generation.write(name, bytes);
  generation.write('kv.js', kv.code);
  const node = workerdNode(
    parts,
    worker.wasm.map(({ name }) => name),
    writeDeclarative(generation, parts.options),
  );
  const { sockets, egress } = descriptors(parts);
  const { processes } = parts.options;
  const configAt = (place: number): string => {
    const placed = { ...node, settings: settingsAt(node.settings, place, processes) };
    return generation.write(`process-${place + 1}.capnp`, workerdConfig(placed, place === 0 ? 'first' : 'other'));
  };
  return {
    processes,
    storage: parts.storage,
    sockets,
    runtime: {
      kind: 'workerd',
      // Of a lone process the second is that of its stand-in.
      configs: Array.from({ length: Math.max(processes, 2) }, (_, place) => configAt(place)),
      folder: dirname(parts.sockets.node),
      egress,
    },
  };
}

function workerdNode(
  { options, nodeId, listeners, sockets, egressToken, storage }: WorkerdParts,
  wasm: readonly string[],
  declarative: string | null,
): WorkerdNode {
  const proxyListeners = listeners.filter(({ service }) => service === 'proxy').map(({ listener }) => listener);
  return {
    settings: workerSettings(options, {
      nodeId,
      host: 'workerd',
      capabilities: HOST_CAPABILITIES.workerd,
      ports: listenerPorts(proxyListeners),
    }),
    workerScript: 'worker.js',
    workerWasm: wasm,
    kvScript: 'kv.js',
    durableObjects: storage,
    controlPlanes: controlPlaneAddresses(options.controlPlanes, sockets),
    telemetry: {
      endpoints: controlPlaneAddresses(options.telemetry?.endpoints ?? [], sockets),
      serverName: options.telemetry?.serverName ?? '',
    },
    clusterTls: options.clusterTls,
    listeners: listeners.map(({ name, service, address, listener: { port, tls = null } }) => ({
      name,
      service: service === 'proxy' ? 'proxy' : 'status',
      port,
      loopback: isLoopback(address),
      tls,
    })),
    internal: { node: sockets.node, kv: sockets.kv },
    egress: { path: sockets.egress, token: egressToken, tokenHeader: EGRESS_TOKEN },
    declarative,
    fallback: options.fallback ?? null,
  };
}

/** Hands out the descriptors in the order the sockets were opened in: listeners, then `internalPaths`. */
function descriptors({
  options,
  listeners,
  sockets,
  egressToken,
}: WorkerdParts): Pick<SupervisorPlan, 'sockets'> & Pick<WorkerdPlan, 'egress'> {
  let place = 0;
  const next = (): number => SupervisorProcess.descriptorAt(place++);
  return {
    sockets: [
      ...listeners.map(({ name, service, address, listener: { port, tls = null } }) => ({
        name,
        descriptor: next(),
        servedBy: service === 'proxy' ? ('all' as const) : ('first' as const),
        tls: tls === null ? null : { address, port },
      })),
      { name: NODE_SOCKET, descriptor: next(), servedBy: 'first', tls: null },
      { name: KV_SOCKET, descriptor: next(), servedBy: 'first', tls: null },
    ],
    egress: {
      descriptor: next(),
      token: egressToken,
      relays: sockets.relays.map(({ path, held, controlPlane: { host, port } }) => ({
        at: held ? next() : path,
        host,
        port,
        proxy: options.forwardProxy ?? null,
      })),
      folder: resolve(options.prefix),
      dns: options.dns ?? SYSTEM_DNS,
      trust: options.trust ?? null,
      secrets: options.secrets ?? NO_SECRETS,
    },
  };
}

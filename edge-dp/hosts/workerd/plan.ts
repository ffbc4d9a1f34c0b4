import { dirname, join, resolve } from 'node:path';
import { isLoopback } from '../../../shared/browser-guard.ts';
import { HOST_CAPABILITIES } from '../../../shared/cluster/hosts.ts';
import { EGRESS_TOKEN } from '../../proxy/egress/protocol.ts';
import { bundleWorker } from '../bundle-worker.ts';
import { type DataPlaneOptions, NO_SECRETS, SYSTEM_DNS } from '../options.ts';
import { listenerPorts, workerSettings } from '../worker-settings.ts';
import { KV_SOCKET, NODE_SOCKET, type WorkerdNode, workerdConfig } from './config.ts';
import { controlPlaneAddresses, type InternalSockets } from './internal-sockets.ts';
import type { PlannedListener } from './listeners.ts';
import type { SupervisorPlan } from './messages.ts';
import type { Generation } from './run-folder.ts';
import { SupervisorProcess } from './supervisor-process.ts';

/** What one generation of a node's processes is made from. */
interface NodeParts {
  readonly options: DataPlaneOptions;
  readonly nodeId: string;
  /** With the ports really bound. */
  readonly listeners: readonly PlannedListener[];
  readonly sockets: InternalSockets;
  readonly egressToken: string;
  /** Main modules of the data plane Worker and of the KV service. */
  readonly workerEntry: string;
  readonly kvEntry: string;
  /** Folder of the Durable Objects' databases. */
  readonly durableObjects: string;
}

/** Writes the files of a generation and says what the supervisor is to run from them. */
export async function writePlan(parts: NodeParts, generation: Generation): Promise<SupervisorPlan> {
  const [worker, kv] = await Promise.all([bundleWorker(parts.workerEntry), bundleWorker(parts.kvEntry)]);
  generation.write('worker.js', worker.code);
  for (const { name, bytes } of worker.wasm) generation.write(name, bytes);
  generation.write('kv.js', kv.code);
  const node = workerdNode(
    parts,
    worker.wasm.map(({ name }) => name),
    writeDeclarative(generation, parts.options),
  );
  return {
    firstConfig: generation.write('first.capnp', workerdConfig(node, 'first')),
    otherConfig: generation.write('other.capnp', workerdConfig(node, 'other')),
    processes: parts.options.processes,
    durableObjects: parts.durableObjects,
    folder: dirname(parts.sockets.node),
    ...descriptors(parts),
  };
}

function workerdNode(
  { options, nodeId, listeners, sockets, egressToken, durableObjects }: NodeParts,
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
    durableObjects,
    controlPlanes: controlPlaneAddresses(options, sockets),
    clusterTls: options.clusterTls,
    listeners: listeners.map(({ name, service, address, listener: { port, tls = null } }) => ({
      name,
      service,
      port,
      loopback: isLoopback(address),
      tls,
    })),
    internal: { node: sockets.node, kv: sockets.kv },
    egress: { path: sockets.egress, token: egressToken, tokenHeader: EGRESS_TOKEN },
    declarative,
  };
}

/** Hands out the descriptors in the order the sockets were opened in: listeners, then `internalPaths`. */
function descriptors({
  options,
  listeners,
  sockets,
  egressToken,
}: NodeParts): Pick<SupervisorPlan, 'sockets' | 'egress'> {
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
      relays: sockets.relays.map(({ controlPlane: { host, port } }) => ({ descriptor: next(), host, port })),
      folder: resolve(options.prefix),
      dns: options.dns ?? SYSTEM_DNS,
      trust: options.trust ?? null,
      secrets: options.secrets ?? NO_SECRETS,
    },
  };
}

/** Returns the folder, or null when there is none to write. */
function writeDeclarative(generation: Generation, { declarative }: DataPlaneOptions): string | null {
  if (declarative === null) return null;
  generation.write('declarative/manifest', JSON.stringify(declarative.manifest));
  for (const { name, gzip } of declarative.objects) generation.write(`declarative/objects/${name}`, gzip);
  return join(generation.path, 'declarative');
}

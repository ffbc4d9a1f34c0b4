import { isIP } from 'node:net';
import { join } from 'node:path';
import type { DataPlaneOptions } from '../options.ts';
import { KV_SOCKET, NODE_SOCKET } from './config.ts';

/** A listener of a control plane. */
type ControlPlane = DataPlaneOptions['controlPlanes'][number];

/** The Unix sockets between a node's own processes. */
export interface InternalSockets {
  /** Path of the first process's `NodeService`, for the others. */
  readonly node: string;
  /** Path of its KV service. */
  readonly kv: string;
  /** Path of the egress process. */
  readonly egress: string;
  /**
   * The egress process's relays, one for each listener of control planes that workerd does not connect to itself. `held`: its socket is
   * opened at the start and handed down; the egress process opens the others, of which a reload may bring other ones.
   */
  readonly relays: readonly { readonly path: string; readonly held: boolean; readonly controlPlane: ControlPlane }[];
}

/** `generation`: what tells the sockets of one generation from those of the others that are in use meanwhile. */
export function internalSockets(folder: string, options: DataPlaneOptions, generation: string): InternalSockets {
  const path = (name: string): string => join(folder, `${name}.sock`);
  return {
    node: path(NODE_SOCKET),
    kv: path(KV_SOCKET),
    egress: path('egress'),
    relays: [
      ...relayedControlPlanes(options).map((controlPlane, place) => ({
        path: path(`control-plane-${place + 1}`),
        held: true,
        controlPlane,
      })),
      ...relayed(options.telemetry?.endpoints ?? [], options).map((controlPlane, place) => ({
        path: path(`telemetry-${generation}-${place + 1}`),
        held: false,
        controlPlane,
      })),
    ],
  };
}

/** All paths that are opened at the start; their order is that of the descriptors. */
export function internalPaths({ node, kv, egress, relays }: InternalSockets): readonly string[] {
  return [node, kv, egress, ...relays.filter(({ held }) => held).map(({ path }) => path)];
}

/**
 * Listeners of control planes given by name, and all of them behind a forward proxy. workerd would resolve a name once, at its start, for
 * good, and speaks to no proxy: they are reached through relays of the egress process. TLS is end to end all the same.
 */
export function relayedControlPlanes(options: DataPlaneOptions): readonly ControlPlane[] {
  return relayed(options.controlPlanes, options);
}

function relayed(listeners: readonly ControlPlane[], { forwardProxy }: DataPlaneOptions): readonly ControlPlane[] {
  return listeners.filter(({ host }) => isIP(host) === 0 || (forwardProxy ?? null) !== null);
}

/** Where workerd connects to for each of these listeners: `host:port` with an address, or a relay. */
export function controlPlaneAddresses(
  controlPlanes: readonly ControlPlane[],
  { relays }: InternalSockets,
): readonly string[] {
  return controlPlanes.map((controlPlane) => {
    const relay = relays.find((candidate) => candidate.controlPlane === controlPlane);
    if (relay !== undefined) return `unix:${relay.path}`;
    const { host, port } = controlPlane;
    return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  });
}

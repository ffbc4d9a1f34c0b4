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
  /** The egress process's relays, one for each listener of control planes that workerd does not connect to itself. */
  readonly relays: readonly { readonly path: string; readonly controlPlane: ControlPlane }[];
}

export function internalSockets(folder: string, options: DataPlaneOptions): InternalSockets {
  const path = (name: string): string => join(folder, `${name}.sock`);
  return {
    node: path(NODE_SOCKET),
    kv: path(KV_SOCKET),
    egress: path('egress'),
    relays: relayedControlPlanes(options).map((controlPlane, place) => ({
      path: path(`control-plane-${place + 1}`),
      controlPlane,
    })),
  };
}

/** All paths; their order is that of the descriptors. */
export function internalPaths({ node, kv, egress, relays }: InternalSockets): readonly string[] {
  return [node, kv, egress, ...relays.map(({ path }) => path)];
}

/**
 * Listeners of control planes given by name, and all of them behind a forward proxy. workerd would resolve a name once, at its start, for
 * good, and speaks to no proxy: they are reached through relays of the egress process. TLS is end to end all the same.
 */
export function relayedControlPlanes({
  controlPlanes,
  telemetry,
  forwardProxy,
}: DataPlaneOptions): readonly ControlPlane[] {
  return [...controlPlanes, ...(telemetry?.endpoints ?? [])].filter(
    ({ host }) => isIP(host) === 0 || (forwardProxy ?? null) !== null,
  );
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

import { messageOf } from '../../shared/thrown.ts';
import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { PluginInstance } from '../plugins/runtime/chain.ts';
import type { TlsHandshake, TlsTerms } from '../plugins/runtime/handshake.ts';
import { SlotArray } from '../plugins/runtime/slot.ts';
import type { Gateway } from './gateway.ts';
import type { TlsArrival } from './request-path.ts';
import type { ProxyRuntime } from './runtime.ts';

/** Asks plugins how a client's TLS is to go on; null: there are none that say anything. Never rejects. */
export function beginTls(
  gateway: Gateway,
  runtime: Pick<ProxyRuntime, 'clientAddress'>,
  arrival: TlsArrival,
): Promise<TlsTerms | 'refused'> | null {
  const plan = arrival.protocol === 'https' ? gateway.plugins : gateway.streams?.plugins;
  const instances = plan?.beforeTls ?? [];
  return instances.length === 0 ? null : certificatePhase(instances, handshakeOf(gateway, runtime, arrival));
}

/** In order; the first that refuses ends it, and so does one that fails: who is not asked for a certificate would get in without. */
async function certificatePhase(
  instances: readonly PluginInstance[],
  handshake: TlsHandshake,
): Promise<TlsTerms | 'refused'> {
  for (const { hooks, plugin, place } of instances) {
    try {
      if ((await hooks.certificate?.(handshake)) === 'refused') return 'refused';
    } catch (error) {
      const where = `TLS handshake ${handshake.id} of ${handshake.client.ip}: plugin ${plugin.name} (${place.id})`;
      console.error(`${where} failed in certificate: ${messageOf(error)}`);
      return 'refused';
    }
  }
  return handshake.terms;
}

function handshakeOf(
  { authorities }: Gateway,
  { clientAddress }: Pick<ProxyRuntime, 'clientAddress'>,
  arrival: TlsArrival,
): TlsHandshake {
  const { protocol, serverName, localPort, waitUntil } = arrival;
  return {
    id: crypto.randomUUID().replaceAll('-', ''),
    startedAt: Date.now(),
    client: clientAddress(arrival.peerIp, arrival.peerPort, null, arrival.proxied),
    protocol,
    serverName,
    localPort,
    terms: { asked: null, resumable: true },
    route: null,
    service: null,
    workspace: DEFAULT_WORKSPACE.id,
    identity: { consumer: null },
    shared: new Map(),
    slots: new SlotArray(),
    authorities,
    waitUntil,
  };
}

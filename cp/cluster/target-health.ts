import { isRecord } from '../../shared/record.ts';
import type { NodeTargetHealth } from '../admin/cluster/cluster-view.ts';

/** What a data plane says of its targets: by upstream id, by target id. */
export type NodeHealth = Readonly<Record<string, Readonly<Record<string, NodeTargetHealth>>>>;

const ID = /^[\w-]{1,64}$/;
const ADDRESS = /^[\w.:[\]-]{1,253}$/;
const RECORDS = ['A', 'AAAA', 'SRV'] as const;
const ADDRESS_HEALTHS = ['HEALTHY', 'UNHEALTHY', 'HEALTHCHECKS_OFF'] as const;
const HEALTHS = [...ADDRESS_HEALTHS, 'DNS_ERROR'] as const;

/** Reads what a heartbeat says; what is not understood is left out, as it is stored and shown. */
export function healthOf(value: unknown): NodeHealth {
  return entries(value, targetsOf);
}

/** The same for one upstream. */
export function targetsOf(value: unknown): NodeHealth[string] {
  return entries(value, (target) => {
    if (!isRecord(target)) return null;
    const health = HEALTHS.find((one) => one === target.health);
    if (health === undefined) return null;
    const addresses = Array.isArray(target.addresses) ? target.addresses.flatMap(addressOf) : [];
    return { dns: RECORDS.find((one) => one === target.dns) ?? null, health, addresses };
  });
}

function entries<T>(value: unknown, read: (value: unknown) => T | null): Readonly<Record<string, T>> {
  const found: [string, T][] = [];
  for (const [id, item] of isRecord(value) ? Object.entries(value) : []) {
    const understood = ID.test(id) ? read(item) : null;
    if (understood !== null) found.push([id, understood]);
  }
  return Object.fromEntries(found);
}

function addressOf(value: unknown): NodeTargetHealth['addresses'][number][] {
  if (!isRecord(value)) return [];
  const { ip, port, weight, health } = value;
  if (typeof ip !== 'string' || !ADDRESS.test(ip) || typeof port !== 'number' || typeof weight !== 'number') return [];
  return [{ ip, port, weight, health: ADDRESS_HEALTHS.find((one) => one === health) ?? 'HEALTHY' }];
}

import type { DnsAnswer, DnsRecord } from '../proxy/egress/protocol.ts';

export type RecordType = 'A' | 'AAAA' | 'SRV';

/** Asks the DNS for one name and type. */
export type Lookup = (name: string, type: RecordType) => Promise<DnsAnswer>;

/** One place a name leads to. */
export interface NamedAddress {
  /** IPv6 without brackets. */
  readonly ip: string;
  /** What an SRV record says instead of the target; null for A and AAAA. */
  readonly srv: { readonly name: string; readonly port: number; readonly weight: number } | null;
}

type Resolution =
  | {
      readonly status: 'resolved';
      readonly type: RecordType;
      /** In a fixed order, each once, at least one. */
      readonly addresses: readonly NamedAddress[];
      /** Seconds. */
      readonly ttl: number;
      /** The system's own resolver, which the runtime's fetch asks, says the same. */
      readonly system: boolean;
    }
  | { readonly status: 'failed'; readonly reason: string; readonly retry: number };

/** The types of records a name is asked for, first come first served; `LAST`: the type that was found last. */
export type DnsOrder = readonly ('LAST' | RecordType)[];

/** Kong's, and AAAA for names that have nothing else. */
export const DNS_ORDER: DnsOrder = ['LAST', 'SRV', 'A', 'AAAA'];

/** Seconds after which a name whose records may not be cached (TTL 0) is asked for again, as in Kong. */
const UNCACHED = 60;
/** Seconds after which a name that did not resolve is asked for again, as in Kong. */
export const RETRY = 30;

/** Where a target's name leads. Of SRV records those of the best priority count, a weight of 0 as 1. */
export async function resolveName(
  name: string,
  lookup: Lookup,
  last: RecordType | null,
  order: DnsOrder = DNS_ORDER,
): Promise<Resolution> {
  let failure: Resolution = { status: 'failed', reason: 'the name has no address', retry: RETRY };
  for (const type of new Set(order.flatMap((type) => (type === 'LAST' ? (last ?? []) : type)))) {
    const answer = await lookup(name, type);
    if (answer.status === 'ok') {
      if (answer.records.length === 0) continue;
      return type === 'SRV'
        ? resolveServices(answer.records, answer.system, lookup, order)
        : resolved(type, answer.records.map(plain), answer.records, answer.system);
    }
    failure = { status: 'failed', reason: answer.message, retry: answer.retry };
    // The server is in trouble: that the name has other records too is no reason to go elsewhere now.
    if (answer.status === 'failed' && type === last) return failure;
  }
  return failure;
}

async function resolveServices(
  all: readonly DnsRecord[],
  system: boolean,
  lookup: Lookup,
  order: DnsOrder,
): Promise<Resolution> {
  const listed = order.filter((type) => type === 'A' || type === 'AAAA');
  const types = listed.length > 0 ? listed : (['A', 'AAAA'] as const);
  const best = Math.min(...all.map(({ priority }) => priority ?? 0));
  const services = all.filter(({ priority, address }) => (priority ?? 0) === best && address !== '' && address !== '.');
  const read: DnsRecord[] = [...services];
  const found = await Promise.all(
    services.map(async ({ address: name, port = 0, weight = 0 }): Promise<readonly NamedAddress[]> => {
      const srv = { name, port, weight: weight === 0 ? 1 : weight };
      if (isAddress(name)) return [{ ip: name, srv }];
      for (const type of types) {
        const answer = await lookup(name, type);
        if (answer.status !== 'ok' || answer.records.length === 0) continue;
        read.push(...answer.records);
        return answer.records.map(({ address: ip }) => ({ ip, srv }));
      }
      return [];
    }),
  );
  const addresses = found.flat();
  if (addresses.length === 0)
    return { status: 'failed', reason: 'none of the SRV records leads to an address', retry: RETRY };
  return resolved('SRV', addresses, read, system);
}

function resolved(
  type: RecordType,
  found: readonly NamedAddress[],
  records: readonly DnsRecord[],
  system: boolean,
): Resolution {
  const addresses = new Map(found.map((address) => [textOf(address), address]));
  const ttl = Math.min(...records.map(({ ttl }) => (ttl === 0 ? UNCACHED : ttl)));
  // Servers rotate their records: a name that has not changed must look as before.
  const ordered = [...addresses].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, address]) => address);
  return { status: 'resolved', type, addresses: ordered, ttl, system };
}

/** Tells addresses apart. */
export function textOf({ ip, srv }: NamedAddress): string {
  return srv === null ? ip : `${ip} ${srv.port} ${srv.name} ${srv.weight}`;
}

/** Whether a target's host is an address already: IPv4, or IPv6 with or without brackets. */
export function isAddress(host: string): boolean {
  return host.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

function plain({ address }: DnsRecord): NamedAddress {
  return { ip: address, srv: null };
}

import { lookup, Resolver } from 'node:dns/promises';
import type { DnsAnswer, DnsRecord } from '../../proxy/egress/protocol.ts';

/** Seconds an answer without a TTL of its own (hosts file) is good for. */
const HOSTS_FILE_TTL = 60;

const resolver = new Resolver({ timeout: 2_000, tries: 2 });

/**
 * Looks a name up. A and AAAA ask the DNS for its TTL first and the system's resolver (hosts file, mDNS…) when the DNS
 * does not know the name.
 */
export async function resolveName(host: string, type: 'A' | 'AAAA' | 'SRV'): Promise<DnsAnswer> {
  try {
    return { status: 'ok', records: await ask(host, type) };
  } catch (error) {
    const system = type === 'SRV' ? [] : await askSystem(host, type === 'A' ? 4 : 6);
    if (system.length > 0) return { status: 'ok', records: system };
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENODATA') return { status: 'ok', records: [] };
    const message = error instanceof Error ? error.message : String(error);
    return { status: code === 'ENOTFOUND' ? 'not_found' : 'failed', message };
  }
}

async function ask(host: string, type: 'A' | 'AAAA' | 'SRV'): Promise<readonly DnsRecord[]> {
  if (type === 'SRV') {
    const records = await resolver.resolveSrv(host);
    // Node does not hand out the TTL of SRV records.
    return records.map(({ name, port, priority, weight }) => ({
      address: name,
      ttl: HOSTS_FILE_TTL,
      port,
      priority,
      weight,
    }));
  }
  return type === 'A' ? await resolver.resolve4(host, { ttl: true }) : await resolver.resolve6(host, { ttl: true });
}

async function askSystem(host: string, family: 4 | 6): Promise<readonly DnsRecord[]> {
  try {
    const found = await lookup(host, { family, all: true });
    return found.map(({ address }) => ({ address, ttl: HOSTS_FILE_TTL }));
  } catch {
    return [];
  }
}

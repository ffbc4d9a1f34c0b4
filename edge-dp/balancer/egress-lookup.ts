import { type DnsAnswer, EGRESS_ORIGIN } from '../proxy/egress/protocol.ts';
import { type Lookup, RETRY } from './name-resolution.ts';

/** Lookups through the host's egress process: the runtime itself does not show DNS records. */
export function lookupThrough(egress: Pick<Fetcher, 'fetch'>): Lookup {
  return async (name, type) => {
    const response = await egress.fetch(`${EGRESS_ORIGIN}/dns/${encodeURIComponent(name)}?type=${type}`);
    if (response.status === 200) return response.json<DnsAnswer>();
    await response.body?.cancel();
    return { status: 'failed', message: `the egress process answered ${response.status}`, retry: RETRY };
  };
}

import { FieldList } from '../http/fields.ts';
import { ReadTimeout, withTimeout } from '../http/read-timeout.ts';
import { authorityOf, type Egress, type UpstreamRequest } from '../proxy/egress/egress.ts';
import { type Network, reachable } from '../proxy/egress/network.ts';
import type { Address } from './address.ts';
import { type Observation, observationOf } from './target-health.ts';
import type { Upstream } from './upstream.ts';

/**
 * One active check of one address: an HTTP request whose status is judged, or a TCP connection. Null when the answer's
 * status is on neither list, or the node could not look. gRPC upstreams are checked by connecting to them. It takes twice `active.timeout` at most.
 */
export async function probe(
  ways: { readonly network: Network; readonly egress: Egress },
  upstream: Upstream,
  address: Address,
): Promise<Observation | null> {
  const { active } = upstream.health;
  const timeout = active.timeout * 1000;
  if (active.type !== 'http' && active.type !== 'https')
    return (await reachable(ways.network, plain(address.host), address.port, timeout)) ? 'success' : 'tcp';

  const sending = ways.egress.send(probeRequest(upstream, address, active.type));
  try {
    // To connect and to answer; whatever becomes of the request, the verdict does not wait for it.
    const result = await withTimeout(sending, 2 * timeout);
    if (result.kind === 'failure') return observationOfFailure(result.failure.code);
    result.response.discard();
    return observationOf(result.response.status, active);
  } catch (error) {
    if (!(error instanceof ReadTimeout)) throw error;
    void sending.then((late) => late.kind === 'response' && late.response.discard());
    return 'timeout';
  }
}

/** Configured headers take the place of the gateway's own, Host included. */
function probeRequest(
  upstream: Upstream,
  { host, port, hostname }: Address,
  scheme: 'http' | 'https',
): UpstreamRequest {
  const { active } = upstream.health;
  const timeout = active.timeout * 1000;
  const headers = FieldList.of({ 'user-agent': `holdfast (${upstream.name})` });
  let authority: string | null = null;
  for (const [name, values] of Object.entries(active.headers)) {
    if (name.toLowerCase() === 'host') {
      authority = values[0] ?? authority;
      continue;
    }
    headers.delete(name);
    for (const value of values) headers.append(name, value);
  }
  const name = upstream.hostHeader ?? hostname;
  return {
    scheme,
    host: plain(host),
    port,
    authority: authority ?? authorityOf(name, port, scheme === 'https'),
    target: active.path,
    method: 'GET',
    headers,
    body: { kind: 'none' },
    version: '1.1',
    websocket: false,
    tls: { verify: active.verifyCertificate, verifyDepth: null, ca: [], certificate: null },
    serverName: active.sni ?? name,
    timeouts: { connect: timeout, read: timeout, write: timeout },
  };
}

/** An answer that is none counts as a bad status, as in Kong. Null: the node could not look. */
function observationOfFailure(code: string): Observation | null {
  if (code === 'exhausted') return null;
  if (code === 'protocol') return 'http';
  return code.endsWith('_timeout') ? 'timeout' : 'tcp';
}

function plain(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}

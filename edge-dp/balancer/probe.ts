import { FieldList } from '../http/fields.ts';
import { bracketed, type Egress } from '../proxy/egress/egress.ts';
import { type Network, reachable } from '../proxy/egress/network.ts';
import type { Address } from './address.ts';
import { type Observation, observationOf } from './target-health.ts';
import type { Upstream } from './upstream.ts';

/**
 * One active check of one address: an HTTP request whose status is judged, or a TCP connection. Null when the answer's
 * status is on neither list. gRPC upstreams are checked by connecting to them.
 */
export async function probe(
  ways: { readonly network: Network; readonly egress: Egress },
  upstream: Upstream,
  { host, port, hostname }: Address,
): Promise<Observation | null> {
  const { active } = upstream.health;
  const timeout = active.timeout * 1000;
  if (active.type !== 'http' && active.type !== 'https')
    return (await reachable(ways.network, host.replace(/^\[|\]$/g, ''), port, timeout)) ? 'success' : 'tcp';

  const headers = FieldList.of({ 'user-agent': `holdfast (${upstream.name})` });
  for (const [name, values] of Object.entries(active.headers))
    for (const value of values) if (name.toLowerCase() !== 'host') headers.append(name, value);
  const name = active.sni ?? upstream.hostHeader ?? hostname;
  const standard = active.type === 'https' ? 443 : 80;
  const result = await ways.egress.send({
    scheme: active.type,
    host: host.replace(/^\[|\]$/g, ''),
    port,
    authority: port === standard ? bracketed(name) : `${bracketed(name)}:${port}`,
    target: active.path,
    method: 'GET',
    headers,
    body: { kind: 'none' },
    version: '1.1',
    websocket: false,
    tls: { verify: active.verifyCertificate, verifyDepth: null, ca: [], certificate: null },
    timeouts: { connect: timeout, read: timeout, write: timeout },
  });
  if (result.kind === 'response') {
    result.response.discard();
    return observationOf(result.response.status, active);
  }
  return result.failure.code.endsWith('_timeout') ? 'timeout' : 'tcp';
}

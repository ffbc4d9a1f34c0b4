import type { LogFacts } from '../../../shared/access-log/variables.ts';
import { loggedStatus, requestSize, responseSize, statusText } from '../../plugins/log-entry.ts';
import type { Exchange } from '../../plugins/runtime/exchange.ts';
import { addressText } from '../failure-line.ts';

/** What access logs tell of a request. */
export function factsOf(exchange: Exchange): LogFacts {
  const { request, reply, latencies, bytes } = exchange;
  const { incoming, route, service, identity } = request;
  return {
    client: request.client,
    method: incoming.method,
    target: request.rawTarget,
    // nginx's way to write it.
    protocol: `HTTP/${incoming.version === '2' ? '2.0' : incoming.version}`,
    scheme: request.scheme,
    port: exchange.listenerPort,
    status: loggedStatus(exchange),
    bodyBytes: exchange.clientLeft ? 0 : bytes.out,
    endedAt: exchange.endedAt,
    requestId: request.id,
    took: latencies.request,
    get requestBytes() {
      return requestSize(exchange);
    },
    get answerBytes() {
      return responseSize(exchange);
    },
    header: (name) => incoming.headers.get(name),
    answerHeader: (name) => reply.headers.get(name),
    get tries() {
      return exchange.tries.map((one) => ({ address: addressText(one), status: statusText(one) }));
    },
    upstreamTook: latencies.proxy < 0 ? null : latencies.proxy,
    route: route === null ? null : (route.name ?? route.id),
    service: service === null ? null : (service.name ?? service.id),
    get consumer() {
      const { consumer } = identity;
      const name = consumer?.row.username ?? consumer?.row.custom_id;
      return typeof name === 'string' ? name : (consumer?.id ?? null);
    },
  };
}

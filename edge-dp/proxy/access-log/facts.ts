import type { LogFacts } from '../../../shared/access-log/variables.ts';
import { loggedStatus, requestSize, responseSize, statusText } from '../../plugins/log-entry.ts';
import type { Exchange } from '../../plugins/runtime/exchange.ts';
import { addressText } from '../failure-line.ts';

/** What access logs tell of a request: each fact is worked out when a line asks for it. */
export class ExchangeFacts implements LogFacts {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  get client() {
    return this.#exchange.request.client;
  }

  get method() {
    return this.#exchange.request.incoming.method;
  }

  get target() {
    return this.#exchange.request.rawTarget;
  }

  /** nginx's way to write it. */
  get protocol() {
    const { version } = this.#exchange.request.incoming;
    return version === '1.1' ? 'HTTP/1.1' : `HTTP/${version === '2' ? '2.0' : version}`;
  }

  get scheme() {
    return this.#exchange.request.scheme;
  }

  get port() {
    return this.#exchange.listenerPort;
  }

  get status() {
    return loggedStatus(this.#exchange);
  }

  get bodyBytes() {
    return this.#exchange.clientLeft ? 0 : this.#exchange.bytes.out;
  }

  get requestBytes() {
    return requestSize(this.#exchange);
  }

  get answerBytes() {
    return responseSize(this.#exchange);
  }

  get took() {
    return this.#exchange.latencies.request;
  }

  get endedAt() {
    return this.#exchange.endedAt;
  }

  get requestId() {
    return this.#exchange.request.id;
  }

  header(name: string): string | null {
    return this.#exchange.request.incoming.headers.get(name);
  }

  answerHeader(name: string): string | null {
    return this.#exchange.reply.headers.get(name);
  }

  get tries() {
    return this.#exchange.tries.map((one) => ({ address: addressText(one), status: statusText(one) }));
  }

  get upstreamTook() {
    const { proxy } = this.#exchange.latencies;
    return proxy < 0 ? null : proxy;
  }

  get route() {
    return nameOf(this.#exchange.request.route);
  }

  get service() {
    return nameOf(this.#exchange.request.service);
  }

  get consumer() {
    const { consumer } = this.#exchange.request.identity;
    const name = consumer?.row.username ?? consumer?.row.custom_id;
    return typeof name === 'string' ? name : (consumer?.id ?? null);
  }
}

function nameOf(entity: { readonly id: string; readonly name: string | null } | null): string | null {
  return entity === null ? null : (entity.name ?? entity.id);
}

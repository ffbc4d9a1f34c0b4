import { OwnResponse, type ResponseEnd } from '../http/messages.ts';
import { ResponseReply } from '../plugins/runtime/reply.ts';
import { ProxyExchange } from './exchange.ts';
import { failed, type Outcome } from './outcome.ts';
import type { ProxyContext } from './request-context.ts';

/** What the node knows of requests that are logged. */
interface Logging {
  /** Counts those that are not over. */
  readonly exchanges: { open: number };
  readonly accessLog: { write(exchange: ProxyExchange): void } | null;
  readonly telemetry: { record(exchange: ProxyExchange, serial: number | null): void } | null;
}

/** nginx's status of a request whose client left before it was answered. */
const CLIENT_LEFT = 499;

/**
 * Sees to it that the log phase of a request runs once, however the request ends: after the last byte, where sending broke off,
 * or when the client is gone before there is an answer.
 */
export class ExchangeLog {
  readonly #context: ProxyContext;
  readonly #over: () => void;
  readonly #runtime: Logging;
  #ended = false;

  constructor(context: ProxyContext, runtime: Logging) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#context = context;
    this.#runtime = runtime;
    runtime.exchanges.open += 1;
    this.#over = resolve;
    // The runtime lets go of a request whose client is gone, unless something is still to be done.
    context.waitUntil(promise);
    context.incoming.onClientLeft(() => this.#left());
  }

  /** There is an answer, on its way from now on. */
  answered(outcome: Outcome, reply: ResponseReply): void {
    if (this.#ended) return;
    if (!this.#isAwaited()) {
      this.#ended = true;
      this.#finish();
      return;
    }
    const headAt = Date.now();
    reply.response.onEnd((end) => this.#log(outcome, reply, headAt, end));
  }

  /** Whether anybody is there to hear of its end. */
  #isAwaited(): boolean {
    const { accessLog, telemetry } = this.#runtime;
    const { plugins } = this.#context;
    return accessLog !== null || telemetry !== null || plugins?.logs(this.#context) !== false;
  }

  #left(): void {
    const context = this.#context;
    // Once the answer is on its way its own end tells.
    if (context.answered) return;
    const headAt = Date.now();
    const response = new OwnResponse(CLIENT_LEFT, null);
    const { sentAt } = context;
    const outcome: Outcome =
      sentAt === null
        ? failed(response)
        : {
            source: 'upstream',
            response,
            times: { sentAt, headAt, status: CLIENT_LEFT },
            version: '1.1',
            websocket: false,
            via: null,
          };
    const reply = new ResponseReply(response, sentAt === null ? 'error' : 'service', (work) => context.waitUntil(work));
    this.#log(outcome, reply, headAt, { aborted: true, clientLeft: true });
  }

  #log(outcome: Outcome, reply: ResponseReply, headAt: number, end: ResponseEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    const context = this.#context;
    const { accessLog, telemetry } = this.#runtime;
    const exchange = new ProxyExchange(context, { outcome, reply, headAt, end });
    context.plugins?.log(exchange);
    accessLog?.write(exchange);
    telemetry?.record(exchange, context.serial);
    this.#finish();
  }

  #finish(): void {
    this.#runtime.exchanges.open -= 1;
    this.#over();
  }
}

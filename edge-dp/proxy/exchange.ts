import type { HttpResponse, ResponseEnd } from '../http/messages.ts';
import type { Exchange, Latencies, Try } from '../plugins/runtime/exchange.ts';
import type { ResponseReply } from '../plugins/runtime/reply.ts';
import type { Outcome } from './outcome.ts';
import type { ProxyContext } from './request-context.ts';

/** Reads what came of a request out of what the proxy kept of it, when a plugin asks. */
export class ProxyExchange implements Exchange {
  readonly request: ProxyContext;
  readonly reply: ResponseReply;
  readonly aborted: boolean;
  readonly endedAt = Date.now();
  readonly #outcome: Outcome;
  /** When the answer's head was ready: milliseconds since the epoch. */
  readonly #headAt: number;

  constructor(
    request: ProxyContext,
    parts: {
      readonly outcome: Outcome;
      readonly reply: ResponseReply;
      readonly headAt: number;
      readonly end: ResponseEnd;
    },
  ) {
    this.request = request;
    this.reply = parts.reply;
    this.aborted = parts.end.aborted;
    this.#outcome = parts.outcome;
    this.#headAt = parts.headAt;
  }

  get upstreamTarget(): string | null {
    return this.request.sentTarget;
  }

  get tries(): readonly Try[] {
    return this.request.tries ?? [];
  }

  get latencies(): Latencies {
    const { startedAt } = this.request;
    const outcome = this.#outcome;
    const whole = { receive: this.endedAt - this.#headAt, request: this.endedAt - startedAt };
    if (outcome.source === 'kong') return { ...whole, kong: this.#headAt - startedAt - outcome.waited, proxy: -1 };
    const { sentAt, headAt } = outcome.times;
    return { ...whole, kong: sentAt - startedAt, proxy: headAt - sentAt };
  }

  get bytes(): { readonly in: number | null; readonly out: number | null } {
    return { in: this.request.body.length, out: lengthOf(this.reply.response) };
  }
}

function lengthOf({ content, headers }: HttpResponse): number | null {
  if (content === null) return 0;
  if (content instanceof Uint8Array) return content.length;
  if (typeof content === 'string') return new TextEncoder().encode(content).length;
  const declared = headers.get('content-length');
  return declared === null ? null : Number(declared);
}

import type { HttpResponse, ResponseEnd } from '../http/messages.ts';
import type { Exchange, Latencies, NameLookup, Try } from '../plugins/runtime/exchange.ts';
import type { ResponseReply } from '../plugins/runtime/reply.ts';
import type { Outcome } from './outcome.ts';
import type { ProxyContext } from './request-context.ts';

/** Reads what came of a request out of what the proxy kept of it, when a plugin asks. */
export class ProxyExchange implements Exchange {
  readonly request: ProxyContext;
  readonly reply: ResponseReply;
  readonly aborted: boolean;
  readonly endedAt = Date.now();
  readonly #end: ResponseEnd;
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
    this.#end = parts.end;
    this.#outcome = parts.outcome;
    this.#headAt = parts.headAt;
  }

  get upstreamTarget(): string | null {
    return this.request.sentTarget;
  }

  get upstreamUri(): string {
    return this.request.sentTarget ?? this.request.targetUpstream?.() ?? '';
  }

  get workspaceName(): string | null {
    return this.request.workspaceName;
  }

  get listenerPort(): number | null {
    return this.request.port;
  }

  get clientLeft(): boolean {
    return this.request.clientGone || this.#end.clientLeft;
  }

  get tries(): readonly Try[] {
    return this.request.tries ?? [];
  }

  get lookup(): NameLookup | null {
    const { lookedUp } = this.request;
    if (lookedUp === null) return null;
    const { balancer, start, end } = lookedUp;
    const [first] = this.tries;
    const address = balancer.addresses.find(({ host, port }) => host === first?.host && port === first.port);
    const [target] = balancer.targets;
    const name = address?.name ?? target?.host;
    if (name === undefined || !balancer.names.includes(name)) return null;
    return {
      ...{ name, port: address?.port ?? target?.port ?? 0, start, end },
      ...{ ip: address?.ip ?? null, problem: first === undefined ? balancer.problemOf(name) : null },
    };
  }

  get latencies(): Latencies {
    const { startedAt } = this.request;
    const outcome = this.#outcome;
    const whole = { receive: this.endedAt - this.#headAt, request: this.endedAt - startedAt };
    const times = outcome.times ?? this.#whenLeft();
    if (times === null) {
      const waited = outcome.source === 'kong' ? outcome.waited : 0;
      return { ...whole, kong: this.#headAt - startedAt - waited, proxy: -1 };
    }
    const { sentAt, headAt } = times;
    return { ...whole, kong: sentAt - startedAt, proxy: headAt - sentAt };
  }

  /** Of a request that was under way when its client left. */
  #whenLeft(): { readonly sentAt: number; readonly headAt: number } | null {
    const { sentAt } = this.request;
    return this.clientLeft && sentAt !== null ? { sentAt, headAt: this.#headAt } : null;
  }

  get bytes(): { readonly in: number | null; readonly out: number | null } {
    const { sent } = this.#end;
    return { in: this.request.body.received(this.tries.length > 0), out: sent ?? lengthOf(this.reply.response) };
  }
}

function lengthOf({ content, headers }: HttpResponse): number | null {
  if (content === null) return 0;
  if (content instanceof Uint8Array) return content.length;
  if (typeof content === 'string') return new TextEncoder().encode(content).length;
  const declared = headers.get('content-length');
  return declared === null ? null : Number(declared);
}

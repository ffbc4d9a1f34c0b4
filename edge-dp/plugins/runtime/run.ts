import { messageOf } from '../../../shared/thrown.ts';
import { requestFacts } from '../../proxy/failure-line.ts';
import type { Chain, PluginInstance } from './chain.ts';
import type { Exchange } from './exchange.ts';
import type { PluginPlan } from './plan.ts';
import { type Answer, type QualifiedAnswer, qualified, type Step } from './plugin.ts';
import type { ResponseReply } from './reply.ts';
import type { GatewayRequest } from './request.ts';

/** A plugin threw; the request is answered with 500. */
export class PluginFailure extends Error {
  override readonly name = 'PluginFailure';
}

/** What `rewrite` leaves to the access phase: the answer that ended the request before it had a route. */
export async function rewrite(
  instances: readonly PluginInstance[],
  request: GatewayRequest,
): Promise<QualifiedAnswer | undefined> {
  for (const instance of instances) {
    try {
      const answer = await instance.hooks.rewrite?.(request);
      if (answer !== undefined) return qualified(answer);
    } catch (error) {
      throw failure(instance, 'rewrite', request, error);
    }
  }
  return undefined;
}

/**
 * The plugins of one request, from choosing them to their last phase. The consumer is only known once an
 * authentication plugin has run, so what follows it is chosen again with the consumer (Kong does the same).
 */
export class PluginRun {
  readonly #plan: PluginPlan;
  #chain: Chain;
  #consumer: string | null;

  constructor(plan: PluginPlan, chain: Chain, request: GatewayRequest) {
    this.#plan = plan;
    this.#chain = chain;
    this.#consumer = request.identity.consumer?.id ?? null;
  }

  /** Runs access in order; the first answer ends it, but what later phases run is chosen all the same. */
  access(request: GatewayRequest): Step<QualifiedAnswer> {
    return this.#accessFrom(0, request);
  }

  #accessFrom(start: number, request: GatewayRequest): Step<QualifiedAnswer> {
    for (let at = start; at < this.#chain.access.length; at++) {
      const instance = this.#chain.access[at];
      if (instance === undefined) break;
      let answer: Step<Answer>;
      try {
        answer = instance.hooks.access?.(request);
      } catch (error) {
        throw failure(instance, 'access', request, error);
      }
      if (answer instanceof Promise) return this.#accessAfter(answer, at, instance, request);
      const chosen = this.#chooseAgain(at, request);
      if (chosen !== null) return this.#goOn(chosen, answer, at, request);
      if (answer !== undefined) return qualified(answer);
    }
    return undefined;
  }

  async #accessAfter(
    pending: Promise<Answer | undefined>,
    at: number,
    instance: PluginInstance,
    request: GatewayRequest,
  ): Promise<QualifiedAnswer | undefined> {
    let answer: Answer | undefined;
    try {
      answer = await pending;
    } catch (error) {
      throw failure(instance, 'access', request, error);
    }
    const chosen = this.#chooseAgain(at, request);
    if (chosen !== null) await chosen;
    return answer === undefined ? this.#accessFrom(at + 1, request) : qualified(answer);
  }

  async #goOn(
    chosen: Promise<void>,
    answer: Answer | undefined,
    at: number,
    request: GatewayRequest,
  ): Promise<QualifiedAnswer | undefined> {
    await chosen;
    return answer === undefined ? this.#accessFrom(at + 1, request) : qualified(answer);
  }

  /** Once the consumer has become known, or another. A promise where the consumer's groups have to be read first. */
  #chooseAgain(at: number, request: GatewayRequest): Promise<void> | null {
    const consumer = request.identity.consumer?.id ?? null;
    if (consumer === this.#consumer) return null;
    this.#consumer = consumer;
    if (!this.#plan.knowsCallers) return null;
    if (!this.#plan.knowsGroups) {
      this.#continue(at, request, []);
      return null;
    }
    const groups = request.identity.consumerGroups();
    if (groups instanceof Promise) return groups.then((found) => this.#continue(at, request, found));
    this.#continue(at, request, groups);
    return null;
  }

  #continue(at: number, request: GatewayRequest, groups: readonly { readonly id: string }[]): void {
    const target = {
      workspace: request.workspace,
      route: request.route?.id ?? null,
      service: request.service?.id ?? null,
    };
    const chain = this.#plan.chain(target, { consumer: this.#consumer, groups: groups.map(({ id }) => id) });
    if (chain !== this.#chain) this.#chain = chain.after(this.#chain, at);
  }

  get answers(): boolean {
    return this.#chain.response.length > 0;
  }

  get asksForReceived(): boolean {
    return this.#chain.asksForReceived;
  }

  /** Runs the response phase over a reply. An answer takes its place, and the rest runs over that. */
  response(request: GatewayRequest, reply: ResponseReply): undefined | Promise<undefined> {
    return this.#responseFrom(0, request, reply);
  }

  #responseFrom(start: number, request: GatewayRequest, reply: ResponseReply): undefined | Promise<undefined> {
    for (let at = start; at < this.#chain.response.length; at++) {
      const instance = this.#chain.response[at];
      if (instance === undefined) break;
      try {
        const answer = instance.hooks.response?.(request, reply);
        if (answer instanceof Promise) return this.#responseAfter(answer, at, instance, request, reply);
        takePlace(answer, reply);
      } catch (error) {
        throw failure(instance, 'response', request, error);
      }
    }
    return undefined;
  }

  async #responseAfter(
    pending: Promise<Answer | undefined>,
    at: number,
    instance: PluginInstance,
    request: GatewayRequest,
    reply: ResponseReply,
  ): Promise<undefined> {
    try {
      takePlace(await pending, reply);
    } catch (error) {
      throw failure(instance, 'response', request, error);
    }
    return this.#responseFrom(at + 1, request, reply);
  }

  /** Whether any of them has something to log of the request. */
  logs(request: GatewayRequest): boolean {
    return this.#chain.log.some(({ hooks }) => hooks.logs?.(request) ?? true);
  }

  /** A plugin that cannot log must not keep the others from it. */
  log(exchange: Exchange): void {
    for (const instance of this.#chain.log) {
      try {
        instance.hooks.log?.(exchange);
      } catch (error) {
        console.error(failure(instance, 'log', exchange.request, error).message);
      }
    }
  }
}

function takePlace(answer: Answer | undefined, reply: ResponseReply): void {
  if (answer === undefined) return;
  const { response, served } = qualified(answer);
  reply.answer(response, served ? 'service' : 'exit');
}

function failure(
  { plugin, place }: PluginInstance,
  phase: string,
  request: GatewayRequest,
  cause: unknown,
): PluginFailure {
  const { id, route } = request;
  const where = route === null ? '' : ` of route ${route.name ?? route.id}`;
  const what = `request ${id}: plugin ${plugin.name} (${place.id})${where}`;
  return new PluginFailure(`${what} failed in ${phase}: ${messageOf(cause)} (${requestFacts(request)})`, { cause });
}

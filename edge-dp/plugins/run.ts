import { messageOf } from '../../shared/thrown.ts';
import type { HttpResponse } from '../http/messages.ts';
import type { PluginInstance, PluginPlan } from './plan.ts';
import { byKongOrder } from './plan.ts';
import type { RequestContext, ResponseContext } from './plugin.ts';

/** A plugin threw; the request is answered with 500. */
export class PluginFailure extends Error {
  override readonly name = 'PluginFailure';
}

/**
 * The plugins of one request, from choosing them to their last phase. The consumer is only known once an
 * authentication plugin has run, so what follows it is chosen again with the consumer (Kong does the same).
 */
export class PluginRun {
  readonly #plan: PluginPlan;
  /** What was chosen: the response and log phases run these, whether or not their access ran. */
  readonly #collected: PluginInstance[] = [];

  constructor(plan: PluginPlan) {
    this.#plan = plan;
  }

  /** Whether there is anything to run for the request as it is now. */
  has(request: RequestContext): boolean {
    return this.#steps(request).length > 0;
  }

  /** Runs access in order; the first response ends it, but the rest is still chosen for the later phases. */
  async access(request: RequestContext): Promise<HttpResponse | undefined> {
    let answer: HttpResponse | undefined;
    let consumer = request.consumer?.id ?? null;
    let steps = this.#steps(request);
    for (let i = 0; i < steps.length; i++) {
      const instance = steps[i];
      if (instance === undefined) break;
      this.#collected.push(instance);
      if (answer !== undefined || instance.compiled.access === undefined) continue;
      try {
        const result = instance.compiled.access(request);
        answer = result instanceof Promise ? await result : result;
      } catch (error) {
        this.#collected.push(...steps.slice(i + 1));
        throw failure(instance, 'access', error);
      }
      const now = request.consumer?.id ?? null;
      if (now === consumer) continue;
      consumer = now;
      const next = this.#steps(request).filter((step) => byKongOrder(instance.plugin, step.plugin) < 0);
      steps = [...steps.slice(0, i + 1), ...next];
    }
    return answer;
  }

  /** Chooses without running access: for requests that matched no route, whose global plugins still see the answer. */
  collect(request: RequestContext): void {
    this.#collected.push(...this.#steps(request));
  }

  async response(request: RequestContext, response: ResponseContext): Promise<void> {
    for (const instance of this.#collected) {
      if (instance.compiled.response === undefined) continue;
      try {
        const done = instance.compiled.response(request, response);
        if (done instanceof Promise) await done;
      } catch (error) {
        throw failure(instance, 'response', error);
      }
    }
  }

  get hasResponsePhase(): boolean {
    return this.#collected.some((instance) => instance.compiled.response !== undefined);
  }

  get hasLogPhase(): boolean {
    return this.#collected.some((instance) => instance.compiled.log !== undefined);
  }

  /** A plugin that cannot log must not spoil an answer that is already on its way. */
  log(request: RequestContext, response: ResponseContext): void {
    for (const instance of this.#collected) {
      if (instance.compiled.log === undefined) continue;
      try {
        instance.compiled.log(request, response);
      } catch (error) {
        console.error(failure(instance, 'log', error).message);
      }
    }
  }

  #steps(request: RequestContext): readonly PluginInstance[] {
    return this.#plan.chain({
      workspace: request.workspace,
      route: request.route?.id ?? null,
      service: request.service?.id ?? null,
      consumer: request.consumer?.id ?? null,
    });
  }
}

function failure(instance: PluginInstance, phase: string, cause: unknown): PluginFailure {
  const reason = messageOf(cause);
  return new PluginFailure(`plugin ${instance.plugin.name} (${instance.scope.id}) failed in ${phase}: ${reason}`, {
    cause,
  });
}

import { messageOf } from '../../shared/thrown.ts';
import { fittingHealth } from './fitting.ts';

interface TargetHealthLinkOptions {
  /** The Durable Object that checks targets; null: nobody does. */
  readonly checker: () => Pick<DurableObjectStub, 'fetch'> | null;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly warn: (message: string) => void;
}

/** What goes over the link about targets: how they are, and what a control plane says they shall be. */
export class TargetHealthLink {
  readonly #options: TargetHealthLinkOptions;
  #health: Readonly<Record<string, unknown>> = {};
  /** Upstreams whose health did not fit. */
  #left = 0;

  constructor(options: TargetHealthLinkOptions) {
    this.#options = options;
  }

  /** By upstream, as it fits into a message; empty: nothing is known. */
  get health(): Readonly<Record<string, unknown>> {
    return this.#health;
  }

  take(reported: Readonly<Record<string, unknown>>): void {
    const { health, left } = fittingHealth(reported);
    this.#health = health;
    if (left > 0 && this.#left === 0) {
      this.#options.warn(`target health is too long for the control plane: that of ${left} upstreams is not sent`);
    }
    this.#left = left;
  }

  /** `message`: an order; null: there is other config. */
  tellChecker(path: '/health/orders' | '/health/wake', message: unknown): void {
    const { checker, waitUntil, warn } = this.#options;
    const told = checker()?.fetch(`http://node${path}`, { method: 'POST', body: JSON.stringify(message) });
    if (told !== undefined) waitUntil(told.catch((error: unknown) => warn(`health checker: ${messageOf(error)}`)));
  }
}

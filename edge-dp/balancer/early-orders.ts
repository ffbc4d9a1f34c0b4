import type { TargetHealthMessage } from '../../shared/cluster/messages.ts';

type Order = Omit<TargetHealthMessage, 'type'>;

/** Milliseconds that an order waits for its target: config, and the addresses of a name, are on their way for longer only where something is wrong. */
const PATIENCE = 30_000;
const MOST = 1_000;

/** Orders about targets that are not here yet, since the config that has them is still on its way; of each target the last. */
export class EarlyOrders {
  readonly #orders = new Map<string, { readonly order: Order; readonly until: number }>();

  /** Whether one waits. */
  get any(): boolean {
    return this.#orders.size > 0;
  }

  keep(order: Order, now: number): void {
    this.forget(order);
    if (this.#orders.size < MOST) this.#orders.set(keyOf(order), { order, until: now + PATIENCE });
  }

  /** There is a newer one. */
  forget(order: Order): void {
    this.#orders.delete(keyOf(order));
  }

  /** Tries them again, the oldest first; `obey` says whether the target is there. Those that have waited for too long are dropped. */
  retry(now: number, obey: (order: Order) => boolean): boolean {
    let obeyed = false;
    for (const [key, { order, until }] of [...this.#orders]) {
      const done = obey(order);
      obeyed = done || obeyed;
      if (done || until < now) this.#orders.delete(key);
    }
    return obeyed;
  }
}

const keyOf = ({ upstream, target, address }: Order): string => JSON.stringify([upstream, target, address]);

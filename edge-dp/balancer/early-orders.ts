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

  /** False: too many wait, and this one does not. */
  keep(order: Order, now: number): boolean {
    this.forget(order);
    if (this.#orders.size >= MOST) return false;
    this.#orders.set(keyOf(order), { order, until: now + PATIENCE });
    return true;
  }

  /** There is a newer one. */
  forget(order: Order): void {
    this.#orders.delete(keyOf(order));
  }

  /** Tries them again, the oldest first; `obey` says whether the target is there. Those that have waited for too long are dropped, and `lost`. */
  retry(now: number, obey: (order: Order) => boolean): { readonly obeyed: boolean; readonly lost: readonly Order[] } {
    let obeyed = false;
    const lost: Order[] = [];
    for (const [key, { order, until }] of [...this.#orders]) {
      const done = obey(order);
      obeyed = done || obeyed;
      if (!done && until < now) lost.push(order);
      if (done || until < now) this.#orders.delete(key);
    }
    return { obeyed, lost };
  }
}

const keyOf = ({ upstream, target, address }: Order): string => JSON.stringify([upstream, target, address]);

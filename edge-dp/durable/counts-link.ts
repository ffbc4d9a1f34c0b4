import type { Count } from '../../shared/cluster/counts.ts';
import type { Counted, FromDataPlane } from '../../shared/cluster/messages.ts';

interface CountsLinkOptions {
  readonly send: (message: FromDataPlane) => void;
  readonly connected: () => boolean;
}

/** Milliseconds the control plane has for an answer. */
const PATIENCE = 2_000;
/** Milliseconds for which one that did not answer (an earlier version does not know how) is not asked again. */
const PAUSE = 10_000;

/** What goes over the link between the ledgers of counters that all data planes share and a control plane. */
export class CountsLink {
  readonly #options: CountsLinkOptions;
  readonly #asked = new Map<string, (others: readonly number[] | null) => void>();
  #silentAt = Number.NEGATIVE_INFINITY;

  constructor(options: CountsLinkOptions) {
    this.#options = options;
  }

  /** Null: there is no control plane that answers. */
  async compare(ledger: string, counts: readonly Count[]): Promise<readonly number[] | null> {
    if (!this.#options.connected() || Math.abs(Date.now() - this.#silentAt) < PAUSE) return null;
    const id = crypto.randomUUID();
    const { promise, resolve } = Promise.withResolvers<readonly number[] | null>();
    this.#asked.set(id, resolve);
    const late = setTimeout(() => {
      this.#silentAt = Date.now();
      resolve(null);
    }, PATIENCE);
    this.#options.send({ type: 'counts', id, ledger, counts });
    const others = await promise;
    clearTimeout(late);
    this.#asked.delete(id);
    return others?.length === counts.length ? others : null;
  }

  counted({ id, others }: Counted): void {
    this.#asked.get(id)?.(others);
  }

  /** Another connection: what was asked over the one before is not answered any more. */
  reconnected(): void {
    this.#silentAt = Number.NEGATIVE_INFINITY;
    for (const settle of this.#asked.values()) settle(null);
  }
}

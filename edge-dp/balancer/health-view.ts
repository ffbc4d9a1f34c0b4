import type { ToldFailure } from './failure-runs.ts';

/** What a node has agreed on about one address: available or not, whoever found out. */
export interface AddressVerdict {
  /** Upstream id. */
  readonly upstream: string;
  /** The `key` of an `Address`. */
  readonly address: string;
  readonly healthy: boolean;
}

/** An isolate's half of an exchange: what its requests learned, and how far it has read. */
export interface HealthNews {
  readonly epoch: string | null;
  readonly since: number;
  readonly changes: readonly AddressVerdict[];
  /** Of requests to addresses that are available all the same. */
  readonly failures: readonly ToldFailure[];
}

/** The other half: verdicts that are new to that isolate. */
export interface HealthAnswer {
  readonly epoch: string;
  readonly version: number;
  readonly verdicts: readonly AddressVerdict[];
}

/**
 * The verdicts of one node, each with the version it came with, so that an isolate is told only what it does not know.
 * `epoch` names one life of the view: who read from an earlier one is told everything.
 */
export class HealthView {
  readonly epoch: string;
  #version = 0;
  readonly #verdicts = new Map<string, AddressVerdict & { readonly version: number }>();

  constructor(epoch: string, verdicts: readonly AddressVerdict[]) {
    this.epoch = epoch;
    // Of those that are healthy, too: who was told otherwise before, and has not asked since, must hear it.
    for (const verdict of verdicts) this.#put(verdict);
  }

  /** True when the verdict is another than before. An address nobody has judged is healthy. */
  set({ upstream, address, healthy }: AddressVerdict): boolean {
    if (this.isHealthy(upstream, address) === healthy) return false;
    this.#put({ upstream, address, healthy });
    return true;
  }

  #put({ upstream, address, healthy }: AddressVerdict): void {
    this.#version += 1;
    this.#verdicts.set(`${upstream}|${address}`, { upstream, address, healthy, version: this.#version });
  }

  isHealthy(upstream: string, address: string): boolean {
    return this.#verdicts.get(`${upstream}|${address}`)?.healthy ?? true;
  }

  news({ epoch, since }: Pick<HealthNews, 'epoch' | 'since'>): HealthAnswer {
    const from = epoch === this.epoch ? since : 0;
    const verdicts = [...this.#verdicts.values()].filter(({ version }) => version > from).map(plain);
    return { epoch: this.epoch, version: this.#version, verdicts };
  }

  all(): readonly AddressVerdict[] {
    return [...this.#verdicts.values()].map(plain);
  }

  /** Forgets addresses that are targets no longer. */
  keep(known: (verdict: AddressVerdict) => boolean): void {
    for (const [key, verdict] of this.#verdicts) if (!known(verdict)) this.#verdicts.delete(key);
  }
}

function plain({ upstream, address, healthy }: AddressVerdict): AddressVerdict {
  return { upstream, address, healthy };
}

import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { type Count, LATEST, MOST_COUNTS, parseOthersCounts } from '../../shared/cluster/counts.ts';
import { messageOf } from '../../shared/thrown.ts';
import { SharedLedger } from './shared-ledger.ts';
import type { CountedWindow, CounterAnswer, CounterQuestion } from './state-messages.ts';

/** Milliseconds between two comparisons. */
const INTERVAL = 1_000;
/** Windows kept by one ledger. */
const MOST = 100_000;

interface ClusterCountersOptions {
  /** What others have counted; null: nobody can say. Null itself: this node has no control plane. */
  readonly compare: ((ledger: string, counts: readonly Count[]) => Promise<readonly number[] | null>) | null;
  /** Keeps work alive that goes on after an answer. */
  readonly later: (work: Promise<unknown>) => void;
  readonly log: (level: 'info' | 'warn', message: string) => void;
}

/**
 * Counters that all data planes share, as one node keeps them: it counts by itself, and compares notes with the others every second,
 * through the control plane. While that does not answer each node counts alone; afterwards all know what all have counted.
 */
export class ClusterCounters {
  readonly #options: ClusterCountersOptions;
  readonly #ledger: SharedLedger;
  /** Made with the first question: a Worker has no random numbers before. */
  #name: string | null = null;
  #comparing = false;
  #alone = false;
  #full = false;

  constructor(options: ClusterCountersOptions) {
    this.#options = options;
    this.#ledger = new SharedLedger((most) => this.#forgetting(most), MOST);
  }

  answer(question: CounterQuestion): readonly CounterAnswer[] {
    this.#name ??= crypto.randomUUID();
    const answers = this.#ledger.answer(question, Date.now());
    const { compare, later } = this.#options;
    if (compare !== null && !this.#comparing) {
      this.#comparing = true;
      later(this.#compareUntilQuiet(compare, this.#name));
    }
    return answers;
  }

  async #compareUntilQuiet(compare: NonNullable<ClusterCountersOptions['compare']>, name: string): Promise<void> {
    while (this.#ledger.asked) {
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
      const changes = this.#ledger.changes(MOST_COUNTS, Date.now());
      if (changes.length === 0) continue;
      const counts = changes.map(
        ({ window, own }): Count => [
          digest(window),
          Math.max(0, own),
          Math.min(Math.ceil((window.start + window.length) / 1_000), LATEST),
        ],
      );
      const others = await this.#others(compare(name, counts));
      if (others === null) this.#ledger.keep(changes);
      else
        for (const [i, change] of changes.entries())
          this.#ledger.learn(change, change.own + (others[i] ?? 0), Date.now());
    }
    this.#comparing = false;
  }

  async #others(asked: Promise<readonly number[] | null>): Promise<readonly number[] | null> {
    let reason = 'no control plane answers';
    const others = await asked.catch((error: unknown) => {
      reason = messageOf(error);
      return null;
    });
    const alone = others === null;
    if (alone && !this.#alone) this.#options.log('warn', `counters of all data planes are this one's own: ${reason}`);
    if (!alone && this.#alone) this.#options.log('info', 'counters are compared with those of other data planes again');
    this.#alone = alone;
    return others;
  }

  #forgetting(most: number): void {
    if (this.#full) return;
    this.#full = true;
    this.#options.log('warn', `more than ${most} counters of all data planes: those used longest ago start at 0 again`);
  }
}

/** Half a SHA-256, in base64url: what is counted, of whom, is nobody else's business. */
function digest({ key, start, length }: CountedWindow): string {
  const bytes = sha256(utf8ToBytes(`${key}|${start}|${length}`)).subarray(0, 16);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .slice(0, 22);
}

/** Over the link, whose owner lives where this does. Throws when it does not answer. */
export async function compareOverLink(
  owner: { fetch(url: string, init: RequestInit): Promise<Response> },
  ledger: string,
  counts: readonly Count[],
): Promise<readonly number[] | null> {
  const answer = await owner.fetch(`http://node/counts/${ledger}`, { method: 'POST', body: JSON.stringify(counts) });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
  const others: unknown = JSON.parse(text);
  return others === null ? null : parseOthersCounts(others, 'others');
}

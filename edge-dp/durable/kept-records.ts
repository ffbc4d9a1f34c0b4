import { InTurn } from './in-turn.ts';
import type { RecordAnswer, RecordQuestion } from './state-messages.ts';

interface Kept {
  readonly value: unknown;
  /** Milliseconds since the epoch; null: no end. */
  readonly until: number | null;
}

/** The part of a Durable Object's storage used here. */
type Storage = Pick<DurableObjectStorage, 'get' | 'put' | 'delete' | 'list' | 'getAlarm' | 'setAlarm'>;

/** Milliseconds between two looks for records whose time is over, and how many are looked at in one go. */
const SWEEP = 10 * 60_000;
const SWEPT_AT_ONCE = 500;
/** Keys that can be deleted at once. */
const DELETED_AT_ONCE = 128;

/** Records of one collection on disk. */
export class KeptRecords {
  readonly #storage: Storage;
  /** What may be done once is looked at and done by one at a time, whatever the storage lets happen in between. */
  readonly #once = new InTurn();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async answer(question: RecordQuestion, now: number): Promise<RecordAnswer> {
    const { key } = question;
    switch (question.does) {
      case 'get':
        return { value: (await this.#living(key, now))?.value ?? null };
      case 'take':
        return this.#once.run(key, async () => {
          const kept = await this.#living(key, now);
          if (kept !== null) await this.#storage.delete(key);
          return { value: kept?.value ?? null };
        });
      case 'delete':
        await this.#storage.delete(key);
        return {};
      case 'add':
        return this.#once.run(key, async () => {
          if ((await this.#living(key, now)) !== null) return { added: false };
          await this.#put(question, now);
          return { added: true };
        });
      case 'put':
        await this.#put(question, now);
        return {};
    }
  }

  /** Deletes what is over; again after a while, where there is more to come. */
  async sweep(now: number): Promise<void> {
    let next: string | undefined;
    let left = false;
    do {
      const page: Map<string, Kept> = await this.#storage.list({
        limit: SWEPT_AT_ONCE,
        ...(next !== undefined && { startAfter: next }),
      });
      const over = [...page].filter(([, { until }]) => until !== null && until <= now).map(([key]) => key);
      for (let at = 0; at < over.length; at += DELETED_AT_ONCE)
        await this.#storage.delete(over.slice(at, at + DELETED_AT_ONCE));
      left ||= [...page.values()].some(({ until }) => until !== null && until > now);
      next = page.size === SWEPT_AT_ONCE ? [...page.keys()].at(-1) : undefined;
    } while (next !== undefined);
    if (left) await this.#storage.setAlarm(now + SWEEP);
  }

  async #living(key: string, now: number): Promise<Kept | null> {
    const kept = await this.#storage.get<Kept>(key);
    return kept === undefined || (kept.until !== null && kept.until <= now) ? null : kept;
  }

  async #put(
    { key, value, ttl }: { readonly key: string; readonly value: unknown; readonly ttl: number },
    now: number,
  ): Promise<void> {
    const kept: Kept = { value, until: ttl === 0 ? null : now + ttl * 1000 };
    await this.#storage.put(key, kept);
    if (ttl !== 0 && (await this.#storage.getAlarm()) === null) await this.#storage.setAlarm(now + SWEEP);
  }
}

import type { RecordPage, RecordPosition } from '../../shared/cluster/records.ts';

/** A record as this node has it. */
export interface Kept {
  readonly value: unknown;
  /** Milliseconds since the epoch; null: no end. */
  readonly until: number | null;
  /** In which round through all records it was told of last. */
  readonly round: number;
  /** The control plane did not take it: nobody else has it. */
  readonly own?: true;
}

/** What shared records use of a Durable Object's storage. */
export interface RecordStorage {
  get<T>(key: string): Promise<T | undefined>;
  put<T>(key: string, value: T): Promise<void>;
  put<T>(entries: Record<string, T>): Promise<void>;
  delete(key: string): Promise<boolean>;
  delete(keys: string[]): Promise<number>;
  list<T>(of: {
    readonly prefix: string;
    readonly limit?: number;
    readonly startAfter?: string;
  }): Promise<Map<string, T>>;
  getAlarm(): Promise<number | null>;
  setAlarm(at: number): Promise<void>;
}

/** A record as others have it. */
type Found = Pick<Kept, 'value' | 'until'>;

/** A record that others are asked for. */
interface LookUp {
  readonly at: string;
  /** Something was done with it since, here or elsewhere: what is found may be from before. */
  isOvertaken: boolean;
}

/** How far the node knows what the control plane has. */
interface Known {
  readonly position: RecordPosition;
  readonly round: number;
  /** Once this round is through, what was not in it is gone. */
  readonly sweeping: boolean;
}

/** Milliseconds between two looks for records whose time is over. */
const SWEEP = 10 * 60_000;
/** Keys in one call of the storage. */
const AT_ONCE = 128;

const RECORD = 'record/';

/** Where a record stands on disk. */
export function placeOf(collection: string, key: string): string {
  return `${RECORD}${collection}/${key}`;
}

/** The shared records this node has, on its disk. */
export class ClusterRecordStore {
  readonly #storage: RecordStorage;
  readonly #lookUps = new Set<LookUp>();

  constructor(storage: RecordStorage) {
    this.#storage = storage;
  }

  /** Null: there is none, or its time is over. */
  async living(at: string): Promise<Kept | null> {
    const kept = await this.#storage.get<Kept>(at);
    return kept === undefined || (kept.until !== null && kept.until <= Date.now()) ? null : kept;
  }

  async keep(at: string, { value, until }: Found, own = false): Promise<void> {
    const round = (await this.#known())?.round ?? 0;
    this.#overtake((one) => one === at);
    await this.#storage.put({ [at]: { value, until, round, ...(own && { own }) }, shared: true });
    await this.wakeIn(SWEEP);
  }

  /** Nobody else has it, and none will. */
  async keepOwn(at: string): Promise<void> {
    const kept = await this.living(at);
    if (kept !== null) await this.keep(at, kept, true);
  }

  /** Asks elsewhere for the record there, and keeps it unless it was overtaken meanwhile, or another is kept. */
  async found(at: string, ask: () => Promise<Found | null>): Promise<Found | null> {
    const lookUp: LookUp = { at, isOvertaken: false };
    this.#lookUps.add(lookUp);
    try {
      const found = await ask();
      if (found === null) return null;
      const [known, kept] = await Promise.all([this.#known(), this.living(at)]);
      if (kept !== null || lookUp.isOvertaken) return found;
      // Nothing may come between that look and this.
      await this.#storage.put({
        [at]: { value: found.value, until: found.until, round: known?.round ?? 0 },
        shared: true,
      });
      await this.wakeIn(SWEEP);
      return found;
    } finally {
      this.#lookUps.delete(lookUp);
    }
  }

  async delete(at: string): Promise<void> {
    this.#overtake((one) => one === at);
    await this.#storage.delete(at);
  }

  /** How far it knows what the control plane has. */
  async position(): Promise<RecordPosition | null> {
    return (await this.#known())?.position ?? null;
  }

  /** Whether this storage is that of shared records. */
  async isHere(): Promise<boolean> {
    return (await this.#storage.get('shared')) === true || (await this.#known()) !== null;
  }

  /** Takes over what others did, but of those that wait to be told: they come after it. Gives how far it knows everything now. */
  async takeOver(
    { after, position, records, more }: RecordPage,
    waits: (at: string) => boolean,
  ): Promise<RecordPosition | null> {
    const known = await this.#known();
    if (after !== 0 && (known?.position.log !== position.log || known.position.number !== after)) {
      return known?.position ?? null;
    }
    const begins = after === 0;
    const round = (known?.round ?? 0) + (begins ? 1 : 0);
    const sweeping = begins ? known?.position.log === position.log : known?.sweeping === true;
    const kept = new Map<string, Kept>();
    const gone: string[] = [];
    for (const { collection, key, value, until } of records) {
      const at = placeOf(collection, key);
      if (waits(at)) continue;
      if (value === null) gone.push(at);
      else kept.set(at, { value, until, round });
    }
    // What is told of all anew forgets what it does not tell of.
    this.#overtake((at) => begins || kept.has(at) || gone.includes(at));
    for (const part of parts([...kept])) await this.#storage.put(Object.fromEntries(part));
    for (const part of parts(gone)) await this.#storage.delete([...part]);
    if (sweeping && !more) await this.#forget((one, at) => one.round !== round && one.own !== true && !waits(at));
    await this.#storage.put({ known: { position, round, sweeping: sweeping && more } satisfies Known });
    await this.wakeIn(SWEEP);
    return position;
  }

  /** Forgets what is over, now and then. */
  async sweep(now: number): Promise<void> {
    const due = ((await this.#storage.get<number>('swept')) ?? 0) + SWEEP;
    if (due <= now) {
      await this.#forget(({ until }) => until !== null && until <= now);
      await this.#storage.put('swept', now);
    }
    await this.wakeIn(SWEEP);
  }

  /** Has the alarm go off by then. */
  async wakeIn(milliseconds: number): Promise<void> {
    const due = Date.now() + milliseconds;
    const set = await this.#storage.getAlarm();
    if (set === null || set > due) await this.#storage.setAlarm(due);
  }

  #overtake(concerns: (at: string) => boolean): void {
    for (const lookUp of this.#lookUps) lookUp.isOvertaken ||= concerns(lookUp.at);
  }

  async #known(): Promise<Known | null> {
    return (await this.#storage.get<Known>('known')) ?? null;
  }

  async #forget(isGone: (kept: Kept, at: string) => boolean): Promise<void> {
    let startAfter: string | undefined;
    for (;;) {
      const page: Map<string, Kept> = await this.#storage.list({
        prefix: RECORD,
        limit: 500,
        ...(startAfter !== undefined && { startAfter }),
      });
      const gone = [...page].filter(([at, kept]) => isGone(kept, at)).map(([at]) => at);
      for (const part of parts(gone)) await this.#storage.delete([...part]);
      startAfter = [...page.keys()].at(-1);
      if (startAfter === undefined || page.size < 500) return;
    }
  }
}

function* parts<T>(all: readonly T[]): Iterable<readonly T[]> {
  for (let start = 0; start < all.length; start += AT_ONCE) yield all.slice(start, start + AT_ONCE);
}

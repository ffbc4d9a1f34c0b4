import { MOST_CHANGES, type RecordChange, type RecordOutcome } from '../../shared/cluster/records.ts';
import { type ClusterRecordStore, placeOf, type RecordStorage } from './cluster-record-store.ts';

/** Something the control plane is to hear, in order. */
interface Waiting {
  readonly change: RecordChange;
  /** Where it stands on disk; null: a question, which nobody asks again. */
  readonly place: string | null;
  readonly settle: (outcome: RecordOutcome | null) => void;
}

export interface RecordOutboxOptions {
  readonly storage: RecordStorage;
  /** To the control plane; null: it cannot be reached. */
  readonly tell: (changes: readonly RecordChange[]) => Promise<readonly RecordOutcome[] | null>;
  /** There is a control plane, now or later. */
  readonly linked: boolean;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly log: (level: 'warn' | 'info', message: string) => void;
}

/** Milliseconds the control plane has before this node goes by what it knows itself. */
const PATIENCE = 1_000;
/** Milliseconds between two messages. */
const PAUSE = 20;
/** Characters of one message. */
const MESSAGE = 96 << 10;
/** Changes kept for a control plane that cannot be reached. */
const MOST_UNTOLD = 100_000;
/** Milliseconds until it is tried again, should nobody say that it is back. */
const AGAIN = 30_000;

const UNTOLD = 'untold/';

/** What the control plane is to hear of shared records: in order, on disk until it was told. */
export class RecordOutbox {
  readonly #options: RecordOutboxOptions;
  readonly #kept: ClusterRecordStore;
  readonly #queue: Waiting[] = [];
  /** How many changes of a record wait, by its place on disk. */
  readonly #untold = new Map<string, number>();
  #loaded: Promise<void> | null = null;
  #number = 0;
  #telling = false;
  #away = false;
  #full = false;

  constructor(options: RecordOutboxOptions, kept: ClusterRecordStore) {
    this.#options = options;
    this.#kept = kept;
  }

  /** What was not told when the node was stopped. */
  load(): Promise<void> {
    this.#loaded ??= this.#read().catch((error: unknown) => {
      // A disk that does not answer for a moment: the next finds out anew.
      this.#loaded = null;
      throw error;
    });
    return this.#loaded;
  }

  async #read(): Promise<void> {
    const untold = await this.#options.storage.list<RecordChange>({ prefix: UNTOLD, limit: MOST_UNTOLD });
    for (const [place, change] of untold) {
      this.#number = Math.max(this.#number, Number(place.slice(UNTOLD.length)) + 1);
      this.#enqueue({ change, place, settle: () => undefined });
    }
  }

  /** Whether changes of the record there wait. */
  has(at: string): boolean {
    return this.#untold.has(at);
  }

  /** Changes that wait. */
  get size(): number {
    return [...this.#untold.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Has the control plane told, and waits for it a while. */
  async write(change: RecordChange, at: string): Promise<void> {
    const { linked, storage, log } = this.#options;
    if (!linked) return;
    if (this.#queue.length >= MOST_UNTOLD) {
      if (!this.#full) {
        log(
          'warn',
          `${MOST_UNTOLD} changes wait for the control plane, the most that are kept: others stay on this node`,
        );
      }
      this.#full = true;
      await this.#kept.keepOwn(at);
      return;
    }
    const place = `${UNTOLD}${String(this.#number++).padStart(16, '0')}`;
    const told = new Promise<unknown>((settle) => this.#enqueue({ change, place, settle }));
    await storage.put({ [place]: change, shared: true });
    this.tellSoon();
    await Promise.race([told, patience()]);
  }

  /** Null: the control plane does not answer. */
  async ask(change: RecordChange): Promise<RecordOutcome | null> {
    if (this.#away && this.#telling) return null;
    const { promise, resolve } = Promise.withResolvers<RecordOutcome | null>();
    const waiting: Waiting = { change, place: null, settle: resolve };
    this.#enqueue(waiting);
    this.tellSoon();
    const outcome = await Promise.race([promise, patience()]);
    // What nobody waits for any more must not be done.
    const left = this.#queue.indexOf(waiting);
    if (left >= 0) this.#queue.splice(left, 1);
    return outcome === undefined || outcome?.outcome === 'later' ? null : outcome;
  }

  /** Goes on telling. */
  tellSoon(): void {
    if (this.#telling || this.#queue.length === 0) return;
    this.#telling = true;
    const told = this.#tell().finally(() => {
      this.#telling = false;
    });
    this.#options.waitUntil(told);
  }

  #enqueue(waiting: Waiting): void {
    this.#queue.push(waiting);
    if (waiting.place === null) return;
    const at = placeOf(waiting.change.collection, waiting.change.key);
    this.#untold.set(at, (this.#untold.get(at) ?? 0) + 1);
  }

  async #tell(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#nextBatch();
      const outcomes = await this.#options.tell(batch.map(({ change }) => change));
      if (outcomes === null || outcomes.length !== batch.length) {
        this.#unreachable();
        await this.#kept.wakeIn(AGAIN);
        return;
      }
      if (this.#away) this.#options.log('info', `the control plane is told what this node has to share`);
      this.#away = false;
      for (const [i, waiting] of batch.entries()) await this.#settle(waiting, outcomes[i] ?? { outcome: 'later' });
      const later = outcomes.some(({ outcome }) => outcome === 'later');
      await new Promise((resolve) => setTimeout(resolve, later ? PATIENCE : PAUSE));
    }
    this.#full = false;
  }

  /** The first of the queue that fit into one message; writes whose time is over are told as what they are now: nothing. */
  #nextBatch(): readonly Waiting[] {
    const batch: Waiting[] = [];
    let characters = 0;
    for (const waiting of this.#queue.slice(0, MOST_CHANGES)) {
      characters += JSON.stringify(waiting.change).length;
      if (batch.length > 0 && characters > MESSAGE) break;
      batch.push(waiting);
    }
    return batch;
  }

  async #settle(waiting: Waiting, outcome: RecordOutcome): Promise<void> {
    const { change, place, settle } = waiting;
    settle(outcome);
    if (outcome.outcome === 'later' && place !== null) return;
    const queued = this.#queue.indexOf(waiting);
    if (queued >= 0) this.#queue.splice(queued, 1);
    if (place === null) return;
    const at = placeOf(change.collection, change.key);
    const left = (this.#untold.get(at) ?? 1) - 1;
    if (left === 0) this.#untold.delete(at);
    else this.#untold.set(at, left);
    await this.#options.storage.delete(place);
    if (outcome.outcome === 'refused') await this.#refused(at, change, outcome.reason ?? 'for no reason');
    // Somebody else was first.
    else if (change.does === 'add' && outcome.found && left === 0) await this.#kept.keep(at, outcome.found);
  }

  async #refused(at: string, { collection }: RecordChange, reason: string): Promise<void> {
    this.#options.log(
      'warn',
      `the control plane does not take a record of ${collection}, which stays on this node: ${reason}`,
    );
    await this.#kept.keepOwn(at);
  }

  #unreachable(): void {
    const questions = this.#queue.filter(({ place }) => place === null);
    const told = this.#queue.filter(({ place }) => place !== null);
    this.#queue.splice(0, this.#queue.length, ...told);
    for (const { settle } of [...questions, ...told]) settle(null);
    if (!this.#away && told.length > 0) {
      this.#options.log(
        'warn',
        'the control plane cannot be told what this node has to share: until it is back, this node alone knows',
      );
      this.#away = true;
    }
  }
}

function patience(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), PATIENCE));
}

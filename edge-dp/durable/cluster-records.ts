import {
  LARGEST_RECORD,
  MOST_CHANGES,
  type RecordChange,
  type RecordOutcome,
  type RecordPage,
  type RecordPosition,
  type RecordWrite,
} from '../../shared/cluster/records.ts';
import type { RecordAnswer, RecordQuestion } from './state-messages.ts';

/** A record as this node has it. */
interface Kept {
  readonly value: unknown;
  /** Milliseconds since the epoch; null: no end. */
  readonly until: number | null;
  /** In which round through all records it was told of last. */
  readonly round: number;
  /** The control plane did not take it: nobody else has it. */
  readonly own?: true;
}

/** How far the node knows what the control plane has. */
interface Known {
  readonly position: RecordPosition;
  readonly round: number;
  /** Once this round is through, what was not in it is gone. */
  readonly sweeping: boolean;
}

/** Something the control plane is to hear, in order. */
interface Waiting {
  readonly change: RecordChange;
  /** Where it stands on disk; null: a question, which nobody asks again. */
  readonly place: string | null;
  readonly settle: (outcome: RecordOutcome | null) => void;
}

interface ClusterRecordsOptions {
  readonly storage: DurableObjectStorage;
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
/** Milliseconds between two looks for records whose time is over. */
const SWEEP = 10 * 60_000;
/** Keys in one call of the storage. */
const AT_ONCE = 128;
/** Records nobody here knows that the control plane is asked for: so many at once, and so many each second. */
const LOOKS = { burst: 100, each: 20 };

const RECORD = 'record/';
const UNTOLD = 'untold/';

/**
 * Records that all data planes share, as this node keeps them: what is written here counts here at once, is told to the control
 * plane, and comes to every other node from there. What may be used or exist once is decided by the control plane, and by this
 * node alone while that is away.
 */
export class ClusterRecords {
  readonly #options: ClusterRecordsOptions;
  readonly #queue: Waiting[] = [];
  /** How many changes of a record wait, by its place on disk. */
  readonly #untold = new Map<string, number>();
  #loaded: Promise<void> | null = null;
  #number = 0;
  #telling = false;
  #away = false;
  #full = false;
  #looks = { left: LOOKS.burst, at: Date.now() };

  constructor(options: ClusterRecordsOptions) {
    this.#options = options;
  }

  /** Throws a `TypeError` for what cannot be kept. */
  async answer(collection: string, question: RecordQuestion): Promise<RecordAnswer> {
    await this.#load();
    const { key } = question;
    const at = placeOf(collection, key);
    switch (question.does) {
      case 'get':
        return { value: await this.#get(at, collection, key) };
      case 'take':
        return { value: await this.#take(at, collection, key) };
      case 'delete':
        await this.#options.storage.delete(at);
        await this.#write({ does: 'delete', collection, key }, at);
        return {};
      case 'put': {
        const write = writeOf(collection, question);
        await this.#keep(at, { value: question.value, until: write.until });
        await this.#write(write, at);
        return {};
      }
      case 'add':
        return { added: await this.#add(at, writeOf(collection, question), question.value) };
    }
  }

  async position(): Promise<RecordPosition | null> {
    return (await this.#known())?.position ?? null;
  }

  /** Changes that wait for the control plane. */
  async untold(): Promise<number> {
    await this.#load();
    return [...this.#untold.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The control plane can be told. */
  async linked(): Promise<void> {
    await this.#load();
    this.#tellSoon();
  }

  /** Takes over what others did. Gives how far it knows everything now. */
  async news({ after, position, records, more }: RecordPage): Promise<RecordPosition | null> {
    await this.#load();
    const { storage } = this.#options;
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
      // What waits here comes after it.
      if (this.#untold.has(at)) continue;
      if (value === null) gone.push(at);
      else kept.set(at, { value, until, round });
    }
    for (const part of parts([...kept])) await storage.put(Object.fromEntries(part));
    for (const part of parts(gone)) await storage.delete([...part]);
    if (sweeping && !more) await this.#forgetBefore(round);
    await storage.put({ known: { position, round, sweeping: sweeping && more } satisfies Known });
    await this.#wakeIn(SWEEP);
    return position;
  }

  /** Whether this storage is that of shared records. */
  async isHere(): Promise<boolean> {
    return (await this.#options.storage.get('shared')) === true || (await this.#known()) !== null;
  }

  async alarm(now: number): Promise<void> {
    await this.#load();
    if (this.#untold.size > 0) {
      this.#tellSoon();
      await this.#options.storage.setAlarm(now + AGAIN);
    }
    const { storage } = this.#options;
    const due = ((await storage.get<number>('swept')) ?? 0) + SWEEP;
    if (due <= now) {
      await this.#forget(({ until }) => until !== null && until <= now);
      await storage.put('swept', now);
    }
    await this.#wakeIn(SWEEP);
  }

  async #get(at: string, collection: string, key: string): Promise<unknown> {
    const kept = await this.#living(at);
    if (kept !== null) return kept.value;
    if (!this.#options.linked || this.#untold.has(at) || !this.#mayLook()) return null;
    const found = (await this.#ask({ does: 'get', collection, key }))?.found ?? null;
    // It may have been written here meanwhile.
    const now = await this.#living(at);
    if (now !== null || found === null || this.#untold.has(at)) return now?.value ?? null;
    await this.#keep(at, found);
    return found.value;
  }

  async #take(at: string, collection: string, key: string): Promise<unknown> {
    const outcome = this.#options.linked ? await this.#ask({ does: 'take', collection, key }) : null;
    const kept = await this.#living(at);
    await this.#options.storage.delete(at);
    if (outcome === null) {
      if (kept !== null) await this.#write({ does: 'delete', collection, key }, at);
      return kept?.value ?? null;
    }
    if (outcome.found) return outcome.found.value;
    return kept?.own === true ? kept.value : null;
  }

  async #add(at: string, write: RecordWrite, value: unknown): Promise<boolean> {
    if ((await this.#living(at)) !== null) return false;
    const outcome = this.#options.linked ? await this.#ask(write) : null;
    if ((await this.#living(at)) !== null) return false;
    const found = outcome?.found ?? null;
    await this.#keep(at, found ?? { value, until: write.until }, outcome?.outcome === 'refused');
    if (outcome === null) await this.#write(write, at);
    return found === null;
  }

  async #living(at: string): Promise<Kept | null> {
    const kept = await this.#options.storage.get<Kept>(at);
    return kept === undefined || (kept.until !== null && kept.until <= Date.now()) ? null : kept;
  }

  async #keep(at: string, { value, until }: Pick<Kept, 'value' | 'until'>, own = false): Promise<void> {
    const round = (await this.#known())?.round ?? 0;
    await this.#options.storage.put({ [at]: { value, until, round, ...(own && { own }) }, shared: true });
    await this.#wakeIn(SWEEP);
  }

  async #known(): Promise<Known | null> {
    return (await this.#options.storage.get<Known>('known')) ?? null;
  }

  // What the control plane is to hear.

  /** What was not told when the node was stopped. */
  #load(): Promise<void> {
    this.#loaded ??= (async () => {
      const untold = await this.#options.storage.list<RecordChange>({ prefix: UNTOLD, limit: MOST_UNTOLD });
      for (const [place, change] of untold) {
        this.#number = Math.max(this.#number, Number(place.slice(UNTOLD.length)) + 1);
        this.#enqueue({ change, place, settle: () => undefined });
      }
    })();
    return this.#loaded;
  }

  #enqueue(waiting: Waiting): void {
    this.#queue.push(waiting);
    if (waiting.place === null) return;
    const at = placeOf(waiting.change.collection, waiting.change.key);
    this.#untold.set(at, (this.#untold.get(at) ?? 0) + 1);
  }

  /** Has the control plane told, and waits for it a while. */
  async #write(change: RecordChange, at: string): Promise<void> {
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
      const kept = await this.#living(at);
      if (kept !== null) await this.#keep(at, kept, true);
      return;
    }
    const place = `${UNTOLD}${String(this.#number++).padStart(16, '0')}`;
    const told = new Promise<unknown>((settle) => this.#enqueue({ change, place, settle }));
    await storage.put({ [place]: change, shared: true });
    this.#tellSoon();
    await Promise.race([told, patience()]);
  }

  /** Null: the control plane does not answer. */
  async #ask(change: RecordChange): Promise<RecordOutcome | null> {
    if (this.#away && this.#telling) return null;
    const { promise, resolve } = Promise.withResolvers<RecordOutcome | null>();
    const waiting: Waiting = { change, place: null, settle: resolve };
    this.#enqueue(waiting);
    this.#tellSoon();
    const outcome = await Promise.race([promise, patience()]);
    // What nobody waits for any more must not be done.
    const left = this.#queue.indexOf(waiting);
    if (left >= 0) this.#queue.splice(left, 1);
    return outcome === undefined || outcome?.outcome === 'later' ? null : outcome;
  }

  #tellSoon(): void {
    if (this.#telling || this.#queue.length === 0) return;
    this.#telling = true;
    const told = this.#tell().finally(() => {
      this.#telling = false;
    });
    this.#options.waitUntil(told);
  }

  async #tell(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#nextBatch();
      const outcomes = await this.#options.tell(batch.map(({ change }) => change));
      if (outcomes === null || outcomes.length !== batch.length) {
        this.#unreachable();
        await this.#wakeIn(AGAIN);
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
    else if (change.does === 'add' && outcome.found && left === 0) await this.#keep(at, outcome.found);
  }

  async #refused(at: string, { collection }: RecordChange, reason: string): Promise<void> {
    this.#options.log(
      'warn',
      `the control plane does not take a record of ${collection}, which stays on this node: ${reason}`,
    );
    const kept = await this.#living(at);
    if (kept !== null) await this.#keep(at, kept, true);
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

  /** Whether one more unknown record may be asked for: who makes up keys must not make the control plane look for all of them. */
  #mayLook(): boolean {
    const now = Date.now();
    const since = Math.max(0, now - this.#looks.at) / 1000;
    const left = Math.min(LOOKS.burst, this.#looks.left + since * LOOKS.each);
    this.#looks = { left: left < 1 ? left : left - 1, at: now };
    return left >= 1;
  }

  // What is over.

  async #forgetBefore(round: number): Promise<void> {
    await this.#forget((kept, at) => kept.round !== round && kept.own !== true && !this.#untold.has(at));
  }

  async #forget(isGone: (kept: Kept, at: string) => boolean): Promise<void> {
    const { storage } = this.#options;
    let startAfter: string | undefined;
    for (;;) {
      const page: Map<string, Kept> = await storage.list({
        prefix: RECORD,
        limit: 500,
        ...(startAfter !== undefined && { startAfter }),
      });
      const gone = [...page].filter(([at, kept]) => isGone(kept, at)).map(([at]) => at);
      for (const part of parts(gone)) await storage.delete([...part]);
      startAfter = [...page.keys()].at(-1);
      if (startAfter === undefined || page.size < 500) return;
    }
  }

  async #wakeIn(milliseconds: number): Promise<void> {
    const { storage } = this.#options;
    const due = Date.now() + milliseconds;
    const set = await storage.getAlarm();
    if (set === null || set > due) await storage.setAlarm(due);
  }
}

function placeOf(collection: string, key: string): string {
  return `${RECORD}${collection}/${key}`;
}

function writeOf(
  collection: string,
  { does, key, value, ttl, secrets }: Extract<RecordQuestion, { readonly does: 'put' | 'add' }>,
): RecordWrite {
  const whole = secrets === undefined ? value : { ...Object(value), ...secrets };
  const text = JSON.stringify(whole);
  if (text === undefined || whole === null) throw new TypeError('a record has a value');
  if (text.length > LARGEST_RECORD) {
    throw new TypeError(`a record of ${text.length} characters, at most ${LARGEST_RECORD} are kept`);
  }
  return { does, collection, key, value: whole, until: ttl === 0 ? null : Math.round(Date.now() + ttl * 1000) };
}

function patience(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), PATIENCE));
}

function* parts<T>(all: readonly T[]): Iterable<readonly T[]> {
  for (let start = 0; start < all.length; start += AT_ONCE) yield all.slice(start, start + AT_ONCE);
}

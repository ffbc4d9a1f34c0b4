import {
  LARGEST_RECORD,
  type RecordPage,
  type RecordPosition,
  type RecordWrite,
} from '../../shared/cluster/records.ts';
import { ClusterRecordStore, placeOf } from './cluster-record-store.ts';
import { InTurn } from './in-turn.ts';
import { RecordOutbox, type RecordOutboxOptions } from './record-outbox.ts';
import type { RecordAnswer, RecordQuestion } from './state-messages.ts';

/** Milliseconds until a control plane that was away is tried again, should nobody say that it is back. */
const AGAIN = 30_000;
/** Records nobody here knows that the control plane is asked for: so many at once, and so many each second. */
const LOOKS = { burst: 100, each: 20 };

/**
 * Records that all data planes share, as this node keeps them: what is written here counts here at once, is told to the control
 * plane, and comes to every other node from there. What may be used or exist once is decided by the control plane, and by this
 * node alone while that is away.
 */
export class ClusterRecords {
  readonly #options: RecordOutboxOptions;
  readonly #kept: ClusterRecordStore;
  readonly #outbox: RecordOutbox;
  /** What may be done once is looked at and done by one at a time: answers of the control plane, or none, come for many at once. */
  readonly #once = new InTurn();
  #looks = { left: LOOKS.burst, at: Date.now() };

  constructor(options: RecordOutboxOptions) {
    this.#options = options;
    this.#kept = new ClusterRecordStore(options.storage);
    this.#outbox = new RecordOutbox(options, this.#kept);
  }

  /** Throws a `TypeError` for what cannot be kept. */
  async answer(collection: string, question: RecordQuestion): Promise<RecordAnswer> {
    await this.#outbox.load();
    const { key } = question;
    const at = placeOf(collection, key);
    switch (question.does) {
      case 'get':
        return { value: await this.#get(at, collection, key) };
      case 'take':
        return { value: await this.#once.run(at, () => this.#take(at, collection, key)) };
      case 'delete':
        await this.#delete(at, collection, key);
        return {};
      case 'put': {
        const write = writeOf(collection, question);
        await this.#kept.keep(at, { value: question.value, until: write.until });
        await this.#outbox.write(write, at);
        return {};
      }
      case 'add':
        return { added: await this.#once.run(at, () => this.#add(at, writeOf(collection, question), question.value)) };
    }
  }

  position(): Promise<RecordPosition | null> {
    return this.#kept.position();
  }

  /** Changes that wait for the control plane. */
  async untold(): Promise<number> {
    await this.#outbox.load();
    return this.#outbox.size;
  }

  /** The control plane can be told. */
  async linked(): Promise<void> {
    await this.#outbox.load();
    this.#outbox.tellSoon();
  }

  /** Takes over what others did. Gives how far it knows everything now. */
  async news(page: RecordPage): Promise<RecordPosition | null> {
    await this.#outbox.load();
    return await this.#kept.takeOver(page, (at) => this.#outbox.has(at));
  }

  /** Whether this storage is that of shared records. */
  isHere(): Promise<boolean> {
    return this.#kept.isHere();
  }

  async alarm(now: number): Promise<void> {
    await this.#outbox.load();
    if (this.#outbox.size > 0) {
      this.#outbox.tellSoon();
      await this.#options.storage.setAlarm(now + AGAIN);
    }
    await this.#kept.sweep(now);
  }

  async #get(at: string, collection: string, key: string): Promise<unknown> {
    const kept = await this.#kept.living(at);
    if (kept !== null) return kept.value;
    if (!this.#options.linked || this.#outbox.has(at) || !this.#mayLook()) return null;
    const ask = async () => (await this.#outbox.ask({ does: 'get', collection, key }))?.found ?? null;
    const found = await this.#kept.found(at, ask);
    // It may have been written, or deleted, here meanwhile.
    const now = await this.#kept.living(at);
    if (now !== null || found === null || this.#outbox.has(at)) return now?.value ?? null;
    return found.value;
  }

  async #take(at: string, collection: string, key: string): Promise<unknown> {
    const outcome = this.#options.linked ? await this.#outbox.ask({ does: 'take', collection, key }) : null;
    const kept = await this.#kept.living(at);
    if (outcome === null) {
      if (kept !== null) await this.#delete(at, collection, key);
      return kept?.value ?? null;
    }
    await this.#kept.delete(at);
    if (outcome.found) return outcome.found.value;
    return kept?.own === true ? kept.value : null;
  }

  /** Both at once: who looks it up in between would find it at the control plane. */
  async #delete(at: string, collection: string, key: string): Promise<void> {
    await Promise.all([this.#kept.delete(at), this.#outbox.write({ does: 'delete', collection, key }, at)]);
  }

  async #add(at: string, write: RecordWrite, value: unknown): Promise<boolean> {
    if ((await this.#kept.living(at)) !== null) return false;
    const outcome = this.#options.linked ? await this.#outbox.ask(write) : null;
    if ((await this.#kept.living(at)) !== null) return false;
    const found = outcome?.found ?? null;
    await this.#kept.keep(at, found ?? { value, until: write.until }, outcome?.outcome === 'refused');
    if (outcome === null) await this.#outbox.write(write, at);
    return found === null;
  }

  /** Whether one more unknown record may be asked for: who makes up keys must not make the control plane look for all of them. */
  #mayLook(): boolean {
    const now = Date.now();
    const since = Math.max(0, now - this.#looks.at) / 1000;
    const left = Math.min(LOOKS.burst, this.#looks.left + since * LOOKS.each);
    this.#looks = { left: left < 1 ? left : left - 1, at: now };
    return left >= 1;
  }
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

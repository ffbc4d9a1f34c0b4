import type { FromDataPlane, RecordsDone, RecordsKnown, RecordsNews } from '../../shared/cluster/messages.ts';
import {
  parseRecordPosition,
  type RecordChange,
  type RecordOutcome,
  type RecordPage,
  type RecordPosition,
} from '../../shared/cluster/records.ts';
import { mustBeRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { SHARED_PATH, type SharedQuestion } from './state-messages.ts';

interface RecordsLinkOptions {
  /** The node's keeper of what all data planes share; null: it has none. */
  readonly keeper: Pick<DurableObjectStub, 'fetch'> | null;
  readonly send: (message: FromDataPlane) => void;
  readonly connected: () => boolean;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly warn: (message: string) => void;
}

/** Milliseconds the control plane has for an answer. */
const PATIENCE = 900;

/** What goes over the link between the keeper of shared records and a control plane. */
export class RecordsLink {
  readonly #options: RecordsLinkOptions;
  readonly #asked = new Map<string, (outcomes: readonly RecordOutcome[] | null) => void>();
  /** The control plane at the other end knows of records, and answered lately. */
  #answers = false;
  #taken: Promise<void> = Promise.resolve();

  constructor(options: RecordsLinkOptions) {
    this.#options = options;
  }

  /** What is said after the hello; nothing by a node that keeps no records. */
  async greeting(): Promise<readonly RecordsKnown[]> {
    this.#answers = false;
    for (const settle of this.#asked.values()) settle(null);
    if (this.#options.keeper === null) return [];
    try {
      return [{ type: 'records_known', position: await this.#ask({ ask: 'position' }) }];
    } catch (error) {
      this.#options.warn(`shared records: ${messageOf(error)}`);
      return [];
    }
  }

  /** Null: there is no control plane that answers. */
  async tell(changes: readonly RecordChange[]): Promise<readonly RecordOutcome[] | null> {
    if (!this.#answers || !this.#options.connected()) return null;
    const id = crypto.randomUUID();
    const { promise, resolve } = Promise.withResolvers<readonly RecordOutcome[] | null>();
    this.#asked.set(id, resolve);
    const late = setTimeout(() => {
      // Until it says something, nobody waits for it again.
      this.#answers = false;
      resolve(null);
    }, PATIENCE);
    this.#options.send({ type: 'records', id, changes });
    const outcomes = await promise;
    clearTimeout(late);
    this.#asked.delete(id);
    return outcomes;
  }

  done({ id, outcomes }: RecordsDone): void {
    this.#answering();
    this.#asked.get(id)?.(outcomes);
  }

  /** Pages are taken over one after the other. */
  news({ page }: RecordsNews): void {
    this.#taken = this.#taken.then(() => this.#take(page));
    this.#options.waitUntil(this.#taken);
  }

  async #take(page: RecordPage): Promise<void> {
    try {
      const position = await this.#ask({ ask: 'news', page });
      if (page.records.length > 0 || page.more) this.#options.send({ type: 'records_known', position });
    } catch (error) {
      this.#options.warn(`what other data planes share cannot be taken over: ${messageOf(error)}`);
    }
    this.#answering();
  }

  #answering(): void {
    if (this.#answers) return;
    this.#answers = true;
    const told = this.#ask({ ask: 'linked' });
    this.#options.waitUntil(told.catch((error: unknown) => this.#options.warn(`shared records: ${messageOf(error)}`)));
  }

  async #ask(question: SharedQuestion): Promise<RecordPosition | null> {
    const { keeper } = this.#options;
    if (keeper === null) return null;
    const answer = await keeper.fetch(`http://node${SHARED_PATH}`, { method: 'POST', body: JSON.stringify(question) });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
    const { position } = mustBeRecord(JSON.parse(text), 'the answer');
    return position === null || position === undefined ? null : parseRecordPosition(position, 'position');
  }
}

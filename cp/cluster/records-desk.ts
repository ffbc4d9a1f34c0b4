import type { Order, RecordsKnown, RecordsMessage } from '../../shared/cluster/messages.ts';
import type { RecordOutcome, RecordPage } from '../../shared/cluster/records.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { SharedRecords } from '../store/store.ts';
import type { ClusterLog } from './mtls-server.ts';
import { PerMinute } from './quotas.ts';
import type { NodeSession } from './session.ts';

/** Changes of one data plane in a minute; more have to wait. */
const CHANGES = 12_000;
/** Messages of one data plane that wait for the database: an honest one sends the next when the last was answered. */
const WAITING = 4;
/** Milliseconds in which changes gather before data planes are told. */
const GATHER = 50;

interface RecordsDeskOptions {
  readonly records: SharedRecords;
  readonly tell: (session: NodeSession, order: Order) => void;
  readonly connected: (session: NodeSession) => boolean;
  readonly log: ClusterLog;
}

/**
 * Takes in what data planes do with shared records, and tells them what others did. What one says of them is taken for no
 * more than any data plane may say, within bounds of its own: see `cp/store/shared-records.ts`.
 */
export class RecordsDesk {
  readonly #options: RecordsDeskOptions;
  readonly #changes = new PerMinute(CHANGES);
  /** Those who know everything and wait for more, by how far they are. */
  readonly #waiting = new Map<NodeSession, RecordsKnown['position']>();
  readonly #busy = new Map<NodeSession, number>();
  readonly #done = new WeakMap<NodeSession, Promise<void>>();
  readonly #greeted = new WeakSet<NodeSession>();
  readonly #unsubscribe: () => void;
  #gathering: NodeJS.Timeout | null = null;
  /** Changes heard of. */
  #heard = 0;
  #complaint = '';

  constructor(options: RecordsDeskOptions) {
    this.#options = options;
    this.#unsubscribe = options.records.subscribe(() => {
      this.#heard++;
      this.#tellSoon();
    });
  }

  /** Messages that wait for the database, or are before it. */
  get waiting(): number {
    return [...this.#busy.values()].reduce((sum, one) => sum + one, 0);
  }

  stop(): void {
    this.#unsubscribe();
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    this.#waiting.clear();
  }

  /** Never throws. What one data plane says is looked at in its order. */
  receive(session: NodeSession, message: RecordsMessage | RecordsKnown): void {
    const waiting = this.#busy.get(session) ?? 0;
    if (waiting >= WAITING) {
      if (message.type === 'records')
        this.#answer(
          session,
          message.id,
          message.changes.map(() => LATER),
        );
      return;
    }
    this.#busy.set(session, waiting + 1);
    const done = (this.#done.get(session) ?? Promise.resolve()).then(async () => {
      if (message.type === 'records') await this.#apply(session, message);
      else await this.#news(session, message.position);
      const left = (this.#busy.get(session) ?? 1) - 1;
      if (left === 0) this.#busy.delete(session);
      else this.#busy.set(session, left);
    });
    this.#done.set(session, done);
  }

  async #apply(session: NodeSession, { id, changes }: RecordsMessage): Promise<void> {
    const { records } = this.#options;
    if (!this.#changes.take(session.node.id, changes.length)) {
      this.#answer(
        session,
        id,
        changes.map(() => LATER),
      );
      return;
    }
    try {
      this.#answer(session, id, await records.apply(session.node.id, changes));
      this.#complaint = '';
    } catch (error) {
      this.#complain(error);
      this.#answer(session, id, null);
    }
  }

  #answer(session: NodeSession, id: string, outcomes: readonly RecordOutcome[] | null): void {
    this.#options.tell(session, { type: 'records_done', id, outcomes });
  }

  #tellSoon(): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = null;
      void this.#tellWaiting();
    }, GATHER);
  }

  async #news(session: NodeSession, position: RecordsKnown['position']): Promise<void> {
    const before = this.#heard;
    try {
      const page = await this.#options.records.after(position);
      const knowsAll = page.records.length === 0 && !page.more && page.after === position?.number;
      // The first answer, even an empty one, says that there is somebody here who knows of records.
      if (!knowsAll || !this.#greeted.has(session)) this.#options.tell(session, { type: 'records_news', page });
      this.#greeted.add(session);
      // Who is told of records says so when it has taken them over.
      if (page.records.length === 0 && !page.more) {
        this.#wait(session, page.position);
        // What came while this was read is not in it.
        if (this.#heard !== before) this.#tellSoon();
      }
      this.#complaint = '';
    } catch (error) {
      this.#complain(error);
      // Told once the database is back.
      this.#wait(session, position);
    }
  }

  #wait(session: NodeSession, position: RecordsKnown['position']): void {
    this.#waiting.set(session, position);
    if (this.#waiting.size % SWEPT_AT !== 0) return;
    for (const each of this.#waiting.keys()) if (!this.#options.connected(each)) this.#waiting.delete(each);
  }

  /** Data planes that know the same are told the same, which is read once. */
  async #tellWaiting(): Promise<void> {
    const pages = new Map<string, RecordPage>();
    for (const [session, position] of [...this.#waiting]) {
      if (!this.#options.connected(session)) {
        this.#waiting.delete(session);
        continue;
      }
      try {
        const known = `${position?.log} ${position?.number}`;
        const page = pages.get(known) ?? (await this.#options.records.after(position));
        pages.set(known, page);
        if (this.#waiting.get(session) !== position) continue;
        if (page.records.length === 0 && !page.more) {
          this.#waiting.set(session, page.position);
        } else {
          this.#waiting.delete(session);
          this.#options.tell(session, { type: 'records_news', page });
        }
      } catch (error) {
        this.#complain(error);
        return;
      }
    }
  }

  #complain(error: unknown): void {
    const detail = messageOf(error);
    if (detail !== this.#complaint) this.#options.log('error', `what data planes share cannot be kept: ${detail}`);
    this.#complaint = detail;
  }
}

const LATER: RecordOutcome = { outcome: 'later' };
/** So many that wait are looked through for those that are gone. */
const SWEPT_AT = 256;

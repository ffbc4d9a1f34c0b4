import type { CountsMessage, Order } from '../../shared/cluster/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { SharedCounts } from '../store/store.ts';
import type { ClusterLog } from './mtls-server.ts';
import { PerMinute } from './quotas.ts';
import type { NodeSession } from './session.ts';

/** Windows of one data plane in a minute: those of all its keepers each second. */
const COUNTS = 150_000;
/** Messages of one data plane that wait for the database: each of its keepers sends the next when the last was answered. */
const WAITING = 8;

interface CountsDeskOptions {
  readonly counts: SharedCounts;
  readonly tell: (session: NodeSession, order: Order) => void;
  readonly log: ClusterLog;
}

/** Takes in what data planes have counted, and tells each what the others have. */
export class CountsDesk {
  readonly #options: CountsDeskOptions;
  readonly #counts = new PerMinute(COUNTS);
  readonly #busy = new WeakMap<NodeSession, number>();
  #complaint = '';

  constructor(options: CountsDeskOptions) {
    this.#options = options;
  }

  /** Never throws. What is too much is answered with nothing: the data plane then counts by itself. */
  async receive(session: NodeSession, { id, ledger, counts }: CountsMessage): Promise<void> {
    const waiting = this.#busy.get(session) ?? 0;
    if (waiting >= WAITING || !this.#counts.take(session.node.id, counts.length)) {
      this.#answer(session, id, null);
      return;
    }
    this.#busy.set(session, waiting + 1);
    try {
      this.#answer(session, id, await this.#options.counts.compare({ node: session.node.id, ledger, counts }));
      this.#complaint = '';
    } catch (error) {
      this.#complain(messageOf(error));
      this.#answer(session, id, null);
    } finally {
      this.#busy.set(session, (this.#busy.get(session) ?? 1) - 1);
    }
  }

  #answer(session: NodeSession, id: string, others: readonly number[] | null): void {
    this.#options.tell(session, { type: 'counted', id, others });
  }

  #complain(detail: string): void {
    if (detail !== this.#complaint) this.#options.log('error', `what data planes count cannot be compared: ${detail}`);
    this.#complaint = detail;
  }
}

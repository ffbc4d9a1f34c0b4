import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Order } from '../../shared/cluster/messages.ts';
import { SESSION_HEADER } from '../../shared/cluster/node-proof.ts';
import type { Peer } from './admission.ts';
import { FLOODING, Flood } from './flood.ts';
import { TooMany } from './quotas.ts';
import type { NodeSession } from './session.ts';

/** Orders kept for a data plane between two of its questions. */
const LONGEST_QUEUE = 1000;

/** A data plane that polls. */
export class Poller {
  readonly session: NodeSession;
  /** Shown with everything it says; null for a data plane of an earlier version, which proves nothing. */
  readonly #token: string | null;
  readonly #flood: Flood;
  readonly #orders: Order[] = [];
  #question = 0;
  #wake: () => void = () => undefined;

  /** `before`: the same data plane, before it said hello again. */
  constructor(session: NodeSession, token: string | null, before: Poller | undefined) {
    this.session = session;
    this.#token = token;
    this.#flood = before === undefined ? new Flood() : before.#flood;
  }

  /** Whether it is the one that said hello who asks now. */
  asks(request: IncomingMessage, peer: Peer): boolean {
    const shown = String(request.headers[SESSION_HEADER] ?? '');
    return (
      (this.#token === null || sameText(this.#token, shown)) && peer.certificateKey === this.session.peer.certificateKey
    );
  }

  /** Counts something it said. Throws `TooMany`. */
  count(bytes: number): void {
    if (this.#flood.counts(bytes)) throw new TooMany(FLOODING);
  }

  tell(order: Order): void {
    if (this.#orders.length < LONGEST_QUEUE) this.#orders.push(order);
    this.#wake();
  }

  /** The next thing to be said besides the manifest. */
  nextOrder(): Order | undefined {
    return this.#orders.shift();
  }

  /** Begins a question, and ends the one that is open. Gives what tells whether it is the last one still. */
  begin(): () => boolean {
    const question = ++this.#question;
    this.#wake();
    return () => question === this.#question;
  }

  /** Has the open question looked at again. */
  wake(): void {
    this.#wake();
  }

  /** Resolves when there is something to say, the time is up, or the asker went away. */
  woken(milliseconds: number, response: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        response.off('close', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      response.once('close', done);
      this.#wake = done;
    });
  }
}

function sameText(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}

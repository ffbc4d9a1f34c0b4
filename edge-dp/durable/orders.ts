import type { PublicKeyJwk } from '../../shared/bundle/format.ts';
import type { Order } from '../../shared/cluster/messages.ts';
import { verifyOrder } from '../../shared/cluster/order.ts';
import { messageOf } from '../../shared/thrown.ts';
import { parseOrder } from './incoming.ts';

/** Orders that wait to be looked at; far more than anybody gives at a time. */
const MOST_WAITING = 1_000;
/** Ways of being wrong that are told of one connection. */
const MOST_FAULTS = 20;

/** Whose signature counts now. */
interface Trust {
  readonly trustedKeys: readonly PublicKeyJwk[];
  /** Null: not known yet. */
  readonly cluster: string | null;
}

interface OrdersOptions {
  readonly node: string;
  readonly trust: () => Promise<Trust>;
  readonly obey: (order: Order) => void;
  readonly warn: (message: string) => void;
  /** One more was refused; most are not told. */
  readonly refused: () => void;
}

/**
 * The orders that come over one connection. Only what the bundle signing key has signed, for this node and this
 * connection, not long ago and not before, is obeyed, one after the other; anything else is refused, and told once for
 * each way in which it is wrong.
 */
export class Orders {
  /** For the hello: orders for this connection name it. */
  readonly nonce = crypto.randomUUID();
  readonly #options: OrdersOptions;
  readonly #told = new Set<string>();
  #counter = 0;
  #waiting = 0;
  #looked: Promise<void> = Promise.resolve();

  constructor(options: OrdersOptions) {
    this.#options = options;
  }

  /** An order that nobody signed. */
  unsigned(type: Order['type']): void {
    this.#refuse('unsigned', `an order (${type}) that is not signed`);
  }

  /** Resolves when all that came so far were obeyed or refused. Never throws. */
  settled(): Promise<void> {
    return this.#looked;
  }

  /** Resolves when it was obeyed or refused. Never throws. */
  receive(jws: string): Promise<void> {
    if (this.#waiting >= MOST_WAITING) {
      this.#refuse('flood', `an order, since ${MOST_WAITING} others wait to be looked at`);
      return this.#looked;
    }
    this.#waiting++;
    this.#looked = this.#looked.then(async () => {
      await this.#look(jws);
      this.#waiting--;
    });
    return this.#looked;
  }

  async #look(jws: string): Promise<void> {
    const { node, trust, obey } = this.#options;
    try {
      const now = Math.floor(Date.now() / 1000);
      const expected = { ...(await trust()), node, nonce: this.nonce, counter: this.#counter, now };
      const { counter, order } = await verifyOrder(jws, expected);
      const known = parseOrder(order);
      this.#counter = counter;
      if (known !== null) obey(known);
    } catch (error) {
      const message = messageOf(error);
      // The same fault with other numbers is the same fault.
      this.#refuse(message.replaceAll(/[\w-]*\d[\w-]*/g, ''), message);
    }
  }

  #refuse(fault: string, message: string): void {
    this.#options.refused();
    if (this.#told.has(fault) || this.#told.size >= MOST_FAULTS) return;
    this.#told.add(fault);
    this.#options.warn(
      `refused an order of the control plane: ${message}. Only what the bundle signing key has signed changes what this node does`,
    );
  }
}

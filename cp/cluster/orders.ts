import type { Order } from '../../shared/cluster/messages.ts';
import { signOrder } from '../../shared/cluster/order.ts';
import type { Publisher } from '../publisher/publisher.ts';

type OrderSigner = Pick<Publisher, 'signingKey' | 'statements'>;

/** Puts the orders to one data plane, on one connection, into messages: one after the other, in the order they were given. */
export class Orders {
  readonly #publisher: OrderSigner;
  readonly #node: string;
  /** Null: a data plane of an earlier version, which gets them unsigned. */
  readonly #nonce: string | null;
  /** Of the last order to anybody. Not from 1: should a node say the same hello twice, what follows is still new to it. */
  static #counter = 0;
  #signed: Promise<unknown> = Promise.resolve();
  /** Statements about keys that went with an order on this connection. */
  #told = 0;

  constructor(publisher: OrderSigner, node: string, nonce: string | null) {
    this.#publisher = publisher;
    this.#node = node;
    this.#nonce = nonce;
  }

  /** The text of the message. Those of earlier calls are there before it. */
  message(order: Order): Promise<string> {
    const signed = this.#signed.then(() => this.#write(order));
    this.#signed = signed.catch(() => undefined);
    return signed;
  }

  async #write(order: Order): Promise<string> {
    if (this.#nonce === null) return JSON.stringify(order);
    const key = this.#publisher.signingKey();
    Orders.#counter = Math.max(Orders.#counter + 1, Date.now());
    const issued = {
      cluster: key.cluster,
      node: this.#node,
      nonce: this.#nonce,
      counter: Orders.#counter,
      issued_at: Math.floor(Date.now() / 1000),
      order,
    };
    const keys = this.#publisher.statements();
    const signed = await signOrder(issued, key);
    const news = keys.length > this.#told ? { keys } : {};
    this.#told = keys.length;
    return JSON.stringify({ type: 'order', order: signed, ...news });
  }
}

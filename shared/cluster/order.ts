import { utf8 } from '../bundle/canonical.ts';
import type { PublicKeyJwk } from '../bundle/format.ts';
import { integer, json, object, ShapeError, string } from '../bundle/shape.ts';
import { sign, verifySignature } from '../bundle/signature.ts';
import type { SigningKey } from '../bundle/signing.ts';
import type { Row } from '../record.ts';
import type { Order } from './messages.ts';

/** The `typ` of a signed order (RFC 7515, 4.1.9): no manifest passes for one. */
const ORDER_TYPE = 'holdfast-order+jws';

/** Characters of a signed order. */
export const LARGEST_ORDER = 256 << 10;

/** Seconds an order is good for, and as many that the clocks of both planes may differ. */
const LIFETIME = 300;

/** Whom an order is for: one connection of one data plane. */
export interface OrderFor {
  readonly cluster: string;
  readonly node: string;
  /** From the node's hello, made for this connection: an order recorded on another one is worth nothing. */
  readonly nonce: string;
}

/**
 * What is signed with the bundle signing key, as a compact JWS. The counter grows with every order of a connection, so
 * that none is obeyed twice or after a later one; the time of issue (Unix seconds) keeps one from being held back.
 */
interface OrderEnvelope extends OrderFor {
  readonly counter: number;
  readonly issued_at: number;
  readonly order: Order;
}

/** Signs an order. */
export function signOrder(envelope: OrderEnvelope, key: SigningKey): Promise<string> {
  return sign(utf8(JSON.stringify(envelope)), ORDER_TYPE, key);
}

interface Expected extends Omit<OrderFor, 'cluster'> {
  readonly trustedKeys: readonly PublicKeyJwk[];
  /** Null: not known yet, so the signature alone counts. */
  readonly cluster: string | null;
  /** Of the last order that was obeyed on this connection; 0 before the first. */
  readonly counter: number;
  /** Unix seconds. */
  readonly now: number;
}

/** The order of a JWS, to be read further, with its counter. Throws an error that says why it must not be obeyed. */
export async function verifyOrder(
  jws: string,
  expected: Expected,
): Promise<{ readonly counter: number; readonly order: Readonly<Row> }> {
  if (jws.length > LARGEST_ORDER) {
    throw new ShapeError(`order: ${jws.length} bytes, more than the allowed ${LARGEST_ORDER}`);
  }
  const payload = await verifySignature(jws, expected.trustedKeys, { type: ORDER_TYPE, what: 'order' });
  const read = object(json(new TextDecoder().decode(payload), 'order'), 'order');
  const cluster = string(read.cluster, 'order.cluster');
  if (expected.cluster !== null && cluster !== expected.cluster) {
    throw new ShapeError(`order: of cluster ${cluster}, but this node belongs to cluster ${expected.cluster}`);
  }
  const node = string(read.node, 'order.node');
  if (node !== expected.node) throw new ShapeError(`order: for node ${node}, but this node is ${expected.node}`);
  if (string(read.nonce, 'order.nonce') !== expected.nonce) throw new ShapeError('order: for another connection');
  const counter = integer(read.counter, 'order.counter');
  if (counter <= expected.counter) {
    throw new ShapeError(`order: number ${counter}, but number ${expected.counter} was obeyed already`);
  }
  const age = expected.now - integer(read.issued_at, 'order.issued_at');
  if (Math.abs(age) > LIFETIME) {
    const when = age > 0 ? `${age} seconds ago` : `${-age} seconds from now`;
    throw new ShapeError(`order: issued ${when} by this node's clock, more than the allowed ${LIFETIME}`);
  }
  return { counter, order: object(read.order, 'order.order') };
}

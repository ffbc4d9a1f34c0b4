import { hkdfSync } from 'node:crypto';

/**
 * What sessions of TLS are sealed with: the same at the same time in all processes of the node, so that a session that was begun
 * with one goes on with another, and another key after a while (RFC 5077 section 5.5). Who has an older ticket shakes hands anew.
 */
export class TicketKeys {
  readonly #secret: Buffer;
  readonly #period: number;

  /** `secret`: base64. `period`: milliseconds a key is good for. */
  constructor(secret: string, period: number) {
    this.#secret = Buffer.from(secret, 'base64');
    this.#period = period;
  }

  /** Which key is in force. */
  get age(): number {
    return Math.floor(Date.now() / this.#period);
  }

  /** The 48 bytes that Node takes. */
  keysOf(age: number): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#secret, '', `holdfast session tickets ${age}`, 48));
  }
}

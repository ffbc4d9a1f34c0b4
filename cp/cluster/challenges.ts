import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** Milliseconds a data plane has for its hello. */
const LIFETIME = 60_000;

const HEAD_BYTES = 8 + 16;
const DIGEST_BYTES = 32;

/**
 * Challenges for hellos over HTTPS, each good once. What is given out is not kept, only what was used, so that asking for
 * many fills no memory: a challenge holds its time, and a digest shows that it was made here.
 */
export class Challenges {
  readonly #secret = randomBytes(32);
  /** When each that was used would have expired. */
  readonly #used = new Map<string, number>();

  issue(now = Date.now()): string {
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeBigUInt64BE(BigInt(now));
    randomBytes(16).copy(head, 8);
    return Buffer.concat([head, this.#digest(head)]).toString('base64url');
  }

  /** True the first time, for one of ours that is not too old. */
  redeem(challenge: string, now = Date.now()): boolean {
    const bytes = Buffer.from(challenge, 'base64url');
    if (bytes.length !== HEAD_BYTES + DIGEST_BYTES) return false;
    const head = bytes.subarray(0, HEAD_BYTES);
    if (!timingSafeEqual(this.#digest(head), bytes.subarray(HEAD_BYTES))) return false;
    const expires = Number(head.readBigUInt64BE()) + LIFETIME;
    // What is read back, not what was sent: one challenge has several spellings in base64url.
    const name = bytes.toString('base64url');
    if (expires <= now || this.#used.has(name)) return false;
    for (const [other, end] of this.#used) {
      if (end > now) break;
      this.#used.delete(other);
    }
    this.#used.set(name, expires);
    return true;
  }

  #digest(head: Buffer): Buffer {
    return createHmac('sha256', this.#secret).update(head).digest();
  }
}

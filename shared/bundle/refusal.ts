/** The one thing wrong with a bundle, as a word a program can act on. */
export type RefusalReason =
  | 'size'
  | 'format'
  | 'unknown_key'
  | 'revoked_key'
  | 'signature'
  | 'cluster'
  | 'group'
  | 'serial'
  | 'expired'
  | 'hash';

/**
 * A manifest or object that must not be used. `reason` is for programs, `message` for the operator: it names what was
 * refused, what was found and what was expected, and travels to the control plane in the `rejected` message.
 */
export class BundleRefused extends Error {
  override readonly name = 'BundleRefused';
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

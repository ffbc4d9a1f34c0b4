/** What an ACME server, or the way to it, has against an order; the message is for operators. */
export class AcmeError extends Error {
  override readonly name = 'AcmeError';
  /** The problem's type (RFC 8555 section 6.7); null where the server says none. */
  readonly type: string | null;
  /** The nonce that came with it. */
  readonly nonce: string | null;

  constructor(
    message: string,
    {
      type = null,
      nonce = null,
      ...options
    }: ErrorOptions & { readonly type?: string | null; readonly nonce?: string | null } = {},
  ) {
    super(message, options);
    this.type = type;
    this.nonce = nonce;
  }
}

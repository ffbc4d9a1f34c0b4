import { createPrivateKey } from 'node:crypto';
import type { ClientHello } from './client-hello.ts';

/** A certificate with its chain, and its key: PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Signature schemes that TLS 1.3 binds to a curve (RFC 8446 section 4.2.3). */
const SCHEME_OF_CURVE: Readonly<Record<string, number>> = { prime256v1: 0x0403, secp384r1: 0x0503, secp521r1: 0x0603 };
const EDWARDS: Readonly<Record<string, number>> = { ed25519: 0x0807, ed448: 0x0808 };
/** No scheme there is. */
const NONE = -1;

/** The scheme a client must know for a pair in TLS 1.3; null: RSA, which all know. Throws for a key that cannot be read. */
export function schemeOf({ key }: Pair): number | null {
  const { asymmetricKeyType = '', asymmetricKeyDetails } = createPrivateKey(key);
  if (asymmetricKeyType === 'ec') return SCHEME_OF_CURVE[asymmetricKeyDetails?.namedCurve ?? ''] ?? NONE;
  return EDWARDS[asymmetricKeyType] ?? null;
}

/** Of pairs by their schemes the one a client of TLS 1.3 is to be shown: RSA comes last, since it costs the most. */
export function choose<T extends { readonly scheme: number | null }>(
  { signatureSchemes }: ClientHello,
  pairs: readonly T[],
): T | undefined {
  const signed = pairs.find(({ scheme }) => scheme !== null && signatureSchemes.includes(scheme));
  return signed ?? pairs.find(({ scheme }) => scheme === null);
}

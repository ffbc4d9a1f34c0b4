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

/** The group that goes with a scheme of TLS 1.3; those of Edwards curves have none. */
const GROUP_OF_SCHEME: ReadonlyMap<number | null, number> = new Map([
  [0x0403, 23],
  [0x0503, 24],
  [0x0603, 25],
]);
/** ECDSA with SHA-2: in TLS 1.2 of whatever curve. */
const ECDSA_SCHEMES = [0x0403, 0x0503, 0x0603];

/**
 * As `choose`, for a client of TLS 1.2: `suites` are those of ECDSA that the listener takes. Undefined: none can be told to be right.
 */
export function chooseByTls12<T extends { readonly scheme: number | null }>(
  { cipherSuites, signatureSchemes, groups }: ClientHello,
  pairs: readonly T[],
  suites: ReadonlySet<number>,
): T | undefined {
  const speaks = cipherSuites.some((suite) => suites.has(suite));
  const takes = (scheme: number): boolean => {
    const group = GROUP_OF_SCHEME.get(scheme);
    if (group === undefined) return signatureSchemes.includes(scheme);
    return groups.includes(group) && signatureSchemes.some((known) => ECDSA_SCHEMES.includes(known));
  };
  const signed = speaks ? pairs.find(({ scheme }) => scheme !== null && takes(scheme)) : undefined;
  return signed ?? pairs.find(({ scheme }) => scheme === null);
}

/** The suites of ECDSA in a list of OpenSSL's; null: the list says more than names of suites, and only OpenSSL knows what. */
export function ecdsaSuitesOf(ciphers: string | null): ReadonlySet<number> | null {
  const names = ciphers === null ? [''] : ciphers.split(':');
  if (!names.every((name) => /^[A-Z0-9]+(?:-[A-Z0-9]+)+$/.test(name))) return null;
  return new Set(names.flatMap((name) => ECDSA_SUITES[name] ?? []));
}

const ECDSA_SUITES: Readonly<Record<string, number>> = {
  'ECDHE-ECDSA-AES128-SHA': 0xc009,
  'ECDHE-ECDSA-AES256-SHA': 0xc00a,
  'ECDHE-ECDSA-AES128-SHA256': 0xc023,
  'ECDHE-ECDSA-AES256-SHA384': 0xc024,
  'ECDHE-ECDSA-AES128-GCM-SHA256': 0xc02b,
  'ECDHE-ECDSA-AES256-GCM-SHA384': 0xc02c,
  'ECDHE-ECDSA-AES128-CCM': 0xc0ac,
  'ECDHE-ECDSA-AES256-CCM': 0xc0ad,
  'ECDHE-ECDSA-AES128-CCM8': 0xc0ae,
  'ECDHE-ECDSA-AES256-CCM8': 0xc0af,
  'ECDHE-ECDSA-CHACHA20-POLY1305': 0xcca9,
};

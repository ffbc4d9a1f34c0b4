import { CompactSign, compactVerify, decodeProtectedHeader, errors, importJWK } from 'jose';
import type { Bytes, PublicKeyJwk } from './format.ts';
import { BundleRefused } from './refusal.ts';
import type { SigningKey } from './signing.ts';

/** What a JWS is expected to be: its `typ` (RFC 7515, 4.1.9), and how errors name it. */
interface Kind {
  readonly type: string;
  readonly what: string;
}

/** A compact JWS (RFC 7515) of a payload: EdDSA (RFC 8037), its `typ`, the key named by `kid`. */
export async function sign(payload: Bytes, type: string, key: SigningKey): Promise<string> {
  return new CompactSign(payload)
    .setProtectedHeader({ alg: 'EdDSA', kid: key.publicKey.kid, typ: type })
    .sign(key.privateKey);
}

/** The payload of a compact JWS of this type that one of the keys has signed. Throws `BundleRefused`. */
export async function verifySignature(
  jws: string,
  trustedKeys: readonly PublicKeyJwk[],
  kind: Kind,
): Promise<Uint8Array> {
  const { what } = kind;
  const kid = readHeader(jws, kind);
  const trusted = trustedKeys.find((key) => key.kid === kid);
  if (trusted === undefined) {
    throw new BundleRefused(
      'unknown_key',
      `${what}: signed by key ${kid}, which is none of the trusted keys (${trustedKeys.map((key) => key.kid).join(', ')})`,
    );
  }
  try {
    const { payload } = await compactVerify(jws, await importJWK({ ...trusted }, 'EdDSA'), { algorithms: ['EdDSA'] });
    return payload;
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) {
      throw new BundleRefused('signature', `${what}: the signature does not verify under key ${kid}`);
    }
    if (error instanceof errors.JOSEError) throw new BundleRefused('format', `${what}: ${error.message}`);
    throw error;
  }
}

/** The `typ` that a JWS claims; null: it is none. */
export function typeOf(jws: string): string | null {
  const typ = headerOf(jws)?.typ;
  return typeof typ === 'string' ? typ : null;
}

/** The id of the key that a JWS claims to be signed by; null: it names none. */
export function signerOf(jws: string): string | null {
  const kid = headerOf(jws)?.kid;
  return typeof kid === 'string' ? kid : null;
}

function headerOf(jws: string): { readonly typ?: unknown; readonly kid?: unknown } | null {
  try {
    return decodeProtectedHeader(jws);
  } catch {
    return null;
  }
}

/** The id of the key that a JWS claims to be signed by. */
function readHeader(jws: string, { type, what }: Kind): string {
  const header = headerOf(jws);
  if (header === null) throw new BundleRefused('format', `${what}: not a compact JWS`);
  if (header.typ !== type) {
    const found = typeof header.typ === 'string' ? `'${header.typ.slice(0, 64)}'` : 'missing';
    throw new BundleRefused('format', `${what}: JWS type ${found}, expected '${type}'`);
  }
  if (typeof header.kid !== 'string') throw new BundleRefused('format', `${what}: the JWS header has no 'kid'`);
  return header.kid.slice(0, 128);
}

import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose';
import { messageOf } from '../thrown.ts';
import { UUID } from '../uuid.ts';
import { canonicalBytes } from './canonical.ts';
import type { Manifest, PublicKeyJwk } from './format.ts';
import { publicKey } from './public-key.ts';
import { json, object, ShapeError, stringLike } from './shape.ts';
import { sign } from './signature.ts';
import { trustedKeysFile } from './trusted-keys.ts';

export { parseTrustedKeys, type TrustedKeys, trustedKeysFile } from './trusted-keys.ts';

/** The `typ` of a signed manifest (RFC 7515, 4.1.9): nothing else this key signs can pass for one. */
export const MANIFEST_TYPE = 'holdfast-manifest+jws';

/** The control plane's private half. It never leaves that plane. */
export interface SigningKey {
  readonly cluster: string;
  readonly publicKey: PublicKeyJwk;
  readonly privateKey: CryptoKey;
}

/** Signs the canonical JSON of a manifest: a compact JWS, see `signature.ts`. */
export function signManifest(manifest: Manifest, key: SigningKey): Promise<string> {
  return sign(canonicalBytes(manifest), MANIFEST_TYPE, key);
}

/**
 * Makes a new signing key and the texts of its two files: `bundle-signing.key` for the control plane only, and
 * `bundle-keys.json` for data planes. Pass the `cluster` of an existing key to make its successor (rotation).
 */
export async function generateSigningKey(
  cluster: string = crypto.randomUUID(),
): Promise<{ key: SigningKey; privateFile: string; trustedFile: string }> {
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const jwk = await exportJWK(pair.privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  const shared = publicKey({ kty: jwk.kty, crv: jwk.crv, x: jwk.x, kid }, 'generated key');
  return {
    key: { cluster, publicKey: shared, privateKey: pair.privateKey },
    privateFile: `${JSON.stringify({ ...shared, d: jwk.d, cluster }, null, 2)}\n`,
    trustedFile: trustedKeysFile({ cluster, keys: [shared] }),
  };
}

/** Reads `bundle-signing.key`: a private JWK with `kid` (RFC 7638 thumbprint) and `cluster`. Throws `ShapeError`. */
export async function parseSigningKey(text: string): Promise<SigningKey> {
  const read = object(json(text, 'signing key'), 'signing key');
  const d = stringLike(read.d, 'signing key.d', /^[A-Za-z0-9_-]{43}$/, 'base64url of 32 bytes');
  const cluster = stringLike(read.cluster, 'signing key.cluster', UUID, 'a UUID');
  const shared = publicKey({ kty: read.kty, crv: read.crv, x: read.x, kid: read.kid }, 'signing key');
  const thumbprint = await calculateJwkThumbprint({ ...shared });
  if (shared.kid !== thumbprint) {
    throw new ShapeError(`signing key.kid: expected the key's thumbprint ${thumbprint}, found ${shared.kid}`);
  }
  const privateKey = await importPrivate({ ...shared, d });
  return { cluster, publicKey: shared, privateKey };
}

async function importPrivate(jwk: PublicKeyJwk & { readonly d: string }): Promise<CryptoKey> {
  let key: CryptoKey | Uint8Array;
  try {
    key = await importJWK({ ...jwk }, 'EdDSA');
  } catch (error) {
    const detail = messageOf(error);
    throw new ShapeError(`signing key: 'd' and 'x' are not an Ed25519 pair (${detail})`);
  }
  if (key instanceof Uint8Array) throw new ShapeError('signing key: not an Ed25519 key');
  return key;
}

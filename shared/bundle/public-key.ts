import type { PublicKeyJwk } from './format.ts';
import { oneOf, ShapeError, stringLike } from './shape.ts';

/** Reads a public Ed25519 JWK (RFC 8037). Other members of a key set's entries, such as `use`, are ignored. */
export function publicKey(value: unknown, where: string): PublicKeyJwk {
  const read = typeof value === 'object' && value !== null ? { ...value } : {};
  if ('d' in read) throw new ShapeError(`${where}: holds a private key; only public keys belong here`);
  const { kty, crv, x, kid } = { kty: undefined, crv: undefined, x: undefined, kid: undefined, ...read };
  oneOf(kty, `${where}.kty`, ['OKP']);
  oneOf(crv, `${where}.crv`, ['Ed25519']);
  return {
    kty: 'OKP',
    crv: 'Ed25519',
    x: stringLike(x, `${where}.x`, /^[A-Za-z0-9_-]{43}$/, 'base64url of 32 bytes'),
    kid: stringLike(kid, `${where}.kid`, /^.{1,128}$/, 'a key id'),
  };
}

import { UUID } from '../uuid.ts';
import type { PublicKeyJwk } from './format.ts';
import { publicKey } from './public-key.ts';
import { arrayOf, json, object, ShapeError, stringLike } from './shape.ts';

/** What a data plane pins: public keys and, where the file names it, the cluster they speak for. */
export interface TrustedKeys {
  readonly cluster: string | null;
  readonly keys: readonly PublicKeyJwk[];
}

/** The text of a trusted key file: a JWK Set (RFC 7517, 5) with the cluster's id beside it. */
export function trustedKeysFile(trusted: TrustedKeys): string {
  const members = trusted.cluster === null ? {} : { cluster: trusted.cluster };
  return `${JSON.stringify({ ...members, keys: trusted.keys }, null, 2)}\n`;
}

/** Reads `bundle-keys.json`. Throws `ShapeError`. */
export function parseTrustedKeys(text: string): TrustedKeys {
  const read = object(json(text, 'trusted keys'), 'trusted keys');
  const keys = arrayOf(read.keys, 'trusted keys.keys', publicKey);
  if (keys.length === 0) throw new ShapeError('trusted keys.keys: holds no key');
  const cluster = read.cluster === undefined ? null : stringLike(read.cluster, 'trusted keys.cluster', UUID, 'a UUID');
  return { cluster, keys };
}

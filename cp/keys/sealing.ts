import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { object, string } from '../../shared/bundle/shape.ts';
import type { KeyFile } from './key-file.ts';

/** A private key in the database: only who has the key it is sealed under can use it. Members are base64url. */
export interface Sealed {
  readonly [member: string]: string;
  /** `kid` of the key whose private half opens it. */
  readonly under: string;
  readonly iv: string;
  readonly data: string;
  readonly tag: string;
}

/** Seals the text of a key's file so that control planes which have `under` can read it. */
export function seal(text: string, kid: string, under: KeyFile): Sealed {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', secretOf(under), iv).setAAD(Buffer.from(kid));
  const data = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return {
    under: under.key.publicKey.kid,
    iv: iv.toString('base64url'),
    data: data.toString('base64url'),
    tag: cipher.getAuthTag().toString('base64url'),
  };
}

/** What is sealed; null when none of the keys opens it. Throws when it was altered. */
export function unseal(sealed: unknown, kid: string, keys: ReadonlyMap<string, KeyFile>): string | null {
  const read = object(sealed, 'sealed');
  const under = keys.get(string(read.under, 'sealed.under'));
  if (under === undefined) return null;
  const bytes = (member: string) => Buffer.from(string(read[member], `sealed.${member}`), 'base64url');
  const cipher = createDecipheriv('aes-256-gcm', secretOf(under), bytes('iv'));
  cipher.setAAD(Buffer.from(kid)).setAuthTag(bytes('tag'));
  return Buffer.concat([cipher.update(bytes('data')), cipher.final()]).toString('utf8');
}

/** Nothing that the key signs tells of it. */
function secretOf({ key, secret }: KeyFile): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, key.cluster, 'holdfast: the next signing key', 32));
}

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { object, string } from '../../shared/bundle/shape.ts';
import { parseSigningKey, type SigningKey } from '../../shared/bundle/signing.ts';
import { messageOf } from '../../shared/thrown.ts';
import { PkiError } from '../pki/error.ts';
import { writeOnce } from '../pki/write-once.ts';

/** A signing key with both halves, as its file has it. */
export interface KeyFile {
  readonly key: SigningKey;
  /** Of the private half. */
  readonly secret: Buffer;
  readonly text: string;
}

/** Where a key stands that came after the one of `bundle_signing_key`: beside that. */
export function fileOfKey(signingKeyFile: string, kid: string): string {
  return join(dirname(signingKeyFile), `bundle-signing.${kid}.key`);
}

/** Reads a key's file. Throws `PkiError`. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  try {
    return await parseKeyFile(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new PkiError(`bundle_signing_key: ${path}: ${messageOf(error)}`);
  }
}

/** Reads the text of such a file. Throws `ShapeError`. */
export async function parseKeyFile(text: string): Promise<KeyFile> {
  const key = await parseSigningKey(text);
  const { d } = object(JSON.parse(text), 'signing key');
  return { key, secret: Buffer.from(string(d, 'signing key.d'), 'base64url'), text };
}

/** The key of that id beside `bundle_signing_key`; null: there is none. Throws `PkiError`. */
export async function findKeyFile(signingKeyFile: string, kid: string): Promise<KeyFile | null> {
  const path = fileOfKey(signingKeyFile, kid);
  return existsSync(path) ? await readKeyFile(path) : null;
}

/** Puts a key beside `bundle_signing_key`, unless it is there. Throws `PkiError`. */
export function keepKeyFile(signingKeyFile: string, { key, text }: KeyFile): string {
  const path = fileOfKey(signingKeyFile, key.publicKey.kid);
  if (!existsSync(path)) writeOnce(path, text, 0o600);
  return path;
}

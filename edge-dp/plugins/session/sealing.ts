import type { CryptoKey } from 'jose';
import { utf8 } from '../../../shared/bundle/canonical.ts';
import { concatBytes } from '../../../shared/bytes.ts';

/** The form below; a text of another one is none. */
const VERSION = 1;
const SALT_BYTES = 16;
/** Of AES-256 and of its nonce. */
const KEY_BYTES = 32;
const NONCE_BYTES = 12;

/**
 * Texts that only holders of a secret can read or make: base64url of a version byte, a random salt, and AES-256-GCM. Key and nonce are
 * of that one text: HKDF-SHA-256 (RFC 5869) of the secret, with the salt. What a text is for is a part of its key, so that none can
 * stand in for another kind.
 */
export class Seal {
  readonly #secret: Uint8Array<ArrayBuffer>;
  /** Imported by the first request: nothing asynchronous is done where config is compiled. */
  #key: CryptoKey | null = null;

  constructor(secret: string) {
    this.#secret = utf8(secret);
  }

  async close(text: string, purpose: string): Promise<string> {
    const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
    const { key, iv } = await this.#keyOf(salt, purpose);
    const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, utf8(text));
    return toBase64Url(concatBytes([Uint8Array.of(VERSION), salt, new Uint8Array(sealed)]));
  }

  /** Null for what this secret did not seal for that purpose. */
  async open(sealed: string, purpose: string): Promise<string | null> {
    const bytes = fromBase64Url(sealed);
    if (bytes === null || bytes[0] !== VERSION) return null;
    const { key, iv } = await this.#keyOf(bytes.slice(1, 1 + SALT_BYTES), purpose);
    try {
      const text = await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, bytes.slice(1 + SALT_BYTES));
      return new TextDecoder().decode(text);
    } catch {
      return null;
    }
  }

  async #keyOf(
    salt: Uint8Array<ArrayBuffer>,
    purpose: string,
  ): Promise<{ key: CryptoKey; iv: Uint8Array<ArrayBuffer> }> {
    this.#key ??= await crypto.subtle.importKey('raw', this.#secret, 'HKDF', false, ['deriveBits']);
    const info = utf8(`holdfast session ${purpose}`);
    const algorithm = { name: 'HKDF', hash: 'SHA-256', salt, info };
    const derived = new Uint8Array(await crypto.subtle.deriveBits(algorithm, this.#key, (KEY_BYTES + NONCE_BYTES) * 8));
    const key = await crypto.subtle.importKey('raw', derived.slice(0, KEY_BYTES), 'AES-GCM', false, [
      'encrypt',
      'decrypt',
    ]);
    return { key, iv: derived.slice(KEY_BYTES) };
  }
}

export function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text) || text.length % 4 === 1) return null;
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

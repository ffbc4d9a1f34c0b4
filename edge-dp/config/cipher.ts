import { utf8 } from '../../shared/bundle/canonical.ts';
import type { Bytes } from '../../shared/bundle/format.ts';

/** Encryption of what rests in the cache. `key` is the cache key the bytes belong to: they open under no other. */
export interface CacheCipher {
  seal(key: string, bytes: Bytes): Promise<Bytes>;
  /** Throws for anything not sealed with this key for this place. */
  open(key: string, sealed: Bytes): Promise<Bytes>;
}

const IV_LENGTH = 12;

/** AES-256-GCM, a random 96-bit IV in front (NIST SP 800-38D), the cache key as additional data. `key` gives base64 of 32 bytes. */
export function cacheCipher(key: () => Promise<string | undefined>): CacheCipher {
  let imported: Promise<CryptoKey> | undefined;
  const aes = (): Promise<CryptoKey> => {
    if (imported === undefined) {
      imported = key().then(importKey);
      // What could not be had this time may be there the next.
      imported.catch(() => {
        imported = undefined;
      });
    }
    return imported;
  };
  return {
    async seal(place, bytes) {
      const iv = crypto.getRandomValues(new Uint8Array(IV_LENGTH));
      const sealed = new Uint8Array(await crypto.subtle.encrypt(parameters(iv, place), await aes(), bytes));
      const stored = new Uint8Array(IV_LENGTH + sealed.length);
      stored.set(iv);
      stored.set(sealed, IV_LENGTH);
      return stored;
    },
    async open(place, stored) {
      const iv = stored.subarray(0, IV_LENGTH);
      try {
        const opened = await crypto.subtle.decrypt(parameters(iv, place), await aes(), stored.subarray(IV_LENGTH));
        return new Uint8Array(opened);
      } catch (error) {
        throw new Error(`${place}: not encrypted under this node's cache key, or tampered with`, { cause: error });
      }
    },
  };
}

function parameters(iv: Bytes, place: string): { name: 'AES-GCM'; iv: Bytes; additionalData: Bytes } {
  return { name: 'AES-GCM', iv, additionalData: utf8(place) };
}

async function importKey(key: string | undefined): Promise<CryptoKey> {
  if (key === undefined) throw new Error("data_plane_config_cache_mode 'encrypted' needs a cache key");
  const raw = Uint8Array.from(atob(key), (character) => character.charCodeAt(0));
  if (raw.length !== 32) throw new Error(`the cache key must be base64 of 32 bytes, found ${raw.length} bytes`);
  return crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

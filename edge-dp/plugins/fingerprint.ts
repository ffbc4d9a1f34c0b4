import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

/** A short name that tells settings from others, and nothing of what they are: for queues, whose names are logged. */
export function fingerprint(settings: unknown): string {
  return bytesToHex(sha256(new TextEncoder().encode(JSON.stringify(settings)))).slice(0, 12);
}

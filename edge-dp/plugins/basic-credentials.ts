import { decodeBase64 } from '../http/base64.ts';

/** A user name and a password as a client sends them (RFC 7617 section 2). */
export interface BasicCredentials {
  readonly username: string;
  /** As sent: clients differ in the charset they send passwords in. */
  readonly password: Uint8Array;
}

/** What base64 text says up to its first colon and behind it; null for other text, and for no user name. */
export function parseBasicCredentials(base64: string): BasicCredentials | null {
  const bytes = decodeBase64(base64);
  const colon = bytes?.indexOf(COLON) ?? -1;
  if (bytes === null || colon <= 0) return null;
  try {
    return { username: utf8.decode(bytes.subarray(0, colon)), password: bytes.subarray(colon + 1) };
  } catch {
    return null;
  }
}

const COLON = 0x3a;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes of base64 (RFC 4648 section 4), padded or not; null for what is none. Blanks are none. */
export function decodeBase64(text: string): Uint8Array | null {
  if (!BASE64.test(text)) return null;
  const digits = text.replace(/=+$/, '');
  if (digits.length % 4 === 1) return null;
  return Uint8Array.from(atob(digits), (character) => character.charCodeAt(0));
}

const BASE64 = /^(?:[A-Za-z0-9+/]+={0,2})?$/;

/** Base64, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK) text += btoa(String.fromCharCode(...bytes.subarray(at, at + CHUNK)));
  return text;
}

/** Bytes at a time, which are arguments of a call: whole groups of three, which can be put together. */
const CHUNK = 8190;

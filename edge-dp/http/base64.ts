/** The bytes of base64 (RFC 4648 section 4), padded or not; null for what is none. Blanks are none. */
export function decodeBase64(text: string): Uint8Array | null {
  if (!BASE64.test(text)) return null;
  const digits = text.replace(/=+$/, '');
  if (digits.length % 4 === 1) return null;
  return Uint8Array.from(atob(digits), (character) => character.charCodeAt(0));
}

const BASE64 = /^(?:[A-Za-z0-9+/]+={0,2})?$/;

/** Base64 of short bytes, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

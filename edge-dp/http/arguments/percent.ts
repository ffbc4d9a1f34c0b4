/** `application/x-www-form-urlencoded` (WHATWG URL section 5), byte for byte: what is no UTF-8 stays what it is. */

/** A name or value as a text: `+` for a space, escapes undone. */
export function decodeForm(bytes: Uint8Array): string {
  if (!bytes.includes(PERCENT) && !bytes.includes(PLUS)) return UTF8.decode(bytes);
  const decoded = new Uint8Array(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    const escaped = byte === PERCENT ? hexByte(bytes, at + 1) : null;
    decoded[length++] = escaped ?? (byte === PLUS ? SPACE : byte);
    if (escaped !== null) at += 2;
  }
  return UTF8.decode(decoded.subarray(0, length));
}

/** A name or value of a query as Kong writes it anew: as URLSearchParams does, with `+` for a space. */
export function rewriteQueryText(text: string): string {
  return text.replace(REWRITTEN, (match) => {
    if (match === '+' || match === '%20' || match === ' ') return '+';
    if (match.length < 3 || !match.startsWith('%')) return escapeBytes(match);
    const char = String.fromCharCode(Number.parseInt(match.slice(1), 16));
    return SAFE.test(char) ? char : match.toUpperCase();
  });
}

/** An escape, or a character that needs one. */
const REWRITTEN = /%[0-9A-Fa-f]{2}|[^A-Za-z0-9*\-._]/gu;
const SAFE = /^[A-Za-z0-9*\-._]$/;

function escapeBytes(text: string): string {
  let escaped = '';
  for (const byte of TEXT.encode(text)) escaped += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return escaped;
}

const UTF8 = new TextDecoder();
const TEXT = new TextEncoder();
const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

function hexByte(bytes: Uint8Array, at: number): number | null {
  const high = hexDigit(bytes[at]);
  const low = hexDigit(bytes[at + 1]);
  return high === null || low === null ? null : high * 16 + low;
}

function hexDigit(byte: number | undefined): number | null {
  if (byte === undefined) return null;
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? null : value;
}

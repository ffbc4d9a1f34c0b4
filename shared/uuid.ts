import { sha1 } from '@noble/hashes/legacy.js';

/** A UUID as this project writes one: lower case. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const ANY_CASE = new RegExp(UUID, 'i');

/** Any UUID, whatever its version, in either case (RFC 9562). */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && ANY_CASE.test(value);
}

/** A name-based UUID, version 5 (RFC 9562 §5.5). */
export function uuid5(namespace: string, name: string): string {
  const space = Uint8Array.from(namespace.replaceAll('-', '').match(/../g) ?? [], (hex) => Number.parseInt(hex, 16));
  const text = new TextEncoder().encode(name);
  const message = new Uint8Array(space.length + text.length);
  message.set(space);
  message.set(text, space.length);
  const bytes = sha1(message).subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

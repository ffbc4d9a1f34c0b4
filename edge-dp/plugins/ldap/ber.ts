import { concatBytes } from '../../../shared/bytes.ts';

/** One element of BER (X.690) as LDAP restricts it: definite lengths, tags of one byte (RFC 4511 section 5.1). */
export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Bytes it takes with tag and length. */
  readonly size: number;
}

/** What came is not the BER of LDAP, or more than is taken. */
export class BerError extends Error {
  override readonly name = 'BerError';
}

/** The first element of the bytes; null while more must come. Throws `BerError` when it would have more than `longest` bytes. */
export function readElement(bytes: Uint8Array, longest: number): Element | null {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) return null;
  if ((tag & 0x1f) === 0x1f) throw new BerError('a tag of several bytes');
  const digits = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || digits > 4) throw new BerError('a length that is not definite, or too large');
  if (bytes.byteLength < 2 + digits) return null;
  let length = digits === 0 ? first : 0;
  for (const byte of bytes.subarray(2, 2 + digits)) length = length * 256 + byte;
  const size = 2 + digits + length;
  if (size > longest) throw new BerError(`${size} bytes, of which at most ${longest} are taken`);
  return bytes.byteLength < size ? null : { tag, content: bytes.subarray(2 + digits, size), size };
}

/** All elements of a constructed one's content. Throws `BerError` when the last is cut off. */
export function readElements(content: Uint8Array): readonly Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < content.byteLength; ) {
    const element = readElement(content.subarray(at), content.byteLength - at);
    if (element === null) throw new BerError('an element that is cut off');
    elements.push(element);
    at += element.size;
  }
  return elements;
}

/** A non-negative INTEGER or ENUMERATED of at most four bytes. Throws `BerError`. */
export function readInteger({ content }: Element): number {
  const [first] = content;
  if (first === undefined || first > 0x7f || content.byteLength > 4) throw new BerError('a number that cannot be');
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

/** An element around others, or around bytes. */
export function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(contents);
  return concatBytes([Uint8Array.of(tag), lengthOf(content.byteLength), content]);
}

/** A number from 0 to 2^31 - 1. */
export function integer(tag: number, value: number): Uint8Array {
  const bytes = [value & 0xff];
  for (let rest = value >>> 8; rest > 0 || (bytes[0] ?? 0) > 0x7f; rest >>>= 8) bytes.unshift(rest & 0xff);
  return element(tag, Uint8Array.from(bytes));
}

function lengthOf(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) digits.unshift(rest & 0xff);
  return Uint8Array.of(0x80 | digits.length, ...digits);
}

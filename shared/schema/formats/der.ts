/** As much of DER (X.690) as it takes to read a private key's container and to put it into another. */

interface Element {
  readonly tag: number;
  readonly content: Uint8Array<ArrayBuffer>;
}

export const TAG = {
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
  context0: 0xa0,
} as const;

/** The elements that stand one after the other in `bytes`; undefined when they do not fill it exactly. */
export function readElements(bytes: Uint8Array<ArrayBuffer>): Element[] | undefined {
  const elements: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0;
    const first = bytes[at + 1];
    if (first === undefined) return undefined;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80 || lengthBytes > 4) return undefined;
    let length = first < 0x80 ? first : 0;
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
    const start = at + 2 + lengthBytes;
    if (start + length > bytes.length) return undefined;
    elements.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return elements;
}

/** The elements inside the one SEQUENCE that `bytes` must be. */
export function readSequence(bytes: Uint8Array<ArrayBuffer>): Element[] | undefined {
  const [sequence, ...rest] = readElements(bytes) ?? [];
  return sequence?.tag === TAG.sequence && rest.length === 0 ? readElements(sequence.content) : undefined;
}

export function write(tag: number, ...contents: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  const header = length < 0x80 ? [tag, length] : [tag, 0x80 | digits.length, ...digits];
  const bytes = new Uint8Array(header.length + length);
  bytes.set(header);
  let at = header.length;
  for (const content of contents) {
    bytes.set(content, at);
    at += content.length;
  }
  return bytes;
}

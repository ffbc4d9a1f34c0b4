/** An IPv4 or IPv6 address as unsigned 32-bit words, one or four. An IPv4-mapped IPv6 address stays IPv6. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly words: readonly number[];
}

/** A CIDR block; the address's host bits are zero. */
export interface IpRange {
  readonly address: IpAddress;
  readonly bits: number;
}

/** Parses a literal address without brackets, zone or port (RFC 4291 §2.2); null when it is none. */
export function parseIp(text: string): IpAddress | null {
  if (text.includes(':')) return parseV6(text);
  const word = parseV4(text);
  return word === null ? null : { family: 4, words: [word] };
}

/** Parses `address/bits` or a single address. Host bits are kept; see `maskRange`. Null when it is neither. */
export function parseRange(text: string): IpRange | null {
  const slash = text.indexOf('/');
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!address) return null;
  const width = address.family === 4 ? 32 : 128;
  if (slash < 0) return { address, bits: width };
  const length = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length) || Number(length) > width) return null;
  return { address, bits: Number(length) };
}

/** The block with its host bits cleared. */
export function maskRange({ address, bits }: IpRange): IpRange {
  const words = address.words.map((word, i) => (word & wordMask(bits, i)) >>> 0);
  return { address: { family: address.family, words }, bits };
}

/** Whether an address lies in a block. Families do not mix. */
export function inRange(range: IpRange, address: IpAddress): boolean {
  if (range.address.family !== address.family) return false;
  for (let i = 0; i < address.words.length; i++) {
    if ((((address.words[i] ?? 0) ^ (range.address.words[i] ?? 0)) & wordMask(range.bits, i)) !== 0) return false;
  }
  return true;
}

/** An IPv4 address and its IPv6-mapped form are two. */
export function sameIp(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && a.words.every((word, i) => word === b.words[i]);
}

/** Canonical text: dotted decimal, or RFC 5952 for IPv6. */
export function printIp({ family, words }: IpAddress): string {
  if (family === 4) {
    const word = words[0] ?? 0;
    return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
  }
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  const [start, length] = longestZeroRun(groups);
  if (length < 2) return groups.map((group) => group.toString(16)).join(':');
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

function wordMask(bits: number, index: number): number {
  const inWord = Math.min(32, Math.max(0, bits - index * 32));
  return inWord === 0 ? 0 : -1 << (32 - inWord);
}

function parseV4(text: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return null;
  let word = 0;
  for (const part of match.slice(1)) {
    // A leading zero would read as octal elsewhere: refused, as by RFC 6943 §3.1.1.
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return null;
    word = word * 256 + Number(part);
  }
  return word;
}

function parseV6(text: string): IpAddress | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (!head || !tail) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const words: number[] = [];
  for (let i = 0; i < 8; i += 2) words.push((groups[i] ?? 0) * 65536 + (groups[i + 1] ?? 0));
  return { family: 6, words };
}

/** 16-bit groups; the last one may be a dotted IPv4 address where the text ends the whole address. */
function parseGroups(text: string, last: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes('.')) {
      const word = parseV4(part);
      if (word === null) return null;
      groups.push(word >>> 16, word & 0xffff);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return null;
    }
  }
  return groups;
}

function longestZeroRun(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  for (let i = 0; i < groups.length; i++) {
    let length = 0;
    while (groups[i + length] === 0) length++;
    if (length > best[1]) best = [i, length];
    i += length;
  }
  return best;
}

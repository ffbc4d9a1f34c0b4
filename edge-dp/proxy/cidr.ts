/** A set of IP addresses and CIDR blocks, compiled once. */
export interface CidrSet {
  readonly empty: boolean;
  has(ip: string): boolean;
}

interface Block {
  readonly bytes: readonly number[];
  readonly bits: number;
}

/** `unix:` is accepted, as in Kong's `trusted_ips`, and matches no peer here. Throws on what is no address. */
export function compileCidrs(list: readonly string[]): CidrSet {
  const blocks = list.filter((item) => item !== 'unix:').map(parseBlock);
  return {
    empty: blocks.length === 0,
    has(ip) {
      if (blocks.length === 0) return false;
      const bytes = parseIp(ip);
      return bytes !== null && blocks.some((block) => contains(block, bytes));
    },
  };
}

/**
 * The bytes of an IPv4 (4) or IPv6 (16) address, null for anything else. IPv4-mapped IPv6 addresses come out as IPv4,
 * so that a dual-stack listener's `::ffff:10.0.0.1` is 10.0.0.1.
 */
export function parseIp(text: string): readonly number[] | null {
  if (!text.includes(':')) return parseV4(text);
  const bytes = parseV6(text);
  if (bytes === null) return null;
  const mapped = bytes[10] === 0xff && bytes[11] === 0xff && bytes.slice(0, 10).every((byte) => byte === 0);
  return mapped ? bytes.slice(12) : bytes;
}

function parseBlock(text: string): Block {
  const slash = text.indexOf('/');
  const bytes = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (bytes === null) throw new Error(`'${text}' is neither an IP address nor a CIDR block`);
  const width = bytes.length * 8;
  let bits = slash < 0 ? width : Number(text.slice(slash + 1));
  if (slash >= 0 && bytes.length === 4 && text.includes(':')) bits -= 96;
  if (!Number.isInteger(bits) || bits < 0 || bits > width) throw new Error(`'${text}' has an invalid prefix length`);
  return { bytes, bits };
}

function contains(block: Block, ip: readonly number[]): boolean {
  if (ip.length !== block.bytes.length) return false;
  for (let i = 0, left = block.bits; left > 0; i++, left -= 8) {
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff;
    if (((ip[i] ?? 0) & mask) !== ((block.bytes[i] ?? 0) & mask)) return false;
  }
  return true;
}

function parseV4(text: string): number[] | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes: number[] = [];
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part)) return null;
    const byte = Number(part);
    if (byte > 255) return null;
    bytes.push(byte);
  }
  return bytes;
}

function parseV6(text: string): number[] | null {
  let source = text;
  const lastColon = source.lastIndexOf(':');
  if (source.includes('.')) {
    const v4 = parseV4(source.slice(lastColon + 1));
    if (v4 === null) return null;
    const [a = 0, b = 0, c = 0, d = 0] = v4;
    source = `${source.slice(0, lastColon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const halves = source.split('::');
  if (halves.length > 2) return null;
  const head = groups(halves[0] ?? '');
  const tail = halves.length === 2 ? groups(halves[1] ?? '') : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  return [...head, ...Array<number>(missing).fill(0), ...tail].flatMap((group) => [group >> 8, group & 0xff]);
}

function groups(text: string): number[] | null {
  if (text === '') return [];
  const values: number[] = [];
  for (const part of text.split(':')) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
    values.push(Number.parseInt(part, 16));
  }
  return values;
}

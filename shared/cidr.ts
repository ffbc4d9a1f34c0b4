import { type IpAddress, type IpRange, maskRange, parseIp, parseRange } from './atc/ip.ts';

/** A set of IP addresses and CIDR blocks, compiled once; asking it costs the same however many there are. */
export interface CidrSet {
  has(ip: string): boolean;
}

/**
 * `unix:` is accepted, as in Kong's `trusted_ips`, and matches no peer here. Throws on what is no address. An IPv4 address written
 * as an IPv6 one (`::ffff:10.0.0.1`) is the same address in the list and as the one that is asked for.
 */
export function compileCidrs(list: readonly string[]): CidrSet {
  const sizes: Size[] = [];
  for (const item of list) {
    if (item === 'unix:') continue;
    const range = parseRange(item);
    if (range === null) throw new Error(`'${item}' is neither an IP address nor a CIDR block`);
    add(sizes, unmappedRange(range));
  }
  return {
    has(ip) {
      if (sizes.length === 0) return false;
      const parsed = parseIp(withoutZone(ip));
      if (parsed === null) return false;
      const address = unmapped(parsed);
      return sizes.some(({ family, bits, blocks }) => family === address.family && blocks.has(key(address, bits)));
    },
  };
}

/** A link-local peer's address comes with its interface (`fe80::1%eth0`, RFC 4007 section 11). */
function withoutZone(ip: string): string {
  const zone = ip.indexOf('%');
  return zone < 0 ? ip : ip.slice(0, zone);
}

/** The blocks of one size, by their first address. */
interface Size {
  readonly family: IpAddress['family'];
  readonly bits: number;
  readonly blocks: Set<number | string>;
}

function add(sizes: Size[], { address, bits }: IpRange): void {
  let size = sizes.find((each) => each.family === address.family && each.bits === bits);
  if (size === undefined) {
    size = { family: address.family, bits, blocks: new Set() };
    sizes.push(size);
  }
  size.blocks.add(key(address, bits));
}

/** What all addresses of a block have in common. */
function key(address: IpAddress, bits: number): number | string {
  const { words } = maskRange({ address, bits }).address;
  return address.family === 4 ? (words[0] ?? 0) : words.join();
}

/** A dual-stack listener's `::ffff:10.0.0.1` is 10.0.0.1. */
function unmapped(address: IpAddress): IpAddress {
  if (address.family === 4) return address;
  const [a, b, c, d = 0] = address.words;
  return a === 0 && b === 0 && c === 0xffff ? { family: 4, words: [d] } : address;
}

function unmappedRange({ address, bits }: IpRange): IpRange {
  const plain = unmapped(address);
  return plain.family === address.family || bits < MAPPED_BITS
    ? { address, bits }
    : { address: plain, bits: bits - MAPPED_BITS };
}

/** Of the prefix that stands before a mapped IPv4 address. */
const MAPPED_BITS = 96;

import { type IpAddress, inRange, maskRange, parseIp, parseRange } from '../../shared/atc/ip.ts';

/** A set of IP addresses and CIDR blocks, compiled once. */
export interface CidrSet {
  has(ip: string): boolean;
}

/** `unix:` is accepted, as in Kong's `trusted_ips`, and matches no peer here. Throws on what is no address. */
export function compileCidrs(list: readonly string[]): CidrSet {
  const ranges = list
    .filter((item) => item !== 'unix:')
    .map((item) => {
      const range = parseRange(item);
      if (range === null) throw new Error(`'${item}' is neither an IP address nor a CIDR block`);
      return maskRange(range);
    });
  return {
    has(ip) {
      if (ranges.length === 0) return false;
      const address = unmapped(parseIp(ip));
      return address !== null && ranges.some((range) => inRange(range, address));
    },
  };
}

/** A dual-stack listener's `::ffff:10.0.0.1` is 10.0.0.1. */
function unmapped(address: IpAddress | null): IpAddress | null {
  if (address === null || address.family === 4) return address;
  const [a, b, c, d = 0] = address.words;
  return a === 0 && b === 0 && c === 0xffff ? { family: 4, words: [d] } : address;
}

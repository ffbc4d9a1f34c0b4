import { maskRange, parseIp, printIp } from '../../shared/atc/ip.ts';

/** Bits of the smallest network of IPv6 there is; whoever has an address of one has all of it (RFC 7421). */
const SMALLEST_IPV6 = 64;

/**
 * What is counted as one client: an IPv4 address as it is, or the network that an IPv6 address is of, as `2001:db8:0:1::/64`. Other text
 * is given back.
 */
export function networkOf(ip: string): string {
  const [plain = ''] = ip.split('%', 1);
  const address = parseIp(plain);
  if (address === null) return ip;
  const [a, b, c, d = 0] = address.words;
  // However a listener of both families, or a client, writes IPv4.
  if (a === 0 && b === 0 && c === 0xffff) return printIp({ family: 4, words: [d] });
  if (address.family === 4) return ip;
  return `${printIp(maskRange({ address, bits: SMALLEST_IPV6 }).address)}/${SMALLEST_IPV6}`;
}

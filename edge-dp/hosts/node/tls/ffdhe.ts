/** The groups of RFC 7919 by their names, with what makes each prime a safe one (appendix A). */
const GROUPS: Readonly<Record<string, { readonly bits: number; readonly offset: number }>> = {
  ffdhe2048: { bits: 2048, offset: 560_316 },
  ffdhe3072: { bits: 3072, offset: 2_625_351 },
  ffdhe4096: { bits: 4096, offset: 5_736_041 },
  ffdhe6144: { bits: 6144, offset: 15_705_020 },
  ffdhe8192: { bits: 8192, offset: 10_965_728 },
};

/** A predefined group as PEM of Diffie-Hellman parameters; null: there is no such group. */
export function ffdheParameters(name: string): string | null {
  const group = GROUPS[name];
  if (group === undefined) return null;
  const body = Buffer.concat([integer(primeOf(group.bits, group.offset)), integer(2n)]);
  const der = Buffer.concat([Buffer.from([0x30, 0x82, body.length >> 8, body.length & 0xff]), body]);
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN DH PARAMETERS-----\n${lines.join('\n')}\n-----END DH PARAMETERS-----\n`;
}

/** p = 2^b - 2^(b-64) + (floor(2^(b-130) e) + offset) 2^64 - 1. */
function primeOf(bits: number, offset: number): bigint {
  const b = BigInt(bits);
  const e = eulerScaled(b - 130n);
  return 2n ** b - 2n ** (b - 64n) + (e + BigInt(offset)) * 2n ** 64n - 1n;
}

/** floor(2^bits e), by its series, with as many bits more as the sum of what each step cuts off can reach. */
function eulerScaled(bits: bigint): bigint {
  const spare = 64n;
  let term = 1n << (bits + spare);
  let sum = 0n;
  for (let n = 1n; term > 0n; n++) {
    sum += term;
    term /= n;
  }
  return sum >> spare;
}

/** DER. */
function integer(value: bigint): Buffer {
  const hex = value.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  const bytes = Buffer.from(Number.parseInt(even.slice(0, 2), 16) > 0x7f ? `00${even}` : even, 'hex');
  const head = bytes.length < 0x80 ? [0x02, bytes.length] : [0x02, 0x82, bytes.length >> 8, bytes.length & 0xff];
  return Buffer.concat([Buffer.from(head), bytes]);
}

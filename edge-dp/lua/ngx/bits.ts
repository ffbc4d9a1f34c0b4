import { LuaNative } from '../../../shared/lua/value.ts';
import type { Library } from '../context.ts';

/** LuaJIT's `bit`: signed 32-bit results. */
export const bit: Library = {
  tobit: new LuaNative('tobit', (call) => call.number(1) | 0),
  bnot: new LuaNative('bnot', (call) => ~call.number(1)),
  band: folded('band', (a, b) => a & b),
  bor: folded('bor', (a, b) => a | b),
  bxor: folded('bxor', (a, b) => a ^ b),
  lshift: new LuaNative('lshift', (call) => call.number(1) << call.number(2)),
  rshift: new LuaNative('rshift', (call) => (call.number(1) >>> call.number(2)) | 0),
  arshift: new LuaNative('arshift', (call) => call.number(1) >> call.number(2)),
  rol: new LuaNative('rol', (call) => rotated(call.number(1), call.number(2))),
  ror: new LuaNative('ror', (call) => rotated(call.number(1), -call.number(2))),
  bswap: new LuaNative('bswap', (call) => {
    const value = call.number(1);
    return ((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >> 8) & 0xff00) | (value >>> 24);
  }),
  tohex: new LuaNative('tohex', (call) => {
    const digits = call.optionalNumber(2) ?? 8;
    const text = (call.number(1) >>> 0)
      .toString(16)
      .padStart(8, '0')
      .slice(-Math.min(Math.abs(digits), 8));
    return digits < 0 ? text.toUpperCase() : text;
  }),
};

function folded(name: string, combine: (a: number, b: number) => number): LuaNative {
  return new LuaNative(name, (call) => {
    let value = call.number(1) | 0;
    for (let at = 2; at <= call.count; at++) value = combine(value, call.number(at));
    return value;
  });
}

function rotated(value: number, by: number): number {
  const places = by & 31;
  return (value << places) | (value >>> (32 - places));
}

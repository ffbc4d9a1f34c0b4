import type { ScalarType } from '../../../shared/grpc/descriptor.ts';
import { decodeBase64, encodeBase64 } from '../../http/base64.ts';
import { BYTES, FIXED32, FIXED64, VARINT, type WireReader, type WireWriter } from './wire.ts';

/** How values of a scalar type are written and read, as JSON has them: 64-bit numbers beyond 2^53 and bytes (base64) are texts. */
export interface Scalar {
  readonly wire: number;
  readonly missing: unknown;
  /** Throws for what is no such value. */
  write(value: unknown, to: WireWriter): void;
  read(from: WireReader): unknown;
}

/** A value in the words of an error, which go into the log: clients may send megabytes. */
export function shown(value: unknown): string {
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, LONGEST_SHOWN) : value) ?? 'undefined';
  return text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN)}…`;
}

const LONGEST_SHOWN = 100;

function integer(value: unknown): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  if (typeof value === 'string' && WHOLE.test(value)) return BigInt(value.trim().replace(/^\+/, ''));
  throw new Error(`${shown(value)} is no whole number`);
}

/** Throws also for one that no field of so many bits has, signed or not: what is left of it would be another number. */
function integerOf(bits: 32 | 64, value: unknown): bigint {
  const number = integer(value);
  if (BigInt.asIntN(bits, number) === number || BigInt.asUintN(bits, number) === number) return number;
  throw new Error(`${shown(String(value))} is no whole number of ${bits} bits`);
}

/** Twice as many digits as 64 bits have: to read a long row of them takes seconds. */
const WHOLE = /^\s*[-+]?\d{1,40}\s*$/;

function float(value: unknown): number {
  if (typeof value === 'number') return value;
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  if (Number.isNaN(number)) throw new Error(`${shown(value)} is no number`);
  return number;
}

/** As JSON can have it. */
function json(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

function whole(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

function varint(bits: 32 | 64, toWire: (value: bigint) => bigint, fromWire: (wire: bigint) => bigint): Scalar {
  return {
    wire: VARINT,
    missing: 0,
    write: (value, to) => to.varint(toWire(integerOf(bits, value))),
    read: (from) => whole(fromWire(from.varint())),
  };
}

const zigzag = (bits: number) => (value: bigint) => BigInt.asUintN(bits, (value << 1n) ^ (value >> BigInt(bits - 1)));
const zagzig = (wire: bigint) => (wire >> 1n) ^ -(wire & 1n);

function fixed(
  size: 4 | 8,
  set: (view: DataView, value: unknown) => void,
  get: (view: DataView, at: number) => number | string,
): Scalar {
  return {
    wire: size === 4 ? FIXED32 : FIXED64,
    missing: 0,
    write: (value, to) => to.fixed(size, (view) => set(view, value)),
    read: (from) => from.fixed(size, get),
  };
}

const UTF8 = new TextEncoder();
const TEXT = new TextDecoder();

export const SCALARS: Readonly<Record<ScalarType, Scalar>> = {
  int32: varint(
    32,
    (value) => value,
    (wire) => BigInt.asIntN(32, wire),
  ),
  int64: varint(
    64,
    (value) => value,
    (wire) => BigInt.asIntN(64, wire),
  ),
  uint32: varint(
    32,
    (value) => BigInt.asUintN(32, value),
    (wire) => BigInt.asUintN(32, wire),
  ),
  uint64: varint(
    64,
    (value) => value,
    (wire) => wire,
  ),
  sint32: varint(32, zigzag(32), zagzig),
  sint64: varint(64, zigzag(64), zagzig),
  fixed32: fixed(
    4,
    (view, value) => view.setUint32(0, Number(integerOf(32, value)), true),
    (view, at) => view.getUint32(at, true),
  ),
  sfixed32: fixed(
    4,
    (view, value) => view.setInt32(0, Number(integerOf(32, value)), true),
    (view, at) => view.getInt32(at, true),
  ),
  fixed64: fixed(
    8,
    (view, value) => view.setBigUint64(0, integerOf(64, value), true),
    (view, at) => whole(view.getBigUint64(at, true)),
  ),
  sfixed64: fixed(
    8,
    (view, value) => view.setBigInt64(0, integerOf(64, value), true),
    (view, at) => whole(view.getBigInt64(at, true)),
  ),
  float: fixed(
    4,
    (view, value) => view.setFloat32(0, float(value), true),
    (view, at) => json(view.getFloat32(at, true)),
  ),
  double: fixed(
    8,
    (view, value) => view.setFloat64(0, float(value), true),
    (view, at) => json(view.getFloat64(at, true)),
  ),
  bool: {
    wire: VARINT,
    missing: false,
    // Of a query: anything but `0` and `false`.
    write: (value, to) => to.varint(value === false || value === 0 || value === '0' || value === 'false' ? 0n : 1n),
    read: (from) => from.varint() !== 0n,
  },
  string: {
    wire: BYTES,
    missing: '',
    write(value, to) {
      if (typeof value !== 'string') throw new Error(`${shown(value)} is no text`);
      to.bytes(UTF8.encode(value));
    },
    read: (from) => TEXT.decode(from.bytes()),
  },
  bytes: {
    wire: BYTES,
    missing: '',
    write(value, to) {
      const bytes = typeof value === 'string' ? decodeBase64(value.replaceAll('-', '+').replaceAll('_', '/')) : null;
      if (bytes === null) throw new Error(`${shown(value)} is no base64`);
      to.bytes(bytes);
    },
    read: (from) => encodeBase64(from.bytes()),
  },
};

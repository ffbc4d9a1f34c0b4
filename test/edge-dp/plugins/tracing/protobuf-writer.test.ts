import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { ProtobufWriter } from '../../../../edge-dp/plugins/tracing/protobuf-writer.ts';
import { bytes, decode, type Message, nested } from './protobuf.ts';

/** A field of a message: what is written, and under which number. */
type Field =
  | { readonly kind: 'text' | 'hex'; readonly value: string }
  | { readonly kind: 'raw'; readonly value: Uint8Array }
  | { readonly kind: 'number' | 'double' | 'fixed32'; readonly value: number }
  | { readonly kind: 'fixed64'; readonly value: bigint }
  | { readonly kind: 'message'; readonly value: readonly Field[] };

const hex = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('hex'));
/** Around the lengths at which another byte is needed to tell them. */
const lengths = fc.constantFrom(0, 1, 126, 127, 128, 129, 1_000, 16_383, 16_384);
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.tuple(lengths, fc.constantFrom('a', 'é', '字', '😀', '\ud800')).map(([length, unit]) => unit.repeat(length)),
  fc.tuple(lengths, fc.string({ unit: 'binary' })).map(([length, end]) => 'a'.repeat(length) + end),
);

const { message } = fc.letrec<{ field: Field; message: readonly Field[] }>((tie) => ({
  message: fc.array(tie('field'), { maxLength: 6 }),
  field: fc.oneof(
    { depthSize: 'small' },
    fc.record({ kind: fc.constant('text' as const), value: text }),
    fc.record({ kind: fc.constant('hex' as const), value: hex }),
    fc.record({ kind: fc.constant('raw' as const), value: fc.uint8Array({ maxLength: 300 }) }),
    fc.record({ kind: fc.constant('number' as const), value: fc.maxSafeNat() }),
    fc.record({ kind: fc.constant('double' as const), value: fc.double({ noNaN: true }) }),
    fc.record({ kind: fc.constant('fixed32' as const), value: fc.nat() }),
    fc.record({ kind: fc.constant('fixed64' as const), value: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }) }),
    fc.record({ kind: fc.constant('message' as const), value: tie('message') }),
  ),
}));

function write(writer: ProtobufWriter, fields: readonly Field[]): void {
  for (const [at, { kind, value }] of fields.entries()) {
    const number = at + 1;
    if (kind === 'message') writer.message(number, (inner) => write(inner, value as readonly Field[]));
    else (writer[kind] as (number: number, value: unknown) => void).call(writer, number, value);
  }
}

function expectRead(message: Message, fields: readonly Field[]): void {
  expect(message.size).toBe(fields.length);
  for (const [at, { kind, value }] of fields.entries()) {
    const number = at + 1;
    const [read] = message.get(number) ?? [];
    if (kind === 'message') expectRead(nested(message, number)[0] ?? new Map(), value);
    else if (kind === 'text') expect(bytes(message, number)[0]).toEqual(Buffer.from(new TextEncoder().encode(value)));
    else if (kind === 'hex') expect(bytes(message, number)[0]?.toString('hex')).toBe(value);
    else if (kind === 'raw') expect(bytes(message, number)[0]).toEqual(Buffer.from(value));
    else if (kind === 'double') expect(read).toBe(Buffer.from(new Float64Array([value]).buffer).readBigUInt64LE());
    else expect(read).toBe(value);
  }
}

test('reads as it was written, messages in messages, texts of all alphabets and lengths', () => {
  fc.assert(
    fc.property(message, (fields) => {
      const writer = new ProtobufWriter();
      write(writer, fields);
      expectRead(decode(writer.bytes), fields);
    }),
    { numRuns: 50 },
  );
});

test.each([-1, 2 ** 53, Number.POSITIVE_INFINITY, Number.NaN])(
  'writes no number that has no end, or no place: %d',
  (value) => {
    expect(() => new ProtobufWriter().number(1, value)).toThrow(RangeError);
  },
);

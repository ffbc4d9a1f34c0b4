import { ShapeError } from '../../shared/bundle/shape.ts';

/** One field of a message of Protocol Buffers: a number, eight bytes, or bytes of whatever they are. */
export type ProtobufField =
  | { readonly field: number; readonly kind: 'number'; readonly number: number }
  | { readonly field: number; readonly kind: 'eight' | 'bytes'; readonly bytes: Buffer };

/** Reads a message field by field; what it does not know the length of ends it. Throws `ShapeError` for what is none. */
export function* protobufFields(message: Buffer): Generator<ProtobufField> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 10; shift++) {
      const byte = message[at++];
      if (byte === undefined) throw broken();
      value += (byte & 0x7f) * 2 ** (7 * shift);
      if (byte < 0x80) return value;
    }
    throw broken();
  };
  const take = (length: number): Buffer => {
    if (!(length <= message.length - at)) throw broken();
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { field, kind: 'number', number: varint() };
        break;
      case 1:
        yield { field, kind: 'eight', bytes: take(8) };
        break;
      case 2:
        yield { field, kind: 'bytes', bytes: take(varint()) };
        break;
      case 5:
        take(4);
        break;
      default:
        throw broken();
    }
  }
}

/** The messages that stand in one field. */
export function* messagesIn(message: Buffer, field: number): Generator<Buffer> {
  for (const each of protobufFields(message)) {
    if (each.field === field && each.kind === 'bytes') yield each.bytes;
  }
}

function broken(): ShapeError {
  return new ShapeError('the body is no message of Protocol Buffers');
}

/** The fields of a Protocol Buffers message, by number, in order: bytes of nested ones, numbers of the rest. */
export type Message = ReadonlyMap<number, readonly (Buffer | number | bigint)[]>;

export function decode(bytes: Uint8Array): Message {
  const message = new Map<number, (Buffer | number | bigint)[]>();
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = buffer.readUInt8(at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < buffer.length) {
    const key = varint();
    const values = message.get(key >> 3) ?? [];
    message.set(key >> 3, values);
    switch (key & 7) {
      case 0:
        values.push(varint());
        break;
      case 1:
        values.push(buffer.readBigUInt64LE(at));
        at += 8;
        break;
      case 2: {
        const length = varint();
        if (at + length > buffer.length) throw new Error('a field is longer than its message');
        values.push(buffer.subarray(at, at + length));
        at += length;
        break;
      }
      case 5:
        values.push(buffer.readUInt32LE(at));
        at += 4;
        break;
      default:
        throw new Error(`wire type ${key & 7}`);
    }
  }
  return message;
}

export function nested(message: Message, field: number): readonly Message[] {
  return bytes(message, field).map(decode);
}

export function bytes(message: Message, field: number): readonly Buffer[] {
  return (message.get(field) ?? []).filter((value) => Buffer.isBuffer(value));
}

export function text(message: Message, field: number): string {
  return bytes(message, field)[0]?.toString('utf8') ?? '';
}

/** `KeyValue`s as an object; numbers with their kind. */
export function attributes(message: Message, field: number): Readonly<Record<string, unknown>> {
  return Object.fromEntries(nested(message, field).map((pair) => [text(pair, 1), contentOf(nested(pair, 2)[0])]));
}

function contentOf(any: Message | undefined): unknown {
  if (any === undefined) return undefined;
  if (any.has(1)) return text(any, 1);
  if (any.has(2)) return any.get(2)?.[0] === 1;
  const [list] = nested(any, 5);
  if (list !== undefined) return nested(list, 1).map(contentOf);
  const [map] = nested(any, 6);
  if (map !== undefined) return attributes(map, 1);
  if (any.has(3)) return { int: any.get(3)?.[0] };
  const [double] = any.get(4) ?? [];
  const view = new DataView(new ArrayBuffer(8));
  if (typeof double === 'bigint') view.setBigUint64(0, double);
  return { double: view.getFloat64(0) };
}

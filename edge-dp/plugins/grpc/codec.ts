import type { ProtoDescriptor, ProtoField } from '../../../shared/grpc/descriptor.ts';
import { isRecord, type Row } from '../../../shared/record.ts';
import { SCALARS, shown } from './scalars.ts';
import { BYTES, VARINT, WireReader, WireWriter } from './wire.ts';

/**
 * Messages of a `.proto` file between JSON and their wire format. Fields have the names of the file, enums are names, a Timestamp is
 * a text (RFC 3339).
 */
export class MessageCodec {
  readonly #byName = new Map<string, ReadonlyMap<string, ProtoField>>();
  readonly #byNumber = new Map<string, ReadonlyMap<number, ProtoField>>();
  readonly #enums: ProtoDescriptor['enums'];
  /** The first name of each number of an enum. */
  readonly #enumNames = new Map<string, ReadonlyMap<number, string>>();

  constructor({ messages, enums }: ProtoDescriptor) {
    this.#enums = enums;
    for (const [type, numbers] of Object.entries(enums)) {
      const backwards = Object.entries(numbers).toReversed();
      this.#enumNames.set(type, new Map(backwards.map(([name, number]) => [number, name])));
    }
    for (const [type, fields] of Object.entries(messages)) {
      this.#byName.set(type, new Map(fields.flatMap((field) => namesOf(field).map((name) => [name, field]))));
      this.#byNumber.set(type, new Map(fields.map((field) => [field.number, field])));
    }
  }

  /** The field of a message by either of its names. */
  field(type: string, name: string): ProtoField | undefined {
    return this.#byName.get(type)?.get(name);
  }

  /** Members that are no fields are left out. Throws for values that are none of their type. */
  encode(type: string, value: unknown, depth = 0): Uint8Array {
    if (depth > DEEPEST) throw new Error(`a message is nested deeper than ${DEEPEST}`);
    if (type === TIMESTAMP && typeof value === 'string') return this.encode(type, timestampOf(value), depth);
    if (!isRecord(value)) throw new Error(`${type} must be an object`);
    const writer = new WireWriter();
    for (const [name, item] of Object.entries(value)) {
      const field = this.field(type, name);
      if (field === undefined || item === null || item === undefined) continue;
      if (field.key !== null) this.#writeMap(writer, field, item, depth);
      else if (field.repeated) this.#writeList(writer, field, Array.isArray(item) ? item : [item], depth);
      else this.#writeValue(writer, field, item, depth);
    }
    return writer.written;
  }

  /** Throws for what is no such message. */
  decode(type: string, bytes: Uint8Array, depth = 0): unknown {
    if (depth > DEEPEST) throw new Error(`a message is nested deeper than ${DEEPEST}`);
    const fields = this.#byNumber.get(type);
    if (fields === undefined) throw new Error(`the .proto file has no message ${type}`);
    const value: Record<string, unknown> = {};
    for (const field of fields.values()) {
      const missing = this.#missing(field);
      if (missing !== undefined) value[field.name] = missing;
    }
    for (const reader = new WireReader(bytes); !reader.ended; ) {
      const tag = reader.tag();
      const field = fields.get(tag.field);
      if (field === undefined) reader.skip(tag.type);
      else this.#readField(reader, field, tag.type, value, depth);
    }
    return type === TIMESTAMP ? timestampText(value) : value;
  }

  #readField(reader: WireReader, field: ProtoField, wire: number, value: Record<string, unknown>, depth: number): void {
    const { name } = field;
    if (field.key !== null) {
      const [key, item] = this.#readEntry(reader.bytes(), field, depth);
      const entries = isRecord(value[name]) ? value[name] : {};
      // In place, for there may be many; defined, for one may be called `__proto__`.
      Object.defineProperty(entries, key, { value: item, enumerable: true, configurable: true, writable: true });
      value[name] = entries;
      return;
    }
    if (!field.repeated) {
      value[name] = this.#readValue(reader, field, depth);
      return;
    }
    const list = Array.isArray(value[name]) ? value[name] : [];
    if (wire === BYTES && this.#wireOf(field) !== BYTES) {
      for (const packed = new WireReader(reader.bytes()); !packed.ended; )
        list.push(this.#readValue(packed, field, depth));
    } else list.push(this.#readValue(reader, field, depth));
    value[name] = list;
  }

  #readEntry(bytes: Uint8Array, field: ProtoField, depth: number): readonly [key: string, item: unknown] {
    let key: unknown = SCALARS[field.key ?? 'string'].missing;
    let item: unknown = this.#missing({ ...field, key: null, repeated: false, presence: false }) ?? {};
    for (const reader = new WireReader(bytes); !reader.ended; ) {
      const { field: number, type } = reader.tag();
      if (number === 1) key = SCALARS[field.key ?? 'string'].read(reader);
      else if (number === 2) item = this.#readValue(reader, field, depth);
      else reader.skip(type);
    }
    return [String(key), item];
  }

  #readValue(reader: WireReader, { type }: ProtoField, depth: number): unknown {
    if ('scalar' in type) return SCALARS[type.scalar].read(reader);
    if ('message' in type) return this.decode(type.message, reader.bytes(), depth + 1);
    const number = Number(BigInt.asIntN(32, reader.varint()));
    return this.#enumName(type.enum, number) ?? number;
  }

  /** What stands for a field that is not there; undefined: nothing. */
  #missing({ type, repeated, key, presence }: ProtoField): unknown {
    if (key !== null) return {};
    if (repeated) return [];
    if (presence || 'message' in type) return undefined;
    return 'scalar' in type ? SCALARS[type.scalar].missing : (this.#enumName(type.enum, 0) ?? 0);
  }

  #enumName(type: string, number: number): string | undefined {
    return this.#enumNames.get(type)?.get(number);
  }

  #wireOf({ type }: ProtoField): number {
    if ('scalar' in type) return SCALARS[type.scalar].wire;
    return 'message' in type ? BYTES : VARINT;
  }

  #writeValue(writer: WireWriter, field: ProtoField, value: unknown, depth: number): void {
    writer.tag(field.number, this.#wireOf(field));
    this.#writeBare(writer, field, value, depth);
  }

  #writeBare(writer: WireWriter, { type }: ProtoField, value: unknown, depth: number): void {
    if ('scalar' in type) SCALARS[type.scalar].write(value, writer);
    else if ('message' in type) writer.bytes(this.encode(type.message, value, depth + 1));
    else writer.varint(BigInt(this.#enumNumber(type.enum, value)));
  }

  #enumNumber(type: string, value: unknown): number {
    if (typeof value === 'number' && Number.isInteger(value)) return value;
    const names = this.#enums[type] ?? {};
    const number = typeof value === 'string' && Object.hasOwn(names, value) ? names[value] : undefined;
    if (number === undefined) throw new Error(`${shown(value)} is none of ${type}`);
    return number;
  }

  #writeList(writer: WireWriter, field: ProtoField, items: readonly unknown[], depth: number): void {
    if (items.length === 0) return;
    if (!field.packed || this.#wireOf(field) === BYTES) {
      for (const item of items) this.#writeValue(writer, field, item, depth);
      return;
    }
    const packed = new WireWriter();
    for (const item of items) this.#writeBare(packed, field, item, depth);
    writer.tag(field.number, BYTES);
    writer.bytes(packed.written);
  }

  #writeMap(writer: WireWriter, field: ProtoField, value: unknown, depth: number): void {
    if (!isRecord(value)) throw new Error(`${field.name} must be an object`);
    const keys = SCALARS[field.key ?? 'string'];
    for (const [key, item] of Object.entries(value)) {
      const entry = new WireWriter();
      entry.tag(1, keys.wire);
      keys.write(key, entry);
      this.#writeValue(entry, { ...field, number: 2 }, item, depth);
      writer.tag(field.number, BYTES);
      writer.bytes(entry.written);
    }
  }
}

const DEEPEST = 100;
const TIMESTAMP = 'google.protobuf.Timestamp';

/** As in the file, and as JSON often has it. */
function namesOf({ name }: ProtoField): readonly string[] {
  const camel = name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return camel === name ? [name] : [name, camel];
}

function timestampOf(text: string): Row {
  const [, moment = text, fraction = ''] = /^([^.]*)\.(\d+)/.exec(text) ?? [];
  const zone = /(?:Z|[-+]\d\d:?\d\d)$/i.exec(text)?.[0] ?? 'Z';
  const milliseconds = Date.parse(`${moment.replace(/(?:Z|[-+]\d\d:?\d\d)$/i, '')}${zone}`);
  if (Number.isNaN(milliseconds)) throw new Error(`${shown(text)} is no time`);
  return { seconds: Math.floor(milliseconds / 1000), nanos: Number(fraction.padEnd(9, '0').slice(0, 9)) };
}

function timestampText({ seconds = 0, nanos = 0 }: Row): string {
  const moment = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = Number(nanos) === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
  return `${moment}${fraction}Z`;
}

import { messageOf } from '../thrown.ts';
import { byteWork, through } from './byte-work.ts';
import { canonicalBytes } from './canonical.ts';
import {
  type BundleRow,
  type Bytes,
  LIMITS,
  type ObjectName,
  type ObjectRef,
  type PackedObject,
  type TableIndex,
  type TableObject,
} from './format.ts';
import { BundleRefused } from './refusal.ts';
import { array, arrayOf, exactObject, integer, json, object, ShapeError, string, stringLike } from './shape.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What an object name looks like: 64 lower-case hex digits. */
export const OBJECT_NAME = /^[0-9a-f]{64}$/;

/** Lower-case hex SHA-256. */
export function sha256Hex(bytes: Bytes): Promise<string> {
  return byteWork().sha256(bytes);
}

/** Makes the immutable object of a value, and says how many bytes it has before compression. */
export async function packObject(value: TableIndex | TableObject): Promise<{ object: PackedObject; size: number }> {
  const bytes = canonicalBytes(value);
  const [name, compressed] = await Promise.all([sha256Hex(bytes), gzip(bytes)]);
  return { object: { name, gzip: compressed }, size: bytes.length };
}

async function gzip(bytes: Bytes): Promise<Bytes> {
  return through(new CompressionStream('gzip'), bytes, Number.MAX_SAFE_INTEGER);
}

/**
 * Inflates at most `limit` bytes: a small bomb never becomes large memory. Throws `BundleRefused` with `size` beyond the
 * limit and with `format` for what is not gzip.
 */
export async function gunzip(bytes: Bytes, limit: number): Promise<Bytes> {
  try {
    return await byteWork().inflate(bytes, limit);
  } catch (error) {
    if (error instanceof BundleRefused) throw error;
    const detail = messageOf(error);
    throw new BundleRefused('format', `not intact gzip data (${detail})`);
  }
}

/** Reads a table's index object; `table` is the name the manifest gives it. Throws `BundleRefused` with `format`. */
export function parseTableIndex(bytes: Bytes, table: string): TableIndex {
  return shaped(`index of table '${table}'`, () => {
    const read = exactObject(parse(bytes), 'index', ['table', 'key', 'hashed', 'bits', 'objects']);
    if (read.table !== table) throw new ShapeError(`index.table: expected '${table}', found '${String(read.table)}'`);
    const bits = integer(read.bits, 'index.bits', 0, LIMITS.bits);
    const objects = arrayOf(read.objects, 'index.objects', objectRef);
    if (objects.length !== 2 ** bits) {
      throw new ShapeError(`index.objects: expected ${2 ** bits} places for ${bits} bits, found ${objects.length}`);
    }
    return {
      table,
      key: string(read.key, 'index.key'),
      hashed: arrayOf(read.hashed, 'index.hashed', string),
      bits,
      objects,
    };
  });
}

function objectRef(value: unknown, where: string): ObjectRef | null {
  if (value === null) return null;
  const read = exactObject(value, where, ['name', 'size']);
  return {
    name: objectName(read.name, `${where}.name`),
    size: integer(read.size, `${where}.size`, 0, LIMITS.object),
  };
}

/** Reads an object name out of parsed JSON. */
export function objectName(value: unknown, where: string): ObjectName {
  return stringLike(value, where, OBJECT_NAME, '64 lower-case hex digits');
}

/** Reads a table's row object. Rows must be of `table`, have ids, and be sorted by them. Throws `BundleRefused` with `format`. */
export function parseTableObject(bytes: Bytes, table: string): TableObject {
  return shaped(`object of table '${table}'`, () => {
    const read = exactObject(parse(bytes), 'object', ['table', 'rows']);
    if (read.table !== table) throw new ShapeError(`object.table: expected '${table}', found '${String(read.table)}'`);
    let previous = '';
    const rows = array(read.rows, 'object.rows').map((value, position): BundleRow => {
      const row = object(value, `object.rows[${position}]`);
      const id = string(row.id, `object.rows[${position}].id`);
      if (id <= previous)
        throw new ShapeError(`object.rows[${position}].id: '${id}' does not sort after '${previous}'`);
      previous = id;
      return withId(row, id);
    });
    return { table, rows };
  });
}

/** The row as parsed; what it is not copied for is that configs are large. */
function withId(row: Readonly<Record<string, unknown>>, id: string): BundleRow {
  return Object.assign(row, { id });
}

function parse(bytes: Bytes): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new ShapeError('not UTF-8');
  }
  return json(text, 'object');
}

function shaped<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ShapeError) throw new BundleRefused('format', `${what}: ${error.message}`);
    throw error;
  }
}

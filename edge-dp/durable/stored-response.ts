import { mustBeRecord } from '../../shared/record.ts';
import { number, text } from './message-fields.ts';

/** A copy of an answer. Of one that varies, its entry under `primary` only says by what. Times are milliseconds since the epoch. */
export interface StoredResponse {
  readonly key: string;
  /** The key of the request without what a response itself varies by: it names all variants, to clients and to who purges. */
  readonly primary: string;
  /** Id of the plugin's configuration. */
  readonly plugin: string;
  /** The URI it is of: what an unsafe request to it makes void. */
  readonly target: string;
  /** A purge after that makes it void: the origin may have answered before what the purge is for. */
  readonly requestedAt: number;
  readonly storedAt: number;
  /** When it is forgotten. */
  readonly until: number;
  /** Seconds it is fresh for, of an age at the beginning of `age`. */
  readonly lifetime: number;
  readonly age: number;
  /** The origin forbids to serve it stale. */
  readonly mustRevalidate: boolean;
  /** Lower-case names of request headers; null: this is the answer itself. */
  readonly variesBy: readonly string[] | null;
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** What an entry weighs beside its body and headers: keys and bookkeeping, generously. */
const OVERHEAD = 1_024;

/** Bytes of memory. */
export function weightOf({ body, headers, target }: StoredResponse): number {
  return (
    OVERHEAD + body.length + 2 * headers.reduce((sum, [name, value]) => sum + name.length + value.length, target.length)
  );
}

/** As it travels between processes: the length of a JSON text (4 bytes), the text, the body. */
export function pack({ body, ...head }: StoredResponse): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(head));
  const packed = new Uint8Array(4 + text.length + body.length);
  new DataView(packed.buffer).setUint32(0, text.length);
  packed.set(text, 4);
  packed.set(body, 4 + text.length);
  return packed;
}

/** Throws for what `pack` has not made. */
export function unpack(packed: Uint8Array): StoredResponse {
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0);
  const read = mustBeRecord(JSON.parse(new TextDecoder().decode(packed.subarray(4, 4 + length))), 'the head');
  return {
    key: text(read, 'key'),
    primary: text(read, 'primary'),
    plugin: text(read, 'plugin'),
    target: text(read, 'target'),
    requestedAt: number(read, 'requestedAt'),
    storedAt: number(read, 'storedAt'),
    until: number(read, 'until'),
    lifetime: number(read, 'lifetime'),
    age: number(read, 'age'),
    mustRevalidate: read.mustRevalidate === true,
    variesBy: Array.isArray(read.variesBy) ? read.variesBy.map(String) : null,
    status: number(read, 'status'),
    headers: Array.isArray(read.headers) ? read.headers.flatMap(pair) : [],
    body: packed.subarray(4 + length),
  };
}

function pair(value: unknown): (readonly [string, string])[] {
  return Array.isArray(value) ? [[String(value[0]), String(value[1])]] : [];
}

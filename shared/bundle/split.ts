import { isToken } from '../head.ts';
import type { Manifest, TableRef } from './format.ts';
import { objectName } from './object.ts';
import { exactObject, integer, oneOf, recordOf, ShapeError, string, stringLike } from './shape.ts';
import { hash } from './spread.ts';

/** By what requests are told apart. Of a header the value, as it came: its name is in lower case. */
export type SplitBy = 'client_ip' | 'consumer' | 'colo' | `header:${string}`;

/** What there is, for messages. */
export const SPLIT_BY = 'client_ip, consumer, colo or header:<name>';

/** A second config in a manifest: that of a release which some of the requests get, and the others not yet. */
export interface ManifestSplit {
  /** The id of the release: whom it chooses is chosen by this. */
  readonly release: string;
  readonly percent: number;
  readonly by: SplitBy;
  /** What telemetry calls the requests that it chooses, and the others: serials, of which neither need be the manifest's. */
  readonly serial: number;
  readonly rest_serial: number;
  /** Of `tables`, as a manifest's. */
  readonly config_hash: string;
  readonly tables: Readonly<Record<string, TableRef>>;
}

/** Undefined: it is none. Names of headers come to lower case. */
export function splitBy(text: unknown): SplitBy | undefined {
  if (text === 'client_ip' || text === 'consumer' || text === 'colo') return text;
  if (typeof text !== 'string' || !text.startsWith(HEADER)) return undefined;
  const name = text.slice(HEADER.length);
  return isToken(name) ? `${HEADER}${name.toLowerCase()}` : undefined;
}

/** The header by whose value it is; null: it is by something else. */
export function splitHeader(by: SplitBy): string | null {
  return by.startsWith(HEADER) ? by.slice(HEADER.length) : null;
}

const HEADER = 'header:';

/**
 * Where a value stands between 0 and 100: a release is for the values below its percentage. By the release and the value alone, so it is
 * the same in every process and after every restart, and who is in stays in when the percentage grows. Not cryptographic.
 */
export function placeInSplit(release: string, value: string): number {
  return ((hash(`${release} ${value}`) >>> 0) / 2 ** 32) * 100;
}

/** Every table that a manifest leads to, with its name: those of its split as well. */
export function* tablesIn({
  tables,
  split,
}: Pick<Manifest, 'tables' | 'split'>): Iterable<readonly [string, TableRef]> {
  yield* Object.entries(tables);
  if (split !== undefined) yield* Object.entries(split.tables);
}

const MEMBERS = ['release', 'percent', 'by', 'serial', 'rest_serial', 'config_hash', 'tables'];

/** Throws `ShapeError`. */
export function parseSplit(value: unknown, where: string): ManifestSplit {
  const read = exactObject(value, where, MEMBERS);
  const by = splitBy(read.by);
  if (by === undefined) throw new ShapeError(`${where}.by: expected ${SPLIT_BY}`);
  const { percent } = read;
  if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100)) {
    throw new ShapeError(`${where}.percent: expected a number from 0 to 100`);
  }
  return {
    release: string(read.release, `${where}.release`),
    percent,
    by,
    serial: integer(read.serial, `${where}.serial`),
    rest_serial: integer(read.rest_serial, `${where}.rest_serial`),
    config_hash: configHashOf(read.config_hash, `${where}.config_hash`),
    tables: tableRefs(read.tables, `${where}.tables`),
  };
}

export function configHashOf(value: unknown, where: string): string {
  return stringLike(value, where, /^[0-9a-f]{32}$/, '32 lower-case hex digits');
}

export function tableRefs(value: unknown, where: string): Readonly<Record<string, TableRef>> {
  return recordOf(value, where, tableRef);
}

function tableRef(value: unknown, where: string): TableRef {
  const read = exactObject(value, where, ['index', 'rows', 'mode']);
  return {
    index: objectName(read.index, `${where}.index`),
    rows: integer(read.rows, `${where}.rows`),
    mode: oneOf(read.mode, `${where}.mode`, ['eager', 'lazy']),
  };
}

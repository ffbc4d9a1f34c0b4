import { arrayOf, integer, object, oneOf, ShapeError, string, stringLike } from '../bundle/shape.ts';

/**
 * Records that all data planes share: tokens, sessions, challenges. A data plane keeps all of them, tells a control plane of
 * its own, and is told of the others'. How both speak of them, see `messages.ts`.
 */

/** Characters of a record's value as JSON. */
export const LARGEST_RECORD = 32 << 10;
/** Changes in one message of a data plane. */
export const MOST_CHANGES = 200;
/** Bytes of the records in one order: with what is around them, and in base64, they fit into `LARGEST_ORDER`. */
export const LARGEST_PAGE = 128 << 10;
/** Milliseconds: Kong's bound on a `ttl`. */
const LONGEST_LIFE = 100_000_000_000;

/** What a data plane did, or asks for. `until`: milliseconds since the epoch; null: no end. */
export type RecordChange =
  | RecordWrite
  /** `take` deletes it, and tells whether, and which, there was; `get` tells only. */
  | { readonly does: 'delete' | 'take' | 'get'; readonly collection: string; readonly key: string };

export interface RecordWrite {
  /** `add` writes only where there is none. */
  readonly does: 'put' | 'add';
  readonly collection: string;
  readonly key: string;
  readonly value: unknown;
  readonly until: number | null;
}

/** What came of a change. */
export interface RecordOutcome {
  /** `refused`: never, for `reason`; `later`: not now, since there are too many. */
  readonly outcome: 'done' | 'refused' | 'later';
  readonly reason?: string;
  /** Of `get` and `take`, the record there was; of `add`, one that was there already. Null: none. */
  readonly found?: { readonly value: unknown; readonly until: number | null } | null;
}

/** A record as a data plane is told of it. */
export interface SharedRecord {
  readonly collection: string;
  readonly key: string;
  /** Null: it was deleted. */
  readonly value: unknown;
  readonly until: number | null;
}

/** Up to where a data plane knows the records: all changes of `log` up to `number`. */
export interface RecordPosition {
  readonly log: string;
  readonly number: number;
}

/** What is in the log behind a position. */
export interface RecordPage {
  /** Behind which this follows; 0: from the beginning, whatever the data plane has. */
  readonly after: number;
  readonly position: RecordPosition;
  readonly records: readonly SharedRecord[];
  /** There is more behind it. */
  readonly more: boolean;
}

const COLLECTION = /^[A-Za-z0-9][\w.-]{0,127}$/;
const LONGEST_KEY = 512;

const WRITES = ['put', 'add'] as const;
const CHANGES = [...WRITES, 'delete', 'take', 'get'] as const;

export function parseRecordChange(value: unknown, where: string): RecordChange {
  const read = object(value, where);
  const does = oneOf(read.does, `${where}.does`, CHANGES);
  const { collection, key } = nameOf(read, where);
  if (does !== 'put' && does !== 'add') return { does, collection, key };
  if (read.value === undefined || read.value === null) throw new ShapeError(`${where}.value: there is none`);
  const length = JSON.stringify(read.value).length;
  if (length > LARGEST_RECORD) throw new ShapeError(`${where}.value: ${length} characters, of ${LARGEST_RECORD}`);
  return { does, collection, key, value: read.value, until: untilOf(read.until, `${where}.until`) };
}

export function parseRecordOutcome(value: unknown, where: string): RecordOutcome {
  const read = object(value, where);
  return {
    outcome: oneOf(read.outcome, `${where}.outcome`, ['done', 'refused', 'later']),
    ...(read.reason === undefined ? {} : { reason: string(read.reason, `${where}.reason`) }),
    ...(read.found === undefined ? {} : { found: read.found === null ? null : foundOf(read.found, `${where}.found`) }),
  };
}

export function parseRecordPosition(value: unknown, where: string): RecordPosition {
  const read = object(value, where);
  return { log: string(read.log, `${where}.log`).slice(0, 64), number: integer(read.number, `${where}.number`) };
}

export function parseRecordPage(value: unknown, where: string): RecordPage {
  const read = object(value, where);
  return {
    after: integer(read.after, `${where}.after`),
    position: parseRecordPosition(read.position, `${where}.position`),
    records: arrayOf(read.records, `${where}.records`, (each, at) => {
      const record = object(each, at);
      return { ...nameOf(record, at), value: record.value ?? null, until: untilOf(record.until, `${at}.until`) };
    }),
    more: read.more === true,
  };
}

function nameOf(read: Readonly<Record<string, unknown>>, where: string): { collection: string; key: string } {
  const collection = stringLike(read.collection, `${where}.collection`, COLLECTION, 'the name of a collection');
  const key = string(read.key, `${where}.key`);
  if (key === '' || key.length > LONGEST_KEY)
    throw new ShapeError(`${where}.key: 1 to ${LONGEST_KEY} characters are due`);
  return { collection, key };
}

function foundOf(value: unknown, where: string): NonNullable<RecordOutcome['found']> {
  const read = object(value, where);
  return { value: read.value, until: untilOf(read.until, `${where}.until`) };
}

function untilOf(value: unknown, where: string): number | null {
  if (value === null || value === undefined) return null;
  return integer(value, where, 0, Date.now() + 2 * LONGEST_LIFE);
}

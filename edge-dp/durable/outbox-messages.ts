import { mustBeRecord, type Row } from '../../shared/record.ts';
import type { Delivery, RequestTimeout } from '../plugins/runtime/services.ts';
import { number, text } from './message-fields.ts';

/** The node's one outbox, among its keepers of shared state: `POST /state/outbox`, OutboxQuestion; OutboxAnswer. */
export const OUTBOX = 'outbox';

/** Seconds, as in `QueueOptions`. */
export type Retries = Readonly<Record<'initial_retry_delay' | 'max_retry_delay' | 'max_retry_time', number>>;

/** A batch that a queue could not send while a request lasted. */
export interface Parcel {
  readonly queue: string;
  /** Entries in it. */
  readonly entries: number;
  /** Milliseconds since the epoch: when it was first tried. */
  readonly since: number;
  readonly retries: Retries;
  readonly delivery: Delivery;
}

export type OutboxQuestion = { readonly does: 'keep'; readonly parcel: Parcel } | { readonly does: 'show' };

export interface OutboxAnswer {
  /** Entries that wait. */
  readonly waiting: number;
}

/** As it travels: bytes as base64. */
export function packedQuestion(parcel: Parcel): Readonly<Row> {
  const { body, ...delivery } = parcel.delivery;
  const packed = typeof body === 'string' ? { text: body } : { base64: base64Of(body) };
  return { does: 'keep', parcel: { ...parcel, delivery: { ...delivery, ...packed } } };
}

/** Throws a `TypeError` for what is none. */
export function parseOutboxQuestion(value: unknown): OutboxQuestion {
  const read = mustBeRecord(value, 'the question');
  if (read.does === 'show') return { does: 'show' };
  if (read.does !== 'keep') throw new TypeError('no question about the outbox');
  const parcel = mustBeRecord(read.parcel, 'parcel');
  const retries = mustBeRecord(parcel.retries, 'retries');
  const delivery = mustBeRecord(parcel.delivery, 'delivery');
  const headers = mustBeRecord(delivery.headers, 'headers');
  return {
    does: 'keep',
    parcel: {
      queue: text(parcel, 'queue'),
      entries: number(parcel, 'entries'),
      since: number(parcel, 'since'),
      retries: {
        initial_retry_delay: number(retries, 'initial_retry_delay'),
        max_retry_delay: number(retries, 'max_retry_delay'),
        max_retry_time: number(retries, 'max_retry_time'),
      },
      delivery: {
        url: text(delivery, 'url'),
        method: text(delivery, 'method'),
        headers: Object.fromEntries(Object.keys(headers).map((name) => [name, text(headers, name)])),
        body: delivery.text === undefined ? bytesOf(text(delivery, 'base64')) : text(delivery, 'text'),
        timeout: timeoutOf(delivery),
        shown: text(delivery, 'shown'),
      },
    },
  };
}

function timeoutOf(delivery: Readonly<Row>): RequestTimeout {
  if (typeof delivery.timeout === 'number') return number(delivery, 'timeout');
  const timeouts = mustBeRecord(delivery.timeout, 'timeout');
  return {
    connect: number(timeouts, 'connect'),
    write: number(timeouts, 'write'),
    read: number(timeouts, 'read'),
  };
}

function base64Of(bytes: Uint8Array): string {
  const parts: string[] = [];
  // `fromCharCode` takes its bytes as arguments, of which there may be some ten thousand.
  for (let at = 0; at < bytes.length; at += 8192) parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return btoa(parts.join(''));
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

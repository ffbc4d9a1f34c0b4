import type { HeaderFields } from '../../http/fields.ts';

/** What a client's headers say of the trace a request belongs to. Ids are lower-case hex digits. */
export interface Incoming {
  /** As long as the format and the client made it, 32 digits at most; null: the client asks for sampling alone. */
  readonly traceId: string | null;
  /** 16 digits: the span of the caller. */
  readonly spanId: string | null;
  /** 16 digits: the span above that. */
  readonly parentId: string | null;
  /** The caller's decision; null: it leaves that to us. */
  readonly sampled: boolean | null;
  /** B3's debug flag: sampled, whatever the rates. */
  readonly debug: boolean;
  /** Names without the format's prefix. */
  readonly baggage: readonly (readonly [name: string, value: string])[];
  /** B3 in its one header. */
  readonly single: boolean;
}

/** The same for the upstream. */
export interface Outgoing {
  readonly traceId: string;
  /** Digits of the trace id the client sent; 32 or 16 of one made here. A trace made here is `fresh`. */
  readonly fresh: boolean;
  readonly spanId: string;
  /** Null: there is none above. */
  readonly parentId: string | null;
  readonly sampled: boolean;
  readonly debug: boolean;
  readonly baggage: Incoming['baggage'];
}

/** How trace contexts are written into headers. */
export interface Format {
  /** Null: no header of this format, or none that can be used. */
  extract(headers: HeaderFields): Incoming | null;
  /** Gives the trace id as it is written there. */
  inject(headers: HeaderFields, context: Outgoing): string;
}

export const NOTHING: Incoming = {
  traceId: null,
  spanId: null,
  parentId: null,
  sampled: null,
  debug: false,
  baggage: [],
  single: false,
};

/** Random ids; not in the global scope of a Worker, which has no random numbers. */
export function randomId(bytes: 8 | 16): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  let id = '';
  for (const byte of random) id += HEX[byte];
  // Zero means that there is none.
  return /[^0]/.test(id) ? id : randomId(bytes);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function isHex(value: string): boolean {
  return /^[0-9a-f]+$/i.test(value);
}

/** Hex digits, at least one of them no zero. */
export function isId(value: string, ...lengths: readonly number[]): boolean {
  return lengths.includes(value.length) && isHex(value) && /[^0]/.test(value);
}

/** The last 16 digits. */
export function low64(id: string): string {
  return id.slice(-16).padStart(16, '0');
}

export function decimal(id: string): string {
  return BigInt(`0x${low64(id)}`).toString();
}

/** An id of 16 digits, or 32 where it takes more. Null for what is no unsigned number of so many bytes, or zero. */
export function fromDecimal(value: string, bytes: 8 | 16): string | null {
  if (!/^\d{1,39}$/.test(value)) return null;
  const number = BigInt(value);
  if (number === 0n || number >= 1n << BigInt(8 * bytes)) return null;
  return number.toString(16).padStart(number < 1n << 64n ? 16 : 32, '0');
}

/** Headers whose names begin with a prefix in lower case. */
export function baggageOf(headers: HeaderFields, prefix: string): Incoming['baggage'] {
  const found: [string, string][] = [];
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    if (key.startsWith(prefix)) found.push([key.slice(prefix.length), value]);
  }
  return found;
}

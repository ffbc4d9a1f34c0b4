import { concatBytes } from '../../../shared/bytes.ts';
import type { ModelEvent } from './driver.ts';

/** Takes a stream of bytes apart into the events of a model. Bytes are kept until their event is complete. */
export interface EventReader {
  read(bytes: Uint8Array): readonly ModelEvent[];
  /** Nothing more comes: what is left. */
  end(): readonly ModelEvent[];
}

/** The reader for what a provider calls its stream; null: there is none. No type at all is taken for `text/event-stream`. */
export function eventReader(contentType: string | null): EventReader | null {
  switch (contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? 'text/event-stream') {
    case 'text/event-stream':
      return new ServerSentEvents();
    case 'application/stream+json':
    case 'application/x-ndjson':
      return new JsonLines();
    case 'application/json':
      return new JsonValues();
    case 'application/vnd.amazon.eventstream':
      return new AmazonEvents();
    default:
      return null;
  }
}

/** Longer events are none of a model's. */
const LONGEST = 4 * 1024 * 1024;

function checkLength(length: number): void {
  if (length > LONGEST) throw new Error(`an event of a model is longer than ${LONGEST} bytes`);
}

/** Whole lines out of pieces; `\n`, `\r\n` or `\r` end one. */
class Lines {
  readonly #decoder = new TextDecoder();
  #rest = '';

  *read(bytes: Uint8Array | null): Generator<string, void> {
    const text = bytes === null ? this.#decoder.decode() : this.#decoder.decode(bytes, { stream: true });
    const lines = `${this.#rest}${text}`.split(/\r\n|\n|\r(?=[^\n])/);
    this.#rest = lines.pop() ?? '';
    checkLength(this.#rest.length);
    yield* lines;
    if (bytes !== null || this.#rest === '') return;
    yield this.#rest;
    this.#rest = '';
  }
}

/** WHATWG HTML section 9.2.6. */
class ServerSentEvents implements EventReader {
  readonly #lines = new Lines();
  #event: string | null = null;
  #data: string[] = [];

  read(bytes: Uint8Array): readonly ModelEvent[] {
    return this.#events(this.#lines.read(bytes));
  }

  end(): readonly ModelEvent[] {
    return [...this.#events(this.#lines.read(null)), ...this.#dispatch()];
  }

  #events(lines: Iterable<string>): readonly ModelEvent[] {
    const events: ModelEvent[] = [];
    for (const line of lines) {
      if (line === '') {
        events.push(...this.#dispatch());
        continue;
      }
      // Providers that answer with lines of JSON and call them events.
      if (line.startsWith('{') && this.#data.length === 0) {
        events.push({ event: null, data: line });
        continue;
      }
      const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === 'event') this.#event = value;
      else if (field === 'data') this.#data.push(value);
    }
    return events;
  }

  #dispatch(): readonly ModelEvent[] {
    const [event, data] = [this.#event, this.#data];
    this.#event = null;
    this.#data = [];
    return data.length === 0 ? [] : [{ event, data: data.join('\n') }];
  }
}

/** A value of JSON a line. */
class JsonLines implements EventReader {
  readonly #lines = new Lines();

  read(bytes: Uint8Array): readonly ModelEvent[] {
    return [...this.#lines.read(bytes)].filter(isNotBlank).map((data) => ({ event: null, data }));
  }

  end(): readonly ModelEvent[] {
    return [...this.#lines.read(null)].filter(isNotBlank).map((data) => ({ event: null, data }));
  }
}

function isNotBlank(line: string): boolean {
  return line.trim() !== '';
}

/** The items of a JSON array as they come (Gemini), or values one after the other; the end of the array ends the stream. */
class JsonValues implements EventReader {
  readonly #decoder = new TextDecoder();
  #text = '';
  /** How far `#text` has been looked at, and what for. */
  #at = 0;
  #start = -1;
  #depth = 0;
  #inString = false;

  read(bytes: Uint8Array): readonly ModelEvent[] {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    const events: ModelEvent[] = [];
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at];
      if (this.#inString) {
        if (char === '\\') this.#at++;
        else if (char === '"') this.#inString = false;
      } else if (char === '"') this.#inString = true;
      else if (char === '{' || (char === '[' && this.#depth > 0)) {
        if (this.#depth === 0) this.#start = this.#at;
        this.#depth++;
      } else if ((char === '}' || char === ']') && this.#depth > 0) {
        this.#depth--;
        if (this.#depth === 0) events.push({ event: null, data: this.#text.slice(this.#start, this.#at + 1) });
      } else if (char === ']') events.push({ event: null, data: '[DONE]' });
    }
    const kept = this.#depth > 0 ? this.#start : this.#at;
    this.#text = this.#text.slice(kept);
    this.#at -= kept;
    this.#start = 0;
    checkLength(this.#text.length);
    return events;
  }

  end(): readonly ModelEvent[] {
    return [];
  }
}

/** Amazon's event stream encoding; an event's data is its message as JSON: `{headers, body}`. */
class AmazonEvents implements EventReader {
  #kept: Uint8Array = new Uint8Array();

  read(bytes: Uint8Array): readonly ModelEvent[] {
    this.#kept = concatBytes([this.#kept, bytes]);
    const events: ModelEvent[] = [];
    while (this.#kept.length >= PRELUDE) {
      const view = new DataView(this.#kept.buffer, this.#kept.byteOffset, this.#kept.length);
      const [length, headers] = [view.getUint32(0), view.getUint32(4)];
      checkLength(length);
      if (length < PRELUDE + headers + CHECKSUM) throw new Error('a message of an Amazon event stream is malformed');
      if (this.#kept.length < length) break;
      const body = TEXT.decode(this.#kept.subarray(PRELUDE + headers, length - CHECKSUM));
      const named = messageHeaders(this.#kept.subarray(PRELUDE, PRELUDE + headers));
      events.push({ event: null, data: JSON.stringify({ headers: named, body }) });
      this.#kept = this.#kept.slice(length);
    }
    return events;
  }

  end(): readonly ModelEvent[] {
    return [];
  }
}

const PRELUDE = 12;
const CHECKSUM = 4;
/** Of the kinds of values, those that are texts. */
const STRING = 7;
const TEXT = new TextDecoder();

/** Those that are texts, which all are that say something of a model. */
function messageHeaders(bytes: Uint8Array): Readonly<Record<string, string>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const named: Record<string, string> = {};
  for (let at = 0; at < bytes.length; ) {
    const nameEnd = at + 1 + view.getUint8(at);
    const name = TEXT.decode(bytes.subarray(at + 1, nameEnd));
    if (view.getUint8(nameEnd) !== STRING) break;
    const end = nameEnd + 3 + view.getUint16(nameEnd + 1);
    named[name] = TEXT.decode(bytes.subarray(nameEnd + 3, end));
    at = end;
  }
  return named;
}

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

/** Whole lines out of pieces; `\n`, `\r\n` or `\r` end one. Each piece is looked at once, however small they come. */
class Lines {
  readonly #decoder = new TextDecoder();
  /** What has come of a line that has not ended. */
  #rest = '';
  /** The `\r` that a piece ended with, which may be half of an end. */
  #held = '';

  *read(bytes: Uint8Array | null): Generator<string, void> {
    const decoded = bytes === null ? this.#decoder.decode() : this.#decoder.decode(bytes, { stream: true });
    const text = this.#held + decoded;
    this.#held = bytes !== null && text.endsWith('\r') ? '\r' : '';
    const lines = (this.#held === '' ? text : text.slice(0, -1)).split(/\r\n|\n|\r/);
    const rest = lines.pop() ?? '';
    if (lines.length === 0) this.#rest += rest;
    else {
      lines[0] = this.#rest + (lines[0] ?? '');
      this.#rest = rest;
    }
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
  /** Characters of `#data`. */
  #size = 0;

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
      else if (field === 'data') this.#keep(value);
    }
    return events;
  }

  #keep(line: string): void {
    this.#data.push(line);
    this.#size += line.length + 1;
    checkLength(this.#size);
  }

  #dispatch(): readonly ModelEvent[] {
    const [event, data] = [this.#event, this.#data];
    this.#event = null;
    this.#data = [];
    this.#size = 0;
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
  /** What has come of a value that is not complete. */
  #begun = '';
  #depth = 0;
  #inString = false;
  #isEscaped = false;

  read(bytes: Uint8Array): readonly ModelEvent[] {
    const text = this.#decoder.decode(bytes, { stream: true });
    const events: ModelEvent[] = [];
    let start = 0;
    for (let at = 0; at < text.length; at++) {
      const char = text[at];
      if (this.#isEscaped) this.#isEscaped = false;
      else if (this.#inString) {
        if (char === '\\') this.#isEscaped = true;
        else if (char === '"') this.#inString = false;
      } else if (char === '"') this.#inString = true;
      else if (char === '{' || (char === '[' && this.#depth > 0)) {
        if (this.#depth === 0) start = at;
        this.#depth++;
      } else if ((char === '}' || char === ']') && this.#depth > 0) {
        this.#depth--;
        if (this.#depth > 0) continue;
        events.push({ event: null, data: this.#begun + text.slice(start, at + 1) });
        this.#begun = '';
      } else if (char === ']') events.push({ event: null, data: '[DONE]' });
    }
    if (this.#depth > 0) this.#begun += text.slice(start);
    checkLength(this.#begun.length);
    return events;
  }

  end(): readonly ModelEvent[] {
    return [];
  }
}

/** Amazon's event stream encoding; an event's data is its message as JSON: `{headers, body}`. */
class AmazonEvents implements EventReader {
  #parts: Uint8Array[] = [];
  #size = 0;
  /** Bytes that must be there to go on. */
  #needed = PRELUDE;

  read(bytes: Uint8Array): readonly ModelEvent[] {
    // A copy: who passes the same bytes on gives them away.
    this.#parts.push(bytes.slice());
    this.#size += bytes.length;
    if (this.#size < this.#needed) return [];
    const whole = concatBytes(this.#parts);
    const events: ModelEvent[] = [];
    let at = 0;
    for (this.#needed = PRELUDE; whole.length - at >= PRELUDE; ) {
      const view = new DataView(whole.buffer, whole.byteOffset + at);
      const [length, headers] = [view.getUint32(0), view.getUint32(4)];
      checkLength(length);
      if (length < PRELUDE + headers + CHECKSUM) throw new Error('a message of an Amazon event stream is malformed');
      if (whole.length - at < length) {
        this.#needed = length;
        break;
      }
      events.push(amazonEvent(whole.subarray(at, at + length), headers));
      at += length;
    }
    this.#parts = [whole.subarray(at)];
    this.#size = whole.length - at;
    return events;
  }

  end(): readonly ModelEvent[] {
    return [];
  }
}

/** `headers`: bytes of them. */
function amazonEvent(message: Uint8Array, headers: number): ModelEvent {
  const body = TEXT.decode(message.subarray(PRELUDE + headers, message.length - CHECKSUM));
  const named = messageHeaders(message.subarray(PRELUDE, PRELUDE + headers));
  return { event: null, data: JSON.stringify({ headers: named, body }) };
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

import { isRecord, recordOrEmpty } from '../../../shared/record.ts';
import {
  DONE,
  errorEvent,
  eventData,
  type ModelEvent,
  records,
  type TranslatedEvent,
  textOf,
  type Usage,
} from './driver.ts';
import { eventReader } from './event-stream.ts';

/** What a stream came to: what its chunks said in all, and why the last of them ended, as it says itself. */
export interface Said {
  /** As much of it as is kept. */
  readonly text: string;
  /** Characters beyond that. */
  readonly unkept: number;
  readonly finishReason: unknown;
}

/** Tells once what a stream came to. */
type Ended = (usage: Usage, said: Said) => void;
type Translate = (event: ModelEvent) => TranslatedEvent;

/** A stream on its way, and what to call when it has broken off: `ended` then hears what it was until then. */
export interface ModelStream {
  readonly stream: TransformStream<Uint8Array, Uint8Array>;
  brokenOff(): void;
}

/**
 * A provider's stream as OpenAI's: server-sent events with chunks, each as soon as it is complete. `ended` hears once what the
 * model used and said. What cannot be read is told in one event, for the head is with the client already.
 */
export function translateStream(contentType: string | null, translate: Translate | null, ended: Ended): ModelStream {
  const reader = translate === null ? null : eventReader(contentType);
  const account = new Account(translate, ended);
  let told = false;

  const passOn = (events: readonly ModelEvent[], controller: TransformStreamDefaultController<Uint8Array>): void => {
    let text = '';
    for (const event of events) {
      const data = account.take(event);
      if (data === null) continue;
      text += `${data
        .split('\n')
        .map((line) => `data: ${line}\n`)
        .join('')}\n`;
    }
    if (text !== '') controller.enqueue(UTF8.encode(text));
  };

  const stream = new TransformStream<Uint8Array, Uint8Array>({
    transform(bytes, controller) {
      if (reader !== null) passOn(reader.read(bytes), controller);
      else if (!told) controller.enqueue(UTF8.encode(UNREADABLE));
      told = true;
    },
    flush(controller) {
      if (reader !== null) passOn(reader.end(), controller);
      account.end();
    },
  });
  return { stream, brokenOff: () => account.end() };
}

/** A provider's stream as it is, for clients that speak as the provider does: it is only read along with. */
export function followStream(contentType: string | null, translate: Translate | null, ended: Ended): ModelStream {
  let reader = eventReader(contentType);
  const account = new Account(translate, ended);
  const stream = new TransformStream<Uint8Array, Uint8Array>({
    transform(bytes, controller) {
      controller.enqueue(bytes);
      try {
        for (const event of reader?.read(bytes) ?? []) account.take(event);
      } catch {
        // What cannot be read is the client's to judge.
        reader = null;
      }
    },
    flush() {
      for (const event of reader?.end() ?? []) account.take(event);
      account.end();
    },
  });
  return { stream, brokenOff: () => account.end() };
}

/** What a stream has come to so far. */
class Account {
  readonly #translate: Translate | null;
  readonly #ended: Ended;
  #prompt: number | null = null;
  #completion: number | null = null;
  #said = '';
  #unkept = 0;
  #finishReason: unknown;
  #over = false;

  constructor(translate: Translate | null, ended: Ended) {
    this.#translate = translate;
    this.#ended = ended;
  }

  /** What the event is in OpenAI's shape; null: nothing. */
  take(event: ModelEvent): string | null {
    const { chunk, usage } = failed(event) ?? this.#translate?.(event) ?? NOTHING;
    this.#prompt = usage?.prompt ?? this.#prompt;
    this.#completion = usage?.completion ?? this.#completion;
    if (chunk === null) return null;
    const data = typeof chunk === 'string' ? chunk : JSON.stringify(chunk);
    if (data !== DONE) this.#hear(typeof chunk === 'string' ? eventData(chunk) : chunk);
    return data;
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    const said = { text: this.#said, unkept: this.#unkept, finishReason: this.#finishReason };
    this.#ended({ prompt: this.#prompt, completion: this.#completion }, said);
  }

  #hear(chunk: unknown): void {
    const [choice] = records(recordOrEmpty(chunk).choices);
    if (choice === undefined) return;
    const text = textOf(recordOrEmpty(choice.delta).content) ?? textOf(choice.text) ?? '';
    if (this.#said.length + text.length <= MOST_SAID) this.#said += text;
    else this.#unkept += text.length;
    this.#finishReason = choice.finish_reason;
  }
}

/** What a provider says in the middle of a stream of what went wrong, in OpenAI's shape; null: no such thing. */
function failed({ data }: ModelEvent): TranslatedEvent | null {
  if (!data.includes('"error"')) return null;
  const { error } = recordOrEmpty(eventData(data));
  if (typeof error === 'string') return errorEvent({ message: error });
  return isRecord(error) ? errorEvent({ ...error, type: error.type ?? error.status }) : null;
}

/** Characters of a stream that are kept for the log: as much as of an answer that is no stream. */
const MOST_SAID = 16 * 1024 * 1024;
/** Kong's words. */
const UNREADABLE = 'data: {"error": true, "message": "empty or unsupported transformer response"}\n\n';
const NOTHING: TranslatedEvent = { chunk: null };
const UTF8 = new TextEncoder();

import { recordOrEmpty } from '../../../shared/record.ts';
import { DONE, eventData, type ModelEvent, records, type TranslatedEvent, textOf, type Usage } from './driver.ts';
import { eventReader } from './event-stream.ts';

/**
 * A provider's stream as OpenAI's: server-sent events with chunks, each as soon as it is complete. `ended` hears once what the
 * model used and said: at the end, or from `brokenOff` what that was until then. What cannot be read is told in one event, for the head is with the client already.
 */
export function translateStream(
  contentType: string | null,
  translate: ((event: ModelEvent) => TranslatedEvent) | null,
  ended: (usage: Usage, said: string) => void,
): { readonly stream: TransformStream<Uint8Array, Uint8Array>; brokenOff(): void } {
  const reader = translate === null ? null : eventReader(contentType);
  let [prompt, completion]: (number | null)[] = [null, null];
  let said = '';
  let told = false;
  let over = false;

  const written = (events: readonly ModelEvent[]): string => {
    let text = '';
    for (const event of events) {
      const { chunk, usage } = translate?.(event) ?? NOTHING;
      prompt = usage?.prompt ?? prompt ?? null;
      completion = usage?.completion ?? completion ?? null;
      if (chunk === null) continue;
      const data = typeof chunk === 'string' ? chunk : JSON.stringify(chunk);
      if (data !== DONE) said += saidIn(typeof chunk === 'string' ? eventData(chunk) : chunk);
      text += `${data
        .split('\n')
        .map((line) => `data: ${line}\n`)
        .join('')}\n`;
    }
    return text;
  };
  const passOn = (text: string, controller: TransformStreamDefaultController<Uint8Array>): void => {
    if (text !== '') controller.enqueue(UTF8.encode(text));
  };

  const end = (): void => {
    if (over) return;
    over = true;
    ended({ prompt: prompt ?? null, completion: completion ?? null }, said);
  };

  const stream = new TransformStream<Uint8Array, Uint8Array>({
    transform(bytes, controller) {
      if (reader !== null) passOn(written(reader.read(bytes)), controller);
      else if (!told) passOn(UNREADABLE, controller);
      told = true;
    },
    flush(controller) {
      if (reader !== null) passOn(written(reader.end()), controller);
      end();
    },
  });
  return { stream, brokenOff: end };
}

/** Kong's words. */
const UNREADABLE = 'data: {"error": true, "message": "empty or unsupported transformer response"}\n\n';
const NOTHING: TranslatedEvent = { chunk: null };
const UTF8 = new TextEncoder();

function saidIn(chunk: unknown): string {
  const [choice] = records(recordOrEmpty(chunk).choices);
  return textOf(recordOrEmpty(choice?.delta).content) ?? textOf(choice?.text) ?? '';
}

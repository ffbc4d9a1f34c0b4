import { expect, onTestFinished } from 'vitest';
import { type Row, recordOrEmpty } from '../../../shared/record.ts';

interface HeardEvent {
  readonly kind: string;
  readonly id: string;
  readonly data: Readonly<Row>;
}

/** Reads Server-Sent Events as a browser's EventSource does (WHATWG HTML, 9.2.6), until the test is over. */
export class EventReader {
  readonly heard: HeardEvent[] = [];
  lastId = '';
  ended = false;
  readonly response: Response;
  readonly #abort: AbortController;

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    onTestFinished(() => this.close());
  }

  static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<EventReader> {
    const abort = new AbortController();
    const response = await fetch(url, { headers: { ...headers }, signal: abort.signal });
    expect(response.status, response.status === 200 ? '' : await response.text()).toBe(200);
    const reader = new EventReader(response, abort);
    void reader.#read();
    return reader;
  }

  close(): void {
    this.#abort.abort();
  }

  /** The first event of a kind, heard already or to come, that has these members. */
  async event(kind: string, members: Readonly<Row> = {}): Promise<HeardEvent> {
    const found = () =>
      this.heard.find(
        (one) => one.kind === kind && Object.entries(members).every(([name, value]) => one.data[name] === value),
      );
    await expect
      .poll(() => found() ?? this.heard.map(({ kind: other, data }) => `${other} ${JSON.stringify(data)}`), {
        timeout: 60_000,
        message: `${kind} ${JSON.stringify(members)}`,
      })
      .toMatchObject({ kind });
    return found() ?? expect.fail(`no ${kind}`);
  }

  kinds(): readonly string[] {
    return this.heard.map(({ kind }) => kind);
  }

  async #read(): Promise<void> {
    let text = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.response.body ?? []) {
        text += decoder.decode(chunk, { stream: true });
        for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
          this.#take(text.slice(0, end));
          text = text.slice(end + 2);
        }
      }
    } catch {
      // Cut off.
    }
    this.ended = true;
  }

  #take(block: string): void {
    let kind = '';
    let data = '';
    for (const line of block.split('\n')) {
      const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
      if (name === 'id') this.lastId = value;
      else if (name === 'event') kind = value;
      else if (name === 'data') data = value;
    }
    if (data !== '') this.heard.push({ kind, id: this.lastId, data: recordOrEmpty(JSON.parse(data)) });
  }
}

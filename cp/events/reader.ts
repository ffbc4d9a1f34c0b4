const ENCODER = new TextEncoder();

/** One who reads events: a stream of Server-Sent Events that never grows beyond a bound. */
export class Reader {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #most: number;
  readonly #gone: (why: string | null) => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** What was told while it is still to be given what it had missed; null: it has that. */
  #waiting: string[] | null = null;
  #listens = false;

  /** `most`: bytes that may wait for it to read them. `gone` is called once it reads no more, with the reason where it did not leave by itself. */
  constructor(most: number, gone: (why: string | null) => void) {
    this.#most = most;
    this.#gone = gone;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => this.#leave(null),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: 0 }),
    );
  }

  /** From here on it is told what happens, behind what `begin` will give it. */
  listen(): void {
    this.#listens = true;
    this.#waiting = [];
  }

  /** What it had missed; what was told meanwhile follows. */
  begin(texts: readonly string[]): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    this.tell([...texts, ...waiting].join(''));
  }

  tell(text: string): void {
    const controller = this.#controller;
    if (controller === null || !this.#listens) return;
    if (this.#waiting !== null) {
      this.#waiting.push(text);
      return;
    }
    const bytes = ENCODER.encode(text);
    const unread = -(controller.desiredSize ?? 0);
    // What came in one piece, as what was missed, is taken however long it is.
    if (unread > 0 && unread + bytes.length > this.#most) {
      this.#leave(`it does not read what it is sent: ${unread} bytes wait for it`);
      controller.error(new Error('the reader is too slow'));
    } else controller.enqueue(bytes);
  }

  end(): void {
    const controller = this.#controller;
    if (controller === null) return;
    this.#leave(null);
    controller.close();
  }

  #leave(why: string | null): void {
    if (this.#controller === null) return;
    this.#controller = null;
    this.#gone(why);
  }
}

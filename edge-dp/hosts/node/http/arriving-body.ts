import type { BodySource } from '../../../http/messages.ts';

/** Who takes an upstream's body part by part. */
export interface BodyTarget {
  /** False: to be told by `onDrain` when there is room for more. `done`: as of `AnswerSink.data`. */
  write(part: Buffer, done?: () => void): boolean;
  onDrain(listener: () => void): void;
  /** Of trailers names and values in turn. */
  end(trailers: readonly string[]): void;
  /** It broke off. */
  fail(error: Error): void;
}

/** Bytes kept while nobody takes them. */
const KEPT = 64 << 10;

/** The body of an upstream's answer on its way in: for one taker, a web stream's reader or a target. */
export class ArrivingBody implements BodySource {
  readonly mayHaveTrailers: boolean;
  /** Nobody wants the rest. */
  readonly #cancel: () => void;
  #parts: Buffer[] = [];
  #size = 0;
  #end: { readonly trailers: readonly string[] } | { readonly error: Error } | null = null;
  #target: BodyTarget | null = null;
  #stream: ReadableStream<Uint8Array> | null = null;
  #onRoom: (() => void) | null = null;

  /** `mayHaveTrailers`: nobody can tell before its end. */
  constructor(cancel: () => void, { mayHaveTrailers }: { readonly mayHaveTrailers: boolean }) {
    this.#cancel = cancel;
    this.mayHaveTrailers = mayHaveTrailers;
  }

  /** Nobody takes it yet. */
  get untaken(): boolean {
    return this.#target === null;
  }

  /** Nothing of it is there yet. */
  get awaited(): boolean {
    return this.#parts.length === 0 && this.#end === null;
  }

  /** It ended without a byte, and without trailers. */
  get nothing(): boolean {
    return this.#end !== null && 'trailers' in this.#end && this.#end.trailers.length === 0 && this.#parts.length === 0;
  }

  /** All of it in one part, when it is there already; null otherwise. */
  get whole(): Buffer | null {
    if (this.#end === null || 'error' in this.#end || this.#parts.length !== 1 || this.#end.trailers.length > 0)
      return null;
    return this.#parts[0] ?? null;
  }

  // The upstream's end.

  /** False: no more until `onRoom`. `done`: as of `AnswerSink.data`. */
  push(part: Buffer, done?: () => void): boolean {
    if (this.#target !== null) return this.#target.write(part, done);
    this.#parts.push(part);
    this.#size += part.byteLength;
    return this.#size < KEPT;
  }

  onRoom(listener: () => void): void {
    if (this.#target === null) this.#onRoom = listener;
    else this.#target.onDrain(listener);
  }

  finish(trailers: readonly string[]): void {
    this.#end ??= { trailers };
    this.#target?.end(trailers);
  }

  fail(error: Error): void {
    this.#end ??= { error };
    this.#target?.fail(error);
  }

  // The taker's end.

  sendTo(target: BodyTarget): void {
    this.#target = target;
    let room = true;
    for (const part of this.#parts.splice(0)) room = target.write(part);
    const end = this.#end;
    if (end !== null) {
      if ('error' in end) target.fail(end.error);
      else target.end(end.trailers);
      return;
    }
    const resume = this.#onRoom;
    this.#onRoom = null;
    if (resume === null) return;
    if (room) resume();
    else target.onDrain(resume);
  }

  stream(): ReadableStream<Uint8Array> {
    this.#stream ??= this.#webStream();
    return this.#stream;
  }

  cancel(): void {
    this.#parts = [];
    this.#cancel();
  }

  #webStream(): ReadableStream<Uint8Array> {
    let wanted: (() => void) | null = null;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.sendTo({
            write: (part) => {
              controller.enqueue(part);
              return (controller.desiredSize ?? 0) > 0;
            },
            onDrain: (listener) => {
              wanted = listener;
            },
            end: () => controller.close(),
            fail: (error) => controller.error(error),
          });
        },
        pull() {
          const resume = wanted;
          wanted = null;
          resume?.();
        },
        cancel: () => this.cancel(),
      },
      { highWaterMark: KEPT, size: (part) => part?.byteLength ?? 0 },
    );
  }
}

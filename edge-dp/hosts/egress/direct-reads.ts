/** Bytes that are read at a time. */
const SIZE = 64 << 10;

/** What connections read into while little comes: who takes a part copies what it keeps, since the next read of any of them overwrites it. */
const SHARED = Buffer.allocUnsafeSlow(SIZE);

/** Behind a read of so many bytes there are more to come, as a rule. */
const LONG = SIZE / 2;

/** Buffers that are kept for their next use. */
const MOST_FREE = 64;

/** A buffer that one connection reads into alone. It has its next use when all that was lent of it has come back. */
class OwnBuffer {
  static readonly #free: OwnBuffer[] = [];
  readonly bytes = Buffer.allocUnsafeSlow(SIZE);
  /** The connection, and whoever was lent a part. */
  #users = 0;

  static take(): OwnBuffer {
    const taken = OwnBuffer.#free.pop() ?? new OwnBuffer();
    taken.#users = 1;
    return taken;
  }

  /** Gives what brings the part back. One that is never brought back costs a buffer, and nothing else. */
  lend(): () => void {
    this.#users += 1;
    let back = false;
    return () => {
      if (back) return;
      back = true;
      this.leave();
    };
  }

  /** One user fewer. */
  leave(): void {
    this.#users -= 1;
    if (this.#users === 0 && OwnBuffer.#free.length < MOST_FREE) OwnBuffer.#free.push(this);
  }
}

/**
 * The reads of one TCP connection as they come from the system, without a buffer for each and without a stream in between: for
 * `onread` of `net.connect`. The socket itself has no data then; its other events, `pause` and `resume` are as ever.
 */
export class DirectReads {
  /** Gives whether more of the same is awaited. */
  #take: ((part: Buffer) => boolean) | null = null;
  /** What came before somebody took it. */
  #early: Buffer | null = null;
  /** Null: it reads into what all share. */
  #own: OwnBuffer | null = null;
  #long = false;

  readonly options = {
    /** Node asks at first, and behind each read. */
    buffer: (): Buffer => {
      this.#own?.leave();
      this.#own = this.#long ? OwnBuffer.take() : null;
      return this.#own?.bytes ?? SHARED;
    },
    callback: (size: number, buffer: Uint8Array): boolean => {
      const part = Buffer.from(buffer.buffer, buffer.byteOffset, size);
      if (this.#take === null) this.#early = Buffer.concat([this.#early ?? EMPTY, part]);
      else this.#long = this.#take(part) && size >= LONG;
      return true;
    },
  };

  /** `take` gets all that comes, and says whether more of the same is awaited. */
  attach(take: (part: Buffer) => boolean): void {
    this.#take = take;
    const early = this.#early;
    this.#early = null;
    if (early !== null) take(early);
  }

  /**
   * Lends a part of what was read just now for longer than this turn, where that spares much. Gives what is to be called when it is not
   * needed any more; undefined: it must be copied.
   */
  lend(part: Buffer): (() => void) | undefined {
    return part.byteLength < LONG ? undefined : this.#own?.lend();
  }
}

const EMPTY = Buffer.alloc(0);
